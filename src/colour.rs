//! Whether output to a terminal may be coloured: one rule for the log and for the commands.

/// Whether the environment allows colours on a terminal: `NO_COLOR` is unset or empty, `CLICOLOR`
/// is not 0, and `TERM` names a terminal that is not `dumb`.
pub fn is_allowed() -> bool {
    allows(|name| std::env::var(name).ok())
}

/// Whether the environment asks for colours even without a terminal: `CLICOLOR_FORCE` is set, and
/// not to 0.
pub fn is_forced() -> bool {
    std::env::var("CLICOLOR_FORCE").is_ok_and(|value| !value.is_empty() && value != "0")
}

fn allows(variable: impl Fn(&str) -> Option<String>) -> bool {
    let is = |name: &str, value: &str| variable(name).as_deref() == Some(value);
    variable("NO_COLOR").is_none_or(|value| value.is_empty())
        && !is("CLICOLOR", "0")
        && variable("TERM").is_some_and(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_that_allow_them() {
        let with = |pairs: &'static [(&str, &str)]| {
            allows(move |name| {
                pairs
                    .iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(with(&[("TERM", "xterm")]));
        assert!(with(&[
            ("TERM", "xterm"),
            ("NO_COLOR", ""),
            ("CLICOLOR", "1")
        ]));
        assert!(!with(&[("TERM", "dumb")]));
        assert!(!with(&[]));
        assert!(!with(&[("TERM", "xterm"), ("NO_COLOR", "1")]));
        assert!(!with(&[("TERM", "xterm"), ("CLICOLOR", "0")]));
    }

    #[test]
    fn a_build_server_does_not_cause_colours() {
        let build_server = |name: &str| match name {
            "CI" => Some("true".to_owned()),
            "TERM" => Some("dumb".to_owned()),
            _ => None,
        };
        assert!(!allows(build_server));
    }
}
