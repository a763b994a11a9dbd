//! Tiers and reversibility: an example for each row of their tables, and what must not match.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{action, proposal};
use crate::{
    fill,
    operation::Operation,
    proposal::{
        ActionType,
        Reversibility::{self, *},
    },
    tier::Tier::{self, *},
};

fn tier(tool: &str, parameters: Value) -> Tier {
    let Value::Object(parameters) = parameters else { panic!("an object") };
    let (kind, tool) = (ActionType::ToolCall, Some(tool));
    Operation { kind, tool, parameters: &parameters }.required_tier()
}

#[test]
fn types_give_a_tier() {
    for (kind, expected) in
        [("state_read", ReadOnly), ("assertion", ReadOnly), ("state_write", SandboxEdit)]
    {
        let state = json!({ "type": kind, "parameters": { "key": "k" }, "tool": "deploy" });
        assert_eq!(action(state).operation().required_tier(), expected, "{kind}");
    }
    let secret =
        json!({ "type": "state_write", "parameters": { "key": "k", "value": { "password": 1 } } });
    assert_eq!(action(secret).operation().required_tier(), FullAccess);
}

#[test]
fn verbs_and_words_of_the_tool_give_a_tier() {
    let verbs =
        "read get list find search grep query view show stat count describe lookup calculate";
    for verb in verbs.split(' ') {
        for tool in
            [verb.to_owned(), format!("{verb}_file"), format!("{verb}Thing"), verb.to_uppercase()]
        {
            assert_eq!(tier(&tool, json!({})), ReadOnly, "{tool}");
        }
        assert_eq!(tier(&format!("{verb}er"), json!({})), SandboxEdit);
        assert_eq!(tier(&format!("x_{verb}"), json!({})), SandboxEdit);
    }
    let words = "deploy publish release send email mail sms pay payment charge refund transfer purchase delete \
                 drop destroy terminate shutdown secret secrets password credential credentials sudo prod production";
    for word in words.split_whitespace() {
        for tool in [
            word.to_owned(),
            format!("get-{word}"),
            format!("do{}{}", word[..1].to_uppercase(), &word[1..]),
            format!("x.{word}:y"),
        ] {
            assert_eq!(tier(&tool, json!({})), FullAccess, "{tool}");
        }
        assert_eq!(tier(&format!("{word}ish"), json!({})), SandboxEdit);
    }
    for tool in ["write_file", "db_insert", "", "préréad", "sendgrid", "sender", "dropdown"] {
        assert_eq!(tier(tool, json!({})), SandboxEdit, "{tool}");
    }
}

#[test]
fn command_lines_give_a_tier() {
    let words = "curl wget ssh scp rsync nc sudo su dd mkfs reboot shutdown systemctl kubectl terraform aws gcloud az";
    let commands =
        words.split(' ').chain(["git push", "docker push", "npm publish", "cargo publish"]);
    for command in commands {
        for key in ["command", "cmd", "args", "argv", "flags"] {
            let spread: Vec<_> = command.split(' ').collect();
            for text in [
                json!(format!("cd x && {command} -v")),
                json!(["-c", format!("/usr/bin/{command}")]),
                json!(spread),
            ] {
                assert_eq!(tier("run", json!({ key: text })), FullAccess, "{key} {text}");
            }
        }
        assert_eq!(
            tier("run", json!({ "command": format!("x{command}")})),
            SandboxEdit,
            "x{command}"
        );
        assert_eq!(tier("run", json!({ "note": command })), SandboxEdit, "{command}");
    }
    assert_eq!(tier("run", json!({ "command": "git", "args": ["push"] })), FullAccess);
    assert_eq!(tier("run", json!({ "steps": [{ "cmd": "sudo ls" }] })), FullAccess);
    assert_eq!(tier("run", json!({ "command": "git log push" })), SandboxEdit);
    assert_eq!(tier("read", json!({ "command": "ls" })), ReadOnly);
}

#[test]
fn parameter_keys_give_a_tier() {
    let keys =
        "api_key apikey password passwd secret token auth credential credentials private_key";
    for key in keys.split(' ') {
        assert_eq!(tier("read", json!({ key: "x" })), FullAccess, "{key}");
        assert_eq!(
            tier("read", json!({ "a": [{ format!("aws-{key}"): null }] })),
            FullAccess,
            "{key}"
        );
        assert_eq!(tier("read", json!({ format!("{key}_count"): 1 })), ReadOnly, "{key}");
        assert_eq!(tier("read", json!({ "x": key })), ReadOnly, "{key}");
    }
    for key in ["apiKey", "accessToken", "APIKey", "user[password]"] {
        assert_eq!(tier("read", json!({ key: "x" })), FullAccess, "{key}");
    }
    for key in ["max_tokens", "author", "key", "authentication"] {
        assert_eq!(tier("read", json!({ key: "x" })), ReadOnly, "{key}");
    }
}

#[test]
fn paths_give_a_tier() {
    for key in
        ["path", "file", "dest", "destination", "target", "source", "src", "dir", "file_path"]
    {
        for path in [
            ".ssh",
            "~/.ssh/config",
            "/home/u/.aws/x",
            "a\\.gnupg\\b",
            "x/.kube",
            "~/.netrc",
            "id_rsa",
            "k/id_ed25519",
            "a.pem",
            "b.KEY",
            "c.p12",
            "/etc",
            "/etc/passwd",
            "//etc/./x",
            "/a/../etc/x",
            "../../etc/x",
            "file:///etc/hosts",
        ] {
            assert_eq!(tier("read", json!({ key: path })), FullAccess, "{key} {path}");
            assert_eq!(tier("read", json!({ "x": { key: [path] } })), FullAccess, "{key} {path}");
            assert_eq!(tier("read", json!({ key: { "at": path } })), FullAccess, "{key} {path}");
            assert_eq!(tier("read", json!({ "note": path })), ReadOnly, "{path}");
        }
        for path in
            ["a.txt", "etc/passwd", "x/etc", "/etcetera", ".sshx", "id_rsa.txt", "keys", "a/../etc"]
        {
            assert_eq!(tier("read", json!({ key: path })), ReadOnly, "{key} {path}");
        }
    }
}

#[test]
fn phrases_give_a_tier() {
    for phrase in [
        "drop table",
        "truncate table",
        "delete from",
        "rm -rf",
        "rm -fr",
        "git reset --hard",
        "git push --force",
    ] {
        for text in [
            phrase.to_owned(),
            format!("x; {} y", phrase.to_uppercase()),
            phrase.replace(' ', " \n "),
        ] {
            assert_eq!(tier("read", json!({ "sql": [{ "q": text }] })), FullAccess, "{text}");
        }
        let words: Vec<_> = phrase.split(' ').collect();
        assert_eq!(tier("read", json!({ "x": words })), FullAccess, "{phrase}");
        assert_eq!(tier("read", json!({ "x": format!("a{phrase}") })), ReadOnly, "{phrase}");
    }
    assert_eq!(tier("read", json!({ "x": "raindrop tables" })), ReadOnly);
}

#[test]
fn names_give_the_reversibility() {
    let of = |tool: &str| {
        let call = json!({ "type": "tool_call", "tool": tool, "reversibility": "reversible" });
        action(call).classify().reversibility
    };
    let all = |words: &str, expected: Reversibility| {
        for word in words.split(' ') {
            assert_eq!(of(&format!("x_{word}")), expected, "{word}");
            assert_eq!(of(&format!("read_{word}")), Reversible, "{word}");
        }
    };
    all(
        "send email mail sms pay charge transfer purchase delete drop destroy terminate rm",
        Irreversible,
    );
    all(
        "insert create add push deploy publish release update upsert write edit register enable",
        Compensable,
    );
    assert_eq!(
        (of("create_and_send"), of("frobnicate"), of("")),
        (Irreversible, Irreversible, Irreversible)
    );
    assert_eq!((of("read_secret"), tier("read_secret", json!({}))), (Reversible, FullAccess));
    assert_eq!((of("db_insert"), tier("db_insert", json!({}))), (Compensable, SandboxEdit));
    let write = action(json!({ "type": "state_write", "parameters": { "key": "k" } }));
    assert_eq!(write.classify().reversibility, Reversible);
}

#[test]
fn what_authors_declare_is_reported() {
    let call = |more: Value| super::call("", more);
    let declared = |actions| proposal(actions).declared_rollback_contract();
    assert_eq!(declared(json!([])), Reversible);
    assert_eq!(declared(json!([{ "type": "tool_call", "tool": "t" }])), Irreversible);
    let compensable = json!({ "type": "tool_call", "tool": "t", "reversibility": "compensable" });
    assert_eq!(declared(json!([compensable])), Compensable);
    assert!(action(compensable).classify().missing_compensation);
    for compensation in [
        json!({ "type": "tool", "tool": "u" }),
        json!({ "type": "action_ref", "action_id": "nobody" }),
    ] {
        let mut action =
            call(json!({ "reversibility": "compensable", "compensation": compensation }));
        action["id"] = json!("a");
        assert!(!super::action(action).classify().missing_compensation);
    }
}

#[test]
fn a_reference_can_make_a_harmless_command_dangerous() {
    let shell = action(
        json!({ "type": "tool_call", "tool": "shell", "parameters": { "command": "$a1.output" } }),
    );
    assert_eq!(shell.operation().required_tier(), SandboxEdit);
    let output = json!("rm -rf /");
    let filled = fill(&shell.parameters, &|id| id == "a1", &|_| Some(&output)).unwrap().unwrap();
    assert_eq!(shell.with_parameters(&filled).required_tier(), FullAccess);
}

#[test]
fn a_nested_command_is_looked_through() {
    let nested = |text: &str| (0..100).fold(json!(text), |inner, _| json!({ "command": [inner] }));
    assert_eq!(tier("run", nested("echo sudoku")), SandboxEdit);
    assert_eq!(tier("run", nested("echo; sudo x")), FullAccess);
}

proptest! {
    #[test]
    fn any_names_and_values_have_a_tier(tool in "\\PC{0,20}", key in "\\PC{0,20}", value in super::json()) {
        let plain = tier(&tool, json!({ &key: value }));
        // Whatever else is there, a grave signal decides.
        prop_assert_eq!(tier(&tool, json!({ &key: value, "command": "sudo" })), FullAccess);
        prop_assert_eq!(plain, tier(&tool, json!({ key: value })));
    }

    #[test]
    fn more_parameters_never_lower_the_tier(tool in "(read|write|send|x)(_file)?", one in super::json(), more in super::json()) {
        let (less, all) = (json!({ "a": &one }), json!({ "a": one, "b": more }));
        prop_assert!(tier(&tool, less) <= tier(&tool, all));
    }
}

#[test]
fn a_command_line_in_parts_of_other_maps_gives_a_tier() {
    for parameters in [
        json!({ "args": { "curl": "x" } }),
        json!({ "flags": { "sudo": true } }),
        json!({ "command": "git", "options": { "args": ["push"] } }),
        json!({ "tool": { "cmd": "git" }, "rest": [{ "args": "push" }] }),
        json!({ "command": "git", "args": ["push"], "then": { "command": "ls", "args": ["x"] } }),
    ] {
        assert_eq!(tier("run", parameters.clone()), FullAccess, "{parameters}");
    }
    let apart = json!({ "command": "git", "options": { "note": "push" } });
    assert_eq!(tier("run", apart), SandboxEdit);
}

#[test]
fn a_file_url_is_a_path() {
    for url in [
        "file:///etc/shadow",
        "file://localhost/etc/shadow",
        "file:/etc/shadow",
        "FILE://etc/shadow/../../etc/shadow",
        "file:///%65tc/shadow",
        "file:///home/x/%2Essh/config",
        "\\etc\\shadow",
    ] {
        assert_eq!(tier("write", json!({ "path": url })), FullAccess, "{url}");
    }
    for url in ["file:///home/etc/x", "file:notes/%zz%", "file://localhost/home/etc"] {
        assert_eq!(tier("write", json!({ "path": url })), SandboxEdit, "{url}");
    }
}
