//! What is heard: word errors, silence, formats and rates, and what it costs.

use std::{
    f64::consts::PI,
    sync::{Arc, atomic::AtomicBool},
    time::Instant,
};

use carport_voice_audio::{Converter, Encoding, Format, Mix, pcm_s16le};
use carport_voice_local::{Help, Recognizer, RunError};

use crate::support::{Cut, LOCAL, cuts, facts, sound, word_errors, words};

/// All that is said in a recording.
fn heard(samples: &[f32]) -> String {
    let recognizer = LOCAL.recognizer().unwrap();
    let texts =
        cuts(samples).into_iter().map(|it| recognizer.decode(&samples[it.sound]).unwrap().text);
    texts.collect::<Vec<_>>().join(" ").trim().to_owned()
}

#[test]
fn human_recordings_are_understood() {
    let (mut errors, mut said, mut seconds) = (0, 0, 0.0);
    let began = Instant::now();
    for (name, text) in facts("refs.json").as_object().unwrap() {
        let samples = sound(name);
        let heard = heard(&samples);
        let text = text.as_str().unwrap();
        println!("{name}: {heard}");
        errors += word_errors(text, &heard);
        said += words(text).len();
        seconds += samples.len() as f64 / 16_000.0;
    }
    let rate = errors as f64 / said as f64;
    let real_time = began.elapsed().as_secs_f64() / seconds;
    println!(
        "{errors} of {said} words wrong ({rate:.3}), {real_time:.3} of real time with loading"
    );
    // The model hears "ill-disposed" of one recording as "ill-sposed", however its sound is cut.
    assert!(errors <= 1, "{errors} of {said} words wrong");
}

#[test]
fn a_meeting_is_understood_segment_by_segment() {
    let turns = facts("meeting_3spk.json");
    let turns = turns.as_array().unwrap();
    let recognizer = LOCAL.recognizer().unwrap();
    let samples = sound("meeting_3spk.wav");
    let began = Instant::now();
    let cuts = cuts(&samples);
    let decode = |it: &Cut| recognizer.decode(&samples[it.sound.clone()]).unwrap();
    let heard: Vec<_> = cuts.iter().map(decode).collect();
    let took = began.elapsed().as_secs_f64();
    println!("{:.3} of real time", took * 16_000.0 / samples.len() as f64);
    assert_eq!(heard.len(), turns.len());
    let (mut errors, mut said) = (0, 0);
    for ((cut, heard), turn) in cuts.iter().zip(&heard).zip(turns) {
        println!("{:?} ({:.2}) {}", cut.speech, heard.confidence, heard.text);
        let second = |at: usize| at as f64 / 16_000.0;
        assert!((second(cut.speech.start) - turn["start"].as_f64().unwrap()).abs() < 0.5);
        assert!((second(cut.speech.end) - turn["end"].as_f64().unwrap()).abs() < 0.7);
        assert!((0.3..=1.0).contains(&heard.confidence));
        let text = turn["text"].as_str().unwrap();
        errors += word_errors(text, &heard.text);
        said += words(text).len();
    }
    assert!(errors * 20 <= said, "{errors} of {said} words wrong");
}

#[test]
fn silence_and_noise_give_no_text() {
    assert_eq!(heard(&vec![0.0; 16_000 * 120]), "");
    // A hum, and hiss at -50 dB.
    let mut state = 1u32;
    let noise = (0..16_000 * 60).map(|i| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let hiss = (state >> 8) as f32 / (1 << 24) as f32 - 0.5;
        hiss * 0.01 + (i as f32 * 0.02).sin() * 0.003
    });
    assert_eq!(heard(&noise.collect::<Vec<_>>()), "");
    let recognizer = LOCAL.recognizer().unwrap();
    for count in [0, 1, 1000, 16_000, 160_000] {
        assert_eq!(recognizer.decode(&vec![0.0; count]).unwrap().text, "", "{count} samples");
    }
}

#[test]
fn a_decode_has_a_longest_sound_and_takes_every_shorter_one() {
    let recognizer = LOCAL.recognizer().unwrap();
    let limit = recognizer.limit();
    let too_long = recognizer.decode(&vec![0.1; limit + 1]);
    assert_eq!(too_long, Err(RunError::TooLong { got: limit + 1, limit, unit: "samples" }));
    let speech = sound("librivox_0870.wav");
    for count in [1, 63, 400, 1023, 4001] {
        recognizer.decode(&speech[8000..8000 + count]).unwrap();
    }
    // Above 9 s a mask of the wrong length would fail.
    let meeting = sound("meeting_3spk.wav");
    let text = recognizer.decode(&meeting[..16_000 * 13]).unwrap().text;
    assert!(word_errors("he was not an ill disposed young man", &text) > 5, "more was said");
    assert!(words(&text).len() > 15, "{text}");
}

/// The recording at another rate, by a windowed sinc.
fn at_rate(samples: &[f32], rate: u32) -> Vec<f32> {
    let step = 16_000.0 / f64::from(rate);
    let cutoff = (1.0 / step).min(1.0);
    let count = (samples.len() as f64 / step) as usize;
    let value = |i: usize| {
        let place = i as f64 * step;
        let (from, to) =
            ((place as usize).saturating_sub(40), (place as usize + 40).min(samples.len()));
        let taps = (from..to).map(|j| {
            let x = place - j as f64;
            let sinc = if x == 0.0 { 1.0 } else { (PI * x * cutoff).sin() / (PI * x * cutoff) };
            f64::from(samples[j]) * sinc * cutoff * (0.5 + 0.5 * (PI * x / 41.0).cos())
        });
        taps.sum::<f64>() as f32
    };
    (0..count).map(value).collect()
}

/// What the edge makes of bytes that come in pieces.
fn through_the_edge(bytes: &[u8], format: Format) -> Vec<f32> {
    let (mut converter, mut out) = (Converter::new(format, Mix::Down), Vec::new());
    for piece in bytes.chunks(format.frame_bytes() * 441) {
        converter.push(piece, &mut out).unwrap();
    }
    converter.flush(&mut out);
    out
}

#[test]
fn every_rate_gives_the_same_text() {
    let original = sound("librivox_0890.wav");
    let text = words(&heard(&original));
    for rate in [8000, 22_050, 44_100, 48_000] {
        let bytes = pcm_s16le(&at_rate(&original, rate));
        let format = Format::new(Encoding::S16le, rate, 1).unwrap();
        assert_eq!(words(&heard(&through_the_edge(&bytes, format))), text, "{rate} Hz");
    }
}

#[test]
fn every_format_gives_the_same_text() {
    let original = sound("librivox_0890.wav");
    let text = words(&heard(&original));
    let twice: Vec<f32> = original.iter().flat_map(|it| [*it, *it]).collect();
    let floats: Vec<u8> = original.iter().flat_map(|it| it.to_le_bytes()).collect();
    let mulaw: Vec<u8> = original.iter().map(|it| to_mulaw(*it)).collect();
    let given = [
        (pcm_s16le(&twice), Encoding::S16le, 2),
        (floats, Encoding::F32le, 1),
        (mulaw, Encoding::Mulaw, 1),
    ];
    for (bytes, encoding, channels) in given {
        let format = Format::new(encoding, 16_000, channels).unwrap();
        assert_eq!(words(&heard(&through_the_edge(&bytes, format))), text, "{encoding}");
    }
}

/// G.711 mu-law, as its encoder is written down.
fn to_mulaw(sample: f32) -> u8 {
    let value = (sample * 32_767.0) as i32;
    let sign = if value < 0 { 0x80 } else { 0 };
    let magnitude = value.abs().min(32_635) + 132;
    let exponent = magnitude.ilog2() as i32 - 7;
    !((sign | (exponent << 4) | ((magnitude >> (exponent + 3)) & 15)) as u8)
}

#[test]
fn clipped_speech_is_still_understood() {
    let original = sound("librivox_0890.wav");
    let loudest = original.iter().fold(0.0f32, |a, b| a.max(b.abs()));
    let clipped: Vec<f32> =
        original.iter().map(|it| (it / loudest * 6.0).clamp(-1.0, 1.0)).collect();
    let bytes = pcm_s16le(&clipped);
    let format = Format::new(Encoding::S16le, 16_000, 1).unwrap();
    let mut converter = Converter::new(format, Mix::Down);
    converter.push(&bytes, &mut Vec::new()).unwrap();
    assert!(converter.take_level().clipped);
    let errors =
        word_errors(facts("refs.json")["librivox_0890.wav"].as_str().unwrap(), &heard(&clipped));
    assert!(errors <= 2, "{errors} words wrong");
}

#[test]
fn one_loaded_model_serves_many_at_once() {
    let first = LOCAL.recognizer().unwrap();
    let again = LOCAL.recognizer().unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    let speech = sound("librivox_0880.wav");
    let alone = first.decode(&speech).unwrap();
    std::thread::scope(|scope| {
        let decode = || first.decode(&speech).unwrap();
        let all: Vec<_> = (0..3).map(|_| scope.spawn(decode)).collect();
        for one in all {
            assert_eq!(one.join().unwrap(), alone);
        }
    });
}

#[test]
fn a_draft_saves_steps_and_decides_at_most_between_equals() {
    let recognizer = LOCAL.recognizer().unwrap();
    let speech = sound("librivox_0880.wav");
    let part = recognizer.decode(&speech[..speech.len() * 3 / 4]).unwrap();
    let timed = |draft: &[u32]| {
        let began = Instant::now();
        let heard = recognizer.decode_with(&speech, Help { draft, stop: None }).unwrap();
        (heard, began.elapsed())
    };
    let (alone, took) = timed(&[]);
    let (helped, less) = timed(&part.tokens);
    println!(
        "{} tokens: {took:.0?} alone, {less:.0?} with {}",
        alone.tokens.len(),
        part.tokens.len()
    );
    assert!(!part.tokens.is_empty() && part.tokens != alone.tokens);
    assert_eq!(helped.text, alone.text);
    assert!((helped.confidence - alone.confidence).abs() < 0.05);
    // Tokens of other speech, more than the sound can hold, and none that there are.
    for wrong in [&[9, 8, 7][..], &[500; 4000], &[u32::MAX, 70_000]] {
        assert_eq!(timed(wrong).0.text, alone.text);
    }
}

#[test]
fn a_decode_that_nobody_wants_breaks_off() {
    let recognizer = LOCAL.recognizer().unwrap();
    let (speech, stop) = (sound("librivox_0880.wav"), AtomicBool::new(true));
    let heard = |draft: &[u32]| recognizer.decode_with(&speech, Help { draft, stop: Some(&stop) });
    assert_eq!(heard(&[]), Err(RunError::Cancelled));
    assert_eq!(heard(&[9]), Err(RunError::Cancelled));
}
