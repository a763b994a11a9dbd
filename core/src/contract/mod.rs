//! What a plugin sees of the host. Nothing here knows how a request is dispatched.

pub(crate) mod access;
pub(crate) mod approvals;
pub mod bounds;
pub(crate) mod caller;
pub(crate) mod client_request;
pub(crate) mod clock;
pub(crate) mod durability;
pub(crate) mod events;
pub(crate) mod line_file;
pub(crate) mod macros;
pub(crate) mod method;
pub(crate) mod metrics;
pub(crate) mod names;
pub(crate) mod notification;
pub mod object;
pub(crate) mod params;
pub(crate) mod plugin;
pub(crate) mod presence;
pub(crate) mod roll;
pub(crate) mod service;
pub(crate) mod session;
pub(crate) mod start;
pub(crate) mod subscribers;
pub(crate) mod tasks;

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
