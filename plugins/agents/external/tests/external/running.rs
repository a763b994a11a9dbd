//! Runs: what is handed over, what is read, and that nothing outlives them.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use carport_agents_external::{
    End, Ended, ExternalError, Externals, Invocation, Saying, Stopper, Values,
};
use carport_agents_process::machine::Exit;
use serde_json::{Value, json};

use crate::{World, alive};

/// A tree that ignores TERM, with a grandchild that has a session of its own.
const STUBBORN: &str = "trap '' TERM
    (setsid sh -c 'trap \"\" TERM; sleep 1000' &)
    sleep 1000 & echo ready; while :; do sleep 1000; done";

fn table(output: &str) -> Value {
    json!({ "binary": "fake-agent", "run_args": ["run"], "stdin": "{task}", "output": output })
}

fn invocation(world: &World, task: &str) -> Invocation {
    Invocation {
        program: world.path("fake-agent"),
        values: Values { task: task.into(), ..Values::default() },
        mcp_endpoint: None,
        cwd: world.path(""),
        timeout: Duration::from_secs(30),
    }
}

/// Runs it to its end; what it said comes with how it ended.
async fn run(externals: &Externals, invocation: Invocation) -> (Vec<Saying>, Ended) {
    let mut said = Vec::new();
    let ended = externals.run("fake", invocation, &Stopper::default(), |it| said.push(it)).await;
    (said, ended.unwrap())
}

fn token(text: &str) -> Saying {
    Saying::Token(text.into())
}

#[tokio::test]
async fn a_large_task_is_read_where_it_was_said_to_run_and_lines_come_one_by_one() {
    let world = World::new();
    world.program("fake-agent", "echo $1; wc -c; pwd; exec cat extra");
    fs::create_dir(world.path("inside")).unwrap();
    fs::write(world.path("inside/extra"), b"\xffend").unwrap();
    let externals = world.externals(table("lines"));
    let mut invocation = invocation(&world, &"t".repeat(1 << 20));
    invocation.cwd = world.path("inside");
    let (said, ended) = run(&externals, invocation).await;
    let place = format!("{}\n", world.path("inside").display());
    assert_eq!(said, ["run\n", "1048576\n", &place, "\u{fffd}end"].map(token));
    assert_eq!(ended.outcome.answer, format!("run\n1048576\n{place}\u{fffd}end"));
    assert_eq!((ended.end, ended.outcome.error), (End::Exited(Exit::Code(0)), None));
}

#[tokio::test]
async fn documents_are_read_by_the_rules_of_the_table() {
    let world = World::new();
    let script = r#"echo '{"at":"tool","name":"grep","with":{"x":1}}'; echo not JSON
        echo '{"at":"text","say":"Hi"}'; echo '{"at":"end","turns":3,"usd":0.5,"id":"s-1"}'"#;
    world.program("fake-agent", script);
    let mut table = table("json_lines");
    table["events"] = json!([
        { "when": { "/at": "text" }, "token": "/say" },
        { "when": { "/at": "tool" }, "tool": "/name", "params": "/with" },
        { "when": { "/at": "end" }, "turns": "/turns", "cost": "/usd", "session_id": "/id" },
    ]);
    let (said, ended) = run(&world.externals(table), invocation(&world, "t")).await;
    let call = Saying::ToolCall { tool: "grep".into(), params: Some(json!({ "x": 1 })) };
    assert_eq!(said, [call, token("Hi")]);
    let outcome = ended.outcome;
    assert_eq!((&*outcome.answer, outcome.turns, outcome.tool_calls), ("Hi", Some(3), 1));
    assert_eq!((outcome.total_cost_usd, outcome.session_id.as_deref()), (Some(0.5), Some("s-1")));
}

#[tokio::test]
async fn a_task_that_fails_says_why() {
    let world = World::new();
    let externals = world.externals(table("text"));
    world.program("fake-agent", "echo half; echo 'token: Bearer abc' >&2; exit 7");
    let (said, ended) = run(&externals, invocation(&world, "t")).await;
    assert_eq!((said, &*ended.outcome.answer), (vec![token("half")], "half"));
    assert_eq!(ended.end, End::Exited(Exit::Code(7)));
    let why = ended.outcome.error.unwrap();
    assert_eq!(why, "it ended with code 7: token: Bearer ***");
    world.program("fake-agent", "kill -9 $$");
    let (_, ended) = run(&externals, invocation(&world, "t")).await;
    assert_eq!(ended.outcome.error.as_deref(), Some("signal 9 ended it"));
}

#[tokio::test]
async fn a_run_whose_time_is_over_is_dead_whole_and_so_is_one_that_is_stopped() {
    let world = World::new();
    world.program("fake-agent", STUBBORN);
    let mark = world.path("").display().to_string();
    let mut table = table("lines");
    table["env"] = json!({ "MARK": mark });
    let externals = world.externals(table);
    let mut brief = invocation(&world, "t");
    brief.timeout = Duration::from_millis(300);
    let (_, ended) = run(&externals, brief).await;
    assert_eq!(ended.outcome.error.as_deref(), Some("it took more than 0.3 s"));
    assert_eq!(alive(&mark), 0);
    let stopper = Stopper::default();
    let stop_when_ready = |_| {
        assert!(alive(&mark) >= 3);
        stopper.stop();
    };
    let ended =
        externals.run("fake", invocation(&world, "t"), &stopper, stop_when_ready).await.unwrap();
    assert_eq!((ended.end, alive(&mark)), (End::Stopped, 0));
}

#[tokio::test]
async fn a_run_that_nobody_waits_for_any_more_is_ended() {
    let world = World::new();
    world.program("fake-agent", STUBBORN);
    let mark = world.path("").display().to_string();
    let mut table = table("lines");
    table["env"] = json!({ "MARK": mark });
    let externals = world.externals(table);
    let (said, ready) = tokio::sync::oneshot::channel();
    let mut said = Some(said);
    let stopper = Stopper::default();
    let running = externals.run("fake", invocation(&world, "t"), &stopper, |_| {
        said.take().into_iter().for_each(|it| it.send(()).unwrap());
    });
    tokio::select! {
        _ = running => panic!("it ended"),
        it = ready => it.unwrap(),
    }
    let waiting = async {
        while alive(&mark) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap();
}

#[tokio::test]
async fn what_a_run_leaves_behind_is_ended_with_it_and_its_output_is_not_waited_for() {
    let world = World::new();
    world.program("fake-agent", "setsid sleep 1000 & echo done");
    let mark = world.path("").display().to_string();
    let mut table = table("text");
    table["env"] = json!({ "MARK": mark });
    let (_, ended) = run(&world.externals(table), invocation(&world, "t")).await;
    assert_eq!((&*ended.outcome.answer, alive(&mark)), ("done", 0));
}

#[tokio::test]
async fn a_hundred_megabytes_are_read_to_their_end() {
    let world = World::new();
    world.program("fake-agent", "head -c 100000000 /dev/zero; echo >&2 over");
    let (said, ended) = run(&world.externals(table("lines")), invocation(&world, "t")).await;
    let length = |it: &Saying| match it {
        Saying::Token(text) => text.len(),
        Saying::ToolCall { .. } => 0,
    };
    assert_eq!(said.iter().map(length).sum::<usize>(), 100_000_000);
    assert!(ended.outcome.truncated && ended.outcome.answer.len() == 1 << 20);
    assert_eq!(ended.outcome.error, None);
}

#[tokio::test]
async fn an_agent_that_never_reads_its_task_ends_all_the_same() {
    let world = World::new();
    world.program("fake-agent", "exec echo bored");
    let task = "t".repeat(1 << 20);
    let (_, ended) = run(&world.externals(table("text")), invocation(&world, &task)).await;
    assert_eq!((&*ended.outcome.answer, ended.outcome.error), ("bored", None));
}

#[tokio::test]
async fn its_environment_is_the_basic_set_and_what_its_table_says() {
    let mut world = World::new();
    world.program("fake-agent", "env | cut -d= -f1 | sort | tr '\\n' ' '");
    for name in ["HOME", "API_KEY", "OTHER", "CARPORT_HOME"] {
        world.environment.insert(name.into(), "x".into());
    }
    let mut table = table("text");
    table["pass_env"] = json!(["API_KEY"]);
    table["env"] = json!({ "SET": "1" });
    let (_, ended) = run(&world.externals(table), invocation(&world, "t")).await;
    let names: Vec<_> = ended.outcome.answer.split_whitespace().collect();
    let own = |name: &&str| !["_", "PWD", "OLDPWD", "SHLVL"].contains(name);
    let names: Vec<_> = names.into_iter().filter(own).collect();
    assert_eq!(names, ["API_KEY", "CARPORT_AGENT_SHIM", "HOME", "PATH", "SET"]);
}

#[tokio::test]
async fn an_mcp_endpoint_is_handed_over_in_a_private_file_that_goes_with_the_run() {
    let world = World::new();
    world.program("fake-agent", "echo $2; stat -c %a $2; cat $2");
    let mut table = table("text");
    table["run_args"] = json!(["run", "{mcp_config}"]);
    let mut invocation = invocation(&world, "t");
    invocation.mcp_endpoint = Some("http://127.0.0.1:9/mcp".into());
    let (_, ended) = run(&world.externals(table), invocation).await;
    let lines: Vec<_> = ended.outcome.answer.lines().collect();
    assert!(!PathBuf::from(lines[0]).exists());
    assert_eq!(lines[1], "600");
    let servers: Value = serde_json::from_str(lines[2]).unwrap();
    assert_eq!(servers["mcpServers"]["carport"]["url"], "http://127.0.0.1:9/mcp");
}

#[tokio::test]
async fn what_an_agent_cannot_be_told_is_refused_and_only_images_are_handed_over() {
    let world = World::new();
    world.program("fake-agent", "exit 0");
    let mut table = table("text");
    table["run_args"] = json!(["--image={image}", ["-m", "{model}"], "{task}"]);
    table["stdin"] = json!(null);
    let externals = world.externals(table);
    let ready = async |values: Values, mcp| externals.ready("fake", &values, mcp).await;
    let model = Values { model: Some("m".into()), ..Values::default() };
    assert!(ready(model, false).await.is_ok());
    let field = |error| match error {
        ExternalError::CannotBeTold { field, .. } => field,
        error => panic!("{error}"),
    };
    let none = Values { allowed_tools: Some(Vec::new()), ..Values::default() };
    assert_eq!(field(ready(none, false).await.unwrap_err()), "allowed_tools");
    let turns = Values { max_turns: Some(1), ..Values::default() };
    assert_eq!(field(ready(turns, false).await.unwrap_err()), "max_turns");
    assert_eq!(field(ready(Values::default(), true).await.unwrap_err()), "mcp_endpoint");
    let long = Values { task: "t".repeat(128 << 10), ..Values::default() };
    let error = ready(long, false).await.unwrap_err();
    assert!(matches!(error, ExternalError::TaskTooLong { .. }));

    fs::write(world.path("a.png"), b"\x89PNG\r\n\x1a\n").unwrap();
    fs::write(world.path("b.png"), b"no image").unwrap();
    fs::File::create(world.path("c.png")).unwrap().set_len(33 << 20).unwrap();
    let files = ["a.png", "b.png", "c.png", "d.png"].map(|it| world.path(it));
    let images = externals.images("fake", files.to_vec()).unwrap();
    assert_eq!(images, [world.path("a.png").display().to_string()]);
}

#[tokio::test]
async fn an_image_is_handed_over_under_the_path_that_was_looked_at_or_not_at_all() {
    use std::os::unix::ffi::OsStringExt;
    let world = World::new();
    let codex = || carport_agents_external::builtin_tables().remove("codex").unwrap();
    let mut table = serde_json::to_value(codex()).unwrap();
    table["binary"] = json!("fake-agent");
    let externals = world.externals(table.clone());
    let image = |name: &[u8]| {
        let path = world.path("").join(std::ffi::OsString::from_vec(name.to_vec()));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, b"\x89PNG\r\n\x1a\n").unwrap();
        path
    };
    let plain = image(b"a.png");
    let files = vec![plain.clone(), image(b"x,/home/secret.png"), image(b"no\xffutf8.png")];
    let images = externals.images("fake", files.clone()).unwrap();
    assert_eq!(images, [plain.display().to_string()], "a comma makes two paths of one");
    table["image_separator"] = json!(null);
    let images = world.externals(table).images("fake", files).unwrap();
    assert_eq!(images.len(), 2, "who takes a path as it is may have commas");
}

#[tokio::test]
async fn what_runs_is_the_file_that_was_checked_under_the_name_that_was_given() {
    let world = World::new();
    let target = world.program("real/agent", "echo $0");
    std::os::unix::fs::symlink(&target, world.path("fake-agent")).unwrap();
    let (said, _) = run(&world.externals(table("lines")), invocation(&world, "t")).await;
    let target = target.canonicalize().unwrap();
    assert_eq!(said, [token(&format!("{}\n", target.display()))], "not through the link");
    fs::remove_file(world.path("fake-agent")).unwrap();
    std::os::unix::fs::symlink("/bin/sh", world.path("fake-agent")).unwrap();
    let mut named = table("lines");
    named["run_args"] = json!(["-c", "echo $0"]);
    let (said, _) = run(&world.externals(named), invocation(&world, "t")).await;
    assert_eq!(said, [token(&format!("{}\n", world.path("fake-agent").display()))]);
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_an_error_and_slots_are_few() {
    let world = World::new();
    let program = world.program("fake-agent", "exit 0");
    fs::set_permissions(program, fs::Permissions::from_mode(0o644)).unwrap();
    let externals = world.externals(table("text"));
    let stopper = Stopper::default();
    assert!(externals.run("fake", invocation(&world, "t"), &stopper, |_| {}).await.is_err());
    let (_one, two) = (externals.slot().unwrap(), externals.slot().unwrap());
    assert_eq!(externals.slot().unwrap_err(), ExternalError::Busy(2));
    drop(two);
    assert!(externals.slot().is_ok());
}

#[tokio::test]
async fn an_agent_that_speaks_the_client_protocol_takes_one_turn_and_is_ended() {
    let world = World::new();
    let helper = env!("CARGO_BIN_EXE_carport-agents-external-helper");
    let mark = world.path("").display().to_string();
    let table = json!({
        "binary": "fake-agent", "run_args": ["acp-agent"], "output": "acp", "env": { "MARK": mark },
    });
    world.program("fake-agent", &format!("exec {helper} $@"));
    let externals = world.externals(table);
    for (tools, chosen) in [(vec!["execute".to_owned()], "yes"), (Vec::new(), "no")] {
        let mut invocation = invocation(&world, "do it");
        invocation.values.allowed_tools = Some(tools);
        let (said, ended) = run(&externals, invocation).await;
        let text = format!("do it: {chosen}");
        assert_eq!((said, &ended.outcome.answer), (vec![token(&text)], &text));
        assert_eq!((ended.end, ended.outcome.error), (End::Finished, None));
        assert_eq!(ended.outcome.session_id.as_deref(), Some("acp-1"));
        assert_eq!(alive(&mark), 0);
    }
    let listed = externals.list(false, false).await;
    assert!(listed[0].capabilities.streaming && listed[0].capabilities.mcp);
}
