//! A line on a terminal that shows for how long a command waits.

use std::{
    io::{self, IsTerminal, Write},
    pin::pin,
    time::Duration,
};

use tokio::time::{Instant, interval_at};

use crate::output::{Output, Tone};

/// Who waits no longer is told nothing.
const FIRST: Duration = Duration::from_secs(2);
/// How often the line changes.
const EVERY: Duration = Duration::from_secs(1);

/// What `work` comes to. Meanwhile standard error shows `what` and the seconds, if it is a terminal.
pub(super) async fn shown<T>(what: &str, output: Output, work: impl Future<Output = T>) -> T {
    if output.is_json() || !io::stderr().is_terminal() {
        return work.await;
    }
    let began = Instant::now();
    let mut ticks = interval_at(began + FIRST, EVERY);
    let mut work = pin!(work);
    loop {
        tokio::select! {
            done = &mut work => {
                if began.elapsed() >= FIRST {
                    write("");
                }
                return done;
            }
            _ = ticks.tick() => {
                write(&Tone::Faint.paint(format_args!("{what}: {} s", began.elapsed().as_secs())));
            }
        }
    }
}

/// Whoever closed standard error does not want to know.
fn write(line: &str) {
    let mut err = anstream::stderr().lock();
    let _ = write!(err, "\r\u{1b}[2K{line}").and_then(|()| err.flush());
}
