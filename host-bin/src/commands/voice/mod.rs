//! `carport voice`: recordings become text, text becomes speech, live or as files.

use clap::Subcommand;

use crate::{
    cli::Global,
    client::{connect::connect, proof::Role},
    exit::Exit,
    output::Output,
};

mod listen;
mod models;
pub(super) mod pushing;
mod say;
pub(super) mod source;
mod transcribe;

/// Flags of `carport voice`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print what is said in a recording
    Transcribe(transcribe::Transcribe),
    /// Speak a text into a file
    Say(say::Say),
    /// Print what is said while it is said
    Listen(listen::Listen),
    /// Check the models and list what listens and what speaks, and what it lacks
    Models(models::Models),
}

pub(crate) async fn run(args: Args, global: &Global) -> Result<(), Exit> {
    let output = Output::new(global.json);
    match args.what {
        What::Transcribe(wanted) => {
            // Before there is a connection that would have to wait.
            let sound = wanted.read()?;
            let (link, _) = connect(global, &Role::Client).await?;
            transcribe::run(&wanted, &sound, &link, output).await
        }
        What::Say(mut wanted) => {
            wanted.read()?;
            let (link, inbox) = connect(global, &Role::Client).await?;
            say::run(&wanted, &link, inbox, output).await
        }
        What::Listen(wanted) => {
            let sound = wanted.open()?;
            let (link, inbox) = connect(global, &Role::Client).await?;
            listen::run(&wanted, sound, &link, inbox, output).await
        }
        What::Models(models::Models {}) => {
            let (link, _) = connect(global, &Role::Client).await?;
            models::run(&link, output).await
        }
    }
}

/// A place in a recording: minutes, seconds and tenths.
pub(super) fn clock(ms: u64) -> String {
    format!("{:02}:{:02}.{}", ms / 60_000, ms / 1000 % 60, ms / 100 % 10)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn a_place_is_minutes_seconds_and_tenths() {
        assert_eq!(clock(0), "00:00.0");
        assert_eq!(clock(61_999), "01:01.9");
        assert_eq!(clock(3_600_000), "60:00.0");
    }

    #[test]
    fn what_is_wanted_needs_its_words() {
        let parse = |words: &str| {
            Line::try_parse_from(["voice"].into_iter().chain(words.split_whitespace()))
        };
        for right in
            ["transcribe a.wav", "say hello -o a.wav", "listen --from a.wav --real-time", "models"]
        {
            assert!(parse(right).is_ok(), "{right}");
        }
        for wrong in ["transcribe", "say", "listen", "say hello --speed 3", "say a --speed x"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
