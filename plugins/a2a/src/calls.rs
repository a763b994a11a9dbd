//! The calls of A2A, whoever carries them: parameters in, an answer out, in the shapes of either version.

use std::{future::Future, sync::Arc};

use carport_a2a_tasks::Caller;
use carport_a2a_types::{
    A2aError, A2aResult, CancelTask, Configuration, GetTask, Kind, ListTasks, PageOfTasks,
    SendMessage, SendResult, StreamResponse, Task, Version, card::AgentCard, read::read, v03,
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    card::{CardSource, MODES},
    desk::Desk,
};

/// Answers calls.
pub(crate) struct Calls {
    desk: Arc<Desk>,
    card: CardSource,
    check_input_modes: bool,
}

/// What can be asked for without a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Say something.
    Send,
    /// Read a task.
    Get,
    /// List tasks.
    List,
    /// End a task.
    Cancel,
    /// Anything about receivers of changes.
    Push,
    /// The card for known callers.
    ExtendedCard,
}

/// What is answered.
#[derive(Debug)]
pub(crate) enum Answer {
    Sent(SendResult),
    Task(Task),
    Page(PageOfTasks),
    Card(Box<AgentCard>),
}

impl Answer {
    /// In the shape of a version.
    pub(crate) fn shaped(self, version: Version) -> A2aResult<Value> {
        let older = version == Version::V03;
        match self {
            Self::Sent(sent) if older => json(&v03::StreamResponse::of(sent.into(), true)),
            Self::Sent(sent) => json(&StreamResponse::from(sent)),
            Self::Task(task) if older => json(&v03::Task::from(task)),
            Self::Task(task) => json(&task),
            Self::Page(page) if older => json(&PageOfTasks {
                tasks: page.tasks.into_iter().map(v03::Task::from).collect(),
                next_page_token: page.next_page_token,
                page_size: page.page_size,
                total_size: page.total_size,
            }),
            Self::Page(page) => json(&page),
            Self::Card(card) if older => json(&v03::AgentCard::of(*card)),
            Self::Card(card) => json(&card),
        }
    }
}

fn json(value: &impl Serialize) -> A2aResult<Value> {
    serde_json::to_value(value).map_err(A2aError::internal)
}

/// Does it apart from whoever asked: a call that is dropped stops nothing half-way.
async fn apart<T: Send + 'static>(
    work: impl Future<Output = A2aResult<T>> + Send + 'static,
) -> A2aResult<T> {
    let done = tokio::spawn(work).await;
    done.unwrap_or_else(|_| Err(A2aError::internal("the call failed inside")))
}

impl Calls {
    pub(crate) fn new(desk: Arc<Desk>, card: CardSource, check_input_modes: bool) -> Self {
        Self { desk, card, check_input_modes }
    }

    /// Answers a call.
    pub(crate) async fn answer(
        &self,
        operation: Operation,
        version: Version,
        params: Map<String, Value>,
        caller: &Caller,
    ) -> A2aResult<Answer> {
        let params = Value::Object(params);
        match operation {
            Operation::Send => self.send(read(params, version)?, caller).await.map(Answer::Sent),
            Operation::Get => {
                let GetTask { id, history_length } = read(params, version)?;
                let task = self.desk.store().get(caller, &id, None).await?.task;
                Ok(Answer::Task(task.with_history_of(history_length)))
            }
            Operation::List => self.list(&read(params, version)?, caller).await.map(Answer::Page),
            Operation::Cancel => {
                let CancelTask { id, .. } = read(params, version)?;
                let (desk, caller) = (self.desk.clone(), caller.clone());
                let cancelled = apart(async move { desk.cancel(&caller, &id).await });
                cancelled.await.map(Answer::Task)
            }
            Operation::Push => Err(no_push()),
            Operation::ExtendedCard => Ok(Answer::Card(Box::new(self.card.of_connection().await))),
        }
    }

    async fn send(&self, params: SendMessage, caller: &Caller) -> A2aResult<SendResult> {
        let configuration = params.configuration.clone().unwrap_or_default();
        self.check(&params, &configuration)?;
        let Configuration { history_length, return_immediately, .. } = configuration;
        let (desk, who) = (self.desk.clone(), caller.clone());
        let sent = apart(async move { desk.send(&who, params).await }).await?;
        self.desk.result(caller, sent, history_length, return_immediately).await
    }

    /// Whether a message may make or change a task at all.
    fn check(&self, params: &SendMessage, configuration: &Configuration) -> A2aResult<()> {
        if configuration.task_push_notification_config.is_some() {
            return Err(no_push());
        }
        if !self.check_input_modes {
            return Ok(());
        }
        let modes = params.message.parts.iter().filter_map(|it| it.effective_media_type());
        // Parameters such as `charset` are no other type.
        let known = |mode: &&str| {
            let bare = mode.split(';').next().unwrap_or_default().trim();
            MODES.iter().any(|it| it.eq_ignore_ascii_case(bare))
        };
        match modes.into_iter().find(|mode| !known(mode)) {
            None => Ok(()),
            Some(mode) => {
                let shown: String = mode.chars().take(64).collect();
                let why =
                    format!("`{shown}` is not taken; the card says what is: {}", MODES.join(", "));
                Err(A2aError::new(Kind::ContentTypeNotSupported, why))
            }
        }
    }

    async fn list(&self, query: &ListTasks, caller: &Caller) -> A2aResult<PageOfTasks> {
        let mut page = self.desk.store().list(caller, query).await?;
        for task in &mut page.tasks {
            if !query.include_artifacts {
                task.artifacts.clear();
            }
        }
        let shortened = |task: Task| task.with_history_of(query.history_length);
        page.tasks = page.tasks.into_iter().map(shortened).collect();
        Ok(page)
    }
}

fn no_push() -> A2aError {
    A2aError::new(Kind::PushNotSupported, "Push Notification is not supported")
}
