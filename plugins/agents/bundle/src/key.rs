//! Keys that sign manifests: a private file with the base64 of 32 bytes.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::error::BundleError;

/// What may stand before the base64 of a public key.
pub(crate) const PREFIX: &str = "ed25519:";

/// An ed25519 key that signs. It shows nothing of itself when it is printed.
#[derive(Clone)]
pub struct SigningKey(pub(crate) ed25519_dalek::SigningKey);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SigningKey").field(&self.key_id()).finish()
    }
}

impl SigningKey {
    /// The key of these 32 bytes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(bytes))
    }

    /// A new key from the machine's random bytes, in a file of mode `0600` that did not exist.
    pub fn create(path: &Path) -> Result<Self, BundleError> {
        let failed = |source: io::Error| BundleError::Io { path: path.to_owned(), source };
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| failed(io::Error::other(error)))?;
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        let text = format!("{}\n", STANDARD.encode(bytes));
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        Ok(Self::from_bytes(&bytes))
    }

    /// Reads a key's file; one that others may open is refused.
    pub fn read(path: &Path) -> Result<Self, BundleError> {
        let failed = |source: io::Error| BundleError::Io { path: path.to_owned(), source };
        let mode = path.metadata().map_err(failed)?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(BundleError::Open { path: path.to_owned(), mode });
        }
        Self::from_text(&std::fs::read_to_string(path).map_err(failed)?)
    }

    /// Reads what a key's file holds.
    pub fn from_text(text: &str) -> Result<Self, BundleError> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| BundleError::NotAKey)?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| BundleError::NotAKey)?;
        Ok(Self::from_bytes(&bytes))
    }

    /// The public key as manifests name it: `ed25519:` and its base64.
    pub fn key_id(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(self.0.verifying_key().as_bytes()))
    }
}
