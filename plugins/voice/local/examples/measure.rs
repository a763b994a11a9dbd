//! What the models cost on this machine: `measure WAV...` prints times, real-time factors and memory.

use std::{
    error::Error, fs, ops::ControlFlow, path::Path, sync::atomic::AtomicBool, time::Instant,
};

use carport_voice_audio::{Decoder, Limits, mono_16k};
use carport_voice_local::{Activity, Local, Locator, Places, Recognizer, SPEECH_RATE, Style};

/// Resident memory of this process in MB, where the system tells.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0) / 1024
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> (T, f64) {
    let (before, began) = (memory(), Instant::now());
    let done = work();
    let seconds = began.elapsed().as_secs_f64();
    println!("{what}: {:.0} ms, memory {before} -> {} MB", seconds * 1000.0, memory());
    (done, seconds)
}

fn main() -> Result<(), Box<dyn Error>> {
    let repository = Some(Places::repository());
    let local = Local::new(Locator::new(Places { repository, ..Places::default() }));
    let recognizer = timed("verify and load recognition", || local.recognizer()).0?;
    for path in std::env::args().skip(1) {
        let samples = mono_16k(Decoder::of_file(Path::new(&path), Limits::default())?)?;
        let mut frames = 0u32;
        let scored =
            timed("  voice activity", || Activity::new().push(&samples, |_| frames += 1)).1;
        println!("  {:.1} us a frame", scored * 1e6 / f64::from(frames));
        let part = &samples[..samples.len().min(recognizer.limit())];
        let (heard, took) = timed("  one decode of its first 32 s", || recognizer.decode(part));
        let heard = heard?;
        println!("  {:.3} of real time: {}", took * 16_000.0 / part.len() as f64, heard.text);
        let encoder = timed("verify and load speakers", || local.encoder()).0?;
        timed("  one voice print", || encoder.print(part)).0?;
    }
    let voice = timed("verify and load speech", || local.speech()).0?;
    // "The build finished without errors."
    let ids = [
        0, 81, 83, 16, 44, 156, 102, 54, 46, 16, 48, 156, 102, 56, 83, 131, 62, 16, 65, 102, 81,
        156, 39, 62, 16, 156, 86, 123, 83, 123, 68, 4, 0,
    ];
    for _ in 0..3 {
        let (cancel, mut samples) = (AtomicBool::new(false), 0);
        let mut count = |sound: Vec<f32>| {
            samples += sound.len();
            ControlFlow::Continue(())
        };
        let speak = || voice.speak(&ids, Style::default(), &cancel, &mut count);
        let (made, took) = timed("one sentence", speak);
        made?;
        println!("  {:.3} of real time", took * f64::from(SPEECH_RATE) / samples as f64);
    }
    Ok(())
}
