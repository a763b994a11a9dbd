//! `carport a2a tasks`: tasks of this daemon, or of an agent elsewhere.

use std::{pin::pin, time::Duration};

use carport_a2a_outbound::Ask;
use carport_a2a_types::{
    ListTasks, Message, PageOfTasks, Role, SendResult, StreamResponse, Task, TaskState, read::Read,
};
use clap::{Subcommand, builder::PossibleValuesParser};
use secrecy::SecretString;
use tokio::time::sleep;

use super::{
    place::{Place, TokenFrom},
    tell::{Teller, text_of, tone},
};
use crate::{
    client::{
        a2a::{self, Agent},
        interrupt::interrupted,
        link::Link,
    },
    exit::Exit,
    output::{Cell, Output, Table, Tone, count, cut, one_line},
};

/// How often a task of this daemon is looked at: its own connection carries no streams.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Characters of what is said on a line of a table.
const SAID: usize = 60;

/// Which tasks.
#[derive(Debug, clap::Args)]
pub(super) struct Tasks {
    #[command(subcommand)]
    what: What,
    /// Tasks of this agent: its URL, or a peer by its name (default: this daemon's)
    #[arg(long, global = true, value_name = "URL|PEER")]
    at: Option<String>,
    #[command(flatten)]
    token: TokenFrom,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List tasks, the one whose status is newest first
    List {
        /// Only those of this conversation
        #[arg(long, value_name = "ID")]
        context: Option<String>,
        /// Only those in this state
        #[arg(long, value_parser = states())]
        state: Option<String>,
        /// So many at most
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// Show a task: what was said, what it made and how it stands
    Show {
        /// The task
        id: String,
    },
    /// End tasks, and what they do
    Cancel {
        /// The tasks
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Print what comes of a task as it comes, until it has ended
    Follow {
        /// The task
        id: String,
    },
}

/// The words of v0.3, which are shorter.
fn states() -> PossibleValuesParser {
    let all = TaskState::ALL.into_iter().filter(|it| *it != TaskState::Unspecified);
    PossibleValuesParser::new(all.map(TaskState::v03))
}

impl Tasks {
    /// The token that is shown to the agent.
    pub(super) fn token(&self) -> Result<Option<SecretString>, Exit> {
        self.token.read()
    }
}

/// Who is asked.
enum Asked<'a> {
    Here(&'a Link),
    There(Agent),
}

impl Asked<'_> {
    async fn ask<T: Read>(&self, ask: &Ask<'_>) -> Result<T, Exit> {
        match self {
            Self::Here(link) => a2a::ask(link, ask).await,
            Self::There(agent) => Ok(agent.call(ask).await?),
        }
    }
}

pub(super) async fn run(
    args: &Tasks,
    token: Option<SecretString>,
    link: &Link,
    output: Output,
) -> Result<(), Exit> {
    let asked = match Place::find(args.at.as_deref().unwrap_or("."), link).await? {
        Place::Here => Asked::Here(link),
        Place::There(url) => Asked::There(Agent::find(&url, token.as_ref()).await?),
    };
    match &args.what {
        What::List { context, state, limit } => {
            let query = ListTasks {
                context_id: context.clone(),
                status: state.as_deref().and_then(TaskState::of),
                history_length: Some(0),
                ..ListTasks::default()
            };
            list(query, *limit, &asked, output).await
        }
        What::Show { id } => {
            let task: Task = asked.ask(&Ask::Get(id)).await?;
            match output.is_json() {
                true => output.document(&task),
                false => lines(&task).iter().try_for_each(|line| output.line(line)),
            }
        }
        What::Cancel { ids } => {
            for id in ids {
                let task: Task = asked.ask(&Ask::Cancel(id)).await?;
                match output.is_json() {
                    true => output.object(&task)?,
                    false => output.line(format_args!("{}: cancelled", one_line(&task.id)))?,
                }
            }
            Ok(())
        }
        What::Follow { id } => tokio::select! {
            ended = follow(id, &asked, output) => ended,
            exit = interrupted() => Err(exit),
        },
    }
}

async fn list(
    mut query: ListTasks,
    limit: u32,
    asked: &Asked<'_>,
    output: Output,
) -> Result<(), Exit> {
    let limit = limit as usize;
    let mut tasks: Vec<Task> = Vec::new();
    let more = loop {
        let left = u32::try_from(limit - tasks.len()).unwrap_or(u32::MAX);
        query.page_size = left.min(ListTasks::MAX_PAGE_SIZE);
        let page: PageOfTasks = asked.ask(&Ask::List(&query)).await?;
        let is_end = page.tasks.is_empty() || page.next_page_token.is_empty();
        tasks.extend(page.tasks);
        query.page_token = Some(page.next_page_token);
        if is_end || tasks.len() >= limit {
            break !is_end;
        }
    };
    tasks.truncate(limit);
    if output.is_json() {
        return output.document(&tasks);
    }
    output.table(&table(&tasks), "no tasks; `carport a2a send . TEXT` makes one")?;
    if more {
        let shown = count(limit, "task");
        output.note(format_args!("the newest {shown}; `--limit` shows more"));
    }
    Ok(())
}

fn table(tasks: &[Task]) -> Table {
    let mut table = Table::new(["task", "state", "since", "context", "says"]);
    for task in tasks {
        let state = task.status.state;
        let said = task.status.message.as_ref().map(text_of).unwrap_or_default().join(" ");
        let since = task.status.timestamp.map(|it| it.to_string());
        table.row([
            Cell::new(&task.id).tone(Tone::Name),
            Cell::new(state.v03()).tone(tone(state)),
            Cell::new(since.unwrap_or_default()),
            Cell::new(&task.context_id),
            Cell::new(cut(&said, SAID)),
        ]);
    }
    table
}

/// A task whole: what was said, then what it made and how it stands.
fn lines(task: &Task) -> Vec<String> {
    let mut teller = Teller::default();
    let mut lines = teller.hear(&StreamResponse::Task(task.clone()));
    let now = task.status.message.as_ref().map(|it| &it.message_id);
    let said = task.history.iter().filter(|it| Some(&it.message_id) != now).flat_map(|message| {
        let who = if message.role == Role::User { "user" } else { "agent" };
        let label = Tone::Faint.paint(who);
        text_of(message).into_iter().map(move |line| format!("{label}  {line}"))
    });
    lines.splice(1..1, said.collect::<Vec<_>>());
    lines
}

async fn follow(id: &str, asked: &Asked<'_>, output: Output) -> Result<(), Exit> {
    let teller = match asked {
        Asked::There(agent) => told(agent, &Ask::Follow { id, after: None }, output).await?,
        Asked::Here(link) => {
            let task = a2a::ask(link, &Ask::Get(id)).await?;
            let mut teller = Teller::default();
            poll(link, task, &mut teller, TaskState::is_terminal, output).await?;
            teller
        }
    };
    teller.outcome()
}

/// Tells what comes of a task of this daemon until it is in a state that ends it.
pub(super) async fn poll(
    link: &Link,
    mut task: Task,
    teller: &mut Teller,
    ends: fn(TaskState) -> bool,
    output: Output,
) -> Result<(), Exit> {
    let mut before = None;
    loop {
        let (id, is_over) = (task.id.clone(), ends(task.status.state));
        look(task, &mut before, teller, output)?;
        if is_over {
            return Ok(());
        }
        sleep(LOOK_EVERY).await;
        task = a2a::ask(link, &Ask::Get(&id)).await?;
    }
}

/// Goes on with a task of this daemon, and tells what comes of it until the message is answered: until then its
/// state may be that of the turn before.
pub(super) async fn go_on(
    link: &Link,
    message: &Message,
    id: &str,
    teller: &mut Teller,
    output: Output,
) -> Result<SendResult, Exit> {
    let ask = Ask::Send { message, wait: true };
    let mut sent = pin!(a2a::ask(link, &ask));
    let mut before = None;
    loop {
        tokio::select! {
            sent = &mut sent => return sent,
            () = sleep(LOOK_EVERY) => {}
        }
        look(a2a::ask(link, &Ask::Get(id)).await?, &mut before, teller, output)?;
    }
}

/// Tells a look at a task, unless it is what the look before saw.
fn look(
    task: Task,
    before: &mut Option<Task>,
    teller: &mut Teller,
    output: Output,
) -> Result<(), Exit> {
    if before.as_ref() != Some(&task) {
        tell(teller, &StreamResponse::Task(task.clone()), output)?;
        *before = Some(task);
    }
    Ok(())
}

/// Tells what comes on a stream of an agent until it ends.
pub(super) async fn told(agent: &Agent, ask: &Ask<'_>, output: Output) -> Result<Teller, Exit> {
    let mut teller = Teller::default();
    agent.stream(ask, |event| tell(&mut teller, &event, output)).await?;
    Ok(teller)
}

fn tell(teller: &mut Teller, event: &StreamResponse, output: Output) -> Result<(), Exit> {
    let lines = teller.hear(event);
    match output.is_json() {
        true => output.object(event),
        false => lines.iter().try_for_each(|line| output.line(line)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn task(value: Value) -> Task {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_task_reads_from_what_was_asked_to_what_came_of_it() {
        let said = |id: &str, role: &str| json!({ "messageId": id, "role": role, "parts": [{ "text": id }] });
        let task = task(json!({
            "id": "t", "contextId": "c",
            "status": { "state": "TASK_STATE_COMPLETED", "message": said("done", "ROLE_AGENT") },
            "artifacts": [{ "artifactId": "a0", "parts": [{ "text": "made" }] }],
            "history": [said("please", "ROLE_USER"), said("hm", "ROLE_AGENT"), said("done", "ROLE_AGENT")],
        }));
        let plain = anstream::adapter::strip_str(&lines(&task).join("\n")).to_string();
        assert_eq!(
            plain,
            "task t  context c\nuser  please\nagent  hm\nartifact a0  made\ncompleted  done"
        );
    }

    #[test]
    fn every_state_can_be_asked_for_by_its_short_word() {
        for state in TaskState::ALL {
            assert_eq!(TaskState::of(state.v03()), Some(state));
        }
    }
}
