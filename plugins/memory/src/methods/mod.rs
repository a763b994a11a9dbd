//! The methods of the memory.

mod add_fact;
mod context;
mod delete;
mod evaluate;
mod files;
mod get;
mod intervene;
mod maintain;
mod query;
mod save;
mod stats;
mod status;
mod tidy;
mod utility;

pub use add_fact::AddFact;
pub use context::{BuildContext, BuildContextFast};
pub use delete::{DeleteFact, Deleted};
pub use evaluate::Evaluate;
pub use files::{Load, Persist};
pub use get::GetFact;
pub use intervene::Intervene;
pub use maintain::{Maintain, Maintained};
pub use query::{FactCount, QueryFacts};
pub use save::{SaveKnowledge, SaveProcedural, Saved};
pub use stats::{GraphKind, GraphStats, Stats};
pub use status::{Status, UpdateStatus};
pub use tidy::{Consolidate, Consolidation};
pub use utility::{UtilityGet, UtilitySet};

pub(crate) use context::{check_context, context_of};
pub(crate) use query::{check_query, recall};
