//! Fifty surfaces whose agents undo patches in one way or another: the loop always falls silent.

use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::{Value, json};

use super::{Scene, overflow};

/// What an agent does about a patch.
#[derive(Debug, Clone, Copy)]
enum Agent {
    /// Lets it be.
    Content,
    /// Sends its own again.
    Stubborn,
    /// Sends its own again, each time a little otherwise.
    Drifting,
    /// Sends its own again after a while.
    Slow,
    /// Sends its own again now and then.
    Moody,
}

fn page(drift: usize) -> Value {
    json!([
        { "id": "root", "component": "Column", "children": ["r1", "r2", "h", "i", "gone", "l"] },
        { "id": "r1", "component": "Row", "children": ["b"], "weight": drift },
        { "id": "r2", "component": "Row", "children": ["f"], "justify": "center", "weight": drift },
        { "id": "h", "component": "Text", "text": format!("h{drift}"), "variant": "h5" },
        { "id": "i", "component": "Image", "url": format!("https://a/{drift}") },
        { "id": "b", "component": "Badge", "text": format!("b{drift}") },
        { "id": "f", "component": "TextField", "label": "l", "value": { "path": "/v" } },
        { "id": "l", "component": "List", "children": { "componentId": "h", "path": "/items" } },
    ])
}

/// What a renderer finds on the page as it is.
fn findings(scene: &Scene) -> Value {
    let mut found = Vec::new();
    for id in ["r1", "r2"] {
        if scene.component(id)["component"] == "Row" {
            found.push(overflow(id));
        }
    }
    if scene.component("h")["variant"] == "h5" {
        found.push(json!({ "code": "heading_order", "componentId": "h", "data": { "level": 5, "previous": 1 } }));
    }
    if scene.component("i")["component"] == "Image" {
        found.push(json!({ "code": "broken_image", "componentId": "i" }));
    }
    if scene.component("b")["component"] == "Badge" {
        found.push(
            json!({ "code": "unknown_component", "componentId": "b", "data": { "type": "Badge" } }),
        );
    }
    if scene.component("gone").is_null() {
        found.push(json!({ "code": "missing_child", "componentId": "root", "data": { "property": "children", "ref": "gone" } }));
    }
    found.push(json!({ "code": "missing_binding", "componentId": "f", "data": { "property": "value", "path": "/v" } }));
    found.push(json!({ "code": "empty_list", "componentId": "l", "data": { "path": "/items" } }));
    found.into()
}

/// Drives one surface. Returns when each patch was made.
fn drive(agent: Agent, seconds: i64, moods: &[bool]) -> Vec<i64> {
    let mut scene = Scene::new(page(0));
    scene.send(json!({ "updateDataModel": { "surfaceId": "s", "value": { "items": [] } } }));
    let (mut patches, mut drift, mut undo_at) = (Vec::new(), 0, None);
    // Every second at first, then every minute: cool-downs and agents take their time.
    for second in (1..60).chain((60..seconds).step_by(60)) {
        scene.now = second * 1000;
        if undo_at.is_some_and(|at| second >= at) {
            undo_at = None;
            drift += usize::from(matches!(agent, Agent::Drifting));
            scene.draw(page(drift));
            scene.send(json!({ "updateDataModel": { "surfaceId": "s", "path": "/v" } }));
        }
        let verdict = scene.tell(&scene.report(findings(&scene)));
        if verdict.patch.is_some() {
            patches.push(second);
            undo_at = match agent {
                Agent::Content => None,
                Agent::Stubborn | Agent::Drifting => Some(second + 1),
                Agent::Slow => Some(second + 90),
                Agent::Moody => moods[patches.len() % moods.len()].then_some(second + 1),
            };
        }
    }
    patches
}

#[test]
fn fifty_surfaces_get_at_most_eight_patches_and_fall_silent() {
    let agents = vec![Agent::Content, Agent::Stubborn, Agent::Drifting, Agent::Slow, Agent::Moody];
    let one = (prop::sample::select(agents), prop::collection::vec(any::<bool>(), 1..9));
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 1,
        failure_persistence: None,
        ..Default::default()
    });
    let fifty = prop::collection::vec(one, 50);
    let seconds = 4000;
    runner
        .run(&fifty, |surfaces| {
            for (agent, moods) in surfaces {
                let patches = drive(agent, seconds, &moods);
                prop_assert!(
                    !patches.is_empty() && patches.len() <= 8,
                    "{:?}: {:?}",
                    agent,
                    patches
                );
                prop_assert!(
                    patches.iter().all(|at| *at < seconds / 2),
                    "{:?}: {:?}",
                    agent,
                    patches
                );
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn two_renderers_of_different_widths_see_one_layout_patch_at_the_most() {
    let mut scene = Scene::new(page(0));
    let mut patches = 0;
    for second in 1..600 {
        scene.now = second * 1000;
        let found = if scene.component("r1")["component"] == "Row" {
            json!([overflow("r1")])
        } else {
            json!([])
        };
        patches += usize::from(scene.tell(&scene.report(found)).patch.is_some());
        scene.now += 100;
        let mut wide = scene.report(json!([]));
        wide.client_id = Some("wide".into());
        wide.viewport.as_mut().unwrap().width = 1400.0;
        patches += usize::from(scene.tell(&wide).patch.is_some());
    }
    assert!(patches <= 1, "{patches}");
}
