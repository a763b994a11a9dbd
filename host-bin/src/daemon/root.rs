//! The state root: which directory it is, and where in it each file of the daemon lies.

use std::{
    env,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use carport_core::{bounds, encode_name, make_private_dir};

use super::private_file::{self, Directory};
use crate::exit::Exit;

/// What others may do to a directory if they may change what is in it.
const WRITABLE: u32 = 0o022;

/// The one directory that everything on disk lives under. It may not exist yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StateRoot(PathBuf);

impl StateRoot {
    /// The root that the command line names, else CARPORT_HOME, else CAR_HOME, else `~/.carport`. A
    /// relative one is refused: it would be another directory for every command.
    pub(crate) fn resolve(flag: Option<&Path>) -> Result<Self, Exit> {
        Self::choose(flag, |variable| env::var_os(variable), env::home_dir())
    }

    fn choose(
        flag: Option<&Path>,
        variable: impl Fn(&str) -> Option<OsString>,
        home: Option<PathBuf>,
    ) -> Result<Self, Exit> {
        if let Some(path) = flag {
            return Self::absolute(path, "--state-root");
        }
        for name in ["CARPORT_HOME", "CAR_HOME"] {
            if let Some(path) = variable(name).filter(|it| !it.is_empty()) {
                return Self::absolute(Path::new(&path), name);
            }
        }
        match home.filter(|home| home.is_absolute()) {
            Some(home) => Ok(Self(home.join(".carport"))),
            None => Err(Exit::usage(
                "this user has no home directory: name a state root with --state-root DIR or \
                 CARPORT_HOME",
            )),
        }
    }

    fn absolute(path: &Path, from: &str) -> Result<Self, Exit> {
        if path.is_absolute() {
            return Ok(Self(path.to_owned()));
        }
        let path = path.display();
        let why = "the state root must be an absolute path: write it in full";
        Err(Exit::usage(format!("{from}: `{path}` is relative, and {why}")))
    }

    /// Makes the root and `run/` with mode 0700 where they are missing, and closes them to others
    /// where they are open. A root that others may have written to is refused, and so is a `run/`
    /// that is a link or another user's, for it holds secrets.
    pub(crate) fn prepare(&self) -> Result<(), Exit> {
        let root = self.0.display();
        let cannot = |error: io::Error| {
            let remedy = "make it a directory that this user may write to, or name another with \
                          --state-root DIR";
            Exit::usage(format!("state root {root}: {error}; {remedy}"))
        };
        if self.0.metadata().is_ok_and(|found| !found.is_dir()) {
            return Err(cannot(io::ErrorKind::NotADirectory.into()));
        }
        make_private_dir(&self.0).map_err(cannot)?;
        match Directory::at(&self.0).map_err(cannot)? {
            Directory::Shared => secure(&self.0)?,
            Directory::Open(bits) => self.close(bits & WRITABLE != 0).map_err(cannot)?,
            _ => {}
        }
        tempfile::Builder::new().prefix(".probe").tempfile_in(&self.0).map_err(cannot)?;
        secure(&self.run_dir())?;
        secure(&self.agents_dir())
    }

    /// Closes a root that is open to others. Whoever keeps other things in it may want them read, so
    /// then it stays as it is; `run/` is closed in any case.
    fn close(&self, writable: bool) -> io::Result<()> {
        let empty = fs::read_dir(&self.0)?.next().is_none();
        match writable {
            true if !empty => {
                Err(io::Error::other("others may write there; if all in it is yours, chmod 700 it"))
            }
            false if !empty && !self.run_dir().exists() => Ok(()),
            _ => private_file::close_to_others(&self.0),
        }
    }

    /// The root itself.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// What a running daemon keeps: its socket, lock, tokens and endpoint.
    pub(crate) fn run_dir(&self) -> PathBuf {
        self.0.join("run")
    }

    /// The Unix socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.run_dir().join("carport.sock")
    }

    /// The daemon token.
    pub(crate) fn auth_token(&self) -> PathBuf {
        self.run_dir().join("auth-token")
    }

    /// The host token.
    pub(crate) fn host_token(&self) -> PathBuf {
        self.run_dir().join("host-token")
    }

    /// The directory of agents' tokens, which outlive the daemon.
    pub(crate) fn agents_dir(&self) -> PathBuf {
        self.run_dir().join("agents")
    }

    /// The token of one agent. An id that could not be an agent's is refused, so that this is always
    /// a file of [`Self::agents_dir`].
    pub(crate) fn agent_token(&self, id: &str) -> Result<PathBuf, Exit> {
        bounds::agent_id("agent id", id).map_err(|error| Exit::usage(error.message))?;
        let name = encode_name("agent id", id).map_err(|error| Exit::usage(error.message))?;
        Ok(self.agents_dir().join(format!("{name}.token")))
    }

    /// Where a running daemon says where it listens.
    pub(crate) fn endpoint(&self) -> PathBuf {
        self.run_dir().join("endpoint.json")
    }

    /// Held by the daemon of this root for as long as it lives.
    pub(crate) fn lock(&self) -> PathBuf {
        self.run_dir().join("daemon.lock")
    }

    /// The configuration, if the operator wrote one.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.0.join("config.toml")
    }
}

/// Makes `directory` private, or says why it cannot be trusted with secrets.
pub(crate) fn secure(directory: &Path) -> Result<(), Exit> {
    let shown = directory.display();
    let io = |error: io::Error| Exit::usage(format!("{shown}: {error}"));
    match Directory::at(directory).map_err(io)? {
        Directory::Private => Ok(()),
        Directory::Missing => make_private_dir(directory).map_err(io),
        Directory::Open(bits) => {
            tracing::warn!("{shown} was open to others ({bits:03o}) and is closed now (700)");
            private_file::close_to_others(directory).map_err(io)
        }
        Directory::Link => {
            let target = fs::read_link(directory).map_err(io)?;
            let target = target.display();
            Err(Exit::usage(format!(
                "{shown} is a symbolic link to {target}, and secrets do not follow links: remove it"
            )))
        }
        Directory::Other => Err(Exit::usage(format!("{shown} is not a directory: remove it"))),
        Directory::Shared => {
            let remedy = "name a directory of your own with --state-root DIR";
            Err(Exit::usage(format!("{shown} is shared by all users: {remedy}")))
        }
        Directory::Foreign(uid) => Err(Exit::usage(format!(
            "{shown} belongs to user {uid}: run as that user, or name another state root with \
             --state-root DIR"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;
    use crate::exit::Code;

    fn choose(flag: Option<&str>, environment: &[(&str, &str)]) -> Result<String, String> {
        let of = |name: &str| {
            environment.iter().find(|(it, _)| *it == name).map(|(_, value)| value.into())
        };
        StateRoot::choose(flag.map(Path::new), of, Some("/home/ada".into()))
            .map(|root| root.0.display().to_string())
            .map_err(|exit| exit.message)
    }

    #[test]
    fn the_flag_comes_before_carport_home_before_car_home_before_the_home_directory() {
        let both = [("CARPORT_HOME", "/a"), ("CAR_HOME", "/b")];
        assert_eq!(choose(Some("/c"), &both).unwrap(), "/c");
        assert_eq!(choose(None, &both).unwrap(), "/a");
        assert_eq!(choose(None, &both[1..]).unwrap(), "/b");
        assert_eq!(choose(None, &[("CARPORT_HOME", "")]).unwrap(), "/home/ada/.carport");
        assert!(StateRoot::choose(None, |_| None, None).is_err());
    }

    #[test]
    fn a_relative_root_is_refused_and_the_message_says_where_it_came_from() {
        for (flag, environment, from) in [
            (Some("state"), &[][..], "--state-root: `state` is relative"),
            (None, &[("CARPORT_HOME", "~/x")][..], "CARPORT_HOME: `~/x` is relative"),
            (None, &[("CAR_HOME", "./x")][..], "CAR_HOME: `./x` is relative"),
        ] {
            let message = choose(flag, environment).unwrap_err();
            assert!(message.starts_with(from), "{message}");
            assert!(message.ends_with("write it in full"), "{message}");
        }
    }

    #[test]
    fn a_root_that_cannot_be_used_is_refused_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let shared = dir.path().join("shared");
        fs::create_dir(&shared).unwrap();
        fs::write(shared.join("config.toml"), "").unwrap();
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
        for bad in [file.clone(), file.join("root"), shared.clone()] {
            let exit = StateRoot(bad).prepare().unwrap_err();
            assert_eq!(exit.code, Code::Usage);
            assert!(exit.message.contains("--state-root DIR"), "{}", exit.message);
        }
        assert_eq!(fs::read_dir(shared).unwrap().count(), 1);
    }

    #[test]
    fn directories_are_private_and_an_open_one_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let root = StateRoot(dir.path().join("deep/root"));
        root.prepare().unwrap();
        for (path, mode) in [(root.run_dir(), 0o777), (root.0.clone(), 0o755)] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        root.prepare().unwrap();
        for path in [root.0.clone(), root.run_dir(), root.agents_dir()] {
            assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o700, "{}", path.display());
        }
        let left: Vec<_> =
            fs::read_dir(&root.0).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert_eq!(left, ["run"]);
    }

    #[test]
    fn a_new_directory_becomes_private_and_one_with_other_things_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let new = dir.path().join("new");
        fs::create_dir(&new).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o775)).unwrap();
        StateRoot(new.clone()).prepare().unwrap();
        assert_eq!(new.metadata().unwrap().mode() & 0o777, 0o700);
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        StateRoot(dir.path().into()).prepare().unwrap();
        assert_eq!(dir.path().metadata().unwrap().mode() & 0o777, 0o755);
    }

    #[test]
    fn a_run_directory_that_is_a_link_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let root = StateRoot(dir.path().to_owned());
        let elsewhere = tempfile::tempdir().unwrap();
        symlink(elsewhere.path(), root.run_dir()).unwrap();
        let exit = root.prepare().unwrap_err();
        assert!(exit.message.contains("symbolic link"), "{}", exit.message);
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_agents_token_never_leaves_its_directory() {
        let root = StateRoot("/root".into());
        let path = root.agent_token("builder.1").unwrap();
        assert_eq!(path, Path::new("/root/run/agents/builder.1.token"));
        for bad in ["", "../x", "a/b", ".hidden", "a b", "\u{e9}"] {
            assert_eq!(root.agent_token(bad).unwrap_err().code, Code::Usage, "{bad}");
        }
    }
}
