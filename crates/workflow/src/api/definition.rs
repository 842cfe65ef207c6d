//! Definitions: what `CreateStateMachine` says of a wrong one, and `ValidateStateMachineDefinition`. The language is `asl`'s.

use asl::{Diagnostic, Severity, StateMachine, WorkflowType};
use serde_json::{Value, json};

use super::error::ApiError;
use super::shape::DEFINITION;
use super::{Call, Reply};

/// The types of state machines.
pub(super) const TYPES: &[&str] = &["STANDARD", "EXPRESS"];
/// Diagnostics of one answer.
const DIAGNOSTICS: i64 = 100;

pub(super) fn kind_of(word: Option<&str>) -> WorkflowType {
    if word == Some("EXPRESS") {
        WorkflowType::Express
    } else {
        WorkflowType::Standard
    }
}

pub(super) fn type_of(kind: WorkflowType) -> &'static str {
    match kind {
        WorkflowType::Standard => "STANDARD",
        WorkflowType::Express => "EXPRESS",
    }
}

/// Parses a definition. A service that is not available here is no error: the state fails when it is reached.
pub(super) fn parse(text: &str, kind: WorkflowType) -> Result<StateMachine, ApiError> {
    StateMachine::parse_as(text, kind).map_err(|problems| refused(&problems, text))
}

/// Every error of a definition, as AWS puts them into one message.
pub(super) fn refused(problems: &[Diagnostic], text: &str) -> ApiError {
    let mut errors = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error);
    if let Some(problem) = errors.clone().next().filter(|problem| is_label(problem)) {
        return ApiError::new("InvalidDefinition", label(&problem.message, text));
    }
    let mut message = String::from("Invalid State Machine Definition: '");
    if let Some(first) = errors.next() {
        message.push_str(&told(first));
    }
    for problem in errors {
        message.push_str(", ");
        message.push_str(&told(problem));
    }
    message.push('\'');
    ApiError::new("InvalidDefinition", message)
}

/// A text that is no JSON has no place in itself, and the lack of an end is nowhere.
fn has_no_place(problem: &Diagnostic) -> bool {
    match problem.code {
        "INVALID_JSON_DESCRIPTION" => true,
        "MISSING_END_STATE" => problem.location.is_empty(),
        _ => false,
    }
}

fn told(problem: &Diagnostic) -> String {
    let place = match problem.location.as_str() {
        _ if problem.code == "INVALID_JSON_DESCRIPTION" => String::new(),
        _ if has_no_place(problem) => " at null".to_owned(),
        "" => " at /".to_owned(),
        location => format!(" at {location}"),
    };
    format!("{}: {}{place}", problem.code, problem.message)
}

fn is_label(problem: &Diagnostic) -> bool {
    problem.location.ends_with("/Label") && problem.message.starts_with("Label ")
}

/// A Map's label is refused by another part of the service, with words of its own, as it was recorded.
fn label(message: &str, text: &str) -> String {
    let message = match message.split_once(": '") {
        Some((told, escaped)) => {
            let character = unescaped(escaped.trim_end_matches('\''));
            format!("{told}: {}", literal(&character.to_string()))
        }
        None => message.to_owned(),
    };
    let quoted = literal(&message);
    format!("Error=ValueError Args=[{quoted}] in definition '{text}'.")
}

/// The character that `char::escape_default` wrote.
fn unescaped(text: &str) -> char {
    let code = text
        .strip_prefix("\\u{")
        .and_then(|text| text.strip_suffix('}'))
        .and_then(|code| u32::from_str_radix(code, 16).ok())
        .and_then(char::from_u32);
    let named = |text: &str| match text {
        "\\n" => Some('\n'),
        "\\r" => Some('\r'),
        "\\t" => Some('\t'),
        _ => text.chars().last(),
    };
    code.or_else(|| named(text)).unwrap_or('?')
}

/// A text as a quoted literal: single quotes, double ones when it has single ones only.
fn literal(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut literal = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => literal.push_str("\\\\"),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            _ if c == quote => literal.extend(['\\', c]),
            _ if c.is_control() => literal.push_str(&format!("\\x{:02x}", u32::from(c))),
            _ => literal.push(c),
        }
    }
    literal.push(quote);
    literal
}

pub(super) fn validate(call: &Call) -> Reply {
    let mut shape = call.shape();
    let text = shape.text("definition", DEFINITION);
    let kind = kind_of(shape.word("type", TYPES));
    let severity = shape.word("severity", &["ERROR", "WARNING"]);
    let most = shape.number("maxResults", 0..=DIAGNOSTICS);
    shape.check()?;
    let most = match most {
        None | Some(0) => DIAGNOSTICS as usize,
        Some(most) => most as usize,
    };
    let mut found = asl::validate_as(text, kind);
    if let Ok(machine) = StateMachine::parse_as(text, kind) {
        let missing = machine.unsupported(crate::runner::supports);
        found.extend(missing.into_iter().map(|problem| Diagnostic {
            severity: Severity::Warning,
            ..problem
        }));
    }
    let failed = found
        .iter()
        .any(|problem| problem.severity == Severity::Error);
    found.retain(|problem| problem.severity == Severity::Error || severity == Some("WARNING"));
    let truncated = found.len() > most;
    let diagnostics: Vec<Value> = found.iter().take(most).map(shown).collect();
    let result = if failed { "FAIL" } else { "OK" };
    Ok(json!({"result": result, "diagnostics": diagnostics, "truncated": truncated}))
}

fn shown(problem: &Diagnostic) -> Value {
    let mut shown = json!({
        "severity": problem.severity,
        "code": problem.code,
        "message": problem.message,
    });
    // A text that is no object has no place in itself.
    let whole = problem.message.starts_with("Definition must be");
    if !whole && !has_no_place(problem) {
        let location = match problem.location.as_str() {
            "" => "/",
            location => location,
        };
        shown["location"] = json!(location);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_refused_in_the_recorded_words() {
        for (label, want) in [
            ("", "Args=['Label cannot be empty']"),
            ("a>", r#"Args=["Label contains invalid character: '>'"]"#),
            (
                "a\u{8f}",
                r#"Args=["Label contains invalid character: '\\x8f'"]"#,
            ),
            (
                "a\u{1}",
                r#"Args=["Label contains invalid character: '\\x01'"]"#,
            ),
            ("a\"", r#"Args=['Label contains invalid character: \'"\'']"#),
            (
                "a\\",
                r#"Args=["Label contains invalid character: '\\\\'"]"#,
            ),
        ] {
            let text = json!({"StartAt": "M", "States": {"M": {"Type": "Map", "Label": label, "End": true, "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                "StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}}}}})
            .to_string();
            let told = parse(&text, WorkflowType::Standard)
                .unwrap_err()
                .to_string();
            assert!(told.contains(want), "{label:?}: {told}");
            assert!(
                told.ends_with(&format!(" in definition '{text}'.")),
                "{told}"
            );
        }
    }

    #[test]
    fn every_problem_is_told_with_its_place() {
        let told = |text: &str| parse(text, WorkflowType::Standard).unwrap_err().to_string();
        assert_eq!(
            told(r#"{"StartAt": "A"}"#),
            "InvalidDefinition: Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: These fields are required: [States] at /'"
        );
        for (text, want) in [
            (
                r#"{"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "Next": "A"}}}"#,
                "MISSING_END_STATE: Workflow has no terminal state at null",
            ),
            (
                r#"{"StartAt": "p1", "States": {"p1": {"Type": "Pass", "Next": "p3"}, "p2": {"Type": "Pass", "End": true}}}"#,
                "MISSING_TRANSITION_TARGET: Missing 'Next' target: p3 at /States/p1/Next, MISSING_TRANSITION_TARGET: State \"p2\" is not reachable. at /States/p2",
            ),
            (
                r#"{"QueryLanguage": "JSONata", "StartAt": "E", "States": {"E": {"Type": "Pass", "End": true, "Output": {"v": ["{% phone %}"]}}}}"#,
                "UNSUPPORTED_JSONATA_EXPRESSION: Reference to 'phone' at the top level is not supported. at /States/E/Output/v[0]",
            ),
        ] {
            assert_eq!(
                told(text),
                format!("InvalidDefinition: Invalid State Machine Definition: '{want}'")
            );
        }
        assert!(told("{").starts_with(
            "InvalidDefinition: Invalid State Machine Definition: 'INVALID_JSON_DESCRIPTION: "
        ));
    }
}
