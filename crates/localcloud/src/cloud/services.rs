//! The services behind the door: DynamoDB, and the engine with the Lambda host.

use std::sync::Arc;

use dynoxide::Database;
use tokio::net::TcpListener;
use workflow::runner::Runner;
use workflow::secret::Admission;
use workflow::services::ServiceSettings;
use workflow::{Engine, Machines};

use super::error::StartError;
use super::inner::Inner;
use super::{pushes, tasks};

impl Inner {
    pub(super) fn serve_dynamodb(self: &Arc<Self>, listener: TcpListener, database: Database) {
        self.spawn(async move {
            dynoxide::server::serve_on(listener, database).await;
        });
    }

    pub(super) async fn serve_engine(
        self: &Arc<Self>,
        listener: TcpListener,
        machines: Machines,
    ) -> Result<(), StartError> {
        let failed = |error: String| StartError::Engine(error);
        let database = sqlite::Database::open(&sqlite::Location::Memory);
        let database = database.map_err(|error| failed(error.to_string()))?;
        let services = ServiceSettings {
            region: self.scope.region.clone(),
            dynamodb: self.endpoint.parse().ok(),
            sqs: self.endpoint.parse().ok(),
            ..ServiceSettings::default()
        };
        let runner = Runner::with_services(self.host.clone(), services);
        let settings = workflow::Settings {
            machines,
            region: self.scope.region.clone(),
            account: self.scope.account.clone(),
            ..workflow::Settings::default()
        };
        let listening = Arc::new(pushes::Follower(Arc::downgrade(self)));
        let tasks = Arc::new(tasks::Tasks {
            runner: runner.clone(),
            inner: Arc::downgrade(self),
        });
        let engine = Engine::open(database, settings, tasks, listening).await;
        let engine = engine.map_err(|error| failed(error.to_string()))?;
        let _ = self.engine.set(engine.clone());
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let stopped = stop.cancelled_owned();
            let admission = Admission::Open;
            let served =
                workflow::internal::serve(listener, engine, runner, admission, stopped).await;
            if let Err(error) = served {
                tracing::warn!(%error, "the internal listener ended");
            }
        });
        Ok(())
    }
}
