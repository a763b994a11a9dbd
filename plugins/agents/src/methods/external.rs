//! `agents.list_external`, `.detect_external`, `.health_external` and `.invoke_external`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use carport_agents_external::{
    ExternalAgentHealth, ExternalAgentSpec, Invocation, Stopper, Values,
};
use carport_core::{Access, Caller, Method, Result, RpcError, bounds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::oneshot;

use super::{
    chat::ChatBegun,
    check_session_id,
    suggest::{inside, is_under},
};
use crate::{
    Agents,
    chat::fresh_id,
    external::{InvokeResult, Job, Waiting},
    keeping::blocking,
};

/// The shortest and the longest run, in seconds.
const TIMEOUT: (f64, f64) = (1.0, 3600.0);
/// What a reply may take beyond its run: the end of a tree that does not go by itself.
const MARGIN: Duration = Duration::from_secs(30);

/// Lists the external agents, by id. What was found of them earlier counts.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListExternal {
    /// Whether each is asked how it is.
    #[serde(default)]
    pub include_health: bool,
}

impl Method for ListExternal {
    const NAME: &'static str = "agents.list_external";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = Vec<ExternalAgentSpec>;

    async fn run(self, agents: &Agents, _: &Caller) -> Result<Vec<ExternalAgentSpec>> {
        Ok(agents.external.externals.list(false, self.include_health).await)
    }
}

/// Looks for the external agents again, and lists them by id.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct DetectExternal {
    /// Whether each is asked how it is.
    #[serde(default)]
    pub include_health: bool,
}

impl Method for DetectExternal {
    const NAME: &'static str = "agents.detect_external";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = Vec<ExternalAgentSpec>;

    async fn run(self, agents: &Agents, _: &Caller) -> Result<Vec<ExternalAgentSpec>> {
        Ok(agents.external.externals.list(true, self.include_health).await)
    }
}

/// Asks an external agent, or each of them, how it is. An answer counts for 30 seconds.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct HealthOfExternal {
    /// The adapter; all of them if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub id: Option<String>,
    /// Whether an earlier answer counts for nothing.
    #[serde(default)]
    pub force: bool,
}

/// One that was asked for by its id, or all by id.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ExternalHealth {
    /// The one.
    One(ExternalAgentHealth),
    /// All.
    All(Vec<ExternalAgentHealth>),
}

impl Method for HealthOfExternal {
    const NAME: &'static str = "agents.health_external";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = ExternalHealth;

    fn validate(&self) -> Result<()> {
        self.id.as_deref().map_or(Ok(()), |id| bounds::agent_id("id", id))
    }

    async fn run(self, agents: &Agents, _: &Caller) -> Result<ExternalHealth> {
        let mut all = agents.external.externals.health(self.id.as_deref(), self.force).await?;
        Ok(match (self.id.is_some(), all.len()) {
            (true, 1) => ExternalHealth::One(all.remove(0)),
            _ => ExternalHealth::All(all),
        })
    }
}

/// Gives an external agent one task. With `stream`, what it says comes as `agents.chat.event`, and
/// `agents.chat.cancel` ends it; without, the reply waits for its end.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct InvokeExternal {
    /// The adapter.
    #[schemars(length(min = 1, max = 128))]
    pub id: String,
    /// What it is to do.
    #[schemars(length(min = 1, max = 1048576))]
    pub task: String,
    /// Whether the reply comes at once and what it says as it says it.
    #[serde(default)]
    pub stream: bool,
    /// The session of an earlier run to go on with, in the agent's words, `[A-Za-z0-9._:-]`; with
    /// `stream` it names the chat too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub session_id: Option<String>,
    /// Where it works: an absolute path under `agents.external_roots`; the daemon's working directory
    /// if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub cwd: Option<String>,
    /// The tools that it may use without asking; an empty list is none at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub allowed_tools: Option<Vec<String>>,
    /// How many turns it may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub max_turns: Option<u32>,
    /// Seconds that it may take, brought to 1 to 3600.
    #[serde(default = "five_minutes")]
    pub timeout_secs: f64,
    /// Where it finds an MCP server, http or https; none if absent or empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub mcp_endpoint: Option<String>,
    /// The model to use, in the agent's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub model: Option<String>,
    /// Images to hand over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    pub attachments: Option<Vec<Attachment>>,
}

fn five_minutes() -> f64 {
    300.0
}

/// A file to hand over. What it is, its first bytes say.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Attachment {
    /// An absolute path under `agents.external_roots`.
    #[schemars(length(min = 1, max = 4096))]
    pub path: String,
    /// What the caller takes it for; not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
}

/// How the run came out, or that it began.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum InvokeReply {
    /// With `stream`.
    Begun(ChatBegun),
    /// Without.
    Ended(InvokeResult),
}

/// Stops a run when nobody waits for its reply any more.
struct StopOnDrop(Stopper);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Method for InvokeExternal {
    const NAME: &'static str = "agents.invoke_external";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = InvokeReply;

    fn validate(&self) -> Result<()> {
        bounds::agent_id("id", &self.id)?;
        bounds::bytes("task", &self.task, 1..=1 << 20)?;
        self.session_id.as_deref().map_or(Ok(()), check_session_id)?;
        bounds::maybe_bytes("cwd", self.cwd.as_deref(), 1..=4096)?;
        if let Some(tools) = &self.allowed_tools {
            bounds::texts("allowed_tools", tools, 0..=256, 1..=256)?;
        }
        if let Some(turns) = self.max_turns {
            bounds::within("max_turns", turns, 1..=10_000)?;
        }
        bounds::maybe_bytes("mcp_endpoint", self.mcp_endpoint.as_deref(), 0..=2048)?;
        if let Some(url) = self.mcp_endpoint()
            && !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme))
        {
            return Err(RpcError::invalid_params("mcp_endpoint", "must be http, https or empty"));
        }
        bounds::maybe_bytes("model", self.model.as_deref(), 1..=256)?;
        let attachments = self.attachments.as_deref().unwrap_or_default();
        bounds::items("attachments", attachments, 0..=8)?;
        for (at, attachment) in attachments.iter().enumerate() {
            bounds::bytes(&format!("attachments[{at}].path"), &attachment.path, 1..=4096)?;
        }
        Ok(())
    }

    fn deadline(&self, _: &Agents, _: &Caller, set: Duration) -> Duration {
        set.max(self.timeout() + MARGIN)
    }

    async fn run(self, agents: &Agents, caller: &Caller) -> Result<InvokeReply> {
        if caller.agent().is_some() && !agents.config.peer_chat {
            let why = "an agent may not run external agents (`agents.peer_chat`)";
            return Err(RpcError::forbidden(why));
        }
        let (stream, session_id) = (self.stream, self.session_id.clone());
        let job = self.job(agents).await?;
        if !stream {
            let (reply, ended) = oneshot::channel();
            let _stop = StopOnDrop(job.stopper.clone());
            agents.external.begin(job, Waiting::Reply(reply))?;
            return ended.await.map(InvokeReply::Ended).map_err(RpcError::internal);
        }
        let session_id = session_id.unwrap_or_else(fresh_id);
        let (chats, stopper) = (agents.chats.clone(), job.stopper.clone());
        let route = chats.open_run(caller.session(), &job.adapter_id, &session_id, stopper)?;
        let (id, serial) = (session_id.clone(), route.serial);
        agents.external.begin(job, Waiting::Chat(route)).inspect_err(|_| {
            chats.withdraw_run(&id, serial);
        })?;
        caller.after_reply(move || chats.go_live(&id, serial));
        Ok(InvokeReply::Begun(ChatBegun { accepted: true, session_id }))
    }
}

impl InvokeExternal {
    fn timeout(&self) -> Duration {
        Duration::from_secs_f64(self.timeout_secs.clamp(TIMEOUT.0, TIMEOUT.1))
    }

    fn mcp_endpoint(&self) -> Option<&str> {
        self.mcp_endpoint.as_deref().filter(|it| !it.is_empty())
    }

    /// Everything that a run needs, leave to run included.
    async fn job(self, agents: &Agents) -> Result<Job> {
        let externals = &agents.external.externals;
        let mut options = json!(self);
        options.as_object_mut().map(|it| (it.remove("id"), it.remove("task")));
        if let Some(url) = self.mcp_endpoint() {
            options["mcp_endpoint"] = without_secrets(url).into();
        }
        let (timeout, has_mcp) = (self.timeout(), self.mcp_endpoint().is_some());
        let mcp_endpoint = self.mcp_endpoint().map(str::to_owned);
        let mut values = Values {
            task: self.task,
            model: self.model,
            max_turns: self.max_turns,
            allowed_tools: self.allowed_tools,
            session_id: self.session_id,
            mcp_config: None,
            images: Vec::new(),
        };
        let program = externals.ready(&self.id, &values, has_mcp).await?;
        let slot = externals.slot()?;
        let (id, roots) = (self.id.clone(), agents.config.external_roots.clone());
        let (place, files, own) = (self.cwd, self.attachments, externals.clone());
        let on_disk = blocking(move || {
            let cwd = working_directory(place.as_deref(), &roots)?;
            let files = files.unwrap_or_default();
            let given = files.len();
            let images = own.images(&id, under_roots(&files, &roots))?;
            Ok::<_, RpcError>((cwd, given, images))
        });
        let (cwd, given, images) = on_disk.await??;
        let dropped = given - images.len();
        values.images = images;
        Ok(Job {
            adapter_id: self.id,
            invocation: Invocation { program, values, mcp_endpoint, cwd, timeout },
            dropped_attachments: (dropped > 0).then_some(dropped),
            options,
            slot,
            stopper: Stopper::default(),
        })
    }
}

/// A URL as far as the audit file may know it: without user, password, query and fragment.
fn without_secrets(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

fn working_directory(place: Option<&str>, roots: &[String]) -> Result<PathBuf> {
    match place {
        Some(place) => inside("cwd", place, roots),
        None => std::env::current_dir().map_err(RpcError::internal),
    }
}

/// The files that lie under one of the roots, without links.
fn under_roots(files: &[Attachment], roots: &[String]) -> Vec<PathBuf> {
    let absolute = files.iter().map(|it| Path::new(&it.path)).filter(|it| it.is_absolute());
    let real = absolute.filter_map(|it| it.canonicalize().ok());
    real.filter(|it| is_under(it, roots)).collect()
}
