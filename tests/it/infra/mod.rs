//! The templates of `infra/` against the code: what the code creates, reads and calls is what the
//! templates describe, set and allow. Whether AWS accepts them is shown elsewhere, by
//! `tests/clients/ministack`.

mod permissions;
mod table;
mod template;
mod variables;

use std::path::Path;

/// The repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
