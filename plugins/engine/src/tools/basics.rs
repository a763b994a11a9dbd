//! The basic tools, bound to the workspace.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use carport_core::{Result, RpcError};
use carport_engine_api::{HostTool, ToolCall};
use carport_engine_basics::{Root, Tool};
use serde_json::{Map, Value, json};
use tokio::task::spawn_blocking;

/// One basic tool in one workspace.
pub(crate) struct Basic {
    tool: Tool,
    workspace: Arc<PathBuf>,
}

/// The basic tools. Makes the workspace if it is missing.
pub(crate) async fn tools(workspace: Option<PathBuf>) -> Result<Vec<Basic>> {
    let Some(workspace) = workspace else {
        let remedy = "set `engine.workspace`, or start the daemon with a state root";
        return Err(RpcError::unavailable("workspace", remedy));
    };
    let workspace = Arc::new(workspace);
    let path = workspace.clone();
    let opened = spawn_blocking(move || Root::open(&path).map(drop)).await;
    opened.map_err(RpcError::internal)?.map_err(|error| {
        let remedy = format!("the workspace cannot be opened or made: {error}");
        RpcError::unavailable("workspace", remedy)
    })?;
    let tools = carport_engine_basics::tools().into_iter();
    Ok(tools.map(|tool| Basic { tool, workspace: workspace.clone() }).collect())
}

#[async_trait]
impl HostTool for Basic {
    fn schema(&self) -> Value {
        json!({
            "name": self.tool.name,
            "description": self.tool.description,
            "parameters": self.tool.parameters,
            "returns": self.tool.returns,
        })
    }

    async fn call(&self, parameters: Map<String, Value>, _: ToolCall) -> Result<Value, String> {
        let (run, workspace) = (self.tool.run, self.workspace.clone());
        let done = spawn_blocking(move || {
            let root = Root::open(&workspace)
                .map_err(|error| format!("the workspace cannot be opened: {}", error.kind()))?;
            run(&root, parameters.into()).map_err(|error| error.to_string())
        });
        done.await.unwrap_or_else(|_| Err("the tool failed inside".into()))
    }
}
