//! Parts of speech (Penn Treebank tags) by an averaged perceptron.

use crate::strings::Strings;
use crate::tag_file::File;
use std::fmt::Write as _;

/// The model, packed: 3 bytes a weight. Tags are places in `tags`, which is sorted.
#[derive(Debug)]
pub(crate) struct Tagger {
    tags: Vec<String>,
    certain: Strings,
    certain_tags: Vec<u8>,
    frequent: Strings,
    features: Strings,
    /// Where each feature's weights end in `weighted` and `tenths`.
    ends: Vec<u32>,
    weighted: Vec<u8>,
    /// Tenths of a weight: the file gives one decimal.
    tenths: Vec<i16>,
}

/// A word that no tag was learned for.
const DEFAULT: &str = "NN";

impl Tagger {
    /// Sorts what the file holds. Tags that `tags` does not list are left out.
    pub(crate) fn new(mut file: File) -> Self {
        file.tags.sort_unstable();
        file.tags.truncate(usize::from(u8::MAX));
        let place = |tag: &str| {
            let found = file.tags.binary_search_by(|known| known.as_str().cmp(tag)).ok()?;
            u8::try_from(found).ok()
        };
        let mut certain: Vec<_> = file
            .tagdict
            .iter()
            .filter_map(|(word, tag)| Some((word.as_str(), place(tag)?)))
            .collect();
        certain.sort_unstable();
        file.vocab.sort_unstable();
        let seen = &file.weights;
        let mut order: Vec<usize> = (0..seen.features.len()).collect();
        order.sort_unstable_by_key(|at| seen.features.get(*at));
        let mut ends = Vec::with_capacity(order.len());
        let mut weighted = Vec::with_capacity(seen.tenths.len());
        let mut tenths = Vec::with_capacity(seen.tenths.len());
        for at in &order {
            for (tag, weight) in seen.of(*at) {
                if let Some(tag) = place(tag) {
                    weighted.push(tag);
                    tenths.push(weight);
                }
            }
            ends.push(u32::try_from(tenths.len()).unwrap_or(u32::MAX));
        }
        Self {
            certain: Strings::collect(certain.iter().map(|(word, _)| *word)),
            certain_tags: certain.iter().map(|(_, tag)| *tag).collect(),
            frequent: Strings::collect(file.vocab.iter().map(String::as_str)),
            features: Strings::collect(order.iter().map(|at| seen.features.get(*at))),
            ends,
            weighted,
            tenths,
            tags: file.tags,
        }
    }

    /// One tag a word; `words` are the tokens of one sentence.
    pub(crate) fn tag(&self, words: &[&str]) -> Vec<&str> {
        let mut near = vec!["-START2-".to_owned(), "-START-".to_owned()];
        near.extend(words.iter().map(|word| self.class(word)));
        near.extend(["-END-".to_owned(), "-END2-".to_owned()]);
        let mut tags: Vec<&str> = Vec::with_capacity(words.len());
        let mut feature = String::new();
        for (i, word) in words.iter().enumerate() {
            let tag = match self.certain.find(word) {
                Some(found) => &self.tags[usize::from(self.certain_tags[found])],
                None => {
                    let last = [1, 2].map(|back| match i.checked_sub(back) {
                        Some(at) => tags[at],
                        None => ["-START-", "-START2-"][back - i - 1],
                    });
                    self.guess(i, word, &near[i..i + 5], last, &mut feature)
                }
            };
            tags.push(tag);
        }
        tags
    }

    /// The word in small letters, or its shape when it is rare.
    fn class(&self, word: &str) -> String {
        let class = if word.contains('-') && !word.starts_with('-') {
            "!HYPHEN".to_owned()
        } else if word.len() == 4 && word.bytes().all(|b| b.is_ascii_digit()) {
            "!YEAR".to_owned()
        } else if word.starts_with(|c: char| c.is_ascii_digit()) {
            "!DIGITS".to_owned()
        } else {
            word.to_lowercase()
        };
        match self.frequent.find(&class) {
            Some(_) => class,
            None => format!("<{}>", shape(word)),
        }
    }

    /// Adds up the weights of what is seen around the word; of equals the later tag wins. `near` is two words before, the word, two after.
    fn guess(
        &self,
        at: usize,
        word: &str,
        near: &[String],
        [last, last2]: [&str; 2],
        feature: &mut String,
    ) -> &str {
        let first = word.chars().next().unwrap_or(' ');
        let mut scores = vec![0i32; self.tags.len()];
        let mut known = false;
        let mut see = |name: std::fmt::Arguments<'_>| {
            feature.clear();
            // Writing into a string cannot fail.
            let _ = feature.write_fmt(name);
            let Some(found) = self.features.find(feature) else { return };
            known = true;
            let start = found.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
            for i in start..self.ends[found] as usize {
                scores[usize::from(self.weighted[i])] += i32::from(self.tenths[i]);
            }
        };
        see(format_args!("b"));
        see(format_args!("s3={}", ending(word)));
        see(format_args!("p1={first}"));
        see(format_args!("w={}", near[2]));
        see(format_args!("sh={}", shape(word)));
        see(format_args!("{}", if at == 0 { "i0" } else { "i+" }));
        see(format_args!("t-1={last}"));
        see(format_args!("t-2={last2}"));
        see(format_args!("t-12={last},{last2}"));
        see(format_args!("w-1={}", near[1]));
        see(format_args!("s3-1={}", ending(&near[1])));
        see(format_args!("w-2={}", near[0]));
        see(format_args!("w+1={}", near[3]));
        see(format_args!("s3+1={}", ending(&near[3])));
        see(format_args!("w+2={}", near[4]));
        let best = (0..scores.len()).max_by_key(|tag| scores[*tag]);
        best.filter(|_| known).map_or(DEFAULT, |tag| &self.tags[tag])
    }
}

/// The last three letters.
fn ending(word: &str) -> &str {
    word.char_indices().rev().nth(2).map_or(word, |(at, _)| &word[at..])
}

/// What a word looks like: "Xx" for "Paris", "XX" for "NATO", "dd:d" for "10:30".
fn shape(word: &str) -> String {
    let mut rest = word.chars();
    let fixed = if word.chars().all(char::is_alphabetic) {
        let upper = rest.next().is_some_and(char::is_uppercase);
        if word.chars().all(|c| !c.is_uppercase()) {
            "x"
        } else if word.chars().all(|c| !c.is_lowercase()) {
            if rest.next().is_some() { "XX" } else { "X1" }
        } else if upper && rest.all(|c| !c.is_uppercase()) {
            "Xx"
        } else {
            "xX"
        }
    } else if word.chars().all(|c| c.is_ascii_digit()) {
        "d"
    } else {
        return word
            .chars()
            .take(4)
            .map(|c| {
                if c.is_ascii_digit() {
                    'd'
                } else if c.is_alphabetic() {
                    'x'
                } else {
                    c
                }
            })
            .collect();
    };
    fixed.to_owned()
}

#[cfg(test)]
mod tests {
    use super::{ending, shape};

    #[test]
    fn shapes_and_endings() {
        for (word, expected) in [
            ("paris", "x"),
            ("Paris", "Xx"),
            ("NATO", "XX"),
            ("A", "X1"),
            ("iPad", "xX"),
            ("42", "d"),
            ("10:30", "dd:d"),
            ("a-b", "x-x"),
        ] {
            assert_eq!(shape(word), expected, "{word}");
        }
        assert_eq!((ending("produced"), ending("of"), ending("naïf")), ("ced", "of", "aïf"));
    }
}
