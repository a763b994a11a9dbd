//! What can be wrong around a daemon, looked at one thing after another, with the remedy of each.

mod disk;
mod network;
#[cfg(test)]
mod tests;

use std::{
    io,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use carport_core::{BillRow, CARPORT_PLUGINS, Registry, Time};
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{
    endpoint::Endpoint,
    lock::Holder,
    root::StateRoot,
    settings::{Configuration, Fault, overrides::Overrides},
};

/// How far a clock may lag behind the files that were written under it.
const LAG: Duration = Duration::from_secs(60);

/// What one look found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What was looked at.
    pub(crate) check: &'static str,
    /// How it is.
    pub(crate) verdict: Verdict,
    /// What was seen.
    pub(crate) found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<String>,
}

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// As it should be.
    Ok,
    /// A daemon can live with it.
    Warn,
    /// No daemon starts, or secrets lie open.
    Fail,
}

impl Finding {
    /// All is well.
    pub(crate) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, found: found.into(), remedy: None }
    }

    /// A daemon can live with it.
    pub(crate) fn warn(
        check: &'static str,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let (found, remedy) = (found.into(), Some(remedy.into()));
        Self { check, verdict: Verdict::Warn, found, remedy }
    }

    /// It has to be put right.
    pub(crate) fn fail(
        check: &'static str,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { verdict: Verdict::Fail, ..Self::warn(check, found, remedy) }
    }
}

/// Looks at everything.
pub(crate) fn check_up(
    root: &StateRoot,
    overrides: &Overrides,
    bill: &'static [BillRow],
) -> Vec<Finding> {
    let holder = Holder::of(root);
    let held = matches!(holder, Ok(Holder::Process(_)));
    let endpoint = Endpoint::read(root).ok().flatten().filter(|_| held);
    let configuration = Configuration::load(root, overrides, bill);
    let own = configuration.as_ref().map(|it| it.own.clone()).unwrap_or_default();
    let mut findings = vec![
        disk::state_root(root.path()),
        disk::run_directory(&root.run_dir()),
        configured(root, &configuration),
        lock(root, &holder),
        network::published(root, held),
        network::address(own.listen.bind, endpoint.as_ref()),
        network::socket(root, &own),
    ];
    findings.extend(disk::tokens(root, held));
    findings.push(plugins(bill));
    findings.push(clock(SystemTime::now(), &newest(root)));
    findings
}

fn configured(root: &StateRoot, configuration: &Result<Configuration, Fault>) -> Finding {
    let check = "configuration";
    let path = root.config_file();
    match configuration {
        Ok(_) if path.exists() => Finding::ok(check, path.display().to_string()),
        Ok(_) => Finding::ok(check, "defaults: there is no config.toml"),
        Err(fault) => Finding::fail(check, fault.to_string(), "correct it where it says"),
    }
}

fn lock(root: &StateRoot, holder: &io::Result<Holder>) -> Finding {
    let check = "lock";
    match holder {
        Ok(Holder::Nobody) => Finding::ok(check, "free: no daemon runs here"),
        Ok(Holder::Process(Some(pid))) => Finding::ok(check, format!("held by process {pid}")),
        Ok(Holder::Process(None)) => Finding::warn(
            check,
            "held by a process that did not say which",
            format!("lsof {}", root.lock().display()),
        ),
        Err(error) => {
            let path = root.lock();
            Finding::fail(check, format!("{}: {error}", path.display()), "make it readable")
        }
    }
}

fn plugins(bill: &'static [BillRow]) -> Finding {
    let check = "plugins";
    match Registry::linked(bill, &[]) {
        Ok(_) => {
            let mut ids: Vec<_> = CARPORT_PLUGINS.iter().map(|plugin| plugin.id).collect();
            ids.sort_unstable();
            Finding::ok(check, format!("{} fit together", ids.join(", ")))
        }
        Err(refusal) => Finding::fail(check, refusal.to_string(), "build the daemon anew"),
    }
}

/// The newest time that the file system gives for what a daemon wrote, or for this program.
fn newest(root: &StateRoot) -> Option<(PathBuf, SystemTime)> {
    let files = [root.lock(), root.endpoint(), root.config_file()];
    let program = std::env::current_exe().ok();
    let written = |path: PathBuf| {
        let at = path.metadata().ok()?.modified().ok()?;
        Some((path, at))
    };
    files.into_iter().chain(program).filter_map(written).max_by_key(|(_, at)| *at)
}

/// Journals and deadlines need a clock that does not run behind what is written already.
fn clock(now: SystemTime, newest: &Option<(PathBuf, SystemTime)>) -> Finding {
    let check = "clock";
    match newest {
        Some((path, at)) if *at > now + LAG => {
            let ahead = at.duration_since(now).unwrap_or_default().as_secs();
            let found = format!("it is {ahead} s behind the time of {}", path.display());
            Finding::warn(check, found, "set the clock")
        }
        _ => Finding::ok(check, Time::from(DateTime::<Utc>::from(now)).to_string()),
    }
}
