//! When a connection has to do something unasked. Pure: time is passed in.

use std::time::Duration;

use tokio::time::Instant;

use super::config::{AuthSettings, TransportSettings};

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Nothing yet.
    Nothing,
    /// Nothing was heard for a while: ping.
    Ping,
    /// Nothing was heard since the ping either: the peer is gone.
    Silent,
    /// The peer has taken nothing for too long.
    Stuck,
    /// The peer has not proved who it is in time.
    Stranger,
    /// The daemon stops and calls have had their time.
    Drained,
}

/// The clocks of one connection.
#[derive(Debug)]
pub(crate) struct Timers {
    ping: Duration,
    stuck: Duration,
    heard: Instant,
    pinged: bool,
    stranger_until: Option<Instant>,
    drain_until: Option<Instant>,
    /// Since when, and at how many bytes, the peer takes nothing.
    blocked: Option<(Instant, u64)>,
}

impl Timers {
    pub(crate) fn new(now: Instant, transport: &TransportSettings, auth: &AuthSettings) -> Self {
        Self {
            ping: Duration::from_secs(transport.ping_secs),
            stuck: Duration::from_secs(transport.stuck_secs),
            heard: now,
            pinged: false,
            stranger_until: Some(now + Duration::from_secs(auth.grace_secs)),
            drain_until: None,
            blocked: None,
        }
    }

    /// Something came from the peer.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.pinged = false;
    }

    /// The peer has proved who it is.
    pub(crate) fn known(&mut self) {
        self.stranger_until = None;
    }

    /// The daemon stops; the first call counts.
    pub(crate) fn draining(&mut self, until: Instant) {
        self.drain_until.get_or_insert(until);
    }

    /// Bytes went out, `written` in all; `blocked` if more wait that the socket does not take.
    pub(crate) fn wrote(&mut self, now: impl FnOnce() -> Instant, written: u64, blocked: bool) {
        self.blocked = match (blocked, self.blocked) {
            (false, _) => None,
            (true, Some((since, at))) if at == written => Some((since, at)),
            (true, Some(_)) => {
                // No frame is read from a client that is behind; that it takes bytes is its pulse.
                let now = now();
                self.heard(now);
                Some((now, written))
            }
            (true, None) => Some((now(), written)),
        };
    }

    fn silence(&self) -> Instant {
        self.heard + self.ping * if self.pinged { 2 } else { 1 }
    }

    fn stuck_at(&self) -> Option<Instant> {
        self.blocked.map(|(since, _)| since + self.stuck)
    }

    /// When to look again at the latest.
    pub(crate) fn next(&self) -> Instant {
        let others = [self.stranger_until, self.drain_until, self.stuck_at()];
        others.into_iter().flatten().fold(self.silence(), Instant::min)
    }

    /// What is due now. Each thing is said once.
    pub(crate) fn due(&mut self, now: Instant) -> Due {
        let passed = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if passed(self.stuck_at()) {
            return Due::Stuck;
        }
        if passed(self.stranger_until) {
            self.stranger_until = None;
            return Due::Stranger;
        }
        if passed(self.drain_until) {
            self.drain_until = Some(now + self.stuck);
            return Due::Drained;
        }
        match (self.silence() <= now, self.pinged) {
            (false, _) => Due::Nothing,
            (true, true) => Due::Silent,
            (true, false) => {
                self.pinged = true;
                Due::Ping
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timers(now: Instant) -> Timers {
        Timers::new(now, &TransportSettings::default(), &AuthSettings::default())
    }

    #[test]
    fn a_silent_peer_is_pinged_once_and_then_given_up() {
        let start = Instant::now();
        let second = |n| start + Duration::from_secs(n);
        let mut timers = timers(start);
        timers.known();
        assert_eq!((timers.next(), timers.due(second(29))), (second(30), Due::Nothing));
        assert_eq!(timers.due(second(30)), Due::Ping);
        assert_eq!((timers.next(), timers.due(second(59))), (second(60), Due::Nothing));
        timers.heard(second(59));
        assert_eq!(timers.due(second(60)), Due::Nothing);
        assert_eq!(timers.due(second(89)), Due::Ping);
        assert_eq!(timers.due(second(119)), Due::Silent);
    }

    #[test]
    fn a_peer_that_takes_a_little_is_not_stuck() {
        let start = Instant::now();
        let second = |n| start + Duration::from_secs(n);
        let mut timers = timers(start);
        timers.known();
        timers.wrote(|| second(0), 10, true);
        timers.wrote(|| second(20), 11, true);
        assert_eq!(timers.due(second(49)), Due::Nothing);
        assert_eq!(timers.due(second(50)), Due::Stuck);
        timers.wrote(|| second(50), 20, false);
        assert_eq!(timers.due(second(51)), Due::Ping, "silent, but no longer stuck");
    }

    #[test]
    fn a_stranger_has_a_time_and_so_has_the_end() {
        let start = Instant::now();
        let second = |n| start + Duration::from_secs(n);
        let mut timers = timers(start);
        assert_eq!(timers.due(second(30)), Due::Stranger);
        timers.draining(second(35));
        timers.draining(second(90));
        timers.heard(second(30));
        assert_eq!((timers.next(), timers.due(second(35))), (second(35), Due::Drained));
    }
}
