//! How soon speech begins, and how much faster it is made than it sounds.

use std::time::{Duration, Instant};

use carport_bench_dispatch::{Error, stats};
use carport_voice_api::{SpeechFormat, SpeechOptions, Voice};

use crate::{lab::Lab, sentences};

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Texts of each length
    #[arg(long, default_value_t = 100)]
    count: usize,
    /// Where the sentences come from
    #[arg(long, default_value = "crates")]
    source: String,
}

/// What is asked for.
const GOAL: &str = "p90 <= 60";
/// Sentences of a long text.
const LONG: usize = 12;

/// What speaking some texts took.
#[derive(Default)]
struct Sums {
    bytes: usize,
    firsts: Vec<Duration>,
    took: Duration,
    sounds: Duration,
}

impl Sums {
    /// Speaks a text, and takes each chunk as soon as it is there.
    async fn add(&mut self, voice: &dyn Voice, text: String) -> Result<(), Error> {
        self.bytes += text.len();
        let options = SpeechOptions { format: Some(SpeechFormat::Pcm), ..SpeechOptions::default() };
        let start = Instant::now();
        let mut speech = voice.speak(text, options).map_err(|error| error.to_string())?;
        let mut first = None;
        while let Some(chunk) = speech.chunks.recv().await {
            let chunk = chunk.map_err(|failure| failure.to_string())?;
            if !chunk.bytes.is_empty() {
                first.get_or_insert(start.elapsed());
            }
            self.sounds += Duration::from_millis(chunk.duration_ms);
        }
        self.took += start.elapsed();
        self.firsts.push(first.ok_or("a text without sound")?);
        Ok(())
    }

    fn row(&self, name: &str) -> [String; 7] {
        let at =
            |share| format!("{:.1}", stats::percentile(&self.firsts, share).as_secs_f64() * 1e3);
        [
            name.into(),
            self.firsts.len().to_string(),
            (self.bytes / self.firsts.len().max(1)).to_string(),
            at(0.5),
            at(0.9),
            GOAL.into(),
            format!("{:.3}", self.took.as_secs_f64() / self.sounds.as_secs_f64()),
        ]
    }
}

/// Prints the table.
pub(crate) async fn measure(args: &Args) -> Result<(), Error> {
    let data = sentences::read()?;
    let picked = sentences::pick(&data, &args.source, args.count)?;
    let lab = Lab::start(&["tts"]).await?;
    // What is made once is made before anything is timed.
    Sums::default().add(&*lab.voice, "All is well.".into()).await?;
    let (mut one, mut many) = (Sums::default(), Sums::default());
    for (nth, sentence) in picked.iter().enumerate() {
        one.add(&*lab.voice, (*sentence).to_owned()).await?;
        let long: Vec<_> = picked.iter().copied().cycle().skip(nth).take(LONG).collect();
        many.add(&*lab.voice, long.join(" ")).await?;
    }
    let header = ["text", "n", "bytes", "first p50 ms", "p90 ms", "goal, ms", "RTF"];
    stats::table(header, [one.row("a sentence"), many.row("twelve sentences")]);
    lab.stop().await;
    Ok(())
}
