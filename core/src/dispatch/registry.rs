//! What the linker gathered, checked and put in order.

use std::collections::{BTreeMap, BTreeSet};

use crate::contract::{
    macros::BillRow, method::MethodEntry, plugin::PluginEntry, roll::CARPORT_PLUGINS,
};

/// The plugins of this binary in start order, and their methods by name.
pub struct Registry {
    pub(crate) plugins: Vec<&'static PluginEntry>,
    /// By wire name; an alias has a row of its own.
    pub(crate) methods: BTreeMap<&'static str, (&'static MethodEntry, &'static PluginEntry)>,
    pub(crate) bill: &'static [BillRow],
}

/// Why a build will not start, with the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Two rows of the roll have one id.
    #[error("two plugins call themselves `{0}`: rename one of them (`Plugin::ID`)")]
    SameId(&'static str),
    /// Two plugins claim one namespace.
    #[error("plugins `{0}` and `{1}` both claim `{2}`: take it out of one's `NAMESPACES`")]
    SameNamespace(&'static str, &'static str, &'static str),
    /// Two plugins claim one type of binary frames.
    #[error("plugins `{0}` and `{1}` both claim binary frames of type {2:#04x}")]
    SameBinary(&'static str, &'static str, u8),
    /// The bill of materials asks for a plugin that is not on the roll.
    #[error(
        "plugin `{0}` was asked for and did not answer the roll: its crate is not linked (write \
         `use the_crate as _;`) or its id is not `{0}`"
    )]
    NotLinked(&'static str),
    /// A requirement that nobody provides.
    #[error(
        "plugin `{0}` needs `{1}`, and no plugin in this build provides it: add the plugin that \
         does, or provide your own with `Config::provide`"
    )]
    Unmet(&'static str, &'static str),
    /// Two plugins provide one service.
    #[error("plugins `{0}` and `{1}` both provide `{2}`: leave one of them out")]
    SameService(&'static str, &'static str, &'static str),
    /// Plugins that wait for each other.
    #[error(
        "plugins {0} wait for each other: break the circle by splitting the service that one of \
         them provides"
    )]
    Circle(String),
    /// A method whose plugin is not on the roll.
    #[error("method `{0}` has no plugin on the roll: enrol its plugin with `plugin!`")]
    Orphan(&'static str),
    /// A method outside its plugin's namespaces.
    #[error("method `{0}` is not in a namespace of `{1}`: rename it or add to `NAMESPACES`")]
    Foreign(&'static str, &'static str),
    /// Two methods, or a method and an alias, of one name.
    #[error("method `{0}` is registered twice: list it once in `plugin!`")]
    SameMethod(&'static str),
}

impl Registry {
    /// Everything that was linked in; what `bill` marks as linked must be there. `provided` are the
    /// services that the embedder brings.
    pub fn linked(bill: &'static [BillRow], provided: &[&'static str]) -> Result<Self, Refusal> {
        let plugins: Vec<_> = CARPORT_PLUGINS.iter().collect();
        let methods: Vec<_> = inventory::iter::<MethodEntry>.into_iter().collect();
        Self::of(&plugins, &methods, bill, provided)
    }

    /// A registry of these rows and no others.
    pub fn of(
        plugins: &[&'static PluginEntry],
        methods: &[&'static MethodEntry],
        bill: &'static [BillRow],
        provided: &[&'static str],
    ) -> Result<Self, Refusal> {
        let mut rows: BTreeMap<&str, &'static PluginEntry> = BTreeMap::new();
        for row in plugins {
            if rows.insert(row.id, row).is_some() {
                return Err(Refusal::SameId(row.id));
            }
        }
        let missing = bill.iter().find(|row| row.linked && !rows.contains_key(row.feature));
        if let Some(row) = missing {
            return Err(Refusal::NotLinked(row.feature));
        }
        let claims = claims(&rows)?;
        let methods = join(&rows, &claims, methods)?;
        let plugins = start_order(rows, provided)?;
        Ok(Self { plugins, methods, bill })
    }

    /// The feature that would bring `method`, if it is known and not linked.
    pub(crate) fn feature_for(&self, method: &str) -> Option<&'static str> {
        let namespace = namespace_of(method);
        let brings = |row: &&BillRow| {
            !row.linked && row.namespaces.iter().any(|it| *it == namespace || *it == method)
        };
        self.bill.iter().find(brings).map(|row| row.feature)
    }

    /// Whether `namespace` belongs to a plugin of this build or of the bill of materials.
    pub(crate) fn claims(&self, namespace: &str) -> bool {
        let linked = self.plugins.iter().flat_map(|row| row.namespaces);
        let known = self.bill.iter().flat_map(|row| row.namespaces);
        linked.chain(known).any(|it| namespace_of(it) == namespace)
    }
}

/// The part of a method's name before its first dot or slash.
pub(crate) fn namespace_of(method: &str) -> &str {
    method.split(['.', '/']).next().unwrap_or(method)
}

type Claims = BTreeMap<&'static str, &'static str>;

fn claims(rows: &BTreeMap<&str, &'static PluginEntry>) -> Result<Claims, Refusal> {
    let mut claims = Claims::new();
    let mut binary = BTreeMap::new();
    for row in rows.values() {
        for kind in row.binary {
            if let Some(other) = binary.insert(*kind, row.id) {
                return Err(Refusal::SameBinary(other, row.id, *kind));
            }
        }
        for namespace in row.namespaces {
            if let Some(other) = claims.insert(namespace, row.id) {
                return Err(Refusal::SameNamespace(other, row.id, namespace));
            }
        }
    }
    Ok(claims)
}

type Methods = BTreeMap<&'static str, (&'static MethodEntry, &'static PluginEntry)>;

/// Joins each method to its plugin, and keeps every name single and where its plugin may speak. A
/// claim of one full name comes before a claim of its namespace.
fn join(
    rows: &BTreeMap<&str, &'static PluginEntry>,
    claims: &Claims,
    entries: &[&'static MethodEntry],
) -> Result<Methods, Refusal> {
    let mut methods = Methods::new();
    for entry in entries {
        let owner = rows.values().find(|row| (row.plugin)() == (entry.plugin)());
        let Some(owner) = owner else { return Err(Refusal::Orphan(entry.name)) };
        for name in std::iter::once(&entry.name).chain(entry.aliases) {
            let claim = claims.get(name).or_else(|| claims.get(namespace_of(name)));
            if claim != Some(&owner.id) {
                return Err(Refusal::Foreign(name, owner.id));
            }
            if methods.insert(name, (entry, owner)).is_some() {
                return Err(Refusal::SameMethod(name));
            }
        }
    }
    Ok(methods)
}

/// Repeatedly takes a plugin that waits for nobody. Ties fall to the alphabet, so that the order
/// never depends on the linker.
fn start_order(
    rows: BTreeMap<&str, &'static PluginEntry>,
    provided: &[&'static str],
) -> Result<Vec<&'static PluginEntry>, Refusal> {
    let mut offered = BTreeMap::new();
    for row in rows.values() {
        for service in row.provides {
            if let Some(other) = offered.insert(*service, row.id) {
                return Err(Refusal::SameService(other, row.id, service));
            }
        }
    }
    for row in rows.values() {
        let met = |need: &&&str| offered.contains_key(**need) || provided.contains(*need);
        if let Some(need) = row.requires.iter().find(|need| !met(need)) {
            return Err(Refusal::Unmet(row.id, need));
        }
    }
    let (mut waiting, mut order) = (rows, Vec::new());
    while !waiting.is_empty() {
        let unmet: BTreeSet<_> = waiting.values().flat_map(|row| row.provides).collect();
        let waits = |row: &PluginEntry| {
            row.requires.iter().chain(row.optional).any(|service| unmet.contains(service))
        };
        let Some(&row) = waiting.values().find(|row| !waits(row)) else {
            let circle: Vec<_> = waiting.keys().map(|id| format!("`{id}`")).collect();
            return Err(Refusal::Circle(circle.join(", ")));
        };
        waiting.remove(row.id);
        order.push(row);
    }
    Ok(order)
}
