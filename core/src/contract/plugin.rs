//! What a plugin is: a value that `start` makes, and the hooks the host calls on it.

use std::{
    any::{Any, TypeId},
    future::Future,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{BoxFuture, session::Session, start::StartContext};
use crate::wire::error::Result;

/// A domain. A value of the type *is* a started plugin: there is no half-made state to guard.
pub trait Plugin: Sized + Send + Sync + 'static {
    /// Its name: a word, unique in a build, and the name of its section of the configuration.
    const ID: &'static str;
    /// What its methods' names may start with; a full method name claims that one name.
    const NAMESPACES: &'static [&'static str] = &[Self::ID];
    /// Services that must be there before `start`: names of keys in `-api` crates.
    const REQUIRES: &'static [&'static str] = &[];
    /// Services that start first if this build has them.
    const OPTIONAL: &'static [&'static str] = &[];
    /// Services that `start` provides.
    const PROVIDES: &'static [&'static str] = &[];

    /// Type bytes of the binary frames that [`Self::binary_frame`] takes.
    const BINARY: &'static [u8] = &[];

    /// Its section of the configuration; `()` if it has none. Unknown keys should be errors
    /// (`deny_unknown_fields`) and every key should have a default.
    type Config: Serialize + DeserializeOwned + Default + JsonSchema;

    /// Makes the plugin. An error stops the boot, and those that started are shut down again.
    fn start(cx: &mut StartContext<'_>) -> impl Future<Output = Result<Self>> + Send;

    /// A connection opened; nothing is known of it yet.
    fn session_opened(&self, _session: &Arc<Session>) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// A binary frame of a claimed type came, 26 bytes at the least, from a connection that is not a
    /// stranger. It runs where the frame was read: queue it and return.
    fn binary_frame(&self, _session: &Arc<Session>, _frame: Bytes) {}

    /// A connection ended, and its calls too, by themselves or by their grace running out. Called
    /// in reverse start order. Its subscriptions are gone already.
    fn session_closed(&self, _session: &Arc<Session>) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// How long [`Self::shutdown`] may take before the host goes on without it. Asked when it is due.
    fn shutdown_limit(&self) -> Duration {
        Duration::from_secs(10)
    }

    /// The host stops. Called in reverse start order, after the last session closed.
    fn shutdown(&self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// A [`Plugin`] with its type erased.
pub struct PluginEntry {
    /// [`Plugin::ID`].
    pub id: &'static str,
    /// The version of its crate.
    pub version: &'static str,
    /// [`Plugin::NAMESPACES`].
    pub namespaces: &'static [&'static str],
    /// [`Plugin::REQUIRES`].
    pub requires: &'static [&'static str],
    /// [`Plugin::OPTIONAL`].
    pub optional: &'static [&'static str],
    /// [`Plugin::PROVIDES`].
    pub provides: &'static [&'static str],
    /// [`Plugin::BINARY`].
    pub binary: &'static [u8],
    /// Its configuration where the operator says nothing.
    pub config_default: fn() -> Value,
    /// The schema of its configuration; doc comments are descriptions.
    pub config_schema: fn(&mut SchemaGenerator) -> Schema,
    /// What is wrong with a section, in one line.
    pub config_check: fn(&Value) -> std::result::Result<(), String>,
    pub(crate) plugin: fn() -> TypeId,
    pub(crate) start: StartFn,
}

type StartFn = for<'a, 'b> fn(&'a mut StartContext<'b>) -> BoxFuture<'a, Result<Arc<dyn Running>>>;

impl PluginEntry {
    /// The row of `P`.
    pub const fn of<P: Plugin>(version: &'static str) -> Self {
        Self {
            id: P::ID,
            version,
            namespaces: P::NAMESPACES,
            requires: P::REQUIRES,
            optional: P::OPTIONAL,
            provides: P::PROVIDES,
            binary: P::BINARY,
            config_default: || serde_json::to_value(P::Config::default()).unwrap_or_default(),
            config_schema: P::Config::json_schema,
            config_check: |section| read_section::<P::Config>(section).map(drop),
            plugin: TypeId::of::<P>,
            start: start::<P>,
        }
    }
}

fn start<'a, P: Plugin>(cx: &'a mut StartContext<'_>) -> BoxFuture<'a, Result<Arc<dyn Running>>> {
    Box::pin(async move { Ok(Arc::new(P::start(cx).await?) as Arc<dyn Running>) })
}

/// Reads a section; an absent one is the default. The error names the key.
pub(crate) fn read_section<T: DeserializeOwned + Default>(
    section: &Value,
) -> std::result::Result<T, String> {
    match section {
        Value::Null => Ok(T::default()),
        Value::Object(keys) if keys.is_empty() => Ok(T::default()),
        section => serde_path_to_error::deserialize(section).map_err(|error| {
            let path = error.path().to_string();
            match path.as_str() {
                "." => error.into_inner().to_string(),
                _ => format!("`{path}`: {}", error.into_inner()),
            }
        }),
    }
}

/// A started plugin behind a pointer.
pub(crate) trait Running: Send + Sync {
    fn state(&self) -> &(dyn Any + Send + Sync);
    fn session_opened<'a>(&'a self, session: &'a Arc<Session>) -> BoxFuture<'a, ()>;
    fn session_closed<'a>(&'a self, session: &'a Arc<Session>) -> BoxFuture<'a, ()>;
    fn shutdown_limit(&self) -> Duration;
    fn shutdown(&self) -> BoxFuture<'_, ()>;
    fn binary_frame(&self, session: &Arc<Session>, frame: Bytes);
}

impl<P: Plugin> Running for P {
    fn state(&self) -> &(dyn Any + Send + Sync) {
        self
    }
    fn session_opened<'a>(&'a self, session: &'a Arc<Session>) -> BoxFuture<'a, ()> {
        Box::pin(Plugin::session_opened(self, session))
    }
    fn session_closed<'a>(&'a self, session: &'a Arc<Session>) -> BoxFuture<'a, ()> {
        Box::pin(Plugin::session_closed(self, session))
    }
    fn shutdown_limit(&self) -> Duration {
        Plugin::shutdown_limit(self)
    }
    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(Plugin::shutdown(self))
    }
    fn binary_frame(&self, session: &Arc<Session>, frame: Bytes) {
        Plugin::binary_frame(self, session, frame);
    }
}
