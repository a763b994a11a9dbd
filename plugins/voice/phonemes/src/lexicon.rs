//! Words to phonemes by dictionary: part of speech, what follows, capitals, and endings of known words.

use crate::dictionary::Dictionary;
use crate::endings::{with_ed, with_ing, with_s};
use crate::numbers::{self, Ending};
use crate::stress::{PRIMARY, SECONDARY, Stress};
use std::borrow::Cow;
use unicode_normalization::UnicodeNormalization as _;

/// What is known of the sounds that follow a word.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Next {
    /// Whether a vowel follows; `None` at the end of a phrase.
    pub(crate) vowel: Option<bool>,
    /// Whether the next word is "to".
    pub(crate) to: bool,
}

/// A word as it stands in its sentence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spelling<'t> {
    pub(crate) text: &'t str,
    /// Part of speech.
    pub(crate) tag: &'t str,
    /// The money that it counts.
    pub(crate) currency: Option<char>,
    /// Whether it opens its chunk of letters and digits.
    pub(crate) head: bool,
}

/// The dictionaries: `sure` was checked by hand, `likely` was not.
#[derive(Debug)]
pub(crate) struct Lexicon {
    sure: Dictionary,
    likely: Dictionary,
}

/// Where a word stands.
#[derive(Clone, Copy)]
struct Place<'t> {
    tag: &'t str,
    next: Next,
    stress: Option<Stress>,
}

impl<'t> Place<'t> {
    /// A word of a number: no part of speech, nothing follows.
    const ALONE: Place<'static> =
        Place { tag: "", next: Next { vowel: Some(false), to: false }, stress: None };

    fn stressed(self, stress: impl Into<Option<Stress>>) -> Self {
        Self { stress: stress.into(), ..self }
    }
}

impl Lexicon {
    pub(crate) fn new(sure: Dictionary, likely: Dictionary) -> Self {
        Self { sure, likely }
    }

    /// The phonemes of a word, a number or an acronym; `None` when neither the dictionaries nor the endings know it.
    pub(crate) fn read(&self, spelling: Spelling<'_>, next: Next) -> Option<String> {
        let word = match spelling.text.is_ascii() {
            true => Cow::Borrowed(spelling.text),
            false => Cow::Owned(spelling.text.replace(['‘', '’'], "'").nfkc().collect()),
        };
        // No dictionary has a word with a digit.
        if word.bytes().any(|b| b.is_ascii_digit()) {
            let number = numbers::is_number(&word, spelling.head);
            return number.then(|| self.number(&word, spelling.currency, spelling.head))?;
        }
        let stress = if *word == word.to_lowercase() {
            None
        } else if *word == word.to_uppercase() {
            Some(Stress::Capitals)
        } else {
            Some(Stress::Capital)
        };
        let place = Place { tag: spelling.tag, next, stress };
        let phonemes = self.word(&word, place)?;
        let unit = spelling.currency.and_then(numbers::money);
        let unit = unit.and_then(|[unit, _]| with_s(self.look_up(unit, Place::ALONE)?));
        Some(unit.map_or_else(|| phonemes.clone(), |unit| format!("{phonemes} {unit}")))
    }

    /// A number's words, looked up one by one.
    pub(crate) fn number(&self, text: &str, sign: Option<char>, head: bool) -> Option<String> {
        let (words, ending) = numbers::read(text, sign, head);
        let spoken: Vec<String> = words
            .iter()
            .filter_map(|word| {
                let place = Place::ALONE.stressed(word.weak.then_some(Stress::None));
                // Of "euros" only the singular is held.
                match self.knows(word.text) {
                    true => self.look_up(word.text, place),
                    false => self.inflected(word.text, place),
                }
            })
            .collect();
        let spoken = Some(spoken.join(" ")).filter(|spoken| !spoken.is_empty())?;
        match ending {
            Ending::None => Some(spoken),
            Ending::S => with_s(spoken),
            Ending::Ed => with_ed(spoken),
            Ending::Ing => with_ing(spoken),
        }
    }

    fn word(&self, word: &str, place: Place<'_>) -> Option<String> {
        if let Some(phonemes) = self.special(word, place) {
            return Some(phonemes);
        }
        let small = word.to_lowercase();
        let word = if self.reads_as_small(word, &small, place) { &small } else { word };
        if self.knows(word) {
            return self.look_up(word, place);
        }
        if let Some(owners) = word.strip_suffix('\'') {
            let owner = owners.strip_suffix('s').map(|owner| format!("{owner}'s"));
            let known = owner.as_deref().into_iter().chain([owners]).find(|word| self.knows(word));
            if let Some(known) = known {
                return self.look_up(known, place);
            }
        }
        self.inflected(word, place)
    }

    /// Words in capitals or with one that the dictionaries hold only in small letters. Short proper nouns stay as they
    /// are: they are more often acronyms.
    fn reads_as_small(&self, word: &str, small: &str, place: Place<'_>) -> bool {
        let one_case = word == word.to_uppercase()
            || word.chars().skip(1).collect::<String>()
                == small.chars().skip(1).collect::<String>();
        word.chars().nth(1).is_some()
            && word != small
            && one_case
            && word.chars().all(|c| c.is_alphabetic() || c == '\'')
            && (place.tag != "NNP" || word.chars().count() > 7)
            && !self.holds(word)
            && (self.holds(small) || self.inflected(small, place).is_some())
    }

    fn holds(&self, word: &str) -> bool {
        self.sure.get(word).is_some() || self.likely.get(word).is_some()
    }

    /// Whether [`Self::look_up`] has an answer: a word held, a sign, a letter, or capitals that are to be spelled.
    fn knows(&self, word: &str) -> bool {
        if self.holds(word) || sign_word(word).is_some() {
            return true;
        }
        if word.is_empty() || !word.bytes().all(|b| b.is_ascii_alphabetic()) {
            return false;
        }
        word[1..].bytes().all(|b| b.is_ascii_uppercase())
            && (!is_loud_name(word) || self.sure.get(&word.to_lowercase()).is_some())
    }

    fn look_up(&self, word: &str, place: Place<'_>) -> Option<String> {
        let mut word = word.to_owned();
        let mut proper = false;
        if word == word.to_uppercase() && self.sure.get(&word).is_none() {
            word = word.to_lowercase();
            proper = place.tag == "NNP";
        }
        let found = self.sure.get(&word).or_else(|| self.likely.get(&word).filter(|_| !proper));
        let phonemes = found.and_then(|reading| pick(reading, place));
        match phonemes {
            Some(phonemes) if !proper || phonemes.contains(PRIMARY) => Some(
                place.stress.map_or_else(|| phonemes.to_owned(), |stress| stress.apply(phonemes)),
            ),
            _ => self.spell(&word),
        }
    }

    /// Letter by letter, the last one stressed: "NATO" as "N A T O".
    fn spell(&self, word: &str) -> Option<String> {
        let mut letters = String::new();
        for c in word.chars().filter(|c| c.is_alphabetic()) {
            letters.push_str(self.sure.get(&c.to_uppercase().to_string())?);
        }
        let weak = Stress::Spelled.apply(&letters);
        Some(match weak.rsplit_once(SECONDARY) {
            Some((before, last)) => format!("{before}{PRIMARY}{last}"),
            None => weak,
        })
        .filter(|spelled| !spelled.is_empty())
    }

    /// Small words whose sound depends on what follows.
    fn special(&self, word: &str, place: Place<'_>) -> Option<String> {
        let Place { tag, next, stress } = place;
        let plain = |word| self.look_up(word, Place { tag, next, stress: None });
        let held = |word| self.sure.get(word).map(str::to_owned);
        let noun = tag.starts_with("NN");
        if let Some(sign) = sign_word(word) {
            return plain(sign);
        }
        if is_dotted(word) {
            return self.spell(word);
        }
        let loud = |small: &str, allowed: bool| word == small.to_uppercase() && allowed;
        match word {
            "a" | "A" => Some(if tag == "DT" { "ɐ" } else { "ˈA" }.to_owned()),
            "am" | "Am" | "AM" if noun => self.spell(word),
            "am" if next.vowel.is_some() && stress.is_none() => Some("ɐm".to_owned()),
            "am" | "Am" | "AM" => held("am"),
            "AN" if noun => self.spell(word),
            "an" | "An" | "AN" => Some("ɐn".to_owned()),
            "I" if tag == "PRP" => Some(format!("{SECONDARY}I")),
            "by" | "By" | "BY" if parent(tag) == "ADV" => Some("bˈI".to_owned()),
            "used" | "Used" | "USED" => {
                let past = matches!(tag, "VBD" | "JJ") && next.to;
                let reading = self.sure.get("used")?;
                by_tag(reading, if past { "VBD" } else { "DEFAULT" })?.map(str::to_owned)
            }
            _ if matches!(word, "to" | "To") || loud("to", matches!(tag, "TO" | "IN")) => {
                match next.vowel {
                    None => held("to"),
                    Some(false) => Some("tə".to_owned()),
                    Some(true) => Some("tʊ".to_owned()),
                }
            }
            _ if matches!(word, "in" | "In") || loud("in", tag != "NNP") => {
                let stressed = next.vowel.is_none() || tag != "IN";
                Some(if stressed { "ˈɪn" } else { "ɪn" }.to_owned())
            }
            _ if matches!(word, "the" | "The") || loud("the", tag == "DT") => {
                Some(if next.vowel == Some(true) { "ði" } else { "ðə" }.to_owned())
            }
            _ if tag == "IN" && ["vs", "vs."].contains(&&*word.to_lowercase()) => plain("versus"),
            _ => None,
        }
    }

    /// A known word with -s, -ed or -ing.
    fn inflected(&self, word: &str, place: Place<'_>) -> Option<String> {
        let read = |stem: &str, place| self.look_up(stem, place);
        self.stem_of_s(word)
            .and_then(|stem| with_s(read(&stem, place)?))
            .or_else(|| with_ed(read(self.stem_of_ed(word)?, place)?))
            .or_else(|| {
                let stress = place.stress.unwrap_or(Stress::Capital);
                with_ing(read(&self.stem_of_ing(word)?, place.stressed(stress))?)
            })
    }

    fn stem_of_s(&self, word: &str) -> Option<String> {
        let long = word.chars().nth(4).is_some();
        word.chars().nth(2)?;
        let stem = word.strip_suffix('s')?;
        if !word.ends_with("ss") && self.knows(stem) {
            return Some(stem.to_owned());
        }
        let shorter = word
            .strip_suffix("'s")
            .or_else(|| word.strip_suffix("es").filter(|_| long && !word.ends_with("ies")));
        if let Some(stem) = shorter.filter(|stem| self.knows(stem)) {
            return Some(stem.to_owned());
        }
        let with_y = format!("{}y", word.strip_suffix("ies").filter(|_| long)?);
        self.knows(&with_y).then_some(with_y)
    }

    fn stem_of_ed<'w>(&self, word: &'w str) -> Option<&'w str> {
        word.chars().nth(3)?;
        let stem = word.strip_suffix('d')?;
        if !word.ends_with("dd") && self.knows(stem) {
            return Some(stem);
        }
        let long = word.chars().nth(4).is_some();
        word.strip_suffix("ed").filter(|stem| long && !word.ends_with("eed") && self.knows(stem))
    }

    fn stem_of_ing(&self, word: &str) -> Option<String> {
        word.chars().nth(4)?;
        let stem = word.strip_suffix("ing")?;
        let long = word.chars().nth(5).is_some();
        if long && self.knows(stem) {
            return Some(stem.to_owned());
        }
        let with_e = format!("{stem}e");
        if self.knows(&with_e) {
            return Some(with_e);
        }
        let mut back = stem.chars().rev();
        let (last, before) = (back.next()?, back.next()?);
        let doubled = last == before && "bcdgklmnprstvxz".contains(last);
        let single = &stem[..stem.len() - last.len_utf8()];
        (long && (doubled || stem.ends_with("ck")) && self.knows(single)).then(|| single.to_owned())
    }
}

/// Capitals that are a name rather than letters: long, and a third of them vowels ("MUGABE", not "CCAMLR").
pub(crate) fn is_loud_name(word: &str) -> bool {
    let vowels = word.bytes().filter(|b| b"AEIOUY".contains(b)).count();
    word.len() >= 6 && vowels * 3 >= word.len() && word.bytes().all(|b| b.is_ascii_uppercase())
}

/// The word for a sign that stands alone.
fn sign_word(word: &str) -> Option<&'static str> {
    match word {
        "%" => Some("percent"),
        "&" => Some("and"),
        "+" => Some("plus"),
        "@" => Some("at"),
        _ => None,
    }
}

/// "U.S.A." or "e.g": letters between dots, at most two at a time.
fn is_dotted(word: &str) -> bool {
    word.trim_matches('.').contains('.')
        && word.chars().all(|c| c == '.' || c.is_alphabetic())
        && word.split('.').all(|part| part.chars().nth(2).is_none())
}

/// The group of a tag, as the dictionaries name it.
fn parent(tag: &str) -> &str {
    match tag.as_bytes() {
        [b'V', b'B', ..] => "VERB",
        [b'N', b'N', ..] => "NOUN",
        [b'R', b'B', ..] | [b'A', b'D', b'V', ..] => "ADV",
        [b'J', b'J', ..] | [b'A', b'D', b'J', ..] => "ADJ",
        _ => tag,
    }
}

/// The reading that fits; `None` when the word is to be spelled.
fn pick<'r>(reading: &'r str, place: Place<'_>) -> Option<&'r str> {
    if !reading.starts_with('|') {
        return Some(reading);
    }
    let ends = if place.next.vowel.is_none() { by_tag(reading, "None") } else { None };
    ends.or_else(|| by_tag(reading, place.tag))
        .or_else(|| by_tag(reading, parent(place.tag)))
        .or_else(|| by_tag(reading, "DEFAULT"))?
}

/// `Some(None)` when the entry says "spell it".
fn by_tag<'r>(reading: &'r str, tag: &str) -> Option<Option<&'r str>> {
    reading.split('|').find_map(|part| {
        let phonemes = part.strip_prefix(tag)?.strip_prefix('=')?;
        Some(Some(phonemes).filter(|p| !p.is_empty()))
    })
}
