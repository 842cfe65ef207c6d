//! The durable loop of one execution: take what happened, let the pure engine decide, write, then
//! act. Nothing is acted upon before it is on disk.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use asl::Event;

use super::commit::Written;
use super::error::EngineError;
use super::inbox::{ExecutionInbox, Input, Message, Posted};
use super::loaded::{Act, Broken, LoadedExecution, Turn};
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
    /// Hands an event from the engine to an execution.
    pub(crate) fn post(self: &Arc<Self>, execution: i64, event: Event) {
        self.deliver(execution, Message::new(Input::Event(event), now()));
    }

    /// As [`Self::post`], for an event that may be held briefly so that it can share a commit.
    pub(crate) fn post_soon(self: &Arc<Self>, execution: i64, event: Event) {
        let at = now();
        let mut message = Message::new(Input::Event(event), at);
        loop {
            match self.inbox(execution).post_late(message) {
                Ok(waits) => {
                    if waits {
                        // Rounded up to a whole delay: events of the same time are flushed
                        // together, once for each execution.
                        let delay = limits::STARTED_DELAY.as_micros() as i64;
                        let whole = (at / delay + 2) * delay;
                        self.timers.set(whole, Timer::Flush(execution));
                    }
                    return;
                }
                Err(back) => message = back,
            }
        }
    }

    pub(super) fn deliver(self: &Arc<Self>, execution: i64, mut message: Message) {
        loop {
            let inbox = self.inbox(execution);
            match inbox.post(message) {
                Posted::Taken => return,
                Posted::Idle => return self.run_soon(inbox),
                Posted::Gone(back) => message = back,
                Posted::Full(back) => {
                    if let Some(answer) = back.answer {
                        let _ = answer.send(Err(EngineError::Busy));
                    }
                    return;
                }
            }
        }
    }

    fn inbox(&self, execution: i64) -> Arc<ExecutionInbox> {
        self.inboxes
            .lock()
            .entry(execution)
            .or_insert_with(|| Arc::new(ExecutionInbox::resting(execution)))
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
                let inbox = self.inboxes.lock().get(&execution).cloned();
                if let Some(inbox) = inbox
                    && inbox.flush()
                {
                    self.run_soon(inbox);
                }
            }
        }
    }

    pub(super) fn wake(self: &Arc<Self>, execution: i64, input: Input) {
        self.deliver(execution, Message::new(input, now()));
    }

    fn run_soon(self: &Arc<Self>, inbox: Arc<ExecutionInbox>) {
        let loaded = inbox.take_loaded();
        let engine = self.clone();
        self.running.spawn_on(
            async move { engine.run(inbox, loaded).await },
            &self.runtime,
        );
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Handles an execution's inputs until none are left.
    pub(super) async fn run(
        self: Arc<Self>,
        inbox: Arc<ExecutionInbox>,
        mut loaded: Option<Box<LoadedExecution>>,
    ) {
        loop {
            let messages = inbox.take(&mut loaded);
            if messages.is_empty() {
                return self.rests(&inbox);
            }
            if self.is_closed() {
                return;
            }
            let mut current = match loaded.take() {
                Some(loaded) => loaded,
                None => match self
                    .load(inbox.id, messages.iter().any(Message::is_redrive))
                    .await
                {
                    Loaded::Ready(loaded) => {
                        self.act(&loaded, loaded.resume());
                        loaded
                    }
                    Loaded::Over => {
                        messages.into_iter().for_each(Message::refuse);
                        return self.close_inbox(&inbox);
                    }
                    Loaded::Broken(row, position, broken) => {
                        messages.into_iter().for_each(Message::refuse);
                        return self.give_up(&inbox, row, position, &broken).await;
                    }
                    Loaded::Closed => return,
                },
            };
            let mut turn = Turn::default();
            let (answers, broken) = self.handle(&inbox, &mut current, messages, &mut turn);
            let events: Arc<[_]> = std::mem::take(&mut turn.events).into();
            let recorded = match self.commit(inbox.id, &mut turn, &events).await {
                Written::Yes { recorded } => recorded,
                Written::No => return,
                Written::Stale => {
                    inbox.put_back(vec![Message::new(Input::Wake, now())]);
                    continue;
                }
            };
            self.act(&current, std::mem::take(&mut turn.acts));
            for answer in answers {
                let _ = answer.send(Ok(()));
            }
            if current.is_over() {
                // A listener may redrive as soon as it receives the end.
                self.close_inbox(&inbox);
                return self.publish(inbox.id, &events, recorded);
            }
            self.publish(inbox.id, &events, recorded);
            if let Some(broken) = broken {
                tracing::error!(execution = %current.name, %broken, "the execution fails");
                inbox.put_back(vec![Message::new(Input::Event(abandoned(&broken)), now())]);
            } else {
                loaded = Some(current);
            }
        }
    }

    /// Lets the pure engine take the inputs in order. After an internal failure the rest is put
    /// back.
    fn handle(
        &self,
        inbox: &ExecutionInbox,
        loaded: &mut LoadedExecution,
        messages: Vec<Message>,
        turn: &mut Turn,
    ) -> (
        Vec<tokio::sync::oneshot::Sender<Result<(), EngineError>>>,
        Option<Broken>,
    ) {
        let mut answers = Vec::new();
        let mut messages = messages.into_iter();
        while let Some(message) = messages.next() {
            let unwanted = message.is_redrive() != loaded.is_over()
                || (message.is_redrive() && !loaded.is_redrivable())
                || matches!(
                    (&message.input, &message.token),
                    (Input::Event(Event::TaskSucceeded { task, .. } | Event::TaskFailed { task, .. } | Event::TaskHeartbeat { task }), Some(token))
                        if !loaded.waits_for(*task, token)
                );
            if unwanted {
                message.refuse();
                continue;
            }
            let at = message.at;
            let events = match message.input {
                Input::Event(event) => vec![event],
                Input::Timer(timer) => loaded.due(Some(timer), at),
                Input::Wake => loaded.due(None, at),
            };
            for event in events {
                if let Err(broken) = loaded.turn(event, at, turn) {
                    if let Some(answer) = message.answer {
                        let _ = answer.send(Err(EngineError::NoSuchTask));
                    }
                    inbox.put_back(messages.collect());
                    return (answers, Some(broken));
                }
            }
            answers.extend(message.answer);
        }
        (answers, None)
    }

    /// Does what was written.
    pub(super) fn act(self: &Arc<Self>, loaded: &LoadedExecution, acts: Vec<Act>) {
        for act in acts {
            if self.is_closed() {
                return;
            }
            match act {
                Act::Run(task, again) => {
                    let key = TaskKey {
                        execution: loaded.id,
                        task: task.task,
                    };
                    let request = TaskRequest {
                        key,
                        execution: loaded.name.clone(),
                        machine: loaded.machine.clone(),
                        redrives: loaded.redrives(),
                        task,
                        again,
                    };
                    self.tasks.run(request, self.responder(loaded.id, key.task));
                }
                Act::Read(read) => {
                    let responder = self.responder(loaded.id, read.task);
                    self.tasks.read_items(read, responder);
                }
                Act::Write(write) => {
                    let responder = self.responder(loaded.id, write.task);
                    self.tasks.write_results(write, responder);
                }
                Act::Cancel(task) => self.tasks.cancel(TaskKey {
                    execution: loaded.id,
                    task,
                }),
                Act::Arm(before, at, timer) => {
                    if let Some(before) = before {
                        self.timers.cancel(before, Timer::Wait(loaded.id, timer));
                    }
                    self.timers.set(at, Timer::Wait(loaded.id, timer));
                }
                Act::Disarm(at, timer) => self.timers.cancel(at, Timer::Wait(loaded.id, timer)),
                Act::Continue => self.post(loaded.id, Event::Continue),
            }
        }
    }

    fn responder(self: &Arc<Self>, execution: i64, task: asl::TaskId) -> Responder {
        let events: Weak<Self> = Arc::downgrade(self);
        Responder::new(events, TaskKey { execution, task })
    }

    pub(super) fn publish(&self, execution: i64, events: &[ExecutionEvent], recorded: bool) {
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

    pub(super) fn close_inbox(self: &Arc<Self>, inbox: &ExecutionInbox) {
        self.inboxes.lock().remove(&inbox.id);
        for message in inbox.close() {
            if message.is_redrive() {
                // The end was read in the journal before it was acted upon here.
                self.deliver(inbox.id, message);
            } else {
                message.refuse();
            }
        }
    }

    /// Keeps an execution that has nothing to do, and forgets the oldest idle one when there are
    /// too many.
    fn rests(&self, inbox: &ExecutionInbox) {
        if !inbox.enters_idle_queue() {
            return;
        }
        let oldest = {
            let mut idle = self.idle.lock();
            idle.push_back(inbox.id);
            (idle.len() > self.settings.idle_in_memory).then(|| idle.pop_front())
        };
        if let Some(oldest) = oldest.flatten() {
            let mut inboxes = self.inboxes.lock();
            if inboxes.get(&oldest).is_some_and(|inbox| inbox.forget()) {
                inboxes.remove(&oldest);
            }
        }
    }
}
