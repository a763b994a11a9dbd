//! Phoneme errors: how many phonemes have to be changed, left out or put in to get what the oracle says.

use carport_voice_phonemes::{Phonemizer, Sentence};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

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

/// A line of `sentences.tsv`.
struct Line<'d> {
    source: &'d str,
    text: &'d str,
    /// What the oracle says for the text as it stands.
    written: &'d str,
    /// What it says for the text in words, where a person says something else than it does.
    spoken: Option<&'d str>,
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

    fn row(&self, name: &str) -> String {
        let rate = 100.0 * self.edits as f64 / self.phonemes.max(1) as f64;
        let Self { sentences, wrong, edits, phonemes } = self;
        format!(
            "| {name:<32} | {sentences:>9} | {wrong:>9} | {phonemes:>8} | {edits:>5} | {rate:>6.3} |"
        )
    }
}

/// Prints the table, the worst sentences, and what it takes.
pub(crate) fn measure(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    let data =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("data/sentences.tsv"))?;
    let before = resident();
    let start = Instant::now();
    let phonemizer = Phonemizer::open(&args.models)?;
    let opened = start.elapsed();
    let opened_processor = processor();
    println!(
        "opened in {opened:.2?} ({opened_processor:.2?} of the processor), {} KiB more resident",
        resident().saturating_sub(before)
    );
    let mut tables: BTreeMap<String, Errors> = BTreeMap::new();
    let mut worst: Vec<(usize, &str, String, &str)> = Vec::new();
    let start = Instant::now();
    let mut letters = 0;
    for line in data
        .lines()
        .filter_map(line)
        .filter(|line| args.source.as_deref().is_none_or(|s| s == line.source))
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
    println!(
        "| source                           | sentences | different | phonemes | edits |  error % |"
    );
    println!(
        "|----------------------------------|-----------|-----------|----------|-------|--------|"
    );
    for (name, errors) in &tables {
        println!("{}", errors.row(name));
    }
    println!();
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

fn line(line: &str) -> Option<Line<'_>> {
    let mut columns = line.split('\t');
    let (source, text, written) = (columns.next()?, columns.next()?, columns.next()?);
    Some(Line { source, text, written, spoken: columns.next() })
}

fn joined(sentences: &[Sentence]) -> String {
    sentences.iter().map(|s| s.phonemes.as_str()).collect::<Vec<_>>().join(" ")
}

/// Levenshtein's distance between the phonemes.
fn distance(ours: &str, expected: &str) -> usize {
    let expected: Vec<char> = expected.chars().collect();
    let mut row: Vec<usize> = (0..=expected.len()).collect();
    for (i, c) in ours.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, e) in expected.iter().enumerate() {
            let change = diagonal + usize::from(c != *e);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[expected.len()]
}

/// How long 16 KiB of prose take, and its first sentence.
fn first(phonemizer: &Phonemizer, data: &str) {
    let prose = data.lines().filter_map(line).filter(|line| line.source == "workshop");
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

/// KiB of memory that this process holds, 0 where the system does not say.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
