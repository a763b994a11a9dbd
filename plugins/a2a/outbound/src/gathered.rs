//! What an agent told of one message so far, and what is new in each thing that it tells.

use std::collections::HashMap;

use carport_a2a_tasks::{ArtifactChange, Change, Fold, Stored};
use carport_a2a_types::{
    Artifact, ArtifactUpdate, Message, SendResult, StatusUpdate, StreamResponse, Task, TaskState,
    TaskStatus,
};

/// The events that came of a message, folded into what answers it.
#[derive(Debug, Clone, Default)]
pub struct Gathered {
    said: Option<Message>,
    fold: Option<Fold>,
}

impl Gathered {
    /// Takes an event, and answers with what is new in it: the event itself, or of a task that is known already
    /// the parts and the message that nobody told before. What is of another task than the first one, and what
    /// comes after a message that was the whole answer, is left out.
    pub fn take(&mut self, event: StreamResponse) -> Option<StreamResponse> {
        match event {
            _ if self.said.is_some() => None,
            StreamResponse::Message(_) if self.fold.is_some() => None,
            StreamResponse::Message(message) => {
                self.said = Some(message.clone());
                Some(StreamResponse::Message(message))
            }
            StreamResponse::Task(task) => self.take_task(task).map(StreamResponse::Task),
            StreamResponse::StatusUpdate(update) => {
                self.take_status(update).map(StreamResponse::StatusUpdate)
            }
            StreamResponse::ArtifactUpdate(update) => {
                self.take_artifact(update).map(StreamResponse::ArtifactUpdate)
            }
        }
    }

    /// The task, if there is one.
    pub fn task(&self) -> Option<&Task> {
        self.fold.as_ref().map(|it| &it.task)
    }

    /// Whether nothing was told yet.
    pub const fn is_empty(&self) -> bool {
        self.said.is_none() && self.fold.is_none()
    }

    /// Whether that is the end of a turn: a message, or a task that has ended or waits.
    pub fn ends_turn(&self) -> bool {
        self.said.is_some() || self.task().is_some_and(|it| it.status.state.ends_turn())
    }

    /// Whether nothing can follow.
    pub fn is_final(&self) -> bool {
        self.said.is_some() || self.task().is_some_and(|it| it.status.state.is_terminal())
    }

    /// The answer, if there is one.
    pub fn into_result(self) -> Option<SendResult> {
        let task = self.fold.map(|it| SendResult::Task(it.task));
        self.said.map(SendResult::Message).or(task)
    }

    fn take_task(&mut self, mut task: Task) -> Option<Task> {
        let Some(fold) = &mut self.fold else {
            self.fold = Some(Fold { task: task.clone(), owner: String::new(), seq: 0 });
            return Some(task);
        };
        if fold.task.id != task.id {
            return None;
        }
        if task.context_id.is_empty() {
            task.context_id.clone_from(&fold.task.context_id);
        }
        let news = news(&fold.task, task.clone());
        fold.task = task;
        Some(news)
    }

    fn take_status(&mut self, mut update: StatusUpdate) -> Option<StatusUpdate> {
        let fold = self.fold_of(&update.task_id, &mut update.context_id)?;
        let timestamp = update.status.timestamp;
        apply(fold, Change::Status(update.status.clone()));
        // An agent may leave it out, and then it is not known.
        fold.task.status.timestamp = timestamp;
        Some(update)
    }

    fn take_artifact(&mut self, mut update: ArtifactUpdate) -> Option<ArtifactUpdate> {
        let fold = self.fold_of(&update.task_id, &mut update.context_id)?;
        let (artifact, append, last_chunk) =
            (update.artifact.clone(), update.append, update.last_chunk);
        apply(fold, Change::Artifact(ArtifactChange { artifact, append, last_chunk }));
        Some(update)
    }

    /// The fold of a task that an update is of, and of no other. The update is given the task's context, which is the
    /// first one that is named. An agent may begin with an update: what it says of the task is all that is known of
    /// it.
    fn fold_of(&mut self, id: &str, context_id: &mut String) -> Option<&mut Fold> {
        let fold = self.fold.get_or_insert_with(|| {
            let status = TaskStatus { state: TaskState::Working, message: None, timestamp: None };
            let (artifacts, history) = (Vec::new(), Vec::new());
            let (id, context_id) = (id.to_owned(), context_id.clone());
            let task = Task { id, context_id, status, artifacts, history, metadata: None };
            Fold { task, owner: String::new(), seq: 0 }
        });
        if fold.task.id != id {
            return None;
        }
        match fold.task.context_id.is_empty() {
            true => fold.task.context_id.clone_from(context_id),
            false => context_id.clone_from(&fold.task.context_id),
        }
        Some(fold)
    }
}

fn apply(fold: &mut Fold, change: Change) {
    fold.apply(Stored { seq: fold.seq + 1, at: carport_core::Time::default(), change });
}

/// A task without the parts and the message that are known of it.
fn news(known: &Task, mut task: Task) -> Task {
    let old: HashMap<&str, &Artifact> =
        known.artifacts.iter().map(|it| (it.artifact_id.as_str(), it)).collect();
    task.artifacts.retain_mut(|artifact| {
        if let Some(old) = old.get(artifact.artifact_id.as_str())
            && artifact.parts.starts_with(&old.parts)
        {
            artifact.parts.drain(..old.parts.len());
        }
        !artifact.parts.is_empty()
    });
    let is_known = |message: &Message| {
        let mut all = known.status.message.iter().chain(&known.history);
        all.any(|it| it.message_id == message.message_id)
    };
    task.status.message = task.status.message.filter(|it| !is_known(it));
    task.history.clear();
    task
}

#[cfg(test)]
mod tests {
    use carport_a2a_types::Part;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn event(value: Value) -> StreamResponse {
        serde_json::from_value(value).unwrap()
    }

    fn status(task: &str, state: &str) -> Value {
        let said =
            json!({ "messageId": state, "role": "ROLE_AGENT", "parts": [{ "text": state }] });
        let status = json!({ "state": format!("TASK_STATE_{state}"), "message": said });
        json!({ "statusUpdate": { "taskId": task, "contextId": "c", "status": status } })
    }

    fn part(task: &str, id: &str, text: &str, append: bool) -> Value {
        let artifact = json!({ "artifactId": id, "parts": [{ "text": text }] });
        json!({ "artifactUpdate": { "taskId": task, "artifact": artifact, "append": append } })
    }

    fn begun() -> Value {
        json!({ "task": { "id": "t", "contextId": "c", "status": { "state": "TASK_STATE_SUBMITTED" } } })
    }

    #[test]
    fn events_are_folded_and_those_of_another_task_left_out() {
        let mut gathered = Gathered::default();
        assert!(gathered.is_empty());
        for (value, is_taken) in [
            (begun(), true),
            (part("t", "a", "one", false), true),
            (part("other", "a", "not this", true), false),
            (status("other", "FAILED"), false),
            (
                json!({ "task": { "id": "other", "status": { "state": "TASK_STATE_FAILED" } } }),
                false,
            ),
            (
                json!({ "message": { "messageId": "m", "role": "ROLE_AGENT", "parts": [{ "text": "x" }] } }),
                false,
            ),
            (part("t", "a", "two", true), true),
            (status("t", "INPUT_REQUIRED"), true),
        ] {
            assert_eq!(gathered.take(event(value.clone())).is_some(), is_taken, "{value}");
        }
        assert!(gathered.ends_turn() && !gathered.is_final());
        let Some(SendResult::Task(task)) = gathered.into_result() else { panic!("a task") };
        assert_eq!(task.artifacts[0].parts, [Part::text("one"), Part::text("two")]);
        assert_eq!((task.history.len(), task.status.timestamp), (1, None));
    }

    #[test]
    fn an_agent_may_begin_with_an_update_or_say_all_in_a_message() {
        let mut gathered = Gathered::default();
        gathered.take(event(part("t", "a", "one", false))).unwrap();
        assert_eq!(gathered.task().unwrap().status.state, TaskState::Working);
        gathered.take(event(status("t", "COMPLETED"))).unwrap();
        assert_eq!(gathered.task().unwrap().context_id, "c", "the first one that is named");
        assert!(gathered.is_final());
        let said = json!({ "message": { "messageId": "m", "role": "ROLE_AGENT", "parts": [{ "text": "x" }] } });
        let mut gathered = Gathered::default();
        gathered.take(event(said)).unwrap();
        assert!(gathered.is_final() && gathered.take(event(begun())).is_none());
        assert!(matches!(gathered.into_result(), Some(SendResult::Message(_))));
    }

    proptest! {
        /// Whatever a snapshot repeats is no news, and whatever it adds is.
        #[test]
        fn each_part_and_message_is_news_once(
            changes in proptest::collection::vec((0..3_u8, "[a-c]", any::<bool>()), 1..20),
            cut in 0..20_usize,
        ) {
            let (mut all, mut heard) = (Gathered::default(), Gathered::default());
            all.take(event(begun()));
            heard.take(event(begun()));
            let told = changes.iter().enumerate().map(|(at, (kind, id, append))| match kind {
                0 => {
                    let mut status = status("t", "WORKING");
                    status["statusUpdate"]["status"]["message"]["messageId"] = at.to_string().into();
                    status
                }
                _ => part("t", id, &at.to_string(), *append),
            });
            for (at, value) in told.enumerate() {
                all.take(event(value.clone()));
                if at < cut {
                    heard.take(event(value));
                }
            }
            let whole = all.task().unwrap().clone();
            let before = heard.task().unwrap().clone();
            let Some(StreamResponse::Task(news)) = heard.take(StreamResponse::Task(whole.clone())) else {
                return Err(TestCaseError::fail("it is of this task"));
            };
            prop_assert_eq!(heard.task().unwrap(), &whole);
            for artifact in &news.artifacts {
                let old = before.artifacts.iter().find(|it| it.artifact_id == artifact.artifact_id);
                let now = whole.artifacts.iter().find(|it| it.artifact_id == artifact.artifact_id);
                let mut parts = old.map(|it| it.parts.clone()).unwrap_or_default();
                parts.extend(artifact.parts.clone());
                let now = &now.unwrap().parts;
                prop_assert!(parts == *now || artifact.parts == *now);
            }
            let Some(StreamResponse::Task(none)) = heard.take(StreamResponse::Task(whole)) else {
                return Err(TestCaseError::fail("it is of this task"));
            };
            prop_assert!(none.artifacts.is_empty() && none.status.message.is_none());
        }
    }
}
