//! The restart policy: a pure state machine over what happened, told the time and given its jitter.

use std::{collections::VecDeque, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{spec::Restart, view::Status};

/// The longest wait between two attempts.
pub const MAX_WAIT: Duration = Duration::from_secs(30);

/// So long an unbroken run makes earlier failures forgotten; so long back failures are counted.
pub const WINDOW: Duration = Duration::from_secs(60);

/// So many failures within the window are the end of it.
pub const MAX_FAILURES: usize = 5;

/// How often a process of an earlier daemon is looked at.
pub const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// The part of a spec that decides about restarts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// When.
    pub restart: Restart,
    /// How often, since somebody started it.
    pub max_restarts: Option<u32>,
    /// The first wait.
    pub backoff: Duration,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Nobody saw it: the shim itself was killed.
    Unknown,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Somebody asked for a start.
    Start,
    /// The wait is over.
    Due,
    /// The process exists.
    Spawned(u32),
    /// It was not started, and why.
    NotSpawned(String),
    /// A process of an earlier daemon lives in its place.
    Blocked(u32),
    /// The process ended, and its whole tree with it.
    Ended(Exit),
    /// Somebody asked for a stop, and nothing of the tree is left.
    Stopped(Option<Exit>),
    /// Somebody asked for a stop, and these outlived KILL.
    Outlived(Vec<u32>),
}

/// An agent's supervision. Time counts from any fixed moment and never goes back.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    state: State,
    restarts: u32,
    /// Failures since the last long run.
    streak: u32,
    /// When failures happened, the youngest last.
    failures: VecDeque<Duration>,
    last_exit: Option<Exit>,
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Stopped,
    Starting,
    Running { pid: u32, since: Duration },
    Waiting { due: Duration, blocked_by: Option<u32> },
    Errored,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            state: State::Stopped,
            restarts: 0,
            streak: 0,
            failures: VecDeque::new(),
            last_exit: None,
            reason: None,
        }
    }
}

impl Machine {
    /// Takes in what happened at `now`. `jitter` is in `-1.0..=1.0`. `true` if a spawn has to be
    /// attempted now, whose outcome is the next event. An event that does not fit changes nothing.
    pub fn step(&mut self, policy: &Policy, now: Duration, jitter: f64, event: Event) -> bool {
        match (event, self.state) {
            (Event::Start, State::Stopped | State::Waiting { .. } | State::Errored) => {
                (self.restarts, self.streak) = (0, 0);
                self.failures.clear();
                self.attempt()
            }
            (Event::Due, State::Waiting { due, blocked_by }) if due <= now => {
                // A blocked attempt was counted, or was no restart.
                self.restarts += u32::from(blocked_by.is_none());
                self.attempt()
            }
            (Event::Spawned(pid), State::Starting) => {
                self.settle(State::Running { pid, since: now }, None)
            }
            (Event::NotSpawned(why), State::Starting) => self.failed(policy, now, jitter, &why),
            (Event::Blocked(pid), State::Starting) => {
                let reason = format!("process {pid} of an earlier start still runs");
                let due = now + LOOK_AGAIN;
                self.settle(State::Waiting { due, blocked_by: Some(pid) }, Some(reason))
            }
            (Event::Ended(exit), State::Running { since, .. }) => {
                self.last_exit = Some(exit);
                if now.saturating_sub(since) >= WINDOW {
                    self.streak = 0;
                }
                self.ended(policy, now, jitter, exit)
            }
            (Event::Stopped(exit), _) => {
                self.last_exit = exit.or(self.last_exit);
                self.settle(State::Stopped, None)
            }
            (Event::Outlived(pids), _) => {
                self.settle(State::Errored, Some(format!("processes {pids:?} outlived KILL")))
            }
            _ => false,
        }
    }

    fn attempt(&mut self) -> bool {
        self.settle(State::Starting, None);
        true
    }

    fn settle(&mut self, state: State, reason: Option<String>) -> bool {
        (self.state, self.reason) = (state, reason);
        false
    }

    fn ended(&mut self, policy: &Policy, now: Duration, jitter: f64, exit: Exit) -> bool {
        match (exit, policy.restart) {
            (Exit::Code(0), Restart::Always) => {
                self.wait(policy, now, policy.backoff, "exited with code 0".into())
            }
            (Exit::Code(0), _) => self.settle(State::Stopped, None),
            (Exit::Code(code), _) => {
                self.failed(policy, now, jitter, &format!("exited with code {code}"))
            }
            (Exit::Signal(signal), _) => {
                self.failed(policy, now, jitter, &format!("ended by signal {signal}"))
            }
            (Exit::Unknown, _) => self.failed(policy, now, jitter, "lost: its shim was killed"),
        }
    }

    fn failed(&mut self, policy: &Policy, now: Duration, jitter: f64, why: &str) -> bool {
        if policy.restart == Restart::Never {
            return self.settle(State::Errored, Some(why.into()));
        }
        self.streak = self.streak.saturating_add(1);
        self.failures.push_back(now);
        self.failures.retain(|at| now.saturating_sub(*at) < WINDOW);
        if self.failures.len() >= MAX_FAILURES {
            let reason = format!("{why}; {MAX_FAILURES} failures within 60 s");
            return self.settle(State::Errored, Some(reason));
        }
        self.wait(policy, now, delay(policy.backoff, self.streak, jitter), why.into())
    }

    fn wait(&mut self, policy: &Policy, now: Duration, by: Duration, why: String) -> bool {
        if let Some(limit) = policy.max_restarts.filter(|limit| self.restarts >= *limit) {
            let reason = format!("{why}; all {limit} automatic restarts are used up");
            return self.settle(State::Errored, Some(reason));
        }
        self.settle(State::Waiting { due: now + by, blocked_by: None }, Some(why))
    }

    /// The word for it.
    pub fn status(&self) -> Status {
        match self.state {
            State::Stopped => Status::Stopped,
            State::Starting => Status::Starting,
            State::Running { .. } => Status::Running,
            State::Waiting { .. } => Status::Backoff,
            State::Errored => Status::Errored,
        }
    }

    /// The process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        match self.state {
            State::Running { pid, .. } => Some(pid),
            _ => None,
        }
    }

    /// When [`Event::Due`] is due.
    pub fn due(&self) -> Option<Duration> {
        match self.state {
            State::Waiting { due, .. } => Some(due),
            _ => None,
        }
    }

    /// The process of an earlier daemon that it waits for.
    pub fn blocked_by(&self) -> Option<u32> {
        match self.state {
            State::Waiting { blocked_by, .. } => blocked_by,
            _ => None,
        }
    }

    /// Automatic restarts since somebody started it.
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// How the last process ended.
    pub fn last_exit(&self) -> Option<Exit> {
        self.last_exit
    }

    /// Why it waits or was given up.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }
}

/// How long failure number `number`, from 1, is waited after: `backoff * 2^(number - 1)`, at most 30 s,
/// spread by a fifth either way, and at most 30 s again.
pub fn delay(backoff: Duration, number: u32, jitter: f64) -> Duration {
    // Beyond 2^16 every wait is the longest one.
    let doubled = backoff.saturating_mul(1 << number.saturating_sub(1).min(16));
    doubled.min(MAX_WAIT).mul_f64(1.0 + 0.2 * jitter.clamp(-1.0, 1.0)).min(MAX_WAIT)
}
