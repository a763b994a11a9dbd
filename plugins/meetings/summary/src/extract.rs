//! The extractive summary: sentences near the centroid of all, and those that cues tell.

use std::fmt::Write;

use carport_meetings_record::Segment;

use crate::{
    cues::{Cues, Kind, Known, is_answer},
    sentences::sentences,
    terms::{Vector, centroid, cosine, vectors, words},
};

/// The sentences of a summary: a twelfth of all, between these.
const FEWEST: usize = 3;
const MOST: usize = 12;
/// Sentences with fewer words are not chosen.
const WORDS: usize = 4;
/// How alike a sentence may be to one that is chosen.
const ALIKE: f64 = 0.7;
/// What a place in the first or last tenth of the meeting adds to a weight.
const EDGE: f64 = 1.1;
/// Bytes of an item; a segment without the end of a sentence is one, however long it is.
const MOST_ITEM: usize = 1 << 10;
/// Items of a list.
const ITEMS: usize = 12;

/// A sentence of the transcript.
struct Said<'a> {
    speaker: &'a str,
    text: &'a str,
    at_ms: u64,
}

/// The summary of a transcript as Markdown, without a title; empty if nothing was said. `segments` are as
/// readers see them, in any order. The same transcript gives the same text, on any machine.
///
/// A sentence weighs as the cosine to the TF-IDF centroid of all sentences (Radev et al., "Centroid-based
/// summarization of multiple documents", 2004), a tenth more at either end of the meeting.
pub fn extractive(segments: &[Segment], cues: &Cues) -> String {
    let mut ordered: Vec<_> = segments.iter().collect();
    ordered.sort_by_key(|it| (it.start_ms, it.n));
    let said: Vec<_> = ordered.into_iter().flat_map(said).collect();
    let mut text = String::new();
    let summary = chosen(&said).into_iter().map(|at| said[at].text.to_owned()).collect();
    section(&mut text, "Summary", summary);
    let (decisions, actions, questions) = listed(&said, &Known::new(cues));
    section(&mut text, "Decisions", decisions);
    section(&mut text, "Action items", actions);
    section(&mut text, "Open questions", questions);
    text
}

fn said(segment: &Segment) -> impl Iterator<Item = Said<'_>> {
    let sentence = |text| Said { speaker: &segment.speaker, text, at_ms: segment.start_ms };
    sentences(&segment.text).into_iter().map(sentence)
}

/// The sentences of the summary, in the order of speech.
fn chosen(said: &[Said<'_>]) -> Vec<usize> {
    if said.len() < FEWEST {
        return (0..said.len()).collect();
    }
    let vectors = vectors(&said.iter().map(|it| it.text).collect::<Vec<_>>());
    let mut ranked = ranked(said, &vectors);
    let wanted = (said.len() / 12).clamp(FEWEST, MOST);
    let mut chosen = Vec::<usize>::new();
    ranked.retain(|at| {
        let is_wanted = chosen.len() < wanted
            && words(said[*at].text).len() >= WORDS
            && chosen.iter().all(|it| cosine(&vectors[*it], &vectors[*at]) <= ALIKE);
        if is_wanted {
            chosen.push(*at);
        }
        is_wanted
    });
    chosen.sort_unstable();
    chosen
}

/// Sentences by weight, the heaviest first; of equal ones the earlier.
fn ranked(said: &[Said<'_>], vectors: &[Vector]) -> Vec<usize> {
    let middle = centroid(vectors);
    let (first, last) =
        (said.first().map_or(0, |it| it.at_ms), said.last().map_or(0, |it| it.at_ms));
    let tenth = (last - first) / 10;
    let weight = |at: usize| {
        let place = said[at].at_ms;
        let is_edge = place <= first + tenth || place >= last - tenth;
        cosine(&vectors[at], &middle) * if is_edge { EDGE } else { 1.0 }
    };
    let weights: Vec<_> = (0..said.len()).map(weight).collect();
    let mut ranked: Vec<_> = (0..said.len()).collect();
    ranked.sort_by(|one, other| weights[*other].total_cmp(&weights[*one]).then(one.cmp(other)));
    ranked
}

/// Decisions, action items and open questions, each with who said it.
fn listed(said: &[Said<'_>], known: &Known) -> (Vec<String>, Vec<String>, Vec<String>) {
    let (mut decisions, mut actions, mut questions) = (Vec::new(), Vec::new(), Vec::new());
    for (at, sentence) in said.iter().enumerate() {
        let answered = || {
            said.get(at + 1)
                .is_some_and(|next| next.speaker != sentence.speaker && is_answer(next.text))
        };
        let list = match known.kind(sentence.text) {
            Some(Kind::Decision) => &mut decisions,
            Some(Kind::Action) => &mut actions,
            Some(Kind::Question { asked: true })
                if words(sentence.text).len() < WORDS || answered() =>
            {
                continue;
            }
            Some(Kind::Question { .. }) => &mut questions,
            None => continue,
        };
        let item = format!("{}: {}", sentence.speaker, sentence.text);
        if list.len() < ITEMS && !list.contains(&item) {
            list.push(item);
        }
    }
    (decisions, actions, questions)
}

fn section(text: &mut String, name: &str, items: Vec<String>) {
    if items.is_empty() {
        return;
    }
    let gap = if text.is_empty() { "" } else { "\n" };
    let _ = write!(text, "{gap}## {name}\n\n");
    for item in items {
        let item = item.split_whitespace().collect::<Vec<_>>().join(" ");
        let cut = &item[..item.floor_char_boundary(MOST_ITEM)];
        let _ = writeln!(text, "- {cut}{}", if cut.len() < item.len() { "..." } else { "" });
    }
}

#[cfg(test)]
mod tests;
