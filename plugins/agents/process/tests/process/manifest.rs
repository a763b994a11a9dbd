//! What the disk may do to a manifest, and who may change it.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use carport_agents_process::{AgentSpec, Manifest, ManifestError};
use carport_core::{ManifestRole, RpcError, codes};
use serde_json::{Value, json};

fn spec(id: &str) -> AgentSpec {
    serde_json::from_value(json!({ "id": id, "name": id, "command": "/bin/true" })).unwrap()
}

fn file(text: &str) -> (PathBuf, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agents.json");
    fs::write(&path, text).unwrap();
    (path, directory)
}

fn refusal(text: &str) -> String {
    let (path, _directory) = file(text);
    Manifest::open(&path).unwrap_err().to_string()
}

#[test]
fn three_forms_read_the_same_and_one_is_written() {
    let (one, two) = (json!({"id": "a", "command": "/x"}), json!({"id": "b", "command": "/y"}));
    let forms = [
        json!({"version": 1, "agents": [two, one]}),
        json!([one, two]),
        json!({"a": {"command": "/x"}, "b": two}),
    ];
    for form in forms {
        let (path, _directory) = file(&form.to_string());
        let mut manifest = Manifest::open(&path).unwrap();
        assert_eq!(manifest.agents().keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(manifest.agents()["a"].name.as_deref(), Some("a"), "the id, if there is none");
        assert!(manifest.own().unwrap());
        manifest.put(spec("c")).unwrap();
        let written: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(written["version"], 1);
        assert_eq!(written["agents"][2]["id"], "c");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Manifest::open(&path).unwrap().agents(), manifest.agents());
    }
}

#[test]
fn unknown_members_are_kept_and_written_back() {
    let agent = json!({"id": "a", "command": "/x", "future": {"deep": [1]}});
    let (path, _directory) = file(&json!({"agents": [agent], "note": "mine"}).to_string());
    let mut manifest = Manifest::open(&path).unwrap();
    manifest.own().unwrap();
    manifest.put(spec("b")).unwrap();
    let written: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(written["note"], "mine");
    assert_eq!(written["agents"][0]["future"], json!({"deep": [1]}));
}

#[test]
fn a_broken_manifest_is_refused_with_its_path_and_line() {
    let whole = "{\n\"version\": 1,\n\"agents\": [\n{\"id\": \"a\", \"command\": \"/x\"}\n]}\n";
    for end in 0..whole.trim_end().len() {
        let message = refusal(&whole[..end]);
        assert!(message.contains("agents.json:"), "{message}");
    }
    let broken = whole.replace("\"/x\"", "7");
    assert!(refusal(&broken).contains("agents.json:4:"), "{}", refusal(&broken));
    assert!(refusal("{\"agents\": [], \"version\": 2}").contains("version 2"));
    assert!(
        refusal("[{\"id\":\"a\",\"command\":\"/x\"},{\"id\":\"a\",\"command\":\"/x\"}]")
            .contains("twice")
    );
    assert!(refusal("{\"a\": {\"id\": \"b\", \"command\": \"/x\"}}").contains("under the key"));
    assert!(refusal("[{\"id\":\"../a\",\"command\":\"/x\"}]").contains("id"));
    let good = "{\"id\": \"a\", \"command\": \"/x\"}";
    let bad = "{\n\"command\": \"/x\",\n\"kind\": \"\", \"id\": \"b\"}";
    for (text, line) in [
        (format!("[\n{good},\n\n{bad}]"), 4),
        (format!("{{\"version\": 1,\n\"agents\": [{good}\n,{good}]}}"), 3),
        (format!("{{\n\"a\": {good},\n\"b\": {{\"args\": 7}}}}"), 3),
        (format!("[{good},\n{{\n\"id\": \"b\",\n\"args\": 7}}]"), 4),
    ] {
        let message = refusal(&text);
        assert!(message.contains(&format!("agents.json:{line}:")), "{text}: {message}");
    }
    assert!(refusal("[] x").contains("agents.json:1:"));
}

#[test]
fn ten_thousand_agents_are_refused() {
    let many: Vec<_> =
        (0..10_000).map(|it| json!({"id": it.to_string(), "command": "/x"})).collect();
    assert!(refusal(&json!(many).to_string()).contains("the limit is 256"));
    let (path, _directory) = file(&json!(many[..256]).to_string());
    let mut manifest = Manifest::open(&path).unwrap();
    manifest.own().unwrap();
    let before = fs::read(&path).unwrap();
    let error = manifest.put(spec("one-more")).unwrap_err();
    assert_eq!(RpcError::from(error).code, codes::LIMIT);
    assert_eq!(fs::read(&path).unwrap(), before);
    manifest.put(spec("7")).unwrap();
}

#[test]
fn a_manifest_whose_list_would_fit_no_reply_is_not_written() {
    let (path, _directory) = file("[]");
    let mut manifest = Manifest::open(&path).unwrap();
    manifest.own().unwrap();
    let large = |id: usize| AgentSpec { args: vec!["x".repeat(2 << 20)], ..spec(&id.to_string()) };
    let fit = (0..).find(|id| manifest.put(large(*id)).is_err()).unwrap();
    assert_eq!(fit, 3);
    let error = RpcError::from(manifest.put(large(fit)).unwrap_err());
    assert_eq!(error.code, codes::LIMIT);
    assert!(manifest.remove("0").unwrap());
    manifest.put(large(fit)).unwrap();
}

#[test]
fn a_manifest_that_was_edited_meanwhile_is_not_written_over() {
    let (path, _directory) = file("[]");
    let mut manifest = Manifest::open(&path).unwrap();
    manifest.own().unwrap();
    manifest.put(spec("a")).unwrap();
    fs::write(&path, "[{\"id\":\"by-hand\",\"command\":\"/x\"}]").unwrap();
    let error = manifest.put(spec("b")).unwrap_err();
    assert!(matches!(error, ManifestError::Changed(_)));
    assert_eq!(RpcError::from(error).code, codes::CONFLICT);
    assert!(!manifest.agents().contains_key("b"));
    manifest.reload().unwrap();
    manifest.put(spec("b")).unwrap();
    assert_eq!(manifest.agents().keys().collect::<Vec<_>>(), ["b", "by-hand"]);
    fs::write(&path, "{").unwrap();
    manifest.reload().unwrap_err();
    assert!(manifest.agents().contains_key("by-hand"), "what was known stays");
}

#[test]
fn of_two_daemons_one_only_reads() {
    let (path, _directory) = file("[]");
    let mut first = Manifest::open(&path).unwrap();
    let mut second = Manifest::open(&path).unwrap();
    assert!(!path.with_extension("json.lock").exists(), "reading takes no lock");
    assert_eq!(first.role(), ManifestRole::None);
    assert!(matches!(first.put(spec("a")), Err(ManifestError::NotOwned(_))));
    assert!(first.own().unwrap() && first.own().unwrap());
    assert!(!second.own().unwrap());
    assert_eq!((first.role(), second.role()), (ManifestRole::Owner, ManifestRole::Observer));
    first.put(spec("a")).unwrap();
    let error = RpcError::from(second.put(spec("b")).unwrap_err());
    assert_eq!(error.code, codes::CONFLICT);
    assert!(error.message.contains("observe-only") && error.message.contains("agents.json"));
    assert_eq!(error.data.unwrap()["role"], "observer");
    second.reload().unwrap();
    assert!(second.agents().contains_key("a"));
    drop(first);
    assert!(second.own().unwrap());
    assert!(second.remove("a").unwrap() && !second.remove("a").unwrap());
}
