//! Every adapter of a daemon: what was found for it, how it is, and how many run.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use carport_agents_process::{Command, Inherit, Rules, SpawnError, inherited_environment};
use carport_core::Clock;
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    task::{JoinSet, spawn_blocking},
};

use crate::{
    adapter::{Adapter, BadAdapter, Values},
    attachment::image_kind_of,
    builtin::builtin_tables,
    error::ExternalError,
    find::{Found, find},
    health::health,
    invoke::{Ended, Invocation, Stopper, run},
    reader::Saying,
    table::AdapterTable,
    view::{AuthKind, Execution, ExternalAgentHealth, ExternalAgentSpec},
};

/// What a process that ended by itself leaves behind may live so long.
const LEFT_GRACE: Duration = Duration::from_millis(250);
/// How long an answer to the sign-in question counts, in seconds.
const HEALTH_SECS: i64 = 30;
/// The largest image that is handed over, in bytes.
const IMAGE_BYTES: u64 = 32 << 20;
/// The largest argument that the kernel takes, less its end: `MAX_ARG_STRLEN` of Linux.
const ARGUMENT_BYTES: usize = 128 * 1024 - 1;

/// What the processes of external agents stand on.
pub struct Ground {
    /// The program and first arguments that run `carport_agents_process::shim::run`.
    pub shim: Vec<OsString>,
    /// What a program must be.
    pub rules: Arc<Rules>,
    /// Which of the daemon's own environment they get.
    pub inherit: Inherit,
    /// The daemon's own environment.
    pub environment: BTreeMap<String, String>,
    /// A private directory: where questions are asked, and for files that live as long as a run.
    pub directory: PathBuf,
    /// How long an answer may take.
    pub ask_limit: Duration,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
}

impl Ground {
    pub(crate) fn shim_for(&self, id: &str) -> Vec<OsString> {
        self.shim.iter().cloned().chain([id.into()]).collect()
    }

    pub(crate) fn environment_of(&self, adapter: &Adapter) -> BTreeMap<String, String> {
        inherited_environment(self.inherit, &self.environment, &adapter.pass_env, &adapter.env)
    }

    /// Holds a program against the rules, and answers the file that it leads to.
    async fn check(&self, program: &Path) -> Result<PathBuf, SpawnError> {
        let (rules, program) = (self.rules.clone(), program.to_owned());
        let checked = spawn_blocking(move || rules.check_command(&program)).await;
        let checked = checked.map_err(|error| SpawnError::Io {
            what: "checking its program",
            source: io::Error::other(error),
        })?;
        Ok(checked?)
    }

    /// A program that keeps the rules, without arguments. What is run is the file that was checked,
    /// under the name that was given: a link may be set anew in between.
    pub(crate) async fn command(
        &self,
        adapter: &Adapter,
        program: &Path,
    ) -> Result<Command, SpawnError> {
        Ok(Command {
            program: self.check(program).await?,
            name: program.to_owned(),
            args: Vec::new(),
            env: self.environment_of(adapter),
            cwd: self.directory.clone(),
            grace: LEFT_GRACE,
            input: false,
        })
    }
}

/// Every adapter. Cheap to clone; all clones are one. Lives on a tokio runtime.
#[derive(Clone)]
pub struct Externals(Arc<Inner>);

struct Inner {
    ground: Ground,
    entries: BTreeMap<String, Arc<Entry>>,
    most: usize,
    slots: Arc<Semaphore>,
}

struct Entry {
    adapter: Adapter,
    /// Held while somebody looks, so that two who ask at a time look once.
    found: Mutex<Option<Found>>,
    health: Mutex<Option<ExternalAgentHealth>>,
}

impl Externals {
    /// The built-in adapters with these tables over them. At most `most` run at a time.
    pub fn new(
        ground: Ground,
        tables: BTreeMap<String, AdapterTable>,
        most: usize,
    ) -> Result<Self, BadAdapter> {
        let mut all = builtin_tables();
        for (id, table) in tables {
            let base = all.remove(&id).unwrap_or_default();
            all.insert(id, table.over(base));
        }
        let enabled = all.into_iter().filter(|(_, table)| table.enabled != Some(false));
        let entry = |(id, table): (String, AdapterTable)| {
            let adapter = Adapter::new(&id, table)?;
            let entry = Entry { adapter, found: Mutex::default(), health: Mutex::default() };
            Ok((id, Arc::new(entry)))
        };
        let entries = enabled.map(entry).collect::<Result<_, _>>()?;
        let slots = Arc::new(Semaphore::new(most));
        Ok(Self(Arc::new(Inner { ground, entries, most, slots })))
    }

    /// Every adapter by id. What was found earlier counts unless `refresh` asks to look again.
    pub async fn list(&self, refresh: bool, with_health: bool) -> Vec<ExternalAgentSpec> {
        let look = |entry: Arc<Entry>, inner: Arc<Inner>| async move {
            let found = entry.found(&inner.ground, refresh).await;
            let health = match with_health {
                true => Some(entry.health(&inner.ground, &found, refresh).await),
                false => None,
            };
            entry.spec(found, health)
        };
        self.each(self.0.entries.values(), look).await
    }

    /// How one adapter is, or all are, by id. An answer counts for 30 s unless `force` asks again.
    pub async fn health(
        &self,
        id: Option<&str>,
        force: bool,
    ) -> Result<Vec<ExternalAgentHealth>, ExternalError> {
        let look = |entry: Arc<Entry>, inner: Arc<Inner>| async move {
            let found = entry.found(&inner.ground, false).await;
            entry.health(&inner.ground, &found, force).await
        };
        Ok(match id {
            None => self.each(self.0.entries.values(), look).await,
            Some(id) => self.each([self.entry(id)?], look).await,
        })
    }

    /// An adapter that can be run so, and its program.
    pub async fn ready(
        &self,
        id: &str,
        values: &Values,
        has_mcp: bool,
    ) -> Result<PathBuf, ExternalError> {
        let entry = self.entry(id)?;
        entry.adapter.check_values(values, has_mcp)?;
        let found = entry.found(&self.0.ground, false).await;
        let unusable = |reason| ExternalError::Unusable { id: id.to_owned(), reason };
        if let Execution::Unusable { reason, .. } = found.execution {
            return Err(unusable(reason));
        }
        let checked = self.0.ground.check(&found.program).await;
        checked.map_err(|error| unusable(error.to_string()))?;
        Ok(found.program)
    }

    /// Of some files, those that the adapter takes as images: at most 32 MiB each, by their first
    /// bytes, with a path that it reads as it is. Blocks on the disk.
    pub fn images(&self, id: &str, files: Vec<PathBuf>) -> Result<Vec<String>, ExternalError> {
        let adapter = &self.entry(id)?.adapter;
        let takes = adapter.takes("image");
        let is_image = |file: &PathBuf| {
            let small = file.metadata().is_ok_and(|it| it.is_file() && it.len() <= IMAGE_BYTES);
            takes && small && image_kind_of(file).is_some()
        };
        let is_one = |path: &String| adapter.image_separator.is_none_or(|it| !path.contains(it));
        let images = files.into_iter().filter(is_image);
        // A path in other words, or in parts, may be that of a file nobody looked at.
        let paths = images.filter_map(|it| it.into_os_string().into_string().ok());
        Ok(paths.filter(is_one).collect())
    }

    /// Leave to run one, while it is kept.
    pub fn slot(&self) -> Result<OwnedSemaphorePermit, ExternalError> {
        let slot = self.0.slots.clone().try_acquire_owned();
        slot.map_err(|_| ExternalError::Busy(self.0.most))
    }

    /// Waits until none runs.
    pub async fn idle(&self) {
        let most = u32::try_from(self.0.most).unwrap_or(u32::MAX);
        // Nobody closes it.
        let _ = self.0.slots.acquire_many(most).await;
    }

    /// Runs an adapter to its end and hands on what it says. Dropping this ends the run's whole tree.
    pub async fn run(
        &self,
        id: &str,
        invocation: Invocation,
        stop: &Stopper,
        hear: impl FnMut(Saying),
    ) -> Result<Ended, SpawnError> {
        let Ok(entry) = self.entry(id) else {
            return Err(SpawnError::Exec(format!("no external agent `{id}`")));
        };
        run(&self.0.ground, &entry.adapter, invocation, stop, hear).await
    }

    fn entry(&self, id: &str) -> Result<&Arc<Entry>, ExternalError> {
        self.0.entries.get(id).ok_or_else(|| ExternalError::Unknown(id.to_owned()))
    }

    /// Does one thing for several adapters at the same time, and answers in their order.
    async fn each<'a, T, F>(
        &self,
        entries: impl IntoIterator<Item = &'a Arc<Entry>>,
        work: impl Fn(Arc<Entry>, Arc<Inner>) -> F,
    ) -> Vec<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let mut tasks = JoinSet::new();
        for (at, entry) in entries.into_iter().enumerate() {
            let work = work(entry.clone(), self.0.clone());
            tasks.spawn(async move { (at, work.await) });
        }
        let mut all = tasks.join_all().await;
        all.sort_by_key(|(at, _)| *at);
        all.into_iter().map(|(_, it)| it).collect()
    }
}

impl Entry {
    async fn found(&self, ground: &Ground, refresh: bool) -> Found {
        let mut known = self.found.lock().await;
        match &*known {
            Some(found) if !refresh => found.clone(),
            _ => known.insert(find(ground, &self.adapter).await).clone(),
        }
    }

    async fn health(&self, ground: &Ground, found: &Found, force: bool) -> ExternalAgentHealth {
        let mut known = self.health.lock().await;
        let now = ground.clock.now().timestamp();
        match &*known {
            Some(health) if !force && now - health.checked_at < HEALTH_SECS => health.clone(),
            _ => known.insert(health(ground, &self.adapter, found).await).clone(),
        }
    }

    fn spec(&self, found: Found, health: Option<ExternalAgentHealth>) -> ExternalAgentSpec {
        ExternalAgentSpec {
            id: self.adapter.id.clone(),
            display_name: self.adapter.display_name.clone(),
            binary_path: found.program.display().to_string(),
            version: found.version,
            auth_kind: AuthKind::Unknown,
            capabilities: self.adapter.capabilities(),
            detected_at: found.at,
            health,
            execution: found.execution,
        }
    }
}

impl Adapter {
    /// Refuses what the agent cannot be told: half obeyed it would mean something else.
    fn check_values(&self, values: &Values, has_mcp: bool) -> Result<(), ExternalError> {
        let tools = values.allowed_tools.as_ref().map(|it| it.is_empty());
        let asked = [
            ("model", "model", values.model.is_some()),
            ("max_turns", "max_turns", values.max_turns.is_some()),
            ("session_id", "session_id", values.session_id.is_some()),
            ("allowed_tools", "allowed_tools", tools == Some(false)),
            ("no_tools", "allowed_tools", tools == Some(true)),
            ("mcp_config", "mcp_endpoint", has_mcp),
        ];
        let cannot = asked.iter().find(|(name, _, asked)| *asked && !self.takes(name));
        if let Some((_, field, _)) = cannot {
            return Err(ExternalError::CannotBeTold { id: self.id.clone(), field });
        }
        if let Some(field) = self.option_in(values) {
            return Err(ExternalError::LooksLikeOption { id: self.id.clone(), field });
        }
        let large = self.arguments(values).iter().any(|it| it.len() > ARGUMENT_BYTES);
        match large {
            true => Err(ExternalError::TaskTooLong { id: self.id.clone(), limit: ARGUMENT_BYTES }),
            false => Ok(()),
        }
    }
}
