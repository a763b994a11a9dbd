//! What a model is told of the tools.

use carport_engine_basics::{ToolError, tools};
use serde_json::json;

use crate::Scene;

#[test]
fn every_tool_is_described_and_its_schema_compiles() {
    let tools = tools();
    let names: Vec<_> = tools.iter().map(|tool| tool.name).collect();
    assert_eq!(
        names,
        [
            "calculate",
            "edit_file",
            "find_files",
            "grep_files",
            "list_dir",
            "read_file",
            "write_file"
        ]
    );
    for tool in tools {
        assert!(tool.description.len() > 20, "{}", tool.name);
        jsonschema::validator_for(&tool.parameters).unwrap();
        jsonschema::validator_for(&tool.returns).unwrap();
        assert_eq!(tool.parameters["type"], "object");
        for (name, field) in tool.parameters["properties"].as_object().unwrap() {
            let described = field["description"].as_str().is_some_and(|it| it.len() > 5);
            assert!(described, "{}: {name}: {field}", tool.name);
        }
        assert!(tool.parameters.to_string().len() < 4096);
    }
}

#[test]
fn required_is_what_has_no_default() {
    let required = |name: &str| {
        let tool = tools().into_iter().find(|tool| tool.name == name).unwrap();
        tool.parameters.get("required").cloned().unwrap_or_default()
    };
    assert_eq!(required("read_file"), json!(["path"]));
    assert_eq!(required("write_file"), json!(["path", "content"]));
    assert_eq!(required("edit_file"), json!(["path", "old_text", "new_text"]));
    assert_eq!(required("list_dir"), json!(null));
    assert_eq!(required("find_files"), json!(["pattern"]));
    assert_eq!(required("grep_files"), json!(["pattern"]));
    assert_eq!(required("calculate"), json!(["expression"]));
}

#[test]
fn wrong_parameters_are_named() {
    let scene = Scene::new();
    for (name, parameters, field) in [
        ("read_file", json!({}), "path"),
        ("read_file", json!({ "path": 1 }), "path"),
        ("read_file", json!({ "path": "" }), "path"),
        ("read_file", json!({ "path": "f", "offset": 0 }), "offset"),
        ("read_file", json!({ "path": "f", "limit": 0 }), "limit"),
        ("write_file", json!({ "path": "f" }), "content"),
        ("write_file", json!({ "path": "f", "content": "x".repeat((8 << 20) + 1) }), "content"),
        ("edit_file", json!({ "path": "f", "old_text": "", "new_text": "" }), "old_text"),
        ("find_files", json!({ "pattern": "[" }), "pattern"),
        ("find_files", json!({ "pattern": "*", "limit": 1001 }), "limit"),
        ("find_files", json!({ "pattern": "x".repeat(1025) }), "pattern"),
        ("grep_files", json!({ "pattern": "(" }), "pattern"),
        ("grep_files", json!({ "pattern": "(?=x)" }), "pattern"),
        ("grep_files", json!({ "pattern": "((a{100}){100}){100}" }), "pattern"),
        ("grep_files", json!({ "pattern": "x", "glob": "{" }), "glob"),
        ("calculate", json!({ "expression": "1".repeat(4097) }), "expression"),
    ] {
        let error = scene.refused(name, parameters.clone());
        assert!(matches!(error, ToolError::Parameters(_)), "{name}: {error}");
        assert!(error.to_string().contains(&format!("`{field}`")), "{name}: {error}");
    }
    assert!(!scene.path("f").exists());
}

#[test]
fn a_calculation_gives_a_number() {
    let scene = Scene::new();
    assert_eq!(
        scene.ok("calculate", json!({ "expression": "2 * 21" })).to_string(),
        r#"{"result":42}"#
    );
    assert_eq!(scene.ok("calculate", json!({ "expression": "1 / 4" })), json!({ "result": 0.25 }));
    let large = scene.ok("calculate", json!({ "expression": "2^1000" }));
    assert_eq!(large["result"].as_f64(), Some(2f64.powi(1000)));
    let error = scene.refused("calculate", json!({ "expression": "1 / 0" }));
    assert_eq!(error.to_string(), "`expression`: division by zero");
}
