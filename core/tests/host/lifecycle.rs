//! How a host starts, and how it ends.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use carport_core::{
    Config, Host, Plugin, PluginEntry, Registry, Result, RpcError, ServiceKey, Session,
    StartContext, codes, testing::TestHost,
};
use serde_json::json;

static LOG: LazyLock<Mutex<Vec<String>>> = LazyLock::new(Mutex::default);

fn log(line: &str) {
    LOG.lock().unwrap().push(line.to_owned());
}

const FLOOR: ServiceKey<dyn Floor> = ServiceKey::named("test-floor");

trait Floor: Send + Sync {
    fn name(&self) -> &'static str;
}

struct Own(&'static str);

impl Floor for Own {
    fn name(&self) -> &'static str {
        self.0
    }
}

struct Ground;

impl Plugin for Ground {
    const ID: &'static str = "zground";
    const PROVIDES: &'static [&'static str] = &[FLOOR.name()];
    type Config = ();
    async fn start(cx: &mut StartContext<'_>) -> Result<Self> {
        log("ground started");
        cx.provide(&FLOOR, Arc::new(Own("plugin")) as Arc<dyn Floor>);
        Ok(Self)
    }
    async fn session_closed(&self, _: &Arc<Session>) {
        log("ground closed");
    }
    async fn shutdown(&self) {
        log("ground shut down");
    }
}

struct House;

impl Plugin for House {
    const ID: &'static str = "ahouse";
    const REQUIRES: &'static [&'static str] = &[FLOOR.name()];
    type Config = ();
    async fn start(cx: &mut StartContext<'_>) -> Result<Self> {
        log(&format!("house started on {}", cx.require(&FLOOR)?.name()));
        Ok(Self)
    }
    async fn shutdown(&self) {
        log("house shut down");
    }
}

struct Ruin;

impl Plugin for Ruin {
    const ID: &'static str = "zz_ruin";
    type Config = ();
    async fn start(_: &mut StartContext<'_>) -> Result<Self> {
        Err(RpcError::internal("it fell down"))
    }
}

struct Bomb;

impl Plugin for Bomb {
    const ID: &'static str = "zz_bomb";
    type Config = ();
    async fn start(_: &mut StartContext<'_>) -> Result<Self> {
        panic!("boom")
    }
}

struct Liar;

impl Plugin for Liar {
    const ID: &'static str = "liar";
    const PROVIDES: &'static [&'static str] = &["test-promise"];
    type Config = ();
    async fn start(_: &mut StartContext<'_>) -> Result<Self> {
        Ok(Self)
    }
}

static GROUND: PluginEntry = PluginEntry::of::<Ground>("1");
static HOUSE: PluginEntry = PluginEntry::of::<House>("1");
static RUIN: PluginEntry = PluginEntry::of::<Ruin>("1");
static BOMB: PluginEntry = PluginEntry::of::<Bomb>("1");
static LIAR: PluginEntry = PluginEntry::of::<Liar>("1");

async fn failure(plugins: &[&'static PluginEntry]) -> String {
    let registry = Registry::of(plugins, &[], &[], &[]).unwrap();
    match Host::start(registry, Config::default()).await {
        Ok(_) => panic!("it started"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn plugins_start_below_before_above_and_end_the_other_way_round() {
    LOG.lock().unwrap().clear();
    let why = failure(&[&RUIN, &HOUSE, &GROUND]).await;
    assert_eq!(why, "plugin `zz_ruin` did not start: it fell down (-32603)");
    let expected =
        ["ground started", "house started on plugin", "house shut down", "ground shut down"];
    assert_eq!(*LOG.lock().unwrap(), expected);

    LOG.lock().unwrap().clear();
    let mut config = Config::default();
    config.provide(&FLOOR, Arc::new(Own("embedder")) as Arc<dyn Floor>);
    let registry = Registry::of(&[&HOUSE, &GROUND], &[], &[], &config.provided()).unwrap();
    let host = Host::start(registry, config).await.unwrap();
    assert_eq!(host.service(&FLOOR).unwrap().name(), "embedder");
    host.shutdown().await;
    assert_eq!(LOG.lock().unwrap()[1], "house started on embedder");
}

/// Takes its time over the end, and says so if it may.
struct Slow<const LIMIT: u64>;

impl<const LIMIT: u64> Plugin for Slow<LIMIT> {
    const ID: &'static str = "slow";
    type Config = ();
    async fn start(_: &mut StartContext<'_>) -> Result<Self> {
        Ok(Self)
    }
    fn shutdown_limit(&self) -> Duration {
        Duration::from_secs(LIMIT)
    }
    async fn shutdown(&self) {
        tokio::time::sleep(Duration::from_secs(60)).await;
        ENDED.fetch_add(LIMIT, Ordering::Relaxed);
    }
}

static ENDED: AtomicU64 = AtomicU64::new(0);

#[tokio::test(start_paused = true)]
async fn a_plugin_says_how_long_its_end_may_take_and_is_left_behind_after_that() {
    static PATIENT: PluginEntry = PluginEntry::of::<Slow<61>>("1");
    static HASTY: PluginEntry = PluginEntry::of::<Slow<59>>("1");
    for (entry, ended) in [(&HASTY, 0), (&PATIENT, 61)] {
        let registry = Registry::of(&[entry], &[], &[], &[]).unwrap();
        Host::start(registry, Config::default()).await.unwrap().shutdown().await;
        assert_eq!(ENDED.load(Ordering::Relaxed), ended);
    }
}

#[tokio::test]
async fn a_plugin_that_panics_or_lies_while_starting_stops_the_boot() {
    assert!(failure(&[&BOMB]).await.starts_with("plugin `zz_bomb` did not start"));
    let why = failure(&[&LIAR]).await;
    assert_eq!(why, "plugin `liar` promises the service `test-promise` and did not provide it");
}

#[tokio::test]
async fn a_wrong_section_or_setting_stops_the_boot_and_names_the_key() {
    let start = async |section, wait_secs| {
        let registry = Registry::linked(&[], &[]).unwrap();
        let plugins = BTreeMap::from([("lab".to_owned(), section)]);
        let mut config = Config { plugins, ..Config::default() };
        config.settings.approvals.wait_secs = wait_secs;
        Host::start(registry, config).await.err().map(|error| error.to_string())
    };
    let why = start(json!({ "fial": true }), 60).await.unwrap();
    assert!(why.contains("[lab]") && why.contains("fial") && why.contains("`fail`"), "{why}");
    let why = start(json!({ "fail": 7 }), 60).await.unwrap();
    assert!(why.contains("`fail`"), "{why}");
    let why = start(json!({ "fail": true }), 60).await.unwrap();
    assert!(why.contains("plugin `lab`") && why.contains("the lab is closed"), "{why}");
    let why = start(json!({}), 0).await.unwrap();
    assert_eq!(why, "configuration: `approvals.wait_secs` must be 1..=86400, got 0");
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_calls_run_out_and_refuses_new_ones() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let running = client.send("lab.ask", json!({})).await;
    let (question, _) = client.asked::<crate::lab::Question>().await;
    let stopping = tokio::spawn({
        let host = host.clone();
        async move { host.stop().await }
    });
    // The stop is under way once a new call is refused.
    let refused = loop {
        if let Err(error) = client.raw("server.ping", json!({})).await {
            break error;
        }
    };
    assert_eq!(refused.code, codes::OVERLOADED);
    client.answer(&question, json!(5)).await;
    assert_eq!(client.reply(running).await, Ok(json!(5)));
    assert_eq!(client.closed().await, Some(1001));
    stopping.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_calls_longer_than_five_seconds() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    client.send("lab.never", json!({})).await;
    client.raw("server.ping", json!({})).await.unwrap();
    let began = tokio::time::Instant::now();
    let stopping = tokio::spawn({
        let host = host.clone();
        async move { host.stop().await }
    });
    assert_eq!(client.closed().await, Some(1001));
    drop(client);
    stopping.await.unwrap();
    assert!((5..=7).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_client_that_vanishes_leaves_nothing_behind() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    client.send("lab.never", json!({})).await;
    client.send("lab.ask", json!({})).await;
    client.send("lab.gated", json!({ "word": "x" })).await;
    client.call(crate::lab::Listen { bell: 9, ring: false }).await.unwrap();
    client.vanish();
    host.emptied().await;
    let mut person = host.host().await;
    let pending = person.raw("host.approvals", json!({})).await.unwrap();
    assert_eq!(pending["approvals"], json!([]));
    let metrics = person.raw("host.metrics", json!({})).await.unwrap();
    assert!(metrics["text"].as_str().unwrap().contains("carport_sessions 1"));
}
