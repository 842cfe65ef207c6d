//! Choice rules of JSONPath states: `And`, `Or`, `Not`, the `Is…` tests, and every comparison with
//! its `Path` form.

mod operator;

use serde_json::{Map, Value};

use crate::fault::Fault;
use crate::path::{Path, Roots};
use crate::scope::Scope;
use crate::substitution::is_placeholder;
use operator::{Is, Operator, test};

/// Maximum nesting of `And`, `Or` and `Not`.
const MAX_NESTING: usize = 60;

#[derive(Debug, Clone)]
pub(crate) enum Rule {
    And(Vec<Rule>),
    Or(Vec<Rule>),
    Not(Box<Rule>),
    Test {
        variable: Path,
        operator: Operator,
        operand: Operand,
    },
}

#[derive(Debug, Clone)]
pub(crate) enum Operand {
    Value(Value),
    Path(Path),
}

/// A problem of a rule: its location below the rule, and its message.
pub(crate) type Wrong = (String, String);

/// The fields that decide what a rule is: a combination of rules, or a test of a variable.
const SELECTORS: [&str; 5] = ["And", "Or", "Not", "Variable", "Condition"];

impl Rule {
    /// Parses a rule. `allowed` are the fields that it may have beside the operator. Problems are
    /// added to `wrong`.
    pub(crate) fn parse(value: &Value, allowed: &[&str], wrong: &mut Vec<Wrong>) -> Option<Self> {
        Self::parse_at(value, allowed, "", 0, wrong)
    }

    fn parse_at(
        value: &Value,
        allowed: &[&str],
        at: &str,
        depth: usize,
        wrong: &mut Vec<Wrong>,
    ) -> Option<Self> {
        if is_placeholder(value) {
            return None;
        }
        let Some(map) = value.as_object() else {
            wrong.push((at.to_owned(), "Expected value of type Object".to_owned()));
            return None;
        };
        if depth > MAX_NESTING {
            wrong.push((
                at.to_owned(),
                format!("Choice rules nest deeper than {MAX_NESTING}"),
            ));
            return None;
        }
        for key in map.keys() {
            let known = allowed.contains(&key.as_str())
                || SELECTORS.contains(&key.as_str())
                || Operator::parse(key).is_some();
            if key == "Condition" {
                wrong.push((at.to_owned(), "The QueryLanguage is set to 'JSONPath', but field 'Condition' is only supported for the 'JSONata' QueryLanguage".to_owned()));
            } else if !known {
                wrong.push((at.to_owned(), format!("Field '{key}' is not supported")));
            }
        }
        let mut selectors = SELECTORS.iter().filter(|name| map.contains_key(**name));
        let (Some(selector), None) = (selectors.next(), selectors.next()) else {
            wrong.push((
                at.to_owned(),
                format!(
                    "The object must have only one of the following fields, [{}]",
                    SELECTORS.join(", ")
                ),
            ));
            return None;
        };
        match *selector {
            "And" | "Or" | "Not" => Self::combined(map, selector, at, depth, wrong),
            "Variable" => Self::test(map, at, wrong),
            _ => None,
        }
    }

    fn combined(
        map: &Map<String, Value>,
        key: &str,
        at: &str,
        depth: usize,
        wrong: &mut Vec<Wrong>,
    ) -> Option<Self> {
        // An operator beside a combination has no variable to test.
        for operator in map.keys().filter(|key| Operator::parse(key).is_some()) {
            wrong.push((
                at.to_owned(),
                format!("Field '{operator}' is not supported"),
            ));
        }
        let nested = ["Comment"];
        let (here, inner) = (format!("{at}/{key}"), &map[key]);
        if key == "Not" {
            return Self::parse_at(inner, &nested, &here, depth + 1, wrong)
                .map(|r| Self::Not(Box::new(r)));
        }
        let Some(list) = inner.as_array() else {
            if !is_placeholder(inner) {
                wrong.push((here, "Expected value of type Array".to_owned()));
            }
            return None;
        };
        if list.is_empty() {
            wrong.push((here, "Value cannot be empty".to_owned()));
            return None;
        }
        let rules: Vec<Self> = list
            .iter()
            .enumerate()
            .filter_map(|(i, r)| {
                Self::parse_at(r, &nested, &format!("{here}[{i}]"), depth + 1, wrong)
            })
            .collect();
        Some(if key == "And" {
            Self::And(rules)
        } else {
            Self::Or(rules)
        })
    }

    fn test(map: &Map<String, Value>, at: &str, wrong: &mut Vec<Wrong>) -> Option<Self> {
        let given: Vec<&String> = map
            .keys()
            .filter(|key| Operator::parse(key).is_some())
            .collect();
        let [key] = given.as_slice() else {
            let names: Vec<&str> = given.iter().map(|key| key.as_str()).collect();
            wrong.push((
                at.to_owned(),
                if names.is_empty() {
                    "This object should have only one comparison operator, such as StringEquals"
                        .to_owned()
                } else {
                    format!(
                        "There should only be one of the following fields: [{}]",
                        names.join(", ")
                    )
                },
            ));
            return None;
        };
        let here = format!("{at}/{key}");
        let (operator, by_path) = Operator::parse(key)?;
        let mut path = |value: &Value, place: String| match value.as_str() {
            _ if is_placeholder(value) => Path::parse("$"),
            None => {
                wrong.push((place, "Expected value of type String".to_owned()));
                None
            }
            Some(text) => match Path::reference(text, Roots::All) {
                Ok(path) => Some(path),
                Err(why) => {
                    wrong.push((place, why));
                    Path::parse(text)
                }
            },
        };
        let variable = path(&map["Variable"], format!("{at}/Variable"));
        let operand = &map[*key];
        let operand = if by_path {
            path(operand, here).map(Operand::Path)
        } else {
            if let Some(why) = operator.refuses(operand)
                && !is_placeholder(operand)
            {
                wrong.push((here, why.to_owned()));
            }
            Some(Operand::Value(operand.clone()))
        };
        Some(Self::Test {
            variable: variable?,
            operator,
            operand: operand?,
        })
    }

    /// Whether the rule holds. A path without a value is an error.
    pub(crate) fn holds(&self, scope: &Scope<'_>) -> Result<bool, Fault> {
        let missing = |path: &Path| {
            Fault::runtime(format!(
                "Invalid path '{}': The choice state's condition path references an invalid value.",
                path.text
            ))
        };
        match self {
            Self::And(rules) => {
                for rule in rules {
                    if !rule.holds(scope)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Or(rules) => {
                for rule in rules {
                    if rule.holds(scope)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Not(rule) => Ok(!rule.holds(scope)?),
            Self::Test {
                variable,
                operator,
                operand,
            } => {
                let found = variable.read(scope);
                if let (Operator::Is(Is::Present), Operand::Value(want)) = (operator, operand) {
                    return Ok(Some(found.is_ok()) == want.as_bool());
                }
                let found = found.map_err(|_| missing(variable))?;
                match operand {
                    Operand::Value(value) => Ok(test(*operator, &found, value)),
                    Operand::Path(path) => {
                        let value = path.read(scope).map_err(|_| missing(path))?;
                        Ok(test(*operator, &found, &value))
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scope::tests::with_scope;

    fn holds(rule: &Value) -> Result<bool, String> {
        let mut wrong = Vec::new();
        let rule = Rule::parse(rule, &["Next"], &mut wrong).ok_or_else(|| format!("{wrong:?}"))?;
        let input =
            json!({"n": 2, "s": "abbc*", "t": "2016-12-05T21:29:29Z", "b": true, "z": null});
        with_scope(&input, |scope| {
            rule.holds(scope).map_err(|f| f.cause.unwrap_or_default())
        })
    }

    #[test]
    fn rules_hold_as_documented() {
        for (rule, want) in [
            (json!({"Variable": "$.n", "NumericLessThan": 3}), true),
            (
                json!({"Variable": "$.n", "NumericGreaterThanEquals": 3, "Next": "X"}),
                false,
            ),
            (json!({"Variable": "$.s", "StringMatches": "a*c\\*"}), true),
            (json!({"Variable": "$.s", "StringMatches": "a*d"}), false),
            (json!({"Variable": "$.none", "IsPresent": false}), true),
            (
                json!({"Not": {"Variable": "$.s", "StringEqualsPath": "$.s"}}),
                false,
            ),
            (
                json!({"Or": [{"Variable": "$.n", "IsString": true}, {"Variable": "$.n", "IsNumeric": true}]}),
                true,
            ),
            (
                json!({"And": [{"Variable": "$.b", "BooleanEquals": true}, {"Variable": "$.z", "IsNull": true}]}),
                true,
            ),
            (
                json!({"Variable": "$.t", "TimestampLessThan": "2016-12-05T21:29:29+01:00"}),
                false,
            ),
            (json!({"Variable": "$.t", "IsTimestamp": true}), true),
            (
                json!({"Variable": "$v.w", "NumericEqualsPath": "$v.w"}),
                true,
            ),
            (json!({"Variable": "$.s", "NumericEquals": 2}), false),
        ] {
            assert_eq!(holds(&rule), Ok(want), "{rule}");
        }
        assert!(
            holds(&json!({"Variable": "$.none", "IsNull": true}))
                .is_err_and(|e| e.contains("invalid value"))
        );
    }

    #[test]
    fn invalid_rules_are_reported_at_their_location() {
        for (rule, at) in [
            (json!({"Variable": "$.n", "NumericIs": 3}), ""),
            (json!({"Variable": "n", "NumericEquals": 3}), "/Variable"),
            (
                json!({"And": [{"Variable": "$.n", "NumericEquals": "3"}]}),
                "/And[0]/NumericEquals",
            ),
            (
                json!({"Not": {"Variable": "$.n", "IsNull": true, "Next": "X"}}),
                "/Not",
            ),
            (json!({"Variable": "$.n"}), ""),
            (
                json!({"Variable": "$.n", "StringEqualsPath": "x"}),
                "/StringEqualsPath",
            ),
            (
                json!({"Variable": "$.n", "TimestampEquals": "yesterday"}),
                "/TimestampEquals",
            ),
            (json!({"Or": []}), "/Or"),
        ] {
            let mut wrong = Vec::new();
            Rule::parse(&rule, &["Next"], &mut wrong);
            assert_eq!(
                wrong.first().map(|w| w.0.as_str()),
                Some(at),
                "{rule}: {wrong:?}"
            );
        }
    }
}
