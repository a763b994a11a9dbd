//! An executor that does what conformance tests of A2A ask for by the prefix of a message's id.

use std::time::Duration;

use async_trait::async_trait;
use carport_a2a_api::{End, Ending, Executor, Over, Turn, Updates};
use carport_a2a_types::{Artifact, Content, Message, Part};
use serde_json::json;
use tokio::time::sleep;

/// How long the task works that is to be subscribed to.
const LONG: Duration = Duration::from_secs(4);

/// See the module.
pub(crate) struct TestExecutor;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Complete,
    Answer,
    AskForInput,
    Reject,
    Make(Thing),
    /// Says that it works, makes a thing and ends.
    Stream(Option<Thing>),
    Chunks,
    WorkLong,
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

/// Prefixes and what they stand for.
const ACTS: [(&str, Act); 16] = [
    ("tck-complete-task", Act::Complete),
    ("tck-message-response", Act::Answer),
    ("tck-input-required", Act::AskForInput),
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
    ("test-resubscribe-message-id", Act::WorkLong),
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
            Act::Reject => return Ending::saying(End::Rejected, "rejected"),
            Act::Make(thing) | Act::Stream(Some(thing)) => make(thing, updates).await,
            Act::Stream(None) => Ok(()),
            Act::Chunks => chunks(updates).await,
            Act::WorkLong => {
                sleep(LONG).await;
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
    use super::*;

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
