//! A report held against its surface: what several guards ask is found out once.

use std::{
    cell::OnceCell,
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{
    loops::Input,
    propose::{Strategy, is_wide},
    report::{Finding, known},
    tree::Tree,
};

/// Different findings of one report that are looked at; the rest is passed on only.
const MOST_FINDINGS: usize = 200;

/// A finding as it is remembered: its code, and the component if the surface has it. Texts of reports are not
/// kept.
pub(crate) type Sight = (&'static str, Option<Arc<str>>);

/// A report and its surface.
pub(crate) struct View<'a> {
    pub(crate) input: &'a Input<'a>,
    /// Its findings of known codes, each once.
    pub(crate) findings: Vec<&'a Finding>,
    pub(crate) tree: Tree<'a>,
    /// What rows that are too wide lie in.
    around: OnceCell<HashSet<&'a str>>,
    /// The level before each heading, 0 for the first, and its own.
    headings: OnceCell<HashMap<&'a str, (u8, u8)>>,
}

impl<'a> View<'a> {
    pub(crate) fn new(input: &'a Input<'a>) -> Self {
        let mut seen = HashSet::new();
        let all = input.report.findings().iter();
        let findings = all.filter(|it| known(&it.code).is_some() && seen.insert(it.key()));
        Self {
            input,
            findings: findings.take(MOST_FINDINGS).collect(),
            tree: Tree::new(input.surface),
            around: OnceCell::new(),
            headings: OnceCell::new(),
        }
    }

    /// What is remembered of a finding.
    pub(crate) fn sight(&self, finding: &Finding) -> Option<Sight> {
        let entry = self.input.surface.components.get(finding.component());
        Some((known(&finding.code)?.0, entry.map(|it| it.id.clone())))
    }

    /// Whether another row that is too wide lies in this one.
    pub(crate) fn is_around_a_wide_row(&self, id: &str) -> bool {
        let around = self.around.get_or_init(|| {
            let wide = self.findings.iter().filter(|it| Strategy::StackRow.takes(&it.code));
            let rows = wide.filter(|it| is_wide(it)).filter_map(|it| {
                let entry = self.input.surface.components.get(it.component());
                entry.filter(|it| it.kind == "Row")
            });
            let next = rows.flat_map(|it| self.tree.drawers(&it.id));
            self.tree.above(next.map(|it| &*it.id))
        });
        around.contains(id)
    }

    /// The level of the heading before a component's, 0 if it is the first, and its own.
    pub(crate) fn heading(&self, id: &str) -> Option<(u8, u8)> {
        let headings = self.headings.get_or_init(|| {
            let listed = self.input.report.headings.as_deref().unwrap_or_default();
            let before = std::iter::once(0).chain(listed.iter().map(|it| it.level));
            let mut levels = HashMap::new();
            for (it, before) in listed.iter().zip(before) {
                levels.entry(&*it.component_id).or_insert((before, it.level));
            }
            levels
        });
        headings.get(id).copied()
    }
}
