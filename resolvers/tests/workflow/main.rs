//! The contract of the workflow: one suite, run with the embedded engine and, over the Step
//! Functions API, with the adapter for AWS.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod ears;
mod ends;
mod places;
mod recording;
mod retries;
mod starts;
mod tasks;

/// Runs each contract with each adapter.
macro_rules! contracts {
    ($($module:ident :: $contract:ident),* $(,)?) => {
        contracts!(@ embedded, $($module::$contract),*);
        contracts!(@ step_functions, $($module::$contract),*);
    };
    (@ $adapter:ident, $($module:ident :: $contract:ident),*) => {
        mod $adapter {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $contract() {
                    let place = crate::places::$adapter().await;
                    crate::$module::$contract(&place).await;
                }
            )*
        }
    };
}

contracts! {
    starts::job_types_are_those_of_the_directory,
    starts::an_execution_is_started_once,
    starts::what_is_not_there_is_said_to_be_unknown,
    starts::a_history_has_pages,
    ends::each_step_is_told_and_the_end,
    ends::a_failure_names_its_step,
    ends::iterations_and_branches_are_counted,
    ends::a_stopped_execution_says_why,
    tasks::a_waiting_task_is_answered_by_its_token,
    tasks::a_failed_task_is_tried_again,
    tasks::a_failed_execution_is_redriven_and_another_is_not,
}
