//! What comes of a task, told as lines, each thing once, whether it comes as a snapshot or as a change.

use std::collections::{BTreeMap, BTreeSet};

use carport_a2a_types::{
    Artifact, Content, Message, Part, Role, StreamResponse, Task, TaskState, TaskStatus,
};

use crate::{
    exit::Exit,
    output::{Tone, one_line},
};

/// What was told of a task.
#[derive(Debug, Default)]
pub(super) struct Teller {
    id: Option<String>,
    status: Option<(TaskState, String)>,
    /// Parts by artifact.
    parts: BTreeMap<String, usize>,
    /// Messages by their ids.
    heard: BTreeSet<String>,
}

impl Teller {
    /// The lines that a change adds.
    pub(super) fn hear(&mut self, event: &StreamResponse) -> Vec<String> {
        match event {
            StreamResponse::Task(task) => self.task(task),
            StreamResponse::Message(message) => text_of(message),
            StreamResponse::StatusUpdate(update) => {
                let begun = self.begin(&update.task_id, &update.context_id);
                begun.into_iter().chain(self.status(&update.status)).collect()
            }
            StreamResponse::ArtifactUpdate(update) => {
                let begun = self.begin(&update.task_id, &update.context_id);
                let id = &update.artifact.artifact_id;
                let told = if update.append { self.parts.get(id).copied() } else { None };
                let told = told.unwrap_or_default();
                self.parts.insert(id.clone(), told + update.artifact.parts.len());
                begun.into_iter().chain(artifact(&update.artifact, 0)).collect()
            }
        }
    }

    /// The line that names the task, once. An agent may begin with an update of it.
    fn begin(&mut self, id: &str, context: &str) -> Option<String> {
        if self.id.is_some() {
            return None;
        }
        self.id = Some(id.to_owned());
        let context = match context {
            "" => String::new(),
            id => format!("  context {}", one_line(id)),
        };
        Some(format!("task {}{context}", Tone::Name.paint(one_line(id))))
    }

    fn task(&mut self, task: &Task) -> Vec<String> {
        let mut lines = Vec::new();
        let agents = task.history.iter().filter(|it| it.role == Role::Agent);
        if let Some(begun) = self.begin(&task.id, &task.context_id) {
            lines.push(begun);
            // What was said before anybody asked is `show`'s.
            self.heard.extend(agents.map(|it| it.message_id.clone()));
        } else {
            let now = task.status.message.as_ref().map(|it| &it.message_id);
            for message in agents.filter(|it| Some(&it.message_id) != now) {
                if self.heard.insert(message.message_id.clone()) {
                    lines.extend(text_of(message));
                }
            }
        }
        let is_over = task.status.state.ends_turn();
        if !is_over {
            lines.extend(self.status(&task.status));
        }
        for made in &task.artifacts {
            let told = self.parts.insert(made.artifact_id.clone(), made.parts.len());
            lines.extend(artifact(made, told.unwrap_or_default()));
        }
        if is_over {
            lines.extend(self.status(&task.status));
        }
        lines
    }

    fn status(&mut self, status: &TaskStatus) -> Vec<String> {
        let message = status.message.as_ref();
        self.heard.extend(message.map(|it| it.message_id.clone()));
        let said = message.map(text_of).unwrap_or_default();
        let now = (status.state, said.join("\n"));
        if self.status.as_ref() == Some(&now) {
            return Vec::new();
        }
        self.status = Some(now);
        labelled(&tone(status.state).paint(status.state.v03()), said)
    }

    /// What it is doing, as far as that was told.
    pub(super) fn state(&self) -> Option<TaskState> {
        self.status.as_ref().map(|it| it.0)
    }

    /// The task, if there is one.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// A failure, if the task ended in one.
    pub(super) fn outcome(&self) -> Result<(), Exit> {
        let (Some((state, why)), Some(id)) = (&self.status, &self.id) else { return Ok(()) };
        let ended = match state {
            TaskState::Failed => "failed",
            TaskState::Rejected => "was rejected by the agent",
            TaskState::Canceled => "was cancelled",
            _ => return Ok(()),
        };
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        Err(Exit::failed(format!("task {} {ended}{why}", one_line(id))))
    }
}

/// How a state looks.
pub(super) fn tone(state: TaskState) -> Tone {
    match state {
        TaskState::Completed => Tone::Good,
        TaskState::Failed | TaskState::Rejected => Tone::Bad,
        TaskState::InputRequired | TaskState::AuthRequired => Tone::Warn,
        _ => Tone::Plain,
    }
}

/// The artifact's parts after the first `told`.
fn artifact(artifact: &Artifact, told: usize) -> Vec<String> {
    let name = artifact.name.as_deref().unwrap_or(&artifact.artifact_id);
    let label = format!("artifact {}", Tone::Name.paint(one_line(name)));
    let parts = artifact.parts.iter().skip(told);
    parts.flat_map(|part| labelled(&label, part_lines(part))).collect()
}

/// Lines behind a label; those after the first are indented.
fn labelled(label: &str, lines: Vec<String>) -> Vec<String> {
    let mut lines = lines.into_iter();
    let first = lines.next().map_or_else(|| label.to_owned(), |it| format!("{label}  {it}"));
    std::iter::once(first).chain(lines.map(|it| format!("  {it}"))).collect()
}

/// A message as lines.
pub(super) fn text_of(message: &Message) -> Vec<String> {
    message.parts.iter().flat_map(part_lines).collect()
}

/// A part as lines. A text keeps its own; bytes are not shown.
fn part_lines(part: &Part) -> Vec<String> {
    let file = |what: String| {
        let name = part.filename.as_deref().unwrap_or("file");
        let kind = part.media_type.as_deref().map(|it| format!(", {it}")).unwrap_or_default();
        vec![one_line(&format!("[{name}{kind}, {what}]")).into_owned()]
    };
    match &part.content {
        Content::Text(text) => text.lines().map(|it| one_line(it).into_owned()).collect(),
        Content::Data(data) => vec![one_line(&data.to_string()).into_owned()],
        Content::Raw(bytes) => file(format!("{} bytes", bytes.len())),
        Content::Url(url) => file(url.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::exit::Code;

    fn hear(teller: &mut Teller, event: Value) -> Vec<String> {
        let event: StreamResponse = serde_json::from_value(event).unwrap();
        let lines = teller.hear(&event).into_iter();
        lines.map(|line| anstream::adapter::strip_str(&line).to_string()).collect()
    }

    fn status(state: &str, said: &str) -> Value {
        let message =
            json!({ "messageId": said, "role": "ROLE_AGENT", "parts": [{ "text": said }] });
        let state = format!("TASK_STATE_{state}");
        match said {
            "" => json!({ "state": state }),
            _ => json!({ "state": state, "message": message }),
        }
    }

    fn update(status: &Value) -> Value {
        json!({ "statusUpdate": { "taskId": "t", "contextId": "c", "status": status } })
    }

    fn made(append: bool, part: &Value) -> Value {
        let artifact = json!({ "artifactId": "a", "name": "out", "parts": [part] });
        json!({ "artifactUpdate": {
            "taskId": "t", "contextId": "c", "artifact": artifact, "append": append } })
    }

    #[test]
    fn each_thing_is_told_once_however_often_it_comes() {
        let mut teller = Teller::default();
        let task = |status: &Value, parts: Value| {
            let artifact = json!({ "artifactId": "a", "name": "out", "parts": parts });
            json!({ "task": { "id": "t", "contextId": "c", "status": status, "artifacts": [artifact] } })
        };
        let begun =
            json!({ "task": { "id": "t", "contextId": "c", "status": status("SUBMITTED", "") } });
        assert_eq!(hear(&mut teller, begun.clone()), ["task t  context c", "submitted"]);
        assert_eq!(hear(&mut teller, begun), [""; 0]);
        assert_eq!(
            hear(&mut teller, update(&status("WORKING", "on it\nreally"))),
            ["working  on it", "  really"]
        );
        assert_eq!(
            hear(&mut teller, made(false, &json!({ "text": "one\u{1b}" }))),
            ["artifact out  one\\u{1b}"]
        );
        assert_eq!(
            hear(&mut teller, made(true, &json!({ "data": { "n": 42 } }))),
            ["artifact out  {\"n\":42}"]
        );
        let parts =
            json!([{ "text": "one" }, { "data": {} }, { "raw": "dGNr", "filename": "o.txt" }]);
        let whole = task(&status("COMPLETED", "done"), parts);
        assert_eq!(
            hear(&mut teller, whole.clone()),
            ["artifact out  [o.txt, 3 bytes]", "completed  done"]
        );
        assert_eq!(hear(&mut teller, whole), [""; 0]);
        assert!(teller.outcome().is_ok() && teller.id() == Some("t"));
    }

    #[test]
    fn what_an_agent_said_between_two_looks_is_told_and_what_it_said_before_is_not() {
        let mut teller = Teller::default();
        let said = |text: &str| json!({ "messageId": text, "role": "ROLE_AGENT", "parts": [{ "text": text }] });
        let task = |status: Value, history: Value| json!({ "task": { "id": "t", "status": status, "history": history } });
        let first = task(status("WORKING", ""), json!([said("old")]));
        assert_eq!(hear(&mut teller, first), ["task t", "working"]);
        let second =
            task(status("COMPLETED", "new"), json!([said("old"), said("between"), said("new")]));
        assert_eq!(hear(&mut teller, second), ["between", "completed  new"]);
    }

    #[test]
    fn a_task_that_comes_to_nothing_is_a_failure_with_its_reason() {
        for (state, word) in [
            ("FAILED", "failed: no"),
            ("REJECTED", "rejected by the agent: no"),
            ("CANCELED", "cancelled: no"),
        ] {
            let mut teller = Teller::default();
            hear(&mut teller, json!({ "task": { "id": "t", "status": status(state, "no") } }));
            let exit = teller.outcome().unwrap_err();
            assert_eq!(exit.code, Code::Failed);
            assert!(exit.message.ends_with(word), "{}", exit.message);
            let mut teller = Teller::default();
            let lines = hear(&mut teller, update(&status(state, "no")));
            assert_eq!((lines.len(), &*lines[0]), (2, "task t  context c"));
            assert_eq!(teller.outcome().unwrap_err().message, exit.message);
        }
        let mut teller = Teller::default();
        assert_eq!(
            hear(
                &mut teller,
                json!({ "message": { "messageId": "m", "role": "ROLE_AGENT", "parts": [{ "text": "hi" }] } })
            ),
            ["hi"]
        );
        assert!(teller.outcome().is_ok() && teller.state().is_none());
    }
}
