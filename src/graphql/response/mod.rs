//! Responses: their text, their errors, and their bounds.
//!
//! | module | what |
//! |---|---|
//! | `data` | writes the data of a response along its plan |
//! | `error` | errors as clients see them |
//! | `http` | responses over HTTP |
//! | `payload` | payloads of subscriptions by execution |
//! | `allowance` | bounds the bytes of a response while its fields are executed |

pub(super) mod allowance;
mod data;
pub(super) mod error;
pub(super) mod http;
pub(super) mod payload;
