//! What people approved and rejected, and how they are asked.

pub(crate) mod inbox;
pub(crate) mod ledger;
