//! Responses: their text, their errors, and their bounds.
//!
//! | module | what |
//! |---|---|
//! | `data` | writes the data of a response along its plan |
//! | `error` | errors as clients see them |
//! | `allowance` | bounds the bytes of a response while its fields are executed |

pub(super) mod allowance;
mod data;
pub(super) mod error;
