//! Reports are passed on, and what they find is mended by envelopes that everybody hears.

use carport_core::{ManualClock, Time, codes, testing::TestHost};
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::{call, components, create, event, refused, text};

async fn scene(section: Value) -> (TestHost, std::sync::Arc<ManualClock>) {
    let clock = ManualClock::at(Time::default());
    let host = TestHost::builder().clock(clock.clone()).plugin("a2ui", section).start().await;
    let mut client = host.client().await;
    create(&mut client, "s").await;
    let row = json!({ "id": "root", "component": "Row", "children": ["a"], "align": "end" });
    call(&mut client, "a2ui.apply", components("s", json!([row, text("a")]))).await;
    (host, clock)
}

fn report(revision: u64) -> Value {
    json!({
        "surfaceId": "s", "revision": revision, "clientId": "r", "viewport": { "width": 375, "height": 600 },
        "findings": [{ "code": "content_overflow_x", "componentId": "root", "data": { "px": 40, "type": "Row" } }],
    })
}

#[tokio::test]
async fn a_confirmed_finding_is_mended_and_everybody_hears_it() {
    let (host, clock) = scene(json!({})).await;
    let mut client = host.client().await;
    call(&mut client, "a2ui/subscribe", json!({})).await;
    let first = call(&mut client, "a2ui.render_report", report(2)).await;
    assert_eq!(
        first,
        json!({ "accepted": true, "decision": { "kind": "deferred", "reason": "unconfirmed", "budgetLeft": 8 } })
    );
    let heard = event(&mut client).await;
    assert_eq!((&heard["kind"], &heard["result"]), (&json!("a2ui.render_report"), &report(2)));
    clock.advance(TimeDelta::milliseconds(500));
    let second = call(&mut client, "a2ui.render_report", report(2)).await;
    assert_eq!(
        second["decision"],
        json!({ "kind": "patch", "strategy": "stack_row", "revision": 5, "budgetLeft": 7 })
    );
    event(&mut client).await;
    let patch = event(&mut client).await;
    assert_eq!(
        (&patch["source"], &patch["strategy"], &patch["revision"], &patch["baseRevision"]),
        (&json!("ui_agent"), &json!("stack_row"), &json!(5), &json!(2))
    );
    assert_eq!(patch["findings"][0]["code"], "content_overflow_x");
    let column = json!({ "id": "root", "component": "Column", "children": ["a"], "justify": "start", "align": "stretch" });
    assert_eq!(patch["envelopes"], json!([components("s", json!([column]))]));
    assert_eq!(patch["result"]["surface"]["components"][0], column);
}

#[tokio::test]
async fn reports_of_other_daemons_clients_are_passed_on_and_come_to_nothing() {
    let (host, _) = scene(json!({})).await;
    let mut client = host.client().await;
    call(&mut client, "a2ui/subscribe", json!({})).await;
    let bare =
        call(&mut client, "a2ui.render_report", json!({ "surfaceId": "s", "screenshot": "x" }))
            .await;
    assert_eq!(bare, json!({ "accepted": true, "decision": { "kind": "none", "budgetLeft": 8 } }));
    assert_eq!(event(&mut client).await["result"]["screenshot"], "x");
    for _ in 0..3 {
        call(&mut client, "a2ui.render_report", report(2)).await;
        event(&mut client).await;
    }
    let fifth = call(&mut client, "a2ui.render_report", report(2)).await;
    assert_eq!(
        (&fifth["accepted"], &fifth["decision"]["reason"]),
        (&json!(false), &json!("rate_limited"))
    );
    assert!(!crate::has_event(&mut client).await);
}

#[tokio::test]
async fn reports_are_held_to_their_bounds() {
    let (host, _) = scene(json!({})).await;
    let mut client = host.client().await;
    for (change, field) in [
        (json!({ "clientId": "" }), "clientId"),
        (json!({ "clientId": "x".repeat(65) }), "clientId"),
        (json!({ "hostHeading": 7 }), "hostHeading"),
        (json!({ "findings": [{}] }), "findings[0].code"),
        (json!({ "surfaceId": null }), "surfaceId"),
    ] {
        let mut bad = report(2);
        bad.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        assert_eq!(
            refused(&mut client, "a2ui.render_report", bad, codes::INVALID_PARAMS).await["field"],
            field
        );
    }
    let deep = (0..70).fold(json!(0), |deep, _| json!([deep]));
    let mut bad = report(2);
    bad["findings"][0]["data"]["deep"] = deep;
    let data = refused(&mut client, "a2ui.render_report", bad, codes::INVALID_PARAMS).await;
    assert_eq!((&data["field"], &data["reason"]), (&json!("findings"), &json!("depth")));
    let mut many = report(2);
    many["findings"] = vec![json!({ "code": "x" }); 201].into();
    assert_eq!(
        refused(&mut client, "a2ui.render_report", many, codes::LIMIT).await["field"],
        "maxFindings"
    );
    let other = json!({ "surfaceId": "none" });
    refused(&mut client, "a2ui.render_report", other, codes::NOT_FOUND).await;
}

#[tokio::test]
async fn an_operator_may_want_advice_only_or_nothing() {
    for (improve, kind, reason) in
        [("advise", "advise", Value::Null), ("off", "none", json!("off"))]
    {
        let (host, clock) = scene(json!({ "improve": improve })).await;
        let mut client = host.client().await;
        call(&mut client, "a2ui.render_report", report(2)).await;
        clock.advance(TimeDelta::milliseconds(500));
        call(&mut client, "a2ui/subscribe", json!({ "lean": true })).await;
        let told = call(&mut client, "a2ui.render_report", report(2)).await;
        assert_eq!(
            (&told["decision"]["kind"], &told["decision"]["reason"]),
            (&json!(kind), &reason)
        );
        event(&mut client).await;
        if improve == "advise" {
            let advice = event(&mut client).await;
            assert_eq!(
                (&advice["kind"], &advice["source"]),
                (&json!("a2ui.advice"), &json!("ui_agent"))
            );
            assert_eq!(advice["result"]["advice"][0]["data"]["strategy"], "stack_row");
            assert_eq!((&advice["revision"], &advice["baseRevision"]), (&json!(2), &json!(2)));
        }
        assert!(!crate::has_event(&mut client).await);
    }
}
