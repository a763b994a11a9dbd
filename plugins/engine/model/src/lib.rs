//! Proposals: their shapes, order, checks, simulation and the tiers they need. Pure: no clock, no disk, no socket.

mod canon;
mod check;
mod fault;
mod keys;
mod monte_carlo;
mod operation;
mod operator;
mod order;
mod permission;
mod policy;
mod proposal;
mod reference;
mod result;
mod rules;
mod set;
mod simulate;
mod state;
#[cfg(test)]
mod tests;
mod tier;
mod tool;
mod verify;
mod window;
mod words;

pub use canon::{canonical, canonical_object, digest, digest_object, fingerprint};
pub use check::check_key;
pub use fault::Fault;
pub use keys::KeyPlace;
pub use monte_carlo::{
    Known, MonteCarlo, MonteCarloConfig, Outcomes, Rate, RateSource, Spread, StateShare,
    monte_carlo,
};
pub use operation::Operation;
pub use operator::{Assertion, Operator, Unmet, equal};
pub use order::Order;
pub use permission::{Approval, ApprovalRecord, Decision, Ledger, Verdict, decide, newest_live};
pub use policy::{Policy, PolicyDefinition, PolicyRule, Refusal};
pub use proposal::{
    Action, ActionProposal, ActionType, Assumption, Compensation, FailureBehavior, InvocationMode,
    Precondition, Reversibility,
};
pub use reference::{Unfilled, dangling, fill, references};
pub use result::{ActionResult, CostSummary, ProposalResult, Status};
pub use rules::{OperatorRule, RuleBook, RuleFault, RuleWindows};
pub use simulate::{Simulation, default_probes, equivalent, optimise, simulate};
pub use state::StateView;
pub use tier::{Classification, Tier};
pub use tool::{RateLimit, ToolSchema};
pub use verify::{
    CheckEvidence, Derivation, Evidence, Issue, Severity, Terms, ToolBook, Verification, verify,
};
pub use window::SlidingWindow;
