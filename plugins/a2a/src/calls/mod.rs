//! The calls of A2A, whoever carries them: parameters in, an answer out, in the shapes of either version.

mod receivers;

use std::{future::Future, sync::Arc};

use carport_a2a_tasks::{Caller, PushEntry};
use carport_a2a_types::{
    A2aError, A2aResult, CancelTask, Configuration, GetTask, Kind, ListTasks, Message,
    PageOfPushConfigs, PageOfTasks, PushConfig, SendMessage, SendResult, StreamResponse,
    SubscribeToTask, Task, Version, VersionRules, card::AgentCard, read::read, v03,
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    Config,
    card::CardSource,
    desk::{Desk, Follow, Sent},
    http::Place,
};

/// Answers calls.
pub(crate) struct Calls {
    desk: Arc<Desk>,
    card: CardSource,
    config: Config,
}

/// What can be asked for.
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
    /// Something about receivers of changes.
    Push(Push),
    /// The card for known callers.
    ExtendedCard,
    /// Say something, and hear of each change.
    SendStreaming,
    /// Hear of each change of a task.
    Subscribe,
}

impl Operation {
    /// That of a method, in either spelling.
    pub(crate) fn of(method: &str) -> Option<Self> {
        Some(match method {
            "SendMessage" | "message/send" => Self::Send,
            "GetTask" | "tasks/get" => Self::Get,
            "ListTasks" | "tasks/list" => Self::List,
            "CancelTask" | "tasks/cancel" => Self::Cancel,
            "CreateTaskPushNotificationConfig" | "tasks/pushNotificationConfig/set" => {
                Self::Push(Push::Create)
            }
            "GetTaskPushNotificationConfig" | "tasks/pushNotificationConfig/get" => {
                Self::Push(Push::Get)
            }
            "ListTaskPushNotificationConfigs" | "tasks/pushNotificationConfig/list" => {
                Self::Push(Push::List)
            }
            "DeleteTaskPushNotificationConfig" | "tasks/pushNotificationConfig/delete" => {
                Self::Push(Push::Delete)
            }
            "GetExtendedAgentCard" | "agent/getAuthenticatedExtendedCard" => Self::ExtendedCard,
            "SendStreamingMessage" | "message/stream" => Self::SendStreaming,
            "SubscribeToTask" | "tasks/resubscribe" => Self::Subscribe,
            _ => return None,
        })
    }

    /// Whether it is answered with a stream.
    pub(crate) const fn streams(self) -> bool {
        matches!(self, Self::SendStreaming | Self::Subscribe)
    }
}

/// What can be asked about receivers of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Push {
    /// Add one.
    Create,
    /// Read one.
    Get,
    /// List them.
    List,
    /// Forget one.
    Delete,
}

/// What a call comes over.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Over<'a> {
    /// A listener.
    Listener(&'a Place),
    /// The daemon's own connection, beside a listener if one runs.
    Connection {
        /// That listener.
        listener: Option<&'a Place>,
    },
}

/// A stream that is to be told.
pub(crate) enum Streamed {
    /// One message and no more.
    Message(Box<Message>),
    /// A task and its changes.
    Follow(Box<Follow>),
}

/// What is answered.
#[derive(Debug)]
pub(crate) enum Answer {
    Sent(SendResult),
    Task(Task),
    Page(PageOfTasks),
    Card(Box<AgentCard>),
    Receiver(PushConfig),
    Receivers(PageOfPushConfigs),
    Nothing,
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
            Self::Receiver(config) if older => json(&v03::TaskPushConfig::from(config)),
            Self::Receiver(config) => json(&config),
            Self::Receivers(page) if older => {
                let configs = page.configs.into_iter().map(v03::TaskPushConfig::from);
                json(&configs.collect::<Vec<_>>())
            }
            Self::Receivers(page) => json(&page),
            Self::Nothing => Ok(Value::Null),
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
    pub(crate) fn new(desk: Arc<Desk>, card: CardSource, config: Config) -> Self {
        Self { desk, card, config }
    }

    /// How many tasks there are for the caller.
    pub(crate) fn task_count(&self, caller: &Caller) -> usize {
        self.desk.store().count(caller)
    }

    /// Whether pages of an origin may call the listener.
    pub(crate) fn allows_origin(&self, origin: Option<&str>) -> bool {
        origin.is_some_and(|origin| self.config.allowed_origins.iter().any(|it| it == origin))
    }

    /// What the header of the version must say.
    pub(crate) fn version_rules(&self) -> VersionRules {
        VersionRules { require: self.config.require_version }
    }

    /// The public card of a listener.
    pub(crate) fn card_of(&self, place: &Place) -> AgentCard {
        self.card.of_listener(place)
    }

    /// Whether the listener also answers by the REST binding.
    pub(crate) fn has_rest(&self) -> bool {
        self.config.rest
    }

    /// Whether the public card has the members of both versions.
    pub(crate) fn shows_both(&self) -> bool {
        self.config.v03_card
    }

    /// Whether a call names the extensions that are required.
    ///
    /// # Errors
    /// Extension support required: it lacks one.
    pub(crate) fn check_extensions(&self, named: &str) -> A2aResult<()> {
        let named: Vec<_> = named.split(',').map(str::trim).collect();
        match self.card.required_extensions().find(|uri| !named.contains(uri)) {
            None => Ok(()),
            Some(uri) => {
                let why = format!("Extension support required: name `{uri}` in `A2A-Extensions`");
                Err(A2aError::new(Kind::ExtensionSupportRequired, why).with("extension", uri))
            }
        }
    }

    /// Begins a stream.
    ///
    /// # Errors
    /// Everything that fails before the first event.
    pub(crate) async fn stream(
        &self,
        operation: Operation,
        version: Version,
        params: Map<String, Value>,
        caller: &Caller,
        after: Option<u64>,
        place: &Place,
    ) -> A2aResult<Streamed> {
        if !self.config.streaming {
            return Err(unsupported("streams are not declared on the card"));
        }
        let params = Value::Object(params);
        if operation == Operation::Subscribe {
            let SubscribeToTask { id } = read(params, version)?;
            let follow = self.desk.follow_task(caller, &id, after).await?;
            return Ok(Streamed::Follow(Box::new(follow)));
        }
        let (sent, configuration) = self.send(params, version, caller, Some(place)).await?;
        match sent {
            Sent::Message(message) => Ok(Streamed::Message(Box::new(message))),
            Sent::Turn(begun) => {
                let mut begun = *begun;
                begun.fold.task = begun.fold.task.with_history_of(configuration.history_length);
                Ok(Streamed::Follow(Box::new(self.desk.follow_turn(caller, begun))))
            }
        }
    }

    /// Answers a call.
    pub(crate) async fn answer(
        &self,
        operation: Operation,
        version: Version,
        params: Map<String, Value>,
        caller: &Caller,
        over: Over<'_>,
    ) -> A2aResult<Answer> {
        let params = Value::Object(params);
        match operation {
            Operation::Send => {
                let place = match over {
                    Over::Listener(place) => Some(place),
                    Over::Connection { .. } => None,
                };
                let (sent, how) = self.send(params, version, caller, place).await?;
                let Configuration { history_length, return_immediately, .. } = how;
                let result = self.desk.result(caller, sent, history_length, return_immediately);
                result.await.map(Answer::Sent)
            }
            Operation::Get => {
                let GetTask { id, history_length } = read(params, version)?;
                let task = self.desk.store().get(caller, &id, None).await?.task;
                Ok(Answer::Task(task.with_history_of(history_length)))
            }
            Operation::List => {
                let query: ListTasks = read(params, version)?;
                Ok(Answer::Page(self.desk.store().list(caller, &query).await?))
            }
            Operation::Cancel => {
                let CancelTask { id, .. } = read(params, version)?;
                let (desk, caller) = (self.desk.clone(), caller.clone());
                let cancelled = apart(async move { desk.cancel(&caller, &id).await });
                cancelled.await.map(Answer::Task)
            }
            Operation::Push(push) => {
                receivers::answer(&self.desk, push, version, params, caller).await
            }
            Operation::ExtendedCard => {
                let card = match over {
                    Over::Connection { listener: None } => self.card.of_connection().await,
                    Over::Connection { listener: Some(place) } => self.card.extended(place),
                    Over::Listener(place) if self.card.shows_extended(place) => {
                        self.card.extended(place)
                    }
                    Over::Listener(_) => {
                        return Err(unsupported("the extended card is not declared"));
                    }
                };
                Ok(Answer::Card(Box::new(card)))
            }
            Operation::SendStreaming | Operation::Subscribe => {
                Err(unsupported("it is answered with a stream"))
            }
        }
    }

    /// Takes a message; how it is to be answered goes along.
    async fn send(
        &self,
        params: Value,
        version: Version,
        caller: &Caller,
        place: Option<&Place>,
    ) -> A2aResult<(Sent, Configuration)> {
        let params: SendMessage = read(params, version)?;
        let configuration = params.configuration.clone().unwrap_or_default();
        let receiver = self.check(&params, &configuration, version)?;
        let (desk, who) = (self.desk.clone(), caller.clone());
        let by = place.and_then(Place::executor);
        let sent = apart(async move { desk.send(&who, params, receiver, by).await }).await?;
        Ok((sent, configuration))
    }

    /// Whether a message may make or change a task at all; the receiver that it names.
    fn check(
        &self,
        params: &SendMessage,
        configuration: &Configuration,
        version: Version,
    ) -> A2aResult<Option<PushEntry>> {
        self.check_modes(params)?;
        let receiver = configuration.task_push_notification_config.clone();
        receiver.map(|config| self.desk.receiver(config, version)).transpose()
    }

    /// Whether every part is of a media type that the card names.
    fn check_modes(&self, params: &SendMessage) -> A2aResult<()> {
        if !self.config.check_input_modes {
            return Ok(());
        }
        let modes = params.message.parts.iter().filter_map(|it| it.effective_media_type());
        let taken = self.card.takes();
        // Parameters such as `charset` are no other type.
        let known = |mode: &&str| {
            let bare = mode.split(';').next().unwrap_or_default().trim();
            taken.iter().any(|it| it.eq_ignore_ascii_case(bare))
        };
        match modes.into_iter().find(|mode| !known(mode)) {
            None => Ok(()),
            Some(mode) => {
                let shown: String = mode.chars().take(64).collect();
                let why =
                    format!("`{shown}` is not taken; the card says what is: {}", taken.join(", "));
                Err(A2aError::new(Kind::ContentTypeNotSupported, why))
            }
        }
    }
}

fn unsupported(why: &str) -> A2aError {
    A2aError::new(Kind::UnsupportedOperation, format!("This operation is not supported: {why}"))
}
