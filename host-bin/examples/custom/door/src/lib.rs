//! A door that opens once a person agrees, and says so to whoever watches it.

use carport_core::{
    Access, Caller, Method, Notification, Plugin, Result, StartContext, Subscribers, bounds,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

carport_core::plugin!(Door { methods: [Open, Watch], notifications: [Opened] });

/// Who watches the door.
pub struct Door(Subscribers<()>);

impl Plugin for Door {
    const ID: &'static str = "door";
    type Config = ();
    async fn start(_: &mut StartContext<'_>) -> Result<Self> {
        Ok(Self(Subscribers::default()))
    }
}

/// Opens the door for a visitor, if a person agrees.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Open {
    /// Who is to come in.
    #[schemars(length(min = 1, max = 64))]
    pub visitor: String,
}

impl Method for Open {
    const NAME: &'static str = "door.open";
    const ACCESS: Access = Access::Authenticated;
    const NEEDS_APPROVAL: bool = true;
    type Plugin = Door;
    type Reply = ();
    fn validate(&self) -> Result<()> {
        bounds::bytes("visitor", &self.visitor, 1..=64)
    }
    async fn run(self, door: &Door, _: &Caller) -> Result<()> {
        door.0.notify(&(), &Opened { visitor: self.visitor });
        Ok(())
    }
}

/// Hears of every opening from now on.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Watch {}

impl Method for Watch {
    const NAME: &'static str = "door.watch";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Door;
    type Reply = ();
    async fn run(self, door: &Door, caller: &Caller) -> Result<()> {
        door.0.subscribe((), caller)
    }
}

/// The door opened.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Opened {
    /// Who came in.
    pub visitor: String,
}

impl Notification for Opened {
    const NAME: &'static str = "door.opened";
}

#[cfg(test)]
mod tests {
    use carport_core::{
        codes,
        testing::{TestClient, TestHost},
    };
    use serde_json::json;

    use super::*;

    /// A call that waits, and what a person says to it.
    async fn ask(guest: &mut TestClient, person: &mut TestClient, approved: bool) -> Result<()> {
        let call = guest.send("door.open", json!({ "visitor": "Ada" })).await;
        let event = person.frame(|it| it["params"]["kind"] == "approval.requested").await;
        let id = &event["params"]["payload"]["approval"]["id"];
        let decision = json!({ "approval_id": id, "approved": approved });
        person.raw("host.resolve_approval", decision).await.unwrap();
        guest.reply(call).await.map(drop)
    }

    async fn person(host: &TestHost) -> TestClient {
        let mut person = host.host().await;
        person.raw("host.subscribe", json!({})).await.unwrap();
        person
    }

    #[tokio::test]
    async fn it_opens_once_a_person_agrees_and_whoever_watches_hears_of_it() {
        let host = TestHost::start().await;
        let (mut guest, mut person) = (host.client().await, person(&host).await);
        let mut watcher = host.client().await;
        watcher.call(Watch {}).await.unwrap();
        ask(&mut guest, &mut person, true).await.unwrap();
        assert_eq!(watcher.event::<Opened>().await, Opened { visitor: "Ada".into() });
    }

    #[tokio::test]
    async fn it_stays_shut_if_the_person_says_no() {
        let host = TestHost::start().await;
        let (mut guest, mut person) = (host.client().await, person(&host).await);
        guest.call(Watch {}).await.unwrap();
        let error = ask(&mut guest, &mut person, false).await.unwrap_err();
        assert_eq!(error.code, codes::NOT_APPROVED);
        assert!(!guest.has_heard(|frame| frame["method"] == "door.opened").await);
    }

    #[tokio::test]
    async fn strangers_and_nameless_visitors_are_refused_before_anybody_is_asked() {
        let host = TestHost::start().await;
        let mut person = person(&host).await;
        let error = host.client().await.raw("door.open", json!({ "visitor": "" })).await;
        assert_eq!(error.unwrap_err().field(), Some("visitor"));
        let mut stranger = host.stranger().await;
        let error = stranger.call(Open { visitor: "Eve".into() }).await.unwrap_err();
        assert_eq!(error.code, codes::NOT_AUTHENTICATED);
        assert!(!person.has_heard(|it| it["params"]["kind"] == "approval.requested").await);
    }
}
