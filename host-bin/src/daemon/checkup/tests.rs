//! What each check says about a state root in that state.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, path::Path};

use super::{network::address, *};
use crate::daemon::{lock::RootLock, private_file, tokens};

fn root() -> (tempfile::TempDir, StateRoot) {
    let dir = tempfile::tempdir().unwrap();
    let root = StateRoot::resolve(Some(&dir.path().join("root"))).unwrap();
    root.prepare().unwrap();
    (dir, root)
}

fn verdicts(findings: &[Finding], check: &str) -> Vec<Verdict> {
    findings.iter().filter(|it| it.check == check).map(|it| it.verdict).collect()
}

fn look(root: &StateRoot) -> Vec<Finding> {
    // Any port: the tests of one machine share the default one.
    let overrides = Overrides { bind: Some(([127, 0, 0, 1], 0).into()), ..Overrides::default() };
    check_up(root, &overrides, &[])
}

#[test]
fn a_fresh_state_root_is_fine() {
    let (_dir, root) = root();
    let findings = look(&root);
    assert!(findings.iter().all(|it| it.verdict == Verdict::Ok), "{findings:?}");
    assert!(findings.len() >= 9);
}

#[test]
fn what_a_killed_daemon_left_is_a_warning() {
    let (_dir, root) = root();
    let url = "ws://127.0.0.1:1".to_owned();
    let endpoint = Endpoint { url, socket: None, pid: 1, started_at: Time::default() };
    endpoint.write(&root).unwrap();
    std::mem::forget(tokens::TokenFiles::publish(&root, None).unwrap());
    let findings = look(&root);
    assert_eq!(verdicts(&findings, "endpoint"), [Verdict::Warn]);
    assert_eq!(verdicts(&findings, "tokens"), [Verdict::Warn]);

    let _lock = RootLock::take(&root).unwrap();
    let findings = look(&root);
    assert_eq!(verdicts(&findings, "endpoint"), [Verdict::Fail]);
    assert_eq!(verdicts(&findings, "tokens"), [Verdict::Ok]);
    let held = findings.iter().find(|it| it.check == "lock").unwrap();
    assert!(held.found.contains(&std::process::id().to_string()), "{}", held.found);
    private_file::remove(&root.auth_token()).unwrap();
    assert_eq!(verdicts(&look(&root), "tokens"), [Verdict::Fail]);
}

#[test]
fn open_files_and_directories_and_a_wrong_configuration_are_failures_with_remedies() {
    let (_dir, root) = root();
    tokens::agent(&root, "a").unwrap();
    let open = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    open(&root.agent_token("a").unwrap(), 0o640);
    open(&root.run_dir(), 0o755);
    open(root.path(), 0o777);
    fs::write(root.config_file(), "[auht]\n").unwrap();
    let findings = look(&root);
    for check in ["state root", "permissions", "configuration", "tokens"] {
        assert_eq!(verdicts(&findings, check), [Verdict::Fail], "{check}");
    }
    assert!(findings.iter().all(|it| (it.verdict == Verdict::Ok) == it.remedy.is_none()));
}

#[test]
fn a_taken_port_and_a_routable_address_are_failures() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = taken.local_addr().unwrap();
    assert_eq!(address(bind, None).verdict, Verdict::Fail);
    let url = format!("ws://{bind}");
    let ours = Endpoint { url, socket: None, pid: 1, started_at: Time::default() };
    assert_eq!(address(bind, Some(&ours)).verdict, Verdict::Ok);
    assert_eq!(address(([0, 0, 0, 0], 0).into(), None).verdict, Verdict::Fail);
}

#[test]
fn a_clock_behind_its_own_files_is_a_warning() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    let written = |at| Some((PathBuf::from("/x"), at));
    assert_eq!(clock(now, &None).verdict, Verdict::Ok);
    assert_eq!(clock(now, &written(now)).verdict, Verdict::Ok);
    let late = clock(now, &written(now + Duration::from_secs(3600)));
    assert_eq!(late.verdict, Verdict::Warn);
    assert!(late.found.contains("3600 s"), "{}", late.found);
}
