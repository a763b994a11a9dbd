//! `carport a2a send`: a message to an agent.

use carport_a2a_outbound::{Ask, Target};
use carport_a2a_types::{Message, SendResult, StreamResponse, TaskState};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{
    super::waiting::shown,
    message::Parts,
    peers::consented,
    place::{Place, TokenFrom},
    tasks::{go_on, poll, told},
    tell::Teller,
};
use crate::{
    client::{
        a2a::{self, Agent, Sent},
        interrupt::interrupted,
        link::Link,
    },
    exit::Exit,
    output::{Output, one_line},
};

/// To whom, and what.
#[derive(Debug, clap::Args)]
pub(super) struct Send {
    /// The agent: its URL, a peer by its name, or `.` for this daemon
    target: String,
    #[command(flatten)]
    parts: Parts,
    /// Wait until the agent is done or asks for something, 300 s at most
    #[arg(long)]
    wait: bool,
    /// Print what comes as it comes, until the agent is done or asks for something
    #[arg(long, conflicts_with = "wait")]
    stream: bool,
    /// Say that a host that is no known peer is meant
    #[arg(long)]
    allow_untrusted: bool,
    #[command(flatten)]
    token: TokenFrom,
}

impl Send {
    /// The message that is sent.
    pub(super) fn message(&self) -> Result<Message, Exit> {
        if self.parts.is_stdin() && self.token.is_stdin() {
            return Err(Exit::usage("standard input holds the text or the token, not both"));
        }
        self.parts.message()
    }

    /// The token that is shown to the agent.
    pub(super) fn token(&self) -> Result<Option<SecretString>, Exit> {
        self.token.read()
    }
}

pub(super) async fn run(
    args: &Send,
    message: Message,
    token: Option<SecretString>,
    link: &Link,
    output: Output,
) -> Result<(), Exit> {
    let place = Place::find(&args.target, link).await?;
    let work = async {
        match (place, args.stream) {
            (Place::Here, stream) => here(&message, args.wait, stream, link, output).await,
            (Place::There(url), true) => {
                let agent = Agent::find(&url, token.as_ref()).await?;
                told(&agent, &Ask::SendStreaming(&message), output).await
            }
            (Place::There(url), false) => far(args, &url, &message, token, link, output).await,
        }
    };
    let teller = tokio::select! {
        ended = work => ended?,
        exit = interrupted() => return Err(exit),
    };
    next(&teller, &args.target, output);
    teller.outcome()
}

/// Says how to go on, where there is something to go on with.
fn next(teller: &Teller, target: &str, output: Output) {
    let (Some(id), Some(state)) = (teller.id(), teller.state()) else { return };
    if !is_word(id) && !state.is_terminal() {
        let id = one_line(id);
        return output.note(format_args!("the task goes on, and its id is no plain word: {id}"));
    }
    let at = if target == "." { String::new() } else { format!(" --at {target}") };
    match state {
        TaskState::InputRequired => {
            output.note(format_args!("`carport a2a send {target} --task {id} TEXT` answers"));
        }
        TaskState::AuthRequired => {
            output.note("the agent waits for credentials that it was not given")
        }
        state if state.is_terminal() => {}
        _ => {
            output.note(format_args!("`carport a2a tasks{at} follow {id}` shows what comes of it"))
        }
    }
}

/// Whether an id that an agent gave may stand in a command that is copied to a shell.
fn is_word(id: &str) -> bool {
    let letter = |it: char| it.is_ascii_alphanumeric() || "-_.:".contains(it);
    id.chars().all(letter) && id.starts_with(|it: char| it.is_ascii_alphanumeric())
}

async fn here(
    message: &Message,
    wait: bool,
    stream: bool,
    link: &Link,
    output: Output,
) -> Result<Teller, Exit> {
    let mut teller = Teller::default();
    let sent = match &message.task_id {
        Some(id) if stream => go_on(link, message, id, &mut teller, output).await?,
        _ => shown("waiting", output, a2a::ask(link, &Ask::Send { message, wait })).await?,
    };
    match sent {
        SendResult::Task(task) if stream => {
            poll(link, task, &mut teller, TaskState::ends_turn, output).await?
        }
        sent => all(sent, &json!({}), &mut teller, output)?,
    }
    Ok(teller)
}

/// Has the daemon send it: it knows which hosts it may call, and speaks both versions.
async fn far(
    args: &Send,
    url: &Target,
    message: &Message,
    token: Option<SecretString>,
    link: &Link,
    output: Output,
) -> Result<Teller, Exit> {
    let mut params = json!({
        "endpoint": url.to_string(),
        "message": message,
        "blocking": args.wait,
        "allowUntrustedEndpoint": args.allow_untrusted,
    });
    if let Some(token) = token {
        params["routeAuth"] = json!({ "type": "bearer", "token": token.expose_secret() });
    }
    let asked = shown("waiting", output, link.ask("a2a.send", &params)).await;
    let Sent { result, version, a2ui } =
        asked.map_err(|error| consented(a2a::refused(error), args.allow_untrusted))?;
    let mut teller = Teller::default();
    all(result, &json!({ "version": version, "a2ui": a2ui }), &mut teller, output)?;
    Ok(teller)
}

/// Prints an answer that came whole; `beside` are members that JSON has beside it.
fn all(sent: SendResult, beside: &Value, teller: &mut Teller, output: Output) -> Result<(), Exit> {
    let event = StreamResponse::from(sent);
    let lines = teller.hear(&event);
    if !output.is_json() {
        return lines.iter().try_for_each(|line| output.line(line));
    }
    let mut document = json!(event);
    if let (Some(document), Some(beside)) = (document.as_object_mut(), beside.as_object()) {
        document.extend(beside.clone());
    }
    output.document(&document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_words_are_put_into_commands() {
        for good in ["t", "0190c8a2-7b1e-7cc0-8000-000000000000", "task_1.2:3"] {
            assert!(is_word(good), "{good}");
        }
        for bad in ["", "-x", "a b", "$(reboot)", "a;b", "\u{1b}[2J", "a'b", "é"] {
            assert!(!is_word(bad), "{bad}");
        }
    }
}
