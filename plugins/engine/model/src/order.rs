//! Which action comes after which, and the levels that follow.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use crate::{
    fault::Fault,
    proposal::{Action, ActionProposal},
    reference::references,
    set::Set,
};

/// The order of a proposal. Actions go by their index in its list.
///
/// B comes after A when B names A as a dependency, refers to its output, or reads a key that A writes
/// and A is listed before B. If no writer of the key is listed before B and the state does not have the
/// key at the start, then writers listed after B count as well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    after: Vec<Vec<usize>>,
    needs: Vec<Vec<usize>>,
    levels: Vec<Vec<usize>>,
}

impl ActionProposal {
    /// [`check`](Self::check), then its order. `has` says which keys the state has at the start.
    pub fn order(&self, has: &dyn Fn(&str) -> bool) -> Result<Order, Fault> {
        self.check()?;
        Order::of(&self.actions, has)
    }
}

impl Order {
    /// The order of actions whose number is within bounds: it takes a bit for each pair of them.
    /// Dependencies that name nobody are passed over. The one fault is [`Fault::Circle`].
    pub fn of(actions: &[Action], has: &dyn Fn(&str) -> bool) -> Result<Self, Fault> {
        let ids: HashMap<&str, usize> =
            actions.iter().enumerate().map(|(at, action)| (action.id.as_str(), at)).rev().collect();
        let needs: Vec<Vec<usize>> = actions.iter().map(|action| needs(action, &ids)).collect();
        let mut pairs = Pairs::new(actions.len());
        for keyed in by_key(actions, &|id| ids.contains_key(id)) {
            keyed.order(&mut pairs, has);
        }
        for (at, needed) in needs.iter().enumerate() {
            needed.iter().for_each(|before| pairs.set(at, *before));
        }
        let after: Vec<Vec<usize>> =
            (0..actions.len()).map(|at| pairs.0[at].iter().collect()).collect();
        match levels(&after) {
            Ok(levels) => Ok(Self { after, needs, levels }),
            Err(circle) => {
                let actions = circle.into_iter().map(|at| actions[at].id.clone()).collect();
                Err(Fault::Circle { field: "proposal.actions".into(), actions })
            }
        }
    }

    /// Whom an action comes directly after, in ascending order.
    pub fn after(&self, at: usize) -> &[usize] {
        &self.after[at]
    }

    /// Whom of these it needs to have succeeded, its dependencies and references, in ascending order.
    pub fn needs(&self, at: usize) -> &[usize] {
        &self.needs[at]
    }

    /// A level is every action whose predecessors are in earlier levels.
    pub fn levels(&self) -> &[Vec<usize>] {
        &self.levels
    }

    /// Whom each action comes after, directly or not.
    pub(crate) fn ancestors(&self) -> Vec<Set> {
        let mut ancestors = vec![Set::of(self.after.len(), &[]); self.after.len()];
        for at in self.sorted() {
            let mut own = Set::of(self.after.len(), &self.after[at]);
            self.after[at].iter().for_each(|before| own.extend(&ancestors[*before]));
            ancestors[at] = own;
        }
        ancestors
    }

    /// The actions, each after its predecessors.
    pub fn sorted(&self) -> impl Iterator<Item = usize> {
        self.levels.iter().flatten().copied()
    }
}

fn needs(action: &Action, ids: &HashMap<&str, usize>) -> Vec<usize> {
    let named = action.dependencies.iter().map(String::as_str);
    let referred = references(&action.parameters, &|id| ids.contains_key(id));
    let mut needs: Vec<_> = named.chain(referred).filter_map(|id| ids.get(id).copied()).collect();
    needs.sort_unstable();
    needs.dedup();
    needs
}

/// Who reads and who writes a key, in the order of the list.
#[derive(Debug)]
struct Keyed<'a> {
    key: Cow<'a, str>,
    readers: Vec<usize>,
    writers: Vec<usize>,
}

fn by_key<'a>(
    actions: &'a [Action],
    is_action: &dyn Fn(&str) -> bool,
) -> impl Iterator<Item = Keyed<'a>> {
    let mut keys: BTreeMap<Cow<'a, str>, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    let add = |list: &mut Vec<usize>, at: usize| {
        if list.last() != Some(&at) {
            list.push(at);
        }
    };
    for (at, action) in actions.iter().enumerate() {
        for key in action.reads(is_action) {
            add(&mut keys.entry(key).or_default().0, at);
        }
        for key in action.writes(is_action) {
            add(&mut keys.entry(key).or_default().1, at);
        }
    }
    keys.into_iter().map(|(key, (readers, writers))| Keyed { key, readers, writers })
}

impl Keyed<'_> {
    /// One sweep: the writers so far are a set that each reader takes whole.
    fn order(&self, pairs: &mut Pairs, has: &dyn Fn(&str) -> bool) {
        let Some(first) = self.writers.first() else { return };
        let (early, late) = self.readers.split_at(self.readers.partition_point(|at| at <= first));
        if !early.is_empty() && !has(&self.key) {
            let all = pairs.set_of(&self.writers);
            early.iter().for_each(|reader| pairs.set_all(*reader, &all));
        }
        let (mut so_far, mut next) = (pairs.set_of(&[]), 0);
        for reader in late {
            while let Some(writer) = self.writers.get(next).filter(|writer| *writer < reader) {
                so_far.insert(*writer);
                next += 1;
            }
            pairs.set_all(*reader, &so_far);
        }
    }
}

/// For each action the set of those that it comes after.
struct Pairs(Vec<Set>);

impl Pairs {
    fn new(actions: usize) -> Self {
        Self(vec![Set::of(actions, &[]); actions])
    }

    fn set_of(&self, members: &[usize]) -> Set {
        Set::of(self.0.len(), members)
    }

    fn set(&mut self, at: usize, before: usize) {
        self.0[at].insert(before);
    }

    /// An action does not wait for itself.
    fn set_all(&mut self, at: usize, before: &Set) {
        self.0[at].extend(before);
        self.0[at].remove(at);
    }
}

/// The levels, or a circle: each comes after the next, and the last after the first.
fn levels(after: &[Vec<usize>]) -> Result<Vec<Vec<usize>>, Vec<usize>> {
    let mut waiting: Vec<usize> = after.iter().map(Vec::len).collect();
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); after.len()];
    for (at, predecessors) in after.iter().enumerate() {
        predecessors.iter().for_each(|it| before[*it].push(at));
    }
    let mut levels = Vec::new();
    let mut level: Vec<usize> = (0..after.len()).filter(|at| waiting[*at] == 0).collect();
    let mut placed = 0;
    while !level.is_empty() {
        placed += level.len();
        let mut next = Vec::new();
        for follower in level.iter().flat_map(|at| &before[*at]) {
            waiting[*follower] -= 1;
            if waiting[*follower] == 0 {
                next.push(*follower);
            }
        }
        next.sort_unstable();
        levels.push(std::mem::replace(&mut level, next));
    }
    if placed == after.len() { Ok(levels) } else { Err(circle(after, &waiting)) }
}

/// Whoever still waits comes after another who still waits, so walking on repeats.
fn circle(after: &[Vec<usize>], waiting: &[usize]) -> Vec<usize> {
    let mut walk = Vec::new();
    let mut place = vec![None; after.len()];
    let mut next = waiting.iter().position(|waits| *waits > 0);
    while let Some(at) = next {
        if let Some(start) = place[at] {
            return walk.split_off(start);
        }
        place[at] = Some(walk.len());
        walk.push(at);
        next = after[at].iter().copied().find(|before| waiting[*before] > 0);
    }
    walk
}
