//! What a manifest asks of a build: releases and features.

use std::collections::BTreeMap;

use carport_agents_bundle::{Advertised, Feature, Requirement};
use serde_json::json;

use crate::{document, with};

#[test]
fn a_bare_version_is_at_least_and_anything_else_is_a_requirement() {
    for (wanted, yes, no) in [
        ("1.2", &["1.2.0", "1.10", "2", "1.2.1-rc.1"][..], &["1.1.9", "1.2.0-rc.1", "", "x"][..]),
        ("3", &["3.0.0", "4.1"], &["2.9.9"]),
        ("v0.9.1", &["0.9.1", "v1.0"], &["0.9.0"]),
        ("1.0.0-beta.2", &["1.0.0-beta.3", "1.0.0"], &["1.0.0-beta.1"]),
        ("^1.2", &["1.3.0"], &["2.0.0"]),
        (">=0.5, <0.7", &["0.6.9"], &["0.7.0"]),
        ("1.*", &["1.9"], &["2.0"]),
    ] {
        let wanted = Requirement::parse("f", wanted).unwrap();
        for version in yes {
            assert!(wanted.is_met_by(version), "{wanted} {version}");
        }
        for version in no {
            assert!(!wanted.is_met_by(version), "{wanted} {version}");
        }
    }
    assert_eq!(Requirement::parse("f", "soon").unwrap_err().field(), Some("f"));
}

#[test]
fn the_first_release_that_is_too_old_is_named() {
    let manifest = document(with("/runtime/car_min_version", json!("1.0"))).manifest().unwrap();
    assert_eq!(manifest.unmet(Some("1.0"), "0.1.0").unwrap(), None);
    for car in [None, Some("0.9")] {
        let unmet = manifest.unmet(car, "0.1.0").unwrap().unwrap();
        assert_eq!(unmet.field, "runtime.car_min_version");
    }
    let manifest = document(with("/runtime/carport_min_version", json!("0.2"))).manifest().unwrap();
    assert_eq!(manifest.unmet(None, "0.1.0").unwrap().unwrap().wanted.to_string(), ">=0.2.0");
    assert_eq!(manifest.unmet(None, "0.2.0").unwrap(), None);
}

fn methods() -> BTreeMap<&'static str, &'static str> {
    [
        ("infer", "infer"),
        ("state.get", "state.get"),
        ("tools.poll", "tools.poll"),
        ("tools.get", "tools.poll"),
        ("a2ui.render_report", "a2ui.render_report"),
        ("a2ui/subscribe", "a2ui/subscribe"),
        ("session.auth", "session.auth"),
    ]
    .into()
}

fn feature(text: &str) -> Feature {
    Feature::parse(text).unwrap()
}

#[test]
fn a_build_offers_what_its_methods_do_and_what_the_operator_adds() {
    let added = ["sensors.heat", "shop.*", "network.none"].map(feature);
    let build = Advertised::new(methods(), added);
    for yes in [
        "network.arbitrary-http",
        "network.host-api",
        "sensors.heat",
        "shop.anything",
        "inference.chat",
        "storage.kv",
        "a2ui.render-report",
        "a2ui.x",
        "tools.poll",
    ] {
        assert!(build.offers(&feature(yes)), "{yes}");
    }
    for no in ["network.none", "sensors.cold", "tools.voice-tts", "a2a.tasks", "tools.polls", "x.y"]
    {
        assert!(!build.offers(&feature(no)), "{no}");
    }
    let whole = with(
        "/capabilities",
        json!({
            "required": { "a2a": ["tasks"], "a2ui": ["x"] }, "optional": { "x": ["z", "y"] },
        }),
    );
    let (required, optional) = build.missing(&document(whole).manifest().unwrap());
    assert_eq!(required, [feature("a2a.tasks")]);
    assert_eq!(optional, [feature("x.y"), feature("x.z")]);
}

#[test]
fn what_is_denied_are_the_methods_that_stand_for_it_under_all_their_names() {
    let build = Advertised::new(methods(), []);
    let denied = ["tools.poll", "a2ui.*", "inference.infer", "storage.*", "network.arbitrary-http"];
    let (names, unenforced) = build.denial(&denied.map(feature));
    let expected =
        ["a2ui.render_report", "a2ui/subscribe", "infer", "state.get", "tools.get", "tools.poll"];
    assert_eq!(names.into_iter().collect::<Vec<_>>(), expected);
    assert_eq!(unenforced, [feature("network.arbitrary-http")]);
    let (names, unenforced) =
        build.denial(&["a2ui.render-report", "tools.voice-x", "session.auth"].map(feature));
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["a2ui.render_report"]);
    assert_eq!(unenforced, ["tools.voice-x", "session.auth"].map(feature));
}
