//! What recording is measured against: a bare file that the same bytes are appended to, one write a batch, by
//! one thread that does nothing else; and a bare socket in front of such files.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{accept_async, tungstenite::Message};

use carport_bench_dispatch::Error;

use crate::{append::Figures, daemon::Durability};

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
    let began = Instant::now();
    let mut file = BareFile::create(directory, "0", durability)?;
    while began.elapsed() < time {
        let from = Instant::now();
        file.append(bytes.as_bytes())?;
        latencies.push(from.elapsed());
        turns += batch;
        if turns / TURNS > files {
            files = turns / TURNS;
            file = BareFile::create(directory, &files.to_string(), durability)?;
        }
    }
    Ok(Figures { turns, elapsed: began.elapsed(), latencies, cpu: None })
}

struct BareFile {
    file: File,
    durability: Durability,
    synced: Instant,
}

impl BareFile {
    fn create(directory: &Path, name: &str, durability: Durability) -> std::io::Result<Self> {
        let path = directory.join(format!("{name}.jsonl"));
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        Ok(Self { file, durability, synced: Instant::now() })
    }

    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.write_all(bytes)?;
        match self.durability {
            Durability::Process => Ok(()),
            Durability::Interval if self.synced.elapsed() < Duration::from_millis(100) => Ok(()),
            Durability::Interval | Durability::Record => {
                self.synced = Instant::now();
                self.file.sync_data()
            }
        }
    }
}

/// Serves WebSockets: each message is appended as it came to the connection's own file and answered. It
/// reads nothing in a message, knows nobody and tells nobody.
pub(crate) async fn serve(
    listener: TcpListener,
    directory: PathBuf,
    durability: Durability,
) -> Result<(), Error> {
    for n in 0.. {
        let (stream, _) = listener.accept().await?;
        let file = BareFile::create(&directory, &n.to_string(), durability)?;
        tokio::spawn(serve_one(stream, file));
    }
    Ok(())
}

async fn serve_one(stream: TcpStream, mut file: BareFile) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    let (mut sink, messages) = accept_async(stream).await?.split();
    // One flush for the replies to all that is here.
    let mut ready = messages.ready_chunks(64);
    while let Some(messages) = ready.next().await {
        for message in messages {
            let Message::Text(text) = message? else { continue };
            let line = format!("{text}\n");
            match file.durability {
                Durability::Process => file.append(line.as_bytes())?,
                _ => tokio::task::block_in_place(|| file.append(line.as_bytes()))?,
            }
            sink.feed(Message::text(r#"{"jsonrpc":"2.0","id":1,"result":{"ok":true}}"#)).await?;
        }
        sink.flush().await?;
    }
    Ok(())
}
