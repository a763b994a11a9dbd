//! What a model should know, in layers, within a budget.

mod section;
#[cfg(test)]
mod tests;

use std::{collections::HashSet, sync::Arc};

use crate::{
    fact::{Fact, Layer},
    graph::{HubKind, Meaning, Snapshot},
    rank::{Ask, Hit, Ranking, Utility},
    terms::Asked,
};
use section::{BREAK, Section};

/// Characters of a token.
const CHARACTERS: u64 = 4;
/// Tokens of a context where the model's window is not known.
const TOKENS: u64 = 8192;
/// Tokens of a context, at least and at most.
const LEAST_TOKENS: u64 = 1024;
const MOST_TOKENS: u64 = 32_768;
/// Characters of the shortest line of a fact: `- : ` of blanks alone, and a line break.
const SHORTEST: usize = 5;
/// Terms of which is said that nothing is known.
const UNKNOWN_TERMS: usize = 5;

/// What a context is built for.
#[derive(Debug, Clone, Copy)]
pub struct ContextAsk<'a> {
    /// What it is about; a fast context does not look at it.
    pub text: &'a str,
    /// The model's window in tokens; the context takes a quarter of it.
    pub window: Option<u64>,
    /// The agent that asks, if one does.
    pub agent: Option<&'a str>,
    /// Whose facts are seen, beside everybody's.
    pub tenant: Option<&'a str>,
    /// How much usefulness counts.
    pub utility: Utility,
    /// What the text means, if an encoder says it.
    pub meaning: Option<&'a Meaning>,
}

impl ContextAsk<'_> {
    /// Characters that the context may have.
    fn budget(&self) -> usize {
        let quarter = |window: u64| (window / 4).clamp(LEAST_TOKENS, MOST_TOKENS);
        (self.window.map_or(TOKENS, quarter) * CHARACTERS) as usize
    }
}

/// Hundredths of the budget that a layer may take. Constraints may take twice their share again at the
/// cost of the facts, which take what all others leave.
fn share(layer: Layer) -> usize {
    match layer {
        Layer::Identity => 10,
        Layer::Constraints => 60,
        Layer::Conversation => 20,
        Layer::Environment | Layer::Unknowns => 5,
        Layer::Facts => 0,
    }
}

impl Snapshot {
    /// What a model should know about `ask.text`. Empty if the caller sees neither facts nor turns.
    pub fn context(&self, ask: &ContextAsk<'_>) -> String {
        let ContextAsk { text, tenant, utility, meaning, .. } = *ask;
        let question = Ask { text, tenant, turns: false, utility, meaning };
        self.build(ask, Some(&self.ranking(&question)))
    }

    /// The same layers without ranking and without what is not known: facts stand in the order of
    /// creation, and the newest are there. It looks at no more facts than it shows.
    pub fn context_fast(&self, ask: &ContextAsk<'_>) -> String {
        self.build(ask, None)
    }

    fn build(&self, ask: &ContextAsk<'_>, ranking: Option<&Ranking<'_>>) -> String {
        if self.fact_count(ask.tenant) == 0 && self.turn_count() == 0 {
            return String::new();
        }
        let budget = ask.budget();
        let context = Context { graph: self, ask, ranking, most: budget / SHORTEST };
        let of = |layer: Layer, budget: usize| context.layer(Section::new(layer, budget));
        let others = Layer::ALL.into_iter().filter(|layer| *layer != Layer::Facts);
        let mut sections: Vec<Section> =
            others.map(|layer| of(layer, budget * share(layer) / 100)).collect();
        let left = budget - sections.iter().map(Section::used).sum::<usize>();
        sections.push(of(Layer::Facts, left));
        sections.sort_by_key(Section::layer);
        sections.iter().filter_map(Section::text).collect::<Vec<_>>().join(BREAK)
    }
}

/// A context that is being built.
struct Context<'a> {
    graph: &'a Snapshot,
    ask: &'a ContextAsk<'a>,
    /// `None`: it has to be fast.
    ranking: Option<&'a Ranking<'a>>,
    /// The most lines that could fit.
    most: usize,
}

impl Context<'_> {
    fn layer(&self, mut section: Section) -> Section {
        match (section.layer(), self.ranking) {
            (Layer::Identity, _) => {
                section.fill(self.ask.agent.map(|agent| clean(&format!("agent: {agent}"))));
                section.fill(self.in_order(Layer::Identity).map(|fact| line(fact)));
            }
            (Layer::Constraints, _) => self.constraints(&mut section),
            (Layer::Facts, Some(ranking)) => {
                let facts = self.matching(ranking, Layer::Facts);
                section.fill_what_fits(facts.iter().map(|hit| line(&hit.fact)));
            }
            (Layer::Facts, None) => {
                section.fill(self.in_order(Layer::Facts).rev().map(|fact| line(fact)));
                section.oldest_first();
            }
            (Layer::Conversation, _) => {
                let said = |turn: &Arc<Fact>| clean(&format!("{}: {}", turn.subject, turn.body));
                section.fill(self.graph.turns().rev().map(said));
                section.oldest_first();
            }
            (Layer::Environment, _) => {
                section.fill(self.in_order(Layer::Environment).rev().map(|fact| line(fact)));
            }
            (Layer::Unknowns, Some(ranking)) => {
                let questions = self.matching(ranking, Layer::Unknowns);
                section
                    .fill(questions.iter().map(|hit| line(&hit.fact)).chain(self.unknown_terms()));
            }
            (Layer::Unknowns, None) => {}
        }
        section
    }

    /// Those that match, then the others, newest first, then how many did not fit.
    fn constraints(&self, section: &mut Section) {
        let matching =
            self.ranking.map_or_else(Vec::new, |it| self.matching(it, Layer::Constraints));
        let is_taken: HashSet<*const Fact> =
            matching.iter().map(|it| Arc::as_ptr(&it.fact)).collect();
        let others = self.in_order(Layer::Constraints).rev();
        let others = others.filter(|fact| !is_taken.contains(&Arc::as_ptr(fact)));
        let lines = matching.iter().map(|hit| &hit.fact).chain(others).map(|fact| line(fact));
        let all = self.graph.bank(self.ask.tenant).constraints;
        let more = |count: usize| format!("({count} more constraints not shown)");
        section.reserve(more(all).len() + 1);
        let shown = section.fill_what_fits(lines);
        if shown < all {
            section.close(more(all - shown));
        }
    }

    /// The facts of a layer that match the query, the best first.
    fn matching(&self, ranking: &Ranking<'_>, layer: Layer) -> Vec<Hit> {
        ranking.take(self.most, |fact| fact.layer() == layer)
    }

    fn in_order(&self, layer: Layer) -> impl DoubleEndedIterator<Item = &Arc<Fact>> {
        self.graph.layer(layer, self.ask.tenant)
    }

    /// What the query asks for and no fact holds, in its order.
    fn unknown_terms(&self) -> impl Iterator<Item = String> {
        let parts = self.graph.visible(self.ask.tenant);
        let is_known = |term: &str| {
            let hub =
                self.graph.hubs.find(HubKind::Term, term).and_then(|it| self.graph.hubs.get(it));
            hub.is_some_and(|hub| hub.count(&parts) > 0)
        };
        let asked = Asked::of(self.ask.text).terms;
        let unknown = asked.into_iter().filter(|(term, _)| !is_known(term));
        let mut unknown: Vec<(usize, String)> = unknown.map(|it| it.1).collect();
        unknown.sort();
        unknown
            .into_iter()
            .take(UNKNOWN_TERMS)
            .map(|it| format!("nothing known about \"{}\"", it.1))
    }
}

/// The one line of a fact.
fn line(fact: &Fact) -> String {
    format!("- {}: {}", clean(&fact.subject), clean(&fact.body))
}

/// A text on one line that is no heading.
fn clean(text: &str) -> String {
    let breaks = |letter: char| letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}');
    let line = text.replace(breaks, " ");
    let line = line.trim();
    match line.trim_start_matches(|letter: char| letter.is_whitespace() || is_invisible(letter)) {
        heading if heading.starts_with('#') => format!("\\{heading}"),
        _ => line.to_owned(),
    }
}

/// Whether a character shows nothing, so that what follows it seems to open the line. After Unicode's
/// `Default_Ignorable_Code_Point`, without letters.
fn is_invisible(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}
