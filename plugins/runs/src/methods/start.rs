//! `runs.start`: opens the bracket around an agent's loop.

use carport_core::{Access, Caller, Identity, Method, Result, RpcError, bounds, encode_name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Runs,
    record::{RunStarted, RunStatus},
};

/// Opens a run and makes it the current run of this connection.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Start {
    /// What the agent is asked to do.
    #[schemars(length(min = 1, max = 16384))]
    pub intent: String,
    /// Whose run it is; the caller's own agent if absent.
    #[schemars(length(min = 1, max = 128))]
    pub agent_id: Option<String>,
    /// Names an agent that has no id: `name:` and the name in lower case.
    #[schemars(length(min = 1, max = 256))]
    pub agent_name: Option<String>,
    /// What the agent steers toward.
    #[schemars(length(max = 16384))]
    pub outcome_description: Option<String>,
    /// Becomes the run id; the same key again finds the same run. `[A-Za-z0-9._:-]`.
    #[schemars(length(min = 1, max = 128))]
    pub idempotency_key: Option<String>,
}

/// The run.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Started {
    /// Its durable name.
    pub run_id: String,
    /// Whose it is.
    pub agent_id: String,
    /// Present and true if the key named a run that was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing: Option<bool>,
    /// Where that run stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<RunStatus>,
}

impl Method for Start {
    const NAME: &'static str = "runs.start";
    const ACCESS: Access = Access::Authenticated;
    const ORDERED: bool = true;
    type Plugin = Runs;
    type Reply = Started;

    fn validate(&self) -> Result<()> {
        bounds::bytes("intent", &self.intent, 1..=16_384)?;
        bounds::maybe_bytes("agent_id", self.agent_id.as_deref(), 1..=128)?;
        bounds::maybe_bytes("agent_name", self.agent_name.as_deref(), 1..=256)?;
        bounds::maybe_bytes(
            "outcome_description",
            self.outcome_description.as_deref(),
            0..=16_384,
        )?;
        let Some(key) = &self.idempotency_key else { return Ok(()) };
        bounds::bytes("idempotency_key", key, 1..=128)?;
        let word = |letter: char| letter.is_ascii_alphanumeric() || "._:-".contains(letter);
        bounds::letters("idempotency_key", key, "[A-Za-z0-9._:-]", word)?;
        // It names a file.
        encode_name("idempotency_key", key).map(drop)
    }

    async fn run(self, runs: &Runs, caller: &Caller) -> Result<Started> {
        let agent_id = runs.agent_for(&self, caller.identity())?;
        let started = RunStarted {
            run_id: self.idempotency_key.unwrap_or_else(|| Uuid::new_v4().to_string()),
            agent_id,
            intent: self.intent,
            outcome_description: self.outcome_description,
            started_at: runs.book.now(),
            agent_name: self.agent_name,
        };
        let (run_id, agent_id) = (started.run_id.clone(), started.agent_id.clone());
        let (status, existing) = runs.book.start(started, caller.session()).await?;
        let (existing, status) = (existing.then_some(true), existing.then_some(status));
        Ok(Started { run_id, agent_id, existing, status })
    }
}

impl Runs {
    /// The parameter, else the identity's agent, else the daemon's own, else the name.
    fn agent_for(&self, start: &Start, identity: &Identity) -> Result<String> {
        if let Some(asked) = &start.agent_id {
            return self.may_name(asked, identity).map(|()| asked.clone());
        }
        let known = identity.agent_id().or(self.daemon_agent.as_deref()).map(str::to_owned);
        match (known, &start.agent_name) {
            (Some(agent), _) => Ok(agent),
            (None, Some(name)) => slug(name)
                .map(|slug| format!("name:{slug}"))
                .ok_or_else(|| RpcError::invalid_params("agent_name", "has no letter or digit")),
            (None, None) => {
                let why = "nobody says whose run this is: authenticate as an agent, or give \
                           `agent_id` or `agent_name`";
                Err(RpcError::invalid_params("agent_id", why))
            }
        }
    }

    /// Nobody writes into another agent's history.
    fn may_name(&self, agent: &str, identity: &Identity) -> Result<()> {
        let known = || self.authority.as_ref().is_some_and(|it| it.knows(agent));
        let may = match identity {
            Identity::Host => true,
            Identity::Agent(own) => **own == *agent,
            _ => agent.starts_with("name:") || !known(),
        };
        match may {
            true => Ok(()),
            false => Err(RpcError::forbidden(format!("agent `{agent}` is not the caller"))),
        }
    }
}

/// Lower case, runs of other characters than `a-z0-9` as one `-`, trimmed, at most 64 characters.
fn slug(name: &str) -> Option<String> {
    let lower = name.to_lowercase();
    let words =
        lower.split(|letter: char| !letter.is_ascii_lowercase() && !letter.is_ascii_digit());
    let joined = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
    let cut: String = joined.chars().take(64).collect();
    let cut = cut.trim_end_matches('-');
    (!cut.is_empty()).then(|| cut.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_always_gives_the_same_slug() {
        assert_eq!(slug("My  Agent #2!").as_deref(), Some("my-agent-2"));
        assert_eq!(slug("--x--").as_deref(), Some("x"));
        assert_eq!(slug("ÄÖ"), None);
        let long = slug(&"ab ".repeat(50)).unwrap();
        assert!(long.len() <= 64 && !long.ends_with('-'));
    }
}
