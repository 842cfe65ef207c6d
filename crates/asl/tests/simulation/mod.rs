//! A driver without I/O: a closure answers tasks, and a virtual clock moves to the next timer.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;

use asl::{
    Effect, Event, Execution, HistoryEvent, ReadItems, Start, StateMachine, Status, Task, TimerId,
    WorkflowType,
};

/// Maximum number of events of a machine.
pub(crate) const MAX_EVENTS: usize = 100_000;

/// The answers to a task: the first answer, then the result. `None` never answers.
#[derive(Debug, Default, Clone)]
pub(crate) struct Answer {
    pub(crate) worker: Option<String>,
    pub(crate) submitted: Option<String>,
    pub(crate) outcome: Option<Result<String, (String, String)>>,
}

#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) execution: Execution,
    pub(crate) history: Vec<HistoryEvent>,
    pub(crate) journal: Vec<(Event, Timestamp)>,
}

pub(crate) fn start(input: &str) -> Start {
    Start {
        execution_arn: "arn:aws:states:us-east-1:111111111111:execution:m:e".into(),
        execution_name: "e".into(),
        role_arn: "arn:aws:iam::111111111111:role/r".into(),
        state_machine_arn: "arn:aws:states:us-east-1:111111111111:stateMachine:m".into(),
        state_machine_name: "m".into(),
        start_time: "2026-01-01T00:00:00Z".parse().unwrap(),
        input: input.into(),
        kind: WorkflowType::Standard,
        seed: 7,
    }
}

/// Runs to the end, or until nothing more can happen, or for `MAX_EVENTS` events. With `rebuild`
/// the execution is rebuilt from the journal before every event. `read` returns the text that a
/// distributed Map requests.
pub(crate) fn run(
    machine: &Arc<StateMachine>,
    start: &Start,
    rebuild: bool,
    mut answer: impl FnMut(&Task) -> Answer,
    read: impl Fn(&ReadItems) -> Result<String, String>,
) -> Run {
    let mut now = start.start_time;
    let mut execution = Execution::new(machine.clone(), start.clone());
    let mut queue = VecDeque::from([Event::Begin]);
    let (mut history, mut journal): (Vec<HistoryEvent>, Vec<(Event, Timestamp)>) =
        (Vec::new(), Vec::new());
    let mut fired: BTreeSet<TimerId> = BTreeSet::new();
    while execution.status() == Status::Running && journal.len() < MAX_EVENTS {
        let event = match queue.pop_front() {
            Some(event) => event,
            None => match execution
                .timers()
                .into_iter()
                .filter(|t| !fired.contains(&t.0))
                .min_by_key(|t| (t.1, t.0))
            {
                Some((timer, at)) => {
                    now = now.max(at);
                    fired.insert(timer);
                    Event::TimerFired { timer }
                }
                None => break,
            },
        };
        if rebuild {
            execution = Execution::new(machine.clone(), start.clone());
            let mut again = Vec::new();
            for (event, at) in &journal {
                again.extend(records(&execution.handle(event.clone(), *at)));
            }
            assert_eq!(
                again, history,
                "a rebuilt execution must have the same history"
            );
        }
        let effects = execution.handle(event.clone(), now);
        journal.push((event, now));
        history.extend(records(&effects));
        for effect in effects {
            match effect {
                Effect::Schedule(task) => {
                    let a = answer(&task);
                    let task = task.task;
                    queue.push_back(Event::TaskStarted {
                        task,
                        worker: a.worker,
                    });
                    if let Some(output) = a.submitted {
                        queue.push_back(Event::TaskSubmitted {
                            task,
                            output: output.into(),
                        });
                    }
                    match a.outcome {
                        Some(Ok(output)) => queue.push_back(Event::TaskSucceeded {
                            task,
                            output: output.into(),
                        }),
                        Some(Err((error, cause))) => {
                            queue.push_back(Event::TaskFailed { task, error, cause })
                        }
                        None => {}
                    }
                }
                Effect::ReadItems(request) => queue.push_back(match read(&request) {
                    Ok(body) => Event::ItemsRead {
                        task: request.task,
                        body: body.into(),
                    },
                    Err(cause) => Event::TaskFailed {
                        task: request.task,
                        error: String::new(),
                        cause,
                    },
                }),
                Effect::WriteResults(request) => {
                    queue.push_back(Event::ResultsWritten { task: request.task });
                }
                Effect::Yield => queue.push_back(Event::Continue),
                _ => {}
            }
        }
    }
    Run {
        execution,
        history,
        journal,
    }
}

pub(crate) fn records(effects: &[Effect]) -> Vec<HistoryEvent> {
    effects
        .iter()
        .filter_map(|e| match e {
            Effect::Record(h) => Some(h.clone()),
            _ => None,
        })
        .collect()
}
