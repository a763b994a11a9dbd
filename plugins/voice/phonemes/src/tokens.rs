//! Text to tokens: contractions, abbreviations, punctuation and hyphens apart, as the tagger was trained.

use std::collections::HashMap;

/// What lies between two cuts: a word, a part of one, or a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'t> {
    pub(crate) text: &'t str,
    /// White space follows.
    pub(crate) space: bool,
}

/// Cuts by spaCy's rules for English, which the tagger's training data was cut by.
#[derive(Debug)]
pub(crate) struct Tokenizer {
    /// Words that are cut in a way of their own ("can't", "10am"), and the length of each part in bytes.
    exceptions: HashMap<String, Vec<usize>>,
}

/// A letter, or a number that is not a digit.
pub(crate) fn is_letter(c: char) -> bool {
    c.is_alphanumeric() && !c.is_ascii_digit()
}

pub(crate) fn is_lower(c: char) -> bool {
    matches!(c, 'a'..='z' | 'ß'..='ö' | 'ø'..='ÿ')
}

pub(crate) fn is_upper(c: char) -> bool {
    matches!(c, 'A'..='Z' | 'À'..='Ö' | 'Ø'..='Þ')
}

fn is_quote(c: char) -> bool {
    "'\"”“`‘´’‚,„»«「」『』（）〔〕【】《》〈〉".contains(c)
}

fn is_punct(c: char) -> bool {
    "…,:;!?¿¡()[]{}<>_#*&。？！，、；：～·".contains(c)
}

fn is_icon(c: char) -> bool {
    "™®©°§¶†‡•".contains(c)
}

const MONEY: [&str; 3] = ["US$", "C$", "A$"];
const MONEY_SIGNS: &str = "$£€¥฿₽₹₩₪₺₴₦₫₱₲₵₸₼₾₿";
const UNITS: [&str; 44] = [
    "km", "km²", "km³", "m", "m²", "m³", "dm", "dm²", "dm³", "cm", "cm²", "cm³", "mm", "mm²",
    "mm³", "ha", "µm", "nm", "yd", "in", "ft", "kg", "g", "mg", "µg", "t", "lb", "oz", "m/s",
    "km/h", "kmh", "mph", "hPa", "Pa", "mbar", "mb", "MB", "kb", "KB", "gb", "GB", "tb", "TB", "T",
];
const MORE_UNITS: [&str; 4] = ["G", "M", "K", "%"];

/// Bytes of the mark that a chunk opens with, 0 for none.
fn prefix(s: &str) -> usize {
    let mut chars = s.chars();
    let Some(c) = chars.next() else { return 0 };
    let next = chars.next();
    let single = match c {
        '§' | '%' | '=' | '—' | '–' => true,
        '+' => !next.is_some_and(|n| n.is_ascii_digit()),
        _ => is_punct(c) || is_quote(c) || is_icon(c) || MONEY_SIGNS.contains(c),
    };
    let dots = s.len() - s.trim_start_matches('.').len();
    if single {
        c.len_utf8()
    } else if dots > 1 {
        dots
    } else {
        MONEY.iter().find(|m| s.starts_with(**m)).map_or(0, |m| m.len())
    }
}

/// Bytes of the mark or unit that a chunk closes with, the longest that fits, 0 for none.
fn suffix(s: &str) -> usize {
    let Some(c) = s.chars().next_back() else { return 0 };
    let before = |bytes: usize| s[..s.len() - bytes].chars().next_back();
    let after_digit = |bytes: usize| before(bytes).is_some_and(|b| b.is_ascii_digit());
    let mut longest = 0;
    if is_punct(c) || is_quote(c) || is_icon(c) || matches!(c, '—' | '–') {
        longest = c.len_utf8();
    }
    if s.ends_with("……") {
        longest = "……".len();
    }
    for possessive in ["'s", "'S", "’s", "’S"] {
        if s.ends_with(possessive) {
            longest = longest.max(possessive.len());
        }
    }
    let dots = s.len() - s.trim_end_matches('.').len();
    if dots > 1 || (dots == 1 && dot_ends(&s[..s.len() - 1])) {
        longest = longest.max(dots);
    }
    if (c == '+' || MONEY_SIGNS.contains(c)) && after_digit(c.len_utf8()) {
        longest = longest.max(c.len_utf8());
    }
    for end in UNITS.iter().chain(&MORE_UNITS).chain(&MONEY) {
        if s.ends_with(end) && after_digit(end.len()) {
            longest = longest.max(end.len());
        }
    }
    longest
}

/// Whether a full stop after `stem` is a mark of its own rather than part of an abbreviation.
fn dot_ends(stem: &str) -> bool {
    let mut back = stem.chars().rev();
    let Some(last) = back.next() else { return false };
    let before = back.next();
    last.is_ascii_digit()
        || is_lower(last)
        || matches!(last, '%' | '²' | '-' | '+')
        || is_punct(last)
        || is_quote(last)
        || (before == Some('°') && "FfCcKk".contains(last))
        || (is_upper(last) && before.is_some_and(is_upper))
}

/// Bytes of the mark inside a word that stands at `at`, 0 for none.
fn infix(s: &str, at: usize) -> usize {
    let before = s[..at].chars().next_back();
    let mut rest = s[at..].chars();
    let Some(c) = rest.next() else { return 0 };
    let next = rest.next();
    let between =
        |l: fn(char) -> bool, r: fn(char) -> bool| before.is_some_and(l) && next.is_some_and(r);
    let dots = s[at..].len() - s[at..].trim_start_matches('.').len();
    if dots > 1 {
        return dots;
    }
    let single = match c {
        '…' => true,
        '.' => between(|b| is_lower(b) || is_quote(b), |n| is_upper(n) || is_quote(n)),
        ',' => between(is_letter, is_letter),
        ':' | '<' | '>' | '=' | '/' => between(char::is_alphanumeric, is_letter),
        '+' | '*' | '^' => between(|b| b.is_ascii_digit(), |n| n.is_ascii_digit() || n == '-'),
        _ => is_icon(c),
    };
    let sum = c == '-' && between(|b| b.is_ascii_digit(), |n| n.is_ascii_digit() || n == '-');
    if single || sum {
        return c.len_utf8();
    }
    if !before.is_some_and(char::is_alphanumeric) {
        return 0;
    }
    let dashes = ["---", "--", "-", "——", "—", "–", "~"];
    let dash = dashes.iter().find(|d| s[at..].starts_with(**d)).map_or(0, |d| d.len());
    if s[at + dash..].chars().next().is_some_and(is_letter) { dash } else { 0 }
}

impl Tokenizer {
    /// `exceptions` gives the parts of each word; one whose parts do not spell it is left out.
    pub(crate) fn new(exceptions: HashMap<String, Vec<String>>) -> Self {
        let spelled = exceptions.into_iter().filter(|(word, parts)| parts.concat() == *word);
        let exceptions =
            spelled.map(|(word, parts)| (word, parts.iter().map(String::len).collect())).collect();
        Self { exceptions }
    }

    /// The tokens of one sentence.
    pub(crate) fn split<'t>(&self, text: &'t str) -> Vec<Token<'t>> {
        let mut tokens = Vec::new();
        for chunk in text.split_whitespace() {
            let parts = self.parts(chunk);
            let last = parts.len().saturating_sub(1);
            tokens.extend(
                parts.into_iter().enumerate().map(|(i, text)| Token { text, space: i == last }),
            );
        }
        if let Some(last) = tokens.last_mut() {
            last.space = false;
        }
        tokens
    }

    /// Peels marks off both ends, cuts what is left at marks within, then joins neighbours that spell an exception.
    fn parts<'t>(&self, chunk: &'t str) -> Vec<&'t str> {
        let mut parts = Vec::new();
        let mut tail = Vec::new();
        let mut s = chunk;
        while !s.is_empty() && !self.exceptions.contains_key(s) {
            let pre = prefix(s);
            if pre > 0 && self.exceptions.contains_key(&s[pre..]) {
                parts.push(&s[..pre]);
                s = &s[pre..];
                break;
            }
            let end = s.len() - suffix(&s[pre..]);
            if end < s.len() && self.exceptions.contains_key(&s[..end]) {
                tail.push(&s[end..]);
                s = &s[..end];
                break;
            }
            if pre == 0 && end == s.len() {
                break;
            }
            if pre > 0 {
                parts.push(&s[..pre]);
            }
            if end < s.len() {
                tail.push(&s[end..]);
            }
            s = &s[pre..end];
        }
        if !self.cut_exception(s, &mut parts) {
            cut_within(s, &mut parts);
        }
        parts.extend(tail.into_iter().rev());
        self.rejoin(chunk, &parts)
    }

    fn cut_exception<'t>(&self, word: &'t str, parts: &mut Vec<&'t str>) -> bool {
        let Some(lengths) = self.exceptions.get(word) else { return false };
        let mut at = 0;
        for length in lengths {
            parts.push(&word[at..at + length]);
            at += length;
        }
        true
    }

    /// "Sept" "." becomes "Sept.", ")" ":" becomes "):". The parts lie side by side in `chunk`.
    fn rejoin<'t>(&self, chunk: &'t str, parts: &[&'t str]) -> Vec<&'t str> {
        let mut joined = Vec::with_capacity(parts.len());
        let (mut at, mut i) = (0, 0);
        while i < parts.len() {
            let spelled = [3, 2].into_iter().find_map(|count| {
                let run = parts.get(i..i + count)?;
                let length = run.iter().map(|p| p.len()).sum::<usize>();
                let word = &chunk[at..at + length];
                self.exceptions.contains_key(word).then_some((count, word))
            });
            if let Some((count, word)) = spelled {
                self.cut_exception(word, &mut joined);
                at += word.len();
                i += count;
            } else {
                joined.push(parts[i]);
                at += parts[i].len();
                i += 1;
            }
        }
        joined
    }
}

fn cut_within<'t>(s: &'t str, parts: &mut Vec<&'t str>) {
    let (mut start, mut at) = (0, 0);
    while let Some(c) = s[at..].chars().next() {
        let mark = if at > 0 { infix(s, at) } else { 0 };
        if mark == 0 {
            at += c.len_utf8();
            continue;
        }
        if at > start {
            parts.push(&s[start..at]);
        }
        parts.push(&s[at..at + mark]);
        at += mark;
        start = at;
    }
    if start < s.len() {
        parts.push(&s[start..]);
    }
}
