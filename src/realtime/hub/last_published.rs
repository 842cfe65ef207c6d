//! The newest published version of each recent job, and the newer versions that pages sent ahead of
//! the publishes. Repeats and late publishes are recognized by it. Pure.

use std::sync::Arc;

use job::{Job, JobId, Version};
use resolvers::TwoGenerationCache;

/// Number of other jobs after which the last published version of a job may be forgotten.
pub const RECENT_JOBS: usize = 8_192;

/// The number of pages that the lists of this hub have received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PageCount(u64);

/// A version that a page sent before it was published.
#[derive(Debug, Clone, Copy)]
pub(super) struct SentAhead {
    version: Version,
    page: PageCount,
}

impl SentAhead {
    /// Whether the first page of a list is newer than `version`: the list was opened after the page
    /// of another list had sent this version or a newer one. A publish of `version` is late then,
    /// and the list ignores it.
    pub(super) fn covers(&self, version: Version, opened: PageCount) -> bool {
        version <= self.version && self.page <= opened
    }
}

#[derive(Debug)]
struct Last {
    version: Version,
    /// Kept only while at least one list is watched.
    image: Option<Arc<Job>>,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct LastPublished {
    published: TwoGenerationCache<JobId, Last>,
    ahead: TwoGenerationCache<JobId, SentAhead>,
    pages: PageCount,
}

impl Default for LastPublished {
    fn default() -> Self {
        Self {
            published: TwoGenerationCache::new(RECENT_JOBS),
            ahead: TwoGenerationCache::new(RECENT_JOBS),
            pages: PageCount::default(),
        }
    }
}

/// What is known of a job when a new version of it is published.
pub(super) struct Before {
    /// The version that was published last. If it is not known, the previous version as the
    /// publisher gives it.
    pub(super) image: Option<Arc<Job>>,
    /// Whether versions between that and the new one are missing.
    pub(super) gap: bool,
    /// Whether `image` was published.
    pub(super) published: bool,
    /// The version that a page sent ahead of this publish.
    pub(super) ahead: Option<SentAhead>,
}

impl Before {
    /// Whether `image` determines which lists hold the job. Otherwise a watcher may hold a version
    /// in between from a page.
    pub(super) fn is_certain(&self) -> bool {
        match &self.image {
            Some(_) => self.published && !self.gap,
            None => !self.gap,
        }
    }
}

impl LastPublished {
    /// Records a publish. Returns `None` for a repeat and for a version older than the last one.
    pub(super) fn note(
        &mut self,
        old: Option<&Arc<Job>>,
        new: &Arc<Job>,
        keep_image: bool,
    ) -> Option<Before> {
        let last = self.published.peek(&new.id);
        if last.is_some_and(|last| last.version >= new.version) {
            return None;
        }
        let published = last.and_then(|last| last.image.clone());
        let given = old.filter(|old| old.id == new.id && old.version < new.version);
        let (published, image) = (published.is_some(), published.or_else(|| given.cloned()));
        let version = image.as_ref().map(|image| image.version);
        let gap = version.unwrap_or_default().next() != new.version;
        let ahead = self.ahead.peek(&new.id).copied();
        if ahead.is_some_and(|ahead| ahead.version <= new.version) {
            self.ahead.remove(&new.id);
        }
        let last = Last {
            version: new.version,
            image: keep_image.then(|| Arc::clone(new)),
        };
        self.published.insert(new.id, last);
        Some(Before {
            image,
            gap,
            published,
            ahead,
        })
    }

    /// Records the versions of a page that have not been published yet.
    pub(super) fn note_page(&mut self, jobs: &[Arc<Job>]) {
        self.pages.0 += 1;
        for job in jobs {
            let version = job.version;
            let published = self.published.peek(&job.id);
            let is_published = published.is_some_and(|last| last.version >= version);
            let ahead = self.ahead.peek(&job.id);
            if !is_published && ahead.is_none_or(|ahead| ahead.version < version) {
                let page = self.pages;
                self.ahead.insert(job.id, SentAhead { version, page });
            }
        }
    }

    /// The number of pages so far. The first page of a list that is opened now is newer than all
    /// of them.
    pub(super) fn pages(&self) -> PageCount {
        self.pages
    }

    /// Drops the images, when the last watcher of a list has left.
    pub(super) fn drop_images(&mut self) {
        for last in self.published.values_mut() {
            last.image = None;
        }
    }
}
