//! The token of a waiting task. The service passes it only to the task's request, which the history
//! shows, so it is read at the position where the definition puts it. Activities pass their tokens
//! to workers only. Pure.

use serde_json::Value;

/// The token of the task that waits in the top-level state `step`.
pub(super) fn waiting(definition: &str, step: &str, history: &[Value]) -> Option<String> {
    let root = json::read(definition).ok()?;
    let state = &root["States"][step];
    let template = ["Parameters", "Arguments"]
        .iter()
        .map(|field| &state[*field])
        .find(|template| !template.is_null())?;
    let mut request = None;
    let mut inside = false;
    for event in history {
        let kind = event["type"].as_str().unwrap_or_default();
        if let Some(name) = event["stateEnteredEventDetails"]["name"].as_str() {
            inside = name == step;
        }
        match kind {
            "TaskScheduled" if inside => {
                let parameters = event["taskScheduledEventDetails"]["parameters"].as_str();
                request = parameters.and_then(|text| json::read_made(text).ok());
            }
            "TaskSucceeded" | "TaskFailed" | "TaskTimedOut" if inside => request = None,
            "TaskStateExited" | "ExecutionAborted" | "ExecutionTimedOut" | "ExecutionFailed" => {
                request = None;
            }
            _ => {}
        }
    }
    let request: Value = request?;
    json::with_room(|| find(template, &request))
}

/// The value at the position where the template puts the token.
fn find(template: &Value, request: &Value) -> Option<String> {
    match template {
        Value::Object(fields) => fields.iter().find_map(|(name, inner)| {
            let plain = name.strip_suffix(".$").unwrap_or(name);
            if is_token(inner) {
                return request[plain].as_str().map(str::to_owned);
            }
            find(inner, &request[plain])
        }),
        Value::Array(items) => items.iter().enumerate().find_map(|(index, inner)| {
            if is_token(inner) {
                return request[index].as_str().map(str::to_owned);
            }
            find(inner, &request[index])
        }),
        _ => None,
    }
}

fn is_token(value: &Value) -> bool {
    let Some(text) = value.as_str() else {
        return false;
    };
    let expression = text
        .strip_prefix("{%")
        .and_then(|text| text.strip_suffix("%}"));
    text == "$$.Task.Token"
        || expression.is_some_and(|text| text.trim() == "$states.context.Task.Token")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_token_is_found_where_the_definition_puts_it() {
        for (field, template) in [
            (
                "Parameters",
                json!({"Payload": {"list": [1, {"token.$": "$$.Task.Token"}]}}),
            ),
            (
                "Arguments",
                json!({"Payload": {"list": [1, {"token": "{% $states.context.Task.Token %}"}]}}),
            ),
        ] {
            let definition = json!({"States": {"Ask": {field: template}}}).to_string();
            let request = json!({"Payload": {"list": [1, {"token": "abc"}]}}).to_string();
            let entered =
                json!({"type": "TaskStateEntered", "stateEnteredEventDetails": {"name": "Ask"}});
            let scheduled = json!({"type": "TaskScheduled", "taskScheduledEventDetails": {"parameters": request}});
            let failed = json!({"type": "TaskFailed"});
            let open = [entered, scheduled, failed];
            assert_eq!(
                waiting(&definition, "Ask", &open[..2]).as_deref(),
                Some("abc")
            );
            assert_eq!(waiting(&definition, "Ask", &open), None);
            assert_eq!(waiting(&definition, "Other", &open[..2]), None);
        }
    }
}
