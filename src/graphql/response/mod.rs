//! Responses: their text.
//!
//! | module | what |
//! |---|---|
//! | `data` | writes the data of a response along its plan |
//! | `http` | responses over HTTP |
//! | `payload` | payloads of subscriptions by execution |

pub(super) mod data;
pub(super) mod http;
pub(super) mod payload;
