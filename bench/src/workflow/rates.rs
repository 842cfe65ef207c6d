//! Rates of the engine.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use workflow::task::{Responder, TaskKey, TaskRequest, TaskRunner};
use workflow::{End, Engine, ExecutionEvent, Listener, Status};

use super::engine::open;
use crate::args::BenchArgs;
use crate::error::{Error, Result};
use crate::report::Section;
use crate::threads::Threads;
use crate::usage::{Cpu, processors};

/// Number of states in the chain.
const CHAIN: u32 = 20;
const GOAL_TRANSITIONS: f64 = 50_000.0;
const GOAL_EXECUTIONS: f64 = 5_000.0;
const GOAL_MAP: f64 = 1_000.0;

/// A chain of Pass states.
pub(crate) async fn transitions(args: &BenchArgs, section: &mut Section) -> Result<()> {
    let definition = chain(CHAIN, &json!({"Type": "Pass"}));
    let (rate, cpu) = closed_loop(args, &definition, args.executions).await?;
    let states = f64::from(CHAIN);
    let what = format!(
        "transitions, {} executions of {CHAIN} Pass states at once",
        args.executions
    );
    section.at_least(what, rate * states, "/s", GOAL_TRANSITIONS);
    section.plain("CPU for a transition", cpu / states, "µs");
    section.plain(
        "transitions if all processors did nothing else",
        processors() * 1_000_000.0 / (cpu / states),
        "/s",
    );
    Ok(())
}

/// Three tasks, answered at once.
pub(crate) async fn executions(args: &BenchArgs, section: &mut Section) -> Result<()> {
    let definition = chain(3, &json!({"Type": "Task", "Resource": "echo"}));
    let (rate, cpu) = closed_loop(args, &definition, args.executions).await?;
    let what = format!(
        "executions of three tasks answered in-process, {} at once",
        args.executions
    );
    section.at_least(what, rate, "/s", GOAL_EXECUTIONS);
    section.plain("CPU for an execution of three tasks", cpu, "µs");
    section.plain(
        "executions if all processors did nothing else",
        processors() * 1_000_000.0 / cpu,
        "/s",
    );
    Ok(())
}

/// One Map over many items: inline in an Express execution, since a Standard execution's history
/// has no room for them, and distributed.
pub(crate) async fn map(args: &BenchArgs, section: &mut Section) -> Result<()> {
    for (mode, how) in [
        ("INLINE", "inline (Express)"),
        ("DISTRIBUTED", "distributed"),
    ] {
        let millis = one_map(args, mode, args.items).await?;
        let what = format!("Map over {} items, {how}, Pass processor", args.items);
        section.at_most(what, millis, "ms", GOAL_MAP);
    }
    Ok(())
}

/// Duration of one execution with one Map, in milliseconds.
async fn one_map(args: &BenchArgs, mode: &str, items: usize) -> Result<f64> {
    let mut config = json!({"Mode": mode});
    if mode == "DISTRIBUTED" {
        config["ExecutionType"] = "STANDARD".into();
    }
    let definition = json!({"StartAt": "Map", "States": {"Map": {
        "Type": "Map", "ItemsPath": "$.items", "End": true,
        "ItemProcessor": {
            "ProcessorConfig": config,
            "StartAt": "Pass", "States": {"Pass": {"Type": "Pass", "End": true}},
        },
    }}});
    let place = args.place("map")?;
    let ends = Arc::new(Ends::default());
    let definition = definition.to_string();
    let engine = open(
        place.path(),
        "bench",
        &definition,
        Arc::new(Echo),
        ends.clone(),
    )
    .await?;
    let items: Vec<usize> = (0..items).collect();
    let input: Arc<str> = json!({"items": items}).to_string().into();
    let begun = Instant::now();
    let end = ends.of("map");
    match mode {
        "INLINE" => engine.start_express("bench", "map", input).await?,
        _ => engine.start("bench", "map", input).await?,
    };
    let end = end.await?;
    let taken = begun.elapsed();
    let same = end.output.as_deref() == Some(json!(items).to_string().as_str());
    engine.shutdown().await;
    if !same {
        return Err(format!("the {mode} Map ended {:?}: {:?}", end.status, end.cause).into());
    }
    Ok(taken.as_secs_f64() * 1_000.0)
}

fn chain(length: u32, state: &Value) -> String {
    let states: Map<String, Value> = (1..=length)
        .map(|n| {
            let mut state = state.clone();
            if n == length {
                state["End"] = true.into();
            } else {
                state["Next"] = format!("S{}", n + 1).into();
            }
            (format!("S{n}"), state)
        })
        .collect();
    json!({"StartAt": "S1", "States": states}).to_string()
}

/// A fixed number of executions is open; each end starts the next. Returns executions per second,
/// and CPU microseconds per execution.
#[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 executions")]
async fn closed_loop(
    args: &BenchArgs,
    definition: &str,
    open_at_once: usize,
) -> Result<(f64, f64)> {
    let place = args.place("workflow")?;
    let (length, warm_up) = (args.phase(), args.warm_up());
    // The engine runs on a server's threads, not on this thread.
    let threads = Threads::new()?;
    let (path, definition) = (place.path().to_path_buf(), definition.to_owned());
    let measured = threads.spawn(async move {
        let ends = Arc::new(Ends::default());
        let engine = open(&path, "bench", &definition, Arc::new(Echo), ends.clone()).await?;
        let begin = Instant::now() + warm_up;
        let end = begin + length;
        let counted = Arc::new(AtomicU64::new(0));
        let mut loops = tokio::task::JoinSet::new();
        for number in 0..open_at_once {
            let (engine, ends, counted) = (engine.clone(), Arc::clone(&ends), Arc::clone(&counted));
            loops.spawn(one_after_another(engine, ends, counted, number, end));
        }
        tokio::time::sleep_until(begin.into()).await;
        let (before, first) = (Cpu::now(None), counted.load(Ordering::Relaxed));
        tokio::time::sleep_until(end.into()).await;
        let count = (counted.load(Ordering::Relaxed) - first).max(1) as f64;
        let cpu = Cpu::now(None).since(before);
        while let Some(ended) = loops.join_next().await {
            ended??;
        }
        engine.shutdown().await;
        Ok::<_, Error>((
            count / length.as_secs_f64(),
            cpu.client * 1_000_000.0 / count,
        ))
    });
    measured.await?
}

async fn one_after_another(
    engine: Engine,
    ends: Arc<Ends>,
    counted: Arc<AtomicU64>,
    number: usize,
    until: Instant,
) -> Result<()> {
    let input: Arc<str> = json!({"n": 0, "pad": "x".repeat(150)}).to_string().into();
    for count in 0u64.. {
        if Instant::now() >= until {
            break;
        }
        let name = format!("{number}-{count}");
        let end = ends.of(&name);
        engine.start("bench", &name, input.clone()).await?;
        let end = end.await?;
        if end.status != Status::Succeeded {
            return Err(format!("{name} ended {:?}: {:?}", end.status, end.cause).into());
        }
        counted.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Answers each task with its input, at once.
#[derive(Debug)]
struct Echo;

impl TaskRunner for Echo {
    fn run(&self, request: TaskRequest, responder: Responder) {
        responder.succeeded(request.task.payload);
    }

    fn cancel(&self, _: TaskKey) {}
}

/// Notifies the waiter for an execution of its end.
#[derive(Debug, Default)]
struct Ends(Mutex<HashMap<String, oneshot::Sender<End>>>);

impl Ends {
    /// A receiver for the end of the execution. Call it before the start.
    fn of(&self, name: &str) -> oneshot::Receiver<End> {
        let (sender, end) = oneshot::channel();
        if let Ok(mut all) = self.0.lock() {
            all.insert(name.to_owned(), sender);
        }
        end
    }
}

impl Listener for Ends {
    fn notify(&self, event: ExecutionEvent) {
        let Some(end) = event.end else { return };
        let sender = self
            .0
            .lock()
            .ok()
            .and_then(|mut all| all.remove(&*event.execution));
        if let Some(sender) = sender {
            let _ = sender.send(end);
        }
    }
}
