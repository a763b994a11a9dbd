//! The child's standard input, fed by a thread of its own: a child that reads nothing holds no order up.

use std::{
    io::Write,
    process::ChildStdin,
    sync::mpsc::{SyncSender, sync_channel},
    thread,
};

/// How many texts wait for a child that does not read. One more, and it gets no more at all.
const WAITING: usize = 256;

/// Where texts for the child go; `None` once its input has ended.
pub(super) struct Input(Option<SyncSender<String>>);

impl Input {
    pub(super) fn of(pipe: Option<ChildStdin>) -> Self {
        Self(pipe.map(|mut pipe| {
            let (queue, texts) = sync_channel::<String>(WAITING);
            // Whoever closed its input or died wants no more.
            thread::spawn(move || texts.iter().try_for_each(|it| pipe.write_all(it.as_bytes())));
            queue
        }))
    }

    /// Queues a text; `None` ends the input once all before it is written.
    pub(super) fn pass_on(&mut self, text: Option<String>) {
        let taken =
            text.is_some_and(|text| self.0.as_ref().is_some_and(|it| it.try_send(text).is_ok()));
        if !taken {
            self.0 = None;
        }
    }
}
