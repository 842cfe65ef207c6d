//! Payloads of subscriptions by execution: the library executes the plan on each event.

use std::sync::Arc;

use async_graphql::Request;
use async_graphql::parser::types::ExecutableDocument;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use resolvers::Caller;

use super::data;
use crate::graphql::held::Held;
use crate::graphql::request::plan::Plan;
use crate::graphql::schema::JobSchema;
use crate::graphql::schema::allowance::Allowance;
use crate::realtime::hub::{Event, Render};

/// Executes the plan of one subscription on events.
pub(in crate::graphql) struct ExecutedPayload {
    pub(in crate::graphql) schema: JobSchema,
    pub(in crate::graphql) plan: Plan,
    /// The plan for the library.
    pub(in crate::graphql) document: ExecutableDocument,
    pub(in crate::graphql) caller: Caller,
    /// Memory of the subscription, if its caller's memory is counted.
    #[expect(dead_code, reason = "it counts until it is dropped")]
    pub(in crate::graphql) held: Option<Held>,
}

#[async_trait]
impl Render for ExecutedPayload {
    async fn render(&self, event: Event) -> Bytes {
        let allowance = Arc::<Allowance>::default();
        let mut request = Request::new("")
            .data(event)
            .data(self.caller.clone())
            .data(Arc::clone(&allowance));
        request.set_parsed_query(self.document.clone());
        let response = self
            .schema
            .execute_stream(request)
            .next()
            .map(Option::unwrap_or_default)
            .await;
        data::executed(&self.plan, &response).into()
    }
}
