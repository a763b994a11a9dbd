//! Which directories services may announce themselves in.

use std::{
    fmt::Display,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use carport_core::{Result, RpcError, make_private_dir, resolve_under};
use tokio::sync::Mutex;

use super::Directory;
use crate::config::{Config, ForeignPaths};

/// Where services may announce themselves.
#[derive(Debug)]
pub(crate) struct Places {
    base: PathBuf,
    listed: Vec<PathBuf>,
    foreign: ForeignPaths,
    /// Held by whoever changes an entry: each reads before it writes.
    pub(crate) writer: Arc<Mutex<()>>,
}

impl Places {
    /// Directories below `base`, and those that the operator lets in.
    pub(crate) fn new(base: PathBuf, config: &Config) -> Result<Self> {
        let listed: Vec<_> = config.registry_paths.iter().map(PathBuf::from).collect();
        match listed.iter().find(|path| !is_plain(path)) {
            None => {
                let foreign = config.registry_foreign_paths;
                Ok(Self { base, listed, foreign, writer: Arc::default() })
            }
            Some(path) => {
                let why = "must be an absolute path without `..`";
                let path = path.display();
                Err(RpcError::internal(format!("`agents.registry_paths`: `{path}` {why}")))
            }
        }
    }

    /// The usual directory, one below it, or a foreign one that is let in. It need not be there yet.
    pub(crate) fn directory(&self, path: Option<&str>) -> Result<Directory> {
        make_private_dir(&self.base).map_err(RpcError::internal)?;
        let Some(path) = path else {
            return Ok(Directory { path: self.base.clone(), below: None });
        };
        let (path, below) = match Path::new(path).is_absolute() {
            true => (self.foreign(Path::new(path))?, None),
            false => (self.below(path)?, Some(self.base.clone())),
        };
        match path.metadata() {
            Ok(found) if !found.is_dir() => Err(refused("is no directory")),
            _ => Ok(Directory { path, below }),
        }
    }

    fn below(&self, path: &str) -> Result<PathBuf> {
        let is_entry = |part: Component<'_>| part.as_os_str().as_bytes().ends_with(b".json");
        if Path::new(path).components().any(is_entry) {
            return Err(refused("no part may end in `.json`, as entries do"));
        }
        resolve_under(&self.base, "registry_path", path)
    }

    fn foreign(&self, path: &Path) -> Result<PathBuf> {
        if self.listed.iter().any(|it| it == path) {
            return Ok(path.to_owned());
        }
        if self.foreign == ForeignPaths::Listed {
            return Err(refused(
                "must be relative, or listed in `agents.registry_paths`, unless \
                 `agents.registry_foreign_paths` is `entries_only`",
            ));
        }
        if !is_plain(path) {
            return Err(refused("must not contain `..` or a NUL"));
        }
        // Without a slash at its end, by which a link would be followed.
        let path: PathBuf = path.components().collect();
        if path.is_symlink() {
            return Err(refused("must not be a symbolic link"));
        }
        match (Directory { path: path.clone(), below: None }).holds_entries_alone() {
            Ok(true) => Ok(path),
            Ok(false) => Err(refused("has `.json` files that are no entries")),
            Err(error) => Err(refused(format!("is no directory: {error}"))),
        }
    }
}

pub(super) fn refused(why: impl Display) -> RpcError {
    RpcError::invalid_params("registry_path", why)
}

/// An absolute path without detours.
fn is_plain(path: &Path) -> bool {
    let detour = |part| part == Component::ParentDir;
    path.is_absolute()
        && !path.components().any(detour)
        && !path.as_os_str().as_bytes().contains(&0)
}
