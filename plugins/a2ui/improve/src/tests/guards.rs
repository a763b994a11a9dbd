//! Each guard alone.

use serde_json::{Value, json};

use super::{Scene, overflow, row, time};
use crate::{DecisionKind, Loops, Mode, Reason, Verdict};

fn reason(verdict: &Verdict) -> (DecisionKind, Option<Reason>) {
    (verdict.decision.kind, verdict.decision.reason)
}

#[test]
fn four_reports_a_second_are_looked_at() {
    let mut loops = Loops::default();
    let admitted: Vec<_> = (0..6).map(|at| loops.admit("c", "s", time(at * 10))).collect();
    assert_eq!(admitted, [true, true, true, true, false, false]);
    assert!(loops.admit("d", "s", time(60)) && loops.admit("c", "t", time(60)));
    assert!(!loops.admit("c", "s", time(999)));
    assert!(loops.admit("c", "s", time(1000)));
}

#[test]
fn a_report_that_says_too_little_or_of_another_structure_comes_to_nothing() {
    let mut scene = Scene::new(row());
    let full = scene.report(json!([overflow("root")]));
    let mut bare = full.clone();
    bare.viewport = None;
    assert_eq!(reason(&scene.tell(&bare)), (DecisionKind::None, None));
    let mut old = full.clone();
    old.revision = Some(1);
    assert_eq!(reason(&scene.tell(&old)), (DecisionKind::None, Some(Reason::Stale)));
    scene.mode = Mode::Off;
    assert_eq!(reason(&scene.tell(&full)), (DecisionKind::None, Some(Reason::Off)));
}

#[test]
fn a_finding_counts_when_one_renderer_sees_it_twice() {
    let mut scene = Scene::new(row());
    let first = scene.report(json!([overflow("root")]));
    let unconfirmed = (DecisionKind::Deferred, Some(Reason::Unconfirmed));
    assert_eq!(reason(&scene.tell(&first)), unconfirmed);
    scene.now = 499;
    assert_eq!(reason(&scene.tell(&first)), unconfirmed);
    let mut other = first.clone();
    other.client_id = Some("q".into());
    scene.now = 600;
    assert_eq!(reason(&scene.tell(&other)), unconfirmed);
    // What went away in between is new.
    scene.tell(&scene.report(json!([])));
    assert_eq!(reason(&scene.tell(&first)), unconfirmed);
    scene.now = 1100;
    assert_eq!(reason(&scene.tell(&first)), (DecisionKind::Patch, None));
}

#[test]
fn nobody_is_disturbed() {
    let focused = (DecisionKind::Deferred, Some(Reason::Focused));
    for (more, expected) in [
        (json!({ "focus": "a" }), focused),
        (json!({ "focus": "root", "focused": true }), focused),
        (json!({ "focused": true }), focused),
        (json!({ "dirty": true }), focused),
        (json!({ "dirty": true, "dirtyComponents": ["b"] }), focused),
        (json!({ "focus": "c", "focused": true }), (DecisionKind::Patch, None)),
        (json!({ "dirty": true, "dirtyComponents": ["c"] }), (DecisionKind::Patch, None)),
    ] {
        let mut scene = Scene::new(row());
        scene.draw(json!([{ "id": "c", "component": "Text", "text": "c" }]));
        let mut report = json!(scene.report(json!([overflow("root")])));
        report.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let report = serde_json::from_value(report).unwrap();
        scene.tell(&report);
        scene.now += 500;
        assert_eq!(reason(&scene.tell(&report)), expected, "{more}");
    }
}

#[test]
fn a_row_is_stacked_only_if_all_who_look_see_it_too_wide() {
    let mut scene = Scene::new(row());
    let narrow = scene.report(json!([overflow("root")]));
    let mut wide = scene.report(json!([]));
    wide.client_id = Some("wide".into());
    scene.tell(&wide);
    scene.tell(&narrow);
    scene.now = 600;
    let verdict = scene.tell(&narrow);
    assert_eq!(reason(&verdict), (DecisionKind::Advise, Some(Reason::ViewportConflict)));
    assert_eq!(verdict.advice[0].code, "viewport_conflict");
    scene.now = 31_000;
    assert_eq!(reason(&scene.tell(&narrow)), (DecisionKind::Patch, None));
}

fn texts(variant: &str) -> Value {
    let one = |at: usize| json!({ "id": format!("t{at}"), "component": "Text", "text": "t", "variant": variant });
    (0..12).map(one).collect()
}

#[test]
fn the_budget_is_eight_until_the_owner_changes_the_structure() {
    let mut scene = Scene::new(texts("h5"));
    let findings: Value = (0..12)
        .map(|at| json!({ "code": "heading_order", "componentId": format!("t{at}"), "data": { "level": 5, "previous": 1 } }))
        .collect();
    let report = scene.report(findings);
    let run = |scene: &mut Scene| {
        let mut patches = 0;
        loop {
            scene.now += 500;
            let mut report = report.clone();
            report.revision = Some(scene.revision());
            let verdict = scene.tell(&report);
            if verdict.patch.is_none() && verdict.decision.reason != Some(Reason::Unconfirmed) {
                return (patches, verdict.decision);
            }
            patches += usize::from(verdict.patch.is_some());
        }
    };
    let (patches, last) = run(&mut scene);
    assert_eq!((patches, last.reason, last.budget_left), (8, Some(Reason::Budget), 0));
    // The same types and edges again are no change of the structure.
    scene.draw(json!([{ "id": "t11", "component": "Text", "text": "other", "variant": "h5" }]));
    assert_eq!(run(&mut scene).0, 0);
    scene.draw(json!([{ "id": "new", "component": "Text", "text": "t" }]));
    assert_eq!(run(&mut scene).0, 4);
}

#[test]
fn putting_a_patched_state_back_buys_nothing_and_is_contested_in_the_end() {
    let mut scene = Scene::new(row());
    let mut told = Vec::new();
    let mut patches = 0;
    for _ in 0..400 {
        scene.now += 1000;
        let verdict = scene.tell(&scene.report(json!([overflow("root")])));
        told.extend(verdict.advice.iter().map(|it| it.code.clone()));
        if verdict.patch.is_some() {
            patches += 1;
            scene.draw(json!([row()[0]]));
        }
    }
    assert_eq!((patches, told), (2, vec!["contested_component".to_owned()]));
    let last = scene.tell(&scene.report(json!([overflow("root")])));
    assert_eq!((last.decision.reason, last.decision.budget_left), (Some(Reason::Contested), 6));
}

#[test]
fn a_patch_that_makes_it_worse_is_taken_back_once() {
    let mut scene = Scene::new(row());
    scene.confirm(json!([overflow("root")]));
    assert_eq!(scene.component("root")["component"], "Column");
    let worse = json!([{ "code": "overflow_x", "componentId": "a", "data": { "px": 90 } }]);
    let mut elsewhere = scene.report(worse.clone());
    elsewhere.viewport.as_mut().unwrap().width = 1400.0;
    assert!(scene.tell(&elsewhere).patch.is_none());
    let verdict = scene.tell(&scene.report(worse));
    assert!(verdict.patch.unwrap().is_revert && verdict.learned.is_empty());
    assert_eq!(scene.component("root"), row()[0]);
    for _ in 0..200 {
        scene.now += 1000;
        let verdict = scene.tell(&scene.report(json!([overflow("root")])));
        assert!(verdict.patch.is_none());
    }
}

#[test]
fn a_patch_that_helps_is_learned() {
    let mut scene = Scene::new(row());
    scene.confirm(json!([overflow("root")]));
    let learned = scene.tell(&scene.report(json!([]))).learned.pop().unwrap();
    assert_eq!(
        (learned.strategy.word(), &*learned.code, &*learned.kind),
        ("stack_row", "content_overflow_x", "Row")
    );
    assert!(scene.tell(&scene.report(json!([]))).learned.is_empty());
}

#[test]
fn a_proposal_that_changes_nothing_is_not_made_again() {
    let mut scene =
        Scene::new(json!([{ "id": "t0", "component": "Text", "text": "t", "variant": "h2" }]));
    let finding = json!([{ "code": "heading_order", "componentId": "t0", "data": { "level": 2, "previous": 1 } }]);
    let verdict = scene.confirm(finding.clone());
    assert_eq!(reason(&verdict), (DecisionKind::None, Some(Reason::NoEffect)));
    scene.now += 500;
    assert_eq!(
        reason(&scene.tell(&scene.report(finding))),
        (DecisionKind::None, Some(Reason::Blacklisted))
    );
}

#[test]
fn a_report_cannot_lie_about_what_the_store_knows() {
    let mut scene = Scene::new(row());
    scene.now = 10_000;
    for finding in [
        json!({ "code": "missing_child", "componentId": "root", "data": { "property": "children", "ref": "a" } }),
        json!({ "code": "missing_child", "componentId": "root", "data": { "property": "children", "ref": "zzz" } }),
        json!({ "code": "missing_root" }),
        json!({ "code": "unknown_component", "componentId": "a", "data": { "type": "Chart" } }),
    ] {
        let verdict = scene.confirm(json!([finding]));
        assert!(verdict.patch.is_none() && verdict.advice.is_empty(), "{finding}");
    }
}

#[test]
fn where_only_advice_is_wanted_patches_are_told() {
    let mut scene = Scene::new(row());
    scene.mode = Mode::Advise;
    let verdict = scene.confirm(json!([overflow("root")]));
    assert_eq!(verdict.decision.kind, DecisionKind::Advise);
    assert_eq!(verdict.advice[0].data["strategy"], "stack_row");
    assert_eq!(scene.component("root"), row()[0]);
}
