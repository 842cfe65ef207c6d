//! What was published last of the jobs that changed last, so that repeats and latecomers are known as such. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use job::{Job, JobId, Version};

/// Jobs of one generation; two are kept, so a job is remembered for at least so many others.
pub const RECENT_JOBS: usize = 8_192;

#[derive(Clone)]
struct Last {
    version: Version,
    /// Only kept while somebody watches a list.
    image: Option<Arc<Job>>,
}

/// The newest published version of each recent job.
#[derive(Default)]
pub(super) struct Recent {
    young: HashMap<JobId, Last>,
    old: HashMap<JobId, Last>,
}

/// How a published version relates to what was published before.
pub(super) struct Before {
    /// The job as the watchers were told of it last; else as the publisher says that it was.
    pub(super) image: Option<Arc<Job>>,
    /// Whether versions between that and the new one are missing.
    pub(super) gap: bool,
    /// Whether the image is what was told.
    pub(super) told: bool,
}

impl Before {
    /// Whether the image says all: otherwise somebody may hold the job from a page of in between.
    pub(super) fn is_certain(&self) -> bool {
        match &self.image {
            Some(_) => self.told && !self.gap,
            None => !self.gap,
        }
    }
}

impl Recent {
    /// Notes the version; `None` when it is a repeat or comes after a newer one.
    pub(super) fn note(
        &mut self,
        old: Option<&Arc<Job>>,
        new: &Arc<Job>,
        keep_image: bool,
    ) -> Option<Before> {
        let last = self.young.get(&new.id).or_else(|| self.old.get(&new.id));
        if last.is_some_and(|last| last.version >= new.version) {
            return None;
        }
        let told = last.and_then(|last| last.image.clone());
        let given = old.filter(|old| old.id == new.id && old.version < new.version);
        let before = Before {
            told: told.is_some(),
            image: told.or_else(|| given.cloned()),
            gap: false,
        };
        let version = before.image.as_ref().map(|image| image.version);
        let gap = version.unwrap_or_default().next() != new.version;
        if self.young.len() >= RECENT_JOBS {
            self.old = std::mem::take(&mut self.young);
        }
        let image = keep_image.then(|| Arc::clone(new));
        let version = new.version;
        self.young.insert(new.id, Last { version, image });
        Some(Before { gap, ..before })
    }

    /// Forgets the images, when nobody watches a list any more.
    pub(super) fn drop_images(&mut self) {
        for last in self.young.values_mut().chain(self.old.values_mut()) {
            last.image = None;
        }
    }
}
