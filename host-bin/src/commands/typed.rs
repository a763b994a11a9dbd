//! What a person types.

use std::{
    io::{self, BufRead},
    thread,
};

use tokio::sync::mpsc;

/// Lines of standard input, each without its end; `None` once there are none to come.
pub(super) type Typed = mpsc::UnboundedReceiver<String>;

/// Lines of standard input, read by a thread of its own: a read cannot be called off, and the program
/// must not wait for it at its end.
pub(super) fn typed_lines() -> Typed {
    let (send, typed) = mpsc::unbounded_channel();
    thread::spawn(move || {
        let lines = io::stdin().lock().lines();
        let _ = lines.map_while(Result::ok).try_for_each(|line| send.send(line));
    });
    typed
}
