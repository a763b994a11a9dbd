//! Numbers as English words.

const ONES: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 10] =
    ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const SCALES: [&str; 7] =
    ["", "thousand", "million", "billion", "trillion", "quadrillion", "quintillion"];

/// One word of a spoken number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: &'static str,
    /// Spoken without stress: the "point" of a decimal and the "oh" of "one oh five".
    pub(crate) weak: bool,
}

impl From<&'static str> for Word {
    fn from(text: &'static str) -> Self {
        Self { text, weak: false }
    }
}

/// A whole number in words, "one hundred twenty three": no "and", no hyphens.
pub fn cardinal(n: u64) -> Vec<&'static str> {
    let mut words = Vec::new();
    for scale in (0..SCALES.len()).rev() {
        // The highest scale is 10^18, which 64 bits hold.
        let group = n / 1000u64.pow(scale as u32) % 1000;
        if group == 0 {
            continue;
        }
        below_thousand(group as usize, &mut words);
        if scale > 0 {
            words.push(SCALES[scale]);
        }
    }
    if words.is_empty() {
        words.push(ONES[0]);
    }
    words
}

fn below_thousand(n: usize, words: &mut Vec<&'static str>) {
    let rest = n % 100;
    if n >= 100 {
        words.extend([ONES[n / 100], "hundred"]);
    }
    if rest >= 20 {
        words.push(TENS[rest / 10]);
    }
    if rest >= 20 && !rest.is_multiple_of(10) {
        words.push(ONES[rest % 10]);
    } else if rest > 0 && rest < 20 {
        words.push(ONES[rest]);
    }
}

/// "one hundred twenty third".
pub(crate) fn ordinal(n: u64) -> Vec<&'static str> {
    const FIRST: [&str; 20] = [
        "zeroth",
        "first",
        "second",
        "third",
        "fourth",
        "fifth",
        "sixth",
        "seventh",
        "eighth",
        "ninth",
        "tenth",
        "eleventh",
        "twelfth",
        "thirteenth",
        "fourteenth",
        "fifteenth",
        "sixteenth",
        "seventeenth",
        "eighteenth",
        "nineteenth",
    ];
    const ROUND: [&str; 10] = [
        "",
        "",
        "twentieth",
        "thirtieth",
        "fortieth",
        "fiftieth",
        "sixtieth",
        "seventieth",
        "eightieth",
        "ninetieth",
    ];
    let mut words = cardinal(n);
    if let Some(last) = words.last_mut() {
        let place = |list: &[&str]| list.iter().position(|word| word == last);
        *last = match (place(&ONES), place(&TENS), *last) {
            (Some(at), _, _) => FIRST[at],
            (_, Some(at), _) => ROUND[at],
            (_, _, "hundred") => "hundredth",
            (_, _, "thousand") => "thousandth",
            (_, _, "million") => "millionth",
            (_, _, "billion") => "billionth",
            (_, _, other) => other,
        };
    }
    words
}

/// "nineteen oh five", "two thousand five", "twenty ten".
pub(crate) fn year(n: u64) -> Vec<&'static str> {
    let (high, low) = (n / 100, n % 100);
    if high == 0 || high >= 100 || (high.is_multiple_of(10) && low < 10) {
        return cardinal(n);
    }
    let mut words = cardinal(high);
    match low {
        0 => words.push("hundred"),
        1..10 => words.extend(["oh", ONES[low as usize]]),
        _ => words.extend(cardinal(low)),
    }
    words
}

/// Each digit for itself; other characters are passed over.
pub(crate) fn digits(text: &str) -> impl Iterator<Item = &'static str> + '_ {
    text.chars().filter_map(|c| c.to_digit(10)).map(|digit| ONES[digit as usize])
}

/// A run of digits as a quantity, or digit by digit where it is longer than anyone would say.
fn quantity(digits_only: &str) -> Vec<&'static str> {
    match digits_only.parse() {
        Ok(n) => cardinal(n),
        Err(_) => digits(digits_only).collect(),
    }
}

/// Joined for text that is read on: "twenty-first", "five hundred".
pub(crate) fn joined(words: &[&str]) -> String {
    let mut text = String::new();
    for (i, word) in words.iter().enumerate() {
        if let Some(before) = i.checked_sub(1) {
            text.push(if TENS[2..].contains(&words[before]) { '-' } else { ' ' });
        }
        text.push_str(word);
    }
    text
}

/// What follows the digits of "1990s", "3rd" or "2'd".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Nothing, or letters that change no sound.
    None,
    /// Plural or possessive.
    S,
    /// Past tense.
    Ed,
    /// Participle.
    Ing,
}

/// Units of the money that the lexicon speaks by itself.
pub(crate) fn money(sign: char) -> Option<[&'static str; 2]> {
    match sign {
        '$' => Some(["dollar", "cent"]),
        '£' => Some(["pound", "pence"]),
        '€' => Some(["euro", "cent"]),
        _ => None,
    }
}

const ORDINALS: [&str; 4] = ["st", "nd", "rd", "th"];

/// Whether [`read`] can speak the word: digits with points and commas, a minus at the `head`, a known ending.
pub(crate) fn is_number(word: &str, head: bool) -> bool {
    let endings = ["ing", "'d", "ed", "'s", "st", "nd", "rd", "th", "s"];
    let stem = endings.iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word);
    let unsigned = stem.strip_prefix('-').filter(|_| head).unwrap_or(stem);
    unsigned.chars().all(|c| c.is_ascii_digit() || matches!(c, ',' | '.'))
        && unsigned.chars().any(|c| c.is_ascii_digit())
}

/// The words of a number. `head`: it stands at the start of its word; the later parts of "B747" or "3-1234" are read in
/// short groups. `sign` is the currency it counts.
pub(crate) fn read(word: &str, sign: Option<char>, head: bool) -> (Vec<Word>, Ending) {
    let stem = word.trim_end_matches(|c: char| c.is_ascii_lowercase() || c == '\'');
    let suffix = &word[stem.len()..];
    let ordinal_number = ORDINALS.contains(&suffix);
    let (minus, number) = stem.strip_prefix('-').map_or((false, stem), |rest| (true, rest));
    let plain: String = number.chars().filter(|c| *c != ',').collect();
    let bare = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let units = sign.and_then(money);
    let points = number.matches('.').count();
    let cents = plain.split_once('.').map_or(0, |(_, cents)| cents.len());
    let mut words: Vec<Word> = Vec::new();
    if minus {
        words.push("minus".into());
    }
    if ordinal_number && (bare || (head && points == 0 && units.is_none())) {
        push(&mut words, plain.parse().map_or_else(|_| quantity(&plain), ordinal));
    } else if bare && !minus && number.len() == 4 && units.is_none() {
        push(&mut words, plain.parse().map_or_else(|_| quantity(&plain), year));
    } else if !head && points == 0 {
        in_groups(&plain, &mut words);
    } else if points > 1 || !head {
        plain.split('.').for_each(|part| push(&mut words, decimal_part(part)));
    } else if let Some(units) = units.filter(|_| cents < 3) {
        amount(&plain, units, &mut words);
    } else if let Some((whole, fraction)) = plain.split_once('.') {
        decimal(whole, fraction, &mut words);
    } else {
        push(&mut words, quantity(&plain));
    }
    let ending = match suffix {
        "s" | "'s" => Ending::S,
        "ed" | "'d" => Ending::Ed,
        "ing" => Ending::Ing,
        _ => Ending::None,
    };
    (words, ending)
}

fn push(words: &mut Vec<Word>, more: impl IntoIterator<Item = &'static str>) {
    words.extend(more.into_iter().map(Word::from));
}

/// "747": seven forty seven; "105": one oh five; longer ones and those that begin with 0 digit by digit.
fn in_groups(plain: &str, words: &mut Vec<Word>) {
    if plain.len() > 3 || plain.starts_with('0') {
        push(words, digits(plain));
    } else if plain.len() == 3 && !plain.ends_with("00") {
        push(words, digits(&plain[..1]));
        if &plain[1..2] == "0" {
            words.push(Word { text: "O", weak: true });
            push(words, digits(&plain[2..]));
        } else {
            push(words, quantity(&plain[1..]));
        }
    } else {
        push(words, quantity(plain));
    }
}

/// One part of a dotted number.
fn decimal_part(part: &str) -> Vec<&'static str> {
    let single =
        part.starts_with('0') || (part.len() != 2 && part.bytes().skip(1).any(|b| b != b'0'));
    if part.is_empty() {
        Vec::new()
    } else if single {
        digits(part).collect()
    } else {
        quantity(part)
    }
}

/// "9.99": nine dollars and ninety nine cents.
fn amount(plain: &str, units: [&'static str; 2], words: &mut Vec<Word>) {
    let (whole, part) = plain.split_once('.').unwrap_or((plain, ""));
    let zero = |digits: &str| digits.bytes().all(|b| b == b'0');
    let mut said = vec![(whole, units[0]), (part, units[1])];
    if zero(part) {
        said.pop();
    } else if zero(whole) {
        said.remove(0);
    }
    for (i, (digits, unit)) in said.into_iter().enumerate() {
        if i > 0 {
            words.push("and".into());
        }
        let digits = if digits.is_empty() { "0" } else { digits };
        push(words, quantity(digits));
        let one = digits.trim_start_matches('0') == "1";
        words.push(if one { unit } else { plural(unit) }.into());
    }
}

fn plural(unit: &'static str) -> &'static str {
    match unit {
        "dollar" => "dollars",
        "cent" => "cents",
        "pound" => "pounds",
        "euro" => "euros",
        other => other,
    }
}

/// "3.140": three point one four; ".05": point zero five.
fn decimal(whole: &str, fraction: &str, words: &mut Vec<Word>) {
    let point = Word { text: "point", weak: true };
    if whole.is_empty() {
        words.push(point);
        push(words, digits(fraction));
        return;
    }
    push(words, quantity(whole));
    let fraction = fraction.trim_end_matches('0');
    if !fraction.is_empty() {
        words.push(point);
        push(words, digits(fraction));
    }
}
