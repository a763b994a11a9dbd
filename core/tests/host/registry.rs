//! Every refusal of the registry, with its message.

use carport_core::{
    Access, BillRow, Caller, Method, MethodEntry, Plugin, PluginEntry, Registry, Result,
    StartContext, codes, testing::TestHost,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// A plugin type with the given constants and a method type with the given name.
macro_rules! plugin {
    ($name:ident, $id:literal $(, $key:ident: $value:expr)*) => {
        struct $name;
        impl Plugin for $name {
            const ID: &'static str = $id;
            $( const $key: &'static [&'static str] = $value; )*
            type Config = ();
            async fn start(_: &mut StartContext<'_>) -> Result<Self> {
                Ok(Self)
            }
        }
    };
}

macro_rules! method {
    ($name:ident, $plugin:ty, $wire:literal $(, $alias:literal)*) => {
        /// For the registry.
        #[derive(Serialize, Deserialize, JsonSchema)]
        struct $name {}
        impl Method for $name {
            const NAME: &'static str = $wire;
            const ALIASES: &'static [&'static str] = &[$($alias),*];
            const ACCESS: Access = Access::Public;
            type Plugin = $plugin;
            type Reply = ();
            async fn run(self, _: &$plugin, _: &Caller) -> Result<()> {
                Ok(())
            }
        }
    };
}

plugin!(Notes, "notes");
plugin!(OtherNotes, "notes");
plugin!(Squatter, "squatter", NAMESPACES: &["squatter", "notes"]);
plugin!(Needy, "needy", REQUIRES: &["wishes"]);
plugin!(GiverA, "giver-a", PROVIDES: &["wishes"]);
plugin!(GiverB, "giver-b", PROVIDES: &["wishes"]);
plugin!(Chicken, "chicken", PROVIDES: &["egg"], REQUIRES: &["hen"]);
plugin!(Hen, "hen", PROVIDES: &["hen"], OPTIONAL: &["egg"]);
plugin!(Guest, "guest", NAMESPACES: &["guest", "notes.visit"]);
method!(Add, Notes, "notes.add", "notes.append");
method!(AddAgain, Notes, "notes.add");
method!(Steal, Notes, "purse.steal");
method!(Visit, Guest, "notes.visit");
method!(Stray, Needy, "needy.ask");
method!(Append, Notes, "notes.append");

fn entry<P: Plugin>() -> &'static PluginEntry {
    Box::leak(Box::new(PluginEntry::of::<P>("1")))
}

fn row<M: Method>() -> &'static MethodEntry {
    Box::leak(Box::new(MethodEntry::of::<M>()))
}

fn refusal(plugins: &[&'static PluginEntry], methods: &[&'static MethodEntry]) -> String {
    Registry::of(plugins, methods, &[], &[]).err().expect("refused").to_string()
}

#[test]
fn two_plugins_of_one_id() {
    assert_eq!(
        refusal(&[entry::<Notes>(), entry::<OtherNotes>()], &[]),
        "two plugins call themselves `notes`: rename one of them (`Plugin::ID`)"
    );
}

#[test]
fn two_plugins_that_claim_one_namespace() {
    assert_eq!(
        refusal(&[entry::<Notes>(), entry::<Squatter>()], &[]),
        "plugins `notes` and `squatter` both claim `notes`: take it out of one's `NAMESPACES`"
    );
}

#[test]
fn a_plugin_that_was_asked_for_and_is_not_linked() {
    static BILL: &[BillRow] = &[BillRow { feature: "voice", linked: true, namespaces: &["voice"] }];
    let refused = Registry::of(&[entry::<Notes>()], &[], BILL, &[]).err().unwrap();
    assert_eq!(
        refused.to_string(),
        "plugin `voice` was asked for and did not answer the roll: its crate is not linked (write \
         `use the_crate as _;`) or its id is not `voice`"
    );
}

#[test]
fn a_requirement_that_nobody_meets() {
    assert_eq!(
        refusal(&[entry::<Needy>()], &[]),
        "plugin `needy` needs `wishes`, and no plugin in this build provides it: add the plugin \
         that does, or provide your own with `Config::provide`"
    );
    assert!(Registry::of(&[entry::<Needy>()], &[], &[], &["wishes"]).is_ok());
}

#[test]
fn two_plugins_that_provide_one_service() {
    assert_eq!(
        refusal(&[entry::<GiverA>(), entry::<GiverB>()], &[]),
        "plugins `giver-a` and `giver-b` both provide `wishes`: leave one of them out"
    );
}

#[test]
fn plugins_that_wait_for_each_other() {
    assert_eq!(
        refusal(&[entry::<Chicken>(), entry::<Hen>()], &[]),
        "plugins `chicken`, `hen` wait for each other: break the circle by splitting the service \
         that one of them provides"
    );
}

#[test]
fn a_method_without_its_plugin() {
    assert_eq!(
        refusal(&[entry::<Notes>()], &[row::<Stray>()]),
        "method `needy.ask` has no plugin on the roll: enrol its plugin with `plugin!`"
    );
}

#[test]
fn a_method_outside_its_namespace() {
    assert_eq!(
        refusal(&[entry::<Notes>()], &[row::<Steal>()]),
        "method `purse.steal` is not in a namespace of `notes`: rename it or add to `NAMESPACES`"
    );
    // A claim of one full name comes before the namespace, for both sides.
    let plugins = [entry::<Notes>(), entry::<Guest>()];
    assert!(Registry::of(&plugins, &[row::<Visit>()], &[], &[]).is_ok());
}

#[test]
fn two_methods_of_one_name() {
    for other in [row::<AddAgain>(), row::<Append>()] {
        let why = refusal(&[entry::<Notes>()], &[row::<Add>(), other]);
        assert!(why.ends_with("is registered twice: list it once in `plugin!`"), "{why}");
    }
}

#[tokio::test]
async fn an_unknown_method_names_the_feature_that_would_bring_it() {
    static BILL: &[BillRow] =
        &[BillRow { feature: "voice", linked: false, namespaces: &["voice", "transcribe"] }];
    let registry = Registry::linked(BILL, &[]).unwrap();
    let host = carport_core::Host::start(registry, Default::default()).await.unwrap();
    for (method, feature) in
        [("voice.start", json!("voice")), ("transcribe", json!("voice")), ("x.y", json!(null))]
    {
        let call = host.call(carport_core::Identity::Client, method, &json!({})).await;
        let error = call.unwrap_err();
        assert_eq!(error.code, codes::METHOD_NOT_FOUND);
        assert_eq!(error.data.unwrap_or_default()["feature"], feature, "{method}");
    }
    let methods = TestHost::start().await.openrpc().await;
    assert!(methods.contains_key("lab.echo") && methods.contains_key("lab.repeat"));
}
