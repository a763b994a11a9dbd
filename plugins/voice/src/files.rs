//! Where clients may have the daemon read and write sound.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Component, Path, PathBuf},
    time::Duration,
};

use atomic_write_file::{AtomicWriteFile, unix::OpenOptionsExt as _};
use carport_core::{Result, RpcError, Time};
use rustix::fs::OFlags;
use uuid::{Builder, NoContext, Timestamp, Uuid, Version};

/// How long a file stays that the daemon named itself.
const LIFE: Duration = Duration::from_secs(3600);

/// The directory `voice/audio/`, and those that the operator opened.
pub(crate) struct Files {
    base: PathBuf,
    roots: Vec<PathBuf>,
}

/// A path that was judged: there is no link in it, and it lies where it may.
pub(crate) struct Place {
    field: String,
    path: PathBuf,
}

impl Files {
    pub(crate) fn new(base: PathBuf, roots: Vec<PathBuf>) -> Self {
        Self { base, roots }
    }

    /// Opens a file that is there.
    pub(crate) fn open(&self, field: &str, path: &str) -> Result<File> {
        let place = self.judge(field, path)?;
        match place.path.is_file() {
            true => place.open(),
            false => Err(refusal(field, "there is no such file")),
        }
    }

    /// A file that may be written; its directory is there.
    pub(crate) fn target(&self, field: &str, path: &str) -> Result<Place> {
        let place = self.judge(field, path)?;
        if place.path.is_dir() {
            return Err(refusal(field, "names a directory, not a file"));
        }
        match place.path.parent().is_some_and(Path::is_dir) {
            true => Ok(place),
            false => Err(refusal(field, "its directory is not there")),
        }
    }

    /// A new name that goes after an hour.
    pub(crate) fn fresh(&self, now: Time, ending: &str) -> Result<Place> {
        let base = self.base.canonicalize().map_err(RpcError::internal)?;
        let path = base.join(format!("{}.{ending}", own_name(now)));
        Ok(Place { field: "output_path".into(), path })
    }

    /// Deletes files that the daemon named itself more than an hour ago. One that cannot be deleted keeps
    /// no other.
    pub(crate) fn sweep(&self, now: Time) -> io::Result<()> {
        let mut failed = Ok(());
        for entry in std::fs::read_dir(&self.base)?.flatten() {
            let path = entry.path();
            let made = path.file_stem().and_then(|it| it.to_str()).and_then(made_at);
            let age = made.map(|made| now.timestamp_millis().saturating_sub(made));
            if age.is_some_and(|age| age >= LIFE.as_millis() as i64)
                && let Err(error) = std::fs::remove_file(&path)
            {
                failed = Err(error);
            }
        }
        failed
    }

    fn judge(&self, field: &str, path: &str) -> Result<Place> {
        let asked = Path::new(path);
        let plain = |part: Component<'_>| {
            matches!(part, Component::RootDir | Component::Normal(_) | Component::CurDir)
        };
        if path.is_empty() || path.contains('\0') || !asked.components().all(plain) {
            return Err(refusal(field, "must be a path without `..`"));
        }
        let (roots, why) = match asked.is_absolute() {
            true => (&self.roots[..], "lies in no directory of `voice.audio_roots`"),
            false => (std::slice::from_ref(&self.base), "must be a path under `voice/audio/`"),
        };
        // A relative path is the base's; `join` leaves an absolute one as it is.
        let real = real(&self.base.join(asked));
        let mut roots = roots.iter().filter_map(|root| root.canonicalize().ok());
        match real {
            Some(real) if roots.any(|root| real.starts_with(root)) => {
                Ok(Place { field: field.to_owned(), path: real })
            }
            _ => Err(refusal(field, why)),
        }
    }
}

/// The path without links. What does not exist yet follows the nearest ancestor that does; a link that
/// leads nowhere is no path.
fn real(path: &Path) -> Option<PathBuf> {
    let existing = path.ancestors().find(|it| it.symlink_metadata().is_ok())?;
    let rest = path.strip_prefix(existing).ok()?;
    let real = existing.canonicalize().ok()?;
    // Joining nothing would add a slash.
    Some(if rest.as_os_str().is_empty() { real } else { real.join(rest) })
}

impl Place {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file that was judged, and no other that was put in its place meanwhile.
    fn open(&self) -> Result<File> {
        let mut options = OpenOptions::new();
        // A pipe is not waited for.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let file = options.read(true).custom_flags(flags).open(&self.path);
        let file =
            file.map_err(|error| refusal(&self.field, &format!("cannot be read: {error}")))?;
        self.still(&self.path, file.metadata())?;
        Ok(file)
    }

    /// Writes a file whole, for this user only, in the place of one that is there.
    pub(crate) fn replace(&self, bytes: &[u8]) -> Result<()> {
        let failed = |error| RpcError::internal(format!("the sound could not be written: {error}"));
        let mut file = begin(&self.path).map_err(failed)?;
        let parent = self.path.parent().unwrap_or(&self.path);
        if let Some(directory) = file.directory() {
            let held = rustix::io::dup(directory).map(File::from).map_err(io::Error::from);
            self.still(parent, held.and_then(|it| it.metadata()))?;
        }
        file.write_all(bytes).and_then(|()| file.commit()).map_err(failed)
    }

    /// Whether what is held is still what the judged path leads to, without a link on the way.
    fn still(&self, path: &Path, held: io::Result<Metadata>) -> Result<()> {
        let same = || -> io::Result<bool> {
            let (held, there) = (held?, path.symlink_metadata()?);
            let is_one = (held.dev(), held.ino()) == (there.dev(), there.ino());
            Ok(is_one && path.canonicalize()? == path)
        };
        match same() {
            Ok(true) => Ok(()),
            _ => Err(refusal(&self.field, "changed while it was looked at")),
        }
    }
}

fn begin(path: &Path) -> io::Result<AtomicWriteFile> {
    let mut options = AtomicWriteFile::options();
    options.preserve_mode(false).mode(0o600);
    options.open(path)
}

/// Writes a file of the daemon's own whole, for this user only.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = begin(path)?;
    file.write_all(bytes)?;
    file.commit()
}

/// A name that only the daemon gives: a UUID of version 8 (RFC 9562, section 5.8) that begins, as one of
/// version 7 does, with the milliseconds of its making.
fn own_name(now: Time) -> Uuid {
    let secs = now.timestamp().try_into().unwrap_or_default();
    let at = Timestamp::from_unix(NoContext, secs, now.timestamp_subsec_nanos());
    let bytes = Uuid::new_v7(at).into_bytes();
    Builder::from_bytes(bytes).with_version(Version::Custom).into_uuid()
}

/// When the daemon gave this name, in milliseconds since 1970; `None` if a client did.
fn made_at(name: &str) -> Option<i64> {
    let id = Uuid::try_parse(name).ok().filter(|it| it.get_version() == Some(Version::Custom))?;
    i64::try_from(id.as_u128() >> 80).ok()
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
            assert!(files.open("p", good).is_ok(), "{good}");
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
            let error = files.open("p", bad).err().unwrap();
            assert_eq!(error.field(), Some("p"), "{bad}");
            assert!(error.message.contains("base64"), "{error}");
        }
        assert!(files.target("p", "new.wav").is_ok() && files.target("p", "no/new.wav").is_err());
        assert!(files.target("p", &absolute("link/new.wav")).is_err());
        assert!(files.target("p", ".").is_err());
    }

    fn later(secs: i64) -> Time {
        (chrono::DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(1_000_000 + secs)).into()
    }

    #[test]
    fn only_own_files_go_after_an_hour_of_the_clock_that_is_given() {
        let base = tempfile::tempdir().unwrap();
        let files = Files::new(base.path().to_owned(), Vec::new());
        let own = files.fresh(later(0), "wav").unwrap();
        own.replace(b"x").unwrap();
        let others = [format!("{}.wav", Uuid::now_v7()), "mine.wav".into()];
        others.iter().for_each(|it| std::fs::write(base.path().join(it), "x").unwrap());
        // It cannot be deleted as a file can, and is no reason to keep the others.
        std::fs::create_dir(files.fresh(later(0), "wav").unwrap().path()).unwrap();
        files.sweep(later(3599)).unwrap();
        assert!(own.path().exists());
        assert!(files.sweep(later(3600)).is_err());
        assert!(!own.path().exists());
        assert!(others.iter().all(|it| base.path().join(it).exists()));
    }

    #[test]
    fn a_link_that_is_put_in_later_leads_nowhere() {
        let (home, secret) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let base = home.path().join("audio");
        let inner = base.join("inner");
        std::fs::create_dir_all(&inner).unwrap();
        for directory in [&inner, secret.path()] {
            std::fs::write(directory.join("a.wav"), "x").unwrap();
        }
        let files = Files::new(base.clone(), Vec::new());
        let (source, target) =
            (files.judge("p", "inner/a.wav").unwrap(), files.target("p", "inner/b.wav").unwrap());
        assert!(source.open().is_ok());
        std::fs::rename(&inner, base.join("aside")).unwrap();
        std::os::unix::fs::symlink(secret.path(), &inner).unwrap();
        for refused in [source.open().err(), target.replace(b"x").err()] {
            assert_eq!(refused.unwrap().field(), Some("p"));
        }
        assert_eq!(std::fs::read_dir(secret.path()).unwrap().count(), 1, "nothing was left there");
    }
}
