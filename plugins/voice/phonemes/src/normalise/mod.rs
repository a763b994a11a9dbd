//! Text as it is written to text as it is read: clean characters, names of the machine world, then numbers and short forms.

mod amounts;
mod clean;
mod clock;
mod names;
mod scan;
mod technical;

use scan::Place;
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};

/// What `normalize.json` holds.
#[derive(Debug, Deserialize)]
pub(crate) struct Tables {
    /// "jan" to "January", in small letters.
    months: BTreeMap<String, String>,
    /// "St" to "Saint", before a name.
    pub(crate) titles: BTreeMap<String, String>,
    /// "approx." to "approximately".
    abbreviations: BTreeMap<String, String>,
    /// "km" to singular and plural.
    units: BTreeMap<String, [String; 2]>,
    /// "=" to "equals".
    symbols: BTreeMap<String, String>,
    /// "¥" and "USD" to singular and plural.
    currency: BTreeMap<String, [String; 2]>,
    /// Words whose Roman numeral counts: "Chapter IV".
    roman_cardinal: Vec<String>,
    /// Words whose Roman numeral orders: "Henry VIII".
    roman_ordinal: Vec<String>,
}

/// The tables, with what the file lacks, and the longer of two words that begin alike first.
#[derive(Debug)]
pub(crate) struct Normaliser {
    pub(crate) tables: Tables,
    months: Vec<(String, usize)>,
    pub(crate) titles: HashSet<String>,
}

/// A reading: how many bytes it takes from the text, and what is said for them.
type Reading = Option<(usize, String)>;
/// Finds out whether its kind of thing stands at a place.
type Rule = fn(&Normaliser, &Place<'_>) -> Reading;

/// In order: the first that reads something wins.
const RULES: [Rule; 21] = [
    clock::time,
    clock::iso_date,
    clock::slashed_date,
    amounts::big_money,
    amounts::small_money,
    amounts::foreign_money,
    amounts::degrees,
    amounts::measure,
    clock::month_day,
    clock::day_month,
    names::title,
    names::abbreviation,
    names::number_sign,
    names::roman,
    amounts::telephone,
    amounts::fraction,
    amounts::percent_range,
    amounts::range,
    amounts::plus,
    amounts::letters_and_digits,
    names::symbol,
];

/// Units that the table lacks.
const MORE_UNITS: [(&str, &str, &str); 16] = [
    ("KiB", "kibibyte", "kibibytes"),
    ("MiB", "mebibyte", "mebibytes"),
    ("GiB", "gibibyte", "gibibytes"),
    ("TiB", "tebibyte", "tebibytes"),
    ("PB", "petabyte", "petabytes"),
    ("kbps", "kilobits per second", "kilobits per second"),
    ("kbit/s", "kilobits per second", "kilobits per second"),
    ("Mbit/s", "megabits per second", "megabits per second"),
    ("MB/s", "megabytes per second", "megabytes per second"),
    ("GB/s", "gigabytes per second", "gigabytes per second"),
    ("ns", "nanosecond", "nanoseconds"),
    ("µs", "microsecond", "microseconds"),
    ("dB", "decibel", "decibels"),
    ("px", "pixel", "pixels"),
    ("rpm", "revolutions per minute", "revolutions per minute"),
    ("km²", "square kilometer", "square kilometers"),
];

impl Normaliser {
    pub(crate) fn new(mut tables: Tables) -> Self {
        for (unit, one, many) in MORE_UNITS {
            tables.units.insert(unit.to_owned(), [one.to_owned(), many.to_owned()]);
        }
        // Months in the order of the year; the file's are sorted by letters when they are read.
        let order =
            ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
        let mut months = vec![("Sept".to_owned(), 8)];
        for (place, short) in order.into_iter().enumerate() {
            let name = tables.months.get(short).cloned().unwrap_or_else(|| short.to_owned());
            months.push((name.chars().take(3).collect(), place));
            months.push((name, place));
        }
        months.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        let titles = tables.titles.keys().cloned().collect();
        Self { tables, months, titles }
    }

    /// The name of a month, 0 for January.
    fn month(&self, place: usize) -> &str {
        self.months.iter().find(|(_, at)| *at == place).map_or("", |(name, _)| name)
    }

    /// One sentence as it is read. Pure; takes time in proportion to the text.
    pub(crate) fn normalise(&self, sentence: &str) -> String {
        let clean = clean::clean(sentence);
        let text = technical::speak(&clean);
        let mut read = String::with_capacity(text.len() + text.len() / 2);
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            let place = Place { text: &text, at };
            match RULES.iter().find_map(|rule| rule(self, &place)) {
                Some((taken, said)) if taken > 0 => {
                    read.push_str(&said);
                    at += taken;
                }
                _ => {
                    read.push(c);
                    at += c.len_utf8();
                }
            }
        }
        tidy(&read)
    }
}

/// Single spaces, and none before a mark of the sentence; the point of ".NET" is none.
fn tidy(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        let mut chars = word.chars();
        let mark = chars.next().is_some_and(|c| ",.;:!?".contains(c));
        let apart = !mark || chars.next().is_some_and(char::is_alphanumeric);
        if apart && !tidy.is_empty() {
            tidy.push(' ');
        }
        tidy.push_str(word);
    }
    tidy
}
