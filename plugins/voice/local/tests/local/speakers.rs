//! Who speaks: turns of a meeting, enrolled voices, and silence.

use carport_voice_audio::{Event, Reason, Segmenter, VadOptions};
use carport_voice_local::{
    Activity, Print, RunError, Speakers, VoiceEncoder, best_match, voiced_ms,
};

use crate::support::{LOCAL, facts, sound};

/// The stretches of speech that the segmenter finds.
fn segments(samples: &[f32]) -> Vec<(usize, usize)> {
    let (mut activity, mut events) = (Activity::new(), Vec::new());
    let mut segmenter = Segmenter::new(VadOptions::default());
    activity.push(samples, |score| segmenter.push(score, &mut events));
    segmenter.flush(Reason::Stop, &mut events);
    let stopped = events.into_iter().filter_map(|event| match event {
        Event::Stopped { from, at, .. } => Some((from as usize, at as usize)),
        _ => None,
    });
    stopped.collect()
}

#[test]
fn every_turn_of_a_meeting_has_its_speaker() {
    let encoder = LOCAL.encoder().unwrap();
    let samples = sound("meeting_3spk.wav");
    let turns = facts("meeting_3spk.json");
    let turns: Vec<_> = turns.as_array().unwrap().iter().map(|it| it["speaker"].clone()).collect();
    let (mut speakers, mut labels) = (Speakers::default(), Vec::new());
    for (from, to) in segments(&samples) {
        let speech = &samples[from..to];
        let found = speakers.label(&encoder.print(speech).unwrap(), voiced_ms(speech));
        println!("{from}..{to} {} {:.3}", found.label, found.score);
        labels.push(found.label);
    }
    assert_eq!(labels, ["S1", "S2", "S3", "S1", "S2", "S3", "S2", "S1"]);
    assert_eq!(turns, ["reader", "hibari", "rms", "reader", "hibari", "rms", "hibari", "reader"]);
}

#[test]
fn an_enrolled_voice_is_known_again_and_a_stranger_is_not() {
    let encoder = LOCAL.encoder().unwrap();
    let of = |name: &str| encoder.print(&sound(name)).unwrap();
    let reader = Print::mean([&of("librivox_0870.wav"), &of("librivox_0880.wav")]).unwrap();
    let hibari = of("tts_hibari_06.wav");
    let known = || [("reader", &reader), ("hibari", &hibari)];
    let found = best_match(&of("librivox_0890.wav"), known(), VoiceEncoder::THRESHOLD).unwrap();
    assert_eq!(found.label, "reader");
    let stranger = of("tts_espeak_06.wav");
    assert_eq!(best_match(&stranger, known(), VoiceEncoder::THRESHOLD), None);
}

#[test]
fn a_print_survives_its_file_and_a_change_of_loudness() {
    let encoder = LOCAL.encoder().unwrap();
    let speech = sound("librivox_0890.wav");
    let print = encoder.print(&speech).unwrap();
    let text = serde_json::to_string(&print).unwrap();
    let read: Print = serde_json::from_str(&text).unwrap();
    assert!((read.score(&print) - 1.0).abs() < 1e-5);
    let quiet: Vec<f32> = speech.iter().map(|it| it * 0.05).collect();
    assert!(encoder.print(&quiet).unwrap().score(&print) > 0.9);
}

#[test]
fn silence_has_no_voice() {
    let encoder = LOCAL.encoder().unwrap();
    for count in [0, 100, 48_000] {
        let silent = encoder.print(&vec![0.0; count]);
        assert!(matches!(silent, Err(RunError::Failed(_))), "{count} samples: {silent:?}");
    }
}
