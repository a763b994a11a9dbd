//! Policies and operator rules: when each refuses, when it does not, and what it says.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::action;
use crate::{
    policy::{Policy, PolicyDefinition, Refusal},
    rules::{OperatorRule, RuleBook, RuleFault},
};

fn policy(definition: Value) -> Policy {
    serde_json::from_value::<PolicyDefinition>(definition).unwrap().compile("").unwrap()
}

fn refusal(definition: &Value, parameters: &Value, state: &Value) -> Option<String> {
    let call = action(json!({ "type": "tool_call", "tool": "shell", "parameters": parameters }));
    let state: Map<String, Value> = serde_json::from_value(state.clone()).unwrap();
    let refusal = policy(definition.clone()).refuses(&call.operation(), &state);
    refusal.map(|refusal| refusal.to_string())
}

#[test]
fn each_rule_refuses_what_its_row_says() {
    let none = json!({});
    let tool = json!({ "name": "n", "rule": "deny_tool", "target": "shell" });
    assert_eq!(refusal(&tool, &none, &none).unwrap(), "policy 'n': tool 'shell' is denied");
    let other = json!({ "name": "n", "rule": "deny_tool", "target": "shel" });
    assert_eq!(refusal(&other, &none, &none), None);

    let param = json!({
        "name": "n", "rule": "deny_tool_param", "target": "shell", "key": "cmd", "pattern": "s3cret",
    });
    let text = refusal(&param, &json!({ "cmd": "x s3cret y" }), &none).unwrap();
    assert!(text.contains("'cmd'") && !text.contains("s3cret"), "{text}");
    assert_eq!(refusal(&param, &json!({ "cmd": "S3CRET" }), &none), None);
    assert_eq!(refusal(&param, &json!({ "other": "s3cret" }), &none), None);
    assert!(refusal(&param, &json!({ "cmd": { "a": ["s3cret"] } }), &none).is_some());
    let canonical = json!({
        "name": "n", "rule": "deny_tool_param", "target": "shell", "key": "cmd", "pattern": "{\"a\":1,\"b\"",
    });
    assert!(refusal(&canonical, &json!({ "cmd": { "b": 2, "a": 1.0 } }), &none).is_some());

    let state = json!({ "name": "n", "rule": "require_state", "key": "ready" });
    assert!(refusal(&state, &none, &none).is_some());
    assert!(refusal(&state, &none, &json!({ "ready": 1 })).is_some());
    assert_eq!(refusal(&state, &none, &json!({ "ready": true })), None);
    let value = json!({ "name": "n", "rule": "require_state", "key": "ready", "value": 1 });
    assert_eq!(refusal(&value, &none, &json!({ "ready": 1.0 })), None);
}

#[test]
fn tool_rules_match_tool_calls_only_and_state_rules_match_all() {
    let read = json!({ "type": "state_read", "tool": "shell", "parameters": { "key": "k" } });
    let read = action(read);
    let state = Map::new();
    for (definition, refused) in [
        (json!({ "name": "n", "rule": "deny_tool", "target": "shell" }), false),
        (
            json!({ "name": "n", "rule": "deny_tool_param", "target": "shell", "key": "key", "pattern": "k" }),
            false,
        ),
        (json!({ "name": "n", "rule": "require_state", "key": "ready" }), true),
    ] {
        assert_eq!(policy(definition).refuses(&read.operation(), &state).is_some(), refused);
    }
}

#[test]
fn what_a_rule_lacks_is_named() {
    for (definition, field) in [
        (json!({ "name": "n", "rule": "deny_tool" }), "target"),
        (json!({ "name": "n", "rule": "deny_tool_param", "target": "t", "pattern": "p" }), "key"),
        (json!({ "name": "n", "rule": "deny_tool_param", "target": "t", "key": "k" }), "pattern"),
        (json!({ "name": "n", "rule": "require_state" }), "key"),
        (json!({ "name": "", "rule": "require_state", "key": "k" }), "name"),
        (json!({ "name": "n", "rule": "deny_tool", "target": "x".repeat(5000) }), "target"),
        (
            json!({ "name": "n", "rule": "require_state", "key": "k", "value": "x".repeat(20_000) }),
            "value",
        ),
    ] {
        let definition: PolicyDefinition = serde_json::from_value(definition).unwrap();
        let error = definition.compile("policies[3].").unwrap_err();
        assert_eq!(error.field(), Some(&*format!("policies[3].{field}")));
    }
}

fn book(rule: Value) -> RuleBook {
    RuleBook::compile(vec![serde_json::from_value(rule).unwrap()]).unwrap()
}

fn refused(rule: &Value, kind: &str, parameters: &Value) -> Vec<Refusal> {
    let action = action(json!({ "type": kind, "tool": "shell", "parameters": parameters }));
    let refusals = book(rule.clone()).refusals(&action.operation());
    let name = format!("operator:{}", rule["kind"].as_str().unwrap());
    assert!(refusals.iter().all(|it| it.policy == name && !it.reason.contains("s3cret")));
    refusals
}

/// Each rule with parameters that it refuses and parameters that it lets pass.
#[test]
fn each_operator_rule_refuses_what_its_row_says() {
    let shell = |members: Value| {
        let mut rule = json!({ "tool": "shell", "param": "cmd" });
        rule.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        rule
    };
    for (rule, refuses, passes) in [
        (json!({ "kind": "deny_tool", "tools": ["x", "shell"] }), vec![json!({})], vec![]),
        (json!({ "kind": "deny_tool", "tools": ["x"] }), vec![], vec![json!({})]),
        (
            json!({ "kind": "deny_keyword", "words": ["S3cret", "12"] }),
            vec![
                json!({ "a": [{ "b": "my s3crets" }] }),
                json!({ "a": { "S3CRET_key": null } }),
                json!({ "x": 3123 }),
            ],
            vec![json!({ "a": "s3 cret", "b": [1, 2] })],
        ),
        (
            shell(json!({ "kind": "deny_tool_param" })),
            vec![json!({ "cmd": null }), json!({ "cmd": "s3cret" })],
            vec![json!({}), json!({ "x": { "cmd": 1 } })],
        ),
        (
            shell(json!({ "kind": "deny_tool_param", "equals": 1, "contains": "1" })),
            vec![json!({ "cmd": 1.0 })],
            vec![json!({ "cmd": "1" }), json!({ "cmd": 11 }), json!({})],
        ),
        (
            shell(json!({ "kind": "deny_tool_param", "contains": "s3" })),
            vec![json!({ "cmd": "s3cret" }), json!({ "cmd": ["s3cret"] })],
            vec![json!({ "cmd": "S3" })],
        ),
        (
            shell(json!({ "kind": "allow_tool_param", "allow": ["ls", 1] })),
            vec![
                json!({}),
                json!({ "cmd": "ls -l" }),
                json!({ "cmd": "s3cret" }),
                json!({ "cmd": true }),
            ],
            vec![json!({ "cmd": "ls" }), json!({ "cmd": 1.0 })],
        ),
        (
            shell(json!({ "kind": "deny_tool_param_matching", "matches": "s\\dc[a-z]+" })),
            vec![json!({ "cmd": "a s3cret b" }), json!({ "cmd": { "x": "s3cret" } })],
            vec![json!({ "cmd": "sc" }), json!({})],
        ),
    ] {
        for parameters in refuses {
            assert_eq!(refused(&rule, "tool_call", &parameters).len(), 1, "{rule} {parameters}");
        }
        for parameters in passes {
            assert_eq!(refused(&rule, "tool_call", &parameters), [], "{rule} {parameters}");
        }
        let other = json!({ "key": "k", "cmd": "s3cret" });
        let any_type = rule["kind"] == "deny_keyword";
        assert_eq!(refused(&rule, "state_write", &other).len(), usize::from(any_type), "{rule}");
    }
}

#[test]
fn a_rate_limit_counts_attempts_and_not_its_own_refusals() {
    let limit = |max_calls: u32, seconds: f64| json!({ "kind": "rate_limit_tool", "tool": "shell", "max_calls": max_calls, "interval_secs": seconds });
    let rules = [limit(5, 100.0), limit(2, 1.0)];
    let rules = rules.map(|rule| serde_json::from_value::<OperatorRule>(rule).unwrap());
    let book = RuleBook::compile(rules.into()).unwrap();
    let mut windows = book.windows();
    let mut taken = 0;
    for tenth in 0..100u64 {
        taken += u32::from(windows.take("shell", Duration::from_millis(tenth * 100)).is_ok());
        assert_eq!(windows.take("other", Duration::from_millis(tenth * 100)), Ok(()));
    }
    // What the second rule refused does not use up the first.
    assert_eq!(taken, 5);
    let error = windows.take("shell", Duration::from_secs(10)).unwrap_err().to_string();
    assert!(
        error.starts_with("policy 'operator:rate_limit_tool': ") && error.contains("90 s"),
        "{error}"
    );
    windows.give_back("shell", Duration::ZERO);
    assert_eq!(windows.take("shell", Duration::from_secs(10)), Ok(()));
    let none = self::book(limit(0, 1.0));
    assert!(none.windows().take("shell", Duration::ZERO).is_err());
    assert_eq!(none.list().next().unwrap().0, "operator:rate_limit_tool");
}

#[test]
fn a_rule_that_cannot_be_meant_is_refused_with_its_place() {
    let fault = |rule: Value| {
        let good = json!({ "kind": "deny_tool", "tools": ["x"] });
        let rules = serde_json::from_value(json!([good, rule])).unwrap();
        RuleBook::compile(rules).unwrap_err().to_string()
    };
    let regex = |matches: &str| {
        fault(
            json!({ "kind": "deny_tool_param_matching", "tool": "t", "param": "p", "matches": matches }),
        )
    };
    assert!(regex("a(").starts_with("engine.rules[1].matches: "));
    assert!(regex(r"\w{100}").contains("size limit"));
    assert!(
        fault(json!({ "kind": "deny_keyword", "words": [] })).contains("rules[1].words is empty")
    );
    assert!(fault(json!({ "kind": "deny_keyword", "words": [""] })).contains("words[]"));
    assert!(fault(json!({ "kind": "deny_tool", "tools": [] })).contains("tools"));
    let none =
        json!({ "kind": "rate_limit_tool", "tool": "t", "max_calls": 1, "interval_secs": 0 });
    assert!(fault(none).contains("interval_secs"));
    assert!(matches!(
        RuleBook::compile(vec![OperatorRule::DenyTool { tools: vec![] }]),
        Err(RuleFault::Empty { at: 0, field: "tools" })
    ));
    for rule in [
        json!({ "kind": "deny_tools", "tools": ["x"] }),
        json!({ "kind": "deny_tool", "tools": ["x"], "more": 1 }),
        json!({ "kind": "deny_tool" }),
        json!({ "tools": ["x"] }),
    ] {
        assert!(serde_json::from_value::<OperatorRule>(rule).is_err());
    }
}

#[test]
fn a_regular_expression_takes_linear_time() {
    let rule = json!({ "kind": "deny_tool_param_matching", "tool": "shell", "param": "cmd", "matches": "^(a+)+$" });
    assert_eq!(
        refused(&rule, "tool_call", &json!({ "cmd": format!("{}b", "a".repeat(100_000)) })),
        []
    );
}
