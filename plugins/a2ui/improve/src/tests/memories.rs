//! What reports cost: time under the store's lock, and what is remembered of them.

use std::time::{Duration, Instant};

use carport_a2ui_surfaces::Limits;
use serde_json::{Value, json};

use super::{Scene, overflow, row};
use crate::{Mode, Reason, Report, loops::MOST_BYTES};

fn text(id: &str) -> Value {
    json!({ "id": id, "component": "Text", "text": "t" })
}

/// What an operator may set.
fn unbounded() -> Limits {
    Limits { max_drawn_components: usize::MAX, max_list_items: usize::MAX, ..Limits::default() }
}

#[test]
fn a_report_walks_the_surface_a_few_times_whatever_it_says() {
    // Forty layers of rows, each row over all of the next layer: 62 000 edges, and many more ways down.
    let id = |layer: usize, at: usize| format!("r{layer}-{at}");
    let below = |layer: usize| (0..40).map(|at| id(layer + 1, at)).collect::<Vec<_>>();
    let layer = |layer: usize| {
        (0..40).map(
            move |at| json!({ "id": id(layer, at), "component": "Row", "children": below(layer) }),
        )
    };
    let mut scene = Scene::within(unbounded(), (0..39).flat_map(layer).collect());
    let rows = (0..200).map(|at| overflow(&id(at / 40, at % 40)));
    let mut report = scene.report(rows.collect());
    // What nothing leads to: whoever looks for it walks everywhere.
    scene.draw((0..64).map(|at| text(&format!("d{at}"))).collect());
    report.revision = Some(scene.revision());
    report.dirty_components = Some((0..64).map(|at| format!("d{at}")).collect());
    let started = Instant::now();
    scene.tell(&report);
    scene.now += 500;
    let patch = scene.tell(&report).patch.unwrap();
    assert_eq!(patch.findings[0].component_id.as_deref(), Some("r4-0"));
    // It is a part of a second; a walk for each finding and each component takes many minutes.
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    report.revision = Some(scene.revision());
    report.dirty_components = Some((0..60_000).map(|at| format!("d{at}")).collect());
    assert_eq!(scene.tell(&report).decision.reason, Some(Reason::Focused));
}

#[test]
fn texts_of_reports_are_not_remembered() {
    let mut scene = Scene::new(row());
    scene.tell(&scene.report(json!([])));
    let bare = scene.loops.bytes();
    let long = "x".repeat(100_000);
    scene
        .tell(&scene.report(json!([{ "code": long }, { "code": "nonsense", "componentId": "a" }])));
    assert_eq!(scene.loops.bytes(), bare);
    let axe = |id: &str| json!({ "code": "axe", "componentId": id, "data": { "rule": "label" } });
    let mut report = scene.report(json!([axe(&long), axe("a")]));
    report.focus = Some(long.clone());
    report.dirty_components = Some(vec![long; 3]);
    scene.tell(&report);
    assert!(scene.loops.bytes() < bare + 1000);
    scene.now += 500;
    // What is not there is not confirmed either.
    let told = scene.tell(&report).advice;
    assert!(told.len() == 1 && told[0].component_id.as_deref() == Some("a"), "{}", told.len());
}

fn crowd(scene: &mut Scene, surface: &str, held: &[String]) {
    for at in 0..64 {
        let report = Report {
            surface_id: surface.to_owned(),
            dirty_components: Some(held.to_vec()),
            ..scene.report_of(&format!("crowd{at}"), json!([]))
        };
        let revision =
            scene.store.get(&carport_a2ui_api::Actor::UiAgent, surface).unwrap().revision;
        scene.tell(&Report { revision: Some(revision), ..report });
    }
}

#[test]
fn what_is_remembered_of_all_surfaces_is_bounded() {
    let mut scene = Scene::new(row());
    let ids: Vec<_> = (0..64).map(|at| format!("c{at}")).collect();
    let (mut most, mut last) = (0, 0);
    for at in 0..45 {
        let surface = format!("s{at}");
        scene.send(json!({ "createSurface": { "surfaceId": surface } }));
        let components: Value = ids.iter().map(|id| text(id)).collect();
        scene.send(
            json!({ "updateComponents": { "surfaceId": surface, "components": components } }),
        );
        scene.now += 10;
        crowd(&mut scene, &surface, &ids);
        last = scene.loops.bytes();
        most = most.max(last);
        assert!(last <= MOST_BYTES, "{last} bytes after {at} surfaces");
    }
    assert!(most > MOST_BYTES - (512 << 10) && last > MOST_BYTES / 2, "{most}, {last}");
}

#[test]
fn a_renderer_that_was_crowded_out_keeps_its_word() {
    let mut scene = Scene::new(row());
    scene.tell(&scene.report_of("wide", json!([])));
    scene.now += 10;
    scene.tell(&scene.report(json!([overflow("root")])));
    for at in 0..63 {
        scene.now += 10;
        scene.tell(&scene.report_of(&format!("crowd{at}"), json!([overflow("root")])));
    }
    let verdict = scene.tell(&scene.report(json!([overflow("root")])));
    assert!(verdict.patch.is_none());
    scene.now += 31_000;
    assert!(scene.tell(&scene.report(json!([overflow("root")]))).patch.is_some());
}

#[test]
fn advice_on_one_report_is_not_larger_than_the_surface_by_far() {
    let wide = |id: &str| {
        let children: Vec<_> = (0..12_000).map(|at| format!("child-{id}-{at}")).collect();
        json!({ "id": id, "component": "Row", "children": children })
    };
    let ids = ["p", "q", "r", "s"];
    let mut scene = Scene::within(unbounded(), json!([wide("p"), wide("q"), wide("r"), wide("s")]));
    scene.mode = Mode::Advise;
    let report = scene.report(ids.iter().map(|id| overflow(id)).collect());
    scene.tell(&report);
    let mut told = Vec::new();
    for _ in 0..4 {
        scene.now += 500;
        told.push(scene.tell(&report).advice.len());
    }
    assert_eq!((told.iter().sum::<usize>(), told[0] < 4, told[3]), (4, true, 0), "{told:?}");
}
