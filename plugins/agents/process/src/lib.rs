//! Supervised processes: a manifest of what is to run, a state machine that keeps it running, a shim that ends it whole, logs.

mod environment;
mod error;
pub mod incarnation;
pub mod logs;
pub mod machine;
mod manifest;
mod rules;
pub mod shim;
mod spec;
mod supervisor;
mod view;

pub use environment::{child_environment, inherited_environment, own_environment};
pub use error::{SpawnError, SuperviseError};
pub use manifest::{Manifest, ManifestError};
pub use rules::{Broken, Rules};
pub use spec::{AgentSpec, IDENTITY_NAMES, MAX_AGENTS, Restart, agent_id};
pub use supervisor::command::{Command, Gone, Process, Started};
pub use supervisor::{
    Ending, Followed, IdentityVariables, Inherit, KILL_WAIT, Listener, OnSurvivor, Settings,
    Supervisor,
};
pub use view::{ManagedAgent, Status, View};
