//! `carport agents doctor`: what is wrong with agents, and what to do about each thing.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use carport_core::{ManifestRole, host::Subscribe};
use serde::Serialize;

use crate::{
    cli::Global,
    client::{
        agents::{self, Health, ManagedAgent, refused},
        connect::connect_to,
        link::{CallError, Link},
        locate::Located,
        proof::Role,
    },
    commands::doctor::{cells, report},
    daemon::checkup::Finding,
    exit::Exit,
    output::{Cell, Output, Table, Tone, cut},
};

/// Lines of each log that are looked at for the last words of an agent that is not well.
const LINES: u32 = 20;
/// Characters of those words.
const WORDS: usize = 120;

/// What is known of one agent.
struct Facts {
    agent: ManagedAgent,
    health: Option<Health>,
    /// What is wrong with its token; `None` where the token of this daemon cannot be looked at.
    token: Option<Result<(), String>>,
    /// The last line that it printed, standard error before standard output.
    last_words: Option<String>,
}

/// A finding about an agent, or about all of them.
#[derive(Debug, Serialize)]
struct Row {
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    #[serde(flatten)]
    finding: Finding,
}

pub(super) async fn run(id: Option<&str>, global: &Global, output: Output) -> Result<(), Exit> {
    let located = Located::find(global)?;
    let (link, _) = connect_to(&located, &Role::Client).await?;
    let mut rows = vec![Row { agent: None, finding: manifest(&link).await? }];
    let listed = agents::list(&link).await?;
    let wanted: Vec<_> =
        listed.into_iter().filter(|it| id.is_none_or(|id| it.id() == id)).collect();
    if let (Some(id), true) = (id, wanted.is_empty()) {
        let error = carport_core::RpcError::not_found(format!("agent `{id}`"));
        return Err(refused(CallError::Rpc(error), id));
    }
    let health = agents::health(&link).await?;
    for agent in wanted {
        let facts = Facts {
            health: health.iter().find(|it| it.id == agent.id()).cloned(),
            token: token(&located, agent.id()),
            last_words: last_words(&link, &agent).await?,
            agent,
        };
        let id = facts.agent.id().to_owned();
        let findings = examine(&facts);
        rows.extend(findings.into_iter().map(|finding| Row { agent: Some(id.clone()), finding }));
    }
    show(&rows, output)
}

fn show(rows: &[Row], output: Output) -> Result<(), Exit> {
    let mut table = Table::new(["agent", "check", "", "found", "remedy"]);
    for Row { agent, finding } in rows {
        let agent = Cell::new(agent.as_deref().unwrap_or("-")).tone(Tone::Name);
        let [check, verdict, found, remedy] = cells(finding);
        table.row([agent, check, verdict, found, remedy]);
    }
    report(&rows, rows.iter().map(|row| &row.finding), &table, output)
}

/// Who supervises.
async fn manifest(link: &Link) -> Result<Finding, Exit> {
    let identity = link.call(Subscribe {}).await?.identity;
    let path = identity.manifest_path.unwrap_or_else(|| "no manifest".into());
    Ok(match identity.manifest_role {
        ManifestRole::Owner => Finding::ok("manifest", format!("this daemon supervises {path}")),
        ManifestRole::None => Finding::ok("manifest", format!("{path}: nothing is supervised yet")),
        ManifestRole::Observer => Finding::fail(
            "manifest",
            format!("another daemon supervises {path}; this one only looks on"),
            "ask that daemon, or stop it and restart this one",
        ),
    })
}

/// Whether an agent's token is there and closed to others; only for the daemon of a state root.
fn token(located: &Located, id: &str) -> Option<Result<(), String>> {
    let path = located.root.as_ref()?.agent_token(id).ok()?;
    Some(closed(&path))
}

fn closed(path: &Path) -> Result<(), String> {
    let named = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let found = fs::metadata(path).map_err(|error| named(&error))?;
    match found.permissions().mode() & 0o077 {
        0 => Ok(()),
        _ => Err(named(&"others can read it")),
    }
}

/// Asked for only where something is not as it should be.
async fn last_words(link: &Link, agent: &ManagedAgent) -> Result<Option<String>, Exit> {
    if is_well(agent) {
        return Ok(None);
    }
    let tail = agents::tail(link, agent.id(), LINES, "combined").await;
    let mut tail = tail.map_err(|error| refused(error, agent.id()))?;
    let mut lines = std::mem::take(&mut tail.stdout).into_iter().chain(tail.stderr);
    let said = |line: &String| !line.trim().is_empty();
    Ok(lines.rfind(said))
}

fn is_well(agent: &ManagedAgent) -> bool {
    agent.attached || agent.status == "stopped"
}

/// Everything that can be said about an agent. Pure.
fn examine(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![];
    findings.extend(facts.health.as_ref().map(command));
    findings.push(process(&facts.agent));
    findings.extend(attachment(&facts.agent));
    findings.extend(facts.token.as_ref().map(|token| match token {
        Ok(()) => Finding::ok("token", "there, and closed to others"),
        Err(why) => {
            let remedy = "stop the agent, remove the file, restart the daemon: it mints another";
            Finding::fail("token", why, remedy)
        }
    }));
    findings.extend(facts.last_words.as_deref().map(|words| {
        let remedy = format!("carport agents logs {}", facts.agent.id());
        Finding::warn("log", format!("last: {}", cut(words, WORDS)), remedy)
    }));
    findings
}

fn command(health: &Health) -> Finding {
    let path = health.command.as_deref().unwrap_or("no command");
    if health.ok {
        return Finding::ok("command", path);
    }
    let reason = health.reason.as_deref().unwrap_or("it breaks a rule");
    Finding::fail("command", reason, remedy_of(reason))
}

/// What to do about a broken rule; its name opens the reason.
fn remedy_of(reason: &str) -> &'static str {
    match reason.split(':').next().unwrap_or_default() {
        "C1" => "name the program by an absolute path without `.` and `..`",
        "C2" => "install the program there, executable for the daemon's user and not setuid",
        "C3" => {
            "take the right to write from everybody (chmod o-w), or give it to root or the daemon's user"
        }
        "C4" => "move the program to a directory that is not for scratch (`agents.scratch_dirs`)",
        "cwd" => "make the directory, or name another with --cwd",
        "lookup" => "install the interpreter, or put it on the daemon's PATH",
        _ => "write the agent down anew with `carport agents add`",
    }
}

fn process(agent: &ManagedAgent) -> Finding {
    let id = agent.id();
    let reason = agent.reason.as_deref().unwrap_or("no reason given");
    match agent.status.as_str() {
        "running" if agent.pending_restart => Finding::warn(
            "process",
            "it was started from an older spec",
            format!("carport agents restart {id}"),
        ),
        "running" => match agent.pid {
            Some(pid) => Finding::ok("process", format!("process {pid} runs")),
            None => Finding::ok("process", "it runs"),
        },
        "stopped" => Finding::ok("process", format!("stopped; `carport agents start {id}`")),
        "errored" => Finding::fail(
            "process",
            format!("given up: {reason}"),
            format!("put it right, then `carport agents start {id}`"),
        ),
        status => Finding::warn("process", format!("{status}: {reason}"), {
            format!("carport agents wait {id}")
        }),
    }
}

/// Whether it can be spoken with; nothing for one that is not there to be attached.
fn attachment(agent: &ManagedAgent) -> Option<Finding> {
    if agent.attached {
        return Some(Finding::ok("attached", "a connection is bound to it"));
    }
    (agent.status == "running").then(|| {
        Finding::fail(
            "attached",
            "it runs, and no connection is bound to it",
            "it has to call `session.auth` at CARPORT_URL with CARPORT_AGENT_TOKEN and CARPORT_AGENT_ID",
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::daemon::checkup::Verdict;

    fn facts(agent: Value) -> Facts {
        let agent = serde_json::from_value(agent).unwrap();
        Facts { agent, health: None, token: None, last_words: None }
    }

    fn verdicts(facts: &Facts) -> Vec<(&'static str, Verdict)> {
        let findings = examine(facts);
        for finding in &findings {
            assert_eq!(finding.remedy.is_none(), finding.verdict == Verdict::Ok, "{finding:?}");
        }
        findings.into_iter().map(|it| (it.check, it.verdict)).collect()
    }

    fn running(attached: bool) -> Value {
        json!({ "spec": { "id": "a" }, "status": "running", "pid": 7, "attached": attached })
    }

    #[test]
    fn one_that_is_well_has_nothing_to_put_right() {
        let mut facts = facts(running(true));
        facts.token = Some(Ok(()));
        facts.health = Some(Health {
            id: "a".into(),
            command: Some("/bin/true".into()),
            ok: true,
            reason: None,
        });
        assert!(verdicts(&facts).iter().all(|(_, verdict)| *verdict == Verdict::Ok));
        assert_eq!(verdicts(&facts).len(), 4);
    }

    #[test]
    fn one_that_runs_unattached_is_told_how_to_attach_and_shows_its_last_words() {
        let mut facts = facts(running(false));
        facts.last_words = Some("ImportError".into());
        let found = verdicts(&facts);
        assert_eq!(
            found,
            [("process", Verdict::Ok), ("attached", Verdict::Fail), ("log", Verdict::Warn),]
        );
        assert!(!is_well(&facts.agent));
    }

    #[test]
    fn a_broken_rule_has_a_remedy_of_its_own() {
        let of = |reason: &str| {
            let health =
                Health { id: "a".into(), command: None, ok: false, reason: Some(reason.into()) };
            command(&health).remedy.unwrap()
        };
        assert!(of("C4: `/tmp/x` lies under the scratch directory `/tmp`").contains("scratch"));
        assert!(of("C3: `/x` is world-writable").contains("o-w"));
        assert!(of("something new").contains("agents add"));
    }

    #[test]
    fn one_that_gave_up_fails_and_one_that_stands_still_does_not() {
        let agent =
            |status: &str| json!({ "spec": { "id": "a" }, "status": status, "reason": "x" });
        assert_eq!(verdicts(&facts(agent("errored"))), [("process", Verdict::Fail)]);
        assert_eq!(verdicts(&facts(agent("backoff"))), [("process", Verdict::Warn)]);
        assert_eq!(verdicts(&facts(agent("stopped"))), [("process", Verdict::Ok)]);
    }

    #[test]
    fn a_token_that_others_can_read_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.token");
        assert!(closed(&path).unwrap_err().contains("a.token"));
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(closed(&path).unwrap_err().contains("others"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(closed(&path).is_ok());
    }
}
