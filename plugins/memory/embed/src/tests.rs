//! A tiny encoder against another implementation of it, and files that are not what they should be.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

const FILES: [&str; 3] = ["config.json", "tokenizer.json", "model.safetensors"];

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tiny")
}

fn embedder() -> Embedder {
    Embedder::open(&tiny()).unwrap()
}

/// What `make.py` computed.
fn expected() -> Vec<Value> {
    serde_json::from_slice(&fs::read(tiny().join("expected.json")).unwrap()).unwrap()
}

fn copied() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for file in FILES {
        fs::copy(tiny().join(file), directory.path().join(file)).unwrap();
    }
    directory
}

/// What is wrong with the tiny encoder once a file is changed.
fn wrong(file: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> String {
    let directory = copied();
    let path = directory.path().join(file);
    fs::write(&path, change(fs::read(&path).unwrap())).unwrap();
    Embedder::open(directory.path()).err().map(|error| error.to_string()).unwrap_or_default()
}

/// What is wrong once `config.json` has another member.
fn wrong_config(name: &str, value: Value) -> String {
    wrong("config.json", |text| {
        let mut config: Value = serde_json::from_slice(&text).unwrap();
        config[name] = value;
        config.to_string().into()
    })
}

fn difference(one: &[f32], other: &[f32]) -> f32 {
    assert_eq!(one.len(), other.len());
    one.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn vectors_and_tokens_are_those_of_another_implementation() {
    let (embedder, expected) = (embedder(), expected());
    let texts: Vec<&str> = expected.iter().map(|it| it["text"].as_str().unwrap()).collect();
    let lengths: Vec<usize> = texts
        .iter()
        .map(|text| embedder.tokenizer.encode_fast(*text, true).unwrap().get_ids().len())
        .collect();
    // Together, so that short texts are filled up, and each alone.
    for (at, vector) in embedder.embed(&texts).unwrap().iter().enumerate() {
        let is: Vec<f32> = serde_json::from_value(expected[at]["vector"].clone()).unwrap();
        assert_eq!(lengths[at], expected[at]["tokens"], "{}", texts[at]);
        assert!(difference(vector, &is) < 1e-4, "{}: {vector:?} and not {is:?}", texts[at]);
        let alone = &embedder.embed(&[texts[at]]).unwrap()[0];
        assert!(difference(alone, &is) < 1e-4, "{} alone", texts[at]);
    }
    assert!(lengths.contains(&MOST_TOKENS), "a text is cut");
}

#[test]
fn every_text_has_a_direction() {
    let embedder = embedder();
    let long = "word ".repeat(40_000);
    for text in ["", " ", "\0", "\u{202e}\u{fe0f}", "👩‍👩‍👧", "ﷺ", &long] {
        let vector = &embedder.embed(&[text]).unwrap()[0];
        let length: f32 = vector.iter().map(|it| it * it).sum();
        assert!((length - 1.0).abs() < 1e-5, "{text:?}");
    }
    assert!(embedder.embed(&[]).unwrap().is_empty());
    assert_eq!(embedder.width(), 32);
}

#[test]
fn what_is_missing_or_cut_is_named() {
    for file in FILES {
        let directory = copied();
        fs::remove_file(directory.path().join(file)).unwrap();
        let error = Embedder::open(directory.path()).err().unwrap().to_string();
        assert!(error.contains(file) && error.contains("cannot be read"), "{error}");
        fs::create_dir(directory.path().join(file)).unwrap();
        assert!(Embedder::open(directory.path()).err().unwrap().to_string().contains("not a file"));
        for share in [0, 1, 50, 99] {
            let error = wrong(file, |mut bytes| {
                bytes.truncate(bytes.len() * share / 100);
                bytes
            });
            assert!(error.contains(file), "{file} cut to {share} %: {error}");
        }
    }
    assert!(Embedder::open(Path::new("/nowhere")).is_err());
}

#[test]
fn shapes_that_do_not_fit_are_named() {
    for (name, value, says) in [
        ("num_attention_heads", json!(0), "num_attention_heads"),
        ("num_attention_heads", json!(5), "does not divide"),
        ("hidden_size", json!(0), "hidden_size"),
        ("hidden_size", json!(64), "model.safetensors"),
        ("hidden_size", json!(1_u64 << 60), "hidden_size"),
        ("num_hidden_layers", json!(3), "model.safetensors"),
        ("num_hidden_layers", json!(1_u64 << 40), "num_hidden_layers"),
        ("intermediate_size", json!(1_u64 << 60), "model.safetensors"),
        ("vocab_size", json!(20), "tokenizer.json"),
        ("vocab_size", json!(1_u64 << 60), "model.safetensors"),
        ("max_position_embeddings", json!(2), "max_position_embeddings"),
        ("max_position_embeddings", json!(1 << 19), "model.safetensors"),
        ("type_vocab_size", json!(0), "type_vocab_size"),
        ("pad_token_id", json!(4000), "pad_token_id"),
        ("hidden_act", json!("swish"), "config.json"),
        ("layer_norm_eps", json!("x"), "config.json"),
    ] {
        let error = wrong_config(name, value.clone());
        assert!(error.contains(says), "{name} {value}: {error}");
    }
    let huge = wrong("model.safetensors", |mut bytes| {
        bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        bytes
    });
    assert!(huge.contains("model.safetensors"), "{huge}");
}

#[test]
fn weights_that_are_no_numbers_are_found_at_once() {
    let error = wrong("model.safetensors", |mut bytes| {
        let start = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        for number in bytes[start..].chunks_exact_mut(4) {
            number.copy_from_slice(&f32::NAN.to_le_bytes());
        }
        bytes
    });
    assert!(error.contains("no number"), "{error}");
}

#[test]
fn a_tokenizer_that_its_reader_panics_at_does_not_open() {
    let directory = copied();
    let path = directory.path().join("tokenizer.json");
    let text = fs::read_to_string(&path).unwrap();
    let at = text.find("\"decoder\"").unwrap();
    let damaged = format!("{}{}", &text[..at], text[at..].replacen("\":", "\"", 2));
    fs::write(&path, damaged.replacen("\"decoder\"", "\"decoder\":", 1)).unwrap();
    assert!(Embedder::open(directory.path()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// It opens, and then every text has a vector or an error, or it does not open. It never panics.
    #[test]
    fn files_may_be_anything(
        file in 0..3usize,
        at in 0.0..1.0f64,
        with in prop::collection::vec(any::<u8>(), 0..9),
        is_json in any::<bool>(),
    ) {
        let directory = copied();
        let path = directory.path().join(FILES[file]);
        let mut bytes = fs::read(&path).unwrap();
        let end = if file == 2 { 6000 } else { bytes.len() };
        let at = (end as f64 * at) as usize;
        let with = if is_json { b"-[]{}:,\"0e".iter().cycle().skip(at % 10).take(with.len()).copied().collect() } else { with };
        bytes.splice(at..(at + with.len()).min(end), with);
        fs::write(&path, bytes).unwrap();
        if let Ok(embedder) = Embedder::open(directory.path()) {
            let _ = embedder.embed(&["the cache of 東京", ""]);
        }
    }
}
