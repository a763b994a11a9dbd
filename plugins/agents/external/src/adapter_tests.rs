//! What a table may say, and what becomes of it.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::builtin::builtin_tables;

fn adapter(table: serde_json::Value) -> Result<Adapter, BadAdapter> {
    Adapter::new("fake", serde_json::from_value(table).unwrap())
}

fn builtin(id: &str) -> Adapter {
    Adapter::new(id, builtin_tables().remove(id).unwrap()).unwrap()
}

#[test]
fn the_built_in_tables_are_adapters_and_say_what_they_can() {
    let can = |id| {
        let Capabilities { streaming, images, mcp } = builtin(id).capabilities();
        (streaming, images, mcp)
    };
    assert_eq!(builtin_tables().len(), 3);
    assert_eq!(can("claude-code"), (true, false, true));
    assert_eq!(can("codex"), (true, true, false));
    assert_eq!(can("gemini"), (true, false, false));
}

#[test]
fn arguments_without_a_value_are_left_out_and_images_repeat() {
    let codex = builtin("codex");
    let plain = Values { task: "t".into(), ..Values::default() };
    assert_eq!(codex.arguments(&plain), ["exec", "--json", "--skip-git-repo-check", "-"]);
    assert_eq!(codex.input(&plain).as_deref(), Some("t"));
    let full = Values {
        model: Some("m".into()),
        session_id: Some("s".into()),
        images: vec!["/a".into(), "/b".into()],
        ..plain
    };
    let tail = ["--model", "m", "--image=/a", "--image=/b", "resume", "s", "-"];
    assert_eq!(codex.arguments(&full)[3..], tail);
    let claude = builtin("claude-code");
    let with = |tools: &[&str]| {
        let tools = tools.iter().map(|it| (*it).to_owned()).collect();
        claude.arguments(&Values { allowed_tools: Some(tools), ..Values::default() })
    };
    assert_eq!(with(&["Read", "Bash(git *)"])[5..], ["--allowedTools", "Read,Bash(git *)"]);
    assert_eq!(with(&[])[5..], ["--tools", ""], "an empty list is no tool at all");
}

#[test]
fn a_table_that_cannot_work_says_which_member_is_wrong() {
    let good = json!({ "binary": "fake", "run_args": ["{task}"] });
    assert!(adapter(good.clone()).is_ok());
    for (member, value, says) in [
        ("binary", json!(null), "`agents.external.fake.binary` is required"),
        ("binary", json!("bin/fake"), "must be a bare name or an absolute path"),
        ("run_args", json!(["-p"]), "must have `{task}`"),
        ("run_args", json!(["{task}", ["-m", "{modle}"]]), "has `{modle}`"),
        ("output", json!("json_lines"), "`agents.external.fake.events` are required"),
        ("events", json!([{ "answer": "/a" }]), "are for the formats"),
    ] {
        let mut table = good.clone();
        table[member] = value;
        let error = adapter(table).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    let mut table = good;
    table["output"] = json!("json");
    table["events"] = json!([{ "when": { "type": "x" } }]);
    assert!(adapter(table).unwrap_err().to_string().contains("`type` is no JSON pointer"));
}

#[test]
fn a_value_is_no_option() {
    let claude = builtin("claude-code");
    let session = |id: &str| Values { session_id: Some(id.into()), ..Values::default() };
    assert_eq!(claude.option_in(&session("--dangerously-skip-permissions")), Some("session_id"));
    assert_eq!(claude.option_in(&session("3f")), None);
    let dash = Values { task: "-x".into(), ..Values::default() };
    assert_eq!(claude.option_in(&dash), None, "it is read, not an argument");
    let table = |args| adapter(json!({ "binary": "fake", "run_args": args })).unwrap();
    assert_eq!(table(json!(["{task}"])).option_in(&dash), Some("task"));
    assert_eq!(table(json!(["--task={task}"])).option_in(&dash), None);
    assert_eq!(table(json!(["--", "{task}"])).option_in(&dash), None);
    let grouped = table(json!([["--", "{session_id}"], "{task}"]));
    assert_eq!(grouped.option_in(&dash), Some("task"), "a group that is left out ends no options");
    let both = Values { session_id: Some("s".into()), ..dash };
    assert_eq!(grouped.option_in(&both), None);
}

#[test]
fn a_table_is_put_over_the_built_in_one_member_by_member() {
    let own = AdapterTable { binary: Some("/opt/codex".into()), ..AdapterTable::default() };
    let both = own.over(builtin_tables().remove("codex").unwrap());
    assert_eq!(both.binary.as_deref(), Some("/opt/codex"));
    assert_eq!(both.display_name.as_deref(), Some("Codex"));
}

proptest! {
    #[test]
    fn a_value_is_handed_over_as_it_is(task in ".*", before in "[^{}]*", after in "[^{}]*") {
        let table = json!({ "binary": "fake", "run_args": [format!("{before}{{task}}{after}")] });
        let values = Values { task: task.clone(), ..Values::default() };
        let arguments = adapter(table).unwrap().arguments(&values);
        prop_assert_eq!(arguments, vec![format!("{}{}{}", before, task, after)]);
    }

    #[test]
    fn any_text_is_a_template_of_itself_or_has_placeholders(template in "[{}a-z_\"/: ]{0,40}") {
        if placeholders(&template).is_empty() {
            prop_assert_eq!(fill(&template, &|_| None), Some(template));
        }
    }
}
