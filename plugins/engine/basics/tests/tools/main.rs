//! The tools on a real directory.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(
    clippy::needless_pass_by_value,
    reason = "parameters are handed over as `json!` makes them"
)]

mod editing;
mod links;
mod looking;
mod reading;
mod schemas;

use std::{
    fs,
    path::{Path, PathBuf},
};

use carport_engine_basics::{Root, ToolError, tools};
use serde_json::Value;
use tempfile::TempDir;

/// A workspace in a directory of its own.
struct Scene {
    base: TempDir,
    root: Root,
}

impl Scene {
    fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        let root = Root::open(&base.path().join("workspace")).unwrap();
        Self { base, root }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.base.path().join("workspace").join(path)
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), content).unwrap();
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    fn call(&self, name: &str, parameters: Value) -> Result<Value, ToolError> {
        call(&self.root, name, &parameters)
    }

    fn ok(&self, name: &str, parameters: Value) -> Value {
        self.call(name, parameters.clone())
            .unwrap_or_else(|error| panic!("{name} {parameters}: {error}"))
    }

    fn refused(&self, name: &str, parameters: Value) -> ToolError {
        match self.call(name, parameters.clone()) {
            Ok(output) => panic!("{name} {parameters}: {output}"),
            Err(error) => error,
        }
    }
}

/// Calls a tool and holds what it gives against its schema.
fn call(root: &Root, name: &str, parameters: &Value) -> Result<Value, ToolError> {
    let tool = tools().into_iter().find(|tool| tool.name == name).unwrap();
    let output = (tool.run)(root, parameters.clone())?;
    let schema = jsonschema::validator_for(&tool.returns).unwrap();
    assert!(schema.is_valid(&output), "{name} gave {output}");
    Ok(output)
}

/// What is in a directory.
fn names(path: &Path) -> Vec<String> {
    let names = fs::read_dir(path).unwrap().map(|it| it.unwrap().file_name());
    let mut names: Vec<_> = names.map(|it| it.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
