//! What a tool is, and all of them.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    Calculate, EditFile, FindFiles, GrepFiles, ListDir, ReadFile, Root, ToolError, WriteFile,
};

/// A tool by its type, which is its parameters; the doc comment is what a model reads of it.
pub trait Basic: DeserializeOwned + JsonSchema {
    /// What it is called by.
    const NAME: &'static str;
    /// What it gives.
    type Output: Serialize + JsonSchema;

    /// Does it. Blocks on the disk.
    fn run(self, root: &Root) -> Result<Self::Output, ToolError>;
}

/// A [`Basic`] with its type erased.
#[derive(Debug, Clone)]
pub struct Tool {
    /// What it is called by.
    pub name: &'static str,
    /// For models.
    pub description: String,
    /// The schema of its parameters.
    pub parameters: Value,
    /// The schema of its output.
    pub returns: Value,
    /// Does it. Blocks on the disk.
    pub run: fn(&Root, Value) -> Result<Value, ToolError>,
}

/// Every tool, sorted by name.
pub fn tools() -> Vec<Tool> {
    vec![
        tool::<Calculate>(),
        tool::<EditFile>(),
        tool::<FindFiles>(),
        tool::<GrepFiles>(),
        tool::<ListDir>(),
        tool::<ReadFile>(),
        tool::<WriteFile>(),
    ]
}

fn tool<T: Basic>() -> Tool {
    let mut parameters = schema::<T>();
    let description = parameters.as_object_mut().and_then(|it| it.remove("description"));
    Tool {
        name: T::NAME,
        description: description.and_then(|it| it.as_str().map(str::to_owned)).unwrap_or_default(),
        parameters,
        returns: schema::<T::Output>(),
        run: run::<T>,
    }
}

fn schema<T: JsonSchema>() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    settings.meta_schema = None;
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Some(members) = schema.as_object_mut() {
        members.remove("title");
    }
    schema
}

fn run<T: Basic>(root: &Root, parameters: Value) -> Result<Value, ToolError> {
    let tool: T = serde_path_to_error::deserialize(parameters).map_err(|error| {
        let path = error.path().to_string();
        let why = error.into_inner();
        ToolError::Parameters(if path == "." {
            why.to_string()
        } else {
            format!("`{path}`: {why}")
        })
    })?;
    let output = tool.run(root)?;
    serde_json::to_value(output).map_err(|error| ToolError::Parameters(error.to_string()))
}
