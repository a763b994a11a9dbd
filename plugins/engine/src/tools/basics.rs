//! The basic tools, bound to the workspace.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use carport_core::{Result, RpcError};
use carport_engine_api::{HostTool, ToolCall};
use carport_engine_basics::{Root, Tool};
use serde_json::{Map, Value, json};
use tokio::{sync::Semaphore, task::spawn_blocking};

/// Basic tools of the whole daemon that work at once.
pub(crate) const MAX_WORKING: usize = 16;

/// One basic tool in one workspace.
pub(crate) struct Basic {
    tool: Tool,
    workspace: Arc<PathBuf>,
    room: Arc<Semaphore>,
}

/// Tells a piece of work that nobody waits for it any more.
struct Given(Arc<AtomicBool>);

impl Drop for Given {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// The basic tools. Makes the workspace if it is missing. `room` is that of the daemon.
pub(crate) async fn tools(workspace: Option<PathBuf>, room: &Arc<Semaphore>) -> Result<Vec<Basic>> {
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
    let basic = |tool| Basic { tool, workspace: workspace.clone(), room: room.clone() };
    Ok(tools.map(basic).collect())
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
        let room = self.room.clone().acquire_owned().await;
        let given_up = Arc::new(AtomicBool::new(false));
        let _given = Given(given_up.clone());
        let done = spawn_blocking(move || {
            // Taken until the work is over, which may be after its deadline.
            let _room = room;
            if given_up.load(Ordering::Acquire) {
                return Err("nobody waits for it".into());
            }
            let root = Root::open(&workspace)
                .map_err(|error| format!("the workspace cannot be opened: {}", error.kind()))?;
            run(&root, parameters.into()).map_err(|error| error.to_string())
        });
        done.await.unwrap_or_else(|_| Err("the tool failed inside".into()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_tool_waits_until_there_is_room() {
        let (root, room) = (tempfile::tempdir().unwrap(), Arc::new(Semaphore::new(1)));
        let tools = tools(Some(root.path().join("workspace")), &room).await.unwrap();
        let calculator = tools.iter().find(|it| it.tool.name == "calculate").unwrap();
        let taken = room.clone().acquire_owned().await.unwrap();
        let call = ToolCall {
            proposal_id: "p".into(),
            action_id: "a".into(),
            attempt: 1,
            timeout: Duration::from_secs(1),
        };
        let parameters = Map::from_iter([("expression".to_owned(), json!("6 * 7"))]);
        let mut calling = calculator.call(parameters, call);
        assert!(timeout(Duration::from_millis(100), &mut calling).await.is_err());
        drop(taken);
        calling.await.unwrap();
        assert_eq!(room.available_permits(), 1);
    }
}
