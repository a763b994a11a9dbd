//! Memory that speaks up: what is learned from what went wrong, and when to remind of it.

mod evaluate;
mod intervene;
mod maintain;
#[cfg(test)]
mod tests;

pub use evaluate::{Arm, Case, Evaluation};
pub use intervene::{Candidate, Intervention, Moment, Selected};
pub use maintain::{Learned, Trigger, bounded, learn};
