//! The phonemizer on the voice's own files: readings, sentences, bounds, and its distance from the oracle.

use carport_voice_phonemes::{Error, MAX_IDS, Phonemizer, Sentence};
use proptest::prelude::*;
use std::path::Path;
use std::sync::LazyLock;

const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/hibari");
const SENTENCES: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../../tests/bench/voice/data/sentences.tsv");

static PHONEMIZER: LazyLock<Phonemizer> =
    LazyLock::new(|| Phonemizer::open(Path::new(MODELS)).expect("the voice's files"));

fn joined(sentences: &[Sentence]) -> String {
    sentences.iter().map(|s| s.phonemes.as_str()).collect::<Vec<_>>().join(" ")
}

fn spoken(text: &str) -> String {
    joined(&PHONEMIZER.phonemize(text))
}

/// Levenshtein's distance.
fn distance(ours: &str, expected: &str) -> usize {
    let expected: Vec<char> = expected.chars().collect();
    let mut row: Vec<usize> = (0..=expected.len()).collect();
    for (i, c) in ours.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, e) in expected.iter().enumerate() {
            let change = diagonal + usize::from(c != *e);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[expected.len()]
}

#[test]
fn every_tenth_sentence_sounds_as_the_oracle_says() {
    let data = std::fs::read_to_string(SENTENCES).expect("the sentences");
    let (mut edits, mut phonemes, mut count) = (0, 0, 0);
    for line in data.lines().step_by(10) {
        let columns: Vec<&str> = line.split('\t').collect();
        // The last column is what a person says, where the oracle reads it otherwise.
        let expected = columns.last().expect("phonemes");
        edits += distance(&spoken(columns[1]), expected);
        phonemes += expected.chars().count();
        count += 1;
    }
    assert!(count >= 200, "{count} sentences");
    let rate = 100.0 * edits as f64 / phonemes as f64;
    assert!(rate < 0.3, "{edits} of {phonemes} phonemes are wrong: {rate:.3} %");
}

#[test]
fn what_follows_and_the_part_of_speech_choose_the_sound() {
    for (text, expected) in [
        ("I read it yesterday.", "ɹˈɛd"),
        ("I will read it.", "ɹˈid"),
        ("Where do you live?", "lˈɪv"),
        ("The end.", "ði ˈɛnd"),
        ("The book.", "ðə bˈʊk"),
        ("We want to eat.", "tʊ ˈit"),
        ("We want to go.", "tə ɡˌO"),
        ("We used to go.", "jˈust"),
        ("We used it.", "jˈuzd"),
        ("They sat down.", "sˈæt"),
        ("They record music.", "ɹəkˈɔɹd"),
        ("The record fell.", "ɹˈɛkəɹd"),
        ("We use it.", "jˈuz"),
        ("The use of it.", "jˈus"),
    ] {
        let phonemes = spoken(text);
        assert!(phonemes.contains(expected), "{text}: {phonemes} lacks {expected}");
    }
}

#[test]
fn endings_unknown_words_and_letters_are_read() {
    for (text, expected) in
        [("cats", "kˈæts"), ("NASA", "nˈæsə"), ("FBI", "ˌɛfbˌiˈI"), ("hello", "həlˈO")]
    {
        assert_eq!(spoken(text), expected, "{text}");
    }
    assert!(!spoken("blorptangle").is_empty());
}

#[test]
fn ids_are_those_of_the_voice_and_threads_may_share_it() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&*PHONEMIZER);
    let sentence = PHONEMIZER.phonemize(" Hello there. ").remove(0);
    assert_eq!(
        (sentence.text.as_str(), sentence.phonemes.as_str()),
        ("Hello there.", "həlˈO ðˈɛɹ.")
    );
    assert_eq!(sentence.ids, [0, 50, 83, 54, 156, 31, 16, 81, 156, 86, 123, 4, 0]);
}

#[test]
fn figures_sound_like_their_words() {
    for (figures, words) in [
        ("1,250", "one thousand two hundred fifty"),
        ("1905", "nineteen oh five"),
        ("2000", "two thousand"),
        ("3rd", "third"),
        ("21st", "twenty first"),
        ("1990s", "nineteen nineties"),
        ("$9.99", "nine dollars and ninety nine cents"),
        ("£1", "one pound"),
        ("€2", "two euros"),
        ("50%", "fifty percent"),
        ("-5", "minus five"),
        ("99999999999999999999", "nine ".repeat(20).trim()),
    ] {
        assert_eq!(spoken(figures), spoken(words), "{figures}");
    }
}

#[test]
fn sentences_are_those_of_the_text() {
    let text = "Dr. Smith left. \"Really?\" she asked, e.g. as a joke! Then (at 5 p.m.) it rained.\nNew line";
    let texts: Vec<String> = PHONEMIZER.sentences(text).map(|s| s.text).collect();
    let expected = [
        "Dr. Smith left.",
        "\"Really?\" she asked, e.g. as a joke!",
        "Then (at 5 p.m.) it rained.",
        "New line",
    ];
    assert_eq!(texts, expected);
}

#[test]
fn a_full_stop_of_a_short_form_ends_no_sentence() {
    for text in [
        "The U.S. Government agreed.",
        "See No. 5 and Fig. 7.",
        "J. K. Rowling wrote it.",
        "Born on Jan. 3 in Paris.",
        "As Smith et al. Showed there.",
    ] {
        assert_eq!(PHONEMIZER.phonemize(text).len(), 1, "{text}");
    }
    for text in
        ["He left the U.S. The end.", "He said no. Five stayed.", "It was 5 p.m. Then it rained."]
    {
        assert_eq!(PHONEMIZER.phonemize(text).len(), 2, "{text}");
    }
}

#[test]
fn a_long_first_sentence_starts_with_a_short_part() {
    let text = "When the daemon starts for the first time, it makes a directory for its state, writes its tokens, \
                opens its socket and waits for clients that know the token.";
    let sentences = PHONEMIZER.phonemize(text);
    assert!(sentences[0].text.chars().count() <= 80, "{:?}", sentences[0].text);
    assert!(sentences[0].text.ends_with(','));
    assert_eq!(sentences.len(), 2);
}

#[test]
fn what_nobody_can_say_is_left_out() {
    for text in ["", " \n\t ", "漢字", "🎉🎉", "\u{200B}\u{FEFF}", "---"] {
        let phonemes = spoken(text);
        assert!(!phonemes.chars().any(char::is_alphabetic), "{text:?}: {phonemes}");
    }
    assert_eq!(spoken("It works 🎉 well."), spoken("It works well."));
}

#[test]
fn a_missing_or_damaged_file_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let missing = Phonemizer::open(dir.path()).expect_err("nothing is there");
    assert!(
        matches!(&missing, Error::Read { path, .. } if path.ends_with("lexicon_us_gold.json.gz"))
    );
    std::fs::write(dir.path().join("lexicon_us_gold.json.gz"), "no gzip").expect("a file");
    let damaged = Phonemizer::open(dir.path()).expect_err("it is damaged").to_string();
    assert!(damaged.contains("lexicon_us_gold.json.gz"), "{damaged}");
}

/// Text that makes careless scanners slow; the benchmark measures it at 16 KiB.
#[test]
fn hostile_text_keeps_the_bound() {
    for part in [
        "a", "((", "a.", "1", "1-", "a-b-", "A", "x_", "1/", "[", "](", "www.", "é", "…", "a'",
        "0x", "12:", "$5 ",
    ] {
        let text = part.repeat((1 << 10) / part.len());
        for sentence in PHONEMIZER.sentences(&text) {
            assert!((3..=MAX_IDS).contains(&sentence.ids.len()), "{part}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_text_gives_ids_within_the_bound(text in "\\PC{0,200}|[ -~\\n]{0,300}|[0-9a-zA-Z.,:/$%°'’_#@\\-() ]{0,300}") {
        for sentence in PHONEMIZER.phonemize(&text) {
            prop_assert!((3..=MAX_IDS).contains(&sentence.ids.len()));
            prop_assert_eq!((sentence.ids[0], sentence.ids[sentence.ids.len() - 1]), (0, 0));
            prop_assert!(sentence.ids[1..sentence.ids.len() - 1].iter().all(|id| *id > 0));
            prop_assert!(text.contains(&sentence.text));
        }
    }
}

proptest! {
    // Every word is unknown, and the network reads each.
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn one_by_one_is_the_same_as_all_at_once(text in "([A-Za-z]{1,9}[,.!?]{0,1} ){0,30}") {
        let all = PHONEMIZER.phonemize(&text);
        let first = PHONEMIZER.sentences(&text).next();
        prop_assert_eq!(first.as_ref(), all.first());
        let spoken: String = all.iter().flat_map(|s| s.text.split_whitespace()).collect();
        let written: String = text.split_whitespace().collect();
        prop_assert_eq!(spoken, written);
    }
}
