//! TLS of a listener: a certificate and its key, read from files and read again when these change.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
    sync::Arc,
};

use carport_core::{Guarded, Result, RpcError, blocking_io};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        Error, ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use crate::TlsFiles;

/// Bytes of a file; a chain of certificates has a few thousand.
const MAX_BYTES: u64 = 1024 * 1024;
/// Permissions that a key's file may not give: its group may read it, and nobody else but its owner.
const FOREIGN: u32 = 0o027;

/// What one connection after the other is greeted with.
#[derive(Debug)]
pub(super) struct Tls {
    files: TlsFiles,
    loaded: Guarded<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    config: Arc<ServerConfig>,
    /// The files as they were last tried; `None`: one of them was not there.
    tried: Option<[Stamp; 2]>,
}

/// A state of a file: its device and number, and when anything of it changed.
type Stamp = [i64; 4];

impl Tls {
    /// # Errors
    /// Internal: a file cannot be read or used. It names the key of the configuration, the file and the
    /// remedy.
    pub(super) async fn load(files: &TlsFiles) -> Result<Self> {
        let loaded = Guarded::new(read_both(files.clone()).await?);
        Ok(Self { files: files.clone(), loaded })
    }

    /// What the next connection is greeted with.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.loaded.lock().config.clone())
    }

    /// Reads the files again if they changed. While they cannot be used, which may be because one of
    /// them is not replaced yet, the ones before are.
    pub(super) async fn refresh(&self) {
        let files = self.files.clone();
        let stamps = blocking_io(move || Ok([stamp(&files.cert)?, stamp(&files.key)?])).await.ok();
        if stamps == self.loaded.lock().tried {
            return;
        }
        match read_both(self.files.clone()).await {
            Ok(loaded) => {
                *self.loaded.lock() = loaded;
                tracing::info!(cert = %self.files.cert.display(), "A2A has a new certificate");
            }
            Err(error) => {
                self.loaded.lock().tried = stamps;
                tracing::warn!(%error, "A2A keeps its old certificate");
            }
        }
    }
}

fn stamp_of(file: &std::fs::Metadata) -> Stamp {
    let [device, number] = [file.dev(), file.ino()].map(u64::cast_signed);
    [device, number, file.ctime(), file.ctime_nsec()]
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    Ok(stamp_of(&std::fs::metadata(path)?))
}

async fn read_both(files: TlsFiles) -> Result<Loaded> {
    let read = blocking_io(move || Ok(load(&files))).await;
    read.map_err(RpcError::internal)?
}

fn wrong(which: &str, path: &Path, why: impl std::fmt::Display) -> RpcError {
    RpcError::internal(format!("`a2a.tls.{which}` ({}) {why}", path.display()))
}

fn load(files: &TlsFiles) -> Result<Loaded> {
    let TlsFiles { cert, key } = files;
    let (chain, of_cert) = read("cert", cert, 0)?;
    let (secret, of_key) = read("key", key, FOREIGN)?;
    let chain: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
    let chain = chain.ok().filter(|it| !it.is_empty());
    let chain = chain.ok_or_else(|| {
        wrong(
            "cert",
            cert,
            "holds no certificate: write it in PEM, those of its authorities after it",
        )
    })?;
    let secret = PrivateKeyDer::from_pem_slice(&secret);
    let secret = secret.map_err(|_| {
        wrong("key", key, "holds no private key: write it in PEM and without a passphrase")
    })?;
    let unusable = |error| match error {
        Error::InvalidCertificate(_) => {
            wrong("cert", cert, "holds something else than an X.509 certificate")
        }
        Error::InconsistentKeys(_) => {
            let why = "is not the key of the first certificate in";
            wrong(
                "key",
                key,
                format!("{why} {}: name the two that belong together", cert.display()),
            )
        }
        _ => wrong("key", key, "is of no kind that is known: make an ECDSA, Ed25519 or RSA key"),
    };
    // Named, as no process-wide one is set: it is the one that calls to others use.
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(RpcError::internal)?.with_no_client_auth();
    let mut config = builder.with_single_cert(chain, secret).map_err(unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Loaded { config: Arc::new(config), tried: Some([of_cert, of_key]) })
}

/// Reads a file that gives none of the permissions in `foreign`.
fn read(which: &str, path: &Path, foreign: u32) -> Result<(Vec<u8>, Stamp)> {
    if !path.is_absolute() {
        return Err(wrong(which, path, "must be an absolute path"));
    }
    let unread = |error| wrong(which, path, format!("cannot be read: {error}"));
    // Seen before it is opened, which a pipe would hold up.
    if !std::fs::metadata(path).map_err(unread)?.is_file() {
        return Err(wrong(which, path, "is no file"));
    }
    let file = File::open(path).map_err(unread)?;
    let facts = file.metadata().map_err(unread)?;
    if facts.mode() & foreign != 0 {
        let mode = facts.mode() & 0o777;
        let why = format!("may be read or changed by others (mode {mode:o}): `chmod 600` it");
        return Err(wrong(which, path, why));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unread)?;
    match bytes.len() as u64 > MAX_BYTES {
        true => Err(wrong(which, path, format!("has more than {MAX_BYTES} bytes"))),
        false => Ok((bytes, stamp_of(&facts))),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

    use super::*;

    fn put(path: &Path, text: &str, mode: u32) {
        // A new file in the place of the old one, as whoever renews certificates does.
        let new = path.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(mode)).unwrap();
        fs::rename(new, path).unwrap();
    }

    const LEAF: [&str; 2] = [
        include_str!("../../tests/a2a/certificates/leaf.pem"),
        include_str!("../../tests/a2a/certificates/leaf.key"),
    ];
    const LATER: [&str; 2] = [
        include_str!("../../tests/a2a/certificates/later.pem"),
        include_str!("../../tests/a2a/certificates/later.key"),
    ];

    fn files(directory: &Path) -> TlsFiles {
        let files = TlsFiles { cert: directory.join("cert.pem"), key: directory.join("key.pem") };
        put(&files.cert, LEAF[0], 0o644);
        put(&files.key, LEAF[1], 0o600);
        files
    }

    #[test]
    fn what_is_wrong_is_told_with_the_file_and_the_remedy() {
        let directory = tempfile::tempdir().unwrap();
        let good = files(directory.path());
        assert!(load(&good).is_ok());
        put(&good.key, LEAF[1], 0o640);
        assert!(load(&good).is_ok(), "a group may read it");
        let block = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let bad_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let long = "x".repeat(MAX_BYTES as usize + 1);
        for (cert, key, mode, which, says) in [
            ("", LEAF[1], 0o600, "cert", "holds no certificate"),
            (LEAF[1], LEAF[1], 0o600, "cert", "holds no certificate"),
            (block, LEAF[1], 0o600, "cert", "X.509"),
            (&long, LEAF[1], 0o600, "cert", "bytes"),
            (LEAF[0], "", 0o600, "key", "passphrase"),
            (LEAF[0], LEAF[0], 0o600, "key", "passphrase"),
            (LEAF[0], bad_key, 0o600, "key", "of no kind"),
            (LEAF[0], LATER[1], 0o600, "key", "belong together"),
            (LEAF[0], LEAF[1], 0o644, "key", "chmod 600"),
            (LEAF[0], LEAF[1], 0o620, "key", "chmod 600"),
        ] {
            put(&good.cert, cert, 0o644);
            put(&good.key, key, mode);
            let told = load(&good).unwrap_err().message;
            let path = if which == "cert" { &good.cert } else { &good.key };
            let begins = format!("`a2a.tls.{which}` ({})", path.display());
            assert!(told.starts_with(&begins) && told.contains(says), "{told}");
        }
        let absent = directory.path().join("absent");
        for cert in [absent, PathBuf::from("cert.pem"), directory.path().to_owned()] {
            let told = load(&TlsFiles { cert: cert.clone(), ..good.clone() }).unwrap_err().message;
            assert!(told.contains(&format!("{}", cert.display())), "{told}");
        }
    }

    #[tokio::test]
    async fn changed_files_are_served_once_they_belong_together() {
        let directory = tempfile::tempdir().unwrap();
        let files = files(directory.path());
        let tls = Tls::load(&files).await.unwrap();
        let served = || tls.loaded.lock().config.clone();
        let first = served();
        tls.refresh().await;
        assert!(Arc::ptr_eq(&first, &served()), "nothing changed");
        put(&files.cert, LATER[0], 0o644);
        tls.refresh().await;
        assert!(Arc::ptr_eq(&first, &served()), "the key is still the old one");
        let tried = tls.loaded.lock().tried;
        assert_eq!(
            tried.map(|it| it[0]),
            Some(stamp(&files.cert).unwrap()),
            "it is not tried again"
        );
        put(&files.key, LATER[1], 0o600);
        tls.refresh().await;
        let second = served();
        assert!(!Arc::ptr_eq(&first, &second));
        fs::remove_file(&files.cert).unwrap();
        tls.refresh().await;
        assert!(Arc::ptr_eq(&second, &served()), "a certificate that is gone is not forgotten");
    }
}
