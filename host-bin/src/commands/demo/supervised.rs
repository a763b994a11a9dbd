//! The second act of the demo: an agent under supervision is chatted with, killed, restarted and stopped.

use std::{
    env,
    time::{Duration, Instant},
};

use carport_core::{RpcError, codes};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{clerk, play::say};
use crate::{
    client::{
        agents::{self, AgentChanged, ChatEvent, ManagedAgent},
        connect::connect_to,
        link::{CallError, Inbox, Incoming, Link},
        locate::Located,
        proof::Role,
        runs,
    },
    daemon::root::StateRoot,
    exit::Exit,
    output::{Output, Tone, count, one_line},
};

/// How long an agent may take to attach or to answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// What it is told, before and after it is killed.
const PROMPTS: [&str; 2] =
    ["How many words does this question have?", "And this one, after you were killed?"];

/// What came of the second act.
#[derive(Debug, Default, Serialize)]
pub(super) struct Supervised {
    agent_id: &'static str,
    /// The process that was killed, and the one that came in its place.
    pids: Vec<u32>,
    /// From the kill until the second process was attached.
    back_after_millis: u64,
    chats: Vec<Chatted>,
    /// Whether the last process was there when the stop was answered.
    left_over: bool,
}

/// A chat, as it was heard and as it was recorded.
#[derive(Debug, Default, Serialize)]
struct Chatted {
    prompt: &'static str,
    /// What was streamed.
    streamed: String,
    /// What the end said.
    answer: String,
    run_id: String,
    /// What the run recorded of it, once completed with success.
    recorded: String,
}

impl Supervised {
    /// Every way in which what was promised was not kept.
    pub(super) fn differences(&self) -> Vec<String> {
        let mut differences = Vec::new();
        for Chatted { prompt, streamed, answer, recorded, .. } in &self.chats {
            let right = clerk::answer(prompt);
            for (what, text) in
                [("streamed", streamed), ("answered", answer), ("recorded", recorded)]
            {
                if *text != right {
                    differences.push(format!("`{prompt}`: `{text}` was {what}, not `{right}`"));
                }
            }
        }
        if self.left_over {
            differences.push("a process of the supervised agent outlived its stop".into());
        }
        differences
    }

    /// All of it in a line.
    pub(super) fn sentence(&self) -> String {
        format!(
            "supervised agent `{}`: {}, each recorded; killed with SIGKILL and attached again after \
             {} ms; stopped",
            self.agent_id,
            count(self.chats.len(), "chat"),
            self.back_after_millis
        )
    }
}

/// Plays the act; nothing where no agent of this program can be started.
pub(super) async fn play(root: &StateRoot, output: Output) -> Result<Option<Supervised>, Exit> {
    let (link, inbox) = connect_to(&Located::of_root(root)?, &Role::Host).await?;
    let program = env::current_exe().map_err(Exit::failed)?;
    let spec = json!({
        "id": clerk::ID, "command": program, "args": ["demo", "--part", "clerk"],
        "backoff_secs": 0.1, "capabilities": ["chat"],
    });
    match agents::about(&link, "agents.upsert", &spec).await {
        Ok(_) => {}
        Err(CallError::Rpc(error)) if is_left_out(&error) => {
            say(output, "agents", format_args!("left out: {}", one_line(&error.message)))?;
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    }
    let text = format!("`{}` is written down: {} demo --part clerk", clerk::ID, program.display());
    say(output, "agents", one_line(&text))?;
    let mut act = Act { link, inbox, output, came: Supervised::default() };
    act.came.agent_id = clerk::ID;
    agents::subscribe(&act.link).await?;
    agents::about(&act.link, "agents.start", &json!({ "id": clerk::ID })).await?;
    let agent = act.attached(None).await?;
    act.chat(PROMPTS[0]).await?;
    act.kill(&agent).await?;
    act.chat(PROMPTS[1]).await?;
    act.stop().await?;
    Ok(Some(act.came))
}

/// A build without agents, or a program that lies where no daemon starts one from.
fn is_left_out(error: &RpcError) -> bool {
    let has_rule = || error.data.as_ref().is_some_and(|data| data.get("rule").is_some());
    error.code == codes::METHOD_NOT_FOUND || has_rule()
}

struct Act {
    link: Link,
    inbox: Inbox,
    output: Output,
    came: Supervised,
}

impl Act {
    /// Waits until another process than `but` is attached, and shows every step on the way.
    async fn attached(&mut self, but: Option<u32>) -> Result<ManagedAgent, Exit> {
        let output = self.output;
        let mut last = String::new();
        let waited = self.until(|incoming| {
            let Incoming::Notice(notice) = incoming else { return Ok(None) };
            let Some(AgentChanged { agent, .. }) = AgentChanged::of(&notice) else {
                return Ok(None);
            };
            let text = stands(&agent);
            if text != last {
                say(output, "", &text)?;
                last = text;
            }
            match agent.status.as_str() {
                "errored" => Err(Exit::failed(format!("`{}` gave up", agent.id()))),
                // It may attach before its start is over.
                "starting" => Ok(None),
                // The end of a process may be heard of before that of its connection.
                _ => {
                    let is_another = agent.pid.is_some() && agent.pid != but;
                    Ok((agent.attached && is_another).then_some(agent))
                }
            }
        });
        let agent = waited.await?;
        self.came.pids.extend(agent.pid);
        Ok(agent)
    }

    /// Says something, prints the answer word by word, and looks it up in the run that it left.
    async fn chat(&mut self, prompt: &'static str) -> Result<(), Exit> {
        let output = self.output;
        say(output, "chat", prompt)?;
        let params = json!({ "agent_id": clerk::ID, "prompt": prompt });
        self.link.raw("agents.chat", &params).await?;
        let mut chatted = Chatted { prompt, ..Chatted::default() };
        if !output.is_json() {
            output.text(&" ".repeat(9))?;
        }
        let streamed = &mut chatted.streamed;
        let answer = self.until(|incoming| {
            let Incoming::Notice(notice) = incoming else { return Ok(None) };
            let Some(event) = ChatEvent::of(&notice) else { return Ok(None) };
            match event.kind.as_str() {
                "token" => {
                    streamed.push_str(event.text("delta"));
                    if !output.is_json() {
                        output.text(event.text("delta"))?;
                    }
                    Ok(None)
                }
                "done" => Ok(Some(event.text("text").to_owned())),
                "error" => Err(Exit::failed(event.text("error"))),
                _ => Ok(None),
            }
        });
        chatted.answer = answer.await?;
        if !output.is_json() {
            output.text("\n")?;
        }
        // The newest run is this chat's: the agent takes one after another.
        let newest = runs::list(&self.link, clerk::ID, None, 1).await?;
        if let Some(run) = newest.into_iter().next() {
            let records = runs::trace(&self.link, &run.run_id, 0).await?;
            chatted.recorded = recorded(&records);
            let text =
                format!("{}: {}, {}", run.run_id, count(records.len(), "record"), run.status);
            say(output, "run", one_line(&text))?;
            chatted.run_id = run.run_id;
        }
        self.came.chats.push(chatted);
        Ok(())
    }

    /// SIGKILL: nobody but the supervisor can bring it back.
    async fn kill(&mut self, agent: &ManagedAgent) -> Result<(), Exit> {
        let pid = agent.pid.and_then(process).ok_or_else(|| Exit::failed("it has no process"))?;
        let killed = Instant::now();
        kill_process(pid, Signal::KILL).map_err(Exit::failed)?;
        let text = format!("process {} of `{}`", pid.as_raw_nonzero(), clerk::ID);
        say(self.output, "kill -9", Tone::Bad.paint(text))?;
        self.attached(agent.pid).await?;
        self.came.back_after_millis = killed.elapsed().as_millis() as u64;
        Ok(())
    }

    async fn stop(&mut self) -> Result<(), Exit> {
        agents::about(&self.link, "agents.stop", &json!({ "id": clerk::ID })).await?;
        let last = self.came.pids.last().copied().and_then(process);
        self.came.left_over = last.is_some_and(|pid| test_kill_process(pid).is_ok());
        say(self.output, "agents", format_args!("`{}` is stopped", clerk::ID))
    }

    /// Hears what comes until something of it is what is wanted.
    async fn until<T>(
        &mut self,
        mut wanted: impl FnMut(Incoming) -> Result<Option<T>, Exit>,
    ) -> Result<T, Exit> {
        let hearing = async {
            loop {
                let Some(incoming) = self.inbox.recv().await else {
                    return Err(CallError::Ended(self.link.ended().await).into());
                };
                if let Some(found) = wanted(incoming)? {
                    return Ok(found);
                }
            }
        };
        match timeout(PATIENCE, hearing).await {
            Ok(found) => found,
            Err(_) => Err(self.silent().await),
        }
    }

    /// Why nothing comes, in the agent's own last words.
    async fn silent(&self) -> Exit {
        let tail = agents::tail(&self.link, clerk::ID, 3, "stderr").await;
        let words = tail.map(|tail| tail.stderr.join(" | ")).unwrap_or_default();
        let (id, secs) = (clerk::ID, PATIENCE.as_secs());
        Exit::failed(format!("nothing was heard of `{id}` for {secs} s; it said: {words}"))
    }
}

fn process(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// An agent in a line.
fn stands(agent: &ManagedAgent) -> String {
    let mut words = vec![agent.status.clone()];
    words.extend(agent.pid.map(|pid| format!("process {pid}")));
    words.extend(agent.attached.then(|| "attached".into()));
    words.extend(agent.reason.clone());
    one_line(&words.join(", ")).into_owned()
}

/// What a run that was completed with success holds of its one turn.
fn recorded(records: &[Value]) -> String {
    match records {
        [_, turn, ended]
            if turn["tool"] == clerk::TOOL
                && ended["termination"]["outcome"]["status"] == "success" =>
        {
            turn["output"].as_str().unwrap_or_default().to_owned()
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn came() -> Supervised {
        let chat = |prompt| {
            let text = || clerk::answer(prompt);
            Chatted {
                prompt,
                streamed: text(),
                answer: text(),
                run_id: "r".into(),
                recorded: text(),
            }
        };
        Supervised { chats: PROMPTS.map(chat).into(), ..Supervised::default() }
    }

    #[test]
    fn every_difference_is_found() {
        assert!(came().differences().is_empty());
        let damages: [fn(&mut Supervised); 4] = [
            |it| it.chats[0].streamed.truncate(3),
            |it| it.chats[1].answer.clear(),
            |it| it.chats[1].recorded.clear(),
            |it| it.left_over = true,
        ];
        for change in damages {
            let mut damaged = came();
            change(&mut damaged);
            assert_eq!(damaged.differences().len(), 1);
        }
    }

    #[test]
    fn only_a_completed_run_counts_as_recorded() {
        let turn = json!({ "record": "turn", "tool": clerk::TOOL, "output": "x" });
        let ended =
            json!({ "termination": { "kind": "outcome", "outcome": { "status": "success" } } });
        assert_eq!(recorded(&[json!({}), turn.clone(), ended.clone()]), "x");
        assert_eq!(recorded(&[json!({}), turn]), "");
        assert_eq!(recorded(&[json!({}), ended]), "");
    }
}
