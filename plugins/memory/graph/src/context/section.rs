//! One layer of a context: lines under a heading, within so many characters.

use super::SHORTEST;
use crate::fact::Layer;

/// Lines that do not fit, until no more are tried.
const MOST_PASSED: usize = 32;

/// A layer with the lines that fit.
pub(super) struct Section {
    layer: Layer,
    lines: Vec<String>,
    /// Characters that are left of its budget.
    room: usize,
    /// Characters that it takes: its heading, its lines, and what parts it from the next.
    used: usize,
}

/// What parts two layers.
pub(super) const BREAK: &str = "\n\n";

impl Section {
    /// An empty layer. It takes nothing until it has a line.
    pub(super) fn new(layer: Layer, budget: usize) -> Self {
        let heading = layer.name().len() + "## ".len() + BREAK.len();
        Self { layer, lines: Vec::new(), room: budget.saturating_sub(heading), used: heading }
    }

    /// Takes lines in as long as they fit. The first one is cut to fit, for a layer of one long line
    /// is better than none.
    pub(super) fn fill(&mut self, lines: impl IntoIterator<Item = String>) -> usize {
        let before = self.lines.len();
        for line in lines {
            if !self.push(line) {
                break;
            }
        }
        self.lines.len() - before
    }

    /// As [`Self::fill`], but one that is too long does not keep out shorter ones that come after it, as
    /// long as these are not far behind.
    pub(super) fn fill_what_fits(&mut self, lines: impl IntoIterator<Item = String>) -> usize {
        let (before, mut passed) = (self.lines.len(), 0);
        for line in lines {
            passed += usize::from(!self.push(line));
            if passed > MOST_PASSED || self.room < SHORTEST {
                break;
            }
        }
        self.lines.len() - before
    }

    fn push(&mut self, mut line: String) -> bool {
        let mut takes = line.chars().count() + 1;
        if takes > self.room {
            if !self.lines.is_empty() || self.room < 3 {
                return false;
            }
            line = line.chars().take(self.room - 2).chain(['…']).collect();
            takes = self.room;
        }
        self.room -= takes;
        self.used += takes;
        self.lines.push(line);
        true
    }

    /// Keeps so many characters free, or gives them back.
    pub(super) fn reserve(&mut self, characters: usize) {
        self.room = self.room.saturating_sub(characters);
    }

    /// Adds a line for which room was reserved.
    pub(super) fn close(&mut self, line: String) {
        self.used += line.chars().count() + 1;
        self.lines.push(line);
    }

    /// Turns lines that were taken in newest first.
    pub(super) fn oldest_first(&mut self) {
        self.lines.reverse();
    }

    pub(super) fn used(&self) -> usize {
        if self.lines.is_empty() { 0 } else { self.used }
    }

    pub(super) fn layer(&self) -> Layer {
        self.layer
    }

    pub(super) fn text(&self) -> Option<String> {
        let heading = || format!("## {}\n{}", self.layer.name(), self.lines.join("\n"));
        (!self.lines.is_empty()).then(heading)
    }
}
