//! `a2a.peers.add`, `a2a.peers.list`, `a2a.peers.remove`.

use carport_a2a_outbound::Consent;
use carport_core::{Access, Caller, Method, Result, bounds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{A2a, Peer};

/// Adds a peer: an agent of others that may be called without further consent.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct AddPeer {
    /// Where it is: an https URL, or an http URL of a host that `a2a.allow` names.
    pub url: String,
    /// For people.
    #[serde(default)]
    #[schemars(length(min = 1, max = 128))]
    pub label: Option<String>,
    /// Whether a host that nobody allowed by name is meant.
    #[serde(default, rename = "allowUntrusted", alias = "allow_untrusted")]
    pub allow_untrusted: bool,
}

impl Method for AddPeer {
    const NAME: &'static str = "a2a.peers.add";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = A2a;
    type Reply = Peer;

    fn validate(&self) -> Result<()> {
        bounds::maybe_bytes("label", self.label.as_deref(), 1..=128)
    }

    async fn run(self, a2a: &A2a, _: &Caller) -> Result<Peer> {
        let target =
            a2a.outgoing.screen().register(&self.url, Consent::given(self.allow_untrusted))?;
        a2a.peers.add(&target, self.label).await
    }
}

/// Lists the peers.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListPeers {}

/// Peers.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PeerList {
    /// Sorted by slug.
    pub peers: Vec<Peer>,
}

impl Method for ListPeers {
    const NAME: &'static str = "a2a.peers.list";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = A2a;
    type Reply = PeerList;

    async fn run(self, a2a: &A2a, _: &Caller) -> Result<PeerList> {
        Ok(PeerList { peers: a2a.peers.list() })
    }
}

/// Forgets a peer.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct RemovePeer {
    /// Its short name.
    pub slug: String,
}

/// Whether it was there.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PeerRemoved {
    /// Whether there was such a peer.
    pub removed: bool,
}

impl Method for RemovePeer {
    const NAME: &'static str = "a2a.peers.remove";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = A2a;
    type Reply = PeerRemoved;

    async fn run(self, a2a: &A2a, _: &Caller) -> Result<PeerRemoved> {
        Ok(PeerRemoved { removed: a2a.peers.remove(&self.slug).await? })
    }
}
