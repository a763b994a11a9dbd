//! The methods of the engine, a file a group.

/// The schema of a method whose parameters are another type: that type's, with the method's own words.
macro_rules! described {
    ($method:ident: $parameters:ty = $words:literal) => {
        impl schemars::JsonSchema for $method {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($method).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let mut schema = <$parameters>::json_schema(generator);
                schema.insert("description".into(), $words.into());
                schema
            }
        }
    };
}

mod detached;
mod events;
mod metrics;
mod permission;
mod policy;
mod proposal;
mod replan;
mod session;
mod state;
mod supervision;
mod tools;
mod verify;

pub use detached::{
    Accepted, CancelTool, Cancelled, PollTool, PushChunk, StreamsSubscribed, SubscribeStreams,
};
pub use events::{
    ChainEnabled, CostByAgent, CountEvents, EnableChain, EventPage, QueryEvents, RetentionSet,
    SetRetention, VerifyChain,
};
pub use metrics::{AlertPage, MetricsAlerts, MetricsSummary};
pub use permission::{
    Approve, Classified, Classify, Evaluate, Evaluated, GetTier, Granted, Judgement,
    PendingPermissions, PendingRows, Reject, SetTier,
};
pub use policy::{
    ClosePolicySession, ListPolicies, OpenPolicySession, PolicyList, PolicyRegistered, PolicyScope,
    PolicySessionClosed, PolicySessionOpened, PolicyUnregistered, RegisterPolicy, UnregisterPolicy,
};
pub use proposal::Submit;
pub use replan::SetReplanConfig;
pub use session::{InitSession, SessionReady};
pub use state::{GetState, SetState, StateExists, StateKeys, StateSnapshot};
pub use supervision::{
    DecideIntent, IntentDecided, IntentVerdict, PendingIntents, PendingList, Ruling,
    SubscribeSupervision, Supervising, UnsubscribeSupervision, Unsubscribed,
};
pub use tools::{
    ListTools, RegisterBasics, RegisterTools, ToolList, ToolUnregistered, UnregisterTool,
};
pub use verify::{MonteCarlo, Verify};
