//! The restart machine against a model that counts by hand, and its table.

use std::time::Duration;

use carport_agents_process::{
    Restart, Status,
    machine::{Event, Exit, Machine, Policy, delay},
};
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

fn secs(secs: f64) -> Duration {
    Duration::from_secs_f64(secs)
}

/// What the model knows: a plain history.
#[derive(Debug, Clone)]
struct Model {
    policy: Policy,
    now: Duration,
    status: Status,
    /// Times of failures since the last start.
    failures: Vec<Duration>,
    streak: u32,
    restarts: u32,
    since: Duration,
    due: Option<Duration>,
    blocked: bool,
}

#[derive(Debug, Clone)]
enum Step {
    Start,
    Stop,
    /// The wait ends, so long after it is due.
    Wait,
    /// An attempt ends so: well or not, blocked or not, and with this jitter.
    Attempt(bool, bool, f64),
    /// The process ends after so many seconds, and the wait has this jitter.
    End(u8, Exit, f64),
}

/// The rule, word for word: `min(30 s, backoff * 2^(n-1))`, a fifth either way, then 30 s again.
fn expected(backoff: f64, number: u32, jitter: f64) -> f64 {
    let plain = (backoff * 2f64.powi(number.min(40) as i32 - 1)).min(30.0);
    (plain * (1.0 + 0.2 * jitter.clamp(-1.0, 1.0))).min(30.0)
}

/// Also what no source of jitter should say.
fn jitter() -> std::ops::Range<f64> {
    -2.0..2.0
}

impl Model {
    fn fail(&mut self, jitter: f64) {
        if self.policy.restart == Restart::Never {
            self.status = Status::Errored;
            return;
        }
        self.failures.push(self.now);
        self.streak += 1;
        let recent = self.failures.iter().filter(|at| self.now - **at < secs(60.0)).count();
        if recent >= 5 {
            self.status = Status::Errored;
            return;
        }
        self.wait(secs(expected(self.policy.backoff.as_secs_f64(), self.streak, jitter)));
    }

    fn wait(&mut self, by: Duration) {
        if self.policy.max_restarts.is_some_and(|limit| self.restarts >= limit) {
            self.status = Status::Errored;
        } else {
            (self.status, self.due, self.blocked) = (Status::Backoff, Some(self.now + by), false);
        }
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        let restart =
            prop_oneof![Just(Restart::Never), Just(Restart::OnFailure), Just(Restart::Always)];
        (restart, prop::option::of(0..8u32), 0.1..30.0)
            .prop_map(|(restart, max_restarts, backoff)| Self {
                policy: Policy { restart, max_restarts, backoff: secs(backoff) },
                now: Duration::ZERO,
                status: Status::Stopped,
                failures: Vec::new(),
                streak: 0,
                restarts: 0,
                since: Duration::ZERO,
                due: None,
                blocked: false,
            })
            .boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Step> {
        let exit = prop_oneof![
            Just(Exit::Code(0)),
            (1..256).prop_map(Exit::Code),
            (1..32).prop_map(Exit::Signal)
        ];
        match state.status {
            Status::Starting => (any::<bool>(), prop::bool::weighted(0.2), jitter())
                .prop_map(|(good, blocked, jitter)| Step::Attempt(good, blocked, jitter))
                .boxed(),
            Status::Running => prop_oneof![
                8 => (0..90u8, exit, jitter()).prop_map(|(after, exit, it)| Step::End(after, exit, it)),
                1 => Just(Step::Stop),
                1 => Just(Step::Start),
            ]
            .boxed(),
            Status::Backoff => {
                prop_oneof![8 => Just(Step::Wait), 1 => Just(Step::Stop), 1 => Just(Step::Start)]
                    .boxed()
            }
            _ => prop_oneof![1 => Just(Step::Stop), 4 => Just(Step::Start)].boxed(),
        }
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        let due = state.due.take();
        match step {
            Step::Start if state.status == Status::Running => {}
            Step::Start => {
                state.failures.clear();
                (state.restarts, state.streak, state.status) = (0, 0, Status::Starting);
            }
            Step::Stop => state.status = Status::Stopped,
            Step::Wait => {
                state.now = due.unwrap_or(state.now);
                state.restarts += u32::from(!state.blocked);
                state.status = Status::Starting;
            }
            Step::Attempt(_, true, _) => {
                (state.status, state.blocked) = (Status::Backoff, true);
                state.due = Some(state.now + secs(2.0));
            }
            Step::Attempt(true, ..) => (state.status, state.since) = (Status::Running, state.now),
            Step::Attempt(false, _, jitter) => state.fail(*jitter),
            Step::End(after, exit, jitter) => {
                state.now += secs(f64::from(*after));
                if *after >= 60 {
                    state.streak = 0;
                }
                match (exit, state.policy.restart) {
                    (Exit::Code(0), Restart::Always) => state.wait(state.policy.backoff),
                    (Exit::Code(0), _) => state.status = Status::Stopped,
                    _ => state.fail(*jitter),
                }
            }
        }
        state
    }
}

struct Real;

impl StateMachineTest for Real {
    type SystemUnderTest = Machine;
    type Reference = Model;

    fn init_test(_: &Model) -> Machine {
        Machine::default()
    }

    /// `model` is already where the step leads.
    fn apply(mut machine: Machine, model: &Model, step: Step) -> Machine {
        let jitter = match step {
            Step::Attempt(.., jitter) | Step::End(.., jitter) => jitter,
            _ => 0.0,
        };
        let event = match step {
            Step::Start => Event::Start,
            Step::Stop => Event::Stopped(None),
            Step::Wait => Event::Due,
            Step::Attempt(_, true, _) => Event::Blocked(9),
            Step::Attempt(true, ..) => Event::Spawned(7),
            Step::Attempt(false, ..) => Event::NotSpawned("no".into()),
            Step::End(_, exit, _) => Event::Ended(exit),
        };
        if event == Event::Due && model.now > Duration::ZERO {
            // A moment too early nothing happens.
            let before = machine.clone();
            assert!(!machine.step(&model.policy, model.now - secs(0.001), 0.0, Event::Due));
            assert_eq!(machine, before);
        }
        let attempt = machine.step(&model.policy, model.now, jitter, event);
        assert_eq!(attempt, machine.status() == Status::Starting);
        assert_eq!(machine.status(), model.status);
        assert_eq!(machine.restarts(), model.restarts);
        assert_eq!(machine.blocked_by().is_some(), model.due.is_some() && model.blocked);
        let apart = machine.due().unwrap_or_default().abs_diff(model.due.unwrap_or_default());
        assert!(apart < secs(0.000_001), "{machine:?} {model:?}");
        let given_up = matches!(machine.status(), Status::Errored | Status::Backoff);
        assert_eq!(machine.reason().is_some(), given_up);
        assert_eq!(machine.pid().is_some(), machine.status() == Status::Running);
        machine
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn it_does_what_the_model_says(sequential 1..60 => Real);
}

/// An agent that exits at once, again and again.
#[test]
fn a_thousand_clean_exits_are_a_thousand_restarts() {
    let policy = Policy { restart: Restart::Always, max_restarts: None, backoff: secs(0.1) };
    let (mut machine, mut now) = (Machine::default(), Duration::ZERO);
    assert!(machine.step(&policy, now, 0.0, Event::Start));
    for number in 0..1000 {
        assert_eq!(machine.restarts(), number);
        machine.step(&policy, now, 0.0, Event::Spawned(7));
        machine.step(&policy, now, 1.0, Event::Ended(Exit::Code(0)));
        let due = machine.due().unwrap();
        assert_eq!(due - now, policy.backoff, "a clean exit waits without jitter");
        now = due;
        assert!(machine.step(&policy, now, 0.0, Event::Due));
    }
}

#[test]
fn a_crash_loop_ends_after_five_failures_and_a_start_forgets_them() {
    let policy = Policy { restart: Restart::OnFailure, max_restarts: None, backoff: secs(0.5) };
    let (mut machine, mut now) = (Machine::default(), Duration::ZERO);
    for _ in 0..200 {
        let mut failures = 0;
        assert!(machine.step(&policy, now, 0.0, Event::Start));
        loop {
            machine.step(&policy, now, 0.0, Event::Spawned(7));
            machine.step(&policy, now, 0.0, Event::Ended(Exit::Code(1)));
            failures += 1;
            let Some(due) = machine.due() else { break };
            now = due;
            machine.step(&policy, now, 0.0, Event::Due);
        }
        assert_eq!((failures, machine.restarts(), machine.status()), (5, 4, Status::Errored));
        assert!(machine.reason().unwrap().contains("5 failures within 60 s"));
    }
}

proptest! {
    #[test]
    fn a_wait_doubles_and_stays_within_its_bounds(
        backoff in 0.1..30.0f64, number in 1..100u32, jitter in jitter(),
    ) {
        let wait = delay(secs(backoff), number, jitter).as_secs_f64();
        prop_assert!(wait <= 30.0 && (wait - expected(backoff, number, jitter)).abs() < 1e-6);
    }
}
