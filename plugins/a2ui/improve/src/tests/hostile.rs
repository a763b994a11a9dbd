//! Agents and renderers that want the loop to go on for ever, to lie to it, or to disturb somebody.

use carport_a2ui_surfaces::Limits;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Scene, overflow, row};
use crate::{DecisionKind, Reason};

fn button(id: &str, weight: usize) -> Value {
    json!({ "id": id, "component": "Button", "child": "t", "variant": "borderless", "weight": weight,
        "action": { "event": { "name": "n" } } })
}

fn text(id: &str) -> Value {
    json!({ "id": id, "component": "Text", "text": id })
}

fn small(id: &str) -> Value {
    json!({ "code": "small_target", "componentId": id, "data": { "width": 10, "height": 10 } })
}

/// How many patches an agent gets that draws `next` after each of them.
fn fight(first: Value, finding: impl Fn(usize) -> Value, next: impl Fn(usize) -> Value) -> usize {
    let (mut scene, mut patches) = (Scene::new(first), 0);
    for second in 1..2000 {
        scene.now = second * 10_000;
        if scene.tell(&scene.report(json!([finding(patches)]))).patch.is_some() {
            patches += 1;
            scene.draw(next(patches));
        }
    }
    patches
}

#[test]
fn whoever_undoes_a_patch_by_something_a_little_different_is_contested() {
    let first = json!([button("x", 0), text("t")]);
    let next = |at: usize| json!([button("x", at), text(&format!("new{at}"))]);
    assert_eq!(fight(first, |_| small("x"), next), 2);
}

#[test]
fn what_was_patched_away_and_comes_back_under_another_id_buys_nothing() {
    let first = json!([button("x0", 0), text("t")]);
    let id = |at: usize| format!("x{at}");
    assert_eq!(fight(first, |at| small(&id(at)), |at| json!([button(&id(at), at)])), 8);
}

#[test]
fn a_patch_that_is_taken_back_by_the_loop_is_nothing_that_the_owner_restores() {
    let mut scene = Scene::new(row());
    scene.confirm(json!([overflow("root")]));
    let worse = json!([overflow("root"), { "code": "overflow_x", "componentId": "a" }]);
    assert!(scene.tell(&scene.report(worse)).patch.unwrap().is_revert);
    let mut column = row()[0].clone();
    column["component"] = "Column".into();
    scene.draw(json!([column]));
    assert_eq!(scene.tell(&scene.report(json!([]))).decision.budget_left, 8);
}

#[test]
fn a_component_is_contested_still_when_it_comes_back_after_it_made_room() {
    let limits = Limits { max_components: 3, ..Limits::default() };
    let small_row = json!({ "id": "x", "component": "Row", "children": ["a"] });
    let mut scene = Scene::within(limits, json!([small_row]));
    let mut patches = 0;
    for second in 1..300 {
        scene.now = second * 1000;
        if scene.tell(&scene.report(json!([overflow("x")]))).patch.is_some() {
            patches += 1;
            scene.draw(json!([small_row]));
        }
    }
    scene.draw(json!([text("a"), text("b"), text("c")]));
    assert!(scene.component("x").is_null());
    scene.draw(json!([small_row]));
    let last = scene.confirm(json!([overflow("x")]));
    assert_eq!((patches, last.decision.reason), (2, Some(Reason::Contested)));
}

#[test]
fn nobody_drew_a_revision_that_is_still_to_come() {
    let mut scene = Scene::new(row());
    let mut report = scene.report(json!([overflow("root")]));
    report.revision = Some(scene.revision() + 1);
    for _ in 0..3 {
        scene.now += 500;
        assert_eq!(scene.tell(&report).decision.reason, Some(Reason::Stale));
    }
}

/// A list `x` in a column beside `a`, and another list that is full.
fn lists() -> Scene {
    let mut scene = Scene::new(json!([
        { "id": "root", "component": "Column", "children": ["x", "full", "a"] }, text("a"), text("t"),
        { "id": "x", "component": "List", "children": { "componentId": "t", "path": "/none" } },
        { "id": "full", "component": "List", "children": { "componentId": "t", "path": "/some" } },
    ]));
    let data = json!({ "none": [], "some": [1] });
    scene.send(json!({ "updateDataModel": { "surfaceId": "s", "value": data } }));
    scene
}

fn empty(id: &str, path: &str) -> Value {
    json!({ "code": "empty_list", "componentId": id, "data": { "path": path } })
}

#[test]
fn a_list_is_not_empty_because_another_is() {
    let mut scene = lists();
    assert!(scene.confirm(json!([empty("full", "/none")])).patch.is_none());
    let not_a_list =
        json!({ "code": "list_not_array", "componentId": "a", "data": { "path": "/x" } });
    assert!(scene.confirm(json!([not_a_list])).advice.is_empty());
    assert!(scene.confirm(json!([empty("x", "/none")])).patch.is_some());
}

#[test]
fn nobody_is_disturbed_in_what_a_patch_writes_beside_the_component() {
    let mut scene = lists();
    let mut report = scene.report(json!([empty("x", "/none")]));
    report.focus = Some("a".into());
    scene.tell(&report);
    scene.now += 500;
    let verdict = scene.tell(&report);
    assert_eq!(
        (verdict.decision.kind, verdict.decision.reason),
        (DecisionKind::Deferred, Some(Reason::Focused))
    );
    report.focus = None;
    assert!(scene.tell(&report).patch.is_some());
}

#[test]
fn nobody_is_disturbed_by_what_another_renderer_reports() {
    let mut scene = Scene::new(json!([button("x", 0), text("t")]));
    let mut typing = scene.report_of("typing", json!([]));
    typing.focus = Some("t".into());
    scene.tell(&typing);
    let verdict = scene.confirm(json!([small("x")]));
    assert_eq!(verdict.decision.reason, Some(Reason::Focused));
    scene.now += 31_000;
    assert!(scene.tell(&scene.report(json!([small("x")]))).patch.is_some());
}

#[test]
fn what_made_it_worse_stays_while_somebody_is_there() {
    let mut scene = Scene::new(row());
    scene.confirm(json!([overflow("root")]));
    let mut worse = scene.report(json!([{ "code": "overflow_x", "componentId": "a" }]));
    worse.focus = Some("b".into());
    for _ in 0..3 {
        scene.now += 500;
        let verdict = scene.tell(&worse);
        assert_eq!(verdict.decision.reason, Some(Reason::Focused));
        assert_eq!(scene.component("root")["component"], "Column");
    }
    // It was judged by the first report, whatever is seen since.
    let verdict = scene.tell(&scene.report(json!([])));
    assert!(verdict.patch.is_some_and(|it| it.is_revert));
    assert_eq!(scene.component("root"), row()[0]);
    assert!(scene.tell(&scene.report(json!([]))).patch.is_none());
}

#[test]
fn patches_for_several_renderers_are_judged_each() {
    let mut scene = Scene::new(json!([button("x", 0), button("y", 0), text("t")]));
    for (client, id) in [("p", "x"), ("q", "y")] {
        scene.tell(&scene.report_of(client, json!([small(id)])));
        scene.now += 500;
        assert!(scene.tell(&scene.report_of(client, json!([small(id)]))).patch.is_some());
    }
    let worse = json!([{ "code": "overflow_x", "componentId": "t" }]);
    for (client, id) in [("p", "x"), ("q", "y")] {
        assert_eq!(scene.component(id)["variant"], "default");
        let verdict = scene.tell(&scene.report_of(client, worse.clone()));
        assert!(verdict.patch.is_some_and(|it| it.is_revert), "{client}");
        assert_eq!(scene.component(id)["variant"], "borderless");
    }
}

#[test]
fn nothing_is_learned_of_a_patch_that_somebody_undid() {
    let mut scene = Scene::new(row());
    scene.confirm(json!([overflow("root")]));
    scene.draw(json!([row()[0]]));
    assert!(scene.tell(&scene.report(json!([overflow("root")]))).learned.is_empty());
}

#[test]
fn no_component_of_the_owner_goes_for_one_of_the_loop() {
    let limits = Limits { max_components: 2, ..Limits::default() };
    let parent = json!({ "id": "root", "component": "Column", "children": ["gone"] });
    let mut scene = Scene::within(limits, json!([parent, text("waits")]));
    scene.now = 10_000;
    let finding =
        json!({ "code": "missing_child", "componentId": "root", "data": { "ref": "gone" } });
    assert!(scene.confirm(json!([finding])).patch.is_none());
    assert!(!scene.component("waits").is_null());
}

#[test]
fn a_renderer_without_texts_is_sent_no_text_instead_of_one() {
    let mut scene = Scene::new(json!([text("x")]));
    let finding =
        json!({ "code": "unknown_component", "componentId": "x", "data": { "type": "Text" } });
    assert!(scene.confirm(json!([finding])).patch.is_none());
}

#[test]
fn each_child_that_is_missing_is_announced() {
    let parent = json!({ "id": "root", "component": "Column", "children": ["p", "q"] });
    let mut scene = Scene::new(json!([parent]));
    let missing =
        |id: &str| json!({ "code": "missing_child", "componentId": "root", "data": { "ref": id } });
    for _ in 0..3 {
        scene.now += 10_000;
        scene.tell(&scene.report(json!([missing("p"), missing("q"), missing("q")])));
    }
    scene.now += 10_000;
    scene.tell(&scene.report(json!([missing("q")])));
    assert!(!scene.component("p").is_null() && !scene.component("q").is_null());
}

/// A report of anything, by anyone.
fn any_report() -> impl Strategy<Value = Value> {
    let codes = [
        "unknown_component",
        "missing_root",
        "missing_child",
        "overflow_x",
        "content_overflow_x",
        "missing_binding",
        "empty_list",
        "heading_order",
        "small_target",
        "axe",
        "nonsense",
    ];
    let ids = ["root", "x", "full", "a", "t", "gone", ""];
    let finding = (
        prop::sample::select(codes.to_vec()),
        prop::sample::select(ids.to_vec()),
        0..9_u8,
    )
        .prop_map(|(code, id, number)| {
            let data = json!({
                "px": 40, "level": number, "previous": number / 2, "ref": "gone", "path": "/none",
                "rule": "color-contrast", "property": "value",
            });
            json!({ "code": code, "componentId": id, "data": data })
        });
    let findings = prop::collection::vec(finding, 0..6);
    (findings, 0..4_u8, any::<bool>(), 0..900_i64).prop_map(|(findings, client, focused, wait)| {
        json!({ "findings": findings, "client": client, "focused": focused && client == 0, "wait": wait })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..Default::default() })]

    #[test]
    fn whatever_renderers_say_a_surface_gets_eight_patches_and_each_goes_once(
        reports in prop::collection::vec(any_report(), 1..120),
    ) {
        let (mut scene, mut patches, mut reverts) = (lists(), 0, 0);
        for told in reports {
            scene.now += told["wait"].as_i64().unwrap_or_default();
            let client = format!("c{}", told["client"]);
            let mut report = scene.report_of(&client, told["findings"].clone());
            report.focused = told["focused"].as_bool();
            match scene.tell(&report).patch {
                Some(patch) if patch.is_revert => reverts += 1,
                Some(_) => patches += 1,
                None => {}
            }
        }
        prop_assert!(patches <= 8 && reverts <= patches, "{patches} patches, {reverts} reverts");
    }
}
