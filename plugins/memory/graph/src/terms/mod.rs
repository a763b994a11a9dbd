//! Texts as terms: the words that facts and queries share.
//!
//! A text is normalized (Unicode NFKC) and lower-cased. A word is a run of letters and digits; marks
//! that stand on a letter and are none themselves are left out of it. English endings are taken off
//! ([`stem`]). Scripts that are written without spaces give a term for each pair of characters.

mod stem;

use std::collections::{BTreeMap, HashSet};

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

pub(crate) use stem::stem;

/// Characters of a term; what a longer word has beyond them does not count.
const LONGEST: usize = 64;

/// Words that a query leaves out if it has others, sorted. `s` and `t` are what apostrophes cut off.
const STOP_WORDS: [&str; 72] = [
    "a", "about", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can", "could",
    "did", "do", "does", "for", "from", "had", "has", "have", "he", "her", "his", "how", "i", "if",
    "in", "into", "is", "it", "its", "may", "me", "my", "of", "on", "or", "our", "s", "she",
    "should", "so", "t", "than", "that", "the", "their", "them", "then", "there", "these", "they",
    "this", "those", "to", "was", "we", "were", "what", "when", "where", "which", "who", "whose",
    "why", "will", "with", "would", "you", "your",
];

/// A text in the one form in which texts are compared: NFKC, lower case.
pub(crate) fn normal(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let lower = |letter: char| letter.to_lowercase().map(|it| if it == 'ς' { 'σ' } else { it });
    text.nfkc().flat_map(lower).collect()
}

/// The words of a text, in its order.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut is_unspaced = false;
    for letter in normal(text).chars() {
        if letter.is_alphanumeric() {
            if unspaced(letter) != is_unspaced && !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            is_unspaced = unspaced(letter);
            word.push(letter);
        } else if !is_combining_mark(letter) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

/// The words of a text, each with whether it counts: stop words do where there is nothing else.
pub(crate) fn weighed(text: &str) -> Vec<(String, bool)> {
    let words = words(text);
    let is_stop = |word: &String| STOP_WORDS.binary_search(&word.as_str()).is_ok();
    let only_stops = words.iter().all(is_stop);
    let counted = words.into_iter().map(|word| {
        let counts = only_stops || !is_stop(&word);
        (word, counts)
    });
    counted.collect()
}

/// Calls `each` with every term of a word.
fn word_terms(word: &str, mut each: impl FnMut(&str)) {
    if !word.starts_with(unspaced) {
        return each(&stem(cut(word)));
    }
    let starts: Vec<usize> = word.char_indices().map(|(at, _)| at).chain([word.len()]).collect();
    match starts.len() {
        ..=2 => each(word),
        _ => starts.windows(3).for_each(|pair| each(&word[pair[0]..pair[2]])),
    }
}

/// Calls `each` with every term of a text, in its order, as often as it occurs.
pub(crate) fn terms(text: &str, mut each: impl FnMut(&str)) {
    for word in words(text) {
        word_terms(&word, &mut each);
    }
}

/// The different terms of a text.
pub(crate) fn term_set(text: &str) -> HashSet<String> {
    let mut set = HashSet::new();
    terms(text, |term| {
        if !set.contains(term) {
            set.insert(term.to_owned());
        }
    });
    set
}

/// What a query asks for.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Its different terms in the order of their letters, each with its place in the query and the
    /// word that it comes from. Stop words are among them only if there is nothing else.
    pub(crate) terms: BTreeMap<String, (usize, String)>,
}

impl Asked {
    pub(crate) fn of(query: &str) -> Self {
        let words = weighed(query);
        let mut terms = BTreeMap::new();
        for (at, (word, _)) in words.iter().enumerate().filter(|it| it.1.1) {
            word_terms(word, |term| {
                if !terms.contains_key(term) {
                    let shown = if word.starts_with(unspaced) { term } else { cut(word) };
                    terms.insert(term.to_owned(), (at, shown.to_owned()));
                }
            });
        }
        Self { terms }
    }
}

/// What two subjects have in common that are the same but for case, marks and spacing.
pub(crate) fn subject_key(subject: &str) -> String {
    let words = words(subject);
    match words.is_empty() {
        // A sign or an emoji is a subject, too.
        true => normal(subject).trim().to_owned(),
        false => words.join(" "),
    }
}

fn cut(word: &str) -> &str {
    word.char_indices().nth(LONGEST).map_or(word, |(end, _)| &word[..end])
}

/// Whether a letter is of a script that is written without spaces: Thai, Lao, Burmese, Khmer, kana,
/// Han and, for its endings, Hangul.
fn unspaced(letter: char) -> bool {
    matches!(letter,
        '\u{0e00}'..='\u{0eff}'
        | '\u{1000}'..='\u{109f}'
        | '\u{1780}'..='\u{17ff}'
        | '\u{1100}'..='\u{11ff}'
        | '\u{3005}'..='\u{3007}'
        | '\u{3040}'..='\u{30ff}'
        | '\u{3100}'..='\u{318f}'
        | '\u{31a0}'..='\u{31ff}'
        | '\u{3400}'..='\u{9fff}'
        | '\u{a960}'..='\u{a97f}'
        | '\u{ac00}'..='\u{d7ff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests;
