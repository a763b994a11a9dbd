//! What renderers report of a surface, and the patches and advice that follow, without clock, store or wire.
//!
//! A report is held against the surface, then against guards that keep the daemon from fighting whoever
//! draws it: a finding must be confirmed, nobody may be typing there, the budget must last, and a change that
//! was undone is not simply made again. What is decided is one patch, an ordinary envelope, or advice.

mod advice;
mod check;
mod loops;
mod marks;
mod memory;
mod propose;
mod report;
mod ring;
mod round;
mod tree;
mod trial;
mod view;
mod viewers;

pub use advice::Advice;
pub use loops::{Input, Learned, Loops, Patch, Verdict};
pub use propose::Strategy;
pub use report::{
    Decision, DecisionKind, Finding, Heading, Mode, Reason, Renderer, Report, Viewport,
};

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "what `json!` makes is handed on")]
mod tests;
