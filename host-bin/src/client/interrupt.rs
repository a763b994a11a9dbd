//! Ctrl-C and SIGTERM, for commands that go on until they are told.

use tokio::signal::unix::{SignalKind, signal};

use crate::exit::{Code, Exit};

/// Waits for a signal that ends the command; what it then ends with.
pub(crate) async fn interrupted() -> Exit {
    let heard = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = heard else {
        // Without a handler of ours the signal ends the process by itself.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Exit::new(Code::Interrupted, "interrupted")
}
