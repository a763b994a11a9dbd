//! Facts as a graph: how they are kept, found, shown and tidied up. Pure: no clock, no disk, no socket.
//!
//! A [`Graph`] is what its [`Line`]s made of an empty one. A change is planned ([`Graph::plan_add`] and the
//! like), its line is written, and [`Graph::apply`] does it; reading a file back is the same call. Who
//! reads takes a [`Snapshot`], which costs nothing and stays as it is.
//!
//! Four choices follow from what a graph promises:
//!
//! - **Postings, not a general graph.** Facts know their hubs (subject, tags, terms) and hubs their
//!   facts. These lists are the adjacency of the walk and the inverted index of BM25 at once, and they are
//!   split by tenant, so that a query reads the lists of its own parts and no others. A graph of `petgraph`
//!   would be a second copy of them that no snapshot could share.
//! - **Shared, not copied.** A snapshot is taken under the lock of the writer, so it must not copy a graph
//!   of a hundred thousand facts, and a change must not rebuild one. What a query reads most lies in tables
//!   of shared chunks (two steps to an entry), names and orders in the persistent maps of `imbl`.
//! - **A walk that lets words decide.** It goes from the facts that fit best over what they share with others,
//!   and what it brings depends on how much of the query two facts hold together beyond what one holds
//!   alone. Which subjects a body names is no edge that is kept but looked up as a query needs it: no
//!   order of writes can leave one out, and a fact costs no memory for it. Personalized PageRank from
//!   the query's terms was measured and lost: it lifted all facts of a named subject alike.
//! - **BM25 from the postings, not from SQLite's FTS5.** The contract fixes the formula, over what one
//!   tenant sees, on a snapshot; an index on the side would see every tenant's facts and only the
//!   present. The terms are the graph's own anyhow. A test shows that both compute the same.

mod consolidate;
mod context;
mod fact;
mod fault;
mod graph;
mod log;
mod proactive;
mod rank;
#[cfg(test)]
mod samples;
mod terms;

pub use consolidate::Consolidated;
pub use context::ContextAsk;
pub use fact::{Confidence, Fact, Layer, Record, check, check_id, check_tenant, check_turn};
pub use fault::Full;
pub use graph::{Bank, Graph, Limits, Meaning, Planned, Snapshot};
pub use log::{Line, Unreadable, Uses, Which};
pub use proactive::{
    Arm, Candidate, Case, Evaluation, Intervention, Learned, Moment, Selected, Trigger, bounded,
    learn,
};
pub use rank::{Ask, Hit, Utility, Weights};
