//! Who draws whom, found out once for a report.

use std::{
    cell::OnceCell,
    collections::{HashMap, HashSet},
};

use carport_a2ui_surfaces::{Entry, Surface};

/// The edges of a surface. Each table is made when it is first asked for, in one walk over all edges.
pub(crate) struct Tree<'a> {
    surface: &'a Surface,
    drawers: OnceCell<HashMap<&'a str, Vec<&'a Entry>>>,
    repeated: OnceCell<HashSet<&'a str>>,
}

impl<'a> Tree<'a> {
    pub(crate) fn new(surface: &'a Surface) -> Self {
        Self { surface, drawers: OnceCell::new(), repeated: OnceCell::new() }
    }

    /// The components that name `id`, by order of arrival.
    pub(crate) fn drawers(&self, id: &str) -> &[&'a Entry] {
        let all = self.drawers.get_or_init(|| {
            let mut all: HashMap<&str, Vec<&Entry>> = HashMap::new();
            for entry in self.surface.components.iter() {
                for child in &entry.children {
                    let drawers = all.entry(child).or_default();
                    if drawers.last().is_none_or(|last| last.id != entry.id) {
                        drawers.push(entry);
                    }
                }
            }
            all
        });
        all.get(id).map_or(&[], Vec::as_slice)
    }

    /// The components of these ids, and all that they lie in.
    pub(crate) fn above(&self, ids: impl IntoIterator<Item = &'a str>) -> HashSet<&'a str> {
        let mut seen = HashSet::new();
        let mut open: Vec<_> = ids.into_iter().collect();
        while let Some(id) = open.pop() {
            if seen.insert(id) {
                open.extend(self.drawers(id).iter().map(|it| &*it.id));
            }
        }
        seen
    }

    /// Whether `id` is drawn once for each item of some list.
    pub(crate) fn is_repeated(&self, id: &str) -> bool {
        let all = self.repeated.get_or_init(|| {
            let mut seen = HashSet::new();
            let templates = self.surface.components.iter();
            let mut open: Vec<&str> =
                templates.filter_map(|it| it.value["children"]["componentId"].as_str()).collect();
            while let Some(id) = open.pop() {
                if seen.insert(id) {
                    let entry = self.surface.components.get(id);
                    let below = entry.into_iter().flat_map(|it| &it.children);
                    open.extend(below.map(String::as_str));
                }
            }
            seen
        });
        all.contains(id)
    }

    /// The component that draws `id` by a literal list of children.
    pub(crate) fn list_with(&self, id: &str) -> Option<&'a Entry> {
        self.drawers(id).iter().copied().find(|it| it.value["children"].is_array())
    }
}
