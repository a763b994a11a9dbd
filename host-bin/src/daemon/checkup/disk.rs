//! What lies on the disk: the state root, who may read it, and the tokens in it.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use super::Finding;
use crate::{
    daemon::{
        private_file::{Directory, OTHERS},
        root::StateRoot,
    },
    output::count,
};

pub(super) fn state_root(root: &Path) -> Finding {
    let check = "state root";
    let shown = root.display().to_string();
    let name_another = "or name another with --state-root DIR";
    match Directory::at(root) {
        Ok(Directory::Missing) => {
            Finding::ok(check, format!("{shown} is not there yet: the first start makes it"))
        }
        Ok(Directory::Other) => Finding::fail(
            check,
            format!("{shown} is not a directory"),
            "remove it, ".to_owned() + name_another,
        ),
        Err(error) => Finding::fail(check, format!("{shown}: {error}"), name_another),
        Ok(_) if tempfile::tempfile_in(root).is_err() => {
            let remedy = format!("make it writable for this user, {name_another}");
            Finding::fail(check, format!("{shown} cannot be written to"), remedy)
        }
        Ok(Directory::Open(bits)) if bits & 0o022 != 0 => Finding::fail(
            check,
            format!("others may write to {shown}"),
            format!("chmod 700 {shown}"),
        ),
        Ok(Directory::Open(_)) => {
            Finding::warn(check, format!("others may read {shown}"), format!("chmod 700 {shown}"))
        }
        Ok(Directory::Shared) => {
            Finding::fail(check, format!("{shown} is shared by all users"), name_another)
        }
        Ok(Directory::Foreign(uid)) => {
            Finding::warn(check, format!("{shown} belongs to user {uid}"), "run as that user")
        }
        Ok(Directory::Private | Directory::Link) => Finding::ok(check, shown),
    }
}

pub(super) fn run_directory(directory: &Path) -> Finding {
    let check = "permissions";
    let shown = directory.display();
    match Directory::at(directory) {
        Ok(Directory::Missing) => Finding::ok(check, format!("{shown} is not there yet")),
        Ok(Directory::Private) => Finding::ok(check, format!("{shown} is closed to others")),
        Ok(Directory::Shared) => Finding::fail(
            check,
            format!("{shown} is shared by all users"),
            format!("rm -r {shown}"),
        ),
        Ok(Directory::Open(bits)) => Finding::fail(
            check,
            format!("{shown} holds secrets and is open to others ({bits:03o})"),
            format!("chmod 700 {shown}; the next start does it too"),
        ),
        Ok(Directory::Link) => {
            Finding::fail(check, format!("{shown} is a symbolic link"), format!("rm {shown}"))
        }
        Ok(Directory::Other) => {
            Finding::fail(check, format!("{shown} is not a directory"), format!("rm {shown}"))
        }
        Ok(Directory::Foreign(uid)) => {
            Finding::fail(check, format!("{shown} belongs to user {uid}"), "run as that user")
        }
        Err(error) => Finding::fail(check, format!("{shown}: {error}"), "look at its parent"),
    }
}

/// One finding for each file that is not as it should be, or one that says that all are.
pub(super) fn tokens(root: &StateRoot, held: bool) -> Vec<Finding> {
    let check = "tokens";
    let of_daemon = [root.auth_token(), root.host_token()];
    let agents = fs::read_dir(root.agents_dir()).into_iter().flatten().flatten();
    let agents: Vec<_> = agents.map(|entry| entry.path()).collect();
    let mut findings = Vec::new();
    for path in of_daemon.iter().chain(&agents) {
        let Ok(found) = fs::symlink_metadata(path) else { continue };
        let shown = path.display();
        if !found.is_file() || found.mode() & OTHERS != 0 {
            let mode = found.mode() & 0o777;
            let found = format!("{shown} is open to others ({mode:03o})");
            findings.push(Finding::fail(check, found, format!("chmod 600 {shown}, and rotate it")));
        }
    }
    match (of_daemon.iter().all(|path| path.exists()), held) {
        (false, true) => findings.push(Finding::fail(
            check,
            "a daemon runs and its tokens are gone",
            "restart the daemon: nobody can prove who they are",
        )),
        (true, false) => findings.push(Finding::warn(
            check,
            "left by a daemon that was killed",
            "the next start replaces them",
        )),
        _ if findings.is_empty() => {
            let found = match agents.len() + if held { of_daemon.len() } else { 0 } {
                0 => "none yet".to_owned(),
                files => format!("{}, closed to others", count(files, "file")),
            };
            findings.push(Finding::ok(check, found));
        }
        _ => {}
    }
    findings
}
