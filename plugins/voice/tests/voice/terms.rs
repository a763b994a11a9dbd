//! What other plugins may ask of a stream and clients may not.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use carport_core::{codes, testing::TestClient};
use carport_voice_api::{
    AudioSource, EndReason, Event, Failure, FailureKind, FinalReason, NewStream, Numbered,
    OwnerMay, Terms, VOICE,
};
use serde_json::{Value, json};

use crate::{
    Lab, all,
    binary::{ID, frame},
    event, push,
    service::new,
    sound, start, stop, until, utterance,
};

type Told = Arc<Mutex<Vec<Numbered>>>;

fn stereo() -> AudioSource {
    AudioSource::PcmPush { sample_rate: None, channels: Some(2), format: None }
}

/// Two tracks of the same length as the channels of one sound.
fn interleaved(left: &[u8], right: &[u8]) -> Vec<u8> {
    let pairs = left.chunks(2).zip(right.chunks(2));
    pairs.flat_map(|(left, right)| [left, right].concat()).collect()
}

/// Segments whose text is there, by number: channel, text, start.
fn finals(told: &Told) -> BTreeMap<u64, (Option<u16>, String, u64)> {
    let told = told.lock().unwrap();
    let finals = told.iter().filter_map(|it| match &it.event {
        Event::Final { segment, .. } => {
            Some((segment.segment_id, (segment.channel, segment.text.clone(), segment.start_ms)))
        }
        _ => None,
    });
    finals.collect()
}

/// Rule 7 for each segment, whatever lies between its events.
fn is_ordered(told: &Told) {
    let mut open = BTreeMap::new();
    for Numbered { event, .. } in &*told.lock().unwrap() {
        match event {
            Event::SpeechStarted { segment_id, .. } => {
                assert_eq!(open.insert(*segment_id, 0), None, "{event:?}");
                assert_eq!(*segment_id, open.len() as u64 - 1, "numbers have no holes");
            }
            Event::Partial { segment_id, .. } | Event::Preflight { segment_id, .. } => {
                assert_eq!(open[segment_id], 0, "{event:?}");
            }
            Event::SpeechStopped { segment_id, .. } => {
                assert_eq!(open.insert(*segment_id, 1), Some(0), "{event:?}");
            }
            Event::Final { segment, .. } => {
                assert_eq!(open.insert(segment.segment_id, 2), Some(1), "{event:?}");
            }
            Event::Transcript { segment } => {
                assert_eq!(open.insert(segment.segment_id, 3), Some(2), "{event:?}");
            }
            _ => {}
        }
    }
    assert!(!open.is_empty() && open.values().all(|state| *state >= 2), "{open:?}");
}

#[tokio::test]
async fn two_who_speak_at_once_are_heard_apart() {
    let lab = Lab::start().await;
    let (voice, told) = (lab.host.service(&VOICE), Told::default());
    let terms = Terms { tracks: true, ..Terms::default() };
    let apart = NewStream { source: stereo(), terms, ..new(None, &told) };
    let stream = voice.open(apart).unwrap();
    // The left one speaks on while the right one says two things.
    let left = [utterance(1500), sound(500, 0.0)].concat();
    let right = [utterance(300), sound(300, 0.0), utterance(400)].concat();
    stream.push(&interleaved(&left, &right)).unwrap();
    let summary = stream.stop(true).await.unwrap();
    assert_eq!(summary.audio_ms, 3000);
    is_ordered(&told);
    let heard = finals(&told);
    let of = |channel| {
        let texts = heard.values().filter(|it| it.0 == Some(channel));
        texts.map(|it| it.1.split(' ').count()).collect::<Vec<_>>()
    };
    assert_eq!((of(0), of(1), heard.len()), (vec![15], vec![3, 4], 3), "{heard:?}");
    let channels: Vec<_> = summary.segments.iter().map(|it| it.channel).collect();
    assert_eq!(channels, [Some(1), Some(0), Some(1)], "in the order of their ends");
    drop(stream);
    lab.is_clean().await;

    // Mixed down, they are one who is never silent for long.
    let told = Told::default();
    let stream = voice.open(NewStream { source: stereo(), ..new(None, &told) }).unwrap();
    stream.push(&interleaved(&left, &right)).unwrap();
    stream.stop(true).await.unwrap();
    assert!(finals(&told).values().all(|it| it.0.is_none()));
    assert_eq!(finals(&told).len(), 1);
    drop(stream);
    lab.is_clean().await;
}

#[tokio::test]
async fn a_provider_that_finds_segments_itself_hears_each_track() {
    let lab = Lab::start().await;
    let (voice, told) = (lab.host.service(&VOICE), Told::default());
    let terms = Terms { tracks: true, ..Terms::default() };
    let mut apart = NewStream { source: stereo(), terms, ..new(None, &told) };
    apart.options.provider = Some("remote".into());
    let stream = voice.open(apart).unwrap();
    until(async || lab.knobs.ears.lock().unwrap().len() == 2).await;
    let ears = lab.knobs.ears.lock().unwrap().clone();
    // Both count their utterances from the same number.
    for (ear, text) in ears.iter().zip(["left", "right"]) {
        ear(crate::foreign::partial(7, text));
    }
    ears[1](crate::foreign::last(7, "right one"));
    ears[0](crate::foreign::last(7, "left one"));
    stream.push(&interleaved(&sound(500, 0.2), &sound(500, 0.2))).unwrap();
    until(async || finals(&told).len() == 2).await;
    *lab.knobs.at_the_end.lock().unwrap() = vec![carport_voice_api::Heard::Ended];
    let ended = ears[0].clone();
    let stopping = tokio::spawn({
        let stream = stream.clone();
        async move { stream.stop(true).await }
    });
    // The listener that was opened last tells the end of both; the first is told here as well.
    until(async || lab.knobs.at_the_end.lock().unwrap().is_empty()).await;
    ended(carport_voice_api::Heard::Ended);
    let summary = stopping.await.unwrap().unwrap();
    assert!(!summary.truncated);
    is_ordered(&told);
    let heard: Vec<_> = finals(&told).into_values().map(|it| (it.0, it.1)).collect();
    assert_eq!(heard, [(Some(0), "left one".into()), (Some(1), "right one".into())]);
    drop(stream);
    lab.is_clean().await;
}

/// A stream of an agent's connection that belongs to somebody else, under an id for binary frames.
async fn held(lab: &Lab, terms: Terms) -> (TestClient, Told, Arc<dyn carport_voice_api::Stream>) {
    let client = lab.host.agent("speaker").await;
    let told = Told::default();
    let owner = Some(lab.host.session_of("speaker"));
    let held = NewStream { session_id: ID.into(), terms, ..new(owner, &told) };
    let stream = lab.host.service(&VOICE).open(held).unwrap();
    stream.go_live();
    (client, told, stream)
}

#[tokio::test]
async fn a_client_may_only_do_what_the_stream_says() {
    let lab = Lab::start().await;
    let call = |method: &str| format!("voice.transcribe_stream.{method}");
    for (owner_may, refused) in
        [(OwnerMay::Push, &["stop"][..]), (OwnerMay::Hear, &["stop", "flush", "push"])]
    {
        let terms = Terms { owner_may, ..Terms::default() };
        let (mut client, _, stream) = held(&lab, terms).await;
        for method in ["push", "flush", "stop"] {
            let params = json!({ "session_id": ID, "pcm_b64": "" });
            let done = client.raw(&call(method), params).await;
            match refused.contains(&method) {
                true => assert_eq!(done.unwrap_err().code, codes::CONFLICT, "{method}"),
                false => assert!(done.is_ok(), "{method}: {done:?}"),
            }
        }
        client.binary(frame(ID, 0, &sound(100, 0.0))).await;
        let rows = client.raw("voice.sessions.list", json!({})).await.unwrap();
        let taken = if owner_may == OwnerMay::Push { 100 } else { 0 };
        assert_eq!((&rows[0]["session_id"], &rows[0]["audio_ms"]), (&json!(ID), &json!(taken)));
        stream.push(&utterance(300)).unwrap();
        assert_eq!(stream.stop(true).await.unwrap().transcript, "w1 w2 w3");
        assert_eq!(event(&mut client, ID, "final").await["text"], "w1 w2 w3");
        all(&mut client, ID).await;
        client.close().await;
        drop(stream);
        lab.is_clean().await;
    }
}

#[tokio::test]
async fn what_was_said_before_the_client_went_is_still_heard() {
    let lab = Lab::start().await;
    let terms = Terms { outlives_owner: true, ..Terms::default() };
    let (mut client, told, stream) = held(&lab, terms).await;
    lab.knobs.decoding.shut();
    push(&mut client, ID, &utterance(300)).await.unwrap();
    client.vanish();
    lab.host.emptied().await;
    lab.knobs.decoding.open();
    let summary = stream.stop(true).await.unwrap();
    assert_eq!((&*summary.transcript, summary.truncated), ("w1 w2 w3", false));
    let last = told.lock().unwrap().last().unwrap().event.clone();
    assert!(matches!(last, Event::SessionStopped { reason: EndReason::Stop, .. }), "{last:?}");
    drop(stream);
    lab.is_clean().await;
}

/// Why the segments of a stream ended.
fn reasons(told: &Told) -> Vec<FinalReason> {
    let told = told.lock().unwrap();
    let reasons = told.iter().filter_map(|it| match &it.event {
        Event::Final { reason, .. } => Some(*reason),
        _ => None,
    });
    reasons.collect()
}

#[tokio::test]
async fn the_daemon_ends_a_clients_stream_first_and_leaves_the_others_to_their_owners() {
    let lab = Lab::start().await;
    let own = Told::default();
    let kept = Told::default();
    let (voice, terms) =
        (lab.host.service(&VOICE), Terms { outlives_owner: true, ..Terms::default() });
    let mut client = lab.host.agent("a").await;
    let owner = || Some(lab.host.session_of("a"));
    let stream = voice.open(new(owner(), &own)).unwrap();
    stream.go_live();
    let other = NewStream { session_id: "kept".into(), terms, ..new(owner(), &kept) };
    let other = voice.open(other).unwrap();
    for it in [&stream, &other] {
        it.push(&sound(520, 0.5)).unwrap();
    }
    event(&mut client, "m", "speech_started").await;
    let (ended, summary) = (lab.host.stop(), other.stop(true));
    let (summary, ()) = tokio::join!(summary, ended);
    assert_eq!(summary.unwrap().transcript, "w1 w2 w3 w4 w5");
    assert_eq!(reasons(&kept), [FinalReason::Stop]);
    let last = own.lock().unwrap().last().unwrap().event.clone();
    assert!(matches!(last, Event::SessionStopped { reason: EndReason::Shutdown, .. }), "{last:?}");
    assert_eq!(event(&mut client, "m", "session_stopped").await["reason"], "shutdown");
    until(async || lab.knobs.open.load(std::sync::atomic::Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn nothing_is_told_before_the_answer_even_if_it_is_over_by_then() {
    let lab = Lab::start().await;
    let mut client = lab.host.agent("a").await;
    let told = Told::default();
    *lab.knobs.load_fails.lock().unwrap() = Some(Failure::new(FailureKind::Failed, "no file"));
    let stream = lab.host.service(&VOICE).open(new(Some(lab.host.session_of("a")), &told)).unwrap();
    let is_over = || matches!(told.lock().unwrap().last(), Some(it) if matches!(it.event, Event::SessionStopped { .. }));
    until(async || is_over()).await;
    let is_event = |it: &Value| it["method"] == "voice.event";
    // Whatever sends events has its turn meanwhile.
    for _ in 0..5 {
        assert!(!client.has_heard(is_event).await);
    }
    stream.go_live();
    let events = all(&mut client, "m").await;
    assert_eq!((events.len(), &events[0]["code"]), (2, &json!("load_failed")));
    drop(stream);
    lab.is_clean().await;
}

#[tokio::test]
async fn an_id_is_free_once_its_end_was_heard() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    for _ in 0..50 {
        *lab.knobs.load_fails.lock().unwrap() = Some(Failure::new(FailureKind::Failed, "no"));
        start(&mut client, "a", json!({})).await;
        all(&mut client, "a").await;
    }
    start(&mut client, "a", json!({})).await;
    stop(&mut client, "a").await.unwrap();
    all(&mut client, "a").await;
    lab.is_clean().await;
}

#[tokio::test]
async fn a_push_of_another_plugin_has_the_bounds_of_the_wire() {
    let lab = Lab::start().await;
    let stream = lab.host.service(&VOICE).open(new(None, &Told::default())).unwrap();
    let error = stream.push(&vec![0; (1 << 20) + 2]).unwrap_err();
    assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some("pcm_b64")));
    assert_eq!(stream.push(&vec![0; 1 << 20]).unwrap().bytes, 1 << 20);
    stream.stop(false).await.unwrap();
}
