//! One run of an external agent: started, read, ended whole.

use std::{io::Write, path::PathBuf, sync::Arc, time::Duration};

use carport_agents_process::{Command, Gone, Process, SpawnError, Started, machine::Exit};
use carport_core::mask_text;
use tempfile::NamedTempFile;
use tokio::{
    io::AsyncReadExt,
    process::{ChildStderr, ChildStdout},
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::{
    adapter::{Adapter, Values},
    externals::Ground,
    reader::{Outcome, Reader, Saying},
    table::OutputFormat,
};

/// Between TERM and KILL when a run is stopped.
const STOP_GRACE: Duration = Duration::from_secs(1);
/// What a run that ended by itself leaves behind may live so long.
const LEFT_GRACE: Duration = Duration::from_millis(250);
/// How long output is read on once nothing of the run lives.
const DRAIN: Duration = Duration::from_secs(1);
/// How much of standard error is kept: its end, in bytes.
const STDERR_BYTES: usize = 4 << 10;
/// How much of it is shown, in characters.
const STDERR_CHARS: usize = 1000;

/// What is to be run.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The program, as it was found.
    pub program: PathBuf,
    /// What its arguments say.
    pub values: Values,
    /// Where it finds MCP servers. It gets a file with this URL, never the URL as an argument.
    pub mcp_endpoint: Option<String>,
    /// Where it runs.
    pub cwd: PathBuf,
    /// How long it may take.
    pub timeout: Duration,
}

/// Stops a run with its whole tree. Cheap to clone; may be used before the run begins.
#[derive(Debug, Clone, Default)]
pub struct Stopper(Arc<Notify>);

impl Stopper {
    /// Stops the run.
    pub fn stop(&self) {
        self.0.notify_one();
    }
}

/// Why a run is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// By itself.
    Exited(Exit),
    /// Its time was over.
    TimedOut(Duration),
    /// Somebody stopped it.
    Stopped,
    /// Its turn was over and it would have waited for another.
    Finished,
}

/// How a run came out.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// By what it printed. `error` also says what went wrong otherwise.
    pub outcome: Outcome,
    /// Why it is over; nothing of its tree lives.
    pub end: End,
}

/// Runs it to its end, and hands on what it says.
pub(crate) async fn run(
    ground: &Ground,
    adapter: &Adapter,
    mut invocation: Invocation,
    stop: &Stopper,
    mut hear: impl FnMut(Saying),
) -> Result<Ended, SpawnError> {
    let is_acp = adapter.output == OutputFormat::Acp;
    let endpoint = invocation.mcp_endpoint.as_deref();
    let servers = endpoint.filter(|_| !is_acp).map(|url| ground.mcp_config(url)).transpose()?;
    invocation.values.mcp_config = servers.as_ref().map(|it| it.path().display().to_string());
    let input = adapter.input(&invocation.values);
    let reader = Reader::new(adapter, &invocation.values, &invocation.cwd, endpoint);
    let command = Command {
        args: adapter.arguments(&invocation.values),
        program: invocation.program,
        env: ground.environment_of(adapter),
        cwd: invocation.cwd,
        grace: LEFT_GRACE,
        input: input.is_some() || is_acp,
    };
    let Started { mut process, stdout, stderr } =
        command.start(&ground.shim_for(adapter.id())).await?;
    if let Some(input) = input {
        process.write(input).await;
        process.finish_input().await;
    }
    let mut live = Live { process, reader, last_words: Vec::new(), end: None };
    let gone = live.follow((stdout, stderr), invocation.timeout, stop, &mut hear).await;
    Ok(live.ended(adapter, gone.as_ref(), hear))
}

/// A run that was started.
struct Live {
    process: Process,
    reader: Reader,
    last_words: Vec<u8>,
    /// Why it is being ended, if it is.
    end: Option<End>,
}

impl Live {
    /// Reads until nothing of the run lives; `None` if that was never said.
    async fn follow(
        &mut self,
        (mut stdout, mut stderr): (ChildStdout, ChildStderr),
        timeout: Duration,
        stop: &Stopper,
        hear: &mut impl FnMut(Saying),
    ) -> Option<Gone> {
        let (mut out, mut err) = (vec![0; 64 << 10], vec![0; 4 << 10]);
        let (mut out_open, mut err_open) = (true, true);
        let (mut gone, mut limit) = (None, Instant::now() + timeout);
        while gone.is_none() || out_open || err_open {
            for text in self.reader.outgoing() {
                self.process.write(text).await;
            }
            let ending = self.end.is_some() || gone.is_some();
            if self.reader.is_over() && !ending {
                self.process.finish_input().await;
                self.stop(End::Finished).await;
                continue;
            }
            tokio::select! {
                read = stdout.read(&mut out), if out_open => {
                    let count = read.unwrap_or(0);
                    out_open = count > 0;
                    self.reader.push(&out[..count]).into_iter().for_each(&mut *hear);
                }
                read = stderr.read(&mut err), if err_open => {
                    let count = read.unwrap_or(0);
                    err_open = count > 0;
                    keep_end(&mut self.last_words, &err[..count]);
                }
                how = self.process.gone(), if gone.is_none() => {
                    gone = Some(how);
                    limit = Instant::now() + DRAIN;
                }
                () = stop.0.notified(), if !ending => self.stop(End::Stopped).await,
                () = sleep_until(limit), if !ending => self.stop(End::TimedOut(timeout)).await,
                () = sleep_until(limit), if gone.is_some() => break,
            }
        }
        gone
    }

    async fn stop(&mut self, why: End) {
        self.end = Some(why);
        self.process.end(STOP_GRACE).await;
    }

    fn ended(self, adapter: &Adapter, gone: Option<&Gone>, hear: impl FnMut(Saying)) -> Ended {
        let (rest, mut outcome) = self.reader.finish();
        rest.into_iter().for_each(hear);
        let exit = match gone {
            Some(Gone::Exited(exit)) => *exit,
            Some(Gone::Outlived(pids)) => {
                tracing::error!(?pids, agent = adapter.id(), "processes outlived KILL");
                Exit::Unknown
            }
            None => Exit::Unknown,
        };
        let end = self.end.unwrap_or(End::Exited(exit));
        outcome.error = error(&end, outcome.error, &self.last_words);
        Ended { outcome, end }
    }
}

/// Why the task failed: what ended it before its time, else what it said, else how it exited.
fn error(end: &End, said: Option<String>, last_words: &[u8]) -> Option<String> {
    let exited = match end {
        End::Stopped => return Some("it was cancelled".into()),
        End::TimedOut(limit) => {
            return Some(format!("it took more than {} s", limit.as_secs_f64()));
        }
        End::Finished | End::Exited(Exit::Code(0)) => return said,
        End::Exited(Exit::Code(code)) => format!("it ended with code {code}"),
        End::Exited(Exit::Signal(signal)) => format!("signal {signal} ended it"),
        End::Exited(Exit::Unknown) => "nobody saw how it ended".into(),
    };
    let words = String::from_utf8_lossy(last_words);
    let words = mask_text(words.trim(), STDERR_CHARS);
    Some(said.unwrap_or_else(|| match words.is_empty() {
        true => exited,
        false => format!("{exited}: {words}"),
    }))
}

/// Keeps the last bytes.
fn keep_end(kept: &mut Vec<u8>, more: &[u8]) {
    kept.extend_from_slice(more);
    let surplus = kept.len().saturating_sub(STDERR_BYTES);
    kept.drain(..surplus);
}

impl Ground {
    /// A private file that names one MCP server; it goes when it is dropped.
    fn mcp_config(&self, url: &str) -> Result<NamedTempFile, SpawnError> {
        let servers =
            serde_json::json!({ "mcpServers": { "carport": { "type": "http", "url": url } } });
        let write = || {
            let mut file = tempfile::Builder::new()
                .prefix("mcp-")
                .suffix(".json")
                .tempfile_in(&self.directory)?;
            file.write_all(servers.to_string().as_bytes())?;
            Ok(file)
        };
        write().map_err(|source| SpawnError::Io { what: "writing its MCP servers", source })
    }
}
