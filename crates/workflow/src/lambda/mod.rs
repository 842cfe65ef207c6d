//! The Lambda host: functions by name, each with a queue, the processes that work on it, and the
//! deadline of every invocation.
//!
//! Each process that the host starts gets its own listener
//! (`AWS_LAMBDA_RUNTIME_API=127.0.0.1:PORT`, as on AWS, so that every runtime client works, and so
//! that the host knows which process answers; with a secret as its path where the function's
//! configuration asks for one). An outside process attaches to the internal listener under
//! `http://127.0.0.1:PORT/FUNCTION`. Children end with their process, and all of them with the
//! server: see `child`.
//!
//! On AWS each invocation has its own environment. Here an invocation that no caller waits for any
//! more gives its process back at once: the process is ended, and another takes its place.
//!
//! | module | what |
//! |---|---|
//! | `function` | one function: who waits for work, what runs |
//! | `queue` | what waits for a process: for how long, and what is no longer wanted |
//! | `host` | all functions, and the timers |
//! | `fleet`, `scaling` | the processes of a function; when they start and end |
//! | `process`, `lifetime` | one process, and its life from start to end |
//! | `child`, [`supervisor`] | a process of the system with all that it starts |
//! | `environment` | its variables |
//! | `output`, `tail` | what it writes, and the end of that |
//! | `failure` | Lambda's names and words for what goes wrong |
//! | `http`, `invoke` | the Runtime API, the Invoke API |
//! | [`limits`], `settings` | every bound; how the host and its functions run |

mod child;
mod environment;
mod failure;
mod fleet;
mod function;
mod host;
pub(crate) mod http;
pub(crate) mod invoke;
mod lifetime;
pub mod limits;
mod outcome;
mod output;
mod process;
mod queue;
mod scaling;
mod settings;
pub mod supervisor;
mod tail;

pub use self::environment::{DEFAULT_PATH, PASSED};
pub use self::host::Host;
pub use self::outcome::{Caller, Outcome};
pub use self::settings::{FunctionConfig, HostSettings, Redact, default_concurrency};
pub use crate::arn::{function_name, is_function_name};
