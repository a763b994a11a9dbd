//! The agents that this daemon keeps: manifest, tokens and supervisor changed together, or only read.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use carport_agents_process::{
    AgentSpec, Ending, ManagedAgent, Manifest, ManifestError, Rules, Status, SuperviseError,
    Supervisor, View,
    logs::{self, TailLog, Window},
};
use carport_core::{Caller, Guarded, Identity, ManifestRole, Result, RpcError, codes};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::{
    authority::narrow,
    config::Supervise,
    methods::AgentHealth,
    roster::{REDACTED, Roster, show},
    tokens::AgentTokens,
};

/// How often a daemon that is about to listen is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(crate) struct Keeping {
    pub(crate) manifest: Arc<Mutex<Manifest>>,
    pub(crate) manifest_path: PathBuf,
    pub(crate) role: Guarded<ManifestRole>,
    pub(crate) supervise: Supervise,
    pub(crate) state_root: PathBuf,
    pub(crate) supervisor: Supervisor,
    pub(crate) rules: Arc<Rules>,
    pub(crate) tokens: AgentTokens,
    pub(crate) roster: Arc<Roster>,
}

impl Keeping {
    pub(crate) fn role(&self) -> ManifestRole {
        *self.role.lock()
    }

    /// Where logs and tokens are: under this state root, or, for who does not supervise, beside the manifest.
    pub(crate) fn home(&self) -> &Path {
        match (self.role(), self.manifest_path.parent()) {
            (ManifestRole::Observer | ManifestRole::None, Some(beside)) => beside,
            _ => &self.state_root,
        }
    }

    fn not_owned(&self) -> RpcError {
        ManifestError::NotOwned(self.manifest_path.clone()).into()
    }

    /// What only the supervising daemon answers.
    pub(crate) fn refuse_observer(&self) -> Result<()> {
        match self.role() {
            ManifestRole::Observer => Err(self.not_owned()),
            ManifestRole::Owner | ManifestRole::None => Ok(()),
        }
    }

    /// Takes the manifest if this daemon may and has not; an error if it does not supervise.
    pub(crate) async fn own(&self) -> Result<()> {
        if self.role() == ManifestRole::Owner {
            return Ok(());
        }
        if self.supervise == Supervise::Never {
            return Err(self.not_owned());
        }
        let mut manifest = self.manifest.clone().lock_owned().await;
        if self.role() == ManifestRole::Owner {
            return Ok(());
        }
        let manifest = blocking(move || manifest.own().map(|_| manifest)).await??;
        *self.role.lock() = manifest.role();
        self.refuse_observer()?;
        for spec in manifest.agents().values() {
            let minted = self.tokens.mint(&spec.id);
            minted.map_err(|error| failed(&spec.id, &error))?;
            self.supervisor.put(spec.clone())?;
        }
        Ok(())
    }

    /// Starts what is to start with the daemon, once `listening` answers.
    pub(crate) async fn start_all(self: Arc<Self>, listening: impl Fn() -> bool) {
        while !listening() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let agents = self.supervisor.list();
        let starts = agents.into_iter().filter(|agent| agent.spec.auto_start).map(|agent| {
            let supervisor = self.supervisor.clone();
            tokio::spawn(async move { supervisor.start(&agent.spec.id).await.map(drop) })
        });
        for start in starts.collect::<Vec<_>>() {
            if let Ok(Err(error)) = start.await {
                tracing::warn!(%error, "an agent did not start with the daemon");
            }
        }
    }

    /// Ends every agent and takes the tokens back.
    pub(crate) async fn close(&self) {
        self.supervisor.shutdown().await;
        if self.role() != ManifestRole::Owner {
            return;
        }
        for id in self.manifest.lock().await.agents().keys() {
            if let Err(error) = self.tokens.remove(id) {
                tracing::warn!(id, %error, "the agent's token stays");
            }
        }
    }

    /// The specs as the file has them now.
    async fn specs(&self) -> Result<OwnedMutexGuard<Manifest>> {
        let mut manifest = self.manifest.clone().lock_owned().await;
        if self.role() == ManifestRole::Owner {
            return Ok(manifest);
        }
        Ok(blocking(move || manifest.reload().map(|()| manifest)).await??)
    }

    /// Every agent by id: as it is, or, for who does not supervise, as the file has it.
    pub(crate) async fn list(&self, identity: &Identity) -> Result<Vec<ManagedAgent>> {
        if self.role() == ManifestRole::Owner {
            return Ok(self.roster.list(identity));
        }
        let manifest = self.specs().await?;
        let agents = manifest.agents().values().map(|spec| {
            let spec = Arc::new(spec.clone());
            let agent = ManagedAgent::new(spec, View::default(), &self.manifest_path, self.home());
            show(agent, identity)
        });
        Ok(agents.collect())
    }

    /// Holds every command against the rules.
    pub(crate) async fn health(&self) -> Result<Vec<AgentHealth>> {
        let (manifest, rules) = (self.specs().await?, self.rules.clone());
        blocking(move || {
            let look = |spec: &AgentSpec| {
                let broken = rules.check(spec).err();
                AgentHealth {
                    id: spec.id.clone(),
                    command: spec.command.clone(),
                    ok: broken.is_none(),
                    reason: broken.map(|it| it.to_string()),
                }
            };
            manifest.agents().values().map(look).collect()
        })
        .await
    }

    /// Writes an agent down. Nothing is started; a running child keeps running.
    pub(crate) async fn upsert(&self, spec: AgentSpec, caller: &Caller) -> Result<ManagedAgent> {
        self.own().await?;
        let mut manifest = self.manifest.clone().lock_owned().await;
        let (rules, tokens) = (self.rules.clone(), self.tokens.clone());
        let written = blocking(move || -> Result<_> {
            let stored = manifest.agents().get(&spec.id);
            let spec = rules.settle(unredacted(spec, stored), stored)?;
            manifest.put(spec.clone())?;
            tokens.mint(&spec.id).map_err(|error| failed(&spec.id, &error))?;
            Ok((spec, manifest))
        });
        // The guard stays until the supervisor knows: two upserts reach it in the file's order.
        let (spec, guard) = written.await??;
        if let Some(session) = self.roster.attached(&spec.id) {
            narrow(&session, &spec);
        }
        let agent = self.supervisor.put(spec)?;
        drop(guard);
        Ok(self.roster.shown(&agent, caller.identity()))
    }

    /// Ends an agent and forgets it; `false` if there is none.
    pub(crate) async fn remove(&self, id: &str, purge: bool) -> Result<bool> {
        self.own().await?;
        let manifest = self.manifest.clone().lock_owned().await;
        // What cannot be taken out is not ended either.
        blocking(move || manifest.may_write()).await??;
        match self.supervisor.stop(id, Ending::Term).await {
            Ok(_) | Err(SuperviseError::Unknown(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let mut manifest = self.manifest.clone().lock_owned().await;
        let name = id.to_owned();
        let (removed, guard) =
            blocking(move || manifest.remove(&name).map(|removed| (removed, manifest))).await??;
        self.supervisor.remove(id, purge).await?;
        drop(guard);
        if removed {
            self.tokens.remove(id).map_err(|error| failed(id, &error))?;
            if let Some(session) = self.roster.attached(id) {
                session.end("the agent was removed");
            }
        }
        Ok(removed)
    }

    /// What supervision makes of an agent, as the caller may see it.
    pub(crate) fn answer(
        &self,
        agent: std::result::Result<Arc<ManagedAgent>, SuperviseError>,
        caller: &Caller,
    ) -> Result<ManagedAgent> {
        Ok(self.roster.shown(&*agent?, caller.identity()))
    }

    /// Waits for one of these statuses.
    pub(crate) async fn wait(
        &self,
        id: &str,
        targets: &[Status],
        limit: Duration,
        caller: &Caller,
    ) -> Result<ManagedAgent> {
        self.refuse_observer()?;
        match tokio::time::timeout(limit, self.supervisor.wait(id, targets)).await {
            Ok(agent) => self.answer(agent, caller),
            Err(_) => {
                let late =
                    RpcError::new(codes::DEADLINE, format!("agent `{id}` did not get there"));
                let status = self.supervisor.get(id).map(|agent| agent.view.status.as_str());
                Err(late.with("status", status))
            }
        }
    }

    /// The end of an agent's logs.
    pub(crate) async fn tail(&self, id: String, window: Window) -> Result<TailLog> {
        let known = self.specs().await?.agents().contains_key(&id);
        if !known {
            return Err(RpcError::not_found(format!("agent `{id}`")));
        }
        let root = self.home().to_owned();
        blocking(move || logs::tail(&root, &id, window)).await?.map_err(RpcError::internal)
    }
}

/// Puts the stored values back where a client sent what it had been shown.
fn unredacted(mut spec: AgentSpec, stored: Option<&AgentSpec>) -> AgentSpec {
    for (name, value) in spec.env.iter_mut().filter(|(_, value)| *value == REDACTED) {
        if let Some(known) = stored.and_then(|stored| stored.env.get(name)) {
            known.clone_into(value);
        }
    }
    spec
}

fn failed(id: &str, error: &io::Error) -> RpcError {
    RpcError::internal(format!("the token of agent `{id}`: {error}"))
}

/// Does what touches the disk where it holds nobody up.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(RpcError::internal)
}
