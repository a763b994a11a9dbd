//! Text to sentences, and long sentences to parts.

use std::collections::HashSet;

/// Characters of a part, at most: some 20 seconds of speech, and about as many phonemes.
const MAX_CHARS: usize = 300;
/// Characters of the first part where a clause ends so early: its sound is to be ready at once.
const FIRST_CHARS: usize = 80;
/// A part shorter than this sounds torn off.
const MIN_CHARS: usize = 20;

/// The sentences of `text`, each trimmed and not empty. `titles` are words whose full stop ends no sentence ("Dr").
#[derive(Clone, Debug)]
pub(crate) struct Splitter<'a> {
    rest: &'a str,
    titles: &'a HashSet<String>,
    /// What is left of the sentence at hand.
    sentence: &'a str,
    first: bool,
}

impl<'a> Splitter<'a> {
    pub(crate) fn new(text: &'a str, titles: &'a HashSet<String>) -> Self {
        Self { rest: text, titles, sentence: "", first: true }
    }
}

impl<'a> Iterator for Splitter<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        while self.sentence.is_empty() {
            self.rest = self.rest.trim_start();
            if self.rest.is_empty() {
                return None;
            }
            let (sentence, rest) = self.rest.split_at(sentence_len(self.rest, self.titles));
            self.rest = rest;
            self.sentence = sentence.trim();
        }
        let at = part_len(self.sentence, self.first);
        let (part, rest) = self.sentence.split_at(at);
        self.sentence = rest.trim_start();
        self.first = false;
        Some(part.trim_end())
    }
}

/// Bytes up to the end of a line or to the white space after a sentence's end.
fn sentence_len(text: &str, titles: &HashSet<String>) -> usize {
    let mut ended = None;
    for (at, c) in text.char_indices() {
        if matches!(c, '\n' | '\r') {
            return at;
        } else if matches!(c, '.' | '!' | '?' | '…') {
            ended = Some(at + c.len_utf8());
        } else if let Some(end) = ended {
            if c.is_whitespace() {
                let next = text[at..].trim_start();
                let opens = next.starts_with(|c: char| !c.is_lowercase());
                if opens && !abbreviates(&text[..end], next, titles) {
                    return at;
                }
                ended = None;
            } else if !matches!(c, '"' | '”' | '’' | '\'' | ')' | ']' | '*' | '`') {
                ended = None;
            }
        }
    }
    text.len()
}

/// Short forms that go before something.
const BEFORE_ALL: [&str; 8] = ["e.g", "i.e", "vs", "cf", "al", "approx", "Fig", "fig"];
/// Short forms that go before a number.
const BEFORE_NUMBERS: [&str; 24] = [
    "No", "Nos", "no", "nos", "Vol", "vol", "Ch", "ch", "Sec", "sec", "pp", "ca", "Jan", "Feb",
    "Mar", "Apr", "Jun", "Jul", "Aug", "Sep", "Sept", "Oct", "Nov", "Dec",
];
/// Words that open a sentence after "U.S." rather than go on with it.
const OPENERS: [&str; 16] = [
    "The", "A", "An", "It", "He", "She", "We", "They", "I", "This", "That", "These", "There", "In",
    "But", "And",
];

/// Whether `text` ends in the full stop of a title, an initial or a short form that `next` belongs to.
fn abbreviates(text: &str, next: &str, titles: &HashSet<String>) -> bool {
    let Some(stem) = text.strip_suffix('.') else { return false };
    let start = stem.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let word = stem[start..].trim_start_matches(['(', '"', '“', '\'', '‘', '[']);
    let letters = |c: char| c == '.' || c.is_uppercase();
    // "J" and "U.S", but not "USA".
    let initials =
        word.split('.').all(|part| part.chars().count() == 1) && word.chars().all(letters);
    let follower = next.split(|c: char| !c.is_alphabetic()).next().unwrap_or("");
    let single = word.chars().nth(1).is_none();
    (initials && (single || !OPENERS.contains(&follower)))
        || titles.contains(word)
        || BEFORE_ALL.contains(&word)
        || (next.starts_with(|c: char| c.is_ascii_digit()) && BEFORE_NUMBERS.contains(&word))
}

/// Bytes of the part that is spoken in one go.
fn part_len(sentence: &str, first: bool) -> usize {
    if first && let Some(at) = last_cut(sentence, MIN_CHARS, FIRST_CHARS, is_clause) {
        return at;
    }
    if sentence.chars().nth(MAX_CHARS).is_none() {
        return sentence.len();
    }
    last_cut(sentence, MIN_CHARS, MAX_CHARS, is_clause)
        .or_else(|| last_cut(sentence, 1, MAX_CHARS, |_| true))
        .or_else(|| sentence.char_indices().nth(MAX_CHARS).map(|(at, _)| at))
        .unwrap_or(sentence.len())
}

fn is_clause(before: char) -> bool {
    matches!(before, ',' | ';' | ':' | '—' | ')')
}

/// The last white space between two characters counted, of those after which `fits` what stands before it, if enough is left behind it.
fn last_cut(sentence: &str, min: usize, max: usize, fits: fn(char) -> bool) -> Option<usize> {
    let mut found = None;
    let mut before = ' ';
    for (count, (at, c)) in sentence.char_indices().enumerate().take(max) {
        if count >= min && c.is_whitespace() && fits(before) {
            found = Some(at);
        }
        before = c;
    }
    found.filter(|at| sentence[*at..].trim().chars().nth(MIN_CHARS / 2).is_some())
}

/// Halves `part` until there are at least `pieces`, 2 or more, and puts them in `left_over`, the first one last. A single
/// character cannot be shorter and is left out.
pub(crate) fn shorten<'a>(part: &'a str, pieces: usize, left_over: &mut Vec<&'a str>) {
    let Some((left, right)) = halves(part) else { return };
    let pieces = pieces.div_ceil(2);
    for half in [right, left] {
        if pieces > 1 && half.chars().nth(1).is_some() {
            shorten(half, pieces, left_over);
        } else {
            left_over.push(half);
        }
    }
}

/// Halves at the white space nearest to the middle, else in the middle; `None` for a single character.
fn halves(part: &str) -> Option<(&str, &str)> {
    let middle =
        part.char_indices().nth(part.chars().count() / 2).map(|(at, _)| at).filter(|at| *at > 0)?;
    let spaces = part.char_indices().filter(|(_, c)| c.is_whitespace()).map(|(at, _)| at);
    let at = spaces.min_by_key(|at| at.abs_diff(middle)).filter(|at| *at > 0).unwrap_or(middle);
    let (left, right) = part.split_at(at);
    Some((left.trim(), right.trim()))
}
