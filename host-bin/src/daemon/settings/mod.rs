//! The configuration: file, environment and command line put over the defaults, checked, and each
//! value with where it was written.

mod fault;
mod layer;
pub(crate) mod outline;
pub(crate) mod overrides;
pub(crate) mod own;
pub(crate) mod template;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, ffi::OsString, fs, io, path::Path};

use carport_core::{BillRow, CARPORT_PLUGINS, PluginEntry, Settings};
use config::{Config, ValueKind};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value as Json};

pub(crate) use self::fault::Fault;
use self::{
    layer::Layer,
    outline::{Key, Node, Outline},
    overrides::Overrides,
    own::OwnSettings,
};
use super::root::StateRoot;

/// What the operator decided, complete and checked.
#[derive(Debug)]
pub(crate) struct Configuration {
    /// The host's own part.
    pub(crate) host: Settings,
    /// The daemon's own part.
    pub(crate) own: OwnSettings,
    /// The sections of the plugins of this build.
    pub(crate) plugins: BTreeMap<String, Json>,
    /// Every value with where it was written, by key.
    pub(crate) entries: Vec<Entry>,
    /// The whole of it.
    pub(crate) merged: Json,
}

/// One value of the configuration.
#[derive(Debug, Serialize)]
pub(crate) struct Entry {
    /// As one would write it in TOML, with its section.
    pub(crate) key: String,
    /// What it is.
    pub(crate) value: Json,
    /// Where it was written.
    pub(crate) from: String,
}

/// What a configuration is made of besides the command line.
pub(crate) struct Sources<'a> {
    /// `config.toml`: where it lies and what it says, if it is there.
    pub(crate) file: Option<(&'a Path, &'a str)>,
    /// The environment.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// The plugins of this build.
    pub(crate) plugins: Vec<&'static PluginEntry>,
    /// The plugins that this binary knows of.
    pub(crate) bill: &'static [BillRow],
}

impl Configuration {
    /// The configuration of this build, this process and this state root.
    pub(crate) fn load(
        root: &StateRoot,
        overrides: &Overrides,
        bill: &'static [BillRow],
    ) -> Result<Self, Fault> {
        let path = root.config_file();
        let text = match fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(Fault::Unreadable { path, error }),
        };
        let sources = Sources {
            file: text.as_deref().map(|text| (&*path, text)),
            environment: std::env::vars_os().collect(),
            plugins: CARPORT_PLUGINS.iter().collect(),
            bill,
        };
        Self::merge(sources, overrides)
    }

    /// Puts the layers over one another and checks what comes out.
    pub(crate) fn merge(sources: Sources<'_>, overrides: &Overrides) -> Result<Self, Fault> {
        let Sources { file, environment, plugins, bill } = sources;
        let outline = Outline::of(&plugins, bill)?;
        let mut layers = vec![defaults(&plugins), overrides.preset(&outline)];
        if let Some((path, text)) = file {
            layers.push(Layer::file(path, text)?);
        }
        layers.push(Layer::environment(environment.into_iter(), &outline)?);
        layers.push(overrides.layer());
        let mut builder = Config::builder();
        for layer in layers {
            // Each by itself, so that the message names the place of the mistake.
            layer.check(&outline)?;
            builder = builder.add_source(layer);
        }
        let wrong = |error: config::ConfigError| Fault::Value {
            from: "configuration".into(),
            why: error.to_string(),
        };
        let merged = builder.build().map_err(wrong)?.cache;
        let mut entries = Vec::new();
        list(outline.root(), &mut Vec::new(), &merged, &mut entries);
        let merged = merged.try_deserialize().map_err(wrong)?;
        Draft { merged, entries }.check(&plugins)
    }
}

/// Everything where nobody says otherwise.
fn defaults(plugins: &[&PluginEntry]) -> Layer {
    let mut layer = Layer::default();
    let own =
        [serde_json::to_value(OwnSettings::default()), serde_json::to_value(Settings::default())];
    for section in own {
        for (key, value) in section.ok().as_ref().and_then(Json::as_object).into_iter().flatten() {
            layer.set(&[key], value.clone(), DEFAULT);
        }
    }
    for plugin in plugins {
        let section = (plugin.config_default)();
        if !section.is_null() {
            layer.set(&[plugin.id], section, DEFAULT);
        }
    }
    layer
}

/// Where a value was written that nobody wrote.
const DEFAULT: &str = "default";

/// Lists every value below `value`; an empty table is a value too.
fn list(node: Node<'_>, path: &mut Vec<String>, value: &config::Value, entries: &mut Vec<Entry>) {
    if let ValueKind::Table(table) = &value.kind
        && node.is_table()
        && !table.is_empty()
    {
        let mut keys: Vec<_> = table.iter().collect();
        keys.sort_by_key(|(key, _)| *key);
        for (key, value) in keys {
            if let Key::Known(node) = node.key(key) {
                path.push(key.clone());
                list(node, path, value, entries);
                path.pop();
            }
        }
        return;
    }
    if !path.is_empty() {
        let from = value.origin().unwrap_or(DEFAULT).to_owned();
        let value = value.clone().try_deserialize().unwrap_or_default();
        entries.push(Entry { key: dotted(path), value, from });
    }
}

/// A configuration whose values were not looked at yet.
struct Draft {
    merged: Json,
    entries: Vec<Entry>,
}

impl Draft {
    fn check(self, plugins: &[&PluginEntry]) -> Result<Configuration, Fault> {
        let host: Settings = self.part(&Settings::default())?;
        let own: OwnSettings = self.part(&OwnSettings::default())?;
        host.check().map_err(|why| self.fault(&[], &why))?;
        let mut sections = BTreeMap::new();
        for plugin in plugins {
            if (plugin.config_default)().is_null() {
                continue;
            }
            let section = self.merged[plugin.id].clone();
            (plugin.config_check)(&section).map_err(|why| self.fault(&[plugin.id], &why))?;
            sections.insert(plugin.id.to_owned(), section);
        }
        let Self { merged, entries } = self;
        Ok(Configuration { host, own, plugins: sections, entries, merged })
    }

    /// Reads the sections that `T` has.
    fn part<T: Serialize + DeserializeOwned>(&self, default: &T) -> Result<T, Fault> {
        let default = serde_json::to_value(default).unwrap_or_default();
        let keys = default.as_object().into_iter().flatten();
        let part: Map<_, _> =
            keys.map(|(key, _)| (key.clone(), self.merged[key].clone())).collect();
        serde_path_to_error::deserialize(Json::Object(part)).map_err(|error| {
            use serde_path_to_error::Segment;
            let key = |segment: &Segment| match segment {
                Segment::Map { key } => Some(key.clone()),
                _ => None,
            };
            let path: Vec<_> = error.path().iter().filter_map(key).collect();
            let why = format!("`{}`: {}", dotted(&path), error.inner());
            Fault::Value { from: self.whence(&path), why }
        })
    }

    /// What a check said, with where the key that it names was written.
    fn fault(&self, section: &[&str], why: &str) -> Fault {
        let named = named_key(why).unwrap_or_default();
        let path: Vec<_> = section.iter().map(|it| (*it).to_owned()).chain(named).collect();
        let why = section.first().map_or_else(|| why.to_owned(), |id| format!("[{id}] {why}"));
        Fault::Value { from: self.whence(&path), why }
    }

    /// Where the value at `path` was written; for a section, the first place that wrote in it.
    fn whence(&self, path: &[String]) -> String {
        let written = |path: &[String]| {
            let key = dotted(path);
            let inside = |entry: &&Entry| {
                entry.key == key
                    || entry.key.strip_prefix(&key).is_some_and(|rest| rest.starts_with('.'))
            };
            let mut found = self.entries.iter().filter(inside);
            let first = found.next()?;
            Some(found.fold(first, |kept, next| if kept.from == DEFAULT { next } else { kept }))
        };
        let found = (1..=path.len()).rev().find_map(|most| written(&path[..most]));
        found.map_or_else(|| "configuration".into(), |entry| entry.from.clone())
    }
}

/// The key that a message names in its first words, in back quotes.
fn named_key(message: &str) -> Option<Vec<String>> {
    let (key, _) = message.strip_prefix('`')?.split_once('`')?;
    let key = key.split('[').next().unwrap_or(key);
    let keys = toml_edit::Key::parse(key).ok()?;
    Some(keys.iter().map(|key| key.get().to_owned()).collect())
}

/// A path as one would write it in TOML.
pub(crate) fn dotted<K: AsRef<str>>(path: &[K]) -> String {
    let quoted: Vec<_> =
        path.iter().map(|key| toml_edit::Key::new(key.as_ref()).to_string()).collect();
    quoted.join(".")
}
