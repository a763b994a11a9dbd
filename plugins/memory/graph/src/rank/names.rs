//! Subjects that a text names.

use super::view::View;
use crate::{
    graph::HubKind,
    terms::{subject_key, weighed},
};

/// Words of the longest subject that is looked for.
const SUBJECT_WORDS: usize = 8;

/// The subjects of facts that the caller sees whose whole names stand in a text, word for word, in its
/// order, none twice. Where several begin at one word it is the longest, and what it is made of names
/// nothing more. Stop words alone name nothing in a text that has other words.
pub(super) fn named(view: &View<'_>, text: &str) -> Vec<u32> {
    let words = weighed(text);
    let look = |key: &str| {
        let subject = view.graph.hubs.find(HubKind::Subject, key)?;
        (view.edges(subject) > 0).then_some(subject)
    };
    if words.is_empty() {
        return look(&subject_key(text)).into_iter().collect();
    }
    let mut found = Vec::new();
    let (mut start, mut key) = (0, String::new());
    while start < words.len() {
        key.clear();
        let (mut counts, mut longest) = (false, None);
        for (at, (word, word_counts)) in words[start..].iter().take(SUBJECT_WORDS).enumerate() {
            if at > 0 {
                key.push(' ');
            }
            key.push_str(word);
            counts |= word_counts;
            if let Some(subject) = look(&key).filter(|_| counts) {
                longest = Some((subject, at + 1));
            }
        }
        let (subject, taken) = longest.map_or((None, 1), |it| (Some(it.0), it.1));
        found.extend(subject.filter(|it| !found.contains(it)));
        start += taken;
    }
    found
}
