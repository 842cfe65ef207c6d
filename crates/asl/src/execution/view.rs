//! The data that a thread's expressions see: the context object and the scope.

use serde_json::{Value, json};

use super::Execution;
use super::data::Data;
use super::model::Thread;
use crate::definition::model::StateKind;
use crate::history;
use crate::scope::{Context, Scope};

impl Execution {
    /// The context object as this thread sees it.
    pub(super) fn context_object(&self, thread: &Thread, token: Option<&str>) -> Value {
        if let Some(shown) = &self.shown {
            return (**shown).clone();
        }
        let s = &self.start;
        let own = self.input.as_deref();
        let value = |data: Option<&Data>| data.map_or(Value::Null, |d| d.value().clone());
        let mut execution = match &thread.child {
            Some(child) => json!({
                "Id": child.arn, "Input": value(Some(&child.input)), "StartTime": history::time(child.started), "Name": child.name,
                "RoleArn": s.role_arn, "RedriveCount": self.redrives,
            }),
            None => json!({
                "Id": s.execution_arn, "Input": value(own), "StartTime": history::time(s.start_time), "Name": s.execution_name,
                "RoleArn": s.role_arn, "RedriveCount": self.redrives,
            }),
        };
        if let Some(at) = self.redriven {
            execution["RedriveTime"] = json!(history::time(at));
        }
        let mut state =
            json!({"Name": &*thread.state.name, "EnteredTime": history::time(thread.entered.1)});
        if matches!(
            thread.state.kind,
            StateKind::Task(_) | StateKind::Parallel(_) | StateKind::Map(_)
        ) {
            state["RetryCount"] = json!(thread.attempt);
        }
        let mut context = json!({
            "Execution": execution,
            "StateMachine": {"Id": s.state_machine_arn, "Name": s.state_machine_name},
            "State": state,
        });
        if let Some(token) = token {
            context["Task"] = json!({"Token": token});
        }
        if let Some(item) = &thread.item {
            context["Map"] = json!({"Item": &**item});
        }
        context
    }

    /// The scope of a thread over an input.
    pub(super) fn scope<'a>(
        &'a self,
        thread: &'a Thread,
        input: &'a Value,
        context: &'a Context<'a>,
    ) -> Scope<'a> {
        Scope {
            input,
            result: None,
            error: None,
            variables: &thread.variables,
            context,
            dice: &self.dice,
            now: self.now,
        }
    }
}
