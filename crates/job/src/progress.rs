//! The progress of a job, derived from its steps. Every step has the same weight. The progress of a
//! step is what its function reported, or the share of its items that is done.

use crate::{Step, StepStatus};

/// Maximum progress of a job that has not succeeded.
pub const MOST_BEFORE_SUCCESS: u8 = 99;

/// Percent, `0..=99`. Steps that were never entered and come before the furthest step reached count
/// as done: a Choice skipped them. A job without steps has no progress until it succeeds.
pub fn of_steps(steps: &[Step]) -> u8 {
    let Some(furthest) = steps
        .iter()
        .rposition(|step| step.status != StepStatus::Pending)
    else {
        return 0;
    };
    let done: usize = steps[..=furthest]
        .iter()
        .map(|step| match step.status {
            StepStatus::Pending | StepStatus::Succeeded | StepStatus::Skipped => 100,
            _ => usize::from(step.progress.min(100)),
        })
        .sum();
    u8::try_from(done / steps.len()).map_or(MOST_BEFORE_SUCCESS, |percent| {
        percent.min(MOST_BEFORE_SUCCESS)
    })
}

/// Percent of `total` items that are done, `0..=100`; 100 if there are no items.
pub fn of_items(done: u32, total: u32) -> u8 {
    if total == 0 {
        return 100;
    }
    u8::try_from(u64::from(done.min(total)) * 100 / u64::from(total)).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StepKind;

    fn steps(all: &[(StepStatus, u8)]) -> Vec<Step> {
        all.iter()
            .zip(0..)
            .map(|((status, progress), index)| Step {
                status: *status,
                progress: *progress,
                ..Step::pending(format!("s{index}"), index, StepKind::Task)
            })
            .collect()
    }

    #[test]
    fn progress_follows_from_the_steps() {
        use StepStatus::{Failed, Pending, Running, Skipped, Succeeded};
        for (all, percent) in [
            (&[][..], 0),
            (&[(Pending, 0), (Pending, 0)], 0),
            (&[(Running, 0), (Pending, 0)], 0),
            (&[(Running, 50), (Pending, 0)], 25),
            (&[(Succeeded, 100), (Running, 50)], 75),
            (&[(Pending, 0), (Running, 50)], 75),
            (
                &[(Skipped, 0), (Failed, 10), (Pending, 0), (Pending, 0)],
                27,
            ),
            (&[(Succeeded, 100), (Succeeded, 100)], 99),
        ] {
            assert_eq!(of_steps(&steps(all)), percent, "{all:?}");
        }
    }

    #[test]
    fn items_are_rounded_down() {
        for (done, total, percent) in [
            (0, 0, 100),
            (0, 3, 0),
            (1, 3, 33),
            (3, 3, 100),
            (5, 3, 100),
            (u32::MAX, u32::MAX, 100),
        ] {
            assert_eq!(of_items(done, total), percent);
        }
    }
}
