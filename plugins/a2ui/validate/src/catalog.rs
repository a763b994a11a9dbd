//! A catalog: its components, its functions and its theme, each with a compiled validator.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use jsonschema::Validator;
use serde_json::{Map, Value};

use crate::{
    Message,
    documents::{Documents, ENVELOPES, compile, members},
    edges::Edge,
    violations::{self, Violation},
};

/// One catalog, ready to check with.
pub struct Catalog {
    id: &'static str,
    components: BTreeMap<String, Arc<Component>>,
    functions: Vec<String>,
    messages: Arc<HashMap<Message, Validator>>,
}

/// A type of component.
pub struct Component {
    validator: Validator,
    /// Where it names other components.
    pub edges: Vec<Edge>,
    /// Its optional members that have a default, with that.
    pub defaults: Map<String, Value>,
}

impl Component {
    /// Whether a component is as its type says. The time that takes grows with its length.
    pub fn admits(&self, component: &Value) -> bool {
        self.validator.is_valid(component)
    }

    /// What is wrong with a component of this type, by pointers from the component. All ways in which each
    /// value in it could have been meant are tried, so this is for components of moderate size.
    pub fn check(&self, component: &Value) -> Vec<Violation> {
        violations::of(&self.validator, component)
    }
}

impl Catalog {
    pub(crate) fn compile(documents: &Documents, id: &'static str) -> Result<Self, String> {
        let set = documents.for_catalog(id);
        let registry = set.registry()?;
        let catalog = documents.catalog(id);
        let mut components = BTreeMap::new();
        for name in members(&catalog["components"]) {
            let validator = compile(&registry, &format!("{id}#/components/{name}"))?;
            let own = properties(documents, name);
            let with_default = own.iter().filter_map(|(member, schema)| {
                Some((member.clone(), schema.get("default")?.clone()))
            });
            let component =
                Component { validator, edges: Edge::of(&own), defaults: with_default.collect() };
            components.insert(name.clone(), Arc::new(component));
        }
        let mut messages = HashMap::new();
        for message in Message::ALL {
            let reference = format!("{ENVELOPES}#/$defs/{}", message.definition());
            messages.insert(message, compile(&registry, &reference)?);
        }
        let functions = members(&catalog["functions"]).cloned().collect();
        Ok(Self { id, components, functions, messages: Arc::new(messages) })
    }

    /// The catalog of this id, whose components are some of these. Functions and theme are the same, so
    /// what is compiled is, too.
    pub(crate) fn part(&self, documents: &Documents, id: &'static str) -> Self {
        let names = members(&documents.catalog(id)["components"]);
        let shared = |name: &String| Some((name.clone(), self.components.get(name)?.clone()));
        Self {
            id,
            components: names.filter_map(shared).collect(),
            functions: self.functions.clone(),
            messages: self.messages.clone(),
        }
    }

    /// Its id.
    pub fn id(&self) -> &'static str {
        self.id
    }

    /// The type of this name.
    pub fn component(&self, name: &str) -> Option<&Component> {
        self.components.get(name).map(|it| &**it)
    }

    /// The names of its types, sorted.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.components.keys().map(String::as_str)
    }

    /// The names of its functions, sorted.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.functions.iter().map(String::as_str)
    }

    /// What is wrong with an envelope whose message this is. Its components are only checked to be
    /// objects; each has its own schema.
    pub fn check_message(&self, message: Message, envelope: &Value) -> Vec<Violation> {
        violations::of(&self.messages[&message], envelope)
    }
}

/// The members that a type has of its own, beside those that every component has.
fn properties(documents: &Documents, name: &str) -> Map<String, Value> {
    let own = [&documents.basic, &documents.extended].into_iter().find_map(|catalog| {
        let parts = catalog["components"][name]["allOf"].as_array()?;
        parts.iter().find_map(|part| part["properties"].as_object())
    });
    own.cloned().unwrap_or_default()
}
