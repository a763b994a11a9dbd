//! Voice prints: one voice is like itself and unlike others, and silence has none.

use carport_voice_local::{Print, RunError, VoiceEncoder, voiced_ms};

use crate::support::{LOCAL, cuts, facts, sound};

#[test]
fn a_voice_is_like_itself_and_unlike_others() {
    let encoder = LOCAL.encoder().unwrap();
    let of = |name: &str| encoder.print(&sound(name)).unwrap();
    let reader = of("librivox_0870.wav");
    let scores = |name: &str| reader.score(&of(name));
    assert!(scores("librivox_0890.wav") >= VoiceEncoder::THRESHOLD);
    for stranger in ["tts_hibari_06.wav", "tts_espeak_06.wav"] {
        assert!(scores(stranger) < VoiceEncoder::THRESHOLD, "{stranger}");
    }
}

#[test]
fn every_turn_of_a_meeting_has_its_voice() {
    let samples = sound("meeting_3spk.wav");
    let turns = facts("meeting_3spk.json");
    let cuts = cuts(&samples);
    assert_eq!(cuts.len(), turns.as_array().unwrap().len());
    for (cut, turn) in cuts.into_iter().zip(turns.as_array().unwrap()) {
        let second = |name: &str| turn[name].as_f64().unwrap() * 1000.0;
        let (voiced, spoken) =
            (voiced_ms(&samples[cut.sound]) as f64, second("end") - second("start"));
        assert!((0.6..1.2).contains(&(voiced / spoken)), "{voiced} of {spoken} ms");
    }
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
