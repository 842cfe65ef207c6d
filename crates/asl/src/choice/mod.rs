//! Choice rules of JSONPath states: `And`, `Or`, `Not`, the `Is…` tests and every comparison with its `Path` form.
mod operator;

use crate::{fault::Fault, path::Path, scope::Scope};
use operator::{Is, Operator, test};
use serde_json::{Map, Value};

/// Nesting of `And`, `Or` and `Not`.
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
/// What is wrong with a rule: the pointer below it, and why.
pub(crate) type Wrong = (String, String);

impl Rule {
    /// Parses a rule; `allowed` are the fields beside the operator. Problems are added to the list.
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
        let Some(map) = value.as_object() else {
            wrong.push((at.to_owned(), "A Choice rule must be an object".to_owned()));
            return None;
        };
        if depth > MAX_NESTING {
            wrong.push((
                at.to_owned(),
                format!("Choice rules nest deeper than {MAX_NESTING}"),
            ));
            return None;
        }
        let mut found = map
            .keys()
            .filter(|k| !allowed.contains(&k.as_str()) && *k != "Variable");
        let (Some(key), None) = (found.next(), found.next()) else {
            let operators: Vec<&String> = map
                .keys()
                .filter(|k| !allowed.contains(&k.as_str()) && *k != "Variable")
                .collect();
            wrong.push((
                at.to_owned(),
                if operators.is_empty() {
                    "A Choice rule needs one operator".to_owned()
                } else {
                    format!("A Choice rule must have exactly one operator, but has {operators:?}")
                },
            ));
            return None;
        };
        let here = format!("{at}/{key}");
        let inner = &map[key];
        if matches!(key.as_str(), "And" | "Or" | "Not") && map.contains_key("Variable") {
            wrong.push((
                format!("{at}/Variable"),
                format!("Field is not supported beside {key}"),
            ));
        }
        let nested = ["Comment"];
        match key.as_str() {
            "And" | "Or" => {
                let Some(list) = inner.as_array().filter(|l| !l.is_empty()) else {
                    wrong.push((here, format!("{key} must be a list of at least one rule")));
                    return None;
                };
                let rules: Vec<Self> = list
                    .iter()
                    .enumerate()
                    .filter_map(|(i, r)| {
                        Self::parse_at(r, &nested, &format!("{here}/{i}"), depth + 1, wrong)
                    })
                    .collect();
                Some(if key == "And" {
                    Self::And(rules)
                } else {
                    Self::Or(rules)
                })
            }
            "Not" => Self::parse_at(inner, &nested, &here, depth + 1, wrong)
                .map(|r| Self::Not(Box::new(r))),
            _ => Self::test(map, key, inner, at, wrong),
        }
    }
    fn test(
        map: &Map<String, Value>,
        key: &str,
        operand: &Value,
        at: &str,
        wrong: &mut Vec<Wrong>,
    ) -> Option<Self> {
        let here = format!("{at}/{key}");
        let Some((operator, by_path)) = Operator::parse(key) else {
            wrong.push((
                here,
                format!("Field is not supported: {key} is no comparison operator"),
            ));
            return None;
        };
        let path = |value: Option<&Value>| value.and_then(Value::as_str).and_then(Path::parse);
        let variable = path(map.get("Variable"));
        if variable.is_none() {
            wrong.push((
                format!("{at}/Variable"),
                "Value is not a Reference Path: Variable must be a path such as $.field".to_owned(),
            ));
        }
        let operand = if by_path {
            let found = path(Some(operand));
            if found.is_none() {
                wrong.push((here, format!("Value is not a Reference Path: {operand}")));
            }
            Operand::Path(found?)
        } else {
            if let Some(why) = operator.refuses(operand) {
                wrong.push((here, why.to_owned()));
            }
            Operand::Value(operand.clone())
        };
        Some(Self::Test {
            variable: variable?,
            operator,
            operand,
        })
    }

    /// Whether the rule holds; a path that is not there is an error.
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
    use super::*;
    use crate::scope::tests::with_scope;
    use serde_json::json;

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
    fn rules() {
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
    fn wrong_rules_have_a_place() {
        for (rule, at) in [
            (json!({"Variable": "$.n", "NumericIs": 3}), "/NumericIs"),
            (json!({"Variable": "n", "NumericEquals": 3}), "/Variable"),
            (
                json!({"And": [{"Variable": "$.n", "NumericEquals": "3"}]}),
                "/And/0/NumericEquals",
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
