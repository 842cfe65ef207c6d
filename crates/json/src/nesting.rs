//! The nesting of a value, and the stack that a walk over it takes.

use crate::limits::{ROOM, THREAD_STACK};

/// How deep a value nests: 0 for a string, 1 for `[]`. Counts no further than one more than `most`.
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

/// Runs `walk` where there is stack enough to walk values as deep as [`MADE_DEPTH`], several times over. Costs nothing on a thread
/// with a stack of [`THREAD_STACK`], and otherwise the making of a stack.
pub fn with_room<T>(walk: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(ROOM, THREAD_STACK, walk)
}

/// The text of a value, which may nest as deep as [`MADE_DEPTH`].
pub fn write(value: &serde_json::Value) -> String {
    with_room(|| value.to_string())
}
