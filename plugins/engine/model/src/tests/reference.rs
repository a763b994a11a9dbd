//! References: what they are, what they are not, and what is filled in.

use proptest::prelude::*;
use serde_json::json;

use serde_json::{Map, Value};

use crate::{
    Unfilled, canonical, dangling, fill,
    reference::{MAX_BYTES, literal},
    references,
};

fn is_action(id: &str) -> bool {
    ["a1", "a2", "x.y", "a1.output.n"].contains(&id)
}

fn object(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

/// What `text` becomes where every action has the same output.
fn filled(text: &str, output: &Value) -> Result<Value, Unfilled> {
    let parameters = object(json!({ "p": text }));
    let filled = fill(&parameters, &is_action, &|_| Some(output))?;
    Ok(filled.map_or_else(|| text.into(), |mut filled| filled["p"].take()))
}

#[test]
fn a_whole_string_becomes_any_value_and_a_piece_becomes_text() {
    let output = json!({ "a": { "b": [7, "x y"] }, "t": "$a2.output", "content-type": null });
    for (text, expected) in [
        ("$a1.output", output.clone()),
        ("$a1.output.a.b[0]", json!(7)),
        ("$a1.output.a.b", json!([7, "x y"])),
        ("$a1.output.content-type", json!(null)),
        ("$x.y.output.t", json!("$a2.output")),
        ("n = ${a1.output.a.b[0]}!", json!("n = 7!")),
        ("${a1.output.a.b[1]}${a2.output.a.b}", json!(r#"x y[7,"x y"]"#)),
        ("${a1.output.t}", json!("$a2.output")),
        ("$${a1.output}", json!("${a1.output}")),
        ("$$a1.output", json!("$a1.output")),
        ("$$", json!("$")),
        ("$$5 for ${a1.output.a.b[0]}", json!("$5 for 7")),
        ("a $$ b", json!("a $$ b")),
        ("$HOME", json!("$HOME")),
        ("${HOME} ${a1.output.a.b[0]}", json!("${HOME} 7")),
        ("$a3.output", json!("$a3.output")),
        ("see ${a3.output} ${a1.output.a.b[0]}", json!("see ${a3.output} 7")),
        ("$a1.outputs", json!("$a1.outputs")),
        ("$a1.output and more", json!("$a1.output and more")),
        ("${a1.output ${a1.output.a.b[0]}", json!("${a1.output 7")),
        ("${${a1.output.a.b[0]}}", json!("${7}")),
        (" $a1.output", json!(" $a1.output")),
    ] {
        assert_eq!(filled(text, &output), Ok(expected), "{text}");
    }
    assert_eq!(filled("$a1.output.n.output.t", &json!({ "t": 1 })), Ok(json!(1)));
}

#[test]
fn what_is_not_there_is_named() {
    let path = |text: &str| match filled(text, &json!({ "a": [1] })) {
        Err(Unfilled::NoPart { id, path }) => format!("{id} {path}"),
        other => panic!("{other:?}"),
    };
    assert_eq!(path("$a1.output.b"), "a1 b");
    assert_eq!(path("in ${a1.output.a[1].c}"), "a1 a[1].c");
    assert_eq!(path("$a1.output.a.0"), "a1 a.0");
    assert_eq!(path("$a1.output[0]"), "a1 [0]");
    let none = fill(&object(json!({ "p": "$a1.output" })), &is_action, &|_| None);
    assert_eq!(none, Err(Unfilled::NoOutput { id: "a1".into() }));
}

#[test]
fn references_are_found_at_any_depth_and_others_are_told_apart() {
    let parameters = object(json!({
        "p": [{ "q": "$a1.output.x" }, "to ${a2.output} and ${gone.output}", "$also.output[0]"],
        "$x.y.output": "$HOME $$ $not an id.output",
    }));
    assert_eq!(references(&parameters, &is_action), ["a1", "a2"].into());
    assert_eq!(dangling(&parameters, &is_action), ["also", "gone"].into());
    assert_eq!(
        fill(&object(json!({ "p": "$HOME ${gone.output}" })), &is_action, &|_| None),
        Ok(None)
    );
}

#[test]
fn a_literal_is_known_before_anything_runs() {
    assert_eq!(literal("$$k", &is_action).as_deref(), Some("$k"));
    assert_eq!(literal("k ${gone.output}", &is_action).as_deref(), Some("k ${gone.output}"));
    assert_eq!(literal("$a1.output", &is_action), None);
    assert_eq!(literal("k ${a1.output}", &is_action), None);
}

#[test]
fn outputs_inside_outputs_cannot_grow_without_bound() {
    let mut output = json!(1);
    let mut rounds = 0;
    let wrapped = object(json!({ "p": [[["$a1.output"]]] }));
    let error = loop {
        match fill(&wrapped, &is_action, &|_| Some(&output)) {
            Ok(filled) => output = filled.unwrap()["p"].take(),
            Err(error) => break error,
        }
        rounds += 1;
    };
    assert_eq!((error, rounds), (Unfilled::TooDeep, 39));

    let large = Value::from("x".repeat(MAX_BYTES / 4));
    assert_eq!(filled(&"${a1.output}".repeat(4), &large), Err(Unfilled::TooLarge));
    assert!(filled(&"${a1.output}".repeat(3), &large).is_ok());
    let items = Value::from(vec![0; MAX_BYTES / 4]);
    assert_eq!(filled("$a1.output", &items), Err(Unfilled::TooLarge));
}

#[test]
fn deep_parameters_are_looked_through_and_too_deep_ones_are_not_read() {
    let nested = |depth: usize| format!("{}\"$a.output\"{}", "[".repeat(depth), "]".repeat(depth));
    let read = |depth: usize| {
        let text = format!(
            r#"[{{"id":"a","type":"tool_call","tool":"t"}},{{"id":"b","type":"tool_call","tool":"t","parameters":{{"p":{}}}}}]"#,
            nested(depth)
        );
        serde_json::from_str::<Value>(&text)
    };
    assert!(read(10_000).is_err());
    let proposal = super::proposal(read(119).unwrap());
    let action = &proposal.actions[1];
    assert_eq!(proposal.order(&|_| false).unwrap().levels().len(), 2);
    assert_eq!(action.operation().required_tier(), crate::Tier::SandboxEdit);
    assert_eq!(crate::fingerprint(action).len(), 64);
    let output = Value::from("text");
    let with = |output| fill(&action.parameters, &|id| id == "a", &|_| Some(output));
    assert!(with(&output).is_ok());
    assert_eq!(with(&json!([])), Err(Unfilled::TooDeep));
}

proptest! {
    #[test]
    fn any_text_reads_and_fills(text in r"(\$|\{|\}|a1|\.output|\.|\[0\]|é| ){0,12}", output in crate::tests::json()) {
        if let Ok(once) = filled(&text, &output) {
            prop_assert_eq!(&once, &filled(&text, &output).unwrap());
            let read = serde_json::from_str::<Value>(&canonical(&once)).unwrap();
            prop_assert_eq!(canonical(&read), canonical(&once));
        }
    }

    #[test]
    fn text_without_a_dollar_stays(text in r"[^$]{0,40}") {
        prop_assert_eq!(filled(&text, &json!(1)).unwrap(), Value::from(text));
    }
}
