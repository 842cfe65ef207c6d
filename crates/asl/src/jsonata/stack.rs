//! The stack of a recursion.

/// Free stack below which a recursion continues on a new stack, in bytes.
const LEAST_STACK: usize = 128 * 1024;
/// Size of the new stack, in bytes.
const MORE_STACK: usize = 1024 * 1024;

/// Runs one level of a recursion. The stack grows before it is exhausted; the depth itself is
/// bounded elsewhere.
pub(super) fn level<T>(f: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(LEAST_STACK, MORE_STACK, f)
}
