//! A supervisor over a directory of its own, and ways to see what lives.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use carport_agents_process::{
    AgentSpec, Ending, Inherit, Listener, ManagedAgent, OnSurvivor, Restart, Rules, Settings,
    Status, Supervisor,
};
use carport_core::{Counter, Guarded, SystemClock};
use serde_json::json;

/// A child that ignores TERM, a grandchild that does, one with a session of its own whose parent is
/// gone, and one that lost its parent. `ready` says that all are there.
pub(crate) const STUBBORN_TREE: &str = "trap '' TERM
    (setsid sh -c 'trap \"\" TERM; sleep 1000' &)
    sh -c 'sleep 1000 & sleep 1000 &'
    sleep 1000 &
    echo ready
    while :; do sleep 1000; done";

/// So long anything may take that has no limit of its own here.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

#[allow(dead_code, reason = "two programs share this file and use a part each")]
pub(crate) struct World {
    pub(crate) supervisor: Supervisor,
    pub(crate) root: PathBuf,
    /// In the environment of everything that was started here.
    pub(crate) mark: String,
    pub(crate) heard: Arc<Heard>,
    /// Bytes that no log took.
    pub(crate) dropped: Counter,
}

/// Every change that the supervisor told of.
#[derive(Default)]
pub(crate) struct Heard(Guarded<Vec<(Arc<ManagedAgent>, bool)>>);

impl Listener for Heard {
    fn changed(&self, agent: &Arc<ManagedAgent>, removed: bool) {
        self.0.lock().push((agent.clone(), removed));
    }
}

#[allow(dead_code, reason = "two programs share this file and use a part each")]
impl Heard {
    /// What an agent's status was, repeats left out.
    pub(crate) fn statuses(&self, id: &str) -> Vec<Status> {
        let heard = self.0.lock();
        let of = heard.iter().filter(|(agent, _)| agent.spec.id == id);
        let mut all: Vec<_> = of.map(|(agent, _)| agent.view.status).collect();
        all.dedup();
        all
    }

    pub(crate) fn was_removed(&self, id: &str) -> bool {
        self.0.lock().iter().any(|(agent, removed)| agent.spec.id == id && *removed)
    }
}

#[allow(dead_code, reason = "two programs share this file and use a part each")]
impl World {
    pub(crate) fn at(root: PathBuf, helper: PathBuf) -> Self {
        Self::with(root, helper, |_| {})
    }

    pub(crate) fn with(root: PathBuf, helper: PathBuf, change: impl FnOnce(&mut Settings)) -> Self {
        let heard = Arc::new(Heard::default());
        let mark = root.display().to_string();
        let shown = mark.clone();
        let mut settings = Settings {
            shim: vec![helper.into(), "shim".into()],
            state_root: root.clone(),
            manifest: root.join("agents.json"),
            rules: Arc::new(Rules::new(Some(Vec::new()), "/usr/bin:/bin".into())),
            inherit: Inherit::Basic,
            on_survivor: OnSurvivor::Wait,
            identity: Arc::new(move |id| {
                Ok(vec![("CAR_AGENT_ID".into(), id.into()), ("MARK".into(), shown.clone())])
            }),
            clock: Arc::new(SystemClock),
            jitter: Arc::new(|| 0.0),
            listener: heard.clone(),
            dropped: Counter::default(),
        };
        change(&mut settings);
        let dropped = settings.dropped.clone();
        Self { supervisor: Supervisor::new(settings), root, mark, heard, dropped }
    }

    /// An agent that runs a shell script.
    pub(crate) fn put(
        &self,
        id: &str,
        script: &str,
        change: impl FnOnce(&mut AgentSpec),
    ) -> String {
        let spec = json!({
            "id": id, "command": "/bin/sh", "args": ["-c", script],
            "restart": "never", "backoff_secs": 0.1, "stop_grace_secs": 0.2,
        });
        let mut spec: AgentSpec = serde_json::from_value(spec).expect("a spec");
        change(&mut spec);
        self.supervisor.put(spec).expect("an agent");
        id.to_owned()
    }

    /// Starts an agent and waits until its script says `ready`.
    pub(crate) async fn start(&self, id: &str) -> Arc<ManagedAgent> {
        let agent = self.supervisor.start(id).await.expect("a start");
        until("ready", || self.log(id).contains("ready")).await;
        agent
    }

    pub(crate) async fn wait(&self, id: &str, target: Status) -> Arc<ManagedAgent> {
        let waiting = self.supervisor.wait(id, std::slice::from_ref(&target));
        let found = tokio::time::timeout(LIMIT, waiting).await;
        found.unwrap_or_else(|_| panic!("{id} is not {target:?}")).expect("an agent")
    }

    pub(crate) fn log(&self, id: &str) -> String {
        fs::read_to_string(self.root.join(format!("logs/{id}.stdout.log"))).unwrap_or_default()
    }

    /// Everything of this world that lives, its shims aside.
    pub(crate) fn alive(&self) -> Vec<i32> {
        alive(&self.mark)
    }

    pub(crate) fn nothing_lives(&self) {
        assert_eq!(self.alive(), Vec::<i32>::new());
    }

    /// Ends everything.
    pub(crate) async fn end(self) {
        self.supervisor.shutdown().await;
        self.nothing_lives();
    }

    pub(crate) async fn kill(&self, id: &str) -> Arc<ManagedAgent> {
        self.supervisor.stop(id, Ending::Kill).await.expect("a stop")
    }
}

#[allow(dead_code, reason = "two programs share this file and use a part each")]
pub(crate) fn always(spec: &mut AgentSpec) {
    spec.restart = Restart::Always;
}

/// Processes whose environment holds the mark. A zombie has none, nor has for a moment who executes a
/// program: what is to be there has to be waited for.
pub(crate) fn alive(mark: &str) -> Vec<i32> {
    let wanted = format!("MARK={mark}");
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let environment = fs::read(Path::new("/proc").join(pid.to_string()).join("environ"));
        let environment = environment.unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    })
    .collect()
}

/// Looks again and again until it is so.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let looking = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(LIMIT, looking).await.is_err() {
        panic!("never: {what}");
    }
}

#[allow(dead_code, reason = "two programs share this file and use a part each")]
pub(crate) async fn until_log(world: &World, id: &str, text: &str) {
    until(text, || world.log(id).contains(text)).await;
}
