//! Objects of A2A, whichever there may be.

use carport_a2a_types::{
    Artifact, ArtifactUpdate, Authentication, Content, Message, Part, PushConfig, Role,
    StatusUpdate, StreamResponse, Task, TaskState, TaskStatus,
};
use carport_core::Time;
use chrono::DateTime;
use proptest::{collection::vec, option, prelude::*};
use serde_json::{Map, Value};

pub(crate) fn word() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9:/._ü-]{1,12}"
}

pub(crate) fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            vec(("[a-zA-Z_]{1,8}", inner), 0..3).prop_map(|all| all.into_iter().collect()),
        ]
    })
}

pub(crate) fn metadata() -> impl Strategy<Value = Option<Map<String, Value>>> {
    let members = vec(("[a-zA-Z_]{1,8}", json()), 1..3);
    option::of(members.prop_map(|all| all.into_iter().collect()))
}

/// A part that v0.3 has a place for: only files have names and media types.
pub(crate) fn part() -> impl Strategy<Value = Part> {
    let content = prop_oneof![
        "[ -~]{0,12}".prop_map(Content::Text),
        vec(any::<u8>(), 0..12).prop_map(Content::Raw),
        word().prop_map(Content::Url),
        json().prop_map(Content::Data),
    ];
    (content, metadata(), option::of(word()), option::of(word())).prop_map(
        |(content, metadata, filename, media_type)| match matches!(
            content,
            Content::Raw(_) | Content::Url(_)
        ) {
            true => Part { content, metadata, filename, media_type },
            false => Part { metadata, ..Part::of(content) },
        },
    )
}

pub(crate) fn message() -> impl Strategy<Value = Message> {
    let ids = (word(), option::of(word()), option::of(word()));
    let lists = (vec(part(), 1..4), vec(word(), 0..3), vec(word(), 0..3));
    (ids, lists, any::<bool>(), metadata()).prop_map(|(ids, lists, user, metadata)| Message {
        message_id: ids.0,
        context_id: ids.1,
        task_id: ids.2,
        role: if user { Role::User } else { Role::Agent },
        parts: lists.0,
        metadata,
        extensions: lists.1,
        reference_task_ids: lists.2,
    })
}

pub(crate) fn status() -> impl Strategy<Value = TaskStatus> {
    let state = prop::sample::select(TaskState::ALL.as_slice());
    let at = (0..4_000_000_000_000_i64).prop_map(|ms| DateTime::from_timestamp_millis(ms).unwrap());
    (state, option::of(message()), option::of(at)).prop_map(|(state, message, at)| TaskStatus {
        state,
        message,
        timestamp: at.map(Time::from),
    })
}

pub(crate) fn artifact() -> impl Strategy<Value = Artifact> {
    let words = (word(), option::of(word()), option::of(word()));
    (words, vec(part(), 1..3), metadata(), vec(word(), 0..2)).prop_map(
        |((artifact_id, name, description), parts, metadata, extensions)| Artifact {
            artifact_id,
            name,
            description,
            parts,
            metadata,
            extensions,
        },
    )
}

pub(crate) fn task() -> impl Strategy<Value = Task> {
    let lists = (vec(artifact(), 0..3), vec(message(), 0..3));
    (word(), word(), status(), lists, metadata()).prop_map(
        |(id, context_id, status, (artifacts, history), metadata)| Task {
            id,
            context_id,
            status,
            artifacts,
            history,
            metadata,
        },
    )
}

pub(crate) fn event() -> impl Strategy<Value = StreamResponse> {
    let ids = || (word(), word(), metadata());
    prop_oneof![
        task().prop_map(StreamResponse::Task),
        message().prop_map(StreamResponse::Message),
        (ids(), status()).prop_map(|((task_id, context_id, metadata), status)| {
            StreamResponse::StatusUpdate(StatusUpdate { task_id, context_id, status, metadata })
        }),
        (ids(), artifact(), any::<bool>(), any::<bool>()).prop_map(
            |((task_id, context_id, metadata), artifact, append, last_chunk)| {
                StreamResponse::ArtifactUpdate(ArtifactUpdate {
                    task_id,
                    context_id,
                    artifact,
                    append,
                    last_chunk,
                    metadata,
                })
            }
        ),
    ]
}

/// A receiver of a task.
pub(crate) fn push_config() -> impl Strategy<Value = PushConfig> {
    let authentication = ("[A-Za-z]{1,8}", option::of(word()))
        .prop_map(|(scheme, credentials)| Authentication { scheme, credentials });
    (option::of(word()), word(), word(), option::of(word()), option::of(authentication)).prop_map(
        |(id, task_id, url, token, authentication)| PushConfig {
            id,
            task_id: Some(task_id),
            url,
            token,
            authentication,
        },
    )
}
