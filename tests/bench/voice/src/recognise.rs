//! Word errors on recordings, as they are and in noise, and the real-time factor.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use carport_bench_dispatch::{Error, stats};

use crate::{
    lab::Lab,
    noise::{Colour, mixed},
    percent,
    samples::{self, Recording},
    words::{Score, differences},
};

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How far the noise lies below the speech, in decibels
    #[arg(long, value_delimiter = ',', default_value = "20,10,5")]
    snr: Vec<f64>,
    /// What the noise is like
    #[arg(long, value_enum, value_delimiter = ',', default_value = "white,pink")]
    noise: Vec<Colour>,
    /// How often each recording is mixed with other noise
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// Other people: folders with recordings and a `refs.json` that says by a file's name what is said in it
    #[arg(long)]
    people: Vec<PathBuf>,
    /// Differences between what was said and what was heard, at the most so many
    #[arg(long, default_value_t = 200)]
    differences: usize,
}

/// What people say is to be heard as well as this.
const GOAL: &str = "people, no noise: <= 1.3";

#[derive(Default)]
struct Sums {
    runs: usize,
    score: Score,
    seconds: f64,
    took: Duration,
}

impl Sums {
    /// Hears these samples of a recording, and tells what was misheard.
    async fn add(
        &mut self,
        lab: &Lab,
        of: &Recording,
        samples: &[f32],
    ) -> Result<Vec<(String, String)>, Error> {
        let (heard, took) = lab.transcribe(samples).await?;
        self.runs += 1;
        self.score.add(Score::of(&of.said, &heard));
        self.seconds += of.seconds();
        self.took += took;
        Ok(differences(&of.said, &heard))
    }

    fn join(&mut self, other: &Self) {
        self.runs += other.runs;
        self.score.add(other.score);
        self.seconds += other.seconds;
        self.took += other.took;
    }

    fn row(&self, who: &str, noise: String, snr: String) -> [String; 9] {
        let Score { words, word_edits, letters, letter_edits } = self.score;
        let goal = if who == "people" && noise == "-" { GOAL } else { "" };
        [
            who.into(),
            noise,
            snr,
            self.runs.to_string(),
            words.to_string(),
            percent(word_edits, words),
            percent(letter_edits, letters),
            format!("{:.3}", self.took.as_secs_f64() / self.seconds),
            goal.into(),
        ]
    }
}

/// Prints the table, and what was heard instead of what was said.
pub(crate) async fn measure(args: &Args) -> Result<(), Error> {
    let mut recordings = samples::all()?;
    recordings.extend(samples::more_people()?);
    for folder in &args.people {
        recordings.extend(samples::people(folder)?);
    }
    let of_kind = |kind: &'static str| recordings.iter().filter(move |it| it.kind == kind);
    let lab = Lab::start(&["stt"]).await?;
    let (mut rows, mut wrong) = (Vec::new(), Vec::new());
    for kind in ["people", "machines"] {
        rows.extend(quiet(&lab, &mut wrong, kind, of_kind(kind)).await?);
    }
    let meeting = samples::meeting()?;
    rows.extend(quiet(&lab, &mut wrong, meeting.kind, [&meeting]).await?);
    for colour in &args.noise {
        for snr in &args.snr {
            for kind in ["people", "machines"] {
                let mut sums = Sums::default();
                for (recording, seed) in
                    of_kind(kind).flat_map(|it| (0..args.seeds).map(move |seed| (it, seed)))
                {
                    let noisy = mixed(&recording.samples, *colour, *snr, seed);
                    sums.add(&lab, recording, &noisy).await?;
                }
                rows.push(sums.row(kind, colour.name().into(), snr.to_string()));
            }
        }
    }
    let header =
        ["who", "noise", "SNR dB", "n", "words", "WER %", "letters %", "RTF", "goal, WER %"];
    stats::table(header, rows);
    println!("{} places differ without noise", wrong.len());
    stats::table(["source", "said", "heard"], wrong.into_iter().take(args.differences));
    lab.stop().await;
    Ok(())
}

/// The rows of some recordings without noise: all of them, and each source where there are several. What was
/// misheard goes into `wrong`: source, said, heard.
async fn quiet<'a>(
    lab: &Lab,
    wrong: &mut Vec<[String; 3]>,
    kind: &str,
    recordings: impl IntoIterator<Item = &'a Recording>,
) -> Result<Vec<[String; 9]>, Error> {
    let mut sources = BTreeMap::<&str, Sums>::new();
    for recording in recordings {
        let sums = sources.entry(&recording.source).or_default();
        let misheard = sums.add(lab, recording, &recording.samples).await?;
        let source = || recording.source.clone();
        wrong.extend(misheard.into_iter().map(|(said, heard)| [source(), said, heard]));
    }
    let mut all = Sums::default();
    sources.values().for_each(|it| all.join(it));
    let mut rows = vec![all.row(kind, "-".into(), "-".into())];
    if sources.len() > 1 {
        rows.extend(
            sources.iter().map(|(it, sums)| sums.row(&format!("~ {it}"), "-".into(), "-".into())),
        );
    }
    Ok(rows)
}
