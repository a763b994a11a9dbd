//! How parameters are read: spellings, nulls, enums of the other version, and faults with their places.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::needless_pass_by_value, reason = "what `json!` makes is handed on")]

use carport_a2a_types::{
    Content, GetTask, ListTasks, Message, NewPushConfig, PushConfig, PushConfigOf, Role,
    SendMessage, TaskState, Version,
    read::{MAX_NESTING, MAX_WORD_BYTES, read},
    v03,
};
use serde_json::{Value, json};

fn fields<T: carport_a2a_types::read::Read>(value: Value, version: Version) -> Vec<String> {
    let error = read::<T>(value, version).err().expect("faults");
    error.violations().iter().map(|it| it.field.clone()).collect()
}

fn part(part: Value, version: Version) -> Option<Content> {
    let message = json!({ "messageId": "m", "role": "user", "parts": [part] });
    Some(read::<Message>(message, version).ok()?.parts.remove(0).content)
}

#[test]
fn an_empty_message_lacks_three_members() {
    for version in [Version::V1, Version::V03] {
        let expected = ["message.messageId", "message.role", "message.parts"];
        assert_eq!(fields::<SendMessage>(json!({ "message": {} }), version), expected);
        assert_eq!(fields::<SendMessage>(json!({}), version), ["message"]);
        assert_eq!(fields::<SendMessage>(json!([]), version), [""]);
    }
}

#[test]
fn faults_name_their_places() {
    let message = json!({ "messageId": "", "role": "ROLE_KING", "parts": [
        { "text": 7 }, { "text": "a", "url": "b" }, { "raw": "!" }, {}, 7,
    ], "extensions": [1] });
    let expected = [
        "message.messageId",
        "message.role",
        "message.parts[0].text",
        "message.parts[0]",
        "message.parts[1]",
        "message.parts[2].raw",
        "message.parts[2]",
        "message.parts[3]",
        "message.parts[4]",
        "message.extensions[0]",
    ];
    assert_eq!(fields::<SendMessage>(json!({ "message": message }), Version::V1), expected);
}

#[test]
fn camel_case_wins_and_null_is_absent() {
    let both = json!({ "message_id": "snake", "messageId": "camel", "role": "ROLE_USER",
        "parts": [{ "text": "a" }], "contextId": null, "context_id": "c", "more": 1 });
    let message: Message = read(both, Version::V1).unwrap();
    assert_eq!((message.message_id.as_str(), message.context_id.as_deref()), ("camel", Some("c")));
    assert_eq!(message.role, Role::User);
}

#[test]
fn a_part_holds_one_thing() {
    let v1 = |it| part(it, Version::V1);
    assert_eq!(v1(json!({ "text": "" })), Some(Content::Text(String::new())));
    assert_eq!(v1(json!({ "data": null })), Some(Content::Data(Value::Null)));
    assert_eq!(v1(json!({ "text": "a", "data": null })), Some(Content::Text("a".into())));
    assert_eq!(v1(json!({ "raw": "_-8" })), Some(Content::Raw(vec![0xff, 0xef])));
    assert_eq!(v1(json!({ "data": 42 })), Some(Content::Data(json!(42))));
    for bad in [json!({}), json!({ "text": "a", "data": 1 }), json!({ "url": "" }), json!("a")] {
        assert_eq!(v1(bad.clone()), None, "{bad}");
    }
}

#[test]
fn a_value_that_is_no_object_is_wrapped_in_the_older_version_only() {
    let wrapped = json!({ "data": { "value": 5 }, "metadata": { "data_part_compat": true } });
    assert_eq!(part(wrapped.clone(), Version::V03), Some(Content::Data(json!(5))));
    assert_eq!(part(wrapped.clone(), Version::V1), Some(Content::Data(json!({ "value": 5 }))));

    // What bears the mark of a wrapper without being one keeps its data.
    let message = json!({ "messageId": "m", "role": "user", "parts": [wrapped] });
    let message: Message = read(message, Version::V1).unwrap();
    let older = serde_json::to_value(v03::Message::from(message)).unwrap();
    let back: Message = read(older, Version::V03).unwrap();
    assert_eq!(back.parts[0].content, Content::Data(json!({ "value": 5 })));
}

#[test]
fn numbers_keep_their_form() {
    let text =
        r#"{"messageId":"m","role":"ROLE_USER","parts":[{"data":{"a":42,"b":42.0,"c":1.5}}]}"#;
    let message: Message = serde_json::from_str(text).unwrap();
    let written = serde_json::to_string(&message).unwrap();
    assert!(written.contains(r#"{"a":42,"b":42.0,"c":1.5}"#), "{written}");
}

#[test]
fn a_call_of_the_older_version_waits_unless_it_says_no() {
    let send = |configuration: Value| {
        let message = json!({ "messageId": "m", "role": "user", "parts": [{ "text": "a" }] });
        let params = json!({ "message": message, "configuration": configuration });
        read::<SendMessage>(params, Version::V03).unwrap().configuration.unwrap()
    };
    assert!(!send(json!({})).return_immediately);
    assert!(!send(json!({ "blocking": true })).return_immediately);
    assert!(send(json!({ "blocking": false })).return_immediately);
    let config = json!({ "pushNotificationConfig": { "url": "https://a.example/" } });
    assert!(send(config).task_push_notification_config.is_some());
}

#[test]
fn words_of_the_other_version_are_understood() {
    for state in TaskState::ALL {
        for word in [state.v1(), state.v03()] {
            let list: ListTasks = read(json!({ "status": word }), Version::V1).unwrap();
            let filters = state != TaskState::Unspecified;
            assert_eq!(list.status, filters.then_some(state), "{word}");
        }
    }
}

#[test]
fn numbers_of_enums_are_names() {
    for (number, state) in TaskState::ALL.into_iter().enumerate().skip(1) {
        let list: ListTasks = read(json!({ "status": number }), Version::V1).unwrap();
        assert_eq!(list.status, Some(state));
    }
    for bad in [json!(9), json!(-1), json!(1.5), json!("1"), json!(true)] {
        assert_eq!(fields::<ListTasks>(json!({ "status": bad }), Version::V1), ["status"], "{bad}");
    }
    let role = |role: Value| {
        let message = json!({ "messageId": "m", "role": role, "parts": [{ "text": "a" }] });
        read::<Message>(message, Version::V1).ok().map(|it| it.role)
    };
    assert_eq!((role(json!(1)), role(json!(2))), (Some(Role::User), Some(Role::Agent)));
    assert_eq!((role(json!(0)), role(json!(3))), (None, None));
}

#[test]
fn numbers_may_be_texts_and_truths_may_not() {
    let params = json!({ "pageSize": "10", "historyLength": 2.0, "includeArtifacts": true });
    let list: ListTasks = read(params, Version::V1).unwrap();
    assert_eq!((list.page_size, list.history_length, list.include_artifacts), (10, Some(2), true));
    let params = json!({ "pageSize": "ten", "historyLength": "", "includeArtifacts": "true" });
    let expected = ["pageSize", "historyLength", "includeArtifacts"];
    assert_eq!(fields::<ListTasks>(params, Version::V1), expected);
    let of = |truth: Value| {
        let message = json!({ "messageId": "m", "role": 1, "parts": [{ "text": "a" }] });
        json!({ "message": message, "configuration": { "returnImmediately": truth } })
    };
    let expected = ["configuration.returnImmediately"];
    assert!(read::<SendMessage>(of(json!(false)), Version::V1).is_ok());
    for bad in [json!("false"), json!(0), json!({})] {
        assert_eq!(fields::<SendMessage>(of(bad), Version::V1), expected);
    }
}

#[test]
fn pages_and_lengths_have_bounds() {
    for (params, field) in [
        (json!({ "pageSize": 0 }), "pageSize"),
        (json!({ "pageSize": 101 }), "pageSize"),
        (json!({ "page_size": -1 }), "pageSize"),
        (json!({ "status": "TASK_STATE_ASLEEP" }), "status"),
        (json!({ "historyLength": 1.5 }), "historyLength"),
        (json!({ "statusTimestampAfter": "yesterday" }), "statusTimestampAfter"),
    ] {
        assert_eq!(fields::<ListTasks>(params, Version::V1), [field]);
    }
    assert_eq!(read::<ListTasks>(json!({}), Version::V1).unwrap(), ListTasks::default());
    assert_eq!(fields::<GetTask>(json!({ "id": "t", "historyLength": -1 }), Version::V1).len(), 1);
}

#[test]
fn push_configurations_nest_in_the_older_version() {
    let of: PushConfigOf = read(json!({ "id": "t" }), Version::V03).unwrap();
    assert_eq!((of.task_id.as_str(), of.id), ("t", None));
    assert_eq!(fields::<PushConfigOf>(json!({ "id": "c" }), Version::V1), ["taskId"]);
    let nested = json!({ "taskId": "t", "url": "https://b.example/", "pushNotificationConfig": {
        "url": "https://a.example/", "authentication": { "schemes": ["Basic", "Bearer"] } } });
    let NewPushConfig { task_id, config } = read(nested, Version::V03).unwrap();
    assert_eq!((config.url.as_str(), task_id.as_str()), ("https://a.example/", "t"));
    assert_eq!(config.authentication.unwrap().scheme, "Basic");
    for (version, without, expected) in [
        (Version::V1, json!({}), vec!["taskId", "url"]),
        (Version::V03, json!({}), vec!["taskId", "pushNotificationConfig"]),
        (
            Version::V03,
            json!({ "taskId": "t", "pushNotificationConfig": {} }),
            vec!["pushNotificationConfig.url"],
        ),
        (Version::V03, json!({ "taskId": "t", "url": 1 }), vec!["url"]),
    ] {
        assert_eq!(fields::<NewPushConfig>(without, version), expected);
    }
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(
        json!(1),
        |inner, at| if at % 2 == 0 { json!([inner]) } else { json!({ "a": inner }) },
    )
}

#[test]
fn what_nests_too_deep_to_be_kept_is_refused() {
    let send = |data: Value, metadata: Value| {
        let part = json!({ "data": data });
        json!({ "message": { "messageId": "m", "role": "user", "parts": [part], "metadata": metadata } })
    };
    for version in [Version::V1, Version::V03] {
        let fits = send(nested(MAX_NESTING), json!({ "a": nested(MAX_NESTING) }));
        assert!(read::<SendMessage>(fits, version).is_ok());
        let deep = send(nested(MAX_NESTING + 1), json!({ "a": nested(MAX_NESTING + 1) }));
        let expected = ["message.parts[0].data", "message.metadata"];
        assert_eq!(fields::<SendMessage>(deep, version), expected);
    }
}

#[test]
fn what_is_held_in_memory_is_short() {
    let long = "x".repeat(MAX_WORD_BYTES + 1);
    let message = json!({ "messageId": "m", "role": "user", "parts": [{ "text": long }],
        "contextId": long, "taskId": long });
    assert_eq!(fields::<Message>(message, Version::V1), ["contextId", "taskId"]);
    let config = json!({ "id": long, "url": "https://a.example", "token": long,
        "authentication": { "scheme": "Bearer", "credentials": long } });
    let expected = ["id", "token", "authentication.credentials"];
    assert_eq!(fields::<PushConfig>(config, Version::V1), expected);
}

#[test]
fn a_scheme_is_a_short_name() {
    let long = "x".repeat(65);
    for scheme in ["Bearer me", "Bearer\r\nX: y", "B\u{e9}arer", long.as_str()] {
        let at = |authentication: Value| json!({ "url": "https://a.example/", "authentication": authentication });
        let newer = at(json!({ "scheme": scheme }));
        assert_eq!(fields::<PushConfig>(newer, Version::V1), ["authentication.scheme"], "{scheme}");
        let older =
            json!({ "taskId": "t", "pushNotificationConfig": at(json!({ "schemes": [scheme] })) });
        let field = "pushNotificationConfig.authentication.schemes";
        assert_eq!(fields::<NewPushConfig>(older, Version::V03), [field], "{scheme}");
    }
    let longest =
        json!({ "url": "https://a.example/", "authentication": { "scheme": &long[1..] } });
    assert!(read::<PushConfig>(longest, Version::V1).is_ok());
}

#[test]
fn what_is_secret_is_in_no_text_for_developers() {
    let config = json!({ "url": "https://a.example/?key=s3cret", "token": "s3cret",
        "authentication": { "scheme": "Bearer", "credentials": "s3cret" } });
    let config: PushConfig = read(config, Version::V1).unwrap();
    let shown = format!("{config:?} {:?}", config.authentication);
    assert!(shown.contains("Bearer") && !shown.contains("s3cret"), "{shown}");
}
