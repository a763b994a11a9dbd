//! What the program tells its operator on standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::{
    EnvFilter, Registry, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

use super::settings::own::LogLevel;

/// The log of this process; its level can change, for it is known only once the configuration is.
#[derive(Debug)]
pub(crate) struct Log(reload::Handle<EnvFilter, Registry>);

impl Log {
    /// Starts to log warnings.
    pub(crate) fn start() -> Self {
        let (filter, handle) = reload::Layer::new(filter(LogLevel::Warn));
        let colours = io::stderr().is_terminal();
        let lines = fmt::layer().with_writer(io::stderr).with_ansi(colours);
        // A process that embeds this one may log already; then its log is the log.
        let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
        Self(handle)
    }

    /// Changes how much is logged.
    pub(crate) fn set(&self, level: LogLevel) {
        // The only error is that the log is gone, with nobody left to tell.
        let _ = self.0.reload(filter(level));
    }
}

/// The WebSocket library writes whole frames to the log at its lower levels, and `session.auth` is a
/// frame: it never says more than warnings. The libraries that decode sound report what is wrong with a
/// client's file as errors; the client is told, and the operator need not be.
fn filter(level: LogLevel) -> EnvFilter {
    let quiet = match level {
        LogLevel::Off | LogLevel::Error => level,
        _ => LogLevel::Warn,
    };
    let (level, quiet) = (level.word(), quiet.word());
    let foreign = format!("tungstenite={quiet},tokio_tungstenite={quiet},symphonia=off");
    EnvFilter::new(format!("{level},{foreign}"))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn frames_are_never_logged_however_much_is() {
        let sink = Sink::default();
        let writer = sink.clone();
        let lines = fmt::layer().with_writer(move || writer.clone());
        let log = tracing_subscriber::registry().with(filter(LogLevel::Trace)).with(lines);
        tracing::subscriber::with_default(log, || {
            tracing::trace!(target: "carport_core", "kept");
            tracing::trace!(target: "tungstenite::protocol", "frame with a token");
            tracing::debug!(target: "tokio_tungstenite", "frame with a token");
            tracing::error!(target: "symphonia_core::formats::probe", "a token is no sound");
        });
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("kept") && !text.contains("token"), "{text}");
    }
}
