//! The supervised agent of the demo: it counts the words that it is told, and records a run for each chat.

use std::{env, time::Duration};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::agent::Started;
use crate::{
    cli::Global,
    client::{
        connect::connect,
        link::{CallError, Incoming, Link},
        proof::Role,
    },
    exit::{Code, Exit},
};

/// The name that it is written down under.
pub(super) const ID: &str = "clerk";
/// The tool of its turns.
pub(super) const TOOL: &str = "count_words";
/// It takes its time over a word, so that a person can follow.
const PACE: Duration = Duration::from_millis(30);

/// Attaches with what the supervisor put into the environment, and takes one chat after another until the
/// connection ends. It does not reconnect: whoever supervises it starts it again.
pub(super) async fn run(global: &Global) -> Result<(), Exit> {
    let id = env::var("CARPORT_AGENT_ID")
        .map_err(|_| Exit::usage("this part of the demo is played under supervision only"))?;
    let (link, mut inbox) = connect(global, &Role::Agent(id)).await?;
    while let Some(incoming) = inbox.recv().await {
        let Incoming::Ask(ask) = incoming else { continue };
        if ask.method == "agent.chat" {
            let text = |name: &str| ask.params[name].as_str().unwrap_or_default().to_owned();
            let (session_id, prompt) = (text("session_id"), text("prompt"));
            ask.answer(Ok(json!({ "accepted": true }))).await;
            take(&link, &session_id, &prompt).await?;
        }
    }
    Err(Exit::new(Code::NoDaemon, link.ended().await))
}

/// Takes one turn of a chat. The run is closed before the chat ends.
async fn take(link: &Link, session_id: &str, prompt: &str) -> Result<(), CallError> {
    let say = async |kind: &str, mut members: Value| {
        members["session_id"] = session_id.into();
        members["kind"] = kind.into();
        link.raw("agent.chat.event", &members).await.map(drop)
    };
    let started: Started = link.ask("runs.start", &json!({ "intent": prompt })).await?;
    let run_id = started.run_id;
    let text = answer(prompt);
    for word in text.split_inclusive(' ') {
        say("token", json!({ "delta": word })).await?;
        sleep(PACE).await;
    }
    let turn = json!({ "tool": TOOL, "prompt": prompt, "output": text });
    link.raw("runs.record_turns", &json!({ "run_id": run_id, "turns": [turn] })).await?;
    let outcome = json!({ "status": "success", "summary": text });
    link.raw("runs.complete", &json!({ "run_id": run_id, "outcome": outcome })).await?;
    say("done", json!({ "text": text })).await
}

/// What it says to a prompt.
pub(super) fn answer(prompt: &str) -> String {
    let letters = |word: &str| word.chars().filter(|it| it.is_alphanumeric()).count();
    let words = prompt.split_whitespace().filter(|word| letters(word) > 0);
    let total: usize = words.clone().map(letters).sum();
    // Of words that are equally long, the first.
    let longest = words.clone().rev().max_by_key(|word| letters(word)).unwrap_or("none");
    let longest = longest.trim_matches(|letter: char| !letter.is_alphanumeric());
    format!("{} words, {total} letters; the longest is `{longest}`", words.count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_letters_are_counted() {
        assert_eq!(answer("What is this, then?"), "4 words, 14 letters; the longest is `What`");
        assert_eq!(answer(" - "), "0 words, 0 letters; the longest is `none`");
    }
}
