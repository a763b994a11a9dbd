//! Money, measures, fractions, ranges and telephone numbers.

use super::scan::{Place, Scan, is_word};
use super::{Normaliser, Reading};

fn number(digits: &str) -> u64 {
    digits.parse().unwrap_or(u64::MAX)
}

/// The form of a unit after a number.
fn counted<'w>(number: &str, words: &'w [String; 2]) -> &'w str {
    let one = matches!(number.replace(',', "").as_str(), "1" | "1.0" | "-1");
    &words[usize::from(!one)]
}

/// "million", or its letter.
fn magnitude(scan: &mut Scan<'_>) -> Option<&'static str> {
    let mut ahead = *scan;
    ahead.space();
    let words = ["hundred", "thousand", "million", "billion", "trillion"];
    if let Some(word) = words.into_iter().find(|word| ahead.literal(word).is_some()) {
        *scan = ahead;
        return Some(word);
    }
    let word = match ahead.one_of("kKmMbB")?.to_ascii_lowercase() {
        'k' => "thousand",
        'm' => "million",
        _ => "billion",
    };
    ahead.ends_word().then(|| {
        *scan = ahead;
        word
    })
}

/// "$5 million", "£3k": the unit comes last.
pub(super) fn big_money(rules: &Normaliser, place: &Place<'_>) -> Reading {
    let mut scan = Scan::new(place.rest());
    let sign = scan.one_of("$£€")?;
    let amount = scan.number()?;
    let size = magnitude(&mut scan)?;
    let unit = rules.tables.currency.get(&sign.to_string())?;
    Some((scan.taken(), format!("{amount} {size} {}", unit[1])))
}

/// "50¢".
pub(super) fn small_money(rules: &Normaliser, place: &Place<'_>) -> Reading {
    if !place.opens_number() {
        return None;
    }
    let mut scan = Scan::new(place.rest());
    let amount = scan.number()?;
    scan.space();
    scan.literal("¢")?;
    let unit = rules.tables.currency.get("¢")?;
    Some((scan.taken(), format!("{amount} {}", counted(amount, unit))))
}

/// "¥500", "USD 20 million".
pub(super) fn foreign_money(rules: &Normaliser, place: &Place<'_>) -> Reading {
    let rest = place.rest();
    if !place.opens_word() || !rest.starts_with(['¥', '₹', '₩', 'R', 'U', 'E', 'G']) {
        return None;
    }
    let mut scan = Scan::new(rest);
    let signs = ["¥", "₹", "₩", "Rs", "USD", "EUR", "GBP"];
    let sign = signs.into_iter().find(|sign| scan.literal(sign).is_some())?;
    if sign == "Rs" {
        scan.literal(".");
    }
    scan.space();
    let amount = scan.number()?;
    let unit = rules.tables.currency.get(sign)?;
    let said = match magnitude(&mut scan) {
        Some(size) => format!("{amount} {size} {}", unit[1]),
        None => format!("{amount} {}", counted(amount, unit)),
    };
    Some((scan.taken(), said))
}

/// A number with its minus, where one may begin.
fn signed<'t>(place: &Place<'t>) -> Option<(Scan<'t>, &'t str)> {
    let rest = place.rest();
    if !rest.starts_with(|c: char| c.is_ascii_digit() || c == '-') || !place.opens_number() {
        return None;
    }
    let mut scan = Scan::new(rest);
    scan.literal("-");
    scan.number()?;
    Some((scan, &rest[..scan.taken()]))
}

/// "20 °C", "90°".
pub(super) fn degrees(_: &Normaliser, place: &Place<'_>) -> Reading {
    let (mut scan, amount) = signed(place)?;
    scan.space();
    scan.literal("°")?;
    let bare = scan;
    scan.space();
    let scale = match scan.one_of("CF") {
        Some('C') => " Celsius",
        Some(_) => " Fahrenheit",
        None => "",
    };
    let (scan, scale) =
        if scale.is_empty() || !scan.ends_word() { (bare, "") } else { (scan, scale) };
    let unit = if matches!(amount, "1" | "-1") { "degree" } else { "degrees" };
    scan.ends_word().then(|| (scan.taken(), format!("{amount} {unit}{scale}")))
}

/// "5 km", "16GB".
pub(super) fn measure(rules: &Normaliser, place: &Place<'_>) -> Reading {
    let (mut scan, amount) = signed(place)?;
    scan.space();
    let unit = scan.word_of(rules.tables.units.keys().map(String::as_str))?;
    let words = rules.tables.units.get(unit)?;
    Some((scan.taken(), format!("{amount} {}", counted(amount, words))))
}

/// "555-1234", "212-555-1234", "(212) 555-1234", "+1 212 555 1234": digit by digit, a pause between groups.
pub(super) fn telephone(_: &Normaliser, place: &Place<'_>) -> Reading {
    let first = place.rest().chars().next()?;
    let closed = place.before().is_some_and(|c| is_word(c) || matches!(c, '.' | '-'));
    if closed || !(first.is_ascii_digit() || matches!(first, '(' | '+')) {
        return None;
    }
    let mut scan = Scan::new(place.rest());
    let mut groups = Vec::new();
    if scan.literal("+").is_some() {
        groups.push(scan.digits(1, 3)?);
        scan.one_of(" -")?;
    }
    if scan.literal("(").is_some() {
        groups.push(scan.digits(3, 3)?);
        scan.literal(")")?;
        scan.one_of(" -");
    }
    groups.push(scan.digits(3, 3)?);
    // Spaces part groups only where a country or an area in brackets says what this is.
    let marks = if groups.len() > 1 { " -" } else { "-" };
    scan.one_of(marks)?;
    if let Some(middle) = scan.digits(3, 3) {
        groups.push(middle);
        scan.one_of(marks)?;
    }
    groups.push(scan.digits(4, 4)?);
    if scan.peek().is_some_and(|c| is_word(c) || c == '-') {
        return None;
    }
    let spaced = |group: &str| group.chars().map(String::from).collect::<Vec<_>>().join(" ");
    let spoken: Vec<String> = groups.into_iter().map(spaced).collect();
    let plus = if first == '+' { "plus " } else { "" };
    Some((scan.taken(), format!("{plus}{}", spoken.join(" , "))))
}

/// "3/4"; "4/7" may be a day; others are read with their slash.
pub(super) fn fraction(rules: &Normaliser, place: &Place<'_>) -> Reading {
    const NAMES: [&str; 9] =
        ["half", "third", "quarter", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];
    if !place.opens_number() || place.before() == Some('/') {
        return None;
    }
    let mut scan = Scan::new(place.rest());
    let above = number(scan.digits(1, 2)?);
    scan.literal("/")?;
    let below = number(scan.digits(1, 2)?);
    let mut after = scan.rest.chars();
    match after.next() {
        Some(c) if is_word(c) || c == '/' => return None,
        Some('.') if after.next().is_some_and(|c| c.is_ascii_digit()) => return None,
        _ => {}
    }
    let said = match (above, below) {
        (1, 2) => "one half".to_owned(),
        (_, 2..=10) if 0 < above && above < below => {
            let name = NAMES[below as usize - 2];
            format!("{above} {name}{}", if above == 1 { "" } else { "s" })
        }
        _ => rules.month_and_day(above, below).unwrap_or_else(|| format!("{above} slash {below}")),
    };
    Some((scan.taken(), said))
}

/// The first number of a range and its dash, with the text after it.
fn range_start<'t>(place: &Place<'t>) -> Option<(Scan<'t>, &'t str)> {
    let closed = place.before().is_some_and(|c| is_word(c) || matches!(c, '.' | '-'));
    if closed || !place.rest().starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let mut scan = Scan::new(place.rest());
    let first = scan.number()?;
    scan.space();
    scan.one_of("-–")?;
    scan.space();
    scan.peek().filter(char::is_ascii_digit)?;
    Some((scan, first))
}

/// "5-10%", "1.5–2.5%".
pub(super) fn percent_range(_: &Normaliser, place: &Place<'_>) -> Reading {
    let (start, first) = range_start(place)?;
    let mut scan = start;
    scan.number()?;
    scan.space();
    scan.literal("%")?;
    Some((start.taken(), format!("{first} to ")))
}

/// "5-10", "1990–1995": "to" for the dash; the second number is read on its own.
pub(super) fn range(_: &Normaliser, place: &Place<'_>) -> Reading {
    let (start, first) = range_start(place)?;
    let mut scan = start;
    scan.digits(1, 4)?;
    let mut after = scan.rest.chars();
    let part = match after.next() {
        Some('.') => after.next().is_some_and(is_word),
        Some(c) => (is_word(c) && !c.is_alphabetic()) || c == '-',
        None => false,
    };
    (first.len() <= 4 && !first.contains(['.', ',']) && !part)
        .then(|| (start.taken(), format!("{first} to ")))
}

/// "+5".
pub(super) fn plus(_: &Normaliser, place: &Place<'_>) -> Reading {
    let closed = place.before().is_some_and(|c| is_word(c) || c == '+');
    let rest = place.rest().strip_prefix('+').filter(|_| !closed)?;
    rest.starts_with(|c: char| c.is_ascii_digit()).then(|| (1, "plus ".to_owned()))
}

/// "0xFF": each sign for itself.
pub(super) fn letters_and_digits(_: &Normaliser, place: &Place<'_>) -> Reading {
    let hex = place.rest().strip_prefix("0x").filter(|_| place.opens_word())?;
    let length = hex.len() - hex.trim_start_matches(|c: char| c.is_ascii_hexdigit()).len();
    if length == 0 || hex[length..].starts_with(is_word) {
        return None;
    }
    let signs: String = hex[..length].chars().flat_map(|c| [' ', c.to_ascii_uppercase()]).collect();
    Some((2 + length, format!("zero x{signs}")))
}
