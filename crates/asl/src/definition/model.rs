//! A parsed definition: every path, template and expression is ready to use.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::Resource;
use crate::choice::Rule;
use crate::fault::Fault;
use crate::intrinsic::Intrinsic;
use crate::jsonata::Jsonata;
use crate::limits::MAX_SECONDS;
use crate::path::Path;
use crate::scope::Scope;
use crate::template::Template;
use crate::timestamp::{self, Moment};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    JsonPath,
    Jsonata,
}

impl Language {
    /// Its name in a definition.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::JsonPath => "JSONPath",
            Self::Jsonata => "JSONata",
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::JsonPath => Self::Jsonata,
            Self::Jsonata => Self::JsonPath,
        }
    }
}

/// States and their start: a machine, a branch or a processor.
#[derive(Debug)]
pub(crate) struct Graph {
    pub(crate) start: Arc<str>,
    pub(crate) states: HashMap<Arc<str>, Arc<State>>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) name: Arc<str>,
    /// Its location in the definition, as AWS names it.
    pub(crate) at: String,
    pub(crate) kind: StateKind,
    pub(crate) language: Language,
    pub(crate) next: Option<Arc<str>>,
    pub(crate) input: Option<Path>,
    pub(crate) output: Option<Path>,
    pub(crate) result_path: Option<Path>,
    /// `Parameters` or `Arguments`; for a Map, `ItemSelector`.
    pub(crate) parameters: Option<Template>,
    pub(crate) selector: Option<Template>,
    pub(crate) assign: Option<Template>,
    /// JSONata's `Output`.
    pub(crate) result: Option<Template>,
    pub(crate) retry: Vec<Retrier>,
    pub(crate) catch: Vec<Catcher>,
    /// Whether it is a Pass, Succeed, Choice or Wait that passes its input on unchanged.
    pub(crate) is_plain: bool,
}

#[derive(Debug)]
pub(crate) enum StateKind {
    Pass(Option<Value>),
    Succeed,
    Fail {
        error: Option<TextField>,
        cause: Option<TextField>,
    },
    Task(Box<TaskState>),
    Choice {
        rules: Vec<ChoiceBranch>,
        default: Option<Arc<str>>,
    },
    Wait(Delay),
    Parallel(Vec<Arc<Graph>>),
    Map(Box<MapState>),
}

impl StateKind {
    pub(crate) fn entered(&self) -> &'static str {
        match self {
            Self::Pass(_) => "PassStateEntered",
            Self::Succeed => "SucceedStateEntered",
            Self::Fail { .. } => "FailStateEntered",
            Self::Task(_) => "TaskStateEntered",
            Self::Choice { .. } => "ChoiceStateEntered",
            Self::Wait(_) => "WaitStateEntered",
            Self::Parallel(_) => "ParallelStateEntered",
            Self::Map(_) => "MapStateEntered",
        }
    }

    pub(crate) fn exited(&self) -> &'static str {
        match self {
            Self::Pass(_) => "PassStateExited",
            Self::Succeed => "SucceedStateExited",
            Self::Fail { .. } => "FailStateExited",
            Self::Task(_) => "TaskStateExited",
            Self::Choice { .. } => "ChoiceStateExited",
            Self::Wait(_) => "WaitStateExited",
            Self::Parallel(_) => "ParallelStateExited",
            Self::Map(_) => "MapStateExited",
        }
    }
}

#[derive(Debug)]
pub(crate) struct TaskState {
    pub(crate) resource: Resource,
    pub(crate) arn: String,
    pub(crate) timeout: Option<NumberField>,
    pub(crate) heartbeat: Option<NumberField>,
    pub(crate) credentials: Option<Template>,
}

/// A rule of a Choice state and its target.
#[derive(Debug)]
pub(crate) struct ChoiceBranch {
    /// Its index in `Choices`.
    pub(crate) index: usize,
    pub(crate) test: ChoiceTest,
    pub(crate) next: Arc<str>,
    pub(crate) assign: Option<Template>,
    pub(crate) output: Option<Template>,
}

#[derive(Debug)]
pub(crate) enum ChoiceTest {
    Rule(Rule),
    Condition(Jsonata),
    Constant(bool),
}

#[derive(Debug)]
pub(crate) enum Delay {
    Seconds(NumberField),
    Until(Timestamp),
    UntilPath(Path),
    UntilJsonata(Jsonata),
}

#[derive(Debug)]
pub(crate) struct MapState {
    pub(crate) items: MapItems,
    pub(crate) processor: Arc<Graph>,
    pub(crate) is_distributed: bool,
    pub(crate) label: Option<String>,
    pub(crate) concurrency: Option<NumberField>,
    pub(crate) tolerated_count: Option<NumberField>,
    pub(crate) tolerated_percentage: Option<NumberField>,
    pub(crate) reader: Option<ItemReader>,
    pub(crate) batcher: Option<ItemBatcher>,
    pub(crate) writer: Option<ResultWriter>,
}

#[derive(Debug)]
pub(crate) enum MapItems {
    Path(Path),
    Jsonata(Template),
    /// JSONata without `Items`: the input is the list.
    Input,
}

/// `ItemReader`: the object to read, and its format.
#[derive(Debug)]
pub(crate) struct ItemReader {
    pub(crate) resource: Resource,
    pub(crate) arguments: Option<Template>,
    pub(crate) format: crate::items::Format,
    pub(crate) max_items: Option<NumberField>,
}

#[derive(Debug)]
pub(crate) struct ItemBatcher {
    pub(crate) input: Option<Template>,
    pub(crate) max_items: Option<NumberField>,
    pub(crate) max_bytes: Option<NumberField>,
}

#[derive(Debug)]
pub(crate) struct ResultWriter {
    /// Without arguments the results stay in the state's output.
    pub(crate) arguments: Option<Template>,
    /// `None` if the definition does not name one.
    pub(crate) transformation: Option<Transformation>,
    /// Whether the files are JSON Lines instead of JSON.
    pub(crate) json_lines: bool,
}

/// The form of the results of child executions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transformation {
    /// Each result with its input, times and status.
    None,
    /// Only the outputs.
    Compact,
    /// Only the outputs; the items of a list replace the list.
    Flatten,
}

#[derive(Debug)]
pub(crate) struct Retrier {
    pub(crate) errors: Vec<String>,
    pub(crate) interval: f64,
    pub(crate) attempts: u32,
    pub(crate) backoff: f64,
    pub(crate) max: f64,
    pub(crate) jitter: bool,
}

#[derive(Debug)]
pub(crate) struct Catcher {
    /// Its index in `Catch`.
    pub(crate) index: usize,
    pub(crate) errors: Vec<String>,
    pub(crate) next: Arc<str>,
    pub(crate) result_path: Option<Path>,
    pub(crate) assign: Option<Template>,
    pub(crate) output: Option<Template>,
}

/// The first double above the 64-bit integers.
const LONG: f64 = 9_223_372_036_854_775_808.0;

/// A number that may be computed; `field` is its name in errors.
#[derive(Debug)]
pub(crate) struct NumberField {
    pub(crate) field: &'static str,
    pub(crate) value: NumberSource,
}

#[derive(Debug)]
pub(crate) enum NumberSource {
    Fixed(f64),
    Path(Path),
    Jsonata(Jsonata),
}

impl NumberField {
    /// Reads the number. `wrong` writes the error for a path whose value is not such a number.
    pub(crate) fn read(
        &self,
        scope: &Scope<'_>,
        whole: bool,
        wrong: impl Fn(&str, &str, &Value) -> String,
    ) -> Result<f64, Fault> {
        match &self.value {
            NumberSource::Fixed(n) => Ok(*n),
            NumberSource::Jsonata(expression) => {
                let found = expression.evaluate_as(scope, self.field, "number")?;
                let number = found.as_f64().unwrap_or_default();
                if whole && number.fract() != 0.0 {
                    return Err(self.out_of_range(&format!("must be an integer, but is {found}")));
                }
                Ok(number)
            }
            NumberSource::Path(path) => {
                let found = path.read(scope).map_err(|why| {
                    Fault::runtime(format!("Invalid path '{}' : {why}", path.text))
                })?;
                let number = match &*found {
                    Value::Number(n) => n.as_f64(),
                    Value::String(s) if whole => s.parse::<i64>().ok().map(|n| n as f64),
                    Value::String(s) => s.trim().parse().ok(),
                    _ => None,
                };
                let fits = |n: &f64| n.fract() == 0.0 && n.abs() < LONG;
                number
                    .filter(|n: &f64| n.is_finite() && (!whole || fits(n)))
                    .ok_or_else(|| Fault::runtime(wrong(self.field, &path.text, &found)))
            }
        }
    }
}

impl NumberField {
    /// Checks that a number is within bounds. If it comes from a path, the execution ends with
    /// `words`; if it comes from an expression, the error can be caught.
    pub(crate) fn within(
        &self,
        number: f64,
        (least, most): (f64, f64),
        words: impl Fn() -> String,
    ) -> Result<f64, Fault> {
        if (least..=most).contains(&number) {
            return Ok(number);
        }
        if let NumberSource::Jsonata(_) = self.value {
            let bounds = if most == f64::INFINITY {
                format!("at least {least}")
            } else {
                format!("between {least} and {most}")
            };
            return Err(self.out_of_range(&format!("must be {bounds}, but is {number}")));
        }
        Err(Fault::runtime(words()))
    }

    /// The error of an expression whose number does not fit its field.
    fn out_of_range(&self, why: &str) -> Fault {
        let text = match &self.value {
            NumberSource::Jsonata(expression) => expression.text.as_str(),
            _ => "",
        };
        Fault::evaluation(
            Some(self.field.to_owned()),
            format!(
                "The JSONata expression '{text}' specified for the field '{}' returned a value that is out of range: it {why}",
                self.field
            ),
        )
    }
}

/// A text that may be computed; `field` is its name in errors.
#[derive(Debug)]
pub(crate) struct TextField {
    pub(crate) field: &'static str,
    pub(crate) value: TextSource,
}

#[derive(Debug)]
pub(crate) enum TextSource {
    Fixed(String),
    Path(Path),
    Intrinsic(Intrinsic),
    Jsonata(Jsonata),
}

impl TextField {
    pub(crate) fn read(&self, scope: &Scope<'_>) -> Result<String, Fault> {
        let found = match &self.value {
            TextSource::Fixed(text) => return Ok(text.clone()),
            TextSource::Jsonata(expression) => expression.evaluate_as(scope, self.field, "string")?,
            TextSource::Intrinsic(call) => call.evaluate(scope)?,
            TextSource::Path(path) => path
                .read(scope)
                .map_err(|_| {
                    Fault::runtime(format!(
                        "The JSONPath '{}' specified for the field '{}' could not be found in the input '{}'",
                        path.text, self.field, scope.input
                    ))
                })?
                .into_owned(),
        };
        match found {
            Value::String(text) => Ok(text),
            other => Err(Fault::runtime(format!(
                "The field '{}' must be a string, but was {other}",
                self.field
            ))),
        }
    }
}

impl Delay {
    /// The end of the wait, if the definition alone determines it.
    pub(crate) fn fixed(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Until(at) => Some(*at),
            Self::Seconds(NumberField {
                value: NumberSource::Fixed(seconds),
                ..
            }) => Some(after(now, *seconds)),
            _ => None,
        }
    }

    /// The end of the wait.
    pub(crate) fn until(&self, scope: &Scope<'_>) -> Result<Timestamp, Fault> {
        match self {
            Self::Until(at) => Ok(*at),
            Self::UntilJsonata(expression) => {
                let found = expression.evaluate_as(scope, "Timestamp", "string")?;
                let text = found.as_str().unwrap_or_default();
                timestamp::parse(text).map(Moment::timestamp).ok_or_else(|| {
                    Fault::evaluation(
                        Some("Timestamp".to_owned()),
                        format!("The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time format string: {text}"),
                    )
                })
            }
            Self::UntilPath(path) => {
                let found = path.read(scope).map_err(|_| {
                    Fault::runtime(format!(
                        "The TimestampPath parameter does not reference an input value: {}",
                        path.text
                    ))
                })?;
                let at = found.as_str().and_then(timestamp::parse);
                at.map(Moment::timestamp).ok_or_else(|| {
                    Fault::runtime(format!(
                        "The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format string: {} == {}",
                        path.text,
                        plain(&found)
                    ))
                })
            }
            Self::Seconds(number) => {
                let seconds = match &number.value {
                    NumberSource::Path(path) => {
                        let found = path.read(scope).map_err(|_| {
                            Fault::runtime(format!(
                                "The SecondsPath parameter does not reference an input value: {}",
                                path.text
                            ))
                        })?;
                        let seconds = match &*found {
                            Value::String(s) => s.parse::<i64>().ok(),
                            other => other.as_i64(),
                        };
                        seconds.filter(|s| *s >= 0).ok_or_else(|| {
                            Fault::runtime(format!(
                                "The SecondsPath parameter cannot be parsed as a long value: {} == {}",
                                path.text,
                                plain(&found)
                            ))
                        })? as f64
                    }
                    _ => number.read(scope, true, |_, _, _| String::new())?,
                };
                let seconds = number.within(seconds, (0.0, MAX_SECONDS), || {
                    format!(
                        "The Seconds of a Wait must be between 0 and {}, but is {seconds}",
                        MAX_SECONDS
                    )
                })?;
                Ok(after(scope.now, seconds))
            }
        }
    }
}

fn after(now: Timestamp, seconds: f64) -> Timestamp {
    let delay =
        jiff::SignedDuration::try_from_secs_f64(seconds).unwrap_or(jiff::SignedDuration::ZERO);
    now.checked_add(delay).unwrap_or(Timestamp::MAX)
}

/// A string without quotes, any other value as JSON.
pub(crate) fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
