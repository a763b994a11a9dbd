//! Files of sound: each kind is read, and what is damaged, hostile or too large is an error.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{fs, path::PathBuf};

use carport_voice_audio::{DecodeError, Decoder, Limits, level_db, mono_16k, wav};
use proptest::prelude::*;

fn sample(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/samples").join(name)
}

fn read(bytes: &[u8], limits: Limits) -> Result<Vec<f32>, DecodeError> {
    mono_16k(Decoder::of_bytes(bytes.to_vec(), None, limits)?)
}

/// How alike two sounds are, at the best shift of up to 1200 samples: 1 is the same.
fn likeness(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let scale = (dot(a, a) * dot(b, b)).sqrt();
    let shifted = (0..1200).flat_map(|by| [dot(&a[by..], b), dot(a, &b[by..])]);
    shifted.fold(0.0, f32::max) / scale
}

#[test]
fn every_kind_of_file_gives_the_same_sound() {
    let Ok(file) = Decoder::of_file(&sample("librivox_0880.wav"), Limits::default()) else {
        panic!()
    };
    assert_eq!(file.sample_rate(), 16_000);
    let original = mono_16k(file).unwrap();
    assert_eq!(original.len(), 47_840);
    for (ending, alike) in [("flac", 0.9999), ("ogg", 0.95), ("mp3", 0.95)] {
        let path = sample(&format!("librivox_0880.{ending}"));
        let sound = mono_16k(Decoder::of_file(&path, Limits::default()).unwrap()).unwrap();
        assert!(sound.len().abs_diff(47_840) < 2400, "{ending}: {}", sound.len());
        let found = likeness(&original, &sound);
        assert!(found > alike, "{ending}: {found}");
        // Without the name, the content tells.
        assert_eq!(read(&fs::read(path).unwrap(), Limits::default()).unwrap(), sound);
    }
}

#[test]
fn a_file_of_another_rate_is_brought_to_16_khz() {
    let sine: Vec<f32> = (0..44_100).map(|i| (i as f32 * 0.05).sin() * 0.5).collect();
    let sound = read(&wav(&sine, 44_100).unwrap(), Limits::default()).unwrap();
    assert_eq!(sound.len(), 16_000);
    assert!((level_db(&sound) - level_db(&sine)).abs() < 0.1);
}

#[test]
fn limits_are_kept() {
    let bytes = wav(&vec![0.1; 16_000], 16_000).unwrap();
    let limits = |max_bytes, max_ms| Limits { max_bytes, max_ms };
    assert!(read(&bytes, limits(32_044, 1000)).is_ok());
    let large = read(&bytes, limits(32_043, 1000));
    assert!(matches!(large, Err(DecodeError::TooLarge { bytes: 32_044, limit: 32_043 })));
    let long = read(&bytes, limits(1 << 20, 999));
    assert!(matches!(long, Err(DecodeError::TooLong { limit_ms: 999 })));
}

#[test]
fn what_is_no_sound_is_an_error() {
    let cases: [&[u8]; 6] =
        [b"", b"RIFF", b"RIFF\xff\xff\xff\xffWAVE", b"OggS", b"fLaC", &[0; 5000]];
    for case in cases {
        assert!(read(case, Limits::default()).is_err(), "{case:?}");
    }
    let directory = Decoder::of_file(&sample(""), Limits::default());
    assert!(directory.is_err());
    let missing = Decoder::of_file(&sample("none.wav"), Limits::default());
    assert!(matches!(missing, Err(DecodeError::Io(_))));
}

#[test]
fn a_header_that_lies_costs_no_memory() {
    let mut bytes = wav(&[0.1; 1600], 16_000).unwrap();
    bytes[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    bytes[40..44].copy_from_slice(&0xffff_fff0u32.to_le_bytes());
    assert!(read(&bytes, Limits::default()).is_ok_and(|it| it.len() <= 1600));
    // A rate and a number of channels that nobody has.
    let mut rate = bytes.clone();
    rate[24..28].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(read(&rate, Limits::default()).is_err());
    let mut channels = bytes;
    channels[22..24].copy_from_slice(&u16::MAX.to_le_bytes());
    assert!(read(&channels, Limits::default()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    /// Nothing but an answer is asked for: no panic, no sound beyond the limit.
    #[test]
    fn damage_is_an_error_or_less_sound(
        kind in prop::sample::select(vec!["wav", "flac", "ogg", "mp3"]),
        hits in prop::collection::vec((0.0f64..1.0, any::<u8>()), 1..30),
        early in prop::collection::vec((0usize..200, any::<u8>()), 0..4),
        kept in 0.01f64..1.0,
    ) {
        let mut bytes = fs::read(sample(&format!("librivox_0880.{kind}"))).unwrap();
        let count = bytes.len();
        for (place, value) in hits {
            bytes[(place * count as f64) as usize] = value;
        }
        for (place, value) in early {
            bytes[place] = value;
        }
        bytes.truncate((kept * count as f64) as usize);
        if let Ok(sound) = read(&bytes, Limits { max_bytes: 1 << 20, max_ms: 10_000 }) {
            prop_assert!(sound.iter().all(|it| it.abs() <= 1.0));
            prop_assert!(sound.len() <= 16_000 * 10 + 1);
        }
    }
}
