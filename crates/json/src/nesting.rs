//! The nesting of a value, and the stack for a walk over it.

use crate::limits::{ROOM, THREAD_STACK};

/// The depth of a value: 0 for a string, 1 for `[]`. It stops counting at `most` + 1.
pub fn depth(value: &serde_json::Value, most: usize) -> usize {
    let mut deepest = 0;
    let mut open = vec![(value, 1)];
    while let Some((value, depth)) = open.pop() {
        let inner: &mut dyn Iterator<Item = &serde_json::Value> = match value {
            serde_json::Value::Array(items) => &mut items.iter(),
            serde_json::Value::Object(map) => &mut map.values(),
            _ => continue,
        };
        deepest = deepest.max(depth);
        if deepest > most {
            break;
        }
        open.extend(
            inner
                .filter(|value| value.is_array() || value.is_object())
                .map(|value| (value, depth + 1)),
        );
    }
    deepest
}

/// Runs `walk` with enough stack for several walks over values as deep as [`crate::MADE_DEPTH`]. It
/// costs nothing on a thread with a stack of [`THREAD_STACK`]; otherwise it allocates a stack.
pub fn with_room<T>(walk: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(ROOM, THREAD_STACK, walk)
}

/// The text of a value, which may nest as deep as [`crate::MADE_DEPTH`].
pub fn write(value: &serde_json::Value) -> String {
    with_room(|| value.to_string())
}
