//! Live streams that are fed as fast as they sound: how soon text comes, and what a stream costs.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use carport_bench_dispatch::{Error, process, stats};
use carport_core::Guarded;
use carport_voice_api::{Event, NewStream, Numbered, Sink, Stream, Summary};
use carport_voice_audio::{RATE, pcm_s16le};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval_at},
};

use crate::{lab::Lab, millis, percent, samples, words::Score};

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Streams at once
    #[arg(long, value_delimiter = ',', default_value = "1,2,4,8")]
    sessions: Vec<usize>,
    /// How often each stream says everything
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// Milliseconds of sound in a push
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1000))]
    push_ms: u64,
}

/// What is asked for.
const GOAL: &str = "final p90 <= 700";
/// Silence between two recordings, in samples: longer than what ends a segment.
const PAUSE: usize = RATE as usize;
/// Streams do not begin at once, as people do not.
const STAGGER: Duration = Duration::from_millis(370);
/// How often the memory is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// What a stream told, and when.
type Told = Arc<Guarded<Vec<(Instant, Event)>>>;

/// What one stream came to.
struct Outcome {
    began: Instant,
    told: Vec<(Instant, Event)>,
    summary: Summary,
    /// Pushes that found no room.
    refused: usize,
}

/// Latencies of segments. A position of a stream is spoken when its time has passed since the stream
/// began, so what a push holds back counts.
#[derive(Default)]
struct Latencies {
    segments: usize,
    first_partials: Vec<Duration>,
    finals: Vec<Duration>,
}

impl Latencies {
    fn add(&mut self, outcome: &Outcome) {
        let spoken = |at_ms: u64| outcome.began + Duration::from_millis(at_ms);
        // Where the segment that is open began, while it has no partial, and where it ended.
        let (mut onset, mut end) = (None, None);
        for (when, event) in &outcome.told {
            match event {
                Event::SpeechStarted { at_ms, .. } => {
                    self.segments += 1;
                    onset = Some(*at_ms);
                }
                Event::Partial { .. } => {
                    let since =
                        onset.take().map(|at_ms| when.saturating_duration_since(spoken(at_ms)));
                    self.first_partials.extend(since);
                }
                Event::SpeechStopped { at_ms, .. } => end = Some(*at_ms),
                Event::Final { .. } => {
                    let since =
                        end.take().map(|at_ms| when.saturating_duration_since(spoken(at_ms)));
                    self.finals.extend(since);
                }
                _ => {}
            }
        }
    }
}

/// Prints the table.
pub(crate) async fn measure(args: &Args) -> Result<(), Error> {
    let lab = Lab::start(&["stt"]).await?;
    let (mut sound, mut said) = (vec![0.0; PAUSE], String::new());
    for recording in samples::all()?.iter().cycle().take(args.repeats * samples::all()?.len()) {
        sound.extend(&recording.samples);
        sound.extend([0.0; PAUSE]);
        said = [said, recording.said.clone()].join(" ");
    }
    let cores = std::thread::available_parallelism()?;
    println!("{cores} cores; {:.0} s of sound a stream\n", sound.len() as f64 / f64::from(RATE));
    // What is made once is made before anything is counted.
    lab.transcribe(&sound[..sound.len().min(10 * RATE as usize)]).await?;
    let mut rows = Vec::new();
    for count in &args.sessions {
        rows.push(run(&lab, *count, &sound, &said, args.push_ms).await?);
    }
    let header = [
        "streams",
        "segments",
        "partial p50 ms",
        "p90 ms",
        "without",
        "final p50 ms",
        "p90 ms",
        "goal, ms",
        "WER %",
        "refused",
        "CPU %",
        "KiB/stream",
    ];
    stats::table(header, rows);
    lab.stop().await;
    Ok(())
}

async fn run(
    lab: &Lab,
    count: usize,
    sound: &[f32],
    said: &str,
    push_ms: u64,
) -> Result<[String; 12], Error> {
    let (pid, pcm) = (std::process::id(), Arc::<[u8]>::from(pcm_s16le(sound)));
    let (before, cpu, start) = (process::resident(pid)?, process::cpu(pid)?, Instant::now());
    let mut feeding = JoinSet::new();
    for nth in 0..count {
        let told = Told::default();
        let stream = open(lab, nth, &told)?;
        feeding.spawn(feed(stream, told, pcm.clone(), STAGGER * nth as u32, push_ms));
    }
    let (mut most, mut looks, mut outcomes) = (before, tokio::time::interval(LOOK), Vec::new());
    while outcomes.len() < count {
        tokio::select! {
            Some(fed) = feeding.join_next() => outcomes.push(fed??),
            _ = looks.tick() => most = most.max(process::resident(pid)?),
        }
    }
    let used = (process::cpu(pid)?.saturating_sub(cpu)).as_secs_f64();
    let used = 100.0 * used / start.elapsed().as_secs_f64();
    let (mut latencies, mut score) = (Latencies::default(), Score::default());
    for outcome in &outcomes {
        latencies.add(outcome);
        score.add(Score::of(said, &outcome.summary.transcript));
    }
    let at = |of: &[Duration], share| millis(stats::percentile(of, share));
    let Latencies { segments, first_partials, finals } = &latencies;
    Ok([
        count.to_string(),
        segments.to_string(),
        at(first_partials, 0.5),
        at(first_partials, 0.9),
        (segments - first_partials.len()).to_string(),
        at(finals, 0.5),
        at(finals, 0.9),
        GOAL.into(),
        percent(score.word_edits, score.words),
        outcomes.iter().map(|it| it.refused).sum::<usize>().to_string(),
        format!("{used:.0}"),
        ((most.saturating_sub(before) >> 10) / count as u64).to_string(),
    ])
}

/// Opens a stream that writes down what it tells.
fn open(lab: &Lab, nth: usize, told: &Told) -> Result<Arc<dyn Stream>, Error> {
    let book = told.clone();
    let sink: Sink = Arc::new(move |numbered: &Numbered| {
        book.lock().push((Instant::now(), numbered.event.clone()));
    });
    let new =
        NewStream { session_id: format!("live-{nth}"), sink: Some(sink), ..NewStream::default() };
    let stream = lab.voice.open(new).map_err(|error| error.to_string())?;
    stream.go_live();
    Ok(stream)
}

/// Pushes each piece when it has been spoken, and stops at the end.
async fn feed(
    stream: Arc<dyn Stream>,
    told: Told,
    pcm: Arc<[u8]>,
    wait: Duration,
    push_ms: u64,
) -> Result<Outcome, Error> {
    let (began, period) = (Instant::now() + wait, Duration::from_millis(push_ms));
    let mut ticks = interval_at((began + period).into(), period);
    // Whoever is late catches up, as a sound card does.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut refused = 0;
    for piece in pcm.chunks(2 * RATE as usize * push_ms as usize / 1000) {
        ticks.tick().await;
        refused += usize::from(stream.push(piece).is_err());
    }
    let summary = stream.stop(true).await.map_err(|error| error.to_string())?;
    let told = std::mem::take(&mut *told.lock());
    Ok(Outcome { began, told, summary, refused })
}
