//! The bounds of a spec, field by field.

use carport_agents_process::{AgentSpec, Restart};
use serde_json::{Value, json};

fn read(extra: &Value) -> AgentSpec {
    let mut spec = json!({ "id": "a", "command": "/bin/true" });
    spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

#[test]
fn what_is_left_out_has_its_default() {
    let spec = read(&json!({}));
    assert_eq!((spec.kind.as_str(), spec.restart), ("supervised", Restart::OnFailure));
    assert_eq!((spec.backoff_secs, spec.stop_grace_secs, spec.auto_start), (0.5, 5.0, false));
    assert_eq!((spec.display_name(), spec.max_restarts), ("a", None));
    spec.validate().unwrap();
}

#[test]
fn the_largest_that_is_allowed_passes_and_one_more_does_not() {
    let many = |count: usize| (0..count).map(|it| format!("N{it}")).collect::<Vec<_>>();
    let env = |count: usize| {
        json!(
            many(count)
                .into_iter()
                .map(|it| (it, ""))
                .collect::<std::collections::BTreeMap<_, _>>()
        )
    };
    let cases = [
        ("id", json!("x".repeat(128)), json!("x".repeat(129))),
        ("id", json!("_a.b-c"), json!("-a")),
        ("id", json!("A"), json!("A".repeat(67))),
        ("name", json!("x".repeat(256)), json!("")),
        ("kind", json!("x".repeat(64)), json!("x".repeat(65))),
        ("interpreter", json!("x".repeat(64)), json!("a/b")),
        ("args", json!(many(256)), json!(many(257))),
        ("args", json!(["x".repeat(128 * 1024)]), json!(["x".repeat(128 * 1024), "y"])),
        ("args[1]", json!(["", "x"]), json!(["", "\0"])),
        ("cwd", json!("/"), json!("here")),
        ("env", env(64), env(65)),
        ("env", json!({"A": "x".repeat(32 * 1024 - 1)}), json!({"A": "x".repeat(32 * 1024)})),
        ("env.1A", json!({"A1": ""}), json!({"1A": ""})),
        ("env.CAR_AGENT_TOKEN", json!({"CAR_AGENT": ""}), json!({"CAR_AGENT_TOKEN": "mine"})),
        ("pass_env", json!(many(64)), json!(many(65))),
        ("pass_env[0]", json!(["A"]), json!(["A=B"])),
        ("backoff_secs", json!(30), json!(30.1)),
        ("backoff_secs", json!(0.1), json!(0)),
        ("stop_grace_secs", json!(0), json!(60.5)),
        ("capabilities", json!(many(64)), json!(many(65))),
    ];
    for (field, good, bad) in cases {
        let name = field.split(['.', '[']).next().unwrap();
        read(&json!({ name: good })).validate().unwrap_or_else(|error| panic!("{error}"));
        let error = read(&json!({ name: bad })).validate().unwrap_err();
        assert_eq!(error.field(), Some(field), "{error}");
    }
    let error = serde_json::from_value::<AgentSpec>(json!({"id": "a"})).unwrap().validate();
    assert_eq!(error.unwrap_err().field(), Some("command"));
}
