//! Catalogs of A2UI v0.9 components as compiled JSON Schemas, and exact faults of what breaks them.
//!
//! The official documents are compiled as they are but for three places, whose meaning stays the same
//! (`documents`). Every component has a validator of its own, so that a fault is never that of a choice
//! between two dozen types.

mod catalog;
mod documents;
mod edges;
mod violations;

pub use catalog::{Catalog, Component};
pub use documents::{BASIC, BASIC_ALIAS, EXTENDED};
pub use edges::{Children, Edge, Reference};
pub use violations::Violation;

use jsonschema::Validator;
use serde_json::Value;

use crate::documents::Documents;

/// What the `version` of an envelope may be; the first is what the daemon writes.
pub const VERSIONS: [&str; 2] = ["v0.9", "v0.9.1"];

/// The four messages of an agent, by their keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Message {
    /// `createSurface`.
    Create,
    /// `updateComponents`.
    Components,
    /// `updateDataModel`.
    Data,
    /// `deleteSurface`.
    Delete,
}

impl Message {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Create, Self::Components, Self::Data, Self::Delete];

    /// The member of an envelope that it is.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Create => "createSurface",
            Self::Components => "updateComponents",
            Self::Data => "updateDataModel",
            Self::Delete => "deleteSurface",
        }
    }

    /// The message of this key.
    pub fn of_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.key() == key)
    }

    const fn definition(self) -> &'static str {
        match self {
            Self::Create => "CreateSurfaceMessage",
            Self::Components => "UpdateComponentsMessage",
            Self::Data => "UpdateDataModelMessage",
            Self::Delete => "DeleteSurfaceMessage",
        }
    }
}

/// The compiled schemas: the catalogs and the messages that need none.
pub struct Schemas {
    catalogs: Vec<Catalog>,
    client_message: Validator,
}

impl Schemas {
    /// Compiles everything; nothing is fetched.
    ///
    /// # Errors
    /// A text that names what does not compile: the documents are part of the build, so it is a fault of
    /// the build.
    pub fn compile() -> Result<Self, String> {
        let documents = Documents::read()?;
        let extended = Catalog::compile(&documents, EXTENDED)?;
        let basic = extended.part(&documents, BASIC);
        Ok(Self { catalogs: vec![extended, basic], client_message: documents.client_message()? })
    }

    /// The catalogs, the preferred one first.
    pub fn catalogs(&self) -> &[Catalog] {
        &self.catalogs
    }

    /// The catalog of this id.
    pub fn catalog(&self, id: &str) -> Option<&Catalog> {
        self.catalogs.iter().find(|it| it.id() == id)
    }

    /// What is wrong with a message of a renderer: `{version, action}` or `{version, error}`.
    pub fn client_message(&self, message: &Value) -> Vec<Violation> {
        violations::of(&self.client_message, message)
    }
}

#[cfg(test)]
mod official_tests;
#[cfg(test)]
mod tests;
