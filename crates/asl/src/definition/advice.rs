//! Hints for problems that were reported without one, by the field of the problem. It finds no
//! problems.

/// The values that a field takes, or the way to correct the problem.
pub(super) fn advice(location: &str, message: &str) -> &'static str {
    let parts: Vec<&str> = location.split('/').collect();
    let last = parts.last().copied().unwrap_or_default();
    // An index is below the list that it belongs to.
    let field = match last.parse::<usize>() {
        Ok(_) => parts.get(parts.len().wrapping_sub(2)).copied(),
        Err(_) => Some(last),
    };
    let field = field.unwrap_or_default();
    if message.starts_with("These fields are required") {
        return "add what is missing";
    }
    if message.starts_with("Only one of these fields") {
        return "keep one of them";
    }
    if message.contains("JSONata") {
        return "an expression is written between {% and %}; its data is in $states and the variables";
    }
    if field.ends_with(".$") {
        return "a name that ends in .$ takes a path such as $.field, $$.State.Name or $variable, or a function such as States.UUID()";
    }
    match field {
        "Resource" => {
            "name a function (an ARN or a name), an activity's ARN, or a service such as arn:aws:states:::lambda:invoke"
        }
        "Type" => "give one of the eight state types",
        "QueryLanguage" => "write JSONPath or JSONata, or leave it out",
        "ResultPath" => "give a path to one location, such as $.result, or null to keep the input",
        "ErrorEquals" => {
            "list error names, such as [\"States.Timeout\", \"MyError\"], or [\"States.ALL\"] alone and last"
        }
        "Retry" => "list retriers: {\"ErrorEquals\": […], \"MaxAttempts\": …}",
        "Catch" => "list catchers: {\"ErrorEquals\": […], \"Next\": …}",
        "Choices" | "And" | "Or" | "Not" => {
            "a rule has Variable, one operator such as StringEquals and, directly in Choices, Next"
        }
        "Timestamp" => "write it as 2026-01-31T12:00:00Z",
        "HeartbeatSeconds" => "give a whole number of seconds below TimeoutSeconds",
        "Items" => "give a list, or an expression that returns one",
        "Credentials" => "give the role as RoleArn",
        "Assign" => "give names of variables with their values",
        "Label" => "use at most 40 letters, digits, - and _",
        "States" | "Branches" | "ItemProcessor" | "Iterator" => {
            "a graph is {\"StartAt\": …, \"States\": {…}}"
        }
        field if field.ends_with("Path") => "give a path such as $.field",
        field
            if field.ends_with("Seconds")
                || field.starts_with("Max")
                || field.starts_with("Tolerated")
                || field == "BackoffRate" =>
        {
            "give a number within the bounds"
        }
        _ if message.starts_with("Expected value of type") => "give a value of this type",
        _ if parts.contains(&"Choices") => {
            "each operator takes a value of its type, or a path if it ends with Path"
        }
        _ => "correct or remove it; the Amazon States Language lists the valid values",
    }
}

#[cfg(test)]
mod tests {
    use super::advice;

    #[test]
    fn the_field_decides_the_hint() {
        for (location, message, words) in [
            ("/States/A/Retry/0/ErrorEquals/1", "x", "list error names"),
            ("/States/A/Choices/2", "x", "a rule has Variable"),
            ("/States/A/Parameters/b.$", "x", "takes a path"),
            ("/States/A", "These fields are required: [Type]", "add what"),
            ("", "x", "correct or remove"),
        ] {
            assert!(advice(location, message).contains(words), "{location}");
        }
    }
}
