//! What keeps a fact out of a graph.

use carport_core::RpcError;

/// A limit of a graph that is reached. What is there stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// It has as many facts as it may have.
    #[error("this graph is full: the limit is {0} facts; delete or consolidate some")]
    Facts(usize),
    /// It takes as much memory as it may take.
    #[error(
        "this graph is full: the limit is {0} bytes of memory; delete or consolidate some facts"
    )]
    Memory(usize),
}

impl From<Full> for RpcError {
    fn from(full: Full) -> Self {
        let (Full::Facts(limit) | Full::Memory(limit)) = full;
        let what = match full {
            Full::Facts(_) => "facts",
            Full::Memory(_) => "bytes",
        };
        Self::new(carport_core::codes::LIMIT, full).with("limit", limit).with("what", what)
    }
}
