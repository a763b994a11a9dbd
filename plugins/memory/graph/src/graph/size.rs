//! What a graph takes of memory.
//!
//! An estimate from the sizes of what is allocated. `tests/memory.rs` holds it against an allocator
//! that counts: it is not below what is taken. What snapshots hold that the graph has let go is not in it.

use std::{mem::size_of, sync::Arc};

use super::{doc::Doc, hub::Hub, part::Part};
use crate::fact::Fact;

/// What an allocation costs beside its bytes: the allocator's own word and its rounding.
const ALLOCATION: usize = 16;
/// Counters of an `Arc`.
const COUNTERS: usize = 16;
/// A part's list of a hub that is not the hub's first, and the slack of the vector of them.
pub(super) const LIST: usize = 96;
/// Places of the tables and maps that know a fact: its number, id, content and creation, with the
/// share that such tables leave empty.
const PLACES: usize = 320;
/// As [`PLACES`], of a hub: its number and its name.
const HUB_PLACES: usize = 80;

/// A fact with its links, and the places where it is known.
pub(super) fn doc(doc: &Doc) -> usize {
    let links = doc.links.len() * size_of::<u32>() + ALLOCATION;
    size_of::<Doc>() + COUNTERS + ALLOCATION + links + PLACES + fact(&doc.fact)
}

/// A fact alone.
pub(crate) fn fact(fact: &Fact) -> usize {
    let texts = [&fact.subject, &fact.body, &fact.kind, &fact.source];
    let texts = texts.into_iter().chain(&fact.tags).chain(&fact.tenant_id);
    let texts: usize = texts.map(|it| it.len() + ALLOCATION).sum();
    let tags = fact.tags.len() * size_of::<String>() + ALLOCATION;
    let id = fact.fact_id.len() + COUNTERS + ALLOCATION;
    size_of::<Fact>() + COUNTERS + ALLOCATION + texts + tags + id
}

/// A tenant's part.
pub(super) fn part(tenant: &str) -> usize {
    size_of::<Part>() + tenant.len() + 3 * (COUNTERS + ALLOCATION) + PLACES
}

/// A hub without its lists.
pub(super) fn hub(key: &Arc<str>) -> usize {
    let name = key.len() + COUNTERS + ALLOCATION;
    size_of::<Hub>() + COUNTERS + ALLOCATION + name + HUB_PLACES
}
