//! Parallel branches and Map iterations: starts them, counts them and joins their results.

use std::sync::Arc;

use serde_json::{Value, json};

use super::children::{ChildExecution, Children, OpenMapRun};
use super::data::{Data, data};
use super::fields::fill;
use super::map_plan::ItemList;
use super::model::ThreadPhase;
use super::{Execution, no_variables};
use crate::definition::model::{Graph, StateKind};
use crate::fault::Fault;
use crate::scope::Context;
use crate::template::Template;
use crate::{Status, StepChange};

/// Maximum concurrency of an inline Map without `MaxConcurrency`.
const INLINE_CONCURRENCY: usize = 40;

impl Execution {
    /// Starts the branches of a Parallel.
    pub(super) fn split(&mut self, id: u64, branches: &[Arc<Graph>], input: &Arc<Data>) {
        self.record(id, "ParallelStateStarted", |_| None);
        let Some(thread) = self.threads.get_mut(&id) else {
            return;
        };
        thread.phase = ThreadPhase::Children(Box::new(Children {
            next: branches.len(),
            open: branches.len(),
            done: 0,
            failed: 0,
            results: vec![None; branches.len()],
            items: None,
            pairs: false,
            concurrency: 0,
            input: Arc::clone(input),
            run: None,
        }));
        let (previous, variables, item, child) = (
            thread.previous,
            Arc::clone(&thread.variables),
            thread.item.clone(),
            thread.child.clone(),
        );
        let total = branches.len() as u64;
        self.step(id, |step| StepChange::Items {
            step,
            done: 0,
            total,
        });
        for (index, branch) in branches.iter().enumerate() {
            self.spawn(
                Some((id, index)),
                branch,
                Arc::clone(input),
                Arc::clone(&variables),
                previous,
                item.clone(),
                child.clone(),
            );
        }
    }

    pub(super) fn enter_map(&mut self, id: u64) {
        let Some(thread) = self.threads.get(&id) else {
            return;
        };
        let state = Arc::clone(&thread.state);
        let StateKind::Map(map) = &state.kind else {
            return;
        };
        let plan = match self.map_plan(thread, map) {
            Ok(plan) => plan,
            Err(fault) => return self.fail(id, fault, None),
        };
        let length = plan.items.as_ref().map_or(0, |items| items.values.len());
        self.record(id, "MapStateStarted", |_| {
            Some(("mapStateStartedEventDetails", json!({"length": length})))
        });
        if map.is_distributed {
            return self.enter_distributed(id, map, plan);
        }
        if let Some(number) = [&map.tolerated_count, &map.tolerated_percentage]
            .into_iter()
            .flatten()
            .next()
            && let Err(fault) = self.number(id, number, false)
        {
            return self.fail(id, fault, None);
        }
        let concurrency = if plan.concurrency == 0 {
            INLINE_CONCURRENCY
        } else {
            plan.concurrency
        };
        self.begin_items(
            id,
            plan.items.unwrap_or_default(),
            plan.input,
            concurrency,
            None,
        );
    }

    pub(super) fn begin_items(
        &mut self,
        id: u64,
        items: ItemList,
        input: Arc<Data>,
        concurrency: usize,
        run: Option<Box<OpenMapRun>>,
    ) {
        let total = items.values.len();
        if let Some(thread) = self.threads.get_mut(&id) {
            thread.phase = ThreadPhase::Children(Box::new(Children {
                next: 0,
                open: 0,
                done: 0,
                failed: 0,
                results: vec![None; total],
                items: Some(items.values),
                pairs: items.pairs,
                concurrency,
                input,
                run,
            }));
        }
        self.step(id, |step| StepChange::Items {
            step,
            done: 0,
            total: total as u64,
        });
        if total == 0 {
            self.joined(id);
        } else {
            self.iterate(id);
        }
    }

    /// Starts iterations, up to the Map's concurrency.
    pub(super) fn iterate(&mut self, id: u64) {
        loop {
            if self.status != Status::Running {
                return;
            }
            let Some(thread) = self.threads.get_mut(&id) else {
                return;
            };
            let state = Arc::clone(&thread.state);
            let (StateKind::Map(map), ThreadPhase::Children(children)) =
                (&state.kind, &mut thread.phase)
            else {
                return;
            };
            let Some(items) = &mut children.items else {
                return;
            };
            if children.next >= items.len() || children.open >= children.concurrency {
                return;
            }
            let index = children.next;
            let value = (items[index].take(), children.pairs);
            children.next += 1;
            children.open += 1;
            let input = Arc::clone(&children.input);
            let run = children.run.as_ref().map(|r| r.index);
            let selector = state.parameters.as_ref().filter(|_| map.batcher.is_none());
            let selected = self
                .select_item(id, index, value, selector, &input)
                .and_then(|(item, value)| Ok((item, data(value, &state.name)?)));
            let (item, item_input) = match selected {
                Ok(selected) => selected,
                Err(fault) => return self.fail(id, fault, None),
            };
            let Some(thread) = self.threads.get(&id) else {
                return;
            };
            let (previous, variables) = (thread.previous, Arc::clone(&thread.variables));
            if let Some(run) = run {
                let child = self.child(run, &item_input);
                self.spawn(
                    Some((id, index)),
                    &map.processor,
                    item_input,
                    no_variables(),
                    0,
                    Some(item),
                    Some(child),
                );
                continue;
            }
            let child: Option<Arc<ChildExecution>> = thread.child.clone();
            let event = match child {
                Some(_) => previous,
                None => self.record_iteration(previous, &state.name, index),
            };
            if self.status != Status::Running {
                return;
            }
            self.spawn(
                Some((id, index)),
                &map.processor,
                item_input,
                variables,
                event,
                Some(item),
                child,
            );
        }
    }

    fn record_iteration(&mut self, previous: u64, map: &str, index: usize) -> u64 {
        let details = json!({"name": map, "index": index});
        self.record_after(
            previous,
            "MapIterationStarted",
            Some(("mapIterationStartedEventDetails", details)),
        )
    }

    /// The context's `Map.Item`, and the iteration's input.
    pub(super) fn select_item(
        &self,
        id: u64,
        index: usize,
        (value, is_pair): (Value, bool),
        selector: Option<&Template>,
        input: &Arc<Data>,
    ) -> Result<(Arc<Value>, Value), Fault> {
        let item = Arc::new(if is_pair {
            json!({"Index": index, "Key": value["Key"], "Value": value["Value"]})
        } else {
            json!({"Index": index, "Value": value})
        });
        let (Some(template), Some(thread)) = (selector, self.threads.get(&id)) else {
            return Ok((item, value));
        };
        let context = Context::new(|| {
            let mut context = self.context_object(thread, None);
            context["Map"] = json!({"Item": &*item});
            context
        });
        let scope = self.scope(thread, input.value(), &context);
        let selected = fill(template, &scope, "ItemSelector", &thread.state.name)?;
        Ok((Arc::clone(&item), selected))
    }

    /// Handles the success of a branch or an iteration.
    pub(super) fn child_done(
        &mut self,
        parent: u64,
        index: usize,
        output: Arc<Data>,
        previous: u64,
    ) {
        let Some(above) = self.threads.get_mut(&parent) else {
            return;
        };
        let name = Arc::clone(&above.state.name);
        let ThreadPhase::Children(children) = &mut above.phase else {
            return;
        };
        if let Some(slot) = children.results.get_mut(index) {
            *slot = Some(match Arc::try_unwrap(output) {
                Ok(data) => data.into_value(),
                Err(shared) => shared.value().clone(),
            });
        }
        children.open = children.open.saturating_sub(1);
        children.done += 1;
        let (done, total) = (children.done, children.results.len() as u64);
        let finished = done + children.failed == total;
        let is_map = children.items.is_some();
        if children.run.is_none() {
            above.previous = previous;
            if is_map {
                let details = json!({"name": &*name, "index": index});
                let details = Some(("mapIterationSucceededEventDetails", details));
                if finished {
                    self.record(parent, "MapIterationSucceeded", |_| details);
                } else {
                    self.record_aside(parent, "MapIterationSucceeded", details);
                }
            }
        }
        self.step(parent, |step| StepChange::Items { step, done, total });
        if finished {
            self.joined(parent);
        } else if is_map {
            self.iterate(parent);
        }
    }

    /// Joins the results, since every branch or iteration has ended.
    pub(super) fn joined(&mut self, id: u64) {
        if self.status != Status::Running {
            return;
        }
        self.remove_below(id);
        let Some(thread) = self.threads.get_mut(&id) else {
            return;
        };
        let ThreadPhase::Children(children) =
            std::mem::replace(&mut thread.phase, ThreadPhase::Run)
        else {
            return;
        };
        if children.run.is_some() {
            return self.run_joined(id, *children);
        }
        let kind = if children.items.is_some() {
            "MapStateSucceeded"
        } else {
            "ParallelStateSucceeded"
        };
        self.record_aside(id, kind, None);
        if self.status == Status::Running {
            self.result(
                id,
                Value::Array(children.results.into_iter().flatten().collect()),
            );
        }
    }
}
