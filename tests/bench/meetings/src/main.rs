//! What a meeting adds to the time that speech takes to become text. It drives the real daemon that was built
//! beside this program.

use std::{
    collections::HashMap,
    fs,
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use carport_bench_dispatch::{
    Error,
    daemon::{Client, Daemon},
    stats,
};
use clap::Parser;
use serde_json::{Value, json};

/// Measures meetings that hear the talk of three people.
#[derive(Debug, Parser)]
struct Args {
    /// Meetings one after the other, for each durability
    #[arg(long, default_value_t = 10)]
    meetings: usize,
    /// Sources of a meeting, all of which hear the talk
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=4))]
    sources: u64,
    /// Hear it as fast as it sounds
    #[arg(long)]
    real_time: bool,
    /// How deep a segment is on the disk before anybody hears of it
    #[arg(long, value_delimiter = ',', default_value = "process,interval,record")]
    durability: Vec<String>,
    /// Where state roots are made; they go at the end
    #[arg(long)]
    directory: Option<std::path::PathBuf>,
}

/// The sound, in the folder of the voice's tests.
const SOUND: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../../plugins/voice/tests/samples/meeting_3spk.wav");

/// Which segment it is: its source, and where it begins.
type Key = (String, u64);

/// When something was heard on a connection.
type Heard = HashMap<Key, Moment>;

#[derive(Debug, Clone, Copy)]
struct Moment {
    when: Instant,
    /// Since the speaker fell silent.
    late: Duration,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let args = Args::parse();
    let mut rows = Vec::new();
    for durability in &args.durability {
        rows.push(measure(&args, durability).await?);
    }
    let header = [
        "durability",
        "segments",
        "voice p50 ms",
        "p90 ms",
        "added p50 us",
        "p90 us",
        "p99 us",
        "most us",
        "added to voice %",
    ];
    stats::table(header, rows);
    Ok(())
}

async fn measure(args: &Args, durability: &str) -> Result<[String; 9], Error> {
    let root = match &args.directory {
        Some(directory) => tempfile::tempdir_in(directory)?,
        None => tempfile::tempdir()?,
    };
    let sounds = root.path().join("voice/audio");
    fs::create_dir_all(&sounds)?;
    fs::copy(Path::new(SOUND), sounds.join("talk.wav"))?;
    let daemon = Daemon::start(root.path(), &format!("durability = {durability:?}\n")).await?;
    let (mut late, mut added) = (Vec::new(), Vec::new());
    // The first loads the models.
    for nth in 0..=args.meetings {
        let (voice, meeting) = run(args, &daemon).await?;
        if voice.is_empty() || voice.len() != meeting.len() {
            return Err(format!("{} and {} segments", voice.len(), meeting.len()).into());
        }
        for (key, spoken) in voice.iter().filter(|_| nth > 0) {
            let told = meeting.get(key).ok_or("a segment that no meeting told")?;
            late.push(spoken.late);
            added.push(told.when.saturating_duration_since(spoken.when));
        }
    }
    daemon.stop().await?;
    let micros = |share| format!("{:.0}", stats::percentile(&added, share).as_secs_f64() * 1e6);
    let millis = |share| match args.real_time {
        true => format!("{:.0}", stats::percentile(&late, share).as_secs_f64() * 1e3),
        false => "-".into(),
    };
    let share =
        stats::percentile(&added, 0.5).as_secs_f64() / stats::percentile(&late, 0.5).as_secs_f64();
    Ok([
        durability.into(),
        added.len().to_string(),
        millis(0.5),
        millis(0.9),
        micros(0.5),
        micros(0.9),
        micros(0.99),
        micros(1.0),
        if args.real_time { format!("{:.2}", share * 100.0) } else { "-".into() },
    ])
}

/// One meeting: what its starter heard of the voice, and what somebody who follows it heard of the meeting.
async fn run(args: &Args, daemon: &Daemon) -> Result<(Heard, Heard), Error> {
    let (mut starter, mut follower) = (daemon.client().await?, daemon.client().await?);
    let source = |nth: u64| {
        let audio = json!({ "kind": "file", "path": "talk.wav", "realtime": args.real_time });
        json!({ "source": format!("s{nth}"), "audio_source": audio })
    };
    let sources: Vec<_> = (0..args.sources).map(source).collect();
    let params = json!({ "sources": sources, "options": { "streaming": false } });
    let started = starter.call("meeting.start", &params).await?;
    let began = SystemTime::now();
    let mut streams = HashMap::new();
    for source in started["sources"].as_array().into_iter().flatten() {
        streams.insert(text(&source["voice_session_id"]), text(&source["source"]));
    }
    follower.call("meeting.subscribe", &json!({ "meeting_id": started["id"] })).await?;
    let voice = heard(&mut starter, began, streams.len(), |params| {
        let event = &params["event"];
        let key = || {
            (streams[&text(&params["session_id"])].clone(), event["start_ms"].as_u64().unwrap_or(0))
        };
        match event["type"].as_str().unwrap_or_default() {
            "transcript" => Told::Segment(key(), event["end_ms"].as_u64().unwrap_or(0)),
            "session_stopped" => Told::End,
            _ => Told::Else,
        }
    });
    let meeting = heard(&mut follower, began, 1, |params| {
        let segment = &params["segment"];
        let key = || (text(&segment["source"]), segment["start_ms"].as_u64().unwrap_or(0));
        match params["type"].as_str().unwrap_or_default() {
            "segment" => Told::Segment(key(), segment["end_ms"].as_u64().unwrap_or(0)),
            "status" => Told::End,
            _ => Told::Else,
        }
    });
    tokio::try_join!(voice, meeting)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What a notification tells.
enum Told {
    /// A segment, and where it ends.
    Segment(Key, u64),
    /// Nothing more comes of one thing that is listened to.
    End,
    Else,
}

/// Listens until so many things have ended.
async fn heard(
    client: &mut Client,
    began: SystemTime,
    ends: usize,
    read: impl Fn(&Value) -> Told,
) -> Result<Heard, Error> {
    let (mut heard, mut ended) = (Heard::new(), 0);
    while ended < ends {
        let frame = client.next().await?;
        let when = Instant::now();
        let frame: Value = serde_json::from_str(&frame)?;
        match read(&frame["params"]) {
            Told::Segment(key, end_ms) => {
                let spoken = began + Duration::from_millis(end_ms);
                let late = spoken.elapsed().unwrap_or_default();
                heard.insert(key, Moment { when, late });
            }
            Told::End => ended += 1,
            Told::Else => {}
        }
    }
    Ok(heard)
}
