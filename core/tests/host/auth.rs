//! Who a connection is, and how it came to be that.

use std::sync::Arc;

use async_trait::async_trait;
use carport_core::{
    AGENT_AUTHORITY, AgentAuthority, AllowedMethods, AuthMode, Guarded, Result as RpcResult,
    RpcError, Session, Token, Vouch, codes,
    testing::{HOST_TOKEN, TOKEN, TestHost},
};
use serde_json::{Value, json};

async fn role(host: &TestHost, proof: Value) -> Result<Value, i32> {
    let mut stranger = host.stranger().await;
    let reply = stranger.raw("session.auth", proof).await.map_err(|error| error.code)?;
    Ok(reply["role"].clone())
}

#[tokio::test]
async fn each_proof_makes_its_own_identity() {
    let host = TestHost::start().await;
    assert_eq!(role(&host, json!({ "token": TOKEN })).await, Ok(json!("client")));
    assert_eq!(role(&host, json!({ "host_token": HOST_TOKEN })).await, Ok(json!("host")));
    let both = json!({ "token": "wrong", "host_token": HOST_TOKEN });
    assert_eq!(role(&host, both).await, Ok(json!("host")));
    let agent = json!({ "token": TOKEN, "agent_id": "a", "memory_namespace": "shop" });
    let mut stranger = host.stranger().await;
    let reply = stranger.raw("session.auth", agent).await.unwrap();
    assert_eq!((&reply["role"], &reply["agent_id"]), (&json!("agent"), &json!("a")));
    assert_eq!(reply["memory_namespace"], "shop");
    assert!(reply["client_id"].as_str().unwrap().starts_with("c-"));
    assert_eq!(reply["auth_enabled"], true);
}

#[tokio::test]
async fn a_wrong_proof_leaves_the_socket_open_until_the_fifth() {
    let host = TestHost::start().await;
    let mut stranger = host.stranger().await;
    for wrong in [
        json!({ "token": "wrong" }),
        json!({ "token": format!("{TOKEN}\n") }),
        json!({ "token": HOST_TOKEN }),
        json!({ "host_token": TOKEN }),
    ] {
        let error = stranger.raw("session.auth", wrong).await.unwrap_err();
        assert_eq!(error.code, codes::NOT_AUTHENTICATED);
        assert!(error.message.starts_with("auth failed: token mismatch"), "{}", error.message);
    }
    let error = stranger.raw("session.auth", json!({})).await.unwrap_err();
    assert_eq!(error.code, codes::NOT_AUTHENTICATED);
    assert_eq!(stranger.closed().await, Some(1008));

    let mut careless = host.stranger().await;
    careless.raw("session.auth", json!({ "token": "wrong" })).await.unwrap_err();
    careless.raw("session.auth", json!({ "token": TOKEN })).await.unwrap();
    assert!(careless.raw("server.ping", json!({})).await.is_ok());
}

#[tokio::test]
async fn parameters_that_contradict_each_other_are_refused() {
    let host = TestHost::start().await;
    for (proof, field) in [
        (json!({ "host_token": HOST_TOKEN, "agent_id": "a" }), "agent_id"),
        (json!({ "token": TOKEN, "agent_id": "../a" }), "agent_id"),
        (json!({ "token": TOKEN, "agent_id": ".a" }), "agent_id"),
        (json!({ "token": "" }), "token"),
        (json!({ "token": "x".repeat(513) }), "token"),
        (json!({ "token": 7 }), "token"),
        (json!({ "token": TOKEN, "memory_namespace": "" }), "memory_namespace"),
        (json!({ "token": TOKEN, "memory_namespace": "a\nb" }), "memory_namespace"),
        (json!({ "token": TOKEN, "memory_namespace": "A".repeat(67) }), "memory_namespace"),
    ] {
        let error = host.stranger().await.raw("session.auth", proof.clone()).await.unwrap_err();
        assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some(field)), "{proof}");
    }
}

#[tokio::test]
async fn an_identity_rises_once_and_a_namespace_is_bound_once() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    assert!(client.raw("session.auth", json!({ "token": TOKEN })).await.is_ok());
    let bind = json!({ "host_token": HOST_TOKEN, "memory_namespace": "n" });
    assert_eq!(client.raw("session.auth", bind).await.unwrap()["role"], "host");
    for other in [
        json!({ "token": TOKEN }),
        json!({ "token": TOKEN, "agent_id": "a" }),
        json!({ "host_token": HOST_TOKEN, "memory_namespace": "m" }),
    ] {
        let error = client.raw("session.auth", other.clone()).await.unwrap_err();
        assert_eq!(error.code, codes::CONFLICT, "{other}");
    }
    let same = client.raw("session.auth", json!({ "host_token": HOST_TOKEN })).await.unwrap();
    assert_eq!((&same["role"], &same["memory_namespace"]), (&json!("host"), &json!("n")));
    let mut agent = host.agent("a").await;
    let error = agent.raw("session.auth", json!({ "host_token": HOST_TOKEN })).await.unwrap_err();
    assert_eq!(error.code, codes::CONFLICT);
}

#[tokio::test]
async fn an_agent_is_on_one_connection_and_free_again_at_its_end() {
    let host = TestHost::start().await;
    let first = host.agent("builder").await;
    let mut second = host.stranger().await;
    let proof = json!({ "token": TOKEN, "agent_id": "builder" });
    let error = second.raw("session.auth", proof.clone()).await.unwrap_err();
    assert_eq!(error.code, codes::CONFLICT);
    assert!(error.message.contains("already attached on another connection"));
    first.vanish();
    // The daemon notices in its own time; the claim is free by the time the session has ended.
    while host.host_arc().open_sessions() > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(second.raw("session.auth", proof).await.unwrap()["role"], "agent");
}

#[tokio::test]
async fn an_agents_claim_does_not_wait_for_its_calls() {
    let host = TestHost::start().await;
    let mut first = host.agent("builder").await;
    first.send("lab.never", json!({})).await;
    first.raw("server.ping", json!({})).await.unwrap();
    first.close().await;
    let mut second = host.stranger().await;
    let proof = json!({ "token": TOKEN, "agent_id": "builder" });
    assert!(second.raw("session.auth", proof).await.is_ok());
    assert_eq!(host.host_arc().open_sessions(), 2, "the first session is still in its grace");
}

#[tokio::test]
async fn a_frame_right_behind_session_auth_is_authenticated() {
    let host = TestHost::start().await;
    let mut stranger = host.stranger().await;
    stranger.send("session.auth", json!({ "token": TOKEN })).await;
    let ping = stranger.send("server.ping", json!({})).await;
    assert_eq!(stranger.reply(ping).await, Ok(json!({ "ok": true })));
}

#[tokio::test]
async fn a_stranger_hears_the_same_about_any_method_and_is_hung_up_on() {
    let host = TestHost::start().await;
    for method in ["server.ping", "host.register_methods", "no.such", "lab.echo"] {
        let mut stranger = host.stranger().await;
        let error = stranger.raw(method, json!([])).await.unwrap_err();
        assert_eq!(error.code, codes::NOT_AUTHENTICATED, "{method}");
        assert_eq!(stranger.closed().await, Some(1008), "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stranger_has_thirty_seconds() {
    let host = TestHost::start().await;
    let began = tokio::time::Instant::now();
    let (mut stranger, mut client) = (host.stranger().await, host.client().await);
    assert_eq!(stranger.closed().await, Some(1008));
    assert_eq!(began.elapsed().as_secs(), 30);
    assert!(client.raw("server.ping", json!({})).await.is_ok());
}

#[tokio::test]
async fn without_authentication_everybody_is_a_client_and_nobody_is_the_host() {
    let host = TestHost::builder().settings(|it| it.auth.mode = AuthMode::Off).start().await;
    let mut anybody = host.stranger().await;
    assert!(anybody.raw("server.ping", json!({})).await.is_ok());
    let reply = anybody.raw("session.auth", json!({ "token": "any" })).await.unwrap();
    assert_eq!((&reply["role"], &reply["auth_enabled"]), (&json!("client"), &json!(false)));
    let error = anybody.raw("session.auth", json!({ "host_token": "any" })).await.unwrap_err();
    assert_eq!(error.code, codes::NOT_AUTHENTICATED);
    let reply = anybody.raw("session.auth", json!({ "host_token": HOST_TOKEN })).await.unwrap();
    assert_eq!(reply["role"], "host");
}

#[tokio::test]
async fn an_agent_token_file_counts_without_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let agents = directory.path().to_owned();
    let host = TestHost::builder()
        .config(|it| {
            it.tokens.agents = Some(agents.clone());
            it.tokens.client = Some(Token::File(agents.join("auth-token")));
        })
        .without_agents()
        .start()
        .await;
    let proof = json!({ "token": "minted", "agent_id": "builder" });
    assert_eq!(role(&host, proof.clone()).await, Err(codes::NOT_AUTHENTICATED));
    std::fs::write(agents.join("builder.token"), "minted\n").unwrap();
    assert_eq!(role(&host, proof).await, Ok(json!("agent")));
    let daemon = json!({ "token": "minted", "agent_id": "other" });
    assert_eq!(role(&host, daemon).await, Err(codes::NOT_AUTHENTICATED));
}

#[tokio::test]
async fn a_host_that_knows_no_agents_says_so() {
    let host = TestHost::builder().without_agents().start().await;
    let mut stranger = host.stranger().await;
    let proof = json!({ "token": TOKEN, "agent_id": "builder" });
    let error = stranger.raw("session.auth", proof).await.unwrap_err();
    assert_eq!((error.code, &error.data.unwrap()["missing"]), (-32013, &json!("agents")));
}

#[tokio::test]
async fn the_handshake_accepts_three_versions_and_settles_one() {
    let host = TestHost::start().await;
    let mut stranger = host.stranger().await;
    for wrong in [json!({}), json!("two"), json!(999), json!(2.5), Value::Null] {
        let params = if wrong == json!({}) { wrong } else { json!({ "protocol_version": wrong }) };
        let error = stranger.raw("server.handshake", params.clone()).await.unwrap_err();
        assert_eq!(error.code, codes::PROTOCOL_MISMATCH, "{params}");
        assert!(error.message.starts_with("protocol version mismatch"));
        assert_eq!(error.data.unwrap()["accepted"], json!([1, 2, 3]));
    }
    let needs = json!({ "protocol_version": 3, "required_capabilities": ["teleport"] });
    let error = stranger.raw("server.handshake", needs).await.unwrap_err();
    assert_eq!((error.code, &error.data.unwrap()["missing"]), (-32013, &json!(["teleport"])));
    let two = json!({ "protocol_version": 2, "required_capabilities": ["lab"] });
    for _ in 0..2 {
        let reply = stranger.raw("server.handshake", two.clone()).await.unwrap();
        assert_eq!(
            (&reply["protocol_version"], &reply["client_protocol_version"]),
            (&json!(2), &json!(2))
        );
    }
    let error = stranger.raw("server.handshake", json!({ "protocol_version": 3 })).await;
    assert_eq!(error.unwrap_err().code, codes::CONFLICT);
    for version in [1, 3] {
        let reply = host
            .stranger()
            .await
            .raw("server.handshake", json!({ "protocol_version": version }))
            .await
            .unwrap();
        assert_eq!(reply["protocol_version"], version);
    }
}

/// Vouches for everybody, narrows `narrow`, turns `late` away and keeps the last that it let in.
#[derive(Default)]
struct Doorkeeper(Guarded<Option<Arc<Session>>>);

#[async_trait]
impl AgentAuthority for Doorkeeper {
    async fn vouch(&self, agent: &str, _: &str) -> RpcResult<Vouch> {
        match agent {
            "closed" => Err(RpcError::conflict("nobody is bound here")),
            _ => Ok(Vouch::Yes),
        }
    }

    fn knows(&self, _: &str) -> bool {
        true
    }

    fn attach(&self, agent: &str, session: &Arc<Session>) -> RpcResult<()> {
        match agent {
            "late" => return Err(RpcError::conflict("too late")),
            "narrow" => session.narrow(Some(AllowedMethods::new(["rpc.*".to_owned()]))),
            _ => {}
        }
        *self.0.lock() = Some(session.clone());
        Ok(())
    }
}

#[tokio::test]
async fn an_authority_narrows_turns_away_and_ends_what_it_vouches_for() {
    let keeper = Arc::new(Doorkeeper::default());
    let provided: Arc<dyn AgentAuthority> = keeper.clone();
    let builder = TestHost::builder().without_agents();
    let host = builder.config(|config| config.provide(&AGENT_AUTHORITY, provided)).start().await;
    let mut narrow = host.agent("narrow").await;
    assert!(narrow.raw("rpc.discover", json!({})).await.is_ok());
    assert!(
        narrow.raw("session.auth", json!({ "token": "t", "agent_id": "narrow" })).await.is_ok()
    );
    let error = narrow.raw("server.ping", json!({})).await.unwrap_err();
    assert_eq!(error.code, codes::FORBIDDEN);

    // Whatever was shown: it counts as no failed proof, however often.
    let mut client = host.client().await;
    for _ in 0..10 {
        let proof = json!({ "token": "t", "agent_id": "closed" });
        let error = client.raw("session.auth", proof).await.unwrap_err();
        assert_eq!((error.code, &*error.message), (codes::CONFLICT, "nobody is bound here"));
    }

    // Turned away twice: the name was free again after the first time.
    for _ in 0..2 {
        let mut client = host.client().await;
        let proof = json!({ "token": "t", "agent_id": "late" });
        let error = client.raw("session.auth", proof).await.unwrap_err();
        assert_eq!((error.code, &*error.message), (codes::CONFLICT, "too late"));
        assert!(client.raw("server.ping", json!({})).await.is_ok());
    }

    let session = keeper.0.lock().take().unwrap();
    session.end("not wanted any more");
    // Whoever it was has not seen that yet, and keeps the name from nobody.
    host.agent("narrow").await;
    assert_eq!(narrow.closed().await, Some(1008));
}
