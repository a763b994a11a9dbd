//! A plugin whose methods do one thing each, for the tests.

use std::{sync::Arc, time::Duration};

use carport_core::{
    Access, Approvals, Caller, ClientRequest, Guarded, Method, NewApproval, Notification, Owner,
    Plugin, Result, RpcError, Session, StartContext, Subscribers, bounds,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

carport_core::plugin!(Lab {
    methods: [
        Echo, Panic, Never, Gated, Own, Ask, Listen, Ring, Bounded, Broken, Big, Missing, Turn,
        Sum, Patient, AskNamed, Raise,
    ],
    notifications: [Rang],
    client_requests: [Question, NamedQuestion],
});

pub(crate) struct Lab {
    approvals: Arc<dyn Approvals>,
    pub(crate) listeners: Subscribers<u32>,
    pub(crate) rings: Guarded<u32>,
    pub(crate) seen: Arc<Guarded<Vec<String>>>,
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LabConfig {
    /// Whether start fails.
    pub(crate) fail: bool,
}

impl Plugin for Lab {
    const ID: &'static str = "lab";
    const BINARY: &'static [u8] = &[0x77];
    type Config = LabConfig;

    async fn start(cx: &mut StartContext<'_>) -> Result<Self> {
        let config: LabConfig = cx.config()?;
        match config.fail {
            true => Err(RpcError::internal("the lab is closed")),
            false => Ok(Self {
                approvals: cx.approvals(),
                listeners: Subscribers::default(),
                rings: Guarded::default(),
                seen: Arc::default(),
            }),
        }
    }

    fn binary_frame(&self, session: &Arc<Session>, frame: carport_core::Bytes) {
        session.notify(&Rang { number: u32::from(frame[26]) });
    }
}

/// Says back what it was told.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Echo {
    pub(crate) say: Value,
}

impl Method for Echo {
    const NAME: &'static str = "lab.echo";
    const ALIASES: &'static [&'static str] = &["lab.repeat"];
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Lab;
    type Reply = Value;
    async fn run(self, _: &Lab, _: &Caller) -> Result<Value> {
        Ok(self.say)
    }
}

/// Panics, at once or after a pause.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Panic {
    pub(crate) late: bool,
}

impl Method for Panic {
    const NAME: &'static str = "lab.panic";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Lab;
    type Reply = ();
    async fn run(self, _: &Lab, _: &Caller) -> Result<()> {
        if self.late {
            tokio::task::yield_now().await;
        }
        panic!("a secret of the lab")
    }
}

/// Panics before it runs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Broken {}

impl Method for Broken {
    const NAME: &'static str = "lab.broken";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Lab;
    type Reply = ();
    fn validate(&self) -> Result<()> {
        panic!("while validating")
    }
    async fn run(self, _: &Lab, _: &Caller) -> Result<()> {
        Ok(())
    }
}

/// Never ends by itself; says when it is dropped.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Never {}

impl Method for Never {
    const NAME: &'static str = "lab.never";
    const ACCESS: Access = Access::Authenticated;
    const DEADLINE: Option<Duration> = Some(Duration::from_secs(40));
    type Plugin = Lab;
    type Reply = ();
    async fn run(self, lab: &Lab, _: &Caller) -> Result<()> {
        lab.seen.lock().push("never started".into());
        std::future::pending().await
    }
}

/// Does something risky.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Gated {
    pub(crate) word: String,
    pub(crate) password: Option<String>,
}

impl Method for Gated {
    const NAME: &'static str = "lab.gated";
    const ACCESS: Access = Access::Authenticated;
    const NEEDS_APPROVAL: bool = true;
    type Plugin = Lab;
    type Reply = String;
    async fn run(self, lab: &Lab, _: &Caller) -> Result<String> {
        lab.seen.lock().push(format!("did {}", self.word));
        Ok(self.word)
    }
}

/// Touches what belongs to an agent.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Own {
    pub(crate) thing: String,
}

impl Method for Own {
    const NAME: &'static str = "lab.own";
    const ACCESS: Access = Access::AgentOwner;
    type Plugin = Lab;
    type Reply = String;
    fn owner(&self, _: &Lab) -> Owner {
        match self.thing.as_str() {
            "nobody's" => Owner::Nobody,
            "unknown" => Owner::Unknown,
            owner => Owner::Agent(owner.into()),
        }
    }
    async fn run(self, _: &Lab, _: &Caller) -> Result<String> {
        Ok(self.thing)
    }
}

/// Asks the client itself.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Ask {}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Question {
    pub(crate) what: String,
}

impl ClientRequest for Question {
    const NAME: &'static str = "lab.question";
    type Reply = u32;
}

impl Method for Ask {
    const NAME: &'static str = "lab.ask";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Lab;
    type Reply = u32;
    async fn run(self, _: &Lab, caller: &Caller) -> Result<u32> {
        let question = Question { what: "how many?".into() };
        caller.session().request(&question, Duration::from_secs(5)).await
    }
}

/// Listens to a bell.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Listen {
    pub(crate) bell: u32,
    /// Rings once more before the reply leaves.
    pub(crate) ring: bool,
}

impl Method for Listen {
    const NAME: &'static str = "lab.listen";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Lab;
    type Reply = u32;
    async fn run(self, lab: &Lab, caller: &Caller) -> Result<u32> {
        let snapshot = {
            let rings = lab.rings.lock();
            lab.listeners.subscribe(self.bell, caller)?;
            *rings
        };
        if self.ring {
            lab.ring(self.bell);
            tokio::task::yield_now().await;
        }
        Ok(snapshot)
    }
}

/// Rings a bell.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Ring {
    pub(crate) bell: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Rang {
    pub(crate) number: u32,
}

impl Notification for Rang {
    const NAME: &'static str = "lab.rang";
}

impl Lab {
    fn ring(&self, bell: u32) -> u32 {
        let mut rings = self.rings.lock();
        *rings += 1;
        self.listeners.notify(&bell, &Rang { number: *rings });
        *rings
    }
}

impl Method for Ring {
    const NAME: &'static str = "lab.ring";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Lab;
    type Reply = u32;
    async fn run(self, lab: &Lab, _: &Caller) -> Result<u32> {
        Ok(lab.ring(self.bell))
    }
}

/// Takes a short word.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Bounded {
    #[schemars(length(min = 1, max = 4))]
    pub(crate) word: String,
}

impl Method for Bounded {
    const NAME: &'static str = "lab.bounded";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Lab;
    type Reply = ();
    fn validate(&self) -> Result<()> {
        bounds::bytes("word", &self.word, 1..=4)
    }
    async fn run(self, _: &Lab, _: &Caller) -> Result<()> {
        Ok(())
    }
}

/// Answers so many bytes.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Big {
    pub(crate) bytes: usize,
}

impl Method for Big {
    const NAME: &'static str = "lab.big";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Lab;
    type Reply = String;
    async fn run(self, _: &Lab, _: &Caller) -> Result<String> {
        Ok("x".repeat(self.bytes))
    }
}

/// Cannot work on this machine, and would need approval if it could.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Missing {}

impl Method for Missing {
    const NAME: &'static str = "lab.missing";
    const ACCESS: Access = Access::Authenticated;
    const NEEDS_APPROVAL: bool = true;
    type Plugin = Lab;
    type Reply = ();
    fn available(_: &Lab) -> Result<()> {
        Err(RpcError::unavailable("microscope", "attach a microscope"))
    }
    async fn run(self, _: &Lab, _: &Caller) -> Result<()> {
        Ok(())
    }
}

/// Takes its turn before the next frame is read.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Turn {
    pub(crate) word: String,
}

impl Method for Turn {
    const NAME: &'static str = "lab.turn";
    const ACCESS: Access = Access::Authenticated;
    const ORDERED: bool = true;
    type Plugin = Lab;
    type Reply = Vec<String>;
    async fn run(self, lab: &Lab, _: &Caller) -> Result<Vec<String>> {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        let mut seen = lab.seen.lock();
        seen.push(self.word);
        Ok(seen.clone())
    }
}

/// Adds numbers; its parameters are an array.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Sum(pub(crate) Vec<u32>);

impl Method for Sum {
    const NAME: &'static str = "lab.sum";
    const ACCESS: Access = Access::Authenticated;
    const TAKES_ARRAY: bool = true;
    type Plugin = Lab;
    type Reply = u32;
    async fn run(self, _: &Lab, _: &Caller) -> Result<u32> {
        Ok(self.0.iter().sum())
    }
}

/// Never ends, and asks for its own deadline.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Patient {
    pub(crate) secs: u64,
}

impl Method for Patient {
    const NAME: &'static str = "lab.patient";
    const ACCESS: Access = Access::Authenticated;
    const DEADLINE: Option<Duration> = Some(Duration::from_secs(40));
    type Plugin = Lab;
    type Reply = ();
    fn deadline(&self, _: &Lab, _: &Caller, set: Duration) -> Duration {
        set.max(Duration::from_secs(self.secs))
    }
    async fn run(self, _: &Lab, _: &Caller) -> Result<()> {
        std::future::pending().await
    }
}

/// Asks the client with a request that names itself; gives up after a second.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct AskNamed {}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct NamedQuestion {
    pub(crate) request_id: String,
}

impl ClientRequest for NamedQuestion {
    const NAME: &'static str = "lab.named_question";
    type Reply = u32;
}

impl Method for AskNamed {
    const NAME: &'static str = "lab.ask_named";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Lab;
    type Reply = String;
    async fn run(self, _: &Lab, caller: &Caller) -> Result<String> {
        let request = caller.session().open_request().await?;
        request.send(&NamedQuestion { request_id: request.id() }).await;
        let answer = request.answer::<NamedQuestion>();
        Ok(match tokio::time::timeout(Duration::from_secs(1), answer).await {
            Err(_) => "silence".into(),
            Ok(Err(gone)) => format!("gone: {gone}"),
            Ok(Ok(Err(own))) => format!("own: {}", own.message),
            Ok(Ok(Ok(number))) => format!("answer: {number}"),
        })
    }
}

/// Raises a row for people to decide.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Raise {
    pub(crate) title: String,
    /// What hangs on the decision cannot be done.
    pub(crate) broken: bool,
}

impl Method for Raise {
    const NAME: &'static str = "lab.raise";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Lab;
    type Reply = String;
    async fn run(self, lab: &Lab, caller: &Caller) -> Result<String> {
        let seen = lab.seen.clone();
        let broken = self.broken;
        let new = NewApproval {
            action: "lab.experiment".into(),
            title: self.title,
            description: None,
            agent_id: None,
            context: serde_json::json!({ "token": "hunter2" }),
            expires_in: Duration::from_secs(60),
            when_over: Arc::new(move |decision| {
                let seen = seen.clone();
                let word = match &decision {
                    Some(it) if it.approved => "approved",
                    Some(_) => "denied",
                    None => "over",
                };
                seen.lock().push(word.into());
                Box::pin(async move {
                    tokio::task::yield_now().await;
                    seen.lock().push(format!("{word}, and done"));
                    if broken { Err(RpcError::internal("it broke")) } else { Ok(()) }
                })
            }),
        };
        lab.approvals.raise("lab", caller.session(), new)
    }
}
