//! An executor that does what conformance tests of A2A ask for by the prefix of a message's id.

use std::time::Duration;

use async_trait::async_trait;
use carport_a2a_api::{End, Ending, Executor, Over, Turn, Updates};
use carport_a2a_types::{Artifact, Content, Message, Part};
use serde_json::json;
use tokio::time::sleep;

/// How long the task works that is to be subscribed to.
const LONG: Duration = Duration::from_secs(4);
/// How long the task works that is to be asked for until it is done.
const DELAY: Duration = Duration::from_secs(2);

/// See the module.
pub(crate) struct TestExecutor;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Complete,
    Answer,
    AskForInput,
    AskForCredentials,
    Reject,
    Make(Thing),
    /// Says that it works, makes a thing and ends.
    Stream(Option<Thing>),
    Chunks,
    /// Works for so long and ends.
    Work(Duration),
    Unknown,
}

/// What is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thing {
    Text(&'static str),
    File,
    Link,
    Data,
}

const GENERATED: Thing = Thing::Text("Generated text content");
const STREAMED: Thing = Thing::Text("Streamed text content");

/// Prefixes and what they stand for. The last four are of the kit of v0.3, which goes on with what it makes by
/// them, or cancels it.
const ACTS: [(&str, Act); 22] = [
    ("tck-complete-task", Act::Complete),
    ("tck-message-response", Act::Answer),
    ("tck-delayed-complete", Act::Work(DELAY)),
    ("tck-input-required", Act::AskForInput),
    ("tck-auth-required", Act::AskForCredentials),
    ("tck-reject-task", Act::Reject),
    ("tck-artifact-text", Act::Make(GENERATED)),
    ("tck-artifact-file", Act::Make(Thing::File)),
    ("tck-artifact-file-url", Act::Make(Thing::Link)),
    ("tck-artifact-data", Act::Make(Thing::Data)),
    ("tck-stream-001", Act::Stream(Some(Thing::Text("Stream hello from TCK")))),
    ("tck-stream-002", Act::Stream(None)),
    ("tck-stream-003", Act::Stream(Some(Thing::Text("Stream task lifecycle")))),
    ("tck-stream-ordering-001", Act::Stream(Some(Thing::Text("Ordered output")))),
    ("tck-stream-artifact-text", Act::Stream(Some(STREAMED))),
    ("tck-stream-artifact-file", Act::Stream(Some(Thing::File))),
    ("tck-stream-artifact-chunked", Act::Chunks),
    ("test-resubscribe-message-id", Act::Work(LONG)),
    ("test-", Act::AskForInput),
    ("text-", Act::AskForInput),
    ("cancel-test", Act::AskForInput),
    ("mapping-test", Act::AskForInput),
];

fn of_prefix(text: &str) -> Option<Act> {
    let known = ACTS.iter().filter(|(prefix, _)| text.starts_with(prefix));
    known.max_by_key(|(prefix, _)| prefix.len()).map(|(_, act)| *act)
}

/// What a message asks for: by its id, else by its first text.
fn act(message: &Message) -> Act {
    let by_id = of_prefix(&message.message_id);
    by_id.or_else(|| message.first_text().and_then(of_prefix)).unwrap_or(Act::Unknown)
}

fn part(thing: Thing) -> Part {
    match thing {
        Thing::Text(text) => Part::text(text),
        Thing::File => Part {
            filename: Some("output.txt".into()),
            media_type: Some("text/plain".into()),
            ..Part::of(Content::Raw(b"tck".to_vec()))
        },
        Thing::Link => Part {
            filename: Some("output.txt".into()),
            media_type: Some("text/plain".into()),
            ..Part::of(Content::Url("https://example.com/output.txt".into()))
        },
        Thing::Data => Part::of(Content::Data(json!({ "key": "value", "count": 42 }))),
    }
}

fn artifact(part: Part) -> Artifact {
    Artifact { name: Some("output".into()), ..Artifact::of("tck-artifact", part) }
}

async fn make(thing: Thing, updates: &dyn Updates) -> Result<(), Over> {
    updates.artifact(artifact(part(thing)), false, true).await
}

async fn chunks(updates: &dyn Updates) -> Result<(), Over> {
    updates.artifact(artifact(Part::text("chunk-1 ")), false, false).await?;
    updates.artifact(artifact(Part::text("chunk-2")), true, true).await
}

#[async_trait]
impl Executor for TestExecutor {
    async fn answer(&self, message: &Message, _: &str) -> Option<Vec<Part>> {
        (act(message) == Act::Answer).then(|| vec![Part::text("Direct message response")])
    }

    async fn turn(&self, turn: Turn, updates: &dyn Updates) -> Ending {
        let completed = Ending::saying(End::Completed, "");
        let done = match act(&turn.message) {
            Act::Complete => return Ending::saying(End::Completed, "Hello from TCK"),
            Act::AskForInput => return Ending::saying(End::InputRequired, "Input is needed"),
            Act::AskForCredentials => {
                return Ending::saying(End::AuthRequired, "Credentials are needed");
            }
            Act::Reject => return Ending::saying(End::Rejected, "rejected"),
            Act::Make(thing) | Act::Stream(Some(thing)) => make(thing, updates).await,
            Act::Stream(None) => Ok(()),
            Act::Chunks => chunks(updates).await,
            Act::Work(long) => {
                sleep(long).await;
                Ok(())
            }
            Act::Answer | Act::Unknown => {
                let why = format!("Unhandled messageId prefix: {}", turn.message.message_id);
                return Ending::saying(End::Completed, why);
            }
        };
        match done {
            Ok(()) => completed,
            Err(Over) => Ending::saying(End::Failed, ""),
        }
    }
}

#[cfg(test)]
mod tests {
    use carport_a2a_types::{Task, TaskState, TaskStatus};
    use carport_core::Guarded;
    use tokio::time::Instant;

    use super::*;

    /// Notes what is made: its content, and whether it goes on with what was there and is the last.
    #[derive(Default)]
    struct Notes(Guarded<Vec<(Content, bool, bool)>>);

    #[async_trait]
    impl Updates for Notes {
        async fn artifact(&self, made: Artifact, append: bool, last: bool) -> Result<(), Over> {
            assert_eq!((made.artifact_id.as_str(), made.parts.len()), ("tck-artifact", 1));
            self.0.lock().extend(made.parts.into_iter().map(|it| (it.content, append, last)));
            Ok(())
        }

        async fn says(&self, _: Vec<Part>) -> Result<(), Over> {
            panic!("nothing is said on the way")
        }
    }

    /// Has a message with this id answered: what is made, how it ends, what is said, and the seconds
    /// that it takes.
    async fn done(id: &str) -> (Vec<(Content, bool, bool)>, End, Vec<Part>, u64) {
        let message = Message::of_agent(id, "words");
        let status = TaskStatus { state: TaskState::Working, message: None, timestamp: None };
        let task = Task {
            id: "t".into(),
            context_id: "c".into(),
            status,
            artifacts: Vec::new(),
            history: Vec::new(),
            metadata: None,
        };
        let (notes, began) = (Notes::default(), Instant::now());
        let turn = Turn { task, message, owner: "client".into() };
        let Ending { end, says } = TestExecutor.turn(turn, &notes).await;
        let made = std::mem::take(&mut *notes.0.lock());
        (made, end, says, began.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn each_prefix_does_what_the_kit_asks_for() {
        use End::{AuthRequired, Completed, InputRequired, Rejected};
        let whole = |content| vec![(content, false, true)];
        let text = |text: &str| Content::Text(text.into());
        let file = || whole(Content::Raw(b"tck".to_vec()));
        let link = Content::Url("https://example.com/output.txt".into());
        let data = Content::Data(json!({ "key": "value", "count": 42 }));
        let chunks = vec![(text("chunk-1 "), false, false), (text("chunk-2"), true, true)];
        let table = [
            ("tck-complete-task", vec![], Completed, "Hello from TCK", 0),
            ("tck-delayed-complete", vec![], Completed, "", 2),
            ("tck-input-required", vec![], InputRequired, "Input is needed", 0),
            ("tck-auth-required", vec![], AuthRequired, "Credentials are needed", 0),
            ("tck-reject-task", vec![], Rejected, "rejected", 0),
            ("tck-artifact-text", whole(text("Generated text content")), Completed, "", 0),
            ("tck-artifact-file", file(), Completed, "", 0),
            ("tck-artifact-file-url", whole(link), Completed, "", 0),
            ("tck-artifact-data", whole(data), Completed, "", 0),
            ("tck-stream-001", whole(text("Stream hello from TCK")), Completed, "", 0),
            ("tck-stream-002", vec![], Completed, "", 0),
            ("tck-stream-003", whole(text("Stream task lifecycle")), Completed, "", 0),
            ("tck-stream-ordering-001", whole(text("Ordered output")), Completed, "", 0),
            ("tck-stream-artifact-text", whole(text("Streamed text content")), Completed, "", 0),
            ("tck-stream-artifact-file", file(), Completed, "", 0),
            ("tck-stream-artifact-chunked", chunks, Completed, "", 0),
            ("test-resubscribe-message-id", vec![], Completed, "", 4),
            ("test-", vec![], InputRequired, "Input is needed", 0),
            ("text-", vec![], InputRequired, "Input is needed", 0),
            ("cancel-test", vec![], InputRequired, "Input is needed", 0),
            ("mapping-test", vec![], InputRequired, "Input is needed", 0),
        ];
        // The one that is not here is answered without a turn.
        assert_eq!(table.len() + 1, ACTS.len());
        for (prefix, made, end, says, seconds) in table {
            let says = if says.is_empty() { vec![] } else { vec![Part::text(says)] };
            assert_eq!(done(&format!("{prefix}-1")).await, (made, end, says, seconds), "{prefix}");
        }
        let direct = Message::of_agent("tck-message-response-1", "words");
        let answer = TestExecutor.answer(&direct, "client").await;
        assert_eq!(answer, Some(vec![Part::text("Direct message response")]));
        let unhandled = vec![Part::text("Unhandled messageId prefix: else")];
        assert_eq!(done("else").await, (vec![], Completed, unhandled, 0));
    }

    #[test]
    fn the_longest_prefix_counts_and_the_id_before_the_text() {
        for (text, expected) in [
            ("tck-artifact-file-1", Act::Make(Thing::File)),
            ("tck-artifact-file-url-1", Act::Make(Thing::Link)),
            ("tck-stream-artifact-file-x", Act::Stream(Some(Thing::File))),
            ("tck-stream-002-x", Act::Stream(None)),
            ("nothing", Act::Unknown),
        ] {
            assert_eq!(
                act(&Message::of_agent(text, "tck-reject-task")),
                match expected {
                    Act::Unknown => Act::Reject,
                    other => other,
                }
            );
            assert_eq!(act(&Message::of_agent("m", text)), expected, "{text}");
        }
    }
}
