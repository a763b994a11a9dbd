//! Times and dates.

use super::scan::{Place, Scan};
use super::{Normaliser, Reading};
use crate::numbers;

fn number(digits: &str) -> u64 {
    digits.parse().unwrap_or(u64::MAX)
}

fn cardinal(n: u64) -> String {
    numbers::joined(&numbers::cardinal(n))
}

fn ordinal(n: u64) -> String {
    numbers::joined(&numbers::ordinal(n))
}

fn starts_number(place: &Place<'_>) -> bool {
    place.rest().starts_with(|c: char| c.is_ascii_digit()) && place.opens_word()
}

/// "10:30", "7:05 pm", "12:00:01".
pub(super) fn time(_: &Normaliser, place: &Place<'_>) -> Reading {
    if !starts_number(place) {
        return None;
    }
    let mut scan = Scan::new(place.rest());
    let hour = number(scan.digits(1, 2)?);
    scan.literal(":")?;
    let minute = number(scan.digits(2, 2)?);
    let mut longer = scan;
    let second = longer.literal(":").and_then(|_| longer.digits(2, 2)).map(number);
    if second.is_some() {
        scan = longer;
    }
    let half = half_of_day(&mut scan);
    if hour > 24 || minute > 59 || second.is_some_and(|s| s > 59) {
        return None;
    }
    let mut said = cardinal(hour);
    match minute {
        0 if half.is_none() && second.is_none() => said.push_str(" o'clock"),
        0 => {}
        1..10 => said.push_str(&format!(" oh {}", cardinal(minute))),
        _ => said.push_str(&format!(" {}", cardinal(minute))),
    }
    if let Some(second) = second {
        let unit = if second == 1 { "second" } else { "seconds" };
        said.push_str(&format!(" and {} {unit}", cardinal(second)));
    }
    if let Some(half) = half {
        // With points, so that the letters are spelled; the sentence's own full stop is the last one.
        let end = if scan.rest.starts_with('.') { "" } else { "." };
        said.push_str(&format!(" {half}.M{end}"));
    }
    Some((scan.taken(), said))
}

/// "pm", "P.M.", with a space before or not: its first letter as a capital.
fn half_of_day(scan: &mut Scan<'_>) -> Option<char> {
    let mut ahead = *scan;
    ahead.space();
    let half = ahead.one_of("AaPp")?.to_ascii_uppercase();
    ahead.literal(".");
    ahead.one_of("Mm")?;
    let without = ahead;
    ahead.literal(".");
    if ahead.peek().is_some_and(|c| c.is_ascii_alphabetic()) {
        ahead = without;
    }
    if ahead.peek().is_some_and(|c| c.is_ascii_alphanumeric()) {
        return None;
    }
    *scan = ahead;
    Some(half)
}

impl Normaliser {
    /// Month and day, counted from 1, and a year; `None` when there is no such day.
    fn date(&self, year: Option<&str>, month: u64, day: u64) -> Option<String> {
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        let year = year.map_or_else(String::new, |year| format!(", {year}"));
        Some(format!("{} {}{year}", self.month(month as usize - 1), ordinal(day)))
    }

    /// "4/7" where it is no fraction.
    pub(super) fn month_and_day(&self, month: u64, day: u64) -> Option<String> {
        self.date(None, month, day)
    }

    /// The place in the year of a month's name or its short form.
    fn month_name(&self, scan: &mut Scan<'_>) -> Option<usize> {
        let name = scan.word_of(self.months.iter().map(|(name, _)| name.as_str()))?;
        self.months.iter().find(|(known, _)| known == name).map(|(_, place)| *place)
    }
}

/// "2024-03-05", "2024-03-05T10:30:00Z".
pub(super) fn iso_date(rules: &Normaliser, place: &Place<'_>) -> Reading {
    if !starts_number(place) {
        return None;
    }
    let mut scan = Scan::new(place.rest());
    let year = scan.digits(4, 4)?;
    scan.literal("-")?;
    let month = number(scan.digits(2, 2)?);
    scan.literal("-")?;
    let day = number(scan.digits(2, 2)?);
    let date = rules.date(Some(year), month, day)?;
    if scan.literal("T").is_none() {
        return scan.ends_word().then(|| (scan.taken(), date));
    }
    let (taken, time) = time(rules, &Place { text: scan.rest, at: 0 })?;
    let zulu = usize::from(scan.rest[taken..].starts_with('Z'));
    Some((scan.taken() + taken + zulu, format!("{date} {time}")))
}

/// "3/5/2024", month first where that is possible.
pub(super) fn slashed_date(rules: &Normaliser, place: &Place<'_>) -> Reading {
    if !starts_number(place) {
        return None;
    }
    let mut scan = Scan::new(place.rest());
    let first = number(scan.digits(1, 2)?);
    scan.literal("/")?;
    let second = number(scan.digits(1, 2)?);
    scan.literal("/")?;
    let year = scan.digits(4, 4).or_else(|| scan.digits(2, 2))?;
    if !scan.ends_word() {
        return None;
    }
    let century = match year.len() {
        4 => "",
        _ if number(year) > 30 => "19",
        _ => "20",
    };
    let (month, day) = if first <= 12 { (first, second) } else { (second, first) };
    Some((scan.taken(), rules.date(Some(&format!("{century}{year}")), month, day)?))
}

/// "March 5th, 2024", "Jan. 3".
pub(super) fn month_day(rules: &Normaliser, place: &Place<'_>) -> Reading {
    if !place.opens_word() || !place.rest().starts_with(char::is_uppercase) {
        return None;
    }
    let mut scan = Scan::new(place.rest());
    let month = rules.month_name(&mut scan)?;
    scan.literal(".");
    scan.literal(" ")?;
    let day = number(scan.digits(1, 2)?);
    for end in ["st", "nd", "rd", "th"] {
        scan.literal(end);
    }
    if !scan.ends_word() || scan.rest.starts_with([':', '%']) || !(1..=31).contains(&day) {
        return None;
    }
    Some((scan.taken(), format!("{} {}", rules.month(month), ordinal(day))))
}

/// "5 March", "the 5th of March".
pub(super) fn day_month(rules: &Normaliser, place: &Place<'_>) -> Reading {
    let first = place.rest().chars().next()?;
    if !place.opens_word() || !(first.is_ascii_digit() || first == 't') {
        return None;
    }
    let mut scan = Scan::new(place.rest());
    let article = scan.literal("the ").is_some();
    let day = number(scan.digits(1, 2)?);
    let ordered = ["st", "nd", "rd", "th"].into_iter().any(|end| scan.literal(end).is_some());
    scan.literal(" ")?;
    let of = scan.literal("of ").is_some();
    // "the 3rd of March" is read as it stands; without the words it needs them.
    let as_written = ordered && (article || of);
    let month = rules.month_name(&mut scan)?;
    if !(1..=31).contains(&day) || as_written {
        return None;
    }
    if scan.rest.strip_prefix('.').is_some_and(|after| !after.trim().is_empty()) {
        scan.literal(".");
    }
    Some((scan.taken(), format!("the {} of {}", ordinal(day), rules.month(month))))
}
