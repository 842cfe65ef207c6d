//! The threads below a thread: finds, stops and removes them.

use super::Execution;
use super::model::ThreadPhase;
use crate::Effect;

impl Execution {
    /// The root of the child execution that a thread is part of.
    pub(super) fn child_root(&self, id: u64) -> Option<u64> {
        let child = self.threads.get(&id)?.child.as_ref()?;
        let mut root = id;
        while let Some((parent, _)) = self.threads.get(&root)?.parent {
            let above = self.threads.get(&parent)?;
            if above
                .child
                .as_ref()
                .is_none_or(|c| !std::sync::Arc::ptr_eq(c, child))
            {
                break;
            }
            root = parent;
        }
        Some(root)
    }

    pub(super) fn root(&self, id: u64) -> u64 {
        let mut root = id;
        while let Some((parent, _)) = self.threads.get(&root).and_then(|t| t.parent) {
            root = parent;
        }
        root
    }

    /// All threads below one, parents before children.
    pub(super) fn below(&self, id: u64) -> Vec<u64> {
        let mut found = vec![id];
        // Children have higher ids than their parents, so one pass in order finds all.
        for (child, thread) in self.threads.after(&id) {
            if thread
                .parent
                .is_some_and(|(p, _)| found.binary_search(&p).is_ok())
            {
                found.push(*child);
            }
        }
        found.remove(0);
        found
    }

    /// Cancels what a thread waits for, and keeps the thread.
    pub(super) fn stop(&mut self, id: u64) {
        let Some(thread) = self.threads.get_mut(&id) else {
            return;
        };
        if matches!(thread.phase, ThreadPhase::Enter | ThreadPhase::Children(_)) {
            return;
        }
        match std::mem::replace(&mut thread.phase, ThreadPhase::Run) {
            ThreadPhase::Task(open) => {
                self.close(&open);
                self.out.push(Effect::CancelTask(open.request.task));
            }
            ThreadPhase::Files(files) => self.forget_files(&files),
            ThreadPhase::Wait(timer) | ThreadPhase::Backoff(timer) => self.disarm(timer),
            _ => {}
        }
    }

    /// Stops a thread and all threads below it, and keeps them for a redrive.
    pub(super) fn freeze(&mut self, id: u64) {
        let mut all = self.below(id);
        all.insert(0, id);
        for thread in &all {
            self.stop(*thread);
        }
        self.ready.retain(|r| all.binary_search(r).is_err());
    }

    /// Removes all threads below this one, with their tasks and timers.
    pub(super) fn remove_below(&mut self, id: u64) {
        if self.threads.after(&id).next().is_none() {
            return;
        }
        let below = self.below(id);
        if below.is_empty() {
            return;
        }
        for gone in &below {
            self.stop(*gone);
        }
        self.threads.remove_all(&below);
        self.ready.retain(|r| below.binary_search(r).is_err());
    }

    /// Removes all threads below this one, and stops its own tasks and timers.
    pub(super) fn remove_children(&mut self, id: u64) {
        let Some(thread) = self.threads.get_mut(&id) else {
            return;
        };
        if matches!(thread.phase, ThreadPhase::Children(_)) {
            thread.phase = ThreadPhase::Run;
            self.remove_below(id);
        } else {
            self.stop(id);
        }
    }
}
