//! The floor: the same bytes appended to a bare file, one write a batch, by one thread that does nothing else.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use crate::{Error, append::Figures, daemon::Durability};

/// Turns of a run, after which a new file is begun, as the daemon does.
pub(crate) const TURNS: usize = 2000;

/// Appends for as long as `time`. `line` is a line as the daemon writes it.
pub(crate) fn append(
    directory: &Path,
    line: &str,
    batch: usize,
    durability: Durability,
    time: Duration,
) -> Result<Figures, Error> {
    let bytes = line.repeat(batch);
    let (mut latencies, mut turns, mut files) = (Vec::new(), 0, 0);
    let (began, mut synced) = (Instant::now(), Instant::now());
    let mut file = create(directory, files)?;
    while began.elapsed() < time {
        let from = Instant::now();
        file.write_all(bytes.as_bytes())?;
        match durability {
            Durability::Process => {}
            Durability::Interval if synced.elapsed() < Duration::from_millis(100) => {}
            Durability::Interval | Durability::Record => {
                file.sync_data()?;
                synced = Instant::now();
            }
        }
        latencies.push(from.elapsed());
        turns += batch;
        if turns / TURNS > files {
            files = turns / TURNS;
            file = create(directory, files)?;
        }
    }
    Ok(Figures { turns, elapsed: began.elapsed(), latencies, cpu: None })
}

fn create(directory: &Path, n: usize) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(directory.join(format!("{n}.jsonl")))
}
