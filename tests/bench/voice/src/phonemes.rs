//! Phoneme errors: how many phonemes have to be changed, left out or put in to get what the oracle says.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use carport_bench_dispatch::{Error, process, stats};
use carport_voice_phonemes::{Phonemizer, Sentence};
use strsim::generic_levenshtein;

use crate::sentences::{self, lines};

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The voice's files
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../plugins/voice/models/hibari"))]
    models: PathBuf,
    /// Sentences that differ most, to be shown
    #[arg(long, default_value_t = 10)]
    worst: usize,
    /// Only sentences from this source
    #[arg(long)]
    source: Option<String>,
}

#[derive(Default)]
struct Errors {
    sentences: usize,
    wrong: usize,
    edits: usize,
    phonemes: usize,
}

impl Errors {
    fn add(&mut self, edits: usize, phonemes: usize) {
        self.sentences += 1;
        self.wrong += usize::from(edits > 0);
        self.edits += edits;
        self.phonemes += phonemes;
    }

    fn row(&self, name: &str) -> [String; 6] {
        let rate = 100.0 * self.edits as f64 / self.phonemes.max(1) as f64;
        let [sentences, wrong, phonemes, edits] =
            [self.sentences, self.wrong, self.phonemes, self.edits].map(|it| it.to_string());
        [name.into(), sentences, wrong, phonemes, edits, format!("{rate:.3}")]
    }
}

/// Prints the table, the worst sentences, and what it takes.
pub(crate) fn measure(args: &Args) -> Result<(), Error> {
    let (data, pid) = (sentences::read()?, std::process::id());
    let before = process::resident(pid)?;
    let start = Instant::now();
    let phonemizer = Phonemizer::open(&args.models)?;
    let opened = start.elapsed();
    let opened_processor = processor();
    println!(
        "opened in {opened:.2?} ({opened_processor:.2?} of the processor), {} KiB more resident",
        process::resident(pid)?.saturating_sub(before) >> 10
    );
    let mut tables: BTreeMap<String, Errors> = BTreeMap::new();
    let mut worst: Vec<(usize, &str, String, &str)> = Vec::new();
    let start = Instant::now();
    let mut letters = 0;
    for line in lines(&data).filter(|line| args.source.as_deref().is_none_or(|s| s == line.source))
    {
        letters += line.text.len();
        let ours = joined(&phonemizer.phonemize(line.text));
        let expected = line.spoken.unwrap_or(line.written);
        let edits = distance(&ours, expected);
        let length = expected.chars().count();
        tables.entry(line.source.to_owned()).or_default().add(edits, length);
        let raw = distance(&ours, line.written);
        tables
            .entry("~ all, by what the oracle says".to_owned())
            .or_default()
            .add(raw, line.written.chars().count());
        if line.spoken.is_none() {
            tables.entry("~ where the oracle is right".to_owned()).or_default().add(edits, length);
        } else {
            let theirs = distance(line.written, expected);
            tables
                .entry("~ the oracle, where it is wrong".to_owned())
                .or_default()
                .add(theirs, length);
            tables.entry("~ ours, where it is wrong".to_owned()).or_default().add(edits, length);
        }
        if edits > 0 {
            worst.push((edits, line.text, ours, expected));
        }
    }
    let took = start.elapsed();
    println!(
        "{letters} bytes of text in {took:.2?} ({:.2?} of the processor)\n",
        processor() - opened_processor
    );
    let header = ["source", "sentences", "different", "phonemes", "edits", "error %"];
    stats::table(header, tables.iter().map(|(name, errors)| errors.row(name)));
    first(&phonemizer, &data);
    hostile(&phonemizer);
    worst.sort_by_key(|(edits, ..)| std::cmp::Reverse(*edits));
    for (edits, text, ours, expected) in worst.iter().take(args.worst) {
        println!(
            "{edits:>3}  {text}\n     read   {}\n     ours   {ours}\n     oracle {expected}",
            phonemizer.normalise(text)
        );
    }
    Ok(())
}

fn joined(sentences: &[Sentence]) -> String {
    sentences.iter().map(|s| s.phonemes.as_str()).collect::<Vec<_>>().join(" ")
}

/// Phonemes that have to be changed, left out or put in.
fn distance(ours: &str, expected: &str) -> usize {
    let phonemes = |text: &str| text.chars().collect::<Vec<_>>();
    generic_levenshtein(&phonemes(ours), &phonemes(expected))
}

/// How long 16 KiB of prose take, and its first sentence.
fn first(phonemizer: &Phonemizer, data: &str) {
    let prose = lines(data).filter(|line| line.source == "workshop");
    let mut text = String::new();
    for line in prose {
        text.push_str(line.text);
        text.push(' ');
    }
    text.truncate(text.floor_char_boundary(16 << 10));
    // The kernel's account moves in steps of some milliseconds.
    let repeats = 200;
    let start = processor();
    let first = (0..repeats).filter_map(|_| phonemizer.sentences(&text).next()).last();
    let took = (processor() - start) / repeats;
    let start = processor();
    let count = phonemizer.phonemize(&text).len();
    let all = processor() - start;
    let length = first.map_or(0, |sentence| sentence.text.len());
    println!(
        "16 KiB of prose: the first sentence ({length} bytes) after {took:.1?} of the processor, \
         all {count} after {all:.1?}\n"
    );
}

/// Texts of 16 KiB that make careless scanners slow.
const HOSTILE: [&str; 20] = [
    "a", "((", "a.", "1", "1-", "a-b-", "A", "x_", "1/", "[", "](", "www.", "é", "…", "a'", "0x",
    "12:", "$5 ", "Xx", "blorp ",
];

fn hostile(phonemizer: &Phonemizer) {
    let mut times: Vec<(Duration, String)> = HOSTILE
        .iter()
        .map(|part| (part.repeat((16 << 10) / part.len()), format!("{part:?} again and again")))
        .chain([(strangers(), "words that no dictionary has".to_owned())])
        .map(|(text, name)| {
            let start = processor();
            let count = phonemizer.phonemize(&text).len();
            (processor() - start, format!("{name}, {count} sentences"))
        })
        .collect();
    times.sort();
    println!("16 KiB of hostile text, the slowest by time of the processor:");
    for (took, name) in times.iter().rev().take(6) {
        println!("{took:>10.1?}  {name}");
    }
    println!();
}

/// Words of two to four made-up syllables, all different.
fn strangers() -> String {
    let mut state = 1u64;
    let mut pick = |letters: &str| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        letters.as_bytes()[(state >> 33) as usize % letters.len()] as char
    };
    let mut text = String::new();
    while text.len() < 16 << 10 {
        for _ in 0..3 {
            text.extend([pick("bdfgklmnprstvz"), pick("aeiou"), pick("lnrsx")]);
        }
        text.push(' ');
    }
    text
}

/// Time of the processor that this process has used, by the kernel's account of its first thread.
fn processor() -> Duration {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or(0))
}
