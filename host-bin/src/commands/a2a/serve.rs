//! `carport a2a serve`: the HTTP listener of the daemon.

use carport_a2a::{AuthMode, ListenerStatus, Start, Status, Stop};
use clap::ValueEnum;
use serde_json::json;

use crate::{
    client::link::Link,
    exit::Exit,
    output::{Output, Tone, count},
};

/// The listener runs in the daemon, not in this command.
#[derive(Debug, clap::Args)]
pub(super) struct Serve {
    /// Listen on this address; port 0 is any
    ///
    /// An address that others can reach needs `--auth bearer`, `--host`, and `a2a.tls` in the daemon's
    /// configuration; a wildcard such as 0.0.0.0 also `--public-url`. With `a2a.tls` every address speaks TLS.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    bind: String,
    /// What a request has to show
    #[arg(long, value_enum, default_value = "none")]
    auth: Auth,
    /// Where clients reach it, if not at the address that it listens on
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// The name on its card
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The description on its card
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Say whether it runs, and where
    #[arg(long, conflicts_with_all = ["bind", "auth", "public_url", "name", "description"])]
    status: bool,
    /// Stop it; tasks go on
    #[arg(long, conflicts_with_all = ["status", "bind", "auth", "public_url", "name", "description"])]
    stop: bool,
}

/// Who is let in.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Auth {
    /// Whoever reaches the address
    None,
    /// Whoever shows the daemon token or one of `a2a.tokens`
    Bearer,
}

impl From<Auth> for AuthMode {
    fn from(auth: Auth) -> Self {
        match auth {
            Auth::None => Self::None,
            Auth::Bearer => Self::Bearer,
        }
    }
}

pub(super) async fn run(args: Serve, link: &Link, output: Output) -> Result<(), Exit> {
    if args.stop {
        let stopped = link.call(Stop {}).await?;
        return match output.is_json() {
            true => output.document(&stopped),
            false => output.line("stopped; tasks go on"),
        };
    }
    if !args.status {
        let Serve { bind, auth, public_url, name, description, .. } = args;
        let start = Start {
            bind,
            public_url,
            agent_name: name,
            agent_description: description,
            auth: auth.into(),
            ..Start::default()
        };
        link.call(start).await?;
    }
    let status = link.call(Status {}).await?;
    if output.is_json() {
        let mut shown = json!(status);
        if let Some(card) = card_url(&status) {
            shown["card"] = card.into();
        }
        return output.document(&shown);
    }
    lines(&status).iter().try_for_each(|line| output.line(line))
}

/// Where the card of a listener is.
pub(super) fn card_url(status: &ListenerStatus) -> Option<String> {
    let public = status.public_url.as_deref()?;
    Some(format!("{}/.well-known/agent-card.json", public.trim_end_matches('/')))
}

fn lines(status: &ListenerStatus) -> Vec<String> {
    let (Some(card), Some(url)) = (card_url(status), &status.public_url) else {
        return vec![Tone::Faint.paint("no listener runs; `carport a2a serve` starts one")];
    };
    let label = |word: &str| Tone::Faint.paint(format!("{word:<9}"));
    let mut lines = vec![format!("{} {}", label("listening"), Tone::Good.paint(url))];
    if let Some(bound) = status.bound.as_ref().filter(|it| !url.ends_with(it.as_str())) {
        lines.push(format!("{} {bound}", label("")));
    }
    lines.push(format!("{} {}", label("card"), Tone::Name.paint(card)));
    let tasks = count(status.tasks.unwrap_or_default(), "task");
    let uptime = status.uptime_secs.unwrap_or_default();
    lines.push(format!("{} for {uptime:.0} s, {tasks} of yours", label("up")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_card_is_below_the_public_url() {
        let mut status = ListenerStatus {
            running: true,
            bound: Some("127.0.0.1:8".into()),
            uptime_secs: Some(2.2),
            public_url: Some("https://a.example/x".into()),
            share_session_runtime: Some(false),
            tasks: Some(1),
        };
        let plain = |status: &ListenerStatus| {
            anstream::adapter::strip_str(&lines(status).join("\n")).to_string()
        };
        assert_eq!(
            plain(&status),
            "listening https://a.example/x\n          127.0.0.1:8\n\
             card      https://a.example/x/.well-known/agent-card.json\nup        for 2 s, 1 task of yours"
        );
        status.public_url = Some("http://127.0.0.1:8".into());
        assert_eq!(lines(&status).len(), 3);
        assert!(plain(&ListenerStatus::default()).contains("`carport a2a serve`"));
    }
}
