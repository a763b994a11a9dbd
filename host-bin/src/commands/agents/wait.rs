//! `carport agents wait`: until an agent stands as it should, with every step on the way.

use std::time::Duration;

use tokio::time::timeout;

use super::{Status, say, sentence};
use crate::{
    cli::Global,
    client::{
        agents::{self, AgentChanged, ManagedAgent, refused},
        connect::connect,
        interrupt::interrupted,
        link::{CallError, Inbox, Incoming, Link},
        proof::{Role, agent_id},
    },
    exit::Exit,
    output::Output,
};

/// What is waited for. Without --until and --attached: until it runs.
#[derive(Debug, clap::Args)]
pub(super) struct Wait {
    /// The agent: `carport agents list` shows it
    #[arg(value_parser = agent_id)]
    id: String,
    /// Until its status is this; repeat it for one of several
    #[arg(long, value_name = "STATUS")]
    until: Vec<Status>,
    /// Until a connection is bound to it, so that it can be chatted with
    #[arg(long)]
    attached: bool,
    /// Seconds after which the command fails
    #[arg(long, value_name = "S", default_value_t = 30.0, value_parser = seconds)]
    timeout: f64,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("seconds from 0 to 86400".into()),
    }
}

/// What an agent's state means to a wait.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// As it should be.
    There,
    /// Not yet.
    Later,
    /// It gave up, and only a person changes that.
    Never,
}

impl Wait {
    fn judge(&self, agent: &ManagedAgent) -> Verdict {
        let wanted = |status: &Status| status.word() == agent.status;
        let as_wanted = match (self.until.is_empty(), self.attached) {
            // An agent may attach before its start is over; a moment later there is a process to name.
            (true, true) => agent.status != Status::Starting.word(),
            (true, false) => agent.status == Status::Running.word(),
            (false, _) => self.until.iter().any(wanted),
        };
        match as_wanted && (agent.attached || !self.attached) {
            true => Verdict::There,
            // One that is attached all the same was started by hand.
            false if agent.status == Status::Errored.word() => Verdict::Never,
            false => Verdict::Later,
        }
    }

    fn goal(&self) -> String {
        let mut words: Vec<&str> = self.until.iter().map(|status| status.word()).collect();
        if words.is_empty() && !self.attached {
            words.push(Status::Running.word());
        }
        let mut goal = words.join(" or ");
        if self.attached {
            goal.push_str(if goal.is_empty() { "attached" } else { " and attached" });
        }
        goal
    }
}

pub(super) async fn run(wanted: &Wait, global: &Global, output: Output) -> Result<(), Exit> {
    let (link, mut inbox) = connect(global, &Role::Client).await?;
    let mut last = None;
    let limit = Duration::from_secs_f64(wanted.timeout);
    let waited = tokio::select! {
        waited = timeout(limit, follow(wanted, &link, &mut inbox, &mut last, output)) => waited,
        exit = interrupted() => return Err(exit),
    };
    match waited {
        Ok(agent) => say(&agent?, output),
        Err(_) => {
            let stands = last.map_or_else(|| "unknown".into(), |it: ManagedAgent| it.status);
            let (id, goal) = (&wanted.id, wanted.goal());
            let why = format!(
                "agent `{id}` is not {goal} after {} s: its status is `{stands}`; \
                 `carport agents doctor {id}` says why",
                wanted.timeout
            );
            Err(Exit::failed(why))
        }
    }
}

/// Follows an agent until it stands as wanted; `last` is how it stood last.
async fn follow(
    wanted: &Wait,
    link: &Link,
    inbox: &mut Inbox,
    last: &mut Option<ManagedAgent>,
    output: Output,
) -> Result<ManagedAgent, Exit> {
    loop {
        let snapshot = agents::subscribe(link).await.map_err(|error| refused(error, &wanted.id))?;
        let mut cursor = snapshot.cursor;
        let found = snapshot.agents.into_iter().find(|agent| agent.id() == wanted.id);
        let agent = found.ok_or_else(|| unknown(&wanted.id))?;
        if let Some(agent) = settle(wanted, agent, last, output)? {
            return Ok(agent);
        }
        loop {
            let Some(incoming) = inbox.recv().await else {
                return Err(CallError::Ended(link.ended().await).into());
            };
            let Incoming::Notice(notice) = incoming else { continue };
            let Some(changed) = AgentChanged::of(&notice) else { continue };
            if changed.cursor > cursor + 1 {
                // Something before it was lost.
                break;
            }
            cursor = changed.cursor;
            if changed.agent.id() != wanted.id {
                continue;
            }
            if changed.removed {
                return Err(Exit::failed(format!("agent `{}` was removed", wanted.id)));
            }
            if let Some(agent) = settle(wanted, changed.agent, last, output)? {
                return Ok(agent);
            }
        }
    }
}

/// What an agent's new state comes to: it is there, or it is not and the wait goes on.
fn settle(
    wanted: &Wait,
    agent: ManagedAgent,
    last: &mut Option<ManagedAgent>,
    output: Output,
) -> Result<Option<ManagedAgent>, Exit> {
    match wanted.judge(&agent) {
        Verdict::There => return Ok(Some(agent)),
        Verdict::Never => {
            let (id, reason) = (agent.id(), agent.reason.as_deref().unwrap_or("no reason given"));
            let why = format!(
                "agent `{id}` gave up: {reason}; `carport agents logs {id}` shows what it said, \
                 `carport agents start {id}` tries again"
            );
            return Err(Exit::failed(why));
        }
        Verdict::Later => {}
    }
    let now = sentence(&agent);
    if last.as_ref().map(sentence).as_ref() != Some(&now) {
        output.note(now);
    }
    *last = Some(agent);
    Ok(None)
}

fn unknown(id: &str) -> Exit {
    let error = carport_core::RpcError::not_found(format!("agent `{id}`"));
    refused(CallError::Rpc(error), id)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn judged(until: &[Status], attached: bool, status: &str, is_attached: bool) -> Verdict {
        let wait = Wait { id: "a".into(), until: until.into(), attached, timeout: 1.0 };
        let agent = json!({ "spec": { "id": "a" }, "status": status, "attached": is_attached });
        wait.judge(&serde_json::from_value(agent).unwrap())
    }

    #[test]
    fn without_a_wish_it_is_waited_for_until_it_runs() {
        assert_eq!(judged(&[], false, "running", false), Verdict::There);
        assert_eq!(judged(&[], false, "starting", true), Verdict::Later);
    }

    #[test]
    fn attached_is_another_thing_than_running() {
        assert_eq!(judged(&[], true, "running", false), Verdict::Later);
        assert_eq!(judged(&[], true, "running", true), Verdict::There);
        assert_eq!(judged(&[], true, "stopped", true), Verdict::There, "run by hand");
        assert_eq!(judged(&[], true, "starting", true), Verdict::Later);
        let both = [Status::Running];
        assert_eq!(judged(&both, true, "stopped", true), Verdict::Later);
        assert_eq!(judged(&both, true, "running", true), Verdict::There);
    }

    #[test]
    fn one_that_gave_up_is_not_waited_for_unless_that_is_the_wish() {
        assert_eq!(judged(&[], false, "errored", false), Verdict::Never);
        assert_eq!(judged(&[], true, "errored", false), Verdict::Never);
        let ends = [Status::Stopped, Status::Errored];
        assert_eq!(judged(&ends, false, "errored", false), Verdict::There);
        assert_eq!(judged(&ends, false, "backoff", false), Verdict::Later);
    }

    #[test]
    fn a_wait_says_what_for() {
        let goal = |until: &[Status], attached| {
            Wait { id: "a".into(), until: until.into(), attached, timeout: 1.0 }.goal()
        };
        assert_eq!(goal(&[], false), "running");
        assert_eq!(goal(&[], true), "attached");
        assert_eq!(
            goal(&[Status::Stopped, Status::Errored], true),
            "stopped or errored and attached"
        );
    }
}
