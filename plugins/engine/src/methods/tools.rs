//! `tools.register`, `tools.list`, `tools.unregister`, `agents.register_basics`.

use std::sync::Arc;

use carport_core::{Access, Caller, Method, Result, bounds};
use carport_engine_model::ToolSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Engine,
    tools::{
        basics,
        registry::{MAX_TOOLS, Tool},
    },
};

/// Checks tools and compiles their schemas; `field` is the path of the list, empty for the
/// parameters themselves.
pub(super) fn read(field: &str, schemas: Vec<ToolSchema>) -> Result<Vec<Tool>> {
    bounds::items(if field.is_empty() { "params" } else { field }, &schemas, 0..=MAX_TOOLS)?;
    let tools = schemas.into_iter().enumerate();
    tools.map(|(at, schema)| Tool::of_client(schema, &format!("{field}[{at}]"))).collect()
}

/// Registers tools of this client, all of them or none. A name again replaces the tool. The
/// parameters are an array.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RegisterTools(pub Vec<ToolSchema>);

described!(RegisterTools: Vec<ToolSchema> =
    "Registers tools of this client, all of them or none. A name again replaces the tool. The \
     parameters are an array.");

impl Method for RegisterTools {
    const NAME: &'static str = "tools.register";
    const ACCESS: Access = Access::Authenticated;
    const TAKES_ARRAY: bool = true;
    type Plugin = Engine;
    type Reply = usize;

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<usize> {
        let tools = read("", self.0)?;
        let count = tools.len();
        let runtime = engine.hub.runtime(caller.session()).await?;
        runtime.change_tools(|registry| registry.add(tools))?;
        Ok(count)
    }
}

/// Lists the tools that this connection registered.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListTools {}

/// Tools.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ToolList {
    /// Sorted by name, with their defaults filled in.
    pub tools: Vec<ToolSchema>,
    /// How many.
    pub count: usize,
}

impl Method for ListTools {
    const NAME: &'static str = "tools.list";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = ToolList;

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<ToolList> {
        let runtime = engine.hub.runtime(caller.session()).await?;
        let tools: Vec<_> = runtime.tools.lock().all().map(|tool| tool.schema.clone()).collect();
        Ok(ToolList { count: tools.len(), tools })
    }
}

/// Forgets a tool.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct UnregisterTool {
    /// Its name.
    pub name: String,
}

/// Whether it was there.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ToolUnregistered {
    /// The name.
    pub unregistered: String,
    /// 1 if there was such a tool, else 0.
    pub removed: u8,
}

impl Method for UnregisterTool {
    const NAME: &'static str = "tools.unregister";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = ToolUnregistered;

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<ToolUnregistered> {
        let runtime = engine.hub.runtime(caller.session()).await?;
        let removed = runtime.remove_tool(&self.name);
        Ok(ToolUnregistered { unregistered: self.name, removed: removed.into() })
    }
}

/// Adds tools for files within the workspace and a calculator, which the daemon runs itself. A tool
/// of the client's of the same name wins.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct RegisterBasics {}

impl Method for RegisterBasics {
    const NAME: &'static str = "agents.register_basics";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = ();

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<()> {
        let runtime = engine.hub.runtime(caller.session()).await?;
        let basics = basics::tools(engine.hub.workspace.clone(), &engine.hub.basics).await?;
        let basics = basics.into_iter().map(|tool| Tool::of_host(Arc::new(tool)));
        let basics: Vec<_> = basics.collect::<Result<_>>()?;
        runtime.change_tools(|registry| {
            let free = |tool: &Tool| registry.get(&tool.name()).is_none_or(|it| it.host.is_some());
            let basics: Vec<_> = basics.into_iter().filter(free).collect();
            registry.add(basics)
        })
    }
}
