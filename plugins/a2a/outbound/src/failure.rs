//! Why an agent of others gave no answer, or one that is none.

use carport_a2a_types::Kind;
use carport_core::RpcError;
use serde_json::json;
use thiserror::Error;

use crate::screen::Refusal;

/// Characters of an agent's own words that are repeated.
const SHOWN: usize = 512;

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unmet {
    /// It may not be sent, now that it is known where it leads.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nobody is there.
    #[error("cannot be reached")]
    Unreachable,
    /// The answer broke off.
    #[error("broke the connection")]
    Broken,
    /// It took too long.
    #[error("did not answer in time")]
    Late,
    /// The answer has more bytes than it may.
    #[error("answers with more than {0} bytes")]
    Long(usize),
}

/// Why an agent did not answer as it should.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum Failure {
    /// It did not answer at all.
    #[error(transparent)]
    Unmet(#[from] Unmet),
    /// Its answer was an error.
    #[error("refused: {}", shown(.0))]
    Refused(RpcError),
    /// It has no card.
    #[error("has no card: give the whole URL that is posted to")]
    NoCard,
    /// Its card is none.
    #[error("has a card that does not read")]
    BadCard,
    /// Its card leads elsewhere, or nowhere.
    #[error("has a card without a JSON-RPC interface of its own origin")]
    Elsewhere,
    /// There is nothing where it was asked.
    #[error("answers nothing there")]
    NotThere,
    /// It answers with a redirect.
    #[error("redirects, which is not followed")]
    Redirect,
    /// It wants credentials, or others.
    #[error("does not let this request in")]
    Denied,
    /// Its answer is no JSON-RPC.
    #[error("answers with no JSON-RPC")]
    NoJsonRpc,
    /// A stream came where an answer was asked for.
    #[error("answers with a stream")]
    Stream,
    /// Its result is not what was asked for.
    #[error("answers with what A2A does not know")]
    Unknown,
    /// Its stream ended before it said anything.
    #[error("ends its stream before it says anything")]
    Silent,
    /// It names a task or a context by too much.
    #[error("names a task or its context by more than {0} bytes")]
    LongName(usize),
    /// It tells changes without end.
    #[error("tells more than {0} changes")]
    Endless(usize),
}

fn shown(error: &RpcError) -> String {
    error.message.chars().take(SHOWN).collect()
}

impl Failure {
    /// Whether the agent knows no such method, version or place, so that nothing was done.
    pub fn knows_no_such_thing(&self) -> bool {
        match self {
            Self::Refused(error) => [Kind::MethodNotFound, Kind::VersionNotSupported]
                .map(Kind::code)
                .contains(&error.code),
            failure => *failure == Self::NotThere,
        }
    }

    /// Whether the agent does not stream after all, or not here, where this came instead of a stream: then nothing
    /// was done, and asked otherwise it says what else is wrong.
    pub fn refuses_streams(&self) -> bool {
        let refused = |it: &RpcError| it.code == Kind::UnsupportedOperation.code();
        self.knows_no_such_thing() || matches!(self, Self::Refused(error) if refused(error))
    }

    /// Whether there is more of the answer than may be.
    pub const fn is_excess(&self) -> bool {
        matches!(self, Self::Unmet(Unmet::Long(_)) | Self::Endless(_))
    }

    /// Whether it is no more than one event that does not read; those after it may.
    pub const fn is_of_one_event(&self) -> bool {
        matches!(self, Self::NoJsonRpc | Self::Unknown | Self::LongName(_))
    }
}

impl From<Failure> for RpcError {
    fn from(failure: Failure) -> Self {
        let reason = match &failure {
            Failure::Unmet(Unmet::Refused(refusal)) => return refusal.clone().into(),
            Failure::Unmet(Unmet::Unreachable | Unmet::Broken) => "peer_unreachable",
            Failure::Unmet(Unmet::Late) => "peer_timeout",
            _ => "peer_error",
        };
        // Only where no connection came about it is sure that nothing was done.
        let is_retryable = failure == Failure::Unmet(Unmet::Unreachable);
        let told = Self::internal(format!("the peer {failure}"))
            .with("reason", reason)
            .with("retryable", is_retryable);
        match failure {
            Failure::Unmet(Unmet::Long(limit))
            | Failure::Endless(limit)
            | Failure::LongName(limit) => told.with("limit", limit),
            Failure::Refused(error) => told.with("peer", json!(error)),
            _ => told,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_never_reached_the_agent_may_be_sent_again() {
        for (unmet, reason, again) in [
            (Unmet::Unreachable, "peer_unreachable", true),
            (Unmet::Broken, "peer_unreachable", false),
            (Unmet::Late, "peer_timeout", false),
            (Unmet::Long(1), "peer_error", false),
        ] {
            let data = RpcError::from(Failure::Unmet(unmet)).data.unwrap();
            assert_eq!((&data["reason"], &data["retryable"]), (&json!(reason), &json!(again)));
        }
    }
}
