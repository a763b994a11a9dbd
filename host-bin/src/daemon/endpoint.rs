//! `run/endpoint.json`: where the daemon of a state root listens, for whoever looks for it.

use std::{fs, io, path::PathBuf};

use carport_core::Time;
use serde::{Deserialize, Serialize};

use super::{private_file, root::StateRoot};
use crate::exit::Exit;

/// Where a daemon listens. One that was killed leaves its endpoint behind, so a reader that finds
/// nobody there believes the socket and not the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    /// `ws://127.0.0.1:PORT`.
    pub(crate) url: String,
    /// The Unix socket, unless it is switched off.
    pub(crate) socket: Option<PathBuf>,
    /// The daemon's process.
    pub(crate) pid: u32,
    /// When it began to listen.
    pub(crate) started_at: Time,
}

impl Endpoint {
    /// The endpoint of the daemon that runs on this root, or of the last one that was killed there.
    pub(crate) fn read(root: &StateRoot) -> Result<Option<Self>, Exit> {
        let path = root.endpoint();
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|error| Exit::failed(format!("{}: {error}", path.display())))?,
        };
        serde_json::from_str(&text).map(Some).map_err(|error| {
            let path = path.display();
            Exit::failed(format!("{path} is damaged ({error}): remove it and restart the daemon"))
        })
    }

    /// Says where this daemon listens.
    pub(crate) fn write(&self, root: &StateRoot) -> Result<(), Exit> {
        let path = root.endpoint();
        let text = serde_json::to_string(self).map_err(Exit::failed)?;
        private_file::write(&path, &format!("{text}\n"))
            .map_err(|error| Exit::failed(format!("{}: {error}", path.display())))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn an_endpoint_reads_back_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let root = StateRoot::resolve(Some(dir.path())).unwrap();
        assert_eq!(Endpoint::read(&root).unwrap(), None);
        root.prepare().unwrap();
        let endpoint = Endpoint {
            url: "ws://127.0.0.1:9170".into(),
            socket: Some(Path::new("/x/carport.sock").into()),
            pid: 7,
            started_at: Time::default(),
        };
        endpoint.write(&root).unwrap();
        assert_eq!(Endpoint::read(&root).unwrap(), Some(endpoint));
        fs::write(root.endpoint(), "{").unwrap();
        let exit = Endpoint::read(&root).unwrap_err();
        assert!(exit.message.contains("damaged"), "{}", exit.message);
    }
}
