//! Runs a state machine to its end within one test: the interpreter says which function to call,
//! and the functions answer.

use std::collections::VecDeque;
use std::sync::Arc;

use asl::{Effect, Event, Execution, Resource, Start, StateMachine, Status, Task, TaskId};
use functions::lambda_runtime::{Context, Diagnostic, LambdaEvent, Service};
use serde::Serialize;
use serde_json::{Value, json};

use crate::server::Server;

/// The text of `state-machines/NAME.asl.json`.
pub(crate) fn definition(name: &str) -> String {
    let path = format!(
        "{}/../state-machines/{name}.asl.json",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// How an execution ended: its result, or its error's name and cause.
pub(crate) type Outcome = Result<Value, (String, String)>;

/// Runs a job type on an input, as the server would: with the job added.
pub(crate) async fn run(server: &Server, name: &str, input: Value) -> Outcome {
    Machine::start(server, name, input)
        .finish(|_| panic!("nobody answers a task token here"))
        .await
}

/// One execution.
pub(crate) struct Machine {
    execution: Execution,
    effects: VecDeque<Effect>,
}

impl Machine {
    pub(crate) fn start(server: &Server, name: &str, input: Value) -> Self {
        let machine = StateMachine::parse(&definition(name))
            .unwrap_or_else(|problems| panic!("{problems:#?}"));
        let start = Start {
            execution_arn: format!("arn:aws:states:us-east-1:123456789012:execution:{name}:job-1"),
            execution_name: "job-1".into(),
            role_arn: "arn:aws:iam::123456789012:role/states".into(),
            state_machine_arn: format!("arn:aws:states:us-east-1:123456789012:stateMachine:{name}"),
            state_machine_name: name.into(),
            start_time: "2026-01-01T00:00:00Z".parse().unwrap(),
            input: server.event(input).to_string().into(),
            kind: asl::WorkflowType::Standard,
            seed: 1,
        };
        let mut machine = Self {
            execution: Execution::new(Arc::new(machine), start),
            effects: VecDeque::new(),
        };
        machine.tell(Event::Begin);
        machine
    }

    /// Continues until the end. `answer` returns the answer to a task that waits for its token.
    pub(crate) async fn finish(mut self, answer: impl Fn(&Value) -> Event) -> Outcome {
        loop {
            while let Some(effect) = self.effects.pop_front() {
                if let Effect::Schedule(task) = effect {
                    self.call(task, &answer).await;
                }
            }
            match self.execution.status() {
                Status::Succeeded => {
                    return Ok(serde_json::from_str(self.execution.output().unwrap()).unwrap());
                }
                Status::Running => self.next_timer(),
                _ => {
                    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
                    return Err((text(self.execution.error()), text(self.execution.cause())));
                }
            }
        }
    }

    async fn call(&mut self, task: Task, answer: impl Fn(&Value) -> Event) {
        let payload: Value = serde_json::from_str(&task.payload).unwrap();
        match &task.resource {
            Resource::Lambda { function } => {
                let name = function.rsplit(':').next().unwrap();
                let result = invoke(name, payload).await;
                self.tell(event(task.task, result));
            }
            Resource::Service { .. } => {
                let name = payload["FunctionName"].as_str().unwrap().to_owned();
                match invoke(&name, payload["Payload"].clone()).await {
                    Ok(output) => {
                        self.tell(Event::TaskSubmitted {
                            task: task.task,
                            output: output.to_string().into(),
                        });
                        let answer = match answer(&payload["Payload"]) {
                            Event::TaskSucceeded { output, .. } => Event::TaskSucceeded {
                                task: task.task,
                                output,
                            },
                            Event::TaskFailed { error, cause, .. } => Event::TaskFailed {
                                task: task.task,
                                error,
                                cause,
                            },
                            // No task is answered: only time passes.
                            _ => return,
                        };
                        self.tell(answer);
                    }
                    failed => self.tell(event(task.task, failed)),
                }
            }
            other => panic!("{other:?}"),
        }
    }

    /// Time passes at once: the next retry, timeout or wait is due.
    fn next_timer(&mut self) {
        let (timer, due) = self
            .execution
            .timers()
            .into_iter()
            .min_by_key(|(_, due)| *due)
            .expect("a timer");
        self.effects
            .extend(self.execution.handle(Event::TimerFired { timer }, due));
    }

    fn tell(&mut self, event: Event) {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        self.effects.extend(self.execution.handle(event, now));
    }
}

fn event(task: TaskId, result: Result<Value, Diagnostic>) -> Event {
    match result {
        Ok(output) => Event::TaskSucceeded {
            task,
            output: output.to_string().into(),
        },
        Err(diagnostic) => {
            let cause = json!({"errorType": diagnostic.error_type, "errorMessage": diagnostic.error_message});
            Event::TaskFailed {
                task,
                error: diagnostic.error_type,
                cause: cause.to_string(),
            }
        }
    }
}

/// Calls a function by its name, through its wrapper.
pub(crate) async fn invoke(name: &str, payload: Value) -> Result<Value, Diagnostic> {
    use functions::service;
    use samples::{approval, csv_report, noop, thumbnails};
    async fn call<S, O>(mut service: S, payload: Value) -> Result<Value, Diagnostic>
    where
        S: Service<LambdaEvent<Value>, Response = O, Error = Diagnostic>,
        O: Serialize,
    {
        let output = service
            .call(LambdaEvent::new(payload, Context::default()))
            .await?;
        Ok(serde_json::to_value(output).unwrap())
    }
    match name {
        "thumbnails-inspect" => call(service(thumbnails::inspect), payload).await,
        "thumbnails-resize" => call(service(thumbnails::resize), payload).await,
        "thumbnails-assemble" => call(service(thumbnails::assemble), payload).await,
        "csv-report-analyze" => call(service(csv_report::analyze), payload).await,
        "csv-report-chart" => call(service(csv_report::chart), payload).await,
        "request-approval" => call(service(approval::request), payload).await,
        "finish-approval" => call(service(approval::finish), payload).await,
        "noop1" | "noop2" | "noop3" => call(service(noop::noop), payload).await,
        other => panic!("no function {other}"),
    }
}
