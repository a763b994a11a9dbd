//! The CPU time of another process, by the operating system's own accounting.

use std::{fs, io, time::Duration};

/// Time on a CPU so far, over all threads, in the kernel and outside it, to the nanosecond: the first
/// figure of `/proc/PID/task/TID/schedstat`.
pub(crate) fn of(pid: u32) -> io::Result<Duration> {
    let mut nanoseconds = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        let spent = text.split_whitespace().next().and_then(|it| it.parse::<u64>().ok());
        nanoseconds += spent.ok_or_else(|| io::Error::other("schedstat is not readable"))?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}
