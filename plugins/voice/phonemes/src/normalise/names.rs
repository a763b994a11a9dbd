//! Titles, abbreviations, Roman numerals and signs.

use super::scan::{Place, Scan, is_word};
use super::{Normaliser, Reading};
use crate::numbers;

/// "St Paul", "Prof. Smith": only before a capital.
pub(super) fn title(rules: &Normaliser, place: &Place<'_>) -> Reading {
    if !place.opens_word() || !place.rest().starts_with(|c: char| c.is_ascii_uppercase()) {
        return None;
    }
    let mut scan = Scan::new(place.rest());
    let title = scan.word_of(rules.tables.titles.keys().map(String::as_str))?;
    scan.literal(".");
    scan.literal(" ")?;
    scan.peek().filter(char::is_ascii_uppercase)?;
    Some((scan.taken(), format!("{} ", rules.tables.titles.get(title)?)))
}

/// "approx." to "approximately"; the full stop of the sentence stays.
pub(super) fn abbreviation(rules: &Normaliser, place: &Place<'_>) -> Reading {
    let rest = place.rest();
    if !place.opens_number() || !rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let mut scan = Scan::new(rest);
    let short = scan.word_of(rules.tables.abbreviations.keys().map(String::as_str))?;
    let ends = scan.rest.is_empty() && short.ends_with('.');
    // "no." is also the word: it is a number only before one.
    if matches!(short, "no." | "nos.")
        && !scan.rest.trim_start().starts_with(|c: char| c.is_ascii_digit())
    {
        return None;
    }
    let long = rules.tables.abbreviations.get(short)?;
    Some((scan.taken(), format!("{long}{}", if ends { "." } else { "" })))
}

/// "No. 5" and "#5".
pub(super) fn number_sign(_: &Normaliser, place: &Place<'_>) -> Reading {
    let mut scan = Scan::new(place.rest());
    let said = if scan.literal("#").is_some() {
        if place.before().is_some_and(|c| is_word(c) || c == '&') {
            return None;
        }
        "number "
    } else {
        if !place.opens_word() {
            return None;
        }
        scan.literal("No")?;
        let many = scan.literal("s").is_some();
        scan.literal(".")?;
        scan.space();
        if many { "Numbers " } else { "Number " }
    };
    scan.peek().filter(char::is_ascii_digit)?;
    Some((scan.taken(), said.to_owned()))
}

/// "Chapter IV" and "Henry VIII".
pub(super) fn roman(rules: &Normaliser, place: &Place<'_>) -> Reading {
    if !place.opens_word() || !place.rest().starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    if let Some((taken, word, value)) = counted(place, &rules.tables.roman_cardinal) {
        return Some((taken, format!("{word} {value}")));
    }
    let (taken, word, value) = counted(place, &rules.tables.roman_ordinal)?;
    Some((taken, format!("{word} the {}", numbers::joined(&numbers::ordinal(value)))))
}

/// One of the words with a Roman numeral after it: bytes taken, the word, the value.
fn counted<'w>(place: &Place<'_>, words: &'w [String]) -> Option<(usize, &'w str, u64)> {
    let mut scan = Scan::new(place.rest());
    let word = scan.word_of(words.iter().map(String::as_str))?;
    scan.literal(" ")?;
    let length = scan.rest.len() - scan.rest.trim_start_matches(|c| "IVXLCDM".contains(c)).len();
    let (numeral, after) = scan.rest.split_at(length);
    let mut next = after.chars();
    let ends = match next.next() {
        Some('.' | '\'' | '’') => !next.next().is_some_and(is_word),
        Some(c) => !is_word(c),
        None => true,
    };
    let value = roman_value(numeral).filter(|_| ends)?;
    Some((scan.taken() + length, word, value))
}

/// The value of a well-formed numeral below 4000 that opens with no "D" or "M": those are words more often.
fn roman_value(numeral: &str) -> Option<u64> {
    const PARTS: [(&str, u64); 13] = [
        ("M", 1000),
        ("CM", 900),
        ("D", 500),
        ("CD", 400),
        ("C", 100),
        ("XC", 90),
        ("L", 50),
        ("XL", 40),
        ("X", 10),
        ("IX", 9),
        ("V", 5),
        ("IV", 4),
        ("I", 1),
    ];
    if !numeral.starts_with(['I', 'V', 'X', 'L', 'C']) {
        return None;
    }
    let (mut rest, mut value) = (numeral, 0);
    for (part, worth) in PARTS {
        let most = if part.len() == 2 || matches!(part, "D" | "L" | "V") { 1 } else { 3 };
        for _ in 0..most {
            if let Some(after) = rest.strip_prefix(part) {
                rest = after;
                value += worth;
            }
        }
    }
    rest.is_empty().then_some(value)
}

/// Signs that have a name. Those of comparison only between two things.
pub(super) fn symbol(rules: &Normaliser, place: &Place<'_>) -> Reading {
    let sign = place.rest().chars().next()?;
    if sign.is_alphanumeric() && sign.is_ascii() {
        return None;
    }
    let mut key = [0; 4];
    let word = rules.tables.symbols.get(&*sign.encode_utf8(&mut key))?;
    let after = place.rest()[sign.len_utf8()..].trim_start();
    let between = !place.text[..place.at].trim().is_empty() && !after.is_empty();
    if "=<>~".contains(sign) && !between {
        return None;
    }
    let said = if word.is_empty() { " ".to_owned() } else { format!(" {word} ") };
    Some((sign.len_utf8(), said))
}

#[cfg(test)]
mod tests {
    use super::roman_value;

    #[test]
    fn numerals_have_their_value_and_words_have_none() {
        for (numeral, value) in [
            ("I", Some(1)),
            ("IV", Some(4)),
            ("VIII", Some(8)),
            ("XIV", Some(14)),
            ("XLII", Some(42)),
            ("CXC", Some(190)),
            ("IIII", None),
            ("VV", None),
            ("MIX", None),
            ("", None),
            ("IC", None),
        ] {
            assert_eq!(roman_value(numeral), value, "{numeral}");
        }
    }
}
