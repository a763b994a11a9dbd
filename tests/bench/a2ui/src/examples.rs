//! The official examples, as the plugin's tests apply them.

use std::{fs, path::PathBuf};

use carport_bench_dispatch::Error;
use serde_json::Value;

/// The messages of each example, in the order of the files' names.
pub(crate) fn read() -> Result<Vec<Vec<Value>>, Error> {
    let folder =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../plugins/a2ui/data/examples");
    let mut files: Vec<_> =
        fs::read_dir(folder)?.map(|it| it.map(|it| it.path())).collect::<Result<_, _>>()?;
    files.sort();
    let mut examples = Vec::with_capacity(files.len());
    for file in files {
        let mut example: Value = serde_json::from_slice(&fs::read(file)?)?;
        match example["messages"].take() {
            Value::Array(messages) => examples.push(messages),
            _ => return Err("an example has messages".into()),
        }
    }
    Ok(examples)
}

/// The message that an envelope is.
pub(crate) fn key(envelope: &Value) -> &str {
    let keys = envelope.as_object().into_iter().flat_map(|it| it.keys());
    keys.map(String::as_str).find(|key| *key != "version").unwrap_or_default()
}
