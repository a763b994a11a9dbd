//! Word errors on recordings, as they are and in noise, and the real-time factor.

use std::time::Duration;

use carport_bench_dispatch::{Error, stats};

use crate::{
    lab::Lab,
    noise::{Colour, mixed},
    percent,
    samples::{self, Recording},
    words::Score,
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
    async fn add(&mut self, lab: &Lab, of: &Recording, samples: &[f32]) -> Result<(), Error> {
        let (heard, took) = lab.transcribe(samples).await?;
        self.runs += 1;
        self.score.add(Score::of(&of.said, &heard));
        self.seconds += of.seconds();
        self.took += took;
        Ok(())
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

/// Prints the table.
pub(crate) async fn measure(args: &Args) -> Result<(), Error> {
    let lab = Lab::start(&["stt"]).await?;
    let recordings = samples::all()?;
    let of_kind = |kind: &'static str| recordings.iter().filter(move |it| it.kind == kind);
    let mut rows = Vec::new();
    for kind in ["people", "machines"] {
        let mut sums = Sums::default();
        for recording in of_kind(kind) {
            sums.add(&lab, recording, &recording.samples).await?;
        }
        rows.push(sums.row(kind, "-".into(), "-".into()));
    }
    let (meeting, mut sums) = (samples::meeting()?, Sums::default());
    sums.add(&lab, &meeting, &meeting.samples).await?;
    rows.push(sums.row(meeting.kind, "-".into(), "-".into()));
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
    lab.stop().await;
    Ok(())
}
