//! `carport watch --runs`: the traces of open runs, turn by turn.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Duration,
};

use carport_core::{HostAgent, bounds, codes};
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::{Lapse, View as Show, lapse};
use crate::{
    client::{
        link::{CallError, Inbox, Incoming, Link},
        runs::{self, IN_PROGRESS, RunSummary, TraceEvent},
        trail::{Heard, Trail},
    },
    commands::runs::record,
    daemon::root::StateRoot,
    exit::Exit,
    output::{Output, Tone, one_line},
};

/// How often agents are asked for new runs: the host has no event that says so.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The newest runs of an agent that are looked at.
const NEWEST: usize = 64;

/// The runs that are followed, and where more come from.
pub(super) struct View {
    output: Output,
    sources: Sources,
    /// By run; one that has ended stays, so that it is not taken for a new one.
    trails: BTreeMap<String, Followed>,
    /// Agents that were looked at before: what they start now is new.
    met: BTreeSet<String>,
}

/// Where runs come from.
pub(super) enum Sources {
    /// These agents, and runs that were named; with no agent, it ends with the last of them.
    Named(Vec<String>),
    /// Every agent that the host shows, or that has a token in this state root.
    Everybody(Option<StateRoot>),
}

struct Followed {
    agent_id: String,
    trail: Option<Trail>,
}

impl View {
    pub(super) fn new(sources: Sources, run_ids: Vec<String>, output: Output) -> Self {
        let followed = |id: String| {
            let trail = Some(Trail::of(id.clone()));
            (id, Followed { agent_id: String::new(), trail })
        };
        let trails = run_ids.into_iter().map(followed).collect();
        Self { output, sources, trails, met: BTreeSet::new() }
    }

    fn print(&self, run_id: &str, record: &Value) -> Result<(), Exit> {
        let agent_id = self.trails.get(run_id).map_or("", |it| it.agent_id.as_str());
        if self.output.is_json() {
            let object = json!({ "run_id": run_id, "agent_id": agent_id, "record": record });
            return self.output.object(&object);
        }
        // The end of a UUID tells runs apart; its beginning is the time.
        let short = run_id.get(run_id.len().saturating_sub(8)..).unwrap_or(run_id);
        let whose = Tone::Faint.paint(format_args!("{} {}", one_line(agent_id), one_line(short)));
        self.output.line(format_args!("{whose}  {}", record::line(record)))
    }

    /// Follows a run, or follows it on after a gap or a reconnection.
    async fn attach(&mut self, run_id: &str, link: &Link) -> Result<(), Lapse> {
        let Some(Followed { agent_id, trail: Some(trail) }) = self.trails.get_mut(run_id) else {
            return Ok(());
        };
        let records = trail.attach(link).await?;
        if agent_id.is_empty() {
            *agent_id = trail.agent_id().to_owned();
        }
        for record in &records {
            self.print(run_id, record)?;
        }
        self.let_go(run_id, link).await
    }

    /// A run that has ended needs no subscription; a connection has 64 of them.
    async fn let_go(&mut self, run_id: &str, link: &Link) -> Result<(), Lapse> {
        if let Some(followed) = self.trails.get_mut(run_id)
            && followed.trail.as_ref().is_some_and(Trail::has_ended)
        {
            followed.trail = None;
            link.raw("runs.unsubscribe", &json!({ "run_id": run_id })).await?;
        }
        Ok(())
    }

    async fn hear(&mut self, event: TraceEvent, link: &Link) -> Result<(), Lapse> {
        let run_id = event.run_id.clone();
        let Some(Followed { trail: Some(trail), .. }) = self.trails.get_mut(&run_id) else {
            return Ok(());
        };
        match trail.hear(event) {
            Heard::Known => Ok(()),
            Heard::Gap => self.attach(&run_id, link).await,
            Heard::Next(record) => {
                self.print(&run_id, &record)?;
                self.let_go(&run_id, link).await
            }
        }
    }

    /// Looks for runs that are not followed yet.
    async fn look(&mut self, link: &Link) -> Result<(), Lapse> {
        for agent in self.sources.agents(link).await? {
            let runs = runs::list(link, &agent, None, NEWEST).await?;
            let first_look = self.met.insert(agent);
            for run in runs.into_iter().rev() {
                self.consider(run, first_look, link).await?;
            }
        }
        Ok(())
    }

    async fn consider(
        &mut self,
        run: RunSummary,
        first_look: bool,
        link: &Link,
    ) -> Result<(), Lapse> {
        if self.trails.contains_key(&run.run_id) {
            return Ok(());
        }
        // What had ended before the watch began is history; what ended between two looks is not.
        let history = first_look && run.status != IN_PROGRESS;
        let trail = (!history).then(|| Trail::of(run.run_id.clone()));
        let followed = Followed { agent_id: run.agent_id.clone(), trail };
        self.trails.insert(run.run_id.clone(), followed);
        if !history {
            self.output.note(format_args!(
                "run {} of {}: {}",
                one_line(&run.run_id),
                one_line(&run.agent_id),
                one_line(&run.intent)
            ));
        }
        self.attach(&run.run_id, link).await
    }

    /// Whether nothing can come any more.
    fn is_over(&self) -> bool {
        let none_open = self.trails.values().all(|it| it.trail.is_none());
        none_open && matches!(&self.sources, Sources::Named(agents) if agents.is_empty())
    }
}

impl Sources {
    async fn agents(&self, link: &Link) -> Result<BTreeSet<String>, CallError> {
        match self {
            Self::Named(agents) => Ok(agents.iter().cloned().collect()),
            Self::Everybody(root) => {
                let shown: Vec<HostAgent> = match link.ask("host.agents", &json!({})).await {
                    // A build without presence shows none.
                    Err(CallError::Rpc(error)) if error.code == codes::METHOD_NOT_FOUND => vec![],
                    shown => shown?,
                };
                let tokens = root.iter().flat_map(agents_with_tokens);
                Ok(shown.into_iter().map(|agent| agent.id).chain(tokens).collect())
            }
        }
    }
}

/// The agents that `carport token agent ID` made tokens for.
fn agents_with_tokens(root: &StateRoot) -> Vec<String> {
    let Ok(entries) = fs::read_dir(root.agents_dir()) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let ids = names.filter_map(|name| name.strip_suffix(".token").map(str::to_owned));
    ids.filter(|id| bounds::agent_id("agent id", id).is_ok()).collect()
}

impl Show for View {
    async fn show(&mut self, link: &Link, inbox: &mut Inbox) -> Result<(), Lapse> {
        let open: Vec<_> = self
            .trails
            .iter()
            .filter(|(_, it)| it.trail.is_some())
            .map(|(id, _)| id.clone())
            .collect();
        for run_id in open {
            self.attach(&run_id, link).await?;
        }
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.is_over() {
            tokio::select! {
                _ = looks.tick() => self.look(link).await?,
                incoming = inbox.recv() => match incoming {
                    None => return Err(lapse(link).await),
                    Some(Incoming::Ask(_)) => {}
                    Some(Incoming::Notice(notice)) => {
                        if let Some(event) = TraceEvent::of(&notice) {
                            self.hear(event, link).await?;
                        }
                    }
                },
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_known_by_their_token_files() {
        let dir = tempfile::tempdir().unwrap();
        let root = StateRoot::resolve(Some(dir.path())).unwrap();
        assert!(agents_with_tokens(&root).is_empty());
        fs::create_dir_all(root.agents_dir()).unwrap();
        for name in ["a.token", "b-2.token", ".hidden.token", "note.txt"] {
            fs::write(root.agents_dir().join(name), "x").unwrap();
        }
        let mut agents = agents_with_tokens(&root);
        agents.sort();
        assert_eq!(agents, ["a", "b-2"]);
    }
}
