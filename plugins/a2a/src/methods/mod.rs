//! The methods of A2A on the daemon's own connection, in the names and shapes of both versions.

mod listener;
mod older;
mod peers;
mod send;
mod shapes;
mod streaming;
mod v1;

pub use listener::{ListenerStarted, ListenerStatus, ListenerStopped, Start, Status, Stop};
pub use older::{
    AuthenticatedExtendedCard, MessageSend, PushConfigDelete, PushConfigGet, PushConfigList,
    PushConfigSet, TasksCancel, TasksGet, TasksList,
};
pub use peers::{AddPeer, ListPeers, PeerList, PeerRemoved, RemovePeer};
pub use send::{SendToPeer, SentToPeer};
pub use shapes::Shaped;
pub use streaming::{MessageStream, SendStreamingMessage, SubscribeToTask, TasksResubscribe};
pub use v1::{
    CancelTask, CreatePushConfig, DeletePushConfig, GetExtendedCard, GetPushConfig, GetTask,
    ListPushConfigs, ListTasks, SendMessage,
};

/// A method whose parameters are read by the rules of A2A: in either spelling, every fault at once.
macro_rules! a2a_method {
    (
        $(#[doc = $doc:literal])+
        $method:ident = $name:literal, $version:ident, $operation:ident $(($push:expr))?;
        $params:expr => $reply:ty
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $method(pub serde_json::Map<String, serde_json::Value>);

        impl schemars::JsonSchema for $method {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($method).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let mut schema: schemars::Schema = $params(generator);
                let doc = concat!($($doc, "\n"),+).trim();
                schema.insert("description".into(), doc.replace("\n ", "\n").into());
                schema
            }
        }

        impl carport_core::Method for $method {
            const NAME: &'static str = $name;
            const ACCESS: carport_core::Access = carport_core::Access::Authenticated;
            type Plugin = crate::A2a;
            type Reply = crate::methods::Shaped<$reply>;

            fn reword(error: carport_core::RpcError) -> carport_core::RpcError {
                let version = carport_a2a_types::Version::$version;
                carport_a2a_types::A2aError::field("", error.message).rpc(version)
            }

            async fn run(
                self,
                a2a: &crate::A2a,
                caller: &carport_core::Caller,
            ) -> carport_core::Result<Self::Reply> {
                let version = carport_a2a_types::Version::$version;
                let who = carport_a2a_tasks::Caller::of(caller.identity());
                let operation = crate::calls::Operation::$operation $(($push))?;
                // What is shared lives as long as its listener, not as long as a call.
                let listener = match operation {
                    crate::calls::Operation::ExtendedCard => a2a.listeners.place(),
                    _ => None,
                };
                let over = crate::calls::Over::Connection { listener: listener.as_deref() };
                let answer = a2a.calls.answer(operation, version, self.0, &who, over).await;
                let shaped = answer.and_then(|answer| answer.shaped(version));
                shaped.map(Self::Reply::of).map_err(|error| error.rpc(version))
            }
        }
    };
}
use a2a_method;
