//! A disk that hangs: the meeting ends, whoever started it hears of that, and nothing in the file is out of place.

use super::*;

/// What goes to the disk aside has one thread.
fn on_one_thread(test: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().max_blocking_threads(1).build().unwrap();
    runtime.block_on(test);
}

#[test]
fn a_disk_that_hangs_ends_the_meeting_and_its_starter_hears_it() {
    on_one_thread(hang());
}

#[test]
fn a_stop_is_answered_though_the_disk_hangs() {
    on_one_thread(stop_and_hang());
}

async fn stop_and_hang() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let stream = begin(&mut client, "m1").await;
    let (go_on, waits) = std::sync::mpsc::channel::<()>();
    let hung = tokio::task::spawn_blocking(move || waits.recv().is_err());
    lab.voice.says(&stream, 0, "S1", "Segment 0.");
    heard(&mut client, "m1", 1).await;
    lab.voice.drained.send_replace(false);
    let stop = client.send("meeting.stop", json!({ "id": "m1" })).await;
    // It is being stopped when this is answered, for calls begin in their order.
    call(&mut client, "unsubscribe", json!({ "meeting_id": "m1" })).await;
    for n in 1..1500 {
        lab.voice.says(&stream, n, "S1", &format!("Segment {n}."));
    }
    lab.voice.drained.send_replace(true);
    until(async || !lab.voice.is_open(&stream)).await;
    tokio::time::pause();
    for _ in 0..13 {
        tokio::time::advance(Duration::from_secs(5)).await;
        // A connection that says nothing for so long is closed.
        call(&mut client, "unsubscribe", json!({ "meeting_id": "m1" })).await;
    }
    tokio::time::resume();
    let stopped = client.reply(stop).await.unwrap();
    assert_eq!(
        (&stopped["status"], &stopped["meeting"]["ended_by"], &stopped["summary"]),
        (&json!("failed"), &json!("write_error"), &Value::Null)
    );
    drop(go_on);
    assert!(hung.await.unwrap());
    // What had found room is written then.
    until(async || lab.file("m1", "meeting.json").contains("\"segments\":1025")).await;
    assert!(lab.file("m1", "meeting.json").contains("\"failed\""));
}

async fn hang() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let stream = begin(&mut client, "m1").await;
    let (go_on, waits) = std::sync::mpsc::channel::<()>();
    let hung = tokio::task::spawn_blocking(move || waits.recv().is_err());
    // Somebody who is new is put into the record, which waits for that thread.
    lab.voice.says(&stream, 0, "S1", "Segment 0.");
    heard(&mut client, "m1", 1).await;
    for n in 1..1500 {
        lab.voice.says(&stream, n, "S1", &format!("Segment {n}."));
    }
    let told = event(&mut client).await;
    assert_eq!(
        (&told["type"], &told["status"], &told["ended_by"]),
        (&json!("status"), &json!("failed"), &json!("write_error"))
    );
    assert!(!lab.voice.is_open(&stream));
    drop(go_on);
    assert!(hung.await.unwrap());
    // What had found room is written then.
    until(async || lab.file("m1", "meeting.json").contains("\"segments\":1025")).await;
    let stored: Value = serde_json::from_str(&lab.file("m1", "meeting.json")).unwrap();
    assert_eq!((&stored["status"], &stored["ended_by"]), (&json!("failed"), &json!("write_error")));
    let text = lab.file("m1", "transcript.jsonl");
    let numbers = text.lines().map(|it| serde_json::from_str::<Value>(it).unwrap()["n"].clone());
    assert_eq!(numbers.collect::<Vec<_>>(), (0..1025).map(Value::from).collect::<Vec<_>>());
    assert!(!client.has_heard(|it| it["method"] == "meeting.event").await, "it was told once");
}
