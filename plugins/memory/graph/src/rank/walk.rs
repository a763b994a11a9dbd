//! How near facts are to a query in the graph: personalized PageRank.
//!
//! The walk starts at the query's terms and subjects, goes from fact to hub and from hub to fact by the
//! weights of the edges, and starts anew with a chance of 0.15 a step. It is computed by pushing (R.
//! Andersen, F. Chung, K. Lang, "Local Graph Partitioning using PageRank Vectors", 2006): a node that
//! holds more than a share of its degree keeps a part and hands the rest on. If no node does any more,
//! what a fact lacks is below that share times its own degree, so the share follows from the largest
//! degree among the facts that were met.
//!
//! Two things are unlike there. All nodes of a round are pushed at once, and what is handed on is counted
//! in whole parts of the whole, for sums of whole numbers do not depend on their order: neither the
//! order in which facts came nor their numbers can change a result. And the work is bounded: in
//! a graph so large that it would take more, the share is doubled until what is left fits, and what is
//! spread too thin is not followed.

use super::view::View;
use crate::graph::{HubKind, PartId};

/// The whole of what is handed on.
const WHOLE: u64 = 1 << 52;
/// Of a weight of 1. The largest weight is that of the rarest term, below 2^5.
const UNIT: f64 = (1 << 20) as f64;
/// What a node keeps, in hundredths: the chance of starting anew.
const KEEP: u64 = 15;

/// How far a walk goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effort {
    /// What a fact may lack of the whole.
    pub(super) error: f64,
    /// Edges that are followed at the most.
    pub(super) edges: usize,
}

impl Effort {
    /// A few milliseconds.
    pub(super) const QUERY: Self = Self { error: 1e-4, edges: 300_000 };
}

/// Edges of a fact, about, where they are not counted yet.
const SOME_EDGES: usize = 16;

/// Weight of the edge between a fact and its subject.
const SUBJECT: f64 = 3.0;
/// Weight of the edge between a fact and a tag of it.
const TAG: f64 = 1.0;

/// What reaches each fact, by its number, of [`WHOLE`].
pub(super) struct Reached {
    pub(super) share: Vec<u64>,
    /// The facts and turns that are reached, none twice.
    pub(super) docs: Vec<u32>,
}

impl Reached {
    /// Nothing reaches anything.
    pub(super) fn none(view: &View<'_>) -> Self {
        Self { share: vec![0; view.graph.docs.numbers()], docs: Vec::new() }
    }
}

/// Walks from these hubs and these facts, each as likely as its weight says.
pub(super) fn walk(
    view: &View<'_>,
    seeds: &[(u32, f64)],
    facts: &[(u32, f64)],
    effort: Effort,
) -> Reached {
    let mut walk = Walk::new(view, effort);
    let docs = walk.docs;
    let hubs = seeds.iter().map(|it| (docs + it.0 as usize, whole(it.1)));
    let facts = facts.iter().map(|it| (it.0 as usize, whole(it.1)));
    let seeds: Vec<(usize, u32)> = hubs.chain(facts).collect();
    let sum: u64 = seeds.iter().map(|it| u64::from(it.1)).sum();
    for (node, weight) in seeds {
        walk.give(node, (WHOLE as f64 / sum as f64 * f64::from(weight)) as u64);
    }
    while walk.round() {}
    walk.end()
}

/// A weight in whole parts, at least one.
fn whole(weight: f64) -> u32 {
    ((weight * UNIT) as u32).max(1)
}

/// Facts and turns are nodes by their numbers, hubs by theirs after those.
struct Walk<'a> {
    view: &'a View<'a>,
    docs: usize,
    nodes: Vec<Node>,
    /// By fact.
    facts: Vec<Met>,
    reached: Vec<u32>,
    /// Weight of a hub's edges; 0: not known yet.
    weights: Vec<u32>,
    /// Nodes that were given something since they were looked at.
    waiting: Vec<u32>,
    /// Nodes that did not hold enough when they were looked at, some more than once.
    resting: Vec<u32>,
    /// The largest degree of a fact that was met.
    largest: u64,
    /// The error, doubled as often as the share is; edges that may still be followed.
    effort: Effort,
}

/// What a node holds.
#[derive(Clone, Copy, Default)]
struct Node {
    held: u64,
    is_waiting: bool,
    is_reached: bool,
}

/// What is known of a fact that was met.
#[derive(Clone, Copy, Default)]
struct Met {
    kept: u64,
    /// Sum of the weights of its edges; 0: not known yet.
    degree: u64,
}

/// A node that is pushed, with what it held and its degree.
struct Push {
    node: usize,
    held: u64,
    degree: u64,
    edges: usize,
}

impl<'a> Walk<'a> {
    fn new(view: &'a View<'a>, effort: Effort) -> Self {
        let (docs, hubs) = (view.graph.docs.numbers(), view.graph.hubs.numbers());
        Self {
            view,
            docs,
            nodes: vec![Node::default(); docs + hubs],
            facts: vec![Met::default(); docs],
            reached: Vec::new(),
            weights: vec![0; hubs],
            waiting: Vec::new(),
            resting: Vec::new(),
            largest: whole(SUBJECT).into(),
            effort,
        }
    }

    fn give(&mut self, at: usize, share: u64) {
        if share == 0 {
            return;
        }
        let node = &mut self.nodes[at];
        node.held += share;
        if !node.is_waiting {
            node.is_waiting = true;
            self.waiting.push(at as u32);
            if at < self.docs && !node.is_reached {
                node.is_reached = true;
                self.reached.push(at as u32);
            }
        }
    }

    /// A node is pushed if it holds so much for each part of its degree.
    fn threshold(&self) -> f64 {
        self.effort.error / self.largest as f64 * WHOLE as f64
    }

    /// Pushes every node that holds enough; `false` if none does, or the work is done.
    fn round(&mut self) -> bool {
        let Some(mut pushes) = self.take() else { return false };
        let mut edges: usize = pushes.iter().map(|it| it.edges).sum();
        while edges > self.effort.edges && !pushes.is_empty() {
            self.effort.error *= 2.0;
            let (threshold, nodes) = (self.threshold(), &mut self.nodes);
            pushes.retain(|push| {
                let is_enough = push.held as f64 >= threshold * push.degree as f64;
                if !is_enough {
                    nodes[push.node].held += push.held;
                    edges -= push.edges;
                }
                is_enough
            });
        }
        self.effort.edges -= edges;
        for push in &pushes {
            self.push(push);
        }
        !pushes.is_empty()
    }

    /// Takes what the nodes hold that hold enough; `None` if to look at them alone is too much.
    fn take(&mut self) -> Option<Vec<Push>> {
        let is_new =
            |at: &&u32| (**at as usize) < self.docs && self.facts[**at as usize].degree == 0;
        let looks = self.waiting.iter().filter(is_new).count() * SOME_EDGES;
        self.effort.edges = self.effort.edges.checked_sub(looks)?;
        let before = self.largest;
        let mut waiting = std::mem::take(&mut self.waiting);
        let mut degrees: Vec<_> = waiting.iter().map(|at| self.degree(*at as usize)).collect();
        if self.largest > before {
            // What was too little then may be enough now.
            for at in std::mem::take(&mut self.resting) {
                if !std::mem::replace(&mut self.nodes[at as usize].is_waiting, true) {
                    waiting.push(at);
                    degrees.push(self.degree(at as usize));
                }
            }
        }
        let threshold = self.threshold();
        let mut pushes = Vec::new();
        for (at, (degree, edges)) in waiting.into_iter().zip(degrees) {
            let node = &mut self.nodes[at as usize];
            node.is_waiting = false;
            if node.held as f64 >= threshold * degree as f64 && edges > 0 {
                let held = std::mem::take(&mut node.held);
                pushes.push(Push { node: at as usize, held, degree, edges });
            } else {
                self.resting.push(at);
            }
        }
        Some(pushes)
    }

    /// The sum of the weights of a node's edges, and how many they are.
    fn degree(&mut self, node: usize) -> (u64, usize) {
        let graph = self.view.graph;
        let Some(hub) = node.checked_sub(self.docs) else {
            let Some(doc) = graph.docs.get(node as u32) else { return (0, 0) };
            if self.facts[node].degree == 0 {
                let mut degree = 0;
                for (at, hub) in doc.links.iter().enumerate() {
                    // A fact says what its links are, so that no hub has to be looked at.
                    let is_term = at >= doc.untermed.into();
                    let kind = match at {
                        _ if is_term => HubKind::Term,
                        0 => HubKind::Subject,
                        _ => HubKind::Tag,
                    };
                    degree += u64::from(self.weight(*hub, kind));
                }
                self.facts[node].degree = degree;
                self.largest = self.largest.max(degree);
            }
            return (self.facts[node].degree, doc.links.len());
        };
        if self.weights[hub] == 0 {
            let kind = graph.hubs.get(hub as u32).map_or(HubKind::Term, |hub| hub.kind);
            self.weight(hub as u32, kind);
        }
        let edges = self.view.edges(hub as u32);
        (u64::from(self.weights[hub]) * edges as u64, edges)
    }

    fn weight(&mut self, hub: u32, kind: HubKind) -> u32 {
        let known = &mut self.weights[hub as usize];
        if *known == 0 {
            *known = whole(match kind {
                HubKind::Term => self.view.idf(self.view.holders(hub)),
                HubKind::Subject => SUBJECT,
                HubKind::Tag => TAG,
            });
        }
        *known
    }

    fn push(&mut self, push: &Push) {
        let graph = self.view.graph;
        let keeps = push.held / 100 * KEEP;
        let gives = push.held - keeps;
        if push.node < self.docs {
            self.facts[push.node].kept += keeps;
            let Some(doc) = graph.docs.get(push.node as u32) else { return };
            let part = gives as f64 / push.degree as f64;
            for hub in &doc.links {
                let share = part * f64::from(self.weights[*hub as usize]);
                self.give(self.docs + *hub as usize, share as u64);
            }
        } else if let Some(hub) = graph.hubs.get((push.node - self.docs) as u32) {
            // The edges of a hub weigh the same.
            let share = gives / push.edges as u64;
            let lists = |part: &PartId| hub.list(*part);
            let lists = self.view.conducts.iter().filter_map(lists);
            for posting in lists.flat_map(|list| list.pieces().flatten()) {
                self.give(posting.doc as usize, share);
            }
        }
    }

    /// What a fact holds still would keep its part, too.
    fn end(self) -> Reached {
        let share = |(met, node): (&Met, &Node)| met.kept + node.held / 100 * KEEP;
        Reached {
            share: self.facts.iter().zip(&self.nodes).map(share).collect(),
            docs: self.reached,
        }
    }
}
