//! One turn of a chat, beside others: the work, what is said about it, and the run that records it.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

use crate::{
    daemon::Daemon,
    work::{self, Work},
};

/// Between two ticks.
const TICK: Duration = Duration::from_millis(100);

/// A chat that the daemon asked for.
pub(crate) struct Chat {
    pub(crate) daemon: Daemon,
    /// The chat's `session_id`.
    pub(crate) id: String,
    /// Becomes `true` when nobody waits for the chat any more.
    pub(crate) cancelled: watch::Receiver<bool>,
    /// What the person said about an approval: its id, and whether yes.
    pub(crate) decisions: mpsc::Receiver<(String, bool)>,
}

impl Chat {
    /// Takes the turn to its end.
    pub(crate) async fn take(mut self, prompt: String) {
        match self.record(&prompt).await {
            Ok(Some(text)) => self.say("done", json!({ "text": text })).await,
            // Whoever cancelled has the end of the chat from the daemon.
            Ok(None) => {}
            Err(why) => self.say("error", json!({ "error": why })).await,
        }
    }

    /// Does the work within a run, which is closed before the chat ends; no text if it was cancelled.
    async fn record(&mut self, prompt: &str) -> Result<Option<String>, String> {
        let work = Work::asked_for(prompt);
        let intent: String = prompt.chars().take(200).collect();
        let started = self.daemon.call("runs.start", json!({ "intent": intent })).await?;
        let run_id = &started["run_id"];
        let mut cancelled = self.cancelled.clone();
        let done = tokio::select! {
            done = self.work(&work, run_id) => done.map(Some),
            _ = cancelled.wait_for(|cancelled| *cancelled) => Ok(None),
        };
        let (status, summary) = match &done {
            Ok(Some(text)) => ("success", text.as_str()),
            Ok(None) => ("partial", "cancelled"),
            Err(why) => ("failure", why.as_str()),
        };
        let outcome = json!({ "status": status, "summary": summary });
        let complete = json!({ "run_id": run_id, "outcome": outcome });
        self.daemon.call("runs.complete", complete).await?;
        done
    }

    /// Does the work and records it as a turn of the run.
    async fn work(&mut self, work: &Work, run_id: &Value) -> Result<String, String> {
        let (tool, params) = work.call();
        self.say("tool_call", json!({ "tool": tool, "params": params })).await;
        let text = match work {
            Work::Count(text) => work::count(text),
            Work::Calc(expression) => work::calc(expression)?.to_string(),
            Work::Delete(file) => self.delete(file).await?,
            Work::Tick(times) => self.tick(*times).await,
        };
        if !matches!(work, Work::Tick(_)) {
            for (at, word) in text.split(' ').enumerate() {
                let gap = if at == 0 { "" } else { " " };
                self.say("token", json!({ "delta": format!("{gap}{word}") })).await;
            }
        }
        let turn = json!({ "tool": tool, "parameters": params, "output": { "text": text } });
        let turns = json!({ "run_id": run_id, "turns": [turn] });
        self.daemon.call("runs.record_turns", turns).await?;
        Ok(text)
    }

    async fn tick(&self, times: u32) -> String {
        let mut text = String::new();
        for number in 1..=times {
            let token = format!("{number} ");
            text.push_str(&token);
            self.say("token", json!({ "delta": token })).await;
            sleep(TICK).await;
        }
        text
    }

    /// Deletes a file of the working directory, if the person says yes.
    async fn delete(&mut self, file: &str) -> Result<String, String> {
        if Path::new(file).file_name().is_none_or(|name| name != file) {
            return Err("only files of its own directory".into());
        }
        let approval = format!("{}-delete", self.id);
        let asked = json!({ "approval_id": approval, "action": "delete", "details": file });
        self.say("approval_pending", asked).await;
        while let Some((id, yes)) = self.decisions.recv().await {
            if id != approval {
                continue;
            }
            if !yes {
                return Ok(format!("{file} stays"));
            }
            std::fs::remove_file(file).map_err(|error| format!("{file}: {error}"))?;
            return Ok(format!("{file} is deleted"));
        }
        Err("nobody decides any more".into())
    }

    /// Says what happened.
    async fn say(&self, kind: &str, mut members: Value) {
        members["session_id"] = self.id.as_str().into();
        members["kind"] = kind.into();
        self.daemon.tell("agent.chat.event", members).await;
    }
}
