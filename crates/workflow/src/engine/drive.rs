//! The durable loop of one execution: take what happened, let the pure engine decide, write, then act. Nothing is acted upon before it is
//! on disk.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use asl::Event;

use super::cell::{Cell, Input, Mail, Posted};
use super::commit::Written;
use super::error::EngineError;
use super::live::{Act, Broken, Live, Turn};
use super::model::{ExecutionEvent, limits};
use super::rebuild::{Loaded, abandoned};
use super::{Inner, Timer};
use crate::task::{Responder, TaskEvents, TaskKey, TaskRequest};
use crate::timers::now;

impl TaskEvents for Inner {
    fn post(self: Arc<Self>, execution: i64, event: Event) {
        Inner::post(&self, execution, event);
    }

    fn post_soon(self: Arc<Self>, execution: i64, event: Event) {
        Inner::post_soon(&self, execution, event);
    }
}

impl Inner {
    /// Hands an event of the engine's own to an execution.
    pub(crate) fn post(self: &Arc<Self>, execution: i64, event: Event) {
        self.deliver(
            execution,
            Mail {
                input: Input::Event(event),
                at: now(),
                token: None,
                answer: None,
            },
        );
    }

    /// As [`Self::post`], for an event that may wait a moment for another one.
    pub(crate) fn post_soon(self: &Arc<Self>, execution: i64, event: Event) {
        let at = now();
        let mut mail = Mail {
            input: Input::Event(event),
            at,
            token: None,
            answer: None,
        };
        loop {
            match self.cell(execution).post_late(mail) {
                Ok(waits) => {
                    if waits {
                        // To a whole delay: what begins together rings together, once for each execution.
                        let delay = limits::STARTED_DELAY.as_micros() as i64;
                        let whole = (at / delay + 2) * delay;
                        self.timers.set(whole, Timer::Flush(execution));
                    }
                    return;
                }
                Err(back) => mail = back,
            }
        }
    }

    pub(super) fn deliver(self: &Arc<Self>, execution: i64, mut mail: Mail) {
        loop {
            let cell = self.cell(execution);
            match cell.post(mail) {
                Posted::Taken => return,
                Posted::Idle => return self.run_soon(cell),
                Posted::Gone(back) => mail = back,
                Posted::Full(back) => {
                    if let Some(answer) = back.answer {
                        let _ = answer.send(Err(EngineError::Busy));
                    }
                    return;
                }
            }
        }
    }

    fn cell(&self, execution: i64) -> Arc<Cell> {
        self.cells
            .lock()
            .entry(execution)
            .or_insert_with(|| Arc::new(Cell::resting(execution)))
            .clone()
    }

    pub(super) fn on_timer(self: &Arc<Self>, timer: Timer) {
        match timer {
            Timer::Wait(execution, timer) => {
                let input = if timer == Timer::ANY {
                    Input::Wake
                } else {
                    Input::Timer(timer)
                };
                self.wake(execution, input);
            }
            Timer::Flush(execution) => {
                let cell = self.cells.lock().get(&execution).cloned();
                if let Some(cell) = cell
                    && cell.flush()
                {
                    self.run_soon(cell);
                }
            }
        }
    }

    pub(super) fn wake(self: &Arc<Self>, execution: i64, input: Input) {
        self.deliver(
            execution,
            Mail {
                input,
                at: now(),
                token: None,
                answer: None,
            },
        );
    }

    fn run_soon(self: &Arc<Self>, cell: Arc<Cell>) {
        let live = cell.take_live();
        let engine = self.clone();
        self.running
            .spawn_on(async move { engine.run(cell, live).await }, &self.runtime);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Handles an execution's inputs until none are left.
    pub(super) async fn run(self: Arc<Self>, cell: Arc<Cell>, mut live: Option<Box<Live>>) {
        loop {
            let mails = cell.take(&mut live);
            if mails.is_empty() {
                return self.rests(&cell);
            }
            if self.is_closed() {
                return;
            }
            let mut current = match live.take() {
                Some(live) => live,
                None => match self.load(cell.id, mails.iter().any(Mail::is_redrive)).await {
                    Loaded::Live(live) => {
                        self.act(&live, live.resume());
                        live
                    }
                    Loaded::Over => {
                        mails.into_iter().for_each(Mail::refuse);
                        return self.close_cell(&cell);
                    }
                    Loaded::Broken(row, position, broken) => {
                        mails.into_iter().for_each(Mail::refuse);
                        return self.give_up(&cell, row, position, &broken).await;
                    }
                    Loaded::Closed => return,
                },
            };
            let mut turn = Turn::default();
            let (answers, broken) = self.handle(&cell, &mut current, mails, &mut turn);
            let events: Arc<[_]> = std::mem::take(&mut turn.events).into();
            let recorded = match self.commit(cell.id, &mut turn, &events).await {
                Written::Yes { recorded } => recorded,
                Written::No => return,
                Written::Stale => {
                    cell.put_back(vec![Mail {
                        input: Input::Wake,
                        at: now(),
                        token: None,
                        answer: None,
                    }]);
                    continue;
                }
            };
            self.act(&current, std::mem::take(&mut turn.acts));
            for answer in answers {
                let _ = answer.send(Ok(()));
            }
            if current.is_over() {
                // Who hears of the end may redrive at once.
                self.close_cell(&cell);
                return self.tell(cell.id, &events, recorded);
            }
            self.tell(cell.id, &events, recorded);
            if let Some(broken) = broken {
                tracing::error!(execution = %current.name, %broken, "the execution fails");
                cell.put_back(vec![Mail {
                    input: Input::Event(abandoned(&broken)),
                    at: now(),
                    token: None,
                    answer: None,
                }]);
            } else {
                live = Some(current);
            }
        }
    }

    /// Lets the pure engine take the inputs in order. After a failure of its own the rest goes back.
    fn handle(
        &self,
        cell: &Cell,
        live: &mut Live,
        mails: Vec<Mail>,
        turn: &mut Turn,
    ) -> (
        Vec<tokio::sync::oneshot::Sender<Result<(), EngineError>>>,
        Option<Broken>,
    ) {
        let mut answers = Vec::new();
        let mut mails = mails.into_iter();
        while let Some(mail) = mails.next() {
            let unwanted = mail.is_redrive() != live.is_over()
                || (mail.is_redrive() && !live.is_redrivable())
                || matches!(
                    (&mail.input, &mail.token),
                    (Input::Event(Event::TaskSucceeded { task, .. } | Event::TaskFailed { task, .. } | Event::TaskHeartbeat { task }), Some(token))
                        if !live.waits_for(*task, token)
                );
            if unwanted {
                mail.refuse();
                continue;
            }
            let at = mail.at;
            let events = match mail.input {
                Input::Event(event) => vec![event],
                Input::Timer(timer) => live.due(Some(timer), at),
                Input::Wake => live.due(None, at),
            };
            for event in events {
                if let Err(broken) = live.turn(event, at, turn) {
                    if let Some(answer) = mail.answer {
                        let _ = answer.send(Err(EngineError::NoSuchTask));
                    }
                    cell.put_back(mails.collect());
                    return (answers, Some(broken));
                }
            }
            answers.extend(mail.answer);
        }
        (answers, None)
    }

    /// Does what was written.
    pub(super) fn act(self: &Arc<Self>, live: &Live, acts: Vec<Act>) {
        for act in acts {
            if self.is_closed() {
                return;
            }
            match act {
                Act::Run(task, again) => {
                    let key = TaskKey {
                        execution: live.id,
                        task: task.task,
                    };
                    let request = TaskRequest {
                        key,
                        execution: live.name.clone(),
                        machine: live.machine.clone(),
                        redrives: live.redrives(),
                        task,
                        again,
                    };
                    self.tasks.run(request, self.responder(live.id, key.task));
                }
                Act::Read(read) => {
                    let responder = self.responder(live.id, read.task);
                    self.tasks.read_items(read, responder);
                }
                Act::Write(write) => {
                    let responder = self.responder(live.id, write.task);
                    self.tasks.write_results(write, responder);
                }
                Act::Cancel(task) => self.tasks.cancel(TaskKey {
                    execution: live.id,
                    task,
                }),
                Act::Arm(before, at, timer) => {
                    if let Some(before) = before {
                        self.timers.cancel(before, Timer::Wait(live.id, timer));
                    }
                    self.timers.set(at, Timer::Wait(live.id, timer));
                }
                Act::Disarm(at, timer) => self.timers.cancel(at, Timer::Wait(live.id, timer)),
                Act::Continue => self.post(live.id, Event::Continue),
            }
        }
    }

    fn responder(self: &Arc<Self>, execution: i64, task: asl::TaskId) -> Responder {
        let events: Weak<Self> = Arc::downgrade(self);
        Responder::new(events, TaskKey { execution, task })
    }

    pub(super) fn tell(&self, execution: i64, events: &[ExecutionEvent], recorded: bool) {
        if self.is_closed() {
            return;
        }
        for event in events {
            if let Some(end) = &event.end {
                let waiting = self.waiting_for_end.lock().remove(&execution);
                for one in waiting.into_iter().flatten() {
                    let _ = one.send(end.clone());
                }
            }
            if !recorded {
                self.listener.notify(event.clone());
            }
        }
    }

    pub(super) fn close_cell(self: &Arc<Self>, cell: &Cell) {
        self.cells.lock().remove(&cell.id);
        for mail in cell.close() {
            if mail.is_redrive() {
                // The end was read in the journal before it was acted upon here.
                self.deliver(cell.id, mail);
            } else {
                mail.refuse();
            }
        }
    }

    /// An execution has nothing to do: keep it, and forget the one that has rested longest when there are too many.
    fn rests(&self, cell: &Cell) {
        if !cell.enters_idle_queue() {
            return;
        }
        let oldest = {
            let mut idle = self.idle.lock();
            idle.push_back(cell.id);
            (idle.len() > self.settings.idle_in_memory).then(|| idle.pop_front())
        };
        if let Some(oldest) = oldest.flatten() {
            let mut cells = self.cells.lock();
            if cells.get(&oldest).is_some_and(|cell| cell.forget()) {
                cells.remove(&oldest);
            }
        }
    }
}
