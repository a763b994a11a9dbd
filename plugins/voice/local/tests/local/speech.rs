//! What is spoken: that it can be understood, its pace, its sameness, and its end on demand.

use std::{
    collections::HashMap,
    fs,
    ops::ControlFlow,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use carport_voice_audio::{level_db, resample};
use carport_voice_local::{Hibari, MAX_IDS, Places, Recognizer, RunError, SPEECH_RATE, Style};

use crate::support::{LOCAL, word_errors};

/// Texts and their phonemes, in the alphabet of the voice.
const SENTENCES: [(&str, &str); 2] = [
    (
        "The build finished without errors and all tests passed.",
        "ðə bˈɪld fˈɪnəʃt wɪðˈWt ˈɛɹəɹz ænd ˈɔl tˈɛsts pˈæst.",
    ),
    (
        "Would you like me to send the summary to the whole team?",
        "wˌʊd ju lˈIk mˌi tə sˈɛnd ðə sˈʌməɹi tə ðə hˈOl tˈim?",
    ),
];

/// Ids between two pads.
fn ids(phonemes: &str) -> Vec<i32> {
    let table = fs::read(Places::repository().join(Hibari::MODEL).join("vocab.json")).unwrap();
    let table: HashMap<char, i32> = serde_json::from_slice(&table).unwrap();
    let known = phonemes.chars().map(|it| table[&it]);
    [0].into_iter().chain(known).chain([0]).collect()
}

/// All pieces of a sentence.
fn pieces(ids: &[i32], style: Style, cancel: &AtomicBool) -> Result<Vec<Vec<f32>>, RunError> {
    let mut pieces = Vec::new();
    let voice = LOCAL.speech().unwrap();
    voice.speak(ids, style, cancel, &mut |samples| {
        pieces.push(samples);
        ControlFlow::Continue(())
    })?;
    Ok(pieces)
}

fn speak(phonemes: &str, style: Style) -> Vec<f32> {
    pieces(&ids(phonemes), style, &AtomicBool::new(false)).unwrap().concat()
}

/// Samples of one frame.
const HOP: usize = SPEECH_RATE as usize / 80;

/// As somebody who waits hears it.
const EARLY: Style = Style { speed: 1.0, seed: 0, early: true };

#[test]
fn a_sentence_begins_before_it_is_made() {
    let cancel = AtomicBool::new(false);
    for phonemes in [SENTENCES[0].1, "jˈɛs.", "O"] {
        let made = pieces(&ids(phonemes), EARLY, &cancel).unwrap();
        assert_eq!((made.len(), made[0].len()), (2, SPEECH_RATE as usize / 5), "{phonemes}");
        let whole = pieces(&ids(phonemes), Style::default(), &cancel).unwrap();
        assert_eq!((whole.len(), whole[0].len()), (1, made.concat().len()));
    }
    let mut heard = 0;
    let voice = LOCAL.speech().unwrap();
    let done = voice.speak(&ids(SENTENCES[0].1), EARLY, &cancel, &mut |_| {
        heard += 1;
        ControlFlow::Break(())
    });
    assert_eq!((done, heard), (Ok(()), 1), "nobody wants the rest");
}

/// The first piece is made from the first frames alone, and sounds as if it were made from all: what differs is
/// rounding, and it lies far below the speech. No step shows where one run follows the other: the frames of the
/// second begin at the 20th, and a sample is made of frames up to two away.
#[test]
fn a_beginning_that_is_made_first_sounds_as_it_would() {
    for (_, phonemes) in SENTENCES {
        let early = speak(phonemes, EARLY);
        let whole = speak(phonemes, Style::default());
        let power = |it: &[f32]| it.iter().map(|it| it * it).sum::<f32>() / it.len() as f32;
        let half = SPEECH_RATE as usize / 2;
        let apart: Vec<f32> = early.iter().zip(&whole).map(|(one, other)| one - other).collect();
        let decibels = 10.0 * (power(&apart[..half]) / power(&whole[..half])).log10();
        let seam = 18 * HOP..21 * HOP;
        let greatest = |it: &[f32]| {
            it[seam.clone()].windows(2).map(|it| (it[1] - it[0]).abs()).fold(0.0, f32::max)
        };
        let (step, usual) = (greatest(&early), greatest(&whole));
        println!(
            "{decibels:.1} dB, a step of {step:.4} where {usual:.4} is the greatest of the whole"
        );
        assert!(step <= usual * 1.2, "{step} {usual}");
        assert!(decibels < -15.0, "{decibels}");
    }
}

#[test]
fn what_is_spoken_is_understood() {
    let recognizer = LOCAL.recognizer().unwrap();
    for (text, phonemes) in SENTENCES {
        let began = Instant::now();
        let sound = speak(phonemes, EARLY);
        let seconds = sound.len() as f64 / f64::from(SPEECH_RATE);
        let real_time = began.elapsed().as_secs_f64() / seconds;
        let heard = recognizer.decode(&resample(&sound, SPEECH_RATE)).unwrap().text;
        println!("{seconds:.2} s in {real_time:.3} of real time (the first with loading): {heard}");
        assert_eq!(word_errors(text, &heard), 0, "{heard}");
        assert!((-35.0..-12.0).contains(&level_db(&sound)), "{}", level_db(&sound));
        assert!(sound.iter().all(|it| it.abs() <= 1.0));
    }
}

#[test]
fn speed_is_pace() {
    let length = |speed| speak(SENTENCES[0].1, Style { speed, ..Style::default() }).len() as f32;
    let normal = length(1.0);
    assert!((length(2.0) / normal - 0.5).abs() < 0.1);
    assert!((length(0.5) / normal - 2.0).abs() < 0.3);
    assert_eq!(length(9.0), length(2.0));
    assert_eq!(length(f32::NAN), normal);
}

#[test]
fn a_seed_decides_every_sample() {
    let said = |seed| speak(SENTENCES[1].1, Style { seed, ..EARLY });
    assert_eq!(said(5), said(5));
    assert_ne!(said(5), said(6));
}

#[test]
fn there_are_bounds_to_a_sentence() {
    let speak = |ids: &[i32]| pieces(ids, Style::default(), &AtomicBool::new(false));
    assert_eq!(speak(&[]), Ok(vec![]));
    assert_eq!(speak(&[0, 0]), Ok(vec![]));
    let too_long = RunError::TooLong { got: MAX_IDS + 1, limit: MAX_IDS, unit: "phonemes" };
    assert_eq!(speak(&[50; MAX_IDS + 1]), Err(too_long));
    assert!(speak(&[0, 9999, 0]).is_err());
}

#[test]
fn a_cancel_ends_a_sentence_within_itself() {
    let long = ids(&SENTENCES[0].1.repeat(7));
    let cancel = AtomicBool::new(true);
    assert_eq!(pieces(&long, Style::default(), &cancel), Err(RunError::Cancelled));
    cancel.store(false, Ordering::Relaxed);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let speaking = scope.spawn(|| pieces(&long, Style::default(), &cancel));
        cancel.store(true, Ordering::Relaxed);
        assert_eq!(speaking.join().unwrap(), Err(RunError::Cancelled));
    });
    println!("it took {:?} to end", began.elapsed());
}
