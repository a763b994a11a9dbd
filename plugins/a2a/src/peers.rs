//! Peers that are known: agents of others that may be called without further consent.

use std::{
    fs, io,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use atomic_write_file::{AtomicWriteFile, unix::OpenOptionsExt as _};
use carport_a2a_outbound::{Target, slug};
use carport_core::{Guarded, Result, RpcError, blocking_io};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

/// Peers that are kept.
const MAX_PEERS: usize = 256;

/// A peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Peer {
    /// Its short name.
    pub slug: String,
    /// Where it is, in one spelling.
    pub url: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// The peers, and their file if there is a state root.
pub(crate) struct Peers {
    file: Option<Arc<PathBuf>>,
    known: Guarded<Vec<Peer>>,
    /// Held while the file is written: there is one writer, and what it wrote counts.
    writing: Mutex<()>,
}

fn read(file: &Path) -> io::Result<Vec<Peer>> {
    match fs::read(file) {
        Ok(text) => Ok(serde_json::from_slice(&text)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn write(file: &Path, peers: &[Peer]) -> io::Result<()> {
    let mut options = AtomicWriteFile::options();
    options.preserve_mode(false).mode(0o600);
    let mut file = options.open(file)?;
    file.write_all(&serde_json::to_vec_pretty(peers)?)?;
    file.commit()
}

impl Peers {
    /// Reads the peers of `directory`, if there is one.
    ///
    /// # Errors
    /// Internal: the file does not read. It is left as it is.
    pub(crate) async fn open(directory: Option<PathBuf>) -> Result<Self> {
        let file = directory.map(|it| Arc::new(it.join("peers.json")));
        let known = match file.clone() {
            None => Vec::new(),
            Some(file) => {
                let wrong = format!("{}", file.display());
                let read = blocking_io(move || read(&file)).await;
                read.map_err(|error| RpcError::internal(format!("{wrong}: {error}")))?
            }
        };
        Ok(Self { file, known: Guarded::new(known), writing: Mutex::default() })
    }

    /// Writes the peers down, and then counts on them.
    async fn keep(&self, next: Vec<Peer>) -> Result<()> {
        if let Some(file) = self.file.clone() {
            let peers = next.clone();
            let written = blocking_io(move || write(&file, &peers)).await;
            written.map_err(|error| {
                RpcError::internal(format!("the peers could not be kept: {error}"))
            })?;
        }
        *self.known.lock() = next;
        Ok(())
    }

    /// Adds a peer.
    ///
    /// # Errors
    /// Conflict: its URL is there. Limit: 256 peers.
    pub(crate) async fn add(&self, target: &Target, label: Option<String>) -> Result<Peer> {
        let _writing = self.writing.lock().await;
        let known = self.list();
        let url = target.canonical();
        if let Some(peer) = known.iter().find(|it| it.url == url) {
            return Err(RpcError::conflict(format!("`{url}` is the peer `{}`", peer.slug)));
        }
        if known.len() >= MAX_PEERS {
            return Err(RpcError::limit("peers", MAX_PEERS as u64));
        }
        let slug = slug(target, |name| known.iter().any(|it| it.slug == name));
        let peer = Peer { slug, url, label };
        let mut next = known;
        next.push(peer.clone());
        next.sort_by(|a, b| a.slug.cmp(&b.slug));
        self.keep(next).await?;
        Ok(peer)
    }

    /// Every peer, by slug.
    pub(crate) fn list(&self) -> Vec<Peer> {
        self.known.lock().clone()
    }

    /// Forgets a peer; `false` if there is none of that name.
    pub(crate) async fn remove(&self, slug: &str) -> Result<bool> {
        let _writing = self.writing.lock().await;
        let mut next = self.list();
        let before = next.len();
        next.retain(|it| it.slug != slug);
        if next.len() == before {
            return Ok(false);
        }
        self.keep(next).await?;
        Ok(true)
    }

    /// Whether the host of a target is that of a peer.
    pub(crate) fn know(&self, target: &Target) -> bool {
        let of_peer = |peer: &Peer| Target::parse(&peer.url).is_ok_and(|it| it.same_origin(target));
        self.known.lock().iter().any(of_peer)
    }
}
