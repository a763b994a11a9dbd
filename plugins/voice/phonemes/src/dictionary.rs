//! A dictionary file, packed: words and their phonemes.

use crate::strings::Strings;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// One entry of a dictionary file.
#[derive(Deserialize)]
#[serde(untagged)]
enum Reading {
    /// The same everywhere.
    One(String),
    /// By tag, with `DEFAULT` for the others and `None` for the end of a phrase; `null` means "spell it".
    ByTag(BTreeMap<String, Option<String>>),
}

/// Sorted words and their readings. Readings by tag are written as `|TAG=phonemes|TAG=`: neither sign is a phoneme.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    words: Strings,
    readings: Strings,
}

/// Packs entries as they are read, so that the file is never held as a tree.
impl<'de> Deserialize<'de> for Dictionary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries)
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Dictionary;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("words in the order of their bytes, each with its phonemes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Dictionary, A::Error> {
        let mut dictionary = Dictionary::default();
        let mut last = String::new();
        while let Some((word, reading)) = map.next_entry::<String, Reading>()? {
            if dictionary.words.len() > 0 && word <= last {
                return Err(A::Error::custom(format!("{word:?} is not in its place")));
            }
            dictionary.words.push(&word);
            match reading {
                Reading::One(phonemes) => dictionary.readings.push(&phonemes),
                Reading::ByTag(by_tag) => {
                    let part = |(tag, phonemes): (&String, &Option<String>)| {
                        format!("|{tag}={}", phonemes.as_deref().unwrap_or(""))
                    };
                    dictionary.readings.push(&by_tag.iter().map(part).collect::<String>());
                }
            }
            last = word;
        }
        dictionary.words.shrink();
        dictionary.readings.shrink();
        Ok(dictionary)
    }
}

impl Dictionary {
    /// A word in small letters answers for itself with a capital, and the other way round.
    pub(crate) fn get(&self, word: &str) -> Option<&str> {
        let find = |word: &str| self.words.find(word).map(|at| self.readings.get(at));
        if let Some(found) = find(word) {
            return Some(found);
        }
        word.chars().nth(1)?;
        let small = word.to_lowercase();
        if small == word {
            find(&capitalized(&small)).filter(|_| capitalized(&small) != small)
        } else if capitalized(&small) == word {
            find(&small)
        } else {
            None
        }
    }
}

/// A word in small letters with its first in capitals.
pub(crate) fn capitalized(small: &str) -> String {
    let mut rest = small.chars();
    rest.next().into_iter().flat_map(char::to_uppercase).chain(rest).collect()
}
