//! An agent for Carport in Rust, from a WebSocket and JSON alone.
//!
//! The daemon starts it with `CARPORT_URL`, `CARPORT_AGENT_ID` and `CARPORT_AGENT_TOKEN`. It proves who
//! it is, answers `agent.chat`, and records a run for each chat. It does not reconnect: when its
//! connection ends, so does it, and whoever supervises it starts it again.

use std::{collections::HashMap, env, process::ExitCode};

use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

mod chat;
mod daemon;
mod work;

use chat::Chat;
use daemon::{Daemon, Incoming};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), String> {
    let set = |name: &str| {
        let started = "this agent is started by `carport agents start`";
        env::var(name).map_err(|_| format!("{name} is not set: {started}"))
    };
    let (url, id) = (set("CARPORT_URL")?, set("CARPORT_AGENT_ID")?);
    let (daemon, mut asked) = Daemon::connect(&url).await?;
    let proof = json!({ "token": set("CARPORT_AGENT_TOKEN")?, "agent_id": id });
    daemon.call("session.auth", proof).await?;
    println!("attached as {id}");
    let mut chats = HashMap::new();
    while let Some(incoming) = asked.recv().await {
        attend(&daemon, &mut chats, incoming).await;
    }
    Err("the daemon hung up".into())
}

/// How the rest of the agent reaches a chat.
struct Open {
    /// Becomes `true` when nobody waits for the chat any more.
    cancel: watch::Sender<bool>,
    decide: mpsc::Sender<(String, bool)>,
}

/// Takes one thing that the daemon asks for or tells.
async fn attend(daemon: &Daemon, chats: &mut HashMap<String, Open>, incoming: Incoming) {
    let Incoming { id, method, params } = incoming;
    let session_id = params["session_id"].as_str().unwrap_or_default().to_owned();
    // A chat that has ended listens no more.
    chats.retain(|_, chat| !chat.decide.is_closed());
    match (method.as_str(), id) {
        ("agent.chat", Some(id)) => {
            daemon.answer(id, Ok(json!({ "accepted": true }))).await;
            println!("chat {session_id}");
            let (cancel, cancelled) = watch::channel(false);
            let (decide, decisions) = mpsc::channel(4);
            let prompt = params["prompt"].as_str().unwrap_or_default().to_owned();
            let chat =
                Chat { daemon: daemon.clone(), id: session_id.clone(), cancelled, decisions };
            tokio::spawn(chat.take(prompt));
            chats.insert(session_id, Open { cancel, decide });
        }
        ("agent.chat.approve", Some(id)) => {
            let approval = params["approval_id"].as_str().unwrap_or_default().to_owned();
            let yes = is_yes(&params["decision"]);
            let resolved = chats
                .get(&session_id)
                .is_some_and(|chat| chat.decide.try_send((approval, yes)).is_ok());
            daemon.answer(id, Ok(json!({ "resolved": resolved }))).await;
        }
        ("agent.chat.cancel", None) => {
            if let Some(chat) = chats.get(&session_id) {
                chat.cancel.send_replace(true);
            }
        }
        (_, Some(id)) => {
            let why = format!("this agent does not serve `{method}`");
            daemon.answer(id, Err(json!({ "code": -32601, "message": why }))).await;
        }
        _ => {}
    }
}

fn is_yes(decision: &Value) -> bool {
    match decision {
        Value::String(word) => ["approve", "approved", "yes"].contains(&word.as_str()),
        other => *other == true,
    }
}
