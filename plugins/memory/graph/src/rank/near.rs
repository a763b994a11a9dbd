//! Which facts mean what a query does, and what that changes in the ranking.
//!
//! Without a direction of the query there is nothing here, and the ranking is that of words and the walk.
//! With one, the nearest facts are let in even if they hold no word of the query, the walk starts at the
//! nearest of them, too, and `rel = 0.8 * rel by words and walk + 0.2 * cosine`, a cosine below 0 counted as
//! 0. With this share a fact that holds every term of the query (0.4 and more) comes before one that holds
//! none (0.36 at the most), as it does without. A fact that has no direction yet keeps its `rel`.

use super::view::View;
use crate::graph::Meaning;

/// The share of the cosine in `rel`.
const SHARE: f64 = 0.2;
/// Facts that are let in for what they mean, at most, and the cosine that they need.
const LET_IN: usize = 64;
const LEAST: f32 = 0.3;
/// Of these, where the walk starts.
const SEEDS: usize = 8;

/// How near facts are to a query.
pub(super) struct Near {
    /// By number; below -1: it is not known. Empty: no fact's is.
    cosines: Vec<f32>,
    /// The nearest facts, the nearest first.
    pub(super) nearest: Vec<u32>,
}

impl Near {
    pub(super) fn of(view: &View<'_>, asked: Option<&Meaning>) -> Self {
        let mut near = Self { cosines: Vec::new(), nearest: Vec::new() };
        let Some(asked) = asked.filter(|_| view.graph.meanings.count() > 0) else { return near };
        near.cosines = vec![-2.0; view.graph.docs.numbers()];
        let mut found: Vec<(u32, f32)> = Vec::new();
        view.graph.meanings.each(&view.parts, asked, |at, cosine| {
            near.cosines[at as usize] = cosine;
            if cosine >= LEAST {
                found.push((at, cosine));
            }
        });
        // Facts as near as each other: by what they are called, for numbers depend on the order they came in.
        let named =
            |at: u32| view.graph.docs.get(at).map(|doc| (&doc.fact.fact_id, &doc.fact.tenant_id));
        let order = |a: &(u32, f32), b: &(u32, f32)| {
            b.1.total_cmp(&a.1).then_with(|| named(a.0).cmp(&named(b.0)))
        };
        if found.len() > LET_IN {
            found.select_nth_unstable_by(LET_IN - 1, order);
            found.truncate(LET_IN);
        }
        found.sort_unstable_by(order);
        near.nearest = found.into_iter().map(|it| it.0).collect();
        near
    }

    /// Where the walk starts beside the facts that fit by their words, with the cosines.
    pub(super) fn seeds(&self) -> Vec<(u32, f64)> {
        let seed = |doc: &u32| (*doc, f64::from(self.cosines[*doc as usize].min(1.0)));
        self.nearest.iter().take(SEEDS).map(seed).collect()
    }

    pub(super) fn is_nearest(&self, doc: u32) -> bool {
        self.cosines.get(doc as usize).is_some_and(|it| *it >= LEAST) && self.nearest.contains(&doc)
    }

    /// A fact's `rel`, from what it is without.
    pub(super) fn rel(&self, at: usize, rel: f64) -> f64 {
        match self.cosines.get(at) {
            Some(cosine) if *cosine >= -1.5 => {
                (1.0 - SHARE) * rel + SHARE * f64::from(cosine.clamp(0.0, 1.0))
            }
            _ => rel,
        }
    }
}
