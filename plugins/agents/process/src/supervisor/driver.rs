//! The task that keeps one agent: feeds its machine with what happens and does what the machine says.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use carport_core::make_private_dir;
use tokio::{
    sync::mpsc,
    task::{JoinHandle, spawn_blocking},
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};

use super::{
    Ending, Inner, OnSurvivor,
    agent::{Agent, Answer, Call},
    link::{Link, Opened},
};
use crate::{
    environment,
    error::{SpawnError, SuperviseError},
    incarnation::Incarnation,
    logs::Stream,
    machine::{Event, Exit, Machine, Policy},
    shim::{Report, Run},
    spec::AgentSpec,
    view::{Status, View},
};

/// How long the log is waited for once a tree is gone.
const DRAIN: Duration = Duration::from_secs(1);

/// How often a tree without a shim is swept.
const SWEEP: Duration = Duration::from_millis(20);

/// How much longer than the grace and the kill a shim may take to say what became of its tree.
pub(super) const MARGIN: Duration = Duration::from_secs(2);

pub(super) struct Driver {
    pub(super) inner: Arc<Inner>,
    pub(super) agent: Arc<Agent>,
    machine: Machine,
    process: Option<Running>,
}

/// A process under its shim.
struct Running {
    link: Link,
    pid: u32,
    spec: Arc<AgentSpec>,
    incarnation: Option<Incarnation>,
    started_at: i64,
    pumps: [JoinHandle<()>; 2],
}

impl Driver {
    pub(super) fn new(inner: Arc<Inner>, agent: Arc<Agent>) -> Self {
        Self { inner, agent, machine: Machine::default(), process: None }
    }

    /// Until the agent is removed.
    pub(super) async fn keep(mut self, mut calls: mpsc::Receiver<Call>) {
        loop {
            // Nothing is started again while the daemon stops.
            let due = self.machine.due().filter(|_| !self.inner.is_closed());
            let due = due.map(|due| self.inner.epoch + due);
            tokio::select! {
                call = calls.recv() => match call {
                    Some(call) => if self.answer(call).await { return },
                    None => return,
                },
                report = next_report(&mut self.process) => self.reported(report).await,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    if !self.inner.is_closed() {
                        // What went wrong is in the view; nobody waits for it here.
                        let _ = self.step(Event::Due).await;
                    }
                }
            }
        }
    }

    /// Answers one call; `true` once the agent is no more. Who waits no longer has nothing done.
    async fn answer(&mut self, call: Call) -> bool {
        if call.is_given_up() {
            return false;
        }
        match call {
            Call::Start(asked) => drop(asked.send(self.start().await)),
            Call::Stop(how, asked) => drop(asked.send(self.stop(how).await)),
            Call::Restart(asked) => {
                let stopped = self.stop(Ending::Term).await;
                let answer = match stopped {
                    Ok(_) => self.start().await,
                    Err(error) => Err(error),
                };
                drop(asked.send(answer));
            }
            Call::Remove(purge, asked) => {
                let answer = self.remove(purge).await;
                let gone = answer.is_ok();
                drop(asked.send(answer));
                return gone;
            }
        }
        false
    }

    async fn start(&mut self) -> Answer {
        if self.inner.is_closed() {
            return Err(SuperviseError::Closed);
        }
        let outcome = self.step(Event::Start).await;
        let seen = self.agent.seen();
        match outcome {
            Ok(()) => Ok(seen),
            Err(why) => {
                let (id, status) = (seen.spec.id.clone(), seen.view.status);
                Err(SuperviseError::NotStarted { id, why, status })
            }
        }
    }

    async fn stop(&mut self, how: Ending) -> Answer {
        let Some(process) = &mut self.process else {
            let _ = self.step(Event::Stopped(None)).await;
            return Ok(self.agent.seen());
        };
        let grace = match how {
            Ending::Term => Duration::from_secs_f64(self.agent.spec().stop_grace_secs),
            Ending::Kill => Duration::ZERO,
        };
        let patience = Instant::now() + grace + crate::KILL_WAIT + MARGIN;
        // A shim that takes no order is noticed by its silence.
        let _ = timeout_at(patience, process.link.end(grace)).await;
        let event = loop {
            match timeout_at(patience, process.link.report()).await {
                Ok(Some(Report::Gone(exit))) => {
                    self.put_away().await;
                    break Event::Stopped(Some(exit));
                }
                Ok(Some(Report::Outlived(pids))) => break Event::Outlived(pids),
                Ok(Some(_)) => {}
                // A shim that was stopped by a signal is of as much use as one that was killed.
                Ok(None) | Err(_) => break self.sweep(Event::Stopped(None)).await,
            }
        };
        let survivors = match &event {
            Event::Outlived(pids) => Some(pids.clone()),
            _ => None,
        };
        let _ = self.step(event).await;
        match survivors {
            None => Ok(self.agent.seen()),
            Some(survivors) => {
                Err(SuperviseError::Survivors { id: self.agent.spec().id.clone(), survivors })
            }
        }
    }

    async fn remove(&mut self, purge: bool) -> Answer {
        self.stop(Ending::Term).await?;
        if purge && let Err(error) = self.agent.capture.purge().await {
            tracing::warn!(%error, agent = self.agent.spec().id, "logs could not be removed");
        }
        self.inner.agents.lock().remove(&self.agent.spec().id);
        self.agent.retire(&self.inner);
        Ok(self.agent.seen())
    }

    /// What a shim says unasked: that the child ended and nothing of its tree is left.
    async fn reported(&mut self, report: Option<Report>) {
        let event = match report {
            Some(Report::Gone(exit)) => {
                self.put_away().await;
                Event::Ended(exit)
            }
            Some(Report::Outlived(pids)) => Event::Outlived(pids),
            Some(_) => return,
            None => self.sweep(Event::Ended(Exit::Unknown)).await,
        };
        let _ = self.step(event).await;
    }

    /// Somebody killed the shim, so the daemon ends what is left of the tree. Answers `gone` once
    /// nothing is; else the record stays, and keeps another process from taking its place.
    async fn sweep(&mut self, gone: Event) -> Event {
        let record = self.process.as_ref().and_then(|it| it.incarnation.clone());
        let left = match record {
            Some(record) => end_tree(record).await,
            None => Vec::new(),
        };
        if left.is_empty() {
            self.put_away().await;
            return gone;
        }
        self.process = None;
        Event::Outlived(left)
    }

    /// The tree is gone: its last words reach the log, its record goes.
    async fn put_away(&mut self) {
        let Some(process) = self.process.take() else { return };
        let drained = async {
            for pump in process.pumps {
                let _ = pump.await;
            }
        };
        let _ = timeout(DRAIN, drained).await;
        let _ = tokio::fs::remove_file(self.record_path()).await;
    }

    /// Tells the machine, makes the attempt that it asks for, and says how the agent is now.
    async fn step(&mut self, event: Event) -> Result<(), SpawnError> {
        let attempt = self.tell(event);
        self.publish();
        if !attempt {
            return Ok(());
        }
        let (event, outcome) = match self.spawn().await {
            Ok(event) => (event, Ok(())),
            Err(error) => (Event::NotSpawned(error.to_string()), Err(error)),
        };
        self.tell(event);
        self.publish();
        outcome
    }

    fn tell(&mut self, event: Event) -> bool {
        let spec = self.agent.spec();
        let policy = Policy {
            restart: spec.restart,
            max_restarts: spec.max_restarts,
            backoff: Duration::from_secs_f64(spec.backoff_secs),
        };
        let jitter = (self.inner.settings.jitter)();
        self.machine.step(&policy, self.inner.epoch.elapsed(), jitter, event)
    }

    fn publish(&self) {
        let running = self.process.as_ref().filter(|_| self.machine.status() == Status::Running);
        let (code, signal) = match self.machine.last_exit() {
            Some(Exit::Code(code)) => (Some(code), None),
            Some(Exit::Signal(signal)) => (None, Some(signal)),
            Some(Exit::Unknown) | None => (None, None),
        };
        let in_secs = |due: Duration| {
            let wait = due.saturating_sub(self.inner.epoch.elapsed());
            let millis = self.inner.settings.clock.now().timestamp_millis();
            (millis + i64::try_from(wait.as_millis()).unwrap_or(i64::MAX / 2)).div_euclid(1000)
        };
        let view = View {
            status: self.machine.status(),
            pid: self.machine.pid(),
            last_exit_code: code,
            last_exit_signal: signal,
            restart_count: self.machine.restarts(),
            started_at: running.map(|it| it.started_at),
            blocked_by_pid: self.machine.blocked_by(),
            reason: self.machine.reason().map(str::to_owned),
            next_start_at: self.machine.due().map(in_secs),
            pending_restart: false,
        };
        self.agent.publish(&self.inner, view, running.map(|it| it.spec.clone()));
    }

    /// One attempt: rules, who is still there, shim, record, logs.
    async fn spawn(&mut self) -> Result<Event, SpawnError> {
        let spec = self.agent.spec();
        if let Some(pid) = self.survivor().await {
            return Ok(Event::Blocked(pid));
        }
        let (inner, checked) = (self.inner.clone(), spec.clone());
        let prepared = spawn_blocking(move || prepare(&inner, &checked)).await;
        let run = prepared.map_err(|error| io_error("preparing", io::Error::other(error)))??;
        let Opened { mut link, shim_pid, stdout, stderr } =
            Link::open(&self.inner.shim_for(&spec.id))?;
        // Before there is a child: the next daemon finds it, whenever this one is killed.
        let before = self.record(shim_pid, shim_pid).await;
        let pid = match link.run(run).await {
            Ok(pid) => pid,
            Err(error) => {
                let left = match (&error, before) {
                    (SpawnError::Exec(_), _) | (_, None) => Vec::new(),
                    (_, Some(record)) => end_tree(record).await,
                };
                if left.is_empty() {
                    let _ = tokio::fs::remove_file(self.record_path()).await;
                }
                return Err(error);
            }
        };
        let incarnation = self.record(pid, shim_pid).await;
        let pumps = [
            self.agent.capture.pump(Stream::Stdout, stdout),
            self.agent.capture.pump(Stream::Stderr, stderr),
        ];
        let started_at = self.inner.settings.clock.now().timestamp();
        self.process = Some(Running { link, pid, spec, incarnation, started_at, pumps });
        Ok(Event::Spawned(pid))
    }

    /// A process of an earlier incarnation that still lives, after what is to be done about it.
    async fn survivor(&self) -> Option<u32> {
        if let Some(process) = &self.process {
            return Some(process.pid);
        }
        let path = self.record_path();
        let look = move || {
            let record = Incarnation::read(&path)?;
            Some((record.survivor()?, record))
        };
        let (pid, record) = spawn_blocking(look).await.ok()??;
        match self.inner.settings.on_survivor {
            OnSurvivor::Wait => Some(pid),
            OnSurvivor::Kill => end_tree(record).await.first().copied(),
        }
    }

    /// A daemon that cannot write the record still ends the tree; the next one would not know it.
    async fn record(&self, pid: u32, shim_pid: u32) -> Option<Incarnation> {
        let path = self.record_path();
        let record = move || {
            let warn = |error: &io::Error| {
                tracing::warn!(%error, file = %path.display(), "no record of a process");
            };
            let incarnation = Incarnation::of(pid, shim_pid).inspect_err(warn).ok()?;
            let directory = path.parent().map_or(Ok(()), make_private_dir);
            let _ = directory.and_then(|()| incarnation.write(&path)).inspect_err(warn);
            Some(incarnation)
        };
        spawn_blocking(record).await.ok().flatten()
    }

    fn record_path(&self) -> PathBuf {
        self.inner.record_path(&self.agent.spec().id)
    }
}

async fn next_report(process: &mut Option<Running>) -> Option<Report> {
    match process {
        Some(process) => process.link.report().await,
        None => std::future::pending().await,
    }
}

/// Kills what a record names until nothing is left, or answers who is after five seconds.
pub(super) async fn end_tree(record: Incarnation) -> Vec<u32> {
    let patience = Instant::now() + crate::KILL_WAIT;
    let mut nobody = 0;
    loop {
        let record = record.clone();
        let left = spawn_blocking(move || record.kill()).await.unwrap_or_default();
        nobody = if left.is_empty() { nobody + 1 } else { 0 };
        if nobody == 2 || (nobody == 0 && Instant::now() >= patience) {
            return left;
        }
        sleep(SWEEP).await;
    }
}

/// Holds the spec against the rules and puts together what the shim is to run. Blocks on the disk.
fn prepare(inner: &Inner, spec: &AgentSpec) -> Result<Run, SpawnError> {
    let program = inner.settings.rules.check(spec)?;
    let program = program.to_str().ok_or_else(|| {
        io_error("reading where its command leads", io::ErrorKind::InvalidData.into())
    })?;
    let cwd = match &spec.cwd {
        Some(cwd) => cwd.clone(),
        None => {
            let own = inner.own_directory(&spec.id);
            make_private_dir(&own).map_err(|error| io_error("making its directory", error))?;
            own.display().to_string()
        }
    };
    let identity = (inner.settings.identity)(&spec.id);
    let identity = identity.map_err(|error| io_error("saying who it is", error))?;
    let daemon = environment::own_environment();
    let env = environment::child_environment(inner.settings.inherit, &daemon, spec, identity);
    Ok(Run {
        program: program.to_owned(),
        name: spec.command.clone().unwrap_or_default(),
        args: spec.args.clone(),
        env: env.into_iter().collect(),
        cwd,
        grace_ms: Duration::from_secs_f64(spec.stop_grace_secs).as_millis() as u64,
        input: false,
    })
}

fn io_error(what: &'static str, source: io::Error) -> SpawnError {
    SpawnError::Io { what, source }
}
