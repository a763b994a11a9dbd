//! The agents that this daemon keeps: manifest, tokens and supervisor changed together, or only read.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use carport_agents_process::{
    AgentSpec, Ending, Followed, KILL_WAIT, ManagedAgent, Manifest, ManifestError, Rules, Status,
    SuperviseError, Supervisor, View,
    logs::{self, TailLog, Window},
};
use carport_core::{Caller, Identity, ManifestRole, Result, RpcError, codes};
use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore, SemaphorePermit, watch};

use crate::{
    bundles::Bundles,
    config::Supervise,
    methods::AgentHealth,
    roster::{REDACTED, REMOVED, Roster, show},
    tokens::AgentTokens,
};

/// How often a daemon that is about to listen is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How many logs are read at once, and how many replies with logs one connection may leave unread:
/// each takes megabytes.
pub(crate) const TAILS: usize = 2;

pub(crate) struct Keeping {
    pub(crate) manifest: Arc<Mutex<Manifest>>,
    pub(crate) manifest_path: PathBuf,
    pub(crate) role: watch::Sender<ManifestRole>,
    pub(crate) supervise: Supervise,
    pub(crate) state_root: PathBuf,
    pub(crate) supervisor: Supervisor,
    pub(crate) rules: Arc<Rules>,
    pub(crate) tokens: AgentTokens,
    pub(crate) roster: Arc<Roster>,
    pub(crate) bundles: Arc<Bundles>,
    pub(crate) tails: Semaphore,
}

impl Keeping {
    pub(crate) fn role(&self) -> ManifestRole {
        *self.role.borrow()
    }

    /// Where the logs are: under this state root, or, for who does not supervise, beside the manifest.
    fn home(&self) -> &Path {
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

    /// Refuses to reach an agent of a manifest that nobody has taken yet: the roster knows none of it.
    pub(crate) async fn refuse_absent(&self, id: &str) -> Result<()> {
        if self.role() == ManifestRole::None && self.specs().await?.agents().contains_key(id) {
            return Err(RpcError::new(codes::GONE, format!("agent `{id}` is not attached")));
        }
        Ok(())
    }

    /// Takes the manifest if this daemon may and has not; an error if it does not supervise.
    pub(crate) async fn own(&self) -> Result<()> {
        match self.role() {
            ManifestRole::Owner => return Ok(()),
            // For good: who was turned away once does not take over in the midst of things.
            ManifestRole::Observer => return Err(self.not_owned()),
            ManifestRole::None if self.supervise == Supervise::Never => {
                return Err(self.not_owned());
            }
            ManifestRole::None => {}
        }
        let mut manifest = self.manifest.clone().lock_owned().await;
        if self.role() != ManifestRole::None {
            return self.refuse_observer();
        }
        let (bundles, tokens) = (self.bundles.clone(), self.tokens.clone());
        let owned = move || -> Result<_> {
            if manifest.own()? {
                bundles.load(manifest.agents().keys());
                for id in manifest.agents().keys() {
                    tokens.mint(id).map_err(|error| failed(id, &error))?;
                }
            }
            Ok(manifest)
        };
        let manifest = blocking(owned).await??;
        if manifest.role() == ManifestRole::Owner {
            for spec in manifest.agents().values() {
                self.supervisor.put(spec.clone())?;
            }
        }
        // At last: what is answered as owner is all there, and what failed is tried again.
        self.role.send_replace(manifest.role());
        self.refuse_observer()
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

    /// Takes the tokens back and ends every agent. The tokens first: nobody can use one any more, and
    /// a second signal may end this process while agents have their grace.
    pub(crate) async fn close(&self) {
        let take_back = |id: &str| {
            if let Err(error) = self.tokens.remove(id) {
                tracing::warn!(id, %error, "the agent's token stays");
            }
        };
        if self.role() == ManifestRole::Owner {
            self.supervisor.list().iter().for_each(|agent| take_back(&agent.spec.id));
        }
        // Whoever is writing an agent down holds up nobody's end.
        let of_late = async {
            let manifest = self.manifest.lock().await;
            if self.role() == ManifestRole::Owner {
                manifest.agents().keys().for_each(|id| take_back(id));
            }
        };
        tokio::join!(self.supervisor.shutdown(), of_late);
    }

    /// How long the end of the agent with the longest grace may take.
    pub(crate) fn longest_end(&self) -> Duration {
        let agents = self.supervisor.list();
        let grace = agents.iter().map(|it| it.spec.stop_grace_secs).fold(0.0, f64::max);
        Duration::from_secs_f64(grace) + KILL_WAIT
    }

    /// The specs as the file has them now, for who does not supervise.
    async fn specs(&self) -> Result<OwnedMutexGuard<Manifest>> {
        let mut manifest = self.manifest.clone().lock_owned().await;
        blocking(move || match manifest.role() {
            ManifestRole::Owner => Ok(manifest),
            _ => manifest.reload().map(|()| manifest),
        })
        .await?
        .map_err(Into::into)
    }

    /// Whether the file has an agent now, for who does not supervise.
    pub(crate) async fn is_written(&self, id: &str) -> Result<bool> {
        Ok(self.specs().await?.agents().contains_key(id))
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
        let specs: Vec<_> = match self.role() {
            ManifestRole::Owner => {
                self.supervisor.list().into_iter().map(|it| it.spec.clone()).collect()
            }
            _ => self.specs().await?.agents().values().cloned().map(Arc::new).collect(),
        };
        let rules = self.rules.clone();
        blocking(move || {
            let look = |spec: Arc<AgentSpec>| {
                let broken = rules.check(&spec).err();
                AgentHealth {
                    id: spec.id.clone(),
                    command: spec.command.clone(),
                    ok: broken.is_none(),
                    reason: broken.map(|it| it.to_string()),
                }
            };
            specs.into_iter().map(look).collect()
        })
        .await
    }

    /// Writes an agent down. Nothing is started; a running child keeps running.
    pub(crate) async fn upsert(
        &self,
        spec: AgentSpec,
        identity: &Identity,
    ) -> Result<ManagedAgent> {
        self.own().await?;
        let mut manifest = self.manifest.clone().lock_owned().await;
        let (rules, tokens) = (self.rules.clone(), self.tokens.clone());
        let written = blocking(move || -> Result<_> {
            let stored = manifest.agents().get(&spec.id);
            let spec = rules.settle(unredacted(spec, stored), stored)?;
            write_down(&mut manifest, &tokens, &spec)?;
            Ok((spec, manifest))
        });
        // The guard stays until the supervisor knows: two upserts reach it in the file's order.
        let (spec, guard) = written.await??;
        let agent = self.supervisor.put(spec)?;
        drop(guard);
        Ok(self.roster.shown(&agent, identity))
    }

    /// Ends an agent and forgets it and its manifest; `false` if there is neither. What another call
    /// writes down meanwhile stays.
    pub(crate) async fn remove(&self, id: &str, purge: bool) -> Result<bool> {
        self.own().await?;
        let manifest = self.manifest.clone().lock_owned().await;
        // What cannot be taken out is not ended either.
        blocking(move || manifest.may_write()).await??;
        match self.supervisor.stop(id, Ending::Term).await {
            Ok(_) | Err(SuperviseError::Unknown(_)) => {}
            Err(error) => return Err(error.into()),
        }
        // Before the agent is forgotten: then nobody proves to be it any more.
        let (name, tokens) = (id.to_owned(), self.tokens.clone());
        let taken = blocking(move || tokens.remove(&name)).await?;
        taken.map_err(|error| failed(id, &error))?;
        let known = self.supervisor.remove(id, purge).await?;
        let mut manifest = self.manifest.clone().lock_owned().await;
        if self.supervisor.get(id).is_some() {
            return Ok(known);
        }
        let (name, tokens, bundles) = (id.to_owned(), self.tokens.clone(), self.bundles.clone());
        let forgotten = blocking(move || {
            let forget = |manifest: &mut Manifest| -> Result<bool> {
                tokens.remove(&name).map_err(|error| failed(&name, &error))?;
                Ok(manifest.remove(&name)? | bundles.remove(&name)?)
            };
            (forget(&mut manifest), manifest)
        });
        let (forgotten, manifest) = forgotten.await?;
        if let (Err(_), Some(spec)) = (&forgotten, manifest.agents().get(id)) {
            self.supervisor.put(spec.clone())?;
        }
        // One that was bound by a token alone, of which the supervisor knows nothing.
        if let Some(session) = self.roster.attached(id) {
            session.end(REMOVED);
        }
        forgotten
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
        if self.role() == ManifestRole::None {
            let listed = self.list(caller.identity()).await?;
            let found = listed.into_iter().find(|it| it.spec.id == id);
            let found = found.ok_or_else(|| RpcError::not_found(format!("agent `{id}`")))?;
            if targets.contains(&found.view.status) {
                return Ok(found);
            }
        }
        let reached = async {
            // Nothing becomes of an agent before somebody supervises it.
            let _ = self.role.subscribe().wait_for(|role| *role != ManifestRole::None).await;
            self.refuse_observer()?;
            self.answer(self.supervisor.wait(id, targets).await, caller)
        };
        match tokio::time::timeout(limit, reached).await {
            Ok(agent) => agent,
            Err(_) => {
                let late =
                    RpcError::new(codes::DEADLINE, format!("agent `{id}` did not get there"));
                let status = self.supervisor.get(id).map_or(Status::Stopped, |it| it.view.status);
                Err(late.with("status", status.as_str()))
            }
        }
    }

    /// The end of an agent's logs.
    pub(crate) async fn tail(
        &self,
        id: String,
        window: Window,
        caller: &Caller,
    ) -> Result<TailLog> {
        let known = match self.role() {
            ManifestRole::Owner => self.roster.get(&id).is_some(),
            _ => self.is_written(&id).await?,
        };
        if !known {
            return Err(RpcError::not_found(format!("agent `{id}`")));
        }
        let _one_of_few = self.one_of_few(caller).await?;
        let root = self.home().to_owned();
        let tail = blocking(move || logs::tail(&root, &id, window)).await?;
        tail.map_err(RpcError::internal)
    }

    /// Waits until few enough logs are read, and until few enough replies with logs of this connection
    /// are on their way; the caller's own counts until it has left.
    async fn one_of_few(&self, caller: &Caller) -> Result<SemaphorePermit<'_>> {
        let unsent = caller.session().slot::<Unsent>().0.clone();
        let unsent = unsent.acquire_owned().await.map_err(RpcError::internal)?;
        caller.after_reply(move || drop(unsent));
        self.tails.acquire().await.map_err(RpcError::internal)
    }
}

/// Replies with logs of one connection that have not left yet.
struct Unsent(Arc<Semaphore>);

impl Default for Unsent {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(TAILS)))
    }
}

/// Does the whole of it, also when whoever asked for it leaves meanwhile.
pub(crate) async fn whole<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    tokio::spawn(work).await.map_err(RpcError::internal)?
}

/// Writes an agent and its token down: both or neither.
pub(crate) fn write_down(
    manifest: &mut Manifest,
    tokens: &AgentTokens,
    spec: &AgentSpec,
) -> Result<()> {
    let is_new = !manifest.agents().contains_key(&spec.id);
    tokens.mint(&spec.id).map_err(|error| failed(&spec.id, &error))?;
    manifest.put(spec.clone()).inspect_err(|_| {
        if is_new && let Err(error) = tokens.remove(&spec.id) {
            tracing::warn!(id = spec.id, %error, "a token without an agent stays");
        }
    })?;
    Ok(())
}

impl Keeping {
    /// The end of an agent's logs and what comes after it.
    pub(crate) async fn follow(
        &self,
        id: &str,
        window: Window,
        caller: &Caller,
    ) -> Result<Followed> {
        match self.role() {
            ManifestRole::Owner => {
                let _one_of_few = self.one_of_few(caller).await?;
                self.supervisor.follow(id, window).await
            }
            ManifestRole::Observer => Err(self.not_owned()),
            ManifestRole::None => {
                Err(RpcError::conflict("this daemon keeps no agent yet: start one first"))
            }
        }
    }
}

/// Puts the stored values back where a client sent what it had been shown.
pub(crate) fn unredacted(mut spec: AgentSpec, stored: Option<&AgentSpec>) -> AgentSpec {
    for (name, value) in spec.env.iter_mut().filter(|(_, value)| *value == REDACTED) {
        if let Some(known) = stored.and_then(|stored| stored.env.get(name)) {
            known.clone_into(value);
        }
    }
    spec
}

pub(crate) fn failed(id: &str, error: &io::Error) -> RpcError {
    RpcError::internal(format!("the token of agent `{id}`: {error}"))
}

/// Does what touches the disk where it holds nobody up.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(RpcError::internal)
}
