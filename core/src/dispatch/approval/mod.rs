//! The gate where a person says yes or no before a risky call runs.

pub(crate) mod gate;
pub(crate) mod mask;
pub(crate) mod rows;
