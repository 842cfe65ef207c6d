//! The memory that the bodies of all requests together may have.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Maximum number of bytes of all bodies together that are held at once.
pub const HELD_BYTES: usize = 128 * 1024 * 1024;
/// Number of bytes of each body that are not counted, so that a small request is read while many
/// large ones are held.
pub const UNCOUNTED_BYTES: usize = 64 * 1024;
/// Maximum time for which a body waits for memory. Nothing more of it is read meanwhile.
pub const ROOM_WITHIN: Duration = Duration::from_secs(2);
/// Number of bytes of memory that are reserved at a time.
pub(super) const UNIT: usize = UNCOUNTED_BYTES;

/// The memory of all bodies together.
#[derive(Clone, Debug)]
pub struct Room(pub(super) Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Room::new(HELD_BYTES)
    }
}

impl Room {
    /// A memory of this many bytes.
    pub fn new(bytes: usize) -> Room {
        Room(Arc::new(Semaphore::new(bytes / UNIT)))
    }

    /// Reserves memory for bytes that are held, as long as the permit lives. The first
    /// [`UNCOUNTED_BYTES`] of a body need none. `None` if there is no room within
    /// [`ROOM_WITHIN`].
    pub(super) async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let taken = timeout(ROOM_WITHIN, Arc::clone(&self.0).acquire_many_owned(units)).await;
        taken.ok()?.ok()
    }
}
