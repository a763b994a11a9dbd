//! Real programs that play external agents, under a real shim.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod finding;
mod running;
mod stopped;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use carport_agents_external::{AdapterTable, Externals, Ground, builtin_tables};
use carport_agents_process::{Inherit, Rules};
use carport_core::ManualClock;
use serde_json::Value;

/// A directory for programs, which may not lie where everybody may write.
struct World {
    directory: tempfile::TempDir,
    clock: Arc<ManualClock>,
    environment: BTreeMap<String, String>,
    ask_limit: Duration,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let path = format!("{}:/usr/bin:/bin", directory.path().display());
        Self {
            clock: Arc::default(),
            environment: BTreeMap::from([("PATH".into(), path)]),
            ask_limit: Duration::from_secs(20),
            directory,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A program of this name that is a shell script.
    fn program(&self, name: &str, script: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// One adapter, `fake`, without those that are built in.
    fn externals(&self, table: Value) -> Externals {
        let off = AdapterTable { enabled: Some(false), ..AdapterTable::default() };
        let mut tables: BTreeMap<_, _> =
            builtin_tables().into_keys().map(|id| (id, off.clone())).collect();
        tables.insert("fake".into(), serde_json::from_value(table).unwrap());
        let ground = Ground {
            shim: vec![env!("CARGO_BIN_EXE_carport-agents-external-helper").into()],
            rules: Arc::new(Rules::new(Some(vec![self.path("scratch")]), "".into())),
            inherit: Inherit::Basic,
            environment: self.environment.clone(),
            directory: self.directory.path().to_owned(),
            ask_limit: self.ask_limit,
            clock: self.clock.clone(),
        };
        Externals::new(ground, tables, 2).unwrap()
    }
}

/// Processes whose environment holds the mark. A zombie has none.
fn alive(mark: &str) -> usize {
    let wanted = format!("MARK={mark}");
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter(|entry| {
        let environment = fs::read(Path::new(&entry.path()).join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    })
    .count()
}
