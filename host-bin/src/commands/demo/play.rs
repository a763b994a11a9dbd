//! The demo as it goes: who comes on when, and what is written down about it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use secrecy::ExposeSecret;
use tokio::{
    sync::mpsc,
    time::{Instant as Deadline, timeout, timeout_at},
};

use super::{
    account::{Account, End},
    agent,
    cast::{Cast, News, Teller},
    process::{self, Agent},
    report::{Published, Report, Restart},
    said::Said,
    stage::Stage,
    supervised,
};
use crate::{
    client::{
        connect::connect_to,
        locate::Located,
        proof::Role,
        runs::{self, RunSummary},
    },
    commands::{approvals::preview, runs::record},
    daemon::tokens,
    exit::Exit,
    output::{Output, Tone, count, cut, one_line},
};

/// How long the whole may take.
const LIMIT: Duration = Duration::from_secs(50);
/// How long a process may take to end, or news to come, once the agent has done its work.
const CURTAIN: Duration = Duration::from_secs(5);
/// Characters of a preview on a line.
const PREVIEW: usize = 60;

/// Plays the demo.
pub(super) async fn play(stage: &mut Stage, output: Output) -> Result<Report, Exit> {
    let began = Instant::now();
    let play = async {
        let mut play = Play::begin(stage, output).await?;
        play.follow_the_agent().await?;
        play.wait_for_the_watcher().await?;
        play.replay().await?;
        play.report.supervised = supervised::play(&play.stage.root, output).await?;
        play.end(began).await
    };
    match timeout(LIMIT, play).await {
        Ok(report) => report,
        Err(_) => Err(Exit::failed(format!("the demo did not end within {} s", LIMIT.as_secs()))),
    }
}

struct Play<'a> {
    stage: &'a mut Stage,
    output: Output,
    cast: Cast,
    tell: Teller,
    news: mpsc::UnboundedReceiver<News>,
    report: Report,
}

impl<'a> Play<'a> {
    async fn begin(stage: &'a mut Stage, output: Output) -> Result<Self, Exit> {
        say(
            output,
            "demo",
            "an agent's run: recorded, watched, killed, replayed; then an agent under supervision",
        )?;
        let (token, _) = tokens::agent(&stage.root, agent::ID)?;
        let (daemon, endpoint) = process::daemon(&stage.root, stage.log("daemon")).await?;
        let pid = daemon.pid();
        stage.daemon = Some(daemon);
        say(output, "daemon", format_args!("process {pid} listens on {}", endpoint.url))?;
        say(output, "", format_args!("state root {}", stage.root.path().display()))?;

        let (tell, news) = mpsc::unbounded_channel();
        let cast = Cast::gather(&stage.root, stage.reports(), &tell).await?;
        let token = token.expose_secret();
        let log = stage.log("agent");
        let agent = Agent::start(&stage.root, log, stage.files, agent::ID, token)?;
        say(output, "agent", format_args!("`{}` is process {}", agent::ID, agent.process.pid()))?;
        stage.agent = Some(agent);
        Ok(Self { stage, output, cast, tell, news, report: Report::default() })
    }

    /// Listens to the agent and the cast until the agent has ended well.
    async fn follow_the_agent(&mut self) -> Result<(), Exit> {
        loop {
            let Some(agent) = &mut self.stage.agent else { return Ok(()) };
            tokio::select! {
                said = agent.next() => match said? {
                    Some(said) => self.write_down(said).await?,
                    None => return self.see_off_the_agent().await,
                },
                // The teller is kept here too, so the news never end.
                Some(news) = self.news.recv() => self.hear(news)?,
            }
        }
    }

    async fn see_off_the_agent(&mut self) -> Result<(), Exit> {
        let Some(mut agent) = self.stage.agent.take() else { return Ok(()) };
        let status = agent.process.ended(CURTAIN).await?;
        match status.success() && self.report.restart.is_some() {
            true => Ok(()),
            false => Err(agent.process.failed(&format!("ended early ({status})"))),
        }
    }

    async fn write_down(&mut self, said: Said) -> Result<(), Exit> {
        match said {
            Said::Found { directory, files: 0, .. } => {
                let why = format!("there is no file to read in {}", directory.display());
                return Err(Exit::usage(why));
            }
            Said::Found { directory, files, skipped } => {
                let text = format!("{} of {}", count(files, "file"), directory.display());
                say(self.output, "", format_args!("it reads {}", one_line(&text)))?;
                (self.report.directory, self.report.files) = (directory, files);
                self.report.skipped = skipped;
            }
            Said::Started { run_id, intent } => {
                say(self.output, "run", format_args!("{run_id}: {intent}"))?;
                self.cast.follow(&run_id);
                let account = Account { run_id, intent, ..Account::default() };
                self.report.accounts.push(account);
            }
            Said::Recording { run_id, turn } => self.account(&run_id)?.sent.push(turn),
            Said::Acknowledged { run_id, base_index } => {
                self.account(&run_id)?.acknowledged.push(base_index);
            }
            Said::HalfWay { left } => self.kill_the_daemon(left).await?,
            Said::Lost { run_id, why } => {
                self.account(&run_id)?.end = End::Killed;
                say(self.output, "agent", format_args!("lost: {}", one_line(&why)))?;
            }
            Said::Asking { method } => {
                say(self.output, "agent", format_args!("calls {method}, a call with risk"))?;
            }
            Said::Completed { run_id } => self.account(&run_id)?.end = End::Completed,
        }
        Ok(())
    }

    fn account(&mut self, run_id: &str) -> Result<&mut Account, Exit> {
        let mut accounts = self.report.accounts.iter_mut();
        let found = accounts.find(|account| account.run_id == run_id);
        found.ok_or_else(|| Exit::failed(format!("nobody started a run `{run_id}`")))
    }

    fn hear(&mut self, news: News) -> Result<(), Exit> {
        match news {
            News::Seen { run_id, record } => {
                say(self.output, "live", record::line(&record))?;
                self.account(&run_id)?.seen.push(record);
            }
            News::Waits(row) => {
                let preview = preview(&row);
                let preview = one_line(&cut(&preview, PREVIEW)).into_owned();
                let title = one_line(&row.title);
                say(self.output, "approval", format_args!("{title} waits: {preview}"))?;
            }
            News::Approved { id, by } => {
                say(self.output, "", format_args!("approved by another connection, {by}"))?;
                self.report.published.approval_id = id;
                self.report.published.approved_by = by;
            }
            News::Published { path, bytes } => {
                let written = format!("written: {}, {bytes} bytes", path.display());
                say(self.output, "", one_line(&written))?;
                self.report.published = Published { path, bytes, ..self.report.published.clone() };
            }
            News::Failed(exit) => return Err(exit),
        }
        Ok(())
    }

    /// SIGKILL: the daemon gets no chance to tidy up. Then another is started on the same files.
    async fn kill_the_daemon(&mut self, left: usize) -> Result<(), Exit> {
        let Some(mut daemon) = self.stage.daemon.take() else {
            return Err(Exit::failed("there is no daemon to kill"));
        };
        let acknowledged = self.report.accounts.last().map_or(0, |it| it.acknowledged.len());
        daemon.kill().await?;
        let killed = Instant::now();
        let turns = count(acknowledged, "acknowledged turn");
        let left = count(left, "file");
        let text = format!("process {} after {turns}; {left} to go", daemon.pid());
        say(self.output, "kill -9", Tone::Bad.paint(text))?;

        let log = self.stage.log("daemon");
        let (restarted, endpoint) = process::daemon(&self.stage.root, log).await?;
        let restart = Restart {
            killed_pid: daemon.pid(),
            after_turns: acknowledged,
            pid: restarted.pid(),
            millis: killed.elapsed().as_millis() as u64,
        };
        self.stage.daemon = Some(restarted);
        let Restart { pid, millis, .. } = restart;
        let text = format!("process {pid} listens on {} after {millis} ms", endpoint.url);
        say(self.output, "daemon", text)?;
        self.report.restart = Some(restart);
        self.cast = Cast::gather(&self.stage.root, self.stage.reports(), &self.tell).await?;
        Ok(())
    }

    /// What the agent was told is on its way to the watcher too.
    async fn wait_for_the_watcher(&mut self) -> Result<(), Exit> {
        let until = Deadline::now() + CURTAIN;
        let has_seen_all =
            |account: &Account| account.end == End::Killed || account.seen_to_its_end();
        while !self.report.accounts.iter().all(has_seen_all) {
            match timeout_at(until, self.news.recv()).await {
                Ok(Some(news)) => self.hear(news)?,
                // The account of the run will show what is missing.
                Ok(None) | Err(_) => return Ok(()),
            }
        }
        Ok(())
    }

    /// Reads every run back from the daemon that was started second.
    async fn replay(&mut self) -> Result<(), Exit> {
        let located = Located::of_root(&self.stage.root)?;
        let (link, _) = connect_to(&located, &Role::Host).await?;
        let listed = runs::list(&link, agent::ID, None, usize::MAX).await?;
        for account in &mut self.report.accounts {
            account.replayed = runs::trace(&link, &account.run_id, 0).await?;
        }
        self.report.strays = strays(&listed, &self.report.accounts);
        Ok(())
    }

    async fn end(self, began: Instant) -> Result<Report, Exit> {
        if let Some(mut daemon) = self.stage.daemon.take() {
            let status = daemon.stop().await?;
            if !status.success() {
                return Err(daemon.failed(&format!("did not end well ({status})")));
            }
        }
        let published = tokio::fs::metadata(&self.report.published.path).await;
        let bytes = published.map(|file| file.len()).unwrap_or_default();
        let mut report = self.report;
        report.published.on_disk = bytes;
        report.seconds = began.elapsed().as_secs_f64();
        Ok(report)
    }
}

/// Runs that the daemon lists and nobody started, or the other way round.
fn strays(listed: &[RunSummary], accounts: &[Account]) -> Vec<String> {
    let mut times: BTreeMap<&str, i32> = BTreeMap::new();
    for run in listed {
        *times.entry(&run.run_id).or_default() += 1;
    }
    for account in accounts {
        *times.entry(&account.run_id).or_default() -= 1;
    }
    times.into_iter().filter(|(_, times)| *times != 0).map(|(run, _)| run.to_owned()).collect()
}

/// A line of progress; a program that reads JSON wants only the end.
pub(super) fn say(output: Output, who: &str, what: impl std::fmt::Display) -> Result<(), Exit> {
    match output.is_json() {
        true => Ok(()),
        false => {
            output.line(format_args!("{} {what}", Tone::Faint.paint(format_args!("{who:>8}"))))
        }
    }
}
