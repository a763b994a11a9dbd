//! Where clients may have the daemon read and write sound.

use std::{
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Component, Path, PathBuf},
    time::{Duration, SystemTime},
};

use atomic_write_file::{AtomicWriteFile, unix::OpenOptionsExt as _};
use carport_core::{Result, RpcError, resolve_under};
use uuid::Uuid;

/// How long a file stays that the daemon named itself.
const LIFE: Duration = Duration::from_secs(3600);

/// The directory `voice/audio/`, and those that the operator opened.
pub(crate) struct Files {
    base: PathBuf,
    roots: Vec<PathBuf>,
}

impl Files {
    pub(crate) fn new(base: PathBuf, roots: Vec<PathBuf>) -> Self {
        Self { base, roots }
    }

    /// A file that is there.
    pub(crate) fn existing(&self, field: &str, path: &str) -> Result<PathBuf> {
        let full = self.resolve(field, path)?;
        match full.is_file() {
            true => Ok(full),
            false => Err(refusal(field, "there is no such file")),
        }
    }

    /// A file that may be written; its directory is there.
    pub(crate) fn target(&self, field: &str, path: &str) -> Result<PathBuf> {
        let full = self.resolve(field, path)?;
        if full.is_dir() || full.file_name().is_none() {
            return Err(refusal(field, "names a directory, not a file"));
        }
        match full.parent().is_some_and(Path::is_dir) {
            true => Ok(full),
            false => Err(refusal(field, "its directory is not there")),
        }
    }

    /// A new name that goes after an hour.
    pub(crate) fn fresh(&self, ending: &str) -> PathBuf {
        self.base.join(format!("{}.{ending}", Uuid::now_v7()))
    }

    /// Deletes files that the daemon named itself and that are older than an hour.
    pub(crate) fn sweep(&self, now: SystemTime) -> std::io::Result<()> {
        for entry in std::fs::read_dir(&self.base)?.flatten() {
            let path = entry.path();
            let stem = path.file_stem().and_then(|it| it.to_str());
            let is_ours = stem.is_some_and(|it| Uuid::try_parse(it).is_ok());
            let made = entry.metadata().and_then(|facts| facts.modified());
            let is_old = made.is_ok_and(|made| now.duration_since(made).is_ok_and(|it| it >= LIFE));
            if is_ours && is_old {
                std::fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    fn resolve(&self, field: &str, path: &str) -> Result<PathBuf> {
        if !Path::new(path).is_absolute() {
            let under = resolve_under(&self.base, field, path);
            return under.map_err(|error| match error.field() {
                Some(_) => refusal(field, "must be a path under `voice/audio/` without `..`"),
                None => error,
            });
        }
        let asked = Path::new(path);
        let plain = |part: Component<'_>| {
            matches!(part, Component::RootDir | Component::Normal(_) | Component::CurDir)
        };
        if path.contains('\0') || !asked.components().all(plain) {
            return Err(refusal(field, "must have no `..`"));
        }
        // What does not exist yet is judged by the nearest ancestor that does.
        let existing = asked.ancestors().find(|it| it.symlink_metadata().is_ok());
        let real = existing.and_then(|it| it.canonicalize().ok());
        let roots = self.roots.iter().filter_map(|root| root.canonicalize().ok());
        match real {
            Some(real) if roots.into_iter().any(|root| real.starts_with(root)) => {
                Ok(asked.to_owned())
            }
            _ => Err(refusal(field, "lies in no directory of `voice.audio_roots`")),
        }
    }
}

/// Writes a file whole, for this user only, in the place of one that is there.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = AtomicWriteFile::options();
    options.preserve_mode(false).mode(0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.commit()
}

fn refusal(field: &str, why: &str) -> RpcError {
    RpcError::invalid_params(field, format!("{why}; sound may also be sent as base64"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_under_their_directories() {
        let (home, open) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let base = home.path().join("audio");
        std::fs::create_dir(&base).unwrap();
        std::fs::write(base.join("a.wav"), "x").unwrap();
        std::fs::write(open.path().join("b.wav"), "x").unwrap();
        std::fs::write(home.path().join("secret.wav"), "x").unwrap();
        std::os::unix::fs::symlink(home.path(), open.path().join("link")).unwrap();
        let files = Files::new(base, vec![open.path().to_owned()]);
        let absolute = |name: &str| open.path().join(name).to_str().unwrap().to_owned();
        for good in ["a.wav", "./a.wav", &absolute("b.wav")] {
            assert!(files.existing("p", good).is_ok(), "{good}");
        }
        let home = home.path().join("secret.wav").to_str().unwrap().to_owned();
        for bad in [
            "../secret.wav",
            "none.wav",
            "",
            &home,
            &absolute("link/secret.wav"),
            &absolute("../x"),
        ] {
            let error = files.existing("p", bad).unwrap_err();
            assert_eq!(error.field(), Some("p"), "{bad}");
            assert!(error.message.contains("base64"), "{error}");
        }
        assert!(files.target("p", "new.wav").is_ok() && files.target("p", "no/new.wav").is_err());
        assert!(files.target("p", &absolute("link/new.wav")).is_err());
        assert!(files.target("p", ".").is_err());
    }

    #[test]
    fn only_own_files_go_after_an_hour() {
        let base = tempfile::tempdir().unwrap();
        let files = Files::new(base.path().to_owned(), Vec::new());
        let (own, others) = (files.fresh("wav"), base.path().join("mine.wav"));
        std::fs::write(&own, "x").unwrap();
        std::fs::write(&others, "x").unwrap();
        files.sweep(SystemTime::now() + Duration::from_secs(3500)).unwrap();
        assert!(own.exists());
        files.sweep(SystemTime::now() + Duration::from_secs(3700)).unwrap();
        assert!(!own.exists() && others.exists());
    }
}
