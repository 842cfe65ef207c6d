//! The contract of the job store: one suite, run with every adapter. Tests of a single adapter are
//! in separate files.
//!
//! `JOBCAST_TEST_DYNAMODB=http://…` also runs the DynamoDB adapter against that endpoint.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod apply;
mod create;
mod feed;
mod full_disk;
mod jobs;
mod lease;
mod list;
mod places;
mod purge;
mod read;

/// Runs each contract with each adapter.
macro_rules! contracts {
    ($($module:ident :: $contract:ident),* $(,)?) => {
        contracts!(@ sqlite_in_memory, in_memory, $($module::$contract),*);
        contracts!(@ sqlite_on_disk, on_disk, $($module::$contract),*);
        contracts!(@ dynamodb, dynamodb, $($module::$contract),*);
        contracts!(@ dynamodb_endpoint, dynamodb_endpoint, $($module::$contract),*);
    };
    (@ $adapter:ident, $place:ident, $($module:ident :: $contract:ident),*) => {
        mod $adapter {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $contract() {
                    if let Some(place) = crate::places::$place().await {
                        crate::$module::$contract(&place).await;
                    }
                }
            )*
        }
    };
}

contracts! {
    create::a_new_job_is_there_with_its_input,
    create::the_same_request_finds_the_first_job,
    create::the_same_token_for_something_else_is_a_conflict,
    create::two_owners_may_use_the_same_token,
    create::a_token_that_expired_is_forgotten,
    create::one_of_many_equal_requests_creates_the_job,
    create::an_input_may_be_as_large_as_its_limit_and_no_larger,
    apply::every_event_in_every_status_does_what_the_rules_say,
    apply::a_repeat_changes_nothing,
    apply::what_is_refused_leaves_the_job_alone,
    apply::a_result_comes_with_success,
    apply::a_result_may_be_as_large_as_its_limit_and_no_larger,
    apply::nobody_s_change_is_lost,
    read::many_jobs_are_found_at_once,
    read::what_does_not_exist_is_not_found,
    read::a_store_says_that_it_is_well,
    read::a_reopened_store_holds_the_same,
    list::every_filter_finds_what_matches,
    list::pages_hold_each_job_once_while_others_write,
    list::a_page_is_not_larger_than_its_limit,
    list::a_page_looks_at_a_bounded_number_of_rows,
    feed::hears_what_is_written_after_it_began,
    feed::goes_on_from_a_position,
    feed::follows_each_job_in_order_with_its_old_image,
    feed::goes_on_after_the_store_was_reopened,
    feed::a_subscriber_that_falls_behind_misses_nothing,
    feed::a_position_that_is_no_more_is_lost,
    purge::expired_jobs_are_deleted_with_all_that_is_theirs,
    purge::no_more_than_asked_for_are_deleted,
    purge::files_go_with_the_jobs_that_refer_to_them,
}
