//! One run of an external agent: started, read, ended whole.

use std::{
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use carport_agents_process::{Command, Gone, Process, SpawnError, Started, machine::Exit};
use carport_core::mask_text;
use tempfile::NamedTempFile;
use tokio::{
    io::AsyncReadExt,
    process::{ChildStderr, ChildStdout},
    sync::Notify,
    task::spawn_blocking,
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
    let servers = match endpoint.filter(|_| !is_acp) {
        Some(url) => Some(ground.mcp_config(url).await?),
        None => None,
    };
    invocation.values.mcp_config = servers.as_ref().map(|it| it.path().display().to_string());
    let input = adapter.input(&invocation.values);
    let reader = Reader::new(adapter, &invocation.values, &invocation.cwd, endpoint);
    let command = Command {
        args: adapter.arguments(&invocation.values),
        cwd: invocation.cwd,
        input: input.is_some() || is_acp,
        ..ground.command(adapter, &invocation.program).await?
    };
    let Started { process, stdout, stderr } = command.start(&ground.shim_for(adapter.id())).await?;
    let (timeout, limit) = (invocation.timeout, Instant::now() + invocation.timeout);
    let mut live =
        Live { process, reader, last_words: Vec::new(), stopper: stop, timeout, limit, end: None };
    if let Some(input) = input {
        live.write(Some(input)).await;
        live.write(None).await;
    }
    let gone = live.follow((stdout, stderr), &mut hear).await;
    if let Some(file) = servers {
        let _ = spawn_blocking(move || drop(file)).await;
    }
    Ok(live.ended(adapter, gone.as_ref(), hear))
}

/// A run that was started.
struct Live<'a> {
    process: Process,
    reader: Reader,
    last_words: Vec<u8>,
    stopper: &'a Stopper,
    timeout: Duration,
    /// When its time is over.
    limit: Instant,
    /// Why it is being ended, if it is.
    end: Option<End>,
}

impl Live<'_> {
    /// Reads until nothing of the run lives; `None` if that was never said.
    async fn follow(
        &mut self,
        (mut stdout, mut stderr): (ChildStdout, ChildStderr),
        hear: &mut impl FnMut(Saying),
    ) -> Option<Gone> {
        let (mut out, mut err) = (vec![0; 64 << 10], vec![0; 4 << 10]);
        let (mut out_open, mut err_open) = (true, true);
        let (mut gone, mut drained_by) = (None, self.limit);
        while gone.is_none() || out_open || err_open {
            for text in self.reader.outgoing() {
                self.write(Some(text)).await;
            }
            let ending = self.end.is_some() || gone.is_some();
            if self.reader.is_over() && !ending {
                self.write(None).await;
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
                    drained_by = Instant::now() + DRAIN;
                }
                why = cut_short(self.stopper, self.limit, self.timeout), if !ending => {
                    self.stop(why).await;
                }
                () = sleep_until(drained_by), if gone.is_some() => break,
            }
        }
        gone
    }

    /// Hands it more to read, or the end of that, unless it is being ended. Nothing takes it from a
    /// daemon whose shim was stopped, so the run may be over here as well.
    async fn write(&mut self, text: Option<String>) {
        if self.end.is_some() {
            return;
        }
        let process = &mut self.process;
        let writing = async {
            match text {
                Some(text) => process.write(text).await,
                None => process.finish_input().await,
            }
        };
        let why = tokio::select! {
            () = writing => return,
            why = cut_short(self.stopper, self.limit, self.timeout) => why,
        };
        self.stop(why).await;
    }

    /// Ends it, for the reason that was there first.
    async fn stop(&mut self, why: End) {
        if self.end.is_none() {
            self.end = Some(why);
            self.process.end(STOP_GRACE).await;
        }
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

/// Waits until somebody stops the run or its time is over.
async fn cut_short(stopper: &Stopper, limit: Instant, timeout: Duration) -> End {
    tokio::select! {
        () = stopper.0.notified() => End::Stopped,
        () = sleep_until(limit) => End::TimedOut(timeout),
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
    async fn mcp_config(&self, url: &str) -> Result<NamedTempFile, SpawnError> {
        let servers =
            serde_json::json!({ "mcpServers": { "carport": { "type": "http", "url": url } } });
        let directory = self.directory.clone();
        let write = move || {
            let mut file =
                tempfile::Builder::new().prefix("mcp-").suffix(".json").tempfile_in(directory)?;
            file.write_all(servers.to_string().as_bytes())?;
            Ok(file)
        };
        let written = spawn_blocking(write).await;
        let written = written.unwrap_or_else(|error| Err(io::Error::other(error)));
        written.map_err(|source| SpawnError::Io { what: "writing its MCP servers", source })
    }
}
