//! Lists and pages, and directories that nobody may look into.

use super::*;

#[tokio::test]
async fn the_newest_come_first_in_pages() {
    let clock = Arc::new(Hands::at(0));
    let builder = TestHost::builder().clock(clock.clone());
    let lab = Lab::of(builder, json!({ "summary": "off" })).await;
    let mut client = lab.host.client().await;
    for (id, minute) in [("c", 1), ("a", 2), ("b", 3)] {
        clock.set(minute);
        begin(&mut client, id).await;
        call(&mut client, "stop", json!({ "id": id })).await;
    }
    std::fs::create_dir(lab.host.root().join("meetings/broken")).unwrap();
    let ids = |page: &Value| {
        page["meetings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let page = call(&mut client, "list", json!({ "limit": 2 })).await;
    assert_eq!((ids(&page), &page["next"]), (vec!["b".into(), "a".into()], &json!("a")));
    let page = call(&mut client, "list", json!({ "limit": 2, "before": "a" })).await;
    assert_eq!((ids(&page), page.get("next")), (vec!["c".into()], None));
    assert_eq!(
        refused(&mut client, "list", json!({ "before": "x" })).await,
        (-32602, Some("before".into()))
    );
    assert_eq!(
        refused(&mut client, "list", json!({ "limit": 0 })).await,
        (-32602, Some("limit".into()))
    );
}

#[tokio::test]
async fn long_records_come_in_pages_that_fit_a_message() {
    let lab = Lab::with(json!({ "summary": "off" })).await;
    let mut client = lab.host.client().await;
    begin(&mut client, "m").await;
    call(&mut client, "stop", json!({ "id": "m" })).await;
    let mut record: Value = serde_json::from_str(&lab.file("m", "meeting.json")).unwrap();
    record["languages"] = json!(["x".repeat(200 << 10)]);
    let root = lab.host.root().join("meetings");
    for nth in 0..34 {
        record["id"] = format!("m{nth:02}").into();
        let directory = root.join(format!("m{nth:02}"));
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("meeting.json"), record.to_string()).unwrap();
    }
    let (mut ids, mut before) = (Vec::new(), Value::Null);
    loop {
        let page = call(&mut client, "list", json!({ "limit": 1000, "before": before })).await;
        assert!(page.to_string().len() < 8 << 20);
        let listed = page["meetings"].as_array().unwrap();
        ids.extend(listed.iter().map(|it| it["id"].as_str().unwrap().to_owned()));
        before = page["next"].clone();
        if before == Value::Null {
            break;
        }
    }
    let expected = ["m".to_owned()].into_iter().chain((0..34).map(|nth| format!("m{nth:02}")));
    assert_eq!(ids, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn a_transcript_comes_in_pages() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let stream = begin(&mut client, "m1").await;
    for n in 0..7 {
        lab.voice.says(&stream, n, "S1", "Some words.");
    }
    heard(&mut client, "m1", 7).await;
    for _ in 0..2 {
        let mut numbers = Vec::new();
        let mut from = json!(0);
        while from != Value::Null {
            let got =
                call(&mut client, "get", json!({ "meeting_id": "m1", "from": from, "limit": 3 }))
                    .await;
            numbers.extend(lines(&got["transcript"]).into_iter().map(|it| it.0));
            from = got["next"].clone();
        }
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6]);
        // Then of the files of one that is over.
        let _ = client.raw("meeting.stop", json!({ "id": "m1" })).await;
    }
}

#[tokio::test]
async fn only_listed_directories_are_read() {
    let elsewhere = Lab::start().await;
    let mut client = elsewhere.host.client().await;
    begin(&mut client, "old").await;
    call(&mut client, "stop", json!({ "id": "old" })).await;
    let root = elsewhere.host.root().join("meetings").to_str().unwrap().to_owned();

    let lab = Lab::with(json!({ "roots": [root] })).await;
    let mut client = lab.host.client().await;
    let listed = call(&mut client, "list", json!({ "root": root })).await;
    assert_eq!(listed["meetings"][0]["id"], "old");
    call(&mut client, "get", json!({ "root": root, "meeting_id": "old" })).await;
    assert_eq!(call(&mut client, "list", json!({})).await["meetings"], json!([]));
    let own = lab.host.root().join("meetings").to_str().unwrap().to_owned();
    for root in ["", own.as_str()] {
        assert_eq!(call(&mut client, "list", json!({ "root": root })).await["meetings"], json!([]));
    }
    for bad in ["/", "/etc", "meetings", &format!("{root}/.."), &format!("{root}/../meetings")] {
        let code = refused(&mut client, "list", json!({ "root": bad })).await;
        assert_eq!(code, (-32602, Some("root".into())), "{bad}");
        let code = refused(&mut client, "get", json!({ "root": bad, "meeting_id": "old" })).await;
        assert_eq!(code, (-32602, Some("root".into())), "{bad}");
    }

    let lab = Lab::with(json!({ "foreign_root": "empty" })).await;
    let mut client = lab.host.client().await;
    assert_eq!(call(&mut client, "list", json!({ "root": root })).await, json!({ "meetings": [] }));
    assert_eq!(
        refused(&mut client, "get", json!({ "root": root, "meeting_id": "old" })).await.0,
        -32007
    );
}

#[tokio::test]
async fn bad_ids_are_refused_and_unknown_ones_not_found() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    for bad in ["", "..", "../x", "a/b", "a b", "\u{0}", &"x".repeat(65)] {
        for method in ["get", "stop", "subscribe", "unsubscribe", "delete"] {
            let code = refused(&mut client, method, json!({ "meeting_id": bad })).await;
            assert_eq!(code, (-32602, Some("meeting_id".into())), "{method} {bad}");
        }
    }
    for method in ["get", "stop", "subscribe"] {
        assert_eq!(
            refused(&mut client, method, json!({ "meeting_id": "m9" })).await.0,
            -32007,
            "{method}"
        );
    }
}
