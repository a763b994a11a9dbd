//! What other plugins ask of the memory, and how far they get.

use carport_core::{Time, codes, testing::TestHost};
use carport_memory_api::{
    ContextRequest, Event, GraphRef, MEMORY, Memory, Mint, NewFact, Observed, Question, Turn,
};
use serde_json::{Value, json};

use crate::{add, bodies, bound, call, count, refused};

fn question(text: &str) -> Question {
    Question { text: text.into(), k: 100, kinds: None, tenant_id: None }
}

fn turn(key: &str, second: i64, text: &str) -> Turn {
    Turn {
        key: key.into(),
        speaker: "Bo".into(),
        text: text.into(),
        at: at(second),
        origin: "meeting-1".into(),
    }
}

fn at(second: i64) -> Time {
    serde_json::from_value(json!(format!("2026-01-01T00:00:{second:02}Z"))).unwrap()
}

async fn context(memory: &dyn Memory, graph: &GraphRef) -> String {
    memory.build_context(graph, ContextRequest::default()).await.unwrap()
}

async fn again(host: &TestHost) -> TestHost {
    TestHost::builder().on_root_of(host).start().await
}

/// The field and the code of an error.
fn why<T: std::fmt::Debug>(result: carport_core::Result<T>) -> (i32, String) {
    let error = result.unwrap_err();
    (error.code, error.field().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_fact_that_came_over_mcp_says_so_in_its_id() {
    let host = TestHost::start().await;
    let (memory, graph) = (host.service(&MEMORY), GraphRef::Namespace("team".into()));
    for (mint, body) in [(Mint::Mcp, "over mcp"), (Mint::Ws, "over ws")] {
        let fact = NewFact { mint, ..NewFact::new("zebra", body) };
        memory.add(&graph, fact.clone()).await.unwrap();
        memory.add(&graph, fact).await.unwrap();
    }
    let given =
        NewFact { mint: Mint::Mcp, fact_id: Some("own".into()), ..NewFact::new("z", "given") };
    assert_eq!(memory.add(&graph, given).await.unwrap(), 3);
    let id = |body: &str, found: &Value| {
        let fact = found.as_array().unwrap().iter().find(|it| it["body"] == body).unwrap();
        fact["fact_id"].as_str().unwrap().to_owned()
    };
    let mut client = bound(&host, "team").await;
    let found = call(&mut client, "query", json!({ "query": "zebra" })).await;
    for (body, prefix) in [("over mcp", "mcp-"), ("over ws", "ws-")] {
        let id = id(body, &found);
        let uuid = id.strip_prefix(prefix).unwrap();
        assert_eq!((uuid.len(), &uuid[14..15]), (36, "7"), "{id}");
    }
    let found = call(&mut client, "query", json!({ "query": "given" })).await;
    assert_eq!(id("given", &found), "own");
}

#[tokio::test]
async fn a_caller_without_a_connection_names_its_graph() {
    let section = json!({ "unbound": "shared" });
    let host = TestHost::builder().plugin("memory", section).start().await;
    let memory = host.service(&MEMORY);
    let (mut agent, mut client) = (host.agent("ada").await, host.client().await);
    let mut team = bound(&host, "Team/ä").await;
    let graphs = [
        (GraphRef::Agent("ada".into()), &mut agent, "agents/ada.jsonl"),
        (
            GraphRef::Namespace("Team/ä".into()),
            &mut team,
            "memory-namespaces/%54eam%2f%c3%a4.jsonl",
        ),
        (GraphRef::Shared, &mut client, "shared.jsonl"),
    ];
    for (graph, client, file) in graphs {
        let body = format!("{graph:?}");
        assert_eq!(memory.add(&graph, NewFact::new("mine", &body)).await.unwrap(), 1);
        assert_eq!(bodies(client, "mine").await, std::slice::from_ref(&body));
        add(client, "yours", "seen").await;
        assert_eq!(memory.fact_count(&graph, None).await.unwrap(), 2);
        assert_eq!(memory.query(&graph, question("yours")).await.unwrap()[0].body, "seen");
        let is_agent = matches!(graph, GraphRef::Agent(_));
        assert_eq!(context(&*memory, &graph).await.contains("agent: ada"), is_agent);
        assert!(host.root().join("memory").join(file).is_file(), "{file}");
    }
}

#[tokio::test]
async fn a_name_that_no_file_can_have_is_refused_everywhere_and_leaves_nothing() {
    let host = TestHost::start().await;
    let memory = host.service(&MEMORY);
    for name in ["", "a\nb", &"x".repeat(257), &"Ü".repeat(60)] {
        for (graph, field) in [
            (GraphRef::Namespace(name.into()), "memory_namespace"),
            (GraphRef::Agent(name.into()), "agent_id"),
        ] {
            let bad = (codes::INVALID_PARAMS, field.to_owned());
            assert_eq!(why(memory.add(&graph, NewFact::new("s", "b")).await), bad, "{name:?}");
            assert_eq!(why(memory.query(&graph, question("s")).await), bad);
            assert_eq!(why(memory.fact_count(&graph, None).await), bad);
            assert_eq!(why(memory.build_context(&graph, ContextRequest::default()).await), bad);
            assert_eq!(why(memory.ingest(&graph, turn("k", 0, "t")).await), bad);
            assert_eq!(why(memory.forget(&graph, "o", "f").await), bad);
            assert_eq!(why(memory.credit(&graph, None, &[], true).await), bad);
        }
    }
    let mut left = std::fs::read_dir(host.root().join("memory")).unwrap();
    assert!(left.next().is_none(), "no file or directory was made");
}

#[tokio::test]
async fn a_connections_own_graph_is_there_while_it_is_open() {
    let host = TestHost::start().await;
    let memory = host.service(&MEMORY);
    let mut client = host.client().await;
    add(&mut client, "s", "own").await;
    let gone = GraphRef::Session("c-of-nobody".into());
    assert_eq!(why(memory.ingest(&gone, turn("k", 0, "t")).await).0, codes::NOT_FOUND);
    let agent = host.agent("ada").await;
    let session = host.session_of("ada");
    let own = GraphRef::Session(session.id().into());
    memory.ingest(&own, turn("k", 0, "said before any call")).await.unwrap();
    assert!(context(&*memory, &own).await.contains("said before any call"));
    agent.close().await;
    host.emptied_but(&client).await;
    let observed = Observed::ActionFailed { tool: "t".into(), error: "e".into() };
    memory.observe(&session, Event { tenant_id: None, observed });
    assert_eq!(why(memory.ingest(&own, turn("k", 0, "late")).await).0, codes::NOT_FOUND);
    assert_eq!(why(memory.add(&own, NewFact::new("s", "late")).await).0, codes::NOT_FOUND);
    assert_eq!(bodies(&mut client, "own").await, ["own"]);
}

#[tokio::test]
async fn whoever_asks_from_inside_is_held_to_the_same_bounds() {
    let host = TestHost::start().await;
    let (memory, graph) = (host.service(&MEMORY), GraphRef::Namespace("team".into()));
    let long = |bytes: usize| "x".repeat(bytes);
    let fact = NewFact::new("s", "b");
    for (fact, field) in [
        (NewFact::new("", "b"), "subject"),
        (NewFact::new(long(513), "b"), "subject"),
        (NewFact::new("s", long(32_769)), "body"),
        (NewFact { kind: "conversation".into(), ..fact.clone() }, "kind"),
        (NewFact { kind: long(33), ..fact.clone() }, "kind"),
        (NewFact { tenant_id: Some(long(129)), ..fact.clone() }, "tenant_id"),
        (NewFact { confidence: f64::NAN, ..fact.clone() }, "confidence"),
        (NewFact { fact_id: Some("a b".into()), ..fact.clone() }, "fact_id"),
        (NewFact { tags: vec!["t".into(); 33], ..fact.clone() }, "tags"),
        (NewFact { source: long(257), ..fact.clone() }, "source"),
    ] {
        let refused = why(memory.add(&graph, fact).await);
        assert_eq!(refused, (codes::INVALID_PARAMS, field.to_owned()));
    }
    for (question, field) in [
        (question(&long(8193)), "query"),
        (Question { k: 0, ..question("s") }, "k"),
        (Question { k: 101, ..question("s") }, "k"),
        (Question { kinds: Some(vec!["k".into(); 33]), ..question("s") }, "kinds"),
        (Question { tenant_id: Some(String::new()), ..question("s") }, "tenant_id"),
    ] {
        assert_eq!(why(memory.query(&graph, question).await).1, field);
    }
    let tenant = Some(long(129));
    assert_eq!(why(memory.fact_count(&graph, tenant.as_deref()).await).1, "tenant_id");
    let asked = ContextRequest { tenant_id: tenant.clone(), ..ContextRequest::default() };
    assert_eq!(why(memory.build_context(&graph, asked).await).1, "tenant_id");
    let asked = ContextRequest { text: long(8193), ..ContextRequest::default() };
    assert_eq!(why(memory.build_context(&graph, asked).await).1, "query");
    let said = turn("k", 0, "t");
    for (turn, field) in [
        (Turn { key: String::new(), ..said.clone() }, "key"),
        (Turn { key: long(257), ..said.clone() }, "key"),
        (Turn { speaker: long(65), ..said.clone() }, "speaker"),
        (Turn { text: long(4097), ..said.clone() }, "text"),
        (Turn { origin: long(257), ..said.clone() }, "origin"),
    ] {
        assert_eq!(why(memory.ingest(&graph, turn).await).1, field);
    }
    assert_eq!(why(memory.credit(&graph, None, &vec!["f".into(); 1001], true).await).1, "fact_ids");
    assert_eq!(why(memory.credit(&graph, tenant.as_deref(), &[], true).await).1, "tenant_id");
    assert_eq!(
        (memory.fact_count(&graph, None).await.unwrap(), context(&*memory, &graph).await),
        (0, String::new())
    );
}

#[tokio::test]
async fn only_who_kept_a_fact_makes_the_memory_forget_it() {
    let host = TestHost::start().await;
    let (memory, graph) = (host.service(&MEMORY), GraphRef::Agent("ada".into()));
    let of = |id: &str, tenant: Option<&str>| NewFact {
        fact_id: Some(id.into()),
        source: "meeting-1".into(),
        tenant_id: tenant.map(str::to_owned),
        ..NewFact::new("zebra", id)
    };
    for (id, tenant) in [("f1", None), ("f2", None), ("f3", Some("acme"))] {
        memory.add(&graph, of(id, tenant)).await.unwrap();
    }
    for (origin, id, is_forgotten) in [
        ("meeting-2", "f1", false),
        ("", "f1", false),
        ("meeting-1", "f1", true),
        ("meeting-1", "f1", false),
        ("meeting-1", "nobody", false),
        ("meeting-1", "f3", false),
    ] {
        assert_eq!(memory.forget(&graph, origin, id).await.unwrap(), is_forgotten, "{origin} {id}");
    }
    let host = again(&host).await;
    let mut agent = host.agent("ada").await;
    assert_eq!(bodies(&mut agent, "zebra").await, ["f2"]);
    assert_eq!(call(&mut agent, "fact_count", json!({ "tenant_id": "acme" })).await, 2);
}

#[tokio::test]
async fn credit_counts_each_fact_once_and_survives_a_restart() {
    let host = TestHost::start().await;
    let (memory, graph) = (host.service(&MEMORY), GraphRef::Agent("ada".into()));
    for (id, tenant) in [("common", None), ("both", None), ("both", Some("acme"))] {
        let tenant_id = tenant.map(str::to_owned);
        let fact = NewFact { fact_id: Some(id.into()), tenant_id, ..NewFact::new("s", "b") };
        memory.add(&graph, fact).await.unwrap();
    }
    let ids = ["common", "both", "both", "gone"].map(str::to_owned);
    memory.credit(&graph, None, &ids, true).await.unwrap();
    memory.credit(&graph, Some("acme"), &ids, false).await.unwrap();
    memory.credit(&graph, Some("acme"), &ids[..1], false).await.unwrap();
    memory.credit(&graph, None, &[], true).await.unwrap();
    let host = again(&host).await;
    let mut agent = host.agent("ada").await;
    for (id, tenant, wins, losses) in
        [("common", None, 1, 2), ("both", None, 1, 0), ("both", Some("acme"), 0, 1)]
    {
        let fact = call(&mut agent, "get", json!({ "id": id, "tenant_id": tenant })).await;
        assert_eq!((&fact["wins"], &fact["losses"]), (&json!(wins), &json!(losses)), "{id}");
    }
}

#[tokio::test]
async fn turns_keep_the_order_of_their_times_then_of_their_coming() {
    let host = TestHost::start().await;
    let (memory, graph) = (host.service(&MEMORY), GraphRef::Namespace("team".into()));
    for (key, second, text) in [
        ("c", 3, "three"),
        ("b", 2, "two"),
        ("a", 2, "two and a half"),
        ("d", 1, "zero"),
        // Corrected: the place stays, the text does not, and its time may be another.
        ("b", 2, "two indeed"),
        ("d", 1, "one"),
        ("c", 3, "three"),
    ] {
        memory.ingest(&graph, turn(key, second, text)).await.unwrap();
    }
    let expected = "## Conversation\nBo: one\nBo: two indeed\nBo: two and a half\nBo: three";
    assert_eq!(context(&*memory, &graph).await, expected);
    let next = again(&host).await;
    assert_eq!(context(&*next.service(&MEMORY), &graph).await, expected, "after a restart");
    let mut client = bound(&next, "team").await;
    assert_eq!(count(&mut client).await, 0, "turns are no facts");
    assert_eq!(bodies(&mut client, "two indeed").await, [""; 0]);
}

#[tokio::test]
async fn a_conversation_is_forgotten_for_good_and_no_other() {
    let host = TestHost::start().await;
    let (memory, graph) = (host.service(&MEMORY), GraphRef::Namespace("team".into()));
    let of = |origin: &str, key: &str, text: &str| Turn {
        origin: origin.into(),
        ..turn(&format!("{origin}:{key}"), 1, text)
    };
    for said in [of("m1", "0", "one"), of("m2", "0", "two"), of("m1", "1", "three")] {
        memory.ingest(&graph, said).await.unwrap();
    }
    memory.add(&graph, NewFact { source: "m1".into(), ..NewFact::new("s", "b") }).await.unwrap();
    assert_eq!(memory.forget_turns(&graph, "m3").await.unwrap(), 0);
    assert_eq!(memory.forget_turns(&graph, "m1").await.unwrap(), 2);
    let file = std::fs::read_to_string(host.root().join("memory/memory-namespaces/team.jsonl"));
    let file = file.unwrap();
    assert!(file.contains("two") && !file.contains("one") && !file.contains("three"), "{file}");
    assert_eq!(memory.forget_turns(&graph, "m1").await.unwrap(), 0);
    let expected = "## Conversation\nBo: two";
    assert!(context(&*memory, &graph).await.ends_with(expected));
    let mut client = bound(&host, "team").await;
    assert_eq!((count(&mut client).await, bodies(&mut client, "s").await), (1, vec!["b".into()]));
    let next = again(&host).await;
    assert!(context(&*next.service(&MEMORY), &graph).await.ends_with(expected), "after a restart");
    // It may be spoken of again.
    let memory = next.service(&MEMORY);
    memory.ingest(&graph, of("m1", "0", "anew")).await.unwrap();
    let last = again(&next).await;
    assert!(context(&*last.service(&MEMORY), &graph).await.contains("Bo: anew"));
    let gone = GraphRef::Session("nobody".into());
    assert_eq!(why(memory.forget_turns(&gone, "m1").await).0, codes::NOT_FOUND);
    assert_eq!(why(memory.forget_turns(&graph, &"x".repeat(257)).await).1, "origin");
}

#[tokio::test]
async fn a_turn_of_any_time_is_read_again() {
    let host = TestHost::start().await;
    let (memory, graph) = (host.service(&MEMORY), GraphRef::Namespace("team".into()));
    let times = ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "2016-12-31T23:59:60Z"];
    for (number, time) in times.into_iter().enumerate() {
        let at = serde_json::from_value(json!(time)).unwrap();
        let turn = Turn { at, ..turn(&number.to_string(), 0, time) };
        memory.ingest(&graph, turn).await.unwrap();
    }
    let before = context(&*memory, &graph).await;
    assert_eq!(before.lines().count(), 4, "{before}");
    assert_eq!(context(&*again(&host).await.service(&MEMORY), &graph).await, before);
}

#[tokio::test]
async fn the_oldest_turns_go_when_there_are_too_many_bytes() {
    let host = TestHost::start().await;
    let (memory, graph) = (host.service(&MEMORY), GraphRef::Agent("ada".into()));
    let mut agent = host.agent("ada").await;
    // Just under 8 MiB in 2000 turns of the largest size; each key is 256 bytes.
    for number in 0..1950 {
        let key = format!("{number:0>256}");
        let text = format!("{number:0>4} {}", "y".repeat(4091));
        memory.ingest(&graph, turn(&key, 0, &text)).await.unwrap();
    }
    let each = 256 + 4096 + "Bo".len() + "meeting-1".len();
    let room = 8 * 1024 * 1024 / each;
    let stats = call(&mut agent, "stats", json!({})).await;
    assert_eq!(stats["turns"], room.min(1950));
    let oldest =
        json!({ "query": format!("{:0>4}", 1950 - room), "k": 1, "kinds": ["conversation"] });
    assert_eq!(call(&mut agent, "query", oldest).await.as_array().unwrap().len(), 1);
    let gone =
        json!({ "query": format!("{:0>4}", 1949 - room), "k": 1, "kinds": ["conversation"] });
    assert_eq!(call(&mut agent, "query", gone).await, json!([]));
}

#[tokio::test]
async fn what_is_observed_is_bounded_and_a_tenants_own() {
    let host = TestHost::start().await;
    let mut agent = host.agent("ada").await;
    let (memory, session) = (host.service(&MEMORY), host.session_of("ada"));
    let failed = |tool: String, error: &str, tenant: Option<&str>| {
        let observed = Observed::ActionFailed { tool, error: error.into() };
        memory.observe(&session, Event { tenant_id: tenant.map(str::to_owned), observed });
    };
    let huge = "é".repeat(100_000);
    failed("shell".into(), &huge, Some("acme"));
    failed(huge.clone(), "no", Some("acme"));
    failed("shell".into(), "no", Some(&huge));
    let learned = call(&mut agent, "maintain", json!({ "tenant_id": "acme" })).await;
    assert_eq!(learned["saved"], 2);
    let id = learned["ids"][0].as_str().unwrap();
    let fact = call(&mut agent, "get", json!({ "id": id, "tenant_id": "acme" })).await;
    assert_eq!(fact["body"].as_str().unwrap().chars().count(), 500);
    assert_eq!(call(&mut agent, "maintain", json!({})).await["saved"], 0);
    for number in 0..600 {
        failed(format!("t{number}"), "no", None);
    }
    let learned = call(&mut agent, "maintain", json!({ "max_recent": 512 })).await;
    assert_eq!(learned["saved"], 512);
    assert_eq!(bodies(&mut agent, "t87").await, [""; 0]);
    assert_eq!(bodies(&mut agent, "t88").await, ["no"]);
    assert_eq!(refused(&mut agent, "maintain", json!({ "max_recent": 513 })).await.0, -32602);
}
