//! The edges of Jobcast: sockets, handlers, clock, configuration. The rules of jobs are in
//! `resolvers`.
//!
//! | module | what |
//! |---|---|
//! | [`graphql`] | the schema, and its execution for every door |
//! | [`auth`] | from credentials to a caller |
//! | [`session`] | the real-time sockets |
//! | [`peers`] | the connections, counted from `accept` |
//! | [`realtime`] | from the change feed to the watchers, on this node and the others |
//! | [`chaos`] | breaking things on purpose |
//! | [`colour`] | whether what is printed may be coloured |
//! | [`masked`] | values of the configuration as they are shown, without secrets |
//! | [`intake`] | messages of queues that become jobs |
//! | [`printable`] | other people's text, made harmless for a terminal and the log |
//! | [`cli`] | the command line |
//! | `lambda` | the functions on AWS Lambda (feature `lambda`) |

pub mod auth;
pub mod chaos;
pub mod cli;
pub mod colour;
pub mod config;
pub mod data;
pub mod graphql;
pub mod http;
pub mod intake;
#[cfg(feature = "lambda")]
pub mod lambda;
pub mod log;
pub mod masked;
pub mod nearest;
pub mod peers;
pub mod printable;
pub mod realtime;
pub mod server;
pub mod session;
