//! Proposals: their shapes, order, checks, simulation and the tiers they need. Pure: no clock, no disk, no socket.

mod check;
mod fault;
mod proposal;
mod result;
mod tool;

pub use check::KeyPlace;
pub use fault::Fault;
pub use proposal::{
    Action, ActionProposal, ActionType, Assumption, Compensation, FailureBehavior, InvocationMode,
    Precondition, Reversibility,
};
pub use result::{ActionResult, CostSummary, ProposalResult, Status};
pub use tool::{RateLimit, ToolSchema};
