//! What a manifest may say, and where an error says that it does not.

use carport_agents_bundle::{BundleError, Document};
use carport_agents_process::Restart;
use carport_core::codes;
use serde_json::json;

use crate::{document, manifest, with};

#[test]
fn an_error_names_the_member_as_a_path() {
    for (pointer, value, field) in [
        ("/agent/id", json!("-x"), "agent.id"),
        ("/agent/id", json!(7), "agent.id"),
        ("/agent/name", json!(""), "agent.name"),
        ("/agent/namespace", json!(""), "agent.namespace"),
        ("/transport/kind", json!("magic"), "transport.kind"),
        ("/transport/command", json!(""), "transport.command"),
        ("/transport/interpreter", json!("sh"), "transport.interpreter"),
        ("/transport/health_url", json!("http://x"), "transport.health_url"),
        ("/transport/sha256", json!("abc"), "transport.sha256"),
        ("/transport/sha256", json!("x".repeat(64)), "transport.sha256"),
        ("/transport/args", json!([1]), "transport.args[0]"),
        ("/transport/args", json!(["a\0"]), "transport.args[0]"),
        ("/transport/env", json!({ "CAR_AGENT_ID": "x" }), "transport.env.CAR_AGENT_ID"),
        ("/transport/cwd", json!("relative"), "transport.cwd"),
        ("/transport/backoff_secs", json!(31), "transport.backoff_secs"),
        ("/transport/restart", json!("often"), "transport.restart"),
        ("/runtime/car_min_version", json!("soon"), "runtime.car_min_version"),
        ("/runtime/carport_min_version", json!(">=x"), "runtime.carport_min_version"),
        ("/capabilities/required", json!({ "a2ui": [""] }), "capabilities.required.a2ui[0]"),
        ("/capabilities/denied", json!({ "a2ui": "x" }), "capabilities.denied.a2ui"),
        ("/publisher/key_id", json!(""), "publisher.key_id"),
    ] {
        let error = document(with(pointer, value)).manifest().unwrap_err();
        assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some(field)), "{error}");
    }
    for table in ["agent", "transport"] {
        let mut whole = manifest();
        whole.as_object_mut().unwrap().remove(table);
        assert_eq!(document(whole).manifest().unwrap_err().field(), Some(table));
    }
    let mut nameless = manifest();
    nameless["agent"].as_object_mut().unwrap().remove("name");
    assert_eq!(document(nameless).manifest().unwrap_err().field(), Some("agent.name"));
    let large = document(with("/more", json!("x".repeat(300_000))));
    assert_eq!(large.manifest().unwrap_err().field(), Some("params"));
}

#[test]
fn an_external_process_has_exactly_one_way_to_run_and_data_has_none() {
    let transport = |transport| document(with("/transport", transport)).manifest();
    let process = |members| {
        let mut whole = json!({ "kind": "external_process" });
        whole.as_object_mut().unwrap().extend(serde_json::Map::clone(&members));
        transport(whole)
    };
    let members = |value: serde_json::Value| value.as_object().unwrap().clone();
    for (given, field) in [
        (json!({}), "transport.command"),
        (json!({ "binary_url": "https://x/y" }), "transport.binary_url"),
        (json!({ "interpreter": "sh", "health_url": "http://x" }), "transport.health_url"),
        (json!({ "health_url": "ftp://x" }), "transport.health_url"),
        (json!({ "interpreter": "sh", "sha256": "a".repeat(64) }), "transport.sha256"),
    ] {
        assert_eq!(process(members(given)).unwrap_err().field(), Some(field));
    }
    for given in [
        json!({ "interpreter": "python3", "binary_url": "https://x/y" }),
        json!({ "health_url": "http://127.0.0.1:1/" }),
        json!({ "command": "/bin/sh", "sha256": "A".repeat(64) }),
    ] {
        assert!(process(members(given)).is_ok());
    }
    assert!(transport(json!({ "kind": "pure_data" })).is_ok());
    let error = transport(json!({ "kind": "pure_data", "command": "/bin/sh" })).unwrap_err();
    assert_eq!(error.field(), Some("transport.command"));
}

#[test]
fn a_process_becomes_a_spec_that_keeps_what_only_the_operator_says() {
    let whole = with("/transport/args", json!(["-c", "true"]));
    let manifest = document(whole).manifest().unwrap();
    let mut spec = manifest.spec(None).unwrap().unwrap();
    assert_eq!((spec.id.as_str(), spec.display_name()), ("helper", "Helper"));
    assert_eq!(
        (spec.restart, spec.backoff_secs, spec.auto_start),
        (Restart::OnFailure, 0.5, false)
    );
    spec.method_allowlist = Some(vec!["runs.*".into()]);
    spec.stop_grace_secs = 1.0;
    spec.args = vec!["old".into()];
    let renewed = manifest.spec(Some(&spec)).unwrap().unwrap();
    assert_eq!(renewed.method_allowlist.unwrap(), ["runs.*"]);
    assert_eq!((renewed.stop_grace_secs, renewed.args.len()), (1.0, 2));
    let data = document(with("/transport", json!({ "kind": "pure_data" }))).manifest().unwrap();
    assert_eq!(data.spec(None).unwrap(), None);
}

#[test]
fn toml_reads_as_json_and_says_where_it_does_not() {
    let text =
        "[agent]\nid = 'a'\nname = 'A'\nsince = 2024-01-02\n[transport]\nkind = 'pure_data'\n";
    let read = Document::from_toml(text).unwrap();
    assert!(read.manifest().is_ok());
    assert!(read.canonical().contains(r#""since":"2024-01-02""#));
    let error = Document::from_toml("[agent]\nid = \n").unwrap_err();
    assert!(matches!(error, BundleError::Toml { line: 2, .. }), "{error}");
    let error = Document::from_toml("x = [1, nan]").unwrap_err();
    assert!(matches!(&error, BundleError::Value { path, .. } if path == "x[1]"), "{error}");
    for (value, path) in [(json!({ "a": [[null]] }), "a[0][0]"), (json!({ "a": u64::MAX }), "a")] {
        let error = document(value).to_toml().unwrap_err();
        assert!(matches!(&error, BundleError::Value { path: it, .. } if it == path), "{error}");
    }
}

#[test]
fn what_toml_does_not_nest_or_hold_is_not_written() {
    let nested = |depth| (0..depth).fold(json!(1), |inner, _| json!([inner]));
    for (more, is_kept) in
        [(nested(40), true), (nested(110), false), (json!("x".repeat(1024 * 1024)), false)]
    {
        assert_eq!(document(with("/more", more)).to_toml().is_ok(), is_kept);
    }
}

#[test]
fn what_a_new_release_leaves_out_falls_back_to_its_default() {
    let slow = document(with("/transport/backoff_secs", json!(9.0))).manifest().unwrap();
    let slow = slow.spec(None).unwrap().unwrap();
    assert_eq!(slow.backoff_secs, 9.0);
    let next = document(manifest()).manifest().unwrap().spec(Some(&slow)).unwrap().unwrap();
    assert_eq!(next.backoff_secs, 0.5);
}
