//! A stream that is heard by the service: one task holds its WebSocket.

use std::{sync::Arc, time::Duration};

use carport_core::Guarded;
use carport_voice_api::{Ear, Failure, Heard, Listen, Listener, Word};
use futures_util::{SinkExt, StreamExt};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tokio_tungstenite::tungstenite::Message;

use super::{
    socket::Socket,
    wire::{Told, Utterances, chunk, read},
};
use crate::remote::http::Remote;

/// Orders that may wait to be sent.
const WAITING: usize = 32;
/// Samples of a message: a second.
const MOST_SAMPLES: usize = 16_000;
/// How long after the last final another one may come.
const GRACE: Duration = Duration::from_millis(300);
/// How long the end of a stream without open text is waited for.
const SILENT_END: Duration = Duration::from_secs(3);
/// How long a closing may take.
const CLOSE: Duration = Duration::from_secs(1);

/// What the listener wants of its task.
enum Order {
    Sound(Vec<f32>),
    Commit,
    Finish,
}

/// The stream's side of the connection. Dropping it closes the connection.
pub(super) struct Listening {
    orders: mpsc::Sender<Order>,
    /// What the task ended with; it is told to the ear as well, and may be seen here first.
    failure: Arc<Guarded<Option<Failure>>>,
    gone: Failure,
}

impl Listening {
    /// Starts the task.
    pub(super) fn start(remote: &Remote, socket: Socket, listen: &Listen, ear: Ear) -> Self {
        let (orders, taken) = mpsc::channel(WAITING);
        let failure = Arc::new(Guarded::new(None));
        let task = Task {
            socket,
            ear,
            utterances: Utterances::default(),
            name: remote.name.clone(),
            patience: remote.timeout,
            due: None,
            is_finishing: false,
            context: listen.prompt.clone(),
            language: listen.language.clone(),
            words: listen.words,
            held: None,
        };
        let kept = failure.clone();
        remote.runtime.spawn(async move { task.run(taken, &kept).await });
        Self { orders, failure, gone: remote.failed("is not connected any more") }
    }

    fn order(&self, order: Order) -> Result<(), Failure> {
        self.orders.blocking_send(order).map_err(|_| {
            let failure = self.failure.lock().clone();
            failure.unwrap_or_else(|| self.gone.clone())
        })
    }
}

impl Listener for Listening {
    fn hear(&mut self, samples: &[f32]) -> Result<(), Failure> {
        samples.chunks(MOST_SAMPLES).try_for_each(|it| self.order(Order::Sound(it.to_vec())))
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.order(Order::Commit)
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.order(Order::Finish)
    }
}

/// What holds the connection.
struct Task {
    socket: Socket,
    ear: Ear,
    utterances: Utterances,
    name: String,
    patience: Duration,
    /// When an answer is overdue, or the end is certain.
    due: Option<Instant>,
    is_finishing: bool,
    /// Sent once, with the first sound.
    context: Option<String>,
    language: Option<String>,
    /// Whether each segment comes again with its words.
    words: bool,
    /// A segment whose words are still to come.
    held: Option<String>,
}

/// Whether the connection goes on.
enum Flow {
    On,
    /// Everything was told.
    Ended,
    /// Nobody listens any more.
    Left,
}

impl Task {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>, kept: &Guarded<Option<Failure>>) {
        match self.hold(&mut orders).await {
            Ok(is_told) => {
                if is_told {
                    (self.ear)(Heard::Ended);
                }
            }
            Err(failure) => {
                *kept.lock() = Some(failure.clone());
                (self.ear)(Heard::Failed(failure));
            }
        }
        drop(orders);
        let _ = timeout(CLOSE, self.socket.close(None)).await;
    }

    /// Whether the stream was heard to its end.
    async fn hold(&mut self, orders: &mut mpsc::Receiver<Order>) -> Result<bool, Failure> {
        loop {
            let due = self.due.unwrap_or_else(Instant::now);
            let flow = tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.obey(order).await?,
                    None => Flow::Left,
                },
                message = self.socket.next() => match message {
                    Some(Ok(Message::Text(text))) => self.hear(&text)?,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => self.closed()?,
                    Some(Ok(Message::Binary(_))) => return Err(self.failed("sent bytes where text was due")),
                    Some(Ok(_)) => Flow::On,
                },
                () = sleep_until(due), if self.due.is_some() => self.overdue()?,
            };
            match flow {
                Flow::On => {}
                Flow::Ended => return Ok(true),
                Flow::Left => return Ok(false),
            }
        }
    }

    async fn obey(&mut self, order: Order) -> Result<Flow, Failure> {
        match order {
            Order::Sound(samples) => {
                let message = chunk(&samples, false, self.context.take().as_deref());
                self.utterances.sent(samples.len());
                self.send(message).await?;
            }
            Order::Commit => {
                if self.utterances.commit() {
                    self.send(chunk(&[], true, None)).await?;
                    // Whether there is anything to hear is not known if there is no text yet.
                    if self.utterances.is_open() {
                        self.due = Some(Instant::now() + self.patience);
                    }
                }
            }
            Order::Finish => {
                self.is_finishing = true;
                if self.utterances.commit() {
                    self.send(chunk(&[], true, None)).await?;
                }
                let wait = match self.utterances.is_open() {
                    true => self.patience,
                    false => self.patience.min(SILENT_END),
                };
                self.due = Some(Instant::now() + wait);
            }
        }
        Ok(Flow::On)
    }

    async fn send(&mut self, message: String) -> Result<(), Failure> {
        match timeout(self.patience, self.socket.send(Message::text(message))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(self.last_words().await),
            Err(_) => Err(self.failed("takes no sound any more")),
        }
    }

    /// Why the connection was closed, if the service said so before.
    async fn last_words(&mut self) -> Failure {
        while let Ok(Some(Ok(message))) = timeout(CLOSE, self.socket.next()).await {
            if let Message::Text(text) = message
                && let Some(Told::Failed(kind, why)) = read(&text)
            {
                return Failure { kind, ..self.failed(why) };
            }
        }
        self.failed("closed the connection")
    }

    fn hear(&mut self, text: &str) -> Result<Flow, Failure> {
        let told = read(text);
        if !matches!(told, Some(Told::Timed(..))) {
            self.tell_held();
        }
        match told {
            None => return Err(self.failed("said something that is not of its format")),
            Some(Told::Failed(kind, why)) => {
                return Err(Failure { kind, ..self.failed(why) });
            }
            Some(Told::Nothing) if self.is_finishing => return Ok(Flow::Ended),
            Some(Told::Nothing) => self.due = None,
            Some(Told::Started | Told::Other) => {}
            Some(Told::Partial(text)) => {
                if let Some(heard) = self.utterances.partial(text) {
                    (self.ear)(heard);
                }
            }
            Some(Told::Committed(text)) if self.words => {
                self.held = Some(text);
                self.due = Some(Instant::now() + GRACE);
            }
            Some(Told::Committed(text)) => self.last(text, Vec::new()),
            Some(Told::Timed(text, words)) => {
                // One that comes after it was told without words says nothing new.
                if self.held.take().is_some() {
                    self.last(text, words);
                }
            }
        }
        Ok(Flow::On)
    }

    fn last(&mut self, text: String, words: Vec<Word>) {
        // A segment that the service ended by itself may come before the one that it was told to end.
        self.due = self.is_finishing.then(|| Instant::now() + GRACE);
        if let Some(heard) = self.utterances.last(text, self.language.clone(), words) {
            (self.ear)(heard);
        }
    }

    /// A segment whose words did not come is told without them; whether there was one.
    fn tell_held(&mut self) -> bool {
        let held = self.held.take();
        held.map(|text| self.last(text, Vec::new())).is_some()
    }

    fn closed(&mut self) -> Result<Flow, Failure> {
        self.tell_held();
        match self.is_finishing && !self.utterances.is_open() {
            true => Ok(Flow::Ended),
            false => Err(self.failed("closed the connection")),
        }
    }

    fn overdue(&mut self) -> Result<Flow, Failure> {
        if self.tell_held() {
            return Ok(Flow::On);
        }
        match self.is_finishing && !self.utterances.is_open() {
            true => Ok(Flow::Ended),
            false => Err(self.failed("did not tell what it heard")),
        }
    }

    fn failed(&self, why: &str) -> Failure {
        let message = format!("provider `{}` {why}", self.name);
        Failure::new(carport_voice_api::FailureKind::Failed, message)
    }
}
