//! The thin host of Carport: connections, sessions, authentication, the approval gate and the
//! contract that plugins are written against. Every domain is a plugin.
//!
//! A plugin is a type that implements [`Plugin`]; a method is a type that implements [`Method`],
//! and that type *is* the method's parameters. [`plugin!`] enrols them, [`link!`] lists what a
//! build is made of, [`Registry::linked`] checks it and [`Host::start`] runs it.

mod builtin;
mod contract;
mod dispatch;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod transport;
mod wire;

pub use bytes::Bytes;
#[doc(hidden)]
pub use inventory;
#[doc(hidden)]
pub use linkme;

pub use contract::{
    BoxFuture,
    access::{Access, AllowedMethods, Identity, Owner},
    approvals::{Approvals, Decision, NewApproval, WhenOver},
    bounds,
    caller::Caller,
    client_request::{ClientRequest, ClientRequestEntry},
    clock::{Clock, ManualClock, SystemClock, Time},
    durability::{DiskSync, Durability, blocking_io},
    events::{HostEvent, HostEvents, NewEvent},
    line_file::LineFile,
    macros::BillRow,
    method::{Method, MethodEntry},
    metrics::{Counter, EncodeLabelSet, Family, Gauge, Histogram, Metrics},
    names::{decode_name, encode_name, resolve_under},
    notification::{Notification, NotificationEntry},
    object,
    plugin::{Plugin, PluginEntry},
    presence::{
        AGENT_ROWS, AgentRows, AgentStatus, HostAgent, HostDevice, HostPart, HostParts,
        ManifestRole,
    },
    roll::CARPORT_PLUGINS,
    service::{ServiceKey, Services},
    session::{OpenRequest, Origin, Session},
    start::{StartContext, make_private_dir},
    subscribers::Subscribers,
    tasks::Tasks,
};
pub use dispatch::{
    added::{
        call::{CallCancelled, CallMethod, CallerInfo},
        spec::{AddedAccess, MethodSpec},
    },
    approval::mask::mask_text,
    approval::rows::{ApprovalSource, ApprovalStatus, HostApproval},
    config::{
        ApprovalSettings, AuthMode, AuthSettings, Config, DeadlineSettings, HostSettings,
        Resolvers, Settings, TransportSettings,
    },
    host::{Host, StartError},
    registry::{Refusal, Registry},
    tokens::{AGENT_AUTHORITY, AgentAuthority, Token, Tokens, Vouch},
};
pub use transport::listener::{ListenError, Listener};
pub use wire::{
    error::{Result, RpcError, codes},
    guarded::Guarded,
};

/// Parameters and replies of the host's own methods, for typed callers.
pub mod host {
    pub use crate::builtin::{
        added::{MethodsRegistered, MethodsRemoved, RegisterMethods, UnregisterMethods},
        approvals::{ApprovalList, Approvals, RequestApproval, Resolution, ResolveApproval, Which},
        auth::{Authenticate, Authenticated},
        capabilities::{Capabilities, LinkedPlugin, ListCapabilities},
        discover::{Discover, OpenRpc, SchemaDocument, ServerSchema},
        events::{
            EventPage, Events, HostIdentity, Notify, Snapshot, Subscribe, Unsubscribe, Unsubscribed,
        },
        handshake::{Handshake, Settled},
        metrics::{MetricsText, ReadMetrics},
        ping::{Ping, Pong},
    };
}
