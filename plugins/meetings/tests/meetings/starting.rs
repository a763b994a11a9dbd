//! Starting: what is answered, what is refused, and what a refusal leaves.

use super::*;

#[tokio::test]
async fn a_meeting_is_on_disk_before_it_is_answered() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let started = call(&mut client, "start", json!({ "id": "m1", "title": "Plan", "participants": ["Ann", { "label": "S1", "name": "Bo" }] })).await;
    assert_eq!((&started["id"], &started["status"]), (&json!("m1"), &json!("recording")));
    let stored: Value = serde_json::from_str(&lab.file("m1", "meeting.json")).unwrap();
    assert_eq!(stored["status"], "recording");
    assert_eq!(stored["participants"][1]["name"], "Bo");
    assert_eq!(started["meeting"]["owner"], json!({ "role": "client" }));
    assert_eq!(
        (&started["meeting"]["summary"], &started["meeting"]["version"]),
        (&Value::Null, &json!(1))
    );
    let stream = started["voice_session_id"].as_str().unwrap().to_owned();
    assert_eq!(stream.len(), 32);
    assert_eq!(
        started["sources"],
        json!([{ "source": "main", "voice_session_id": stream, "kind": "pcm_push" }])
    );
    until(async || lab.voice.is_live(&stream)).await;
    let (_, options) = lab.voice.opened.lock().unwrap()[0].clone();
    assert_eq!(options.settled, Some(true));
}

#[tokio::test]
async fn an_id_that_is_a_streams_is_used_as_one() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let id = "0190c5e2a7b47cc08b1d2e3f40516273";
    assert_eq!(begin(&mut client, id).await, id);
    let made = call(&mut client, "start", json!({})).await["id"].as_str().unwrap().to_owned();
    assert!(made.starts_with("m-") && made.len() == 38, "{made}");
}

#[tokio::test]
async fn bad_parameters_are_named_and_leave_nothing() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let pushed = json!({ "kind": "pcm_push" });
    let source = |name: &str| json!({ "source": name, "audio_source": pushed });
    for (params, field) in [
        (json!({ "id": "" }), "id"),
        (json!({ "id": ".x" }), "id"),
        (json!({ "id": "-x" }), "id"),
        (json!({ "id": "a/b" }), "id"),
        (json!({ "id": "x".repeat(65) }), "id"),
        (json!({ "title": "x".repeat(201) }), "title"),
        (json!({ "sources": [] }), "sources"),
        (json!({ "sources": [source("a"), source("a")] }), "sources[1].source"),
        (json!({ "sources": [source("A")] }), "sources[0].source"),
        (
            json!({ "sources": [source("a"), source("b"), source("c"), source("d"), source("e")] }),
            "sources",
        ),
        (json!({ "sources": [source("a")], "audio_source": pushed }), "sources"),
        (json!({ "participants": ["a", "a"] }), "participants[1]"),
        (json!({ "participants": vec!["x"; 65] }), "participants"),
        (json!({ "audio_source": { "kind": "file", "path": "" } }), "audio_source.path"),
    ] {
        assert_eq!(
            refused(&mut client, "start", params.clone()).await,
            (-32602, Some(field.into())),
            "{params}"
        );
    }
    assert_eq!(std::fs::read_dir(lab.host.root().join("meetings")).unwrap().count(), 0);
}

#[tokio::test]
async fn one_source_that_cannot_be_opened_is_the_end_of_all() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    *lab.voice.refuses.lock().unwrap() = Some(1);
    let pushed = json!({ "kind": "pcm_push" });
    let sources = json!([{ "source": "mic", "audio_source": pushed }, { "source": "system", "audio_source": pushed }]);
    let params = json!({ "id": "m1", "sources": sources });
    let error = client.raw("meeting.start", params.clone()).await.unwrap_err();
    assert_eq!(error.code, -32013);
    assert_eq!(error.data.unwrap()["source"], "system");
    let first = lab.voice.opened.lock().unwrap()[0].0.clone();
    assert!(!lab.voice.is_open(&first) && !lab.has_file("m1"));
    // The id and the place are free again.
    *lab.voice.refuses.lock().unwrap() = None;
    call(&mut client, "start", params).await;
}

#[tokio::test]
async fn one_id_is_one_meeting() {
    let lab = Lab::start().await;
    let (mut one, mut other) = (lab.host.client().await, lab.host.client().await);
    let ids = (
        one.send("meeting.start", json!({ "id": "m1" })).await,
        other.send("meeting.start", json!({ "id": "m1" })).await,
    );
    let replies = (one.reply(ids.0).await, other.reply(ids.1).await);
    let codes: Vec<_> =
        [replies.0, replies.1].into_iter().filter_map(|it| it.err()).map(|it| it.code).collect();
    assert_eq!(codes, [-32008]);
    let mut host = lab.host.host().await;
    call(&mut host, "stop", json!({ "meeting_id": "m1" })).await;
    assert_eq!(refused(&mut one, "start", json!({ "id": "m1" })).await.0, -32008, "it is on disk");
}

#[tokio::test]
async fn an_operator_may_allow_more_meetings() {
    let limits = json!({ "live": 10, "live_per_connection": 9, "summary": "extractive" });
    let lab = Lab::with(limits).await;
    let (mut one, mut two) = (lab.host.client().await, lab.host.client().await);
    let mut streams = Vec::new();
    for nth in 0..9 {
        streams.push(begin(&mut one, &format!("m{nth}")).await);
    }
    let error = one.raw("meeting.start", json!({})).await.unwrap_err();
    assert_eq!((error.code, &error.data.unwrap()["limit"]), (-32012, &json!(9)));
    assert!(error.message.contains("`meetings.live_per_connection`"), "{}", error.message);
    streams.push(begin(&mut two, "m9").await);
    let error = two.raw("meeting.start", json!({})).await.unwrap_err();
    assert_eq!((error.code, &error.data.unwrap()["limit"]), (-32009, &json!(10)));
    assert!(error.message.contains("`meetings.live`"), "{}", error.message);
    // Each has its own.
    for (nth, stream) in streams.iter().enumerate() {
        lab.voice.says(stream, 0, "S1", &format!("Said in m{nth}."));
    }
    let mut host = lab.host.host().await;
    for nth in 0..10 {
        let stopped = call(&mut host, "stop", json!({ "id": format!("m{nth}") })).await;
        let expected = [(0, "S1".to_owned(), format!("Said in m{nth}."))];
        assert_eq!(lines(&stopped["transcript"]), expected);
    }
}

#[tokio::test]
async fn a_connection_has_two_meetings_and_the_daemon_eight() {
    let lab = Lab::start().await;
    let mut clients = Vec::new();
    for nth in 0..4 {
        let mut client = lab.host.client().await;
        begin(&mut client, &format!("a{nth}")).await;
        begin(&mut client, &format!("b{nth}")).await;
        assert_eq!(refused(&mut client, "start", json!({})).await.0, -32012);
        clients.push(client);
    }
    let mut late = lab.host.client().await;
    assert_eq!(refused(&mut late, "start", json!({})).await.0, -32009);
    call(&mut clients[0], "stop", json!({ "id": "a0" })).await;
    begin(&mut late, "late").await;
}
