//! Cards: what can be done here, which surfaces are drawn, and what only known callers see.

use std::sync::Arc;

use async_trait::async_trait;
use carport_a2a_api::types::Version;
use carport_agents_api::{AGENTS, Agent, Agents, Change, Chat, Turn};
use carport_core::{ManifestRole, Result, RpcError, testing::TestHostBuilder};
use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::{http::Listener, judge, scene::with_engine, sheet::with_sheet};

const CARD: &str = "/.well-known/agent-card.json";

struct OneAgent(broadcast::Sender<Change>);

#[async_trait]
impl Agents for OneAgent {
    fn list(&self) -> Vec<Agent> {
        vec![Agent {
            id: "helper".into(),
            name: "Helper".into(),
            capabilities: vec!["mail".into()],
            status: "running".into(),
            attached: true,
        }]
    }

    fn attached(&self, _: &str) -> Option<String> {
        None
    }

    fn role(&self) -> (Option<String>, ManifestRole) {
        (None, ManifestRole::Owner)
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.0.subscribe()
    }

    async fn chat(&self, _: Turn) -> Result<Chat> {
        Err(RpcError::not_found("nobody chats"))
    }
}

fn with_agent(builder: TestHostBuilder) -> TestHostBuilder {
    builder.config(|config| {
        config.provide(&AGENTS, Arc::new(OneAgent(broadcast::channel(1).0)) as Arc<dyn Agents>);
    })
}

fn ids(card: &Value) -> Vec<&str> {
    card["skills"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect()
}

async fn card(listener: &Listener, path: &str) -> Value {
    let card = listener.raw("GET", path, &[], "").await.json().await;
    let version = if path == CARD { Version::V1 } else { Version::V03 };
    judge::card(version, &card);
    card
}

#[tokio::test]
async fn tools_and_agents_are_skills_in_either_version() {
    let host = with_agent(with_engine()).start().await;
    let listener = Listener::of(&host, json!({})).await;
    for path in [CARD, "/.well-known/agent.json"] {
        let card = card(&listener, path).await;
        assert_eq!(ids(&card), ["echo", "agent:helper"], "{path}");
        assert_eq!(card["skills"][0]["tags"], json!(["tool"]));
        let agent = json!({ "id": "agent:helper", "name": "Helper", "tags": ["agent", "mail"],
            "description": "An agent that this daemon runs, for mail." });
        assert_eq!(card["skills"][1], agent);
    }
}

#[tokio::test]
async fn surfaces_are_announced_where_they_are_drawn() {
    let plain = with_engine().start().await;
    let without = card(&Listener::of(&plain, json!({})).await, CARD).await;
    assert_eq!(without["capabilities"].get("extensions"), None);
    assert_eq!(without["defaultInputModes"], json!(["text/plain", "application/json"]));

    let host = with_sheet(with_engine()).0.start().await;
    let listener = Listener::of(&host, json!({})).await;
    for path in [CARD, "/.well-known/agent.json"] {
        let card = card(&listener, path).await;
        let announced = card["capabilities"]["extensions"].as_array().unwrap();
        for (extension, version) in announced.iter().zip(["v0.9", "v0.9.1"]) {
            assert_eq!(extension["uri"], format!("https://a2ui.org/a2a-extension/a2ui/{version}"));
            assert_eq!(extension["required"], false);
            let params =
                json!({ "supportedCatalogIds": ["urn:catalog"], "acceptsInlineCatalogs": false });
            assert_eq!(extension["params"], params);
        }
        assert_eq!(announced.len(), 2);
        let modes = json!(["text/plain", "application/json", "application/a2ui+json"]);
        assert_eq!((&card["defaultInputModes"], &card["defaultOutputModes"]), (&modes, &modes));
    }
    let uri = "https://a2ui.org/a2a-extension/a2ui/v0.9";
    let section = json!({ "extensions": [{ "uri": uri, "required": true }] });
    let host = with_sheet(with_engine()).0.plugin("a2a", section).start().await;
    let card = card(&Listener::of(&host, json!({})).await, CARD).await;
    let announced = card["capabilities"]["extensions"].as_array().unwrap();
    assert_eq!(
        (announced.len(), &announced[0]["required"]),
        (2, &json!(true)),
        "an operator's word stands"
    );
}

#[tokio::test]
async fn the_extended_card_says_more_to_known_callers_only() {
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("ann");
    std::fs::write(&token, "token-of-ann").unwrap();
    let section = json!({
        "tokens": { "ann": format!("file:{}", token.display()) },
        "extended": { "description": "For those we know.", "documentation_url": "https://docs.example/",
            "skills": [{ "id": "echo", "name": "Echo", "description": "With more words.", "tags": ["x"] },
                { "id": "pay", "name": "Pay", "description": "Pays.", "examples": ["pay 5"] }] },
    });
    let host = with_engine().plugin("a2a", section).start().await;
    let listener = Listener::of(&host, json!({ "auth": "bearer" })).await;
    let public = card(&listener, CARD).await;
    assert_eq!((ids(&public), public.get("documentationUrl")), (vec!["echo"], None));
    assert_eq!(public["capabilities"]["extendedAgentCard"], true);
    let refused = listener.post("GetExtendedAgentCard", json!({}), &[("A2A-Version", "1.0")]).await;
    assert_eq!(refused.status, 401);
    let known = [("Authorization", "Bearer token-of-ann")];
    for (method, version) in
        [("GetExtendedAgentCard", "1.0"), ("agent/getAuthenticatedExtendedCard", "0.3")]
    {
        let headers = [known[0], ("A2A-Version", version)];
        let mut answer = listener.post(method, json!({}), &headers).await.json().await;
        judge::envelope(method, &answer);
        let card = answer["result"].take();
        assert_eq!(
            (ids(&card), &card["skills"][0]["description"]),
            (vec!["echo", "pay"], &json!("With more words."))
        );
        assert_eq!(
            (&card["description"], &card["documentationUrl"]),
            (&json!("For those we know."), &json!("https://docs.example/"))
        );
        assert_eq!(card["skills"][1]["examples"], json!(["pay 5"]));
    }
    let own = host.client().await.raw("GetExtendedAgentCard", json!({})).await.unwrap();
    judge::result("GetExtendedAgentCard", &own);
    assert_eq!(ids(&own), ["echo", "pay"], "on this connection everybody is known");
    let told =
        |card: &Value| (card["supportedInterfaces"][0].clone(), card["capabilities"].clone());
    assert_eq!(told(&own), told(&public), "the listener is where peers come");
    let mut client = host.client().await;
    client.raw("a2a.stop", json!({})).await.unwrap();
    let alone = client.raw("GetExtendedAgentCard", json!({})).await.unwrap();
    let (interface, capabilities) = told(&alone);
    assert_eq!(interface["protocolBinding"], "urn:carport:a2a:jsonrpc-websocket:1");
    assert_eq!(capabilities["streaming"], false);
}

#[tokio::test]
async fn without_callers_that_are_known_there_is_no_extended_card() {
    let host = with_engine().start().await;
    let listener = Listener::of(&host, json!({})).await;
    assert_eq!(card(&listener, CARD).await["capabilities"]["extendedAgentCard"], false);
    let answer = listener.post("GetExtendedAgentCard", json!({}), &[("A2A-Version", "1.0")]).await;
    assert_eq!(answer.json().await["error"]["code"], -32004);
}
