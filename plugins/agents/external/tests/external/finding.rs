//! What is found, and how it is.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use carport_agents_external::{Execution, ExternalAgentSpec, ExternalError, HealthStatus, Values};
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::World;

fn table() -> Value {
    json!({ "binary": "fake-agent", "run_args": ["{task}"] })
}

async fn found(world: &World, table: Value) -> ExternalAgentSpec {
    let mut all = world.externals(table).list(false, false).await;
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn reason(spec: &ExternalAgentSpec) -> &str {
    match &spec.execution {
        Execution::Unusable { reason, .. } => reason,
        Execution::Runnable => panic!("{spec:?}"),
    }
}

#[tokio::test]
async fn a_program_that_answers_is_found_along_the_path_and_kept_until_somebody_looks_again() {
    let world = World::new();
    let counting = "echo x >> $0.asked; echo; echo 'fake 1.0'";
    let program = world.program("fake-agent", counting);
    let externals = world.externals(table());
    let all = externals.list(false, false).await;
    assert_eq!(all[0].execution, Execution::Runnable);
    assert_eq!(all[0].version.as_deref(), Some("fake 1.0"));
    assert_eq!(all[0].binary_path, program.display().to_string());
    assert_eq!(all[0].display_name, "fake");
    let asked = || fs::read_to_string(world.path("fake-agent.asked")).unwrap().lines().count();
    let (_, _) = tokio::join!(externals.list(false, false), externals.list(false, false));
    assert_eq!(asked(), 1);
    fs::remove_file(&program).unwrap();
    assert_eq!(externals.list(false, false).await, all, "nobody looked again");
    let error = externals.ready("fake", &Values::default(), false).await.unwrap_err();
    assert!(matches!(error, ExternalError::Unusable { .. }), "but a run is held against the rules");
    let gone = externals.list(true, false).await;
    assert_eq!(reason(&gone[0]), "`fake-agent` is not on the PATH");
    let error = externals.ready("fake", &Values::default(), false).await.unwrap_err();
    assert!(matches!(error, ExternalError::Unusable { .. }));
}

#[tokio::test]
async fn programs_are_tried_until_one_runs_and_scratch_directories_are_passed_over() {
    let mut world = World::new();
    world.program("scratch/fake-agent", "echo scratch");
    world.program("broken/fake-agent", "exit 3");
    let plain = world.program("plain/fake-agent", "echo no");
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o644)).unwrap();
    let good = world.program("good/fake-agent", "echo good");
    let place = |name| world.path(name).display().to_string();
    let path = ["scratch", "broken", "plain", "good"].map(place).join(":");
    world.environment.insert("PATH".into(), format!("relative::{path}:/bin"));
    let spec = found(&world, table()).await;
    assert_eq!(
        (&*spec.binary_path, spec.version.as_deref()),
        (good.to_str().unwrap(), Some("good"))
    );
    fs::remove_file(good).unwrap();
    let spec = found(&world, table()).await;
    let reason = reason(&spec);
    for why in ["C4", "scratch directory", "ended with code 3", "is not executable"] {
        assert!(reason.contains(why), "{why}: {reason}");
    }
}

#[tokio::test]
async fn a_program_that_hangs_is_ended_whole_when_its_time_is_over() {
    let mut world = World::new();
    world.ask_limit = Duration::from_millis(400);
    let mark = world.path("").display().to_string();
    world.program("fake-agent", "setsid sleep 1000 & sleep 1000");
    let mut table = table();
    table["env"] = json!({ "MARK": mark });
    let spec = found(&world, table).await;
    assert!(reason(&spec).ends_with("no answer within 0.4 s"), "{spec:?}");
    assert_eq!(crate::alive(&mark), 0);
}

#[tokio::test]
async fn a_variable_ends_the_search_also_when_what_it_names_does_not_run() {
    let mut world = World::new();
    world.program("fake-agent", "echo found");
    let named = world.program("elsewhere", "echo named");
    for name in ["CAR_FAKE_BIN", "CARPORT_FAKE_BIN"] {
        world.environment.insert(name.into(), named.display().to_string());
        assert_eq!(found(&world, table()).await.version.as_deref(), Some("named"));
        world.environment.insert(name.into(), "/no/such/program".into());
        let spec = found(&world, table()).await;
        assert!(reason(&spec).contains("/no/such/program"));
        assert_eq!(spec.binary_path, "/no/such/program");
    }
}

#[tokio::test]
async fn a_sign_in_question_is_asked_once_in_half_a_minute() {
    let world = World::new();
    let script = "
        [ \"$1\" = --version ] && exit 0
        echo x >> $0.asked
        cat $0.says; exit $(cat $0.code)";
    world.program("fake-agent", script);
    let says = |code: &str, text: &str| {
        fs::write(world.path("fake-agent.code"), code).unwrap();
        fs::write(world.path("fake-agent.says"), text).unwrap();
    };
    let mut table = table();
    table["sign_in_args"] = json!(["login", "status"]);
    table["sign_in_says"] = json!({ "expired": ["has expired"], "network_error": ["unreachable"] });
    let externals = world.externals(table);
    let asked = async |force| externals.health(Some("fake"), force).await.unwrap().remove(0);
    says("0", "signed in as somebody");
    let ready = asked(false).await;
    assert_eq!((ready.status, ready.reason), (HealthStatus::Ready, None));
    assert_eq!(ready.details["exit_code"], 0);
    says("1", "Your session HAS EXPIRED. Bearer abc");
    assert_eq!(asked(false).await.status, HealthStatus::Ready);
    world.clock.advance(TimeDelta::seconds(29));
    assert_eq!(asked(false).await.status, HealthStatus::Ready);
    world.clock.advance(TimeDelta::seconds(1));
    let expired = asked(false).await;
    assert_eq!(expired.status, HealthStatus::Expired);
    assert_eq!(expired.reason.as_deref(), Some("Your session HAS EXPIRED. Bearer ***"));
    says("1", "host unreachable");
    assert_eq!(asked(true).await.status, HealthStatus::NetworkError);
    says("1", "who are you?");
    assert_eq!(asked(true).await.status, HealthStatus::NotConfigured);
    let count = fs::read_to_string(world.path("fake-agent.asked")).unwrap().lines().count();
    assert_eq!(count, 4);
    let spec = externals.list(false, true).await.remove(0);
    assert_eq!(spec.health.unwrap().status, HealthStatus::NotConfigured);
    assert_eq!(spec.execution, Execution::Runnable, "health changes nothing of what was found");
}

#[tokio::test]
async fn who_cannot_be_asked_is_unknown_and_who_does_not_run_is_not_executable() {
    let world = World::new();
    let missing = world.externals(table()).health(None, false).await.unwrap();
    assert_eq!(missing[0].status, HealthStatus::NotExecutable);
    world.program("fake-agent", "exit 0");
    let mute = world.externals(table()).health(None, false).await.unwrap();
    assert_eq!(mute[0].status, HealthStatus::Unknown);
    let error = world.externals(table()).health(Some("nobody"), false).await.unwrap_err();
    assert_eq!(error, ExternalError::Unknown("nobody".into()));
}

#[tokio::test]
async fn a_program_that_breaks_the_rules_by_now_is_asked_nothing() {
    let world = World::new();
    let program = world.program("fake-agent", "[ \"$1\" = --version ] || echo x >> $0.asked");
    let mut table = table();
    table["sign_in_args"] = json!(["status"]);
    let externals = world.externals(table);
    let asked = || world.path("fake-agent.asked").exists();
    assert_eq!(externals.list(false, false).await[0].execution, Execution::Runnable);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o757)).unwrap();
    let health = externals.health(Some("fake"), true).await.unwrap().remove(0);
    assert_eq!((health.status, asked()), (HealthStatus::Unknown, false));
    assert!(health.reason.unwrap().contains("fake-agent"));
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let health = externals.health(Some("fake"), true).await.unwrap().remove(0);
    assert_eq!((health.status, asked()), (HealthStatus::Ready, true));
}
