//! What was published last of the jobs that changed last, and what pages told ahead of that, so that repeats and
//! latecomers are known as such. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use job::{Job, JobId, Version};

/// Maximum number of jobs in one generation. Two generations are kept, so a job is remembered until at least this many
/// others have been noted after it.
pub const RECENT_JOBS: usize = 8_192;

/// The number of pages that the lists of this hub have been given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pages(u64);

/// A version that a page told before it was published.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ahead {
    version: Version,
    page: Pages,
}

impl Ahead {
    /// Whether a list's first page is newer than `version`: the list was opened after another list's page had told
    /// this version or a newer one. The publish of `version` is late, and says nothing new to the list.
    pub(super) fn is_past(&self, version: Version, opened: Pages) -> bool {
        version <= self.version && self.page <= opened
    }
}

#[derive(Clone)]
struct Last {
    version: Version,
    /// Only kept while somebody watches a list.
    image: Option<Arc<Job>>,
}

/// The values noted last, in two generations of at most [`RECENT_JOBS`] jobs.
struct Generations<T> {
    young: HashMap<JobId, T>,
    old: HashMap<JobId, T>,
}

impl<T> Default for Generations<T> {
    fn default() -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }
}

impl<T> Generations<T> {
    fn get(&self, id: &JobId) -> Option<&T> {
        self.young.get(id).or_else(|| self.old.get(id))
    }

    fn insert(&mut self, id: JobId, value: T) {
        if self.young.len() >= RECENT_JOBS {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id, value);
    }

    fn remove(&mut self, id: &JobId) {
        self.young.remove(id);
        self.old.remove(id);
    }

    fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.young.values_mut().chain(self.old.values_mut())
    }
}

/// The newest published version of each recent job, and the newer ones that pages told.
#[derive(Default)]
pub(super) struct Recent {
    published: Generations<Last>,
    ahead: Generations<Ahead>,
    pages: Pages,
}

/// How a published version relates to what was published before.
pub(super) struct Before {
    /// The job as the watchers were told of it last; else as the publisher says that it was.
    pub(super) image: Option<Arc<Job>>,
    /// Whether versions between that and the new one are missing.
    pub(super) gap: bool,
    /// Whether the image is what was told.
    pub(super) told: bool,
    /// What a page told of the job ahead of this publish.
    pub(super) ahead: Option<Ahead>,
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
        let last = self.published.get(&new.id);
        if last.is_some_and(|last| last.version >= new.version) {
            return None;
        }
        let told = last.and_then(|last| last.image.clone());
        let given = old.filter(|old| old.id == new.id && old.version < new.version);
        let (told, image) = (told.is_some(), told.or_else(|| given.cloned()));
        let version = image.as_ref().map(|image| image.version);
        let gap = version.unwrap_or_default().next() != new.version;
        let ahead = self.ahead.get(&new.id).copied();
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
            told,
            ahead,
        })
    }

    /// Notes the versions of a page that are not published yet.
    pub(super) fn note_page(&mut self, jobs: &[Arc<Job>]) {
        self.pages.0 += 1;
        for job in jobs {
            let version = job.version;
            let published = self.published.get(&job.id);
            let is_published = published.is_some_and(|last| last.version >= version);
            let ahead = self.ahead.get(&job.id);
            if !is_published && ahead.is_none_or(|ahead| ahead.version < version) {
                let page = self.pages;
                self.ahead.insert(job.id, Ahead { version, page });
            }
        }
    }

    /// The pages that were given so far: what they told is older than the page of a list that is opened now.
    pub(super) fn pages(&self) -> Pages {
        self.pages
    }

    /// Forgets the images, when nobody watches a list any more.
    pub(super) fn drop_images(&mut self) {
        for last in self.published.values_mut() {
            last.image = None;
        }
    }
}
