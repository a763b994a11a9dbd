//! What a build advertises, and which of its methods stand for a feature.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::manifest::{AgentManifest, Features};

/// One thing that an agent may use.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Feature {
    /// What it belongs to.
    pub namespace: String,
    /// Its name there.
    pub feature: String,
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.namespace, self.feature)
    }
}

impl Feature {
    fn new(namespace: &str, feature: &str) -> Self {
        Self { namespace: namespace.to_owned(), feature: feature.to_owned() }
    }

    /// `namespace.feature`, parted at the first dot.
    pub fn parse(text: &str) -> Option<Self> {
        let (namespace, feature) = text.split_once('.')?;
        (!namespace.is_empty() && !feature.is_empty()).then(|| Self::new(namespace, feature))
    }

    /// Every one of a table, sorted.
    pub(crate) fn each(features: &Features) -> Vec<Self> {
        let of = |(namespace, features): (&String, &Vec<String>)| {
            features.iter().map(|it| Self::new(namespace, it)).collect::<BTreeSet<_>>()
        };
        features.iter().flat_map(of).collect()
    }
}

/// Namespaces of features, the first letters of a feature there, and the namespaces of the methods
/// that offer all such features.
const OFFERED: [(&str, &str, &[&str]); 5] = [
    ("inference", "", &["infer", "inference"]),
    ("storage", "", &["memory", "state"]),
    ("a2ui", "", &["a2ui"]),
    ("a2a", "", &["a2a"]),
    ("tools", "voice-", &["voice"]),
];

/// What every daemon offers. It does not cage the network, so `network.none` is never among it.
const ALWAYS: [(&str, &str); 2] = [("network", "arbitrary-http"), ("network", "host-api")];
const NEVER: (&str, &str) = ("network", "none");

/// Methods that stay open to an agent whatever its manifest denies: without them it could not say who
/// it is, nor answer.
const OPEN: [&str; 3] = ["session.auth", "server.handshake", "agent.chat.event"];

/// What a build offers to agents.
#[derive(Debug, Clone, Default)]
pub struct Advertised {
    methods: BTreeMap<&'static str, &'static str>,
    /// What the operator adds. The feature `*` is all of a namespace.
    added: BTreeSet<Feature>,
}

impl Advertised {
    /// What these methods offer (each wire name with the method's own name), and what is `added`.
    pub fn new(
        methods: BTreeMap<&'static str, &'static str>,
        added: impl IntoIterator<Item = Feature>,
    ) -> Self {
        Self { methods, added: added.into_iter().collect() }
    }

    /// Whether the build offers it: it is there in any build, the operator says so, a method bears its
    /// name, or the namespace of methods that offers its kind is in the build.
    pub fn offers(&self, feature: &Feature) -> bool {
        let (namespace, name) = (&*feature.namespace, &*feature.feature);
        if (namespace, name) == NEVER {
            return false;
        }
        let group =
            OFFERED.iter().find(|(of, begins, _)| namespace == *of && name.starts_with(begins));
        let is_there = |method: &'static str| {
            group.is_some_and(|(_, _, namespaces)| namespaces.contains(&namespace_of(method)))
        };
        ALWAYS.contains(&(namespace, name))
            || self.added.contains(feature)
            || self.added.contains(&Feature::new(namespace, "*"))
            || self.methods.keys().any(|method| is_there(method) || bears(method, feature))
    }

    /// Those that are required and missing, and those that are optional and missing.
    pub fn missing(&self, manifest: &AgentManifest) -> (Vec<Feature>, Vec<Feature>) {
        let Some(wanted) = &manifest.capabilities else { return Default::default() };
        let missing = |features: &Features| {
            Feature::each(features).into_iter().filter(|it| !self.offers(it)).collect()
        };
        (missing(&wanted.required), missing(&wanted.optional))
    }

    /// The methods that denied features stand for, and the features that no method stands for.
    pub fn denial(&self, denied: &[Feature]) -> (BTreeSet<&'static str>, Vec<Feature>) {
        let mut names = BTreeSet::new();
        let mut unenforced = Vec::new();
        for feature in denied {
            let own: BTreeSet<_> = methods_of(feature, &self.methods);
            match own.is_empty() {
                true => unenforced.push(feature.clone()),
                false => names.extend(own),
            }
        }
        (names, unenforced)
    }
}

/// Every wire name of the methods that stand for a feature: those that are called
/// `namespace.feature`, a dash as an underscore, and with them their other names. The feature `*` is
/// every method of the namespace, and of those that offer its kind.
fn methods_of(
    feature: &Feature,
    methods: &BTreeMap<&'static str, &'static str>,
) -> BTreeSet<&'static str> {
    let of_kind = |method: &str| {
        let all =
            OFFERED.iter().filter(|(of, begins, _)| *of == feature.namespace && begins.is_empty());
        all.flat_map(|(.., namespaces)| *namespaces).any(|it| *it == namespace_of(method))
    };
    let stands = |name: &str| match &*feature.feature {
        "*" => namespace_of(name) == feature.namespace || of_kind(name),
        _ => bears(name, feature) || (name == feature.feature && of_kind(name)),
    };
    let own: BTreeSet<_> =
        methods.iter().filter(|(name, _)| stands(name)).map(|(_, own)| *own).collect();
    let names = methods.iter().filter(|(_, it)| own.contains(*it)).map(|(name, _)| *name);
    names.filter(|name| !OPEN.contains(name)).collect()
}

/// Whether a method is called as a feature is.
fn bears(method: &str, feature: &Feature) -> bool {
    let same = |(ours, theirs): (u8, u8)| ours == theirs || (ours, theirs) == (b'_', b'-');
    method.split_once(['.', '/']).is_some_and(|(namespace, name)| {
        namespace == feature.namespace
            && name.len() == feature.feature.len()
            && name.bytes().zip(feature.feature.bytes()).all(same)
    })
}

/// The part of a method's name before its first dot or slash.
fn namespace_of(method: &str) -> &str {
    method.split(['.', '/']).next().unwrap_or(method)
}
