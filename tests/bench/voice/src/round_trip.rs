//! Sentences that are spoken by one method and heard by the other, and how many words come back wrong.

use carport_bench_dispatch::{Error, stats};
use carport_voice_local::Places;
use carport_voice_phonemes::Phonemizer;

use crate::{lab::Lab, percent, sentences, words::Score};

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Sentences
    #[arg(long, default_value_t = 200)]
    count: usize,
    /// Where they come from
    #[arg(long, default_value = "crates")]
    source: String,
    /// Sentences that come back worst, to be shown
    #[arg(long, default_value_t = 10)]
    worst: usize,
}

/// What is asked for.
const GOAL: &str = "<= 2";

/// Prints the table and the worst sentences.
pub(crate) async fn measure(args: &Args) -> Result<(), Error> {
    let data = sentences::read()?;
    let picked = sentences::pick(&data, &args.source, args.count)?;
    let lab = Lab::start(&["tts", "stt"]).await?;
    let phonemizer = Phonemizer::open(&Places::repository().join("hibari"))?;
    let (mut as_written, mut as_read, mut different) = (Score::default(), Score::default(), 0);
    let mut worst = Vec::new();
    for text in picked {
        let heard = lab.said_and_heard(text).await?;
        as_written.add(Score::of(text, &heard));
        // "1.2" is said "one point two", and may be written either way.
        let (said, read) = (phonemizer.normalise(text), phonemizer.normalise(&heard));
        let score = Score::of(&said, &read);
        as_read.add(score);
        different += usize::from(score.word_edits > 0);
        worst.push((score.word_edits, said, read));
    }
    let row = |name: &str, score: Score, goal: &str| {
        [
            name.into(),
            score.words.to_string(),
            score.word_edits.to_string(),
            percent(score.word_edits, score.words),
            goal.into(),
            percent(score.letter_edits, score.letters),
        ]
    };
    println!("{} sentences, {different} of them come back different\n", worst.len());
    let header = ["compared", "words", "edits", "WER %", "goal, WER %", "letters %"];
    stats::table(header, [row("as read", as_read, GOAL), row("as written", as_written, "")]);
    worst.sort_by_key(|(edits, ..)| std::cmp::Reverse(*edits));
    for (edits, said, heard) in worst.iter().filter(|it| it.0 > 0).take(args.worst) {
        println!("{edits:>3}  {said}\n     {heard}");
    }
    lab.stop().await;
    Ok(())
}
