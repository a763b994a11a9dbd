//! What other plugins see of a connection goes into its journal and its metrics.

use std::sync::Arc;

use carport_core::{Access, Caller, Method, Plugin, Result, StartContext, testing::TestHost};
use carport_engine_api::{ENGINE, Engine, Observed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::events;

carport_core::plugin!(Watcher { methods: [Watch] });

/// Another plugin, which meters inferences and evaluates goals.
struct Watcher(Arc<dyn Engine>);

impl Plugin for Watcher {
    const ID: &'static str = "watcher";
    const REQUIRES: &'static [&'static str] = &[ENGINE.name()];
    type Config = ();

    async fn start(cx: &mut StartContext<'_>) -> Result<Self> {
        cx.require(&ENGINE).map(Self)
    }
}

/// Sees one inference and one goal of the caller's connection.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Watch {}

impl Method for Watch {
    const NAME: &'static str = "watcher.watch";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Watcher;
    type Reply = ();

    async fn run(self, watcher: &Watcher, caller: &Caller) -> Result<()> {
        let agent = Some("builder".into());
        let inference = Observed::Inference { agent, tokens_in: 10, tokens_out: 5, cost_usd: 0.25 };
        let goal = Observed::Goal {
            goal: "g".into(),
            iteration: 1,
            met: true,
            grounded: false,
            reason: Some("Bearer abcdef said so".into()),
        };
        for observed in [inference, goal] {
            watcher.0.observe(caller.session(), observed).await?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn inferences_and_goals_are_counted() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    for _ in 0..2 {
        client.raw("watcher.watch", json!({})).await.unwrap();
    }
    let costs = client.raw("events.cost_by_agent", json!({})).await.unwrap();
    let row = json!({ "agent": "builder", "calls": 2, "tokens_in": 20, "tokens_out": 10, "cost_usd": 0.5 });
    assert_eq!(costs, json!([row]));
    let summary = client.raw("metrics.summary", json!({})).await.unwrap();
    assert_eq!(summary["cost_by_agent"], costs);
    assert_eq!((&summary["goals_met"], &summary["goals_ungrounded"]), (&json!(2), &json!(2)));
    let params = json!({ "max_cost_usd": 0.4, "max_goals_ungrounded": 1 });
    let alerts = client.raw("metrics.alerts", params).await.unwrap()["alerts"].clone();
    let kinds: Vec<_> = alerts.as_array().unwrap().iter().map(|it| it["kind"].clone()).collect();
    assert_eq!(kinds, ["cost_overage", "goal_ungrounded"]);
    // What is let go was spent all the same.
    let keep = json!({ "policy": { "max_events": 1 } });
    client.raw("events.retention", keep).await.unwrap();
    let summary = client.raw("metrics.summary", json!({})).await.unwrap();
    assert_eq!((&summary["cost_usd"], &summary["cumulative_cost_usd"]), (&json!(0.0), &json!(0.5)));
    let goals = events(&mut client, "goal_evaluated").await;
    assert!(!goals[0].to_string().contains("abcdef"));
    assert_eq!(host.client().await.raw("events.count", json!({})).await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_seen_of_a_connection_that_ended_makes_no_runtime() {
    let host = TestHost::start().await;
    let agent = host.agent("builder").await;
    let session = host.session_of("builder");
    agent.close().await;
    host.emptied().await;
    let goal =
        Observed::Goal { goal: "g".into(), iteration: 1, met: true, grounded: true, reason: None };
    assert!(host.service(&ENGINE).observe(&session, goal).await.is_err());
    assert_eq!(std::fs::read_dir(host.root().join("journals")).unwrap().count(), 0);
}
