//! What is on disk, and what survives there.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use carport_core::{Durability, testing::TestHost};
use serde_json::{Value, json};

use crate::{complete, record, start, start_with_key, trace};

fn file(host: &TestHost, agent: &str, run: &str) -> PathBuf {
    host.root().join("runs").join(agent).join(format!("{run}.jsonl"))
}

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn files_are_private_and_a_line_a_record() {
    let host = TestHost::start().await;
    let mut agent = host.agent("builder").await;
    start_with_key(&mut agent, "job").await;
    record(&mut agent, "job", "t").await;
    complete(&mut agent, "job").await;
    let path = file(&host, "builder", "job");
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    for suffix in ["", "-wal", "-shm"] {
        let index = host.root().join(format!("runs/.index.sqlite{suffix}"));
        assert_eq!(mode(&index), 0o600, "{suffix}");
    }
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<Value> = text.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    assert!(text.ends_with('\n') && lines.len() == 3);
    assert!(text.starts_with(r#"{"record":"started","format":1,"run_id":"job""#), "{text}");
    let mut expected = lines;
    expected[0].as_object_mut().unwrap().remove("format");
    assert_eq!(trace(&host, "job").await, expected, "records equal the file, field for field");
}

#[tokio::test]
async fn names_that_try_to_leave_stay_inside() {
    let host = TestHost::start().await;
    let mut person = host.host().await;
    let mut files = Vec::new();
    for agent in ["../x", "a/b", "A", "a"] {
        let params = json!({ "intent": "x", "agent_id": agent, "idempotency_key": "k" });
        let reply = person.raw("runs.start", params.clone()).await;
        // One run id is one run: the second agent under it is told so.
        if reply.is_err() {
            let mut params = params;
            params["idempotency_key"] = json!(format!("k{}", files.len()));
            person.raw("runs.start", params).await.unwrap();
        }
        files.push(agent);
    }
    let entries = fs::read_dir(host.root().join("runs")).unwrap().map(|it| it.unwrap());
    let directories: Vec<_> =
        entries.filter(|it| it.path().is_dir()).map(|it| it.file_name()).collect();
    assert_eq!(directories.len(), 4, "{directories:?}");
    assert!(!host.root().join("x").exists());
}

#[tokio::test]
async fn a_file_cut_at_every_byte_loads_and_loses_at_most_its_last_record() {
    let host = TestHost::start().await;
    let mut agent = host.agent("builder").await;
    start_with_key(&mut agent, "job").await;
    for tool in ["one", "two", "three"] {
        record(&mut agent, "job", tool).await;
    }
    complete(&mut agent, "job").await;
    let whole = fs::read(file(&host, "builder", "job")).unwrap();
    let records = trace(&host, "job").await;
    for length in (0..whole.len()).step_by(7).chain(whole.len() - 3..=whole.len()) {
        let cut = TestHost::builder();
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("runs/builder");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("job.jsonl"), &whole[..length]).unwrap();
        let cut = cut.config(|it| it.state_root = Some(root.path().into())).start().await;
        let read = trace(&cut, "job").await;
        let lines = whole[..length].iter().filter(|byte| **byte == b'\n').count();
        match lines {
            0 => assert!(read.is_empty(), "a run whose start was torn never was"),
            5 => assert_eq!(read, records),
            lines => {
                assert_eq!(read[..lines], records[..lines], "cut at {length}");
                assert_eq!(read.len(), lines + 1);
                assert_eq!(read[lines]["termination"]["reason"], "restart");
                assert_eq!(read[lines]["turn_count"], lines - 1);
                let late = record(&mut cut.agent("builder").await, "job", "late").await;
                assert_eq!(late.dropped, Some(carport_runs::Dropped::RunTerminal));
            }
        }
    }
}

#[tokio::test]
async fn lines_that_do_not_read_are_passed_over_reported_and_kept_aside() {
    let host = TestHost::start().await;
    let mut agent = host.agent("builder").await;
    start_with_key(&mut agent, "job").await;
    for tool in ["one", "two"] {
        record(&mut agent, "job", tool).await;
    }
    let path = file(&host, "builder", "job");
    let mut lines: Vec<_> = fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
    lines.insert(2, "garbage in the middle".into());
    lines.push("{\"record\":\"turn\",".into());
    fs::write(&path, format!("{}\n", lines.join("\n"))).unwrap();
    for _ in 0..2 {
        // The second time, the file ends with what an adoption wrote and with new garbage.
        let next = TestHost::builder().on_root_of(&host).start().await;
        let mut person = next.host().await;
        let read = person.raw("runs.get_trace", json!({ "run_id": "job" })).await.unwrap();
        let records = read["records"].as_array().unwrap();
        assert_eq!(records.len(), 4, "{records:?}");
        assert_eq!(
            (&records[3]["record"], &records[3]["turn_count"]),
            (&json!("ended"), &json!(2))
        );
        let unreadable = read["unreadable"].as_u64().unwrap();
        // Page by page, each is reported once.
        let (mut cursor, mut sum) = (Some(0), 0);
        while let Some(from) = cursor {
            let page = json!({ "run_id": "job", "cursor": from, "limit": 1 });
            let page = person.raw("runs.get_trace", page).await.unwrap();
            sum += page["unreadable"].as_u64().unwrap_or(0);
            cursor = page["next_cursor"].as_u64();
        }
        assert_eq!(sum, unreadable);
        next.stop().await;
        let aside = fs::read_to_string(format!("{}.unreadable", path.display())).unwrap();
        assert_eq!(aside, "garbage in the middle\n{\"record\":\"turn\",\n");
        let mut text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("garbage in the middle"), "the file itself stays as it is");
        text.push_str("garbage at the end\n");
        fs::write(&path, text).unwrap();
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_to_refuses_and_recovers() {
    let host = TestHost::start().await;
    let mut agent = host.agent("builder").await;
    let run_id = start(&mut agent, "x").await;
    let directory = host.root().join("runs/builder");
    // Root passes over permissions, so that a file in the place of the directory stands for them.
    let aside = host.root().join("aside");
    fs::rename(&directory, &aside).unwrap();
    fs::write(&directory, "").unwrap();
    let error = agent.raw("runs.start", json!({ "intent": "y" })).await.unwrap_err();
    assert_eq!((error.code, &error.data.unwrap()["retryable"]), (-32603, &json!(true)));
    fs::remove_file(&directory).unwrap();
    fs::rename(&aside, &directory).unwrap();
    start(&mut agent, "y").await;
    assert!(record(&mut agent, &run_id, "t").await.ok);
}

#[tokio::test]
async fn a_link_in_the_place_of_a_run_is_not_followed() {
    let host = TestHost::start().await;
    let directory = host.root().join("runs/builder");
    fs::create_dir_all(&directory).unwrap();
    let target = host.root().join("target");
    fs::write(&target, "untouched").unwrap();
    std::os::unix::fs::symlink(&target, directory.join("job.jsonl")).unwrap();
    let mut agent = host.agent("builder").await;
    let params = json!({ "intent": "x", "idempotency_key": "job" });
    assert!(agent.raw("runs.start", params).await.is_err());
    assert_eq!(fs::read_to_string(target).unwrap(), "untouched");
}

#[tokio::test]
async fn a_link_in_the_place_of_an_agents_directory_is_not_followed() {
    let host = TestHost::start().await;
    let elsewhere = host.root().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, host.root().join("runs/builder")).unwrap();
    let mut agent = host.agent("builder").await;
    assert!(agent.raw("runs.start", json!({ "intent": "x" })).await.is_err());
    assert_eq!(fs::read_dir(elsewhere).unwrap().count(), 0);
}

#[tokio::test]
async fn a_follower_of_a_damaged_run_gets_its_turns_and_nothing_else() {
    let host = TestHost::start().await;
    let mut agent = host.agent("builder").await;
    start_with_key(&mut agent, "job").await;
    for tool in ["one", "two", "three"] {
        record(&mut agent, "job", tool).await;
    }
    complete(&mut agent, "job").await;
    let path = file(&host, "builder", "job");
    let text =
        fs::read_to_string(&path).unwrap().replace(r#"{"record":"turn","index":1"#, "damaged");
    fs::write(&path, text).unwrap();
    let followed = agent.raw("runs.subscribe", json!({ "run_id": "job" })).await.unwrap();
    let turns = followed["turns_so_far"].as_array().unwrap().iter();
    let indices: Vec<_> = turns.map(|it| it["index"].as_u64().unwrap()).collect();
    assert_eq!((indices, &followed["cursor"]), (vec![0, 2], &json!(3)));
}

#[tokio::test]
async fn every_durability_records() {
    for durability in [Durability::Process, Durability::Interval, Durability::Record] {
        let host = TestHost::builder().settings(|it| it.durability = durability).start().await;
        let mut agent = host.agent("builder").await;
        let run_id = start(&mut agent, "x").await;
        for _ in 0..3 {
            record(&mut agent, &run_id, "t").await;
        }
        host.stop().await;
        assert_eq!(
            trace(&TestHost::builder().on_root_of(&host).start().await, &run_id).await.len(),
            5
        );
    }
}

#[tokio::test]
async fn a_key_that_is_too_long_for_a_file_is_refused() {
    let host = TestHost::start().await;
    let mut agent = host.agent("builder").await;
    let params = json!({ "intent": "x", "idempotency_key": "k".repeat(128) });
    assert!(agent.raw("runs.start", params).await.is_ok());
    // A name whose encoding is too long for a file.
    let params = json!({ "intent": "x", "idempotency_key": "K".repeat(128) });
    let error = agent.raw("runs.start", params).await.unwrap_err();
    assert_eq!(error.code, carport_core::codes::INVALID_PARAMS);
    assert_eq!(error.field(), Some("idempotency_key"));
}
