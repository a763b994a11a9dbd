//! The shim between the daemon and a child: it starts the child, adopts what the child leaves behind, and ends it all.
//!
//! The daemon's own binary runs [`run`] under a hidden subcommand. Standard input is one end of a
//! socket whose other end only the daemon holds: orders come in, reports go out, and when the daemon
//! ends in any way the kernel closes it. Standard output and error are the child's, which inherits
//! them. Nothing of the child is in the shim's own arguments or environment.

mod input;
mod tree;
mod wire;

use std::{
    io::{BufRead, BufReader, Write},
    os::{
        fd::AsFd,
        unix::{net::UnixStream, process::CommandExt},
    },
    process::{Command, Stdio},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use process_wrap::std::{CommandWrap, ProcessSession};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

pub(crate) use self::wire::{Order, Report, Run};
use self::{input::Input, tree::Tree};
use crate::incarnation::{MARK, own_mark};

/// The grace of a tree whose daemon is gone: it has to be dead a second later.
const ORPHAN_GRACE: Duration = Duration::from_millis(250);

/// How often a tree that was told to end is looked at: while it may still go by itself, while it is
/// being killed, and once it is known to outlive that.
const LOOK: Duration = Duration::from_millis(50);
const SWEEP: Duration = Duration::from_millis(10);
const LINGER: Duration = Duration::from_secs(1);

/// The usual soft limit of file descriptors.
const DESCRIPTORS: u64 = 1024;

/// What a thread of the shim has to tell.
enum News {
    Order(Order),
    /// The daemon is gone.
    Orphaned,
    /// The child ended; others of the tree may live.
    Ended,
    /// Nothing of the tree is left.
    Gone,
}

/// Runs a shim to its end, with standard input and output as the module says, and answers its exit
/// code: 0, or 2 if nothing was to be run. Call it before anything else reads the environment, the
/// configuration or standard input, and before other threads exist.
pub fn run() -> i32 {
    // Out of the terminal's reach: an interrupt is the daemon's to pass on.
    let _ = rustix::process::setsid();
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    lower_descriptors();
    let Ok(mut daemon) = std::io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from) else {
        return 2;
    };
    let Ok(orders) = daemon.try_clone().map(BufReader::new) else { return 2 };
    let mut orders =
        orders.lines().map_while(Result::ok).map_while(|line| serde_json::from_str(&line).ok());
    let Some(Order::Run(run)) = orders.next() else { return 2 };
    let (pid, input) = match start(&run) {
        Ok(started) => started,
        Err(error) => {
            tell(&mut daemon, &Report::Failed(format!("`{}`: {error}", run.name)));
            return 0;
        }
    };
    let (news, heard) = sync_channel(16);
    let tree = Arc::new(Tree::new(pid));
    thread::spawn({
        let (tree, news) = (tree.clone(), news.clone());
        move || reap(&tree, &news)
    });
    thread::spawn(move || {
        let mut input = input;
        let pass_on = |order| match order {
            Order::Input(text) => {
                input.pass_on(text);
                Ok(())
            }
            order => news.send(News::Order(order)),
        };
        orders.try_for_each(pass_on).ok();
        news.send(News::Orphaned)
    });
    let_go_of_output();
    tell(&mut daemon, &Report::Started { pid });
    Warden { tree, heard, daemon, kill_at: None, killed: None, reported: false }
        .watch(Duration::from_millis(run.grace_ms));
    0
}

/// The child, in a session of its own, and its standard input, if it has one.
fn start(run: &Run) -> std::io::Result<(u32, Input)> {
    let mut command = Command::new(&run.program);
    command.args(&run.args).env_clear().envs(run.env.iter().map(|(name, value)| (name, value)));
    command.envs(own_mark().map(|mark| (MARK, mark)));
    command.current_dir(&run.cwd).stdin(if run.input { Stdio::piped() } else { Stdio::null() });
    command.arg0(&run.name);
    let mut child = CommandWrap::from(command).wrap(ProcessSession).spawn()?;
    Ok((child.id(), Input::of(child.stdin().take())))
}

/// The daemon takes all the file descriptors that it may have. A child gets the usual soft limit, up to
/// which `select` works; it may raise it as the daemon did.
fn lower_descriptors() {
    let now = getrlimit(Resource::Nofile);
    let usual = now.maximum.map_or(DESCRIPTORS, |most| most.min(DESCRIPTORS));
    let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(usual), ..now });
}

/// The shim holds no end of the child's output: who reads it sees when the tree has let go of it.
fn let_go_of_output() {
    if let Ok(null) = std::fs::OpenOptions::new().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
}

/// Takes in every process that ends under this shim, until there is none.
fn reap(tree: &Tree, news: &SyncSender<News>) {
    while let Some(was_child) = tree.reap_one() {
        // A child that leaves nobody behind leaves nothing to end.
        if was_child && !tree.is_empty() {
            let _ = news.send(News::Ended);
        }
    }
    let _ = news.send(News::Gone);
}

/// A daemon that is gone hears nothing; that it is gone is news from elsewhere.
fn tell(daemon: &mut UnixStream, report: &Report) {
    if let Ok(mut line) = serde_json::to_vec(report) {
        line.push(b'\n');
        let _ = daemon.write_all(&line);
    }
}

/// Waits for a reason to end the tree, then ends it.
struct Warden {
    tree: Arc<Tree>,
    heard: Receiver<News>,
    daemon: UnixStream,
    /// When patience ends; `None` while nothing has to end.
    kill_at: Option<Instant>,
    /// Since when the tree is being killed.
    killed: Option<Instant>,
    /// Whether the daemon knows who outlives that.
    reported: bool,
}

impl Warden {
    /// Until nothing is left. `grace` is for what a child that ended by itself leaves behind.
    fn watch(mut self, grace: Duration) {
        loop {
            let patience = match (self.killed, self.kill_at) {
                (Some(_), _) if self.reported => LINGER,
                (Some(_), _) => SWEEP,
                (None, Some(_)) => LOOK,
                (None, None) => Duration::MAX,
            };
            match self.heard.recv_timeout(patience) {
                Ok(News::Gone) => {
                    let exit = self.tree.exit();
                    return tell(&mut self.daemon, &Report::Gone(exit));
                }
                Ok(News::Order(Order::End { grace_ms })) => {
                    // Whoever asks once more is answered, at once if the wait after KILL is over.
                    self.reported = false;
                    self.end_within(Duration::from_millis(grace_ms));
                }
                Ok(News::Order(Order::Run(_) | Order::Input(_)))
                | Err(RecvTimeoutError::Timeout) => {}
                Ok(News::Orphaned) => self.end_within(ORPHAN_GRACE),
                Ok(News::Ended) => self.end_within(grace),
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.press();
        }
    }

    /// Asks the tree to end, or shortens the time that it was given.
    fn end_within(&mut self, grace: Duration) {
        let at = Instant::now() + grace;
        if self.kill_at.is_none() && !grace.is_zero() {
            self.tree.terminate();
        }
        self.kill_at = Some(self.kill_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// Kills once patience is over, or once nobody is left who was asked.
    fn press(&mut self) {
        let Some(kill_at) = self.kill_at else { return };
        if self.killed.is_none() && (Instant::now() >= kill_at || !self.tree.group_lives()) {
            self.killed = Some(Instant::now());
        }
        let Some(since) = self.killed else { return };
        let left = self.tree.kill();
        if since.elapsed() >= crate::KILL_WAIT && !self.reported && !left.is_empty() {
            self.reported = true;
            tell(&mut self.daemon, &Report::Outlived(left));
        }
    }
}
