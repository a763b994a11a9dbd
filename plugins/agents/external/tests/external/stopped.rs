//! Agents that stop their shim, which then obeys nobody: their runs and questions end all the same.

use std::{fs, path::Path, time::Duration};

use carport_agents_external::{End, Ended, Execution, Invocation, Saying, Stopper, Values};
use carport_agents_process::{Command, Gone, Started, machine::Exit};
use serde_json::json;
use tokio::{io::AsyncReadExt, time::timeout};

use crate::{World, alive};

/// Stops the shim, which is its parent, and would go on for ever. What it reads is written once the
/// shim has said that it was started.
const STOPS: &str = "read go; kill -STOP $PPID; echo $PPID; sleep 1000";

/// A run that is stopped once it has said the shim's id, or ends when its time is over.
async fn run(limit: Duration, stops: bool) -> (Ended, usize, String) {
    let world = World::new();
    let program = world.program("fake-agent", STOPS);
    let mark = world.path("").display().to_string();
    let externals = world.externals(json!({
        "binary": program, "run_args": ["run"], "stdin": "{task}", "output": "lines",
        "env": { "MARK": mark },
    }));
    let values = Values { task: "go\n".into(), ..Values::default() };
    let cwd = world.path("");
    let invocation = Invocation { program, values, mcp_endpoint: None, cwd, timeout: limit };
    let (stopper, mut shim) = (Stopper::default(), String::new());
    let hear = |said| {
        if let Saying::Token(line) = said {
            shim = line.trim().to_owned();
            if stops {
                stopper.stop();
            }
        }
    };
    let ended = externals.run("fake", invocation, &stopper, hear).await.unwrap();
    (ended, alive(&mark), shim)
}

/// The state of a process as the kernel shows it; `None` if it is no more.
fn state(pid: &str) -> Option<char> {
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

async fn question() -> (Execution, usize) {
    let mut world = World::new();
    world.ask_limit = Duration::from_millis(300);
    let program = world.program("fake-agent", STOPS);
    let mark = world.path("").display().to_string();
    let table = json!({ "binary": program, "run_args": ["{task}"], "env": { "MARK": mark } });
    let found = world.externals(table).list(false, false).await.remove(0);
    (found.execution, alive(&mark))
}

/// Input that nobody takes is waited for until the end is asked for, and no longer.
async fn input() -> (Gone, usize) {
    let world = World::new();
    let mark = world.path("").display().to_string();
    let command = Command {
        program: "/bin/sh".into(),
        name: "sh".into(),
        args: vec!["-c".into(), STOPS.into()],
        env: [("MARK".into(), mark.clone()), ("PATH".into(), "/usr/bin:/bin".into())].into(),
        cwd: "/".into(),
        grace: Duration::ZERO,
        input: true,
    };
    let shim = env!("CARGO_BIN_EXE_carport-agents-external-helper");
    let Started { mut process, mut stdout, .. } =
        command.start(&[shim.into(), "fake".into()]).await.unwrap();
    process.write("go\n".into()).await;
    stdout.read_u8().await.unwrap();
    let writing = process.write("x".repeat(8 << 20));
    timeout(Duration::from_millis(300), writing).await.expect_err("nobody takes it");
    process.end(Duration::ZERO).await;
    (process.gone().await, alive(&mark))
}

#[tokio::test]
async fn a_stopped_shim_keeps_no_run_and_no_question_from_its_end() {
    let long = Duration::from_secs(1000);
    let all = async {
        tokio::join!(run(Duration::from_millis(500), false), run(long, true), question(), input())
    };
    // The time limit or the stop, the grace, the patience with KILL, some more for the shim's word.
    let all = timeout(Duration::from_secs(60), all).await.expect("they end");
    let ((late, late_left, late_shim), (stopped, stopped_left, stopped_shim), asked, fed) = all;
    assert_eq!(late.end, End::TimedOut(Duration::from_millis(500)));
    assert_eq!(stopped.end, End::Stopped);
    assert_eq!((late_left, stopped_left), (0, 0));
    for shim in [late_shim, stopped_shim] {
        assert!(shim.is_empty() || matches!(state(&shim), None | Some('Z' | 'X')), "{shim}");
    }
    let (Execution::Unusable { reason, .. }, 0) = asked else { panic!("{asked:?}") };
    // It has nothing to read, and may have stopped the shim before that said anything.
    let says = ["no answer within 0.3 s", "waiting for the shim"];
    assert!(says.iter().any(|it| reason.contains(it)), "{reason}");
    assert_eq!(fed, (Gone::Exited(Exit::Unknown), 0));
}
