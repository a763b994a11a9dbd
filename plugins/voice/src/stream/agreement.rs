//! Text that will not change, from decodes that do: two in a row must agree, and the last word waits.

/// The decodes of one segment, compared.
///
/// A word stands once two decodes in a row have it at the same place, case and punctuation aside, and
/// another word came after it. Should a later decode see it otherwise, it is shown as it stands all the
/// same; only the final text may differ.
#[derive(Debug, Clone, Default)]
pub(crate) struct Agreement {
    stable: Vec<String>,
    former: Vec<String>,
}

/// A partial text and the part of it that stands; the part is a prefix of the text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    pub(crate) text: String,
    pub(crate) stable: String,
}

impl Agreement {
    /// Takes the next decode.
    pub(crate) fn next(&mut self, text: &str) -> Agreed {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let pairs = words.iter().zip(&self.former);
        let agreed = pairs.take_while(|(a, b)| plain(a) == plain(b)).count();
        let known = self.stable.len();
        // The last word may be half of one.
        let settled = agreed.min(words.len().saturating_sub(1));
        if settled > known {
            self.stable.extend_from_slice(&words[known..settled]);
        }
        let after = words.get(self.stable.len()..).unwrap_or_default();
        let text = [&self.stable, after].concat().join(" ");
        self.former = words;
        Agreed { text, stable: self.stable.join(" ") }
    }
}

/// A word as it is compared.
fn plain(word: &str) -> String {
    let letters = word.chars().filter(|it| it.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What stands, and what is shown, after each decode.
    fn shown(texts: &[&str]) -> Vec<(String, String)> {
        let mut agreement = Agreement::default();
        let shown = texts.iter().map(|text| agreement.next(text));
        shown.map(|it| (it.stable, it.text)).collect()
    }

    #[test]
    fn two_decodes_agree_and_the_last_word_waits() {
        let steps = shown(&["Turn", "Turn left", "turn left at.", "Turn left, at the", "turn"]);
        let stable: Vec<_> = steps.iter().map(|it| it.0.as_str()).collect();
        assert_eq!(stable, ["", "Turn", "Turn left", "Turn left at", "Turn left at"]);
        assert_eq!(steps[3].1, "Turn left at the");
        assert_eq!(steps[4].1, "Turn left at");
    }

    #[test]
    fn a_stable_word_is_shown_although_a_later_decode_differs() {
        let steps = shown(&["I can see it", "I can see it", "I can't seed the rain", ""]);
        assert_eq!(steps[1].0, "I can see");
        assert_eq!(steps[2], ("I can see".into(), "I can see the rain".into()));
        assert_eq!(steps[3], ("I can see".into(), "I can see".into()));
    }

    #[test]
    fn one_decode_settles_nothing() {
        assert_eq!(shown(&["one two three"])[0].0, "");
        assert_eq!(shown(&["", "", "one"])[2], (String::new(), "one".into()));
    }

    proptest! {
        #[test]
        fn what_stands_is_a_prefix_and_never_shrinks(
            texts in prop::collection::vec(prop::collection::vec("[abAB]{1,2}[.,]?", 0..6), 1..12),
        ) {
            let (mut agreement, mut former) = (Agreement::default(), String::new());
            for text in texts {
                let Agreed { text: shown, stable } = agreement.next(&text.join(" "));
                prop_assert!(shown.starts_with(&stable) && stable.starts_with(&former));
                prop_assert!(shown.split(' ').count() >= text.len().min(1));
                former = stable;
            }
        }
    }
}
