//! The operator's rules: read from the configuration, in force on every connection.

use std::{fmt, time::Duration};

use regex::{Regex, RegexBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    operation::Operation,
    operator::equal,
    policy::{Refusal, text_of},
    tool::RateLimit,
    window::SlidingWindow,
};

/// Bytes that a compiled regular expression may take.
const REGEX_BYTES: usize = 1 << 20;

/// One `[[engine.rules]]`, tagged by `kind`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum OperatorRule {
    /// Refuses these tools.
    DenyTool {
        /// Their names.
        tools: Vec<String>,
    },
    /// Refuses any action with one of these words, as a part of any text, in any parameter, whatever its
    /// case.
    DenyKeyword {
        /// The words.
        words: Vec<String>,
    },
    /// Refuses a call whose parameter meets every given condition; without any, a call that has it.
    DenyToolParam {
        /// The tool.
        tool: String,
        /// The parameter.
        param: String,
        /// The parameter equals this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        equals: Option<Value>,
        /// The parameter's text contains this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contains: Option<String>,
    },
    /// Refuses a call whose parameter is not there or is none of these.
    AllowToolParam {
        /// The tool.
        tool: String,
        /// The parameter.
        param: String,
        /// What it may be.
        allow: Vec<Value>,
    },
    /// Refuses a call where the regular expression is found anywhere in the parameter's text.
    DenyToolParamMatching {
        /// The tool.
        tool: String,
        /// The parameter.
        param: String,
        /// The regular expression: <https://docs.rs/regex>.
        matches: String,
    },
    /// Refuses the call beyond so many in a sliding window, per connection.
    RateLimitTool {
        /// The tool.
        tool: String,
        /// Calls in one window; 0 refuses all.
        max_calls: u32,
        /// Length of the window in seconds, above zero.
        #[schemars(extend("exclusiveMinimum" = 0))]
        interval_secs: f64,
    },
}

/// Why a rule cannot be in force; `at` is its place in the list, from 0.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RuleFault {
    /// A list that has to say something is empty.
    #[error("engine.rules[{at}].{field} is empty")]
    Empty {
        /// The rule.
        at: usize,
        /// The member.
        field: &'static str,
    },
    /// A window without a length.
    #[error("engine.rules[{at}].interval_secs must be above 0, got {got}")]
    Interval {
        /// The rule.
        at: usize,
        /// What was given.
        got: f64,
    },
    /// A regular expression that does not compile or takes more than 1 MiB.
    #[error("engine.rules[{at}].matches: {error}")]
    Regex {
        /// The rule.
        at: usize,
        /// Why.
        error: regex::Error,
    },
}

/// Rules that are in force.
#[derive(Debug, Clone, Default)]
pub struct RuleBook(Vec<Compiled>);

#[derive(Debug, Clone)]
struct Compiled {
    rule: OperatorRule,
    regex: Option<Regex>,
}

/// The windows of one connection, one for each `rate_limit_tool`.
#[derive(Debug, Clone, Default)]
pub struct RuleWindows(Vec<(String, SlidingWindow)>);

impl RuleBook {
    /// Compiles each rule once.
    pub fn compile(rules: Vec<OperatorRule>) -> Result<Self, RuleFault> {
        let compiled = rules.into_iter().enumerate().map(|(at, rule)| rule.compile(at));
        compiled.collect::<Result<_, _>>().map(Self)
    }

    /// Every refusal of an action whose references are filled in; rate limits are
    /// [`RuleWindows`]' to say.
    pub fn refusals(&self, operation: &Operation<'_>) -> Vec<Refusal> {
        self.0.iter().filter_map(|rule| rule.refuses(operation)).collect()
    }

    /// Fresh windows for one connection.
    pub fn windows(&self) -> RuleWindows {
        let limits = self.0.iter().filter_map(|compiled| match &compiled.rule {
            OperatorRule::RateLimitTool { tool, max_calls, interval_secs } => {
                let limit = RateLimit { max_calls: *max_calls, interval_secs: *interval_secs };
                Some((tool.clone(), SlidingWindow::new(limit)))
            }
            _ => None,
        });
        RuleWindows(limits.collect())
    }

    /// Name and description of each, in the order of the configuration, for `policy.list`.
    pub fn list(&self) -> impl Iterator<Item = (String, String)> {
        self.0.iter().map(|compiled| (compiled.rule.name(), compiled.rule.to_string()))
    }
}

impl RuleWindows {
    /// Counts one attempt of `tool` in each of its windows at `now`, or in none if one of them is full.
    pub fn take(&mut self, tool: &str, now: Duration) -> Result<(), Refusal> {
        for at in 0..self.0.len() {
            let (limited, window) = &mut self.0[at];
            if limited != tool {
                continue;
            }
            if let Err(wait) = window.take(now) {
                self.0[..at].iter_mut().filter(|(it, _)| it == tool).for_each(|(_, window)| {
                    window.give_back(now);
                });
                let when = wait.map_or("never again".to_owned(), |wait| {
                    format!("again in {} s", wait.as_secs_f64())
                });
                let reason = format!("tool '{tool}' is over its rate limit; {when}");
                return Err(Refusal { policy: "operator:rate_limit_tool".into(), reason });
            }
        }
        Ok(())
    }

    /// Takes back an attempt that was counted at `then` and not made after all.
    pub fn give_back(&mut self, tool: &str, then: Duration) {
        let of_tool = self.0.iter_mut().filter(|(limited, _)| limited == tool);
        of_tool.for_each(|(_, window)| window.give_back(then));
    }
}

impl OperatorRule {
    fn compile(self, at: usize) -> Result<Compiled, RuleFault> {
        let empty = |field| Err(RuleFault::Empty { at, field });
        match &self {
            Self::DenyTool { tools } if tools.is_empty() => empty("tools"),
            Self::DenyKeyword { words } if words.is_empty() => empty("words"),
            // An empty word is in every text.
            Self::DenyKeyword { words } if words.iter().any(String::is_empty) => empty("words[]"),
            Self::RateLimitTool { interval_secs, .. }
                if interval_secs.is_nan() || *interval_secs <= 0.0 =>
            {
                Err(RuleFault::Interval { at, got: *interval_secs })
            }
            Self::DenyToolParamMatching { matches, .. } => {
                let regex = RegexBuilder::new(matches).size_limit(REGEX_BYTES).build();
                let regex = regex.map_err(|error| RuleFault::Regex { at, error })?;
                Ok(Compiled { rule: self, regex: Some(regex) })
            }
            _ => Ok(Compiled { rule: self, regex: None }),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::DenyTool { .. } => "deny_tool",
            Self::DenyKeyword { .. } => "deny_keyword",
            Self::DenyToolParam { .. } => "deny_tool_param",
            Self::AllowToolParam { .. } => "allow_tool_param",
            Self::DenyToolParamMatching { .. } => "deny_tool_param_matching",
            Self::RateLimitTool { .. } => "rate_limit_tool",
        }
    }

    fn name(&self) -> String {
        format!("operator:{}", self.kind())
    }
}

impl Compiled {
    fn refuses(&self, operation: &Operation<'_>) -> Option<Refusal> {
        let reason = match &self.rule {
            OperatorRule::DenyTool { tools } => {
                let tool = operation.tool.filter(|tool| tools.iter().any(|it| it == tool));
                tool.map(|tool| format!("tool '{tool}' is denied"))
            }
            OperatorRule::DenyKeyword { words } => keyword_in(operation.parameters, words)
                .map(|parameter| format!("parameter '{parameter}' contains a denied word")),
            OperatorRule::DenyToolParam { tool, param, equals, contains } => {
                let value = operation.argument_of(tool, param);
                let denied = value.filter(|value| {
                    equals.as_ref().is_none_or(|it| equal(value, it))
                        && contains.as_ref().is_none_or(|it| text_of(value).contains(it.as_str()))
                });
                denied.map(|_| format!("parameter '{param}' of tool '{tool}' is denied"))
            }
            OperatorRule::AllowToolParam { tool, param, allow } => {
                let value = operation.argument_of(tool, param);
                let allowed = value.is_some_and(|value| allow.iter().any(|it| equal(value, it)));
                (operation.tool == Some(tool) && !allowed)
                    .then(|| format!("parameter '{param}' of tool '{tool}' is not allowed"))
            }
            OperatorRule::DenyToolParamMatching { tool, param, .. } => {
                let value = operation.argument_of(tool, param);
                let regex = self.regex.as_ref();
                let found = value.filter(|it| regex.is_some_and(|re| re.is_match(&text_of(it))));
                found.map(|_| format!("parameter '{param}' of tool '{tool}' matches a denied form"))
            }
            OperatorRule::RateLimitTool { .. } => None,
        };
        reason.map(|reason| Refusal { policy: self.rule.name(), reason })
    }
}

/// The parameter that has one of the words in it, in a key or a value at any depth.
fn keyword_in<'a>(parameters: &'a Map<String, Value>, words: &[String]) -> Option<&'a str> {
    let words: Vec<_> = words.iter().map(|word| word.to_lowercase()).collect();
    let denied = |text: &str| {
        let text = text.to_lowercase();
        words.iter().any(|word| text.contains(word.as_str()))
    };
    let found = parameters.iter().find(|(key, value)| denied(key) || any_text(value, &denied));
    found.map(|(key, _)| key.as_str())
}

fn any_text(value: &Value, wanted: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(_) | Value::Number(_) | Value::String(_) => wanted(&text_of(value)),
        Value::Array(items) => items.iter().any(|item| any_text(item, wanted)),
        Value::Object(members) => {
            members.iter().any(|(key, value)| wanted(key) || any_text(value, wanted))
        }
    }
}

impl fmt::Display for OperatorRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DenyTool { tools } => write!(f, "deny tools {}", quoted(tools)),
            Self::DenyKeyword { words } => write!(f, "deny parameters with {}", quoted(words)),
            Self::DenyToolParam { tool, param, equals, contains } => {
                write!(f, "deny tool '{tool}' with parameter '{param}'")?;
                if let Some(value) = equals {
                    write!(f, " equal to {value}")?;
                }
                contains.as_ref().map_or(Ok(()), |part| write!(f, " containing '{part}'"))
            }
            Self::AllowToolParam { tool, param, allow } => {
                let allow = Value::from(allow.clone());
                write!(f, "allow tool '{tool}' only with parameter '{param}' one of {allow}")
            }
            Self::DenyToolParamMatching { tool, param, matches } => {
                write!(f, "deny tool '{tool}' with parameter '{param}' matching '{matches}'")
            }
            Self::RateLimitTool { tool, max_calls, interval_secs } => {
                write!(f, "allow tool '{tool}' {max_calls} times in {interval_secs} s")
            }
        }
    }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
}
