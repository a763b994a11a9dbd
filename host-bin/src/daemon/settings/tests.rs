//! The layers of a configuration, with an environment of the test's own.

use carport_core::{Durability, Plugin, Result, StartContext};
use proptest::prelude::*;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{overrides::Compat, own::LogLevel, template::template, *};

struct Gate;

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct GateSettings {
    /// How wide it opens, in centimetres.
    width: u32,
    /// How it closes.
    spring: Spring,
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Spring {
    /// Its force.
    force: f64,
    /// Where it came from.
    maker: Option<String>,
}

impl Plugin for Gate {
    const ID: &'static str = "gate";
    type Config = GateSettings;

    async fn start(_: &mut StartContext<'_>) -> Result<Self> {
        Ok(Self)
    }
}

struct Bare;

impl Plugin for Bare {
    const ID: &'static str = "bare";
    type Config = ();

    async fn start(_: &mut StartContext<'_>) -> Result<Self> {
        Ok(Self)
    }
}

static PLUGINS: [PluginEntry; 2] = [PluginEntry::of::<Gate>("1"), PluginEntry::of::<Bare>("1")];
static BILL: [BillRow; 1] = [BillRow { feature: "voice", linked: false, namespaces: &["voice"] }];

fn merge(
    file: Option<&str>,
    environment: &[(&str, &str)],
    overrides: &Overrides,
) -> std::result::Result<Configuration, String> {
    let path = Path::new("/root/config.toml");
    let sources = Sources {
        file: file.map(|text| (path, text)),
        environment: environment.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        plugins: PLUGINS.iter().collect(),
        bill: &BILL,
    };
    Configuration::merge(sources, overrides).map_err(|fault| fault.to_string())
}

fn with_file(text: &str) -> std::result::Result<Configuration, String> {
    merge(Some(text), &[], &Overrides::default())
}

fn with_variable(name: &str, value: &str) -> std::result::Result<Configuration, String> {
    merge(None, &[(name, value)], &Overrides::default())
}

fn from(configuration: &Configuration, key: &str) -> String {
    configuration.entries.iter().find(|it| it.key == key).unwrap().from.clone()
}

#[test]
fn without_anything_every_value_is_its_default() {
    let configuration = merge(None, &[], &Overrides::default()).unwrap();
    assert_eq!(json!(configuration.host), json!(Settings::default()));
    assert_eq!(configuration.own, OwnSettings::default());
    assert!(configuration.entries.iter().all(|entry| entry.from == "default"));
    assert_eq!(configuration.plugins.keys().collect::<Vec<_>>(), ["gate"]);
    let keys: Vec<_> = configuration.entries.iter().map(|it| &*it.key).collect();
    for key in ["durability", "auth.mode", "deadlines.methods", "gate.spring.force", "listen.bind"]
    {
        assert!(keys.contains(&key), "{key}");
    }
}

#[test]
fn the_command_line_comes_before_the_environment_before_the_file() {
    let file =
        "[listen]\nbind = \"127.0.0.1:1\"\n[log]\nlevel = \"warn\"\n[auth]\ngrace_secs = 7\n";
    let environment = [
        ("CARPORT__LISTEN__BIND", "127.0.0.1:2"),
        ("CARPORT__LOG__LEVEL", "debug"),
        ("OTHER", "x"),
    ];
    let overrides = Overrides { bind: Some(([127, 0, 0, 1], 3).into()), ..Overrides::default() };
    let configuration = merge(Some(file), &environment, &overrides).unwrap();
    assert_eq!(configuration.own.listen.bind.port(), 3);
    assert_eq!(configuration.own.log.level, LogLevel::Debug);
    assert_eq!(configuration.host.auth.grace_secs, 7);
    for (key, place) in [
        ("listen.bind", "command line --bind"),
        ("log.level", "environment CARPORT__LOG__LEVEL"),
        ("auth.grace_secs", "/root/config.toml:6"),
        ("auth.max_failures", "default"),
    ] {
        assert_eq!(from(&configuration, key), place);
    }
}

#[test]
fn every_flag_of_the_command_line_changes_what_it_says() {
    let overrides = Overrides {
        no_socket: true,
        no_auth: true,
        no_approvals: true,
        log: Some(LogLevel::Trace),
        ..Overrides::default()
    };
    let file = "[auth]\nmode = \"token\"\n[approvals]\nenabled = true\n[listen]\nsocket = true\n";
    let configuration = merge(Some(file), &[], &overrides).unwrap();
    assert!(!configuration.own.listen.socket);
    assert_eq!(json!(configuration.host.auth.mode), "off");
    assert!(!configuration.host.approvals.enabled);
    assert_eq!(configuration.own.log.level, LogLevel::Trace);
}

#[test]
fn a_flag_for_a_plugin_that_is_not_there_is_named() {
    let overrides = Overrides { voice_models: vec!["/models".into()], ..Overrides::default() };
    let why = merge(None, &[], &overrides).unwrap_err();
    assert!(why.contains("--voice-models") && why.contains("not in"), "{why}");
}

#[test]
fn compat_car_changes_defaults_that_the_file_and_other_flags_may_change_back() {
    let overrides = Overrides { compat: Some(Compat::Car), ..Overrides::default() };
    let car = merge(None, &[], &overrides).unwrap();
    assert_eq!(car.own.listen.bind.to_string(), "127.0.0.1:9100");
    assert!(car.own.compat.token_files && car.own.compat.socket && car.own.listen.socket);
    assert!(car.host.host.require_handshake);
    assert_eq!(car.host.auth.failure_code, -32603);
    let plain = merge(None, &[], &Overrides::default()).unwrap();
    let changed: Vec<_> = car
        .entries
        .iter()
        .zip(&plain.entries)
        .filter(|(car, plain)| car.value != plain.value)
        .map(|(car, _)| (&*car.key, &*car.from))
        .collect();
    assert_eq!(
        changed,
        [
            ("auth.failure_code", "--compat car"),
            ("compat.socket", "--compat car"),
            ("compat.token_files", "--compat car"),
            ("host.require_handshake", "--compat car"),
            ("listen.bind", "--compat car"),
        ]
    );

    let overrides = Overrides { no_socket: true, ..overrides };
    let file = "[host]\nrequire_handshake = false\n[listen]\nbind = \"127.0.0.1:5\"\n";
    let car = merge(Some(file), &[], &overrides).unwrap();
    assert!(!car.host.host.require_handshake && !car.own.compat.socket);
    assert_eq!(car.own.listen.bind.port(), 5);
}

#[test]
fn a_variable_holds_a_text_or_toml_as_its_key_wants() {
    let environment = [
        ("CARPORT__HOST__CAR_VERSION", "1"),
        ("CARPORT__APPROVALS__ALSO", "[\"runs.start\"]"),
        ("CARPORT__DEADLINES__METHODS", "{ \"runs.start\" = 5, verify = 6 }"),
        ("CARPORT__DURABILITY", "record"),
        ("CARPORT__GATE__SPRING__FORCE", "1.5"),
        ("CARPORT__LISTEN__SOCKET", "false"),
    ];
    let configuration = merge(None, &environment, &Overrides::default()).unwrap();
    assert_eq!(configuration.host.host.car_version.as_deref(), Some("1"));
    assert_eq!(json!(configuration.host.approvals.also), json!(["runs.start"]));
    assert_eq!(
        json!(configuration.host.deadlines.methods),
        json!({ "runs.start": 5, "verify": 6 })
    );
    assert_eq!(configuration.host.durability, Durability::Record);
    assert_eq!(configuration.plugins["gate"]["spring"]["force"], 1.5);
    assert!(!configuration.own.listen.socket);
    let place = from(&configuration, "deadlines.methods.\"runs.start\"");
    assert_eq!(place, "environment CARPORT__DEADLINES__METHODS");
}

#[test]
fn a_timeout_has_names_of_its_own_of_which_the_native_one_comes_first() {
    let car = ("CAR_HANDLER_TIMEOUT", "5");
    let native = ("CARPORT_HANDLER_TIMEOUT", "6");
    let key = ("CARPORT__DEADLINES__DEFAULT_SECS", "7");
    let secs = |environment: &[(&str, &str)]| {
        let configuration = merge(None, environment, &Overrides::default()).unwrap();
        configuration.host.deadlines.default_secs
    };
    assert_eq!(secs(&[car]), 5);
    assert_eq!(secs(&[car, native]), 6);
    assert_eq!(secs(&[key, native, car]), 7);
    assert_eq!(secs(&[]), 1800);
}

/// Other daemons of the family read these, too: a build without the engine passes them over.
#[test]
fn the_time_of_a_tool_is_set_where_there_is_an_engine() {
    #[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
    #[serde(default, deny_unknown_fields)]
    struct EngineSettings {
        /// Seconds.
        tool_timeout_secs: u64,
    }
    struct Engine;
    impl Plugin for Engine {
        const ID: &'static str = "engine";
        type Config = EngineSettings;

        async fn start(_: &mut StartContext<'_>) -> Result<Self> {
            Ok(Self)
        }
    }
    static ENGINE: PluginEntry = PluginEntry::of::<Engine>("1");
    let read = |plugins: &[&'static PluginEntry], environment: &[(&str, &str)]| {
        let environment = environment.iter().map(|(name, value)| (name.into(), value.into()));
        let sources = Sources {
            file: None,
            environment: environment.collect(),
            plugins: plugins.to_vec(),
            bill: &BILL,
        };
        Configuration::merge(sources, &Overrides::default()).map_err(|fault| fault.to_string())
    };
    let (car, native) = (("CAR_TOOL_TIMEOUT", "5"), ("CARPORT_TOOL_TIMEOUT", "6"));
    for (environment, secs) in [(vec![car], 5), (vec![native, car], 6)] {
        let configuration = read(&[&ENGINE], &environment).unwrap();
        assert_eq!(configuration.plugins["engine"]["tool_timeout_secs"], secs);
        assert!(read(&[], &environment).is_ok());
    }
    let message = read(&[&ENGINE], &[("CAR_TOOL_TIMEOUT", "soon")]).unwrap_err();
    assert!(message.starts_with("environment CAR_TOOL_TIMEOUT: "), "{message}");
}

/// A build without agents has no section of theirs, and boots all the same.
#[test]
fn agents_are_as_car_has_them_where_there_are_agents() {
    #[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
    #[serde(default, deny_unknown_fields)]
    struct AgentSettings {
        /// A path.
        manifest: String,
        /// A word.
        inherit_env: String,
        /// A word.
        registry_foreign_paths: String,
    }
    struct Agents;
    impl Plugin for Agents {
        const ID: &'static str = "agents";
        type Config = AgentSettings;

        async fn start(_: &mut StartContext<'_>) -> Result<Self> {
            Ok(Self)
        }
    }
    static AGENTS: PluginEntry = PluginEntry::of::<Agents>("1");
    let read = |plugins: &[&'static PluginEntry], compat| {
        let sources = Sources {
            file: None,
            environment: vec![("CAR_AGENTS_MANIFEST".into(), "/other/agents.json".into())],
            plugins: plugins.to_vec(),
            bill: &BILL,
        };
        Configuration::merge(sources, &Overrides { compat, ..Overrides::default() }).unwrap()
    };
    let car = read(&[&AGENTS], Some(Compat::Car));
    let expected = json!({
        "manifest": "/other/agents.json", "inherit_env": "all",
        "registry_foreign_paths": "entries_only",
    });
    assert_eq!(car.plugins["agents"], expected);
    assert_eq!(from(&car, "agents.manifest"), "environment CAR_AGENTS_MANIFEST");
    assert_eq!(read(&[&AGENTS], None).plugins["agents"]["inherit_env"], "");
    assert!(read(&[], Some(Compat::Car)).plugins.is_empty());
}

/// The section of one plugin where the operator says nothing of it.
#[cfg(any(feature = "a2ui", feature = "meetings", feature = "memory"))]
fn section(plugin: &'static PluginEntry, compat: Option<Compat>) -> serde_json::Value {
    let sources =
        Sources { file: None, environment: Vec::new(), plugins: vec![plugin], bill: &BILL };
    let overrides = Overrides { compat, ..Overrides::default() };
    Configuration::merge(sources, &overrides).unwrap().plugins[plugin.id].clone()
}

#[cfg(feature = "a2ui")]
#[test]
fn peers_are_told_of_actions_as_car_does_it_too() {
    static A2UI: PluginEntry = PluginEntry::of::<carport_a2ui::A2ui>("1");
    assert_eq!(section(&A2UI, None)["continuation"], "spec");
    assert_eq!(section(&A2UI, Some(Compat::Car))["continuation"], "spec+car");
}

#[cfg(feature = "memory")]
#[test]
fn memory_is_shared_as_car_has_it() {
    static MEMORY: PluginEntry = PluginEntry::of::<carport_memory::Memory>("1");
    let (own, car) = (section(&MEMORY, None), section(&MEMORY, Some(Compat::Car)));
    assert_eq!((&own["unbound"], &own["shared_load"]), (&"session".into(), &false.into()));
    assert_eq!((&car["unbound"], &car["shared_load"]), (&"shared".into(), &true.into()));
}

#[cfg(feature = "meetings")]
#[test]
fn a_directory_of_meetings_that_is_not_listed_is_empty_as_in_car() {
    static MEETINGS: PluginEntry = PluginEntry::of::<carport_meetings::Meetings>("1");
    assert_eq!(section(&MEETINGS, None)["foreign_root"], "refuse");
    assert_eq!(section(&MEETINGS, Some(Compat::Car))["foreign_root"], "empty");
}

#[test]
fn a_malformed_variable_is_named() {
    for (name, value) in [
        ("CARPORT_HANDLER_TIMEOUT", "soon"),
        ("CARPORT_HANDLER_TIMEOUT", ""),
        ("CAR_HANDLER_TIMEOUT", "0"),
        ("CAR_HANDLER_TIMEOUT", "1.5"),
        ("CARPORT__AUTH__GRACE_SECS", "-1"),
        ("CARPORT__AUTH__MODE", "maybe"),
        ("CARPORT__LISTEN__BIND", "localhost"),
        ("CARPORT__GATE__WIDTH", "wide"),
        ("CARPORT__AUTH", "on"),
    ] {
        let message = with_variable(name, value).unwrap_err();
        assert!(message.starts_with(&format!("environment {name}: ")), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn a_mistake_in_the_file_is_one_line_with_its_place() {
    for (text, expected) in [
        ("[auth]\n\nmode = off\n", "/root/config.toml:3: "),
        (
            "[atuh]\n",
            "/root/config.toml:1: there is no section or key `atuh`; the nearest is `auth`",
        ),
        (
            "[auth]\ngrace_sec = 1\n",
            "/root/config.toml:2: there is no key `auth.grace_sec`; the nearest is `auth.grace_secs`",
        ),
        ("auth.colour = 1", "/root/config.toml:1: there is no key `auth.colour`"),
        (
            "auth = 3",
            "/root/config.toml:1: `auth` is a table: write it as [auth] with its keys below",
        ),
        (
            "[gate]\nspring = { forse = 1 }\n",
            "/root/config.toml:2: there is no key `gate.spring.forse`; the nearest is \
             `gate.spring.force`",
        ),
        ("[bare]\nx = 1\n", "/root/config.toml:1: the plugin `bare` has no settings"),
        (
            "[voice]\n",
            "/root/config.toml:1: section [voice] is for the plugin `voice`, which is not in",
        ),
        (
            "[auth]\nmode = \"token\"\ngrace_secs = \"5\"\n",
            "/root/config.toml:3: `auth.grace_secs`: invalid type: string \"5\", expected u64",
        ),
        (
            "[approvals]\nwait_secs = 0\n",
            "/root/config.toml:2: `approvals.wait_secs` must be 1..=86400, got 0",
        ),
        (
            "[deadlines.methods]\na = 1\n\"runs.start\" = 0\n",
            "/root/config.toml:3: `deadlines.methods.\"runs.start\"` must be 1..=86400, got 0",
        ),
        ("[gate]\nwidth = -1\n", "/root/config.toml:2: [gate] `width`: invalid value"),
    ] {
        let message = with_file(text).unwrap_err();
        assert!(message.starts_with(expected), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn a_plugin_that_takes_the_name_of_a_section_is_refused() {
    struct Auth;
    impl Plugin for Auth {
        const ID: &'static str = "auth";
        type Config = GateSettings;

        async fn start(_: &mut StartContext<'_>) -> Result<Self> {
            Ok(Self)
        }
    }
    let fault = Outline::of(&[&PluginEntry::of::<Auth>("1")], &[]).unwrap_err();
    assert!(fault.to_string().contains("rename it"), "{fault}");
}

#[test]
fn a_template_changes_nothing_and_switched_on_it_says_the_defaults() {
    let plugins: Vec<_> = PLUGINS.iter().collect();
    let text = template(&plugins, &BILL).unwrap();
    let as_it_is = with_file(&text).unwrap();
    assert!(as_it_is.entries.iter().all(|entry| entry.from == "default"), "{text}");

    let switched_on: Vec<_> = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') && !setting.ends_with('=') => setting,
            _ => line,
        })
        .collect();
    let on = with_file(&switched_on.join("\n")).unwrap();
    assert_eq!(on.merged, as_it_is.merged);
    let written = on.entries.iter().filter(|entry| entry.from != "default").count();
    let without_default = ["host.car_version", "gate.spring.maker", "deadlines.methods"];
    assert_eq!(written + without_default.len(), on.entries.len(), "{text}");
    assert!(text.lines().all(|line| line.starts_with(['#', '[']) || line.is_empty()), "{text}");
    assert!(text.contains("# How wide it opens, in centimetres.\n#width = 0\n"), "{text}");
    assert!(!text.contains("[bare]"));
}

proptest! {
    #[test]
    fn no_text_of_a_file_or_a_variable_panics(text in "\\PC{0,80}", name in "[A-Z_]{0,30}") {
        let _ = with_file(&text);
        let _ = with_variable(&format!("CARPORT__{name}"), &text);
    }

    #[test]
    fn an_unknown_key_is_never_passed_over(key in "[a-z]{1,12}") {
        let known = json!(Settings::default());
        let refused = with_file(&format!("[auth]\n{key} = []\n")).unwrap_err();
        prop_assert_eq!(refused.contains("there is no key"), known["auth"].get(&key).is_none());
    }
}
