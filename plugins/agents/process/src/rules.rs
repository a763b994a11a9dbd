//! What a command must be before the daemon runs it: rules C1 to C5, and the look-up of interpreters.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
};

use carport_core::RpcError;
use rustix::fs::{Access, AtFlags, CWD, accessat};

use crate::spec::AgentSpec;

/// How many symbolic links may lie on the way to a command; the kernel's own limit.
const MAX_LINKS: usize = 40;

/// Directories where anybody may put a program. `$TMPDIR` is one too.
const SCRATCH: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];

/// A rule that a command breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: `{}` {why}", path.display())]
pub struct Broken {
    /// `C1` to `C4`; `lookup` for an interpreter, `cwd` for a working directory.
    pub rule: &'static str,
    /// The file or directory that breaks it.
    pub path: PathBuf,
    /// How, in words.
    pub why: String,
}

impl Broken {
    fn new(rule: &'static str, path: &Path, why: impl Into<String>) -> Self {
        Self { rule, path: path.to_owned(), why: why.into() }
    }
}

impl From<Broken> for RpcError {
    fn from(broken: Broken) -> Self {
        let field = match broken.rule {
            "lookup" => "interpreter",
            "cwd" => "cwd",
            _ => "command",
        };
        Self::invalid_params(field, &broken)
            .with("rule", broken.rule)
            .with("path", broken.path.display().to_string())
    }
}

/// What the rules are held against.
#[derive(Debug, Clone)]
pub struct Rules {
    scratch: Vec<PathBuf>,
    search_path: OsString,
    user: u32,
}

impl Rules {
    /// Rules for the user of this process. `scratch` replaces the scratch directories;
    /// `search_path` has the form of `PATH`.
    pub fn new(scratch: Option<Vec<PathBuf>>, search_path: OsString) -> Self {
        let scratch = scratch.unwrap_or_else(|| {
            let own = std::env::var_os("TMPDIR").map(PathBuf::from);
            SCRATCH.iter().map(PathBuf::from).chain(own).collect()
        });
        // A scratch directory that is itself behind a link counts under both names.
        let real = scratch.iter().filter_map(|it| it.canonicalize().ok()).collect::<Vec<_>>();
        let scratch = scratch.into_iter().chain(real).filter(|it| it.is_absolute()).collect();
        Self { scratch, search_path, user: rustix::process::geteuid().as_raw() }
    }

    /// Makes a spec whole: looks its interpreter up, gives it a name and keeps its command as given.
    /// Of both an interpreter and a command, the command has to be the `stored` one.
    pub fn settle(
        &self,
        mut spec: AgentSpec,
        stored: Option<&AgentSpec>,
    ) -> carport_core::Result<AgentSpec> {
        spec.validate()?;
        match (&spec.command, &spec.interpreter) {
            (Some(command), Some(_)) => {
                let known = stored.is_some_and(|it| {
                    it.command.as_ref() == Some(command) && it.interpreter == spec.interpreter
                });
                if !known {
                    let why = "`command` and `interpreter` exclude each other";
                    return Err(RpcError::invalid_params("command", why));
                }
            }
            (None, Some(interpreter)) => {
                let found = self.look_up(interpreter)?;
                spec.command = Some(found.display().to_string());
            }
            (_, None) => {}
        }
        self.check(&spec)?;
        if spec.name.is_none() {
            spec.name = Some(spec.id.clone());
        }
        Ok(spec)
    }

    /// Holds the command and the working directory of a spec against the rules and answers what
    /// [`check_command`](Self::check_command) does.
    pub fn check(&self, spec: &AgentSpec) -> Result<PathBuf, Broken> {
        let command = Path::new(spec.command.as_deref().unwrap_or_default());
        let target = self.check_command(command)?;
        match spec.cwd.as_deref().map(Path::new) {
            Some(cwd) if !cwd.is_dir() => Err(Broken::new("cwd", cwd, "is not a directory")),
            _ => Ok(target),
        }
    }

    /// Holds one command against C1 to C4 and answers the file it leads to, without links. C5 is that
    /// the path is stored as it was given.
    pub fn check_command(&self, command: &Path) -> Result<PathBuf, Broken> {
        plain_absolute(command)?;
        self.outside_scratch(command, command)?;
        let target = self.walk(command)?;
        self.outside_scratch(command, &target)?;
        runnable(&target)?;
        Ok(target)
    }

    /// The first match of a bare program name along the search path. It has to pass the rules: a bad
    /// match is an error and is not skipped.
    pub fn look_up(&self, interpreter: &str) -> Result<PathBuf, Broken> {
        let directories = std::env::split_paths(&self.search_path);
        let mut found = directories.filter(|it| it.is_absolute()).map(|it| it.join(interpreter));
        match found.find(|path| path.is_file()) {
            Some(path) => self.check_command(&path).map(|_| path),
            None => Err(Broken::new("lookup", Path::new(interpreter), "is not on the PATH")),
        }
    }

    fn outside_scratch(&self, given: &Path, path: &Path) -> Result<(), Broken> {
        match self.scratch.iter().find(|scratch| path.starts_with(scratch)) {
            None => Ok(()),
            Some(scratch) => {
                let why = format!("lies under the scratch directory `{}`", scratch.display());
                Err(Broken::new("C4", if path == given { given } else { path }, why))
            }
        }
    }

    /// Goes to the file as the kernel does, a name at a time, and looks at everything on the way:
    /// directories, links and the file itself. Answers the file without links.
    fn walk(&self, command: &Path) -> Result<PathBuf, Broken> {
        let mut at = PathBuf::from("/");
        self.guarded(&at, &look(&at)?)?;
        let mut rest: Vec<OsString> = names(command);
        let mut links = 0;
        while let Some(name) = rest.pop() {
            if name == ".." {
                at.pop();
                continue;
            }
            at.push(name);
            let found = look(&at)?;
            self.guarded(&at, &found)?;
            if !found.is_symlink() {
                continue;
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(Broken::new("C2", command, "leads through too many links"));
            }
            let target = fs::read_link(&at).map_err(|error| unseen(&at, &error))?;
            at.pop();
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            rest.extend(names(&target));
        }
        Ok(at)
    }

    /// C3 for one thing on the way. The mode of a link says nothing.
    fn guarded(&self, path: &Path, found: &fs::Metadata) -> Result<(), Broken> {
        if found.uid() != 0 && found.uid() != self.user {
            let why = format!("belongs to user {}, not to root or the daemon's", found.uid());
            return Err(Broken::new("C3", path, why));
        }
        if !found.is_symlink() && found.mode() & 0o002 != 0 {
            return Err(Broken::new("C3", path, "is world-writable"));
        }
        Ok(())
    }
}

/// C1.
fn plain_absolute(command: &Path) -> Result<(), Broken> {
    let broken = |why: &str| Err(Broken::new("C1", command, why));
    let text = command.as_os_str().as_encoded_bytes();
    if !command.is_absolute() {
        return broken("is not an absolute path");
    }
    if text.len() > 4096 {
        return broken("is longer than 4096 bytes");
    }
    if text.contains(&0) {
        return broken("contains a NUL");
    }
    // The standard library drops a single dot; the text still has it.
    match text.split(|byte| *byte == b'/').any(|part| part == b"." || part == b"..") {
        true => broken("has a `.` or `..` component"),
        false => Ok(()),
    }
}

/// C2, at the end of the way.
fn runnable(target: &Path) -> Result<(), Broken> {
    let broken = |why: &str| Err(Broken::new("C2", target, why));
    let found = look(target)?;
    if !found.is_file() {
        return broken("is not a regular file");
    }
    if found.mode() & 0o6000 != 0 {
        return broken("is setuid or setgid");
    }
    match accessat(CWD, target, Access::EXEC_OK, AtFlags::EACCESS) {
        Ok(()) => Ok(()),
        Err(_) => broken("is not executable for the daemon's user"),
    }
}

fn look(path: &Path) -> Result<fs::Metadata, Broken> {
    path.symlink_metadata().map_err(|error| unseen(path, &error))
}

fn unseen(path: &Path, error: &io::Error) -> Broken {
    match error.kind() {
        io::ErrorKind::NotFound => Broken::new("C2", path, "does not exist"),
        _ => Broken::new("C2", path, format!("cannot be looked at: {error}")),
    }
}

/// The names of a path, the last one first.
fn names(path: &Path) -> Vec<OsString> {
    let named = path.components().rev().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    named.collect()
}
