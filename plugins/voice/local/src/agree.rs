//! Text that will not change, from decodes that do: two in a row must agree, and the last word waits.

/// What is shown while speech goes on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Partial {
    /// All that was heard. It begins with `stable_text`.
    pub text: String,
    /// What stays: it never shrinks within a segment, and is empty at first.
    pub stable_text: String,
}

/// The decodes of one segment, compared.
///
/// A word is stable once two decodes in a row have it at the same place, case and punctuation aside, and
/// another word came after it. Should a later decode see a stable word otherwise, the stable one is shown
/// all the same; only the final text may differ.
#[derive(Debug, Clone, Default)]
pub struct Agreement {
    stable: Vec<String>,
    last: Vec<String>,
}

impl Agreement {
    /// Takes in the text of the next decode.
    pub fn push(&mut self, text: &str) -> Partial {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let agreed = words.iter().zip(&self.last).take_while(|(a, b)| plain(a) == plain(b)).count();
        let known = self.stable.len();
        let settled = agreed.min(words.len().saturating_sub(1));
        if settled > known {
            self.stable.extend_from_slice(&words[known..settled]);
        }
        let after = words.get(self.stable.len()..).unwrap_or_default();
        let text = [&self.stable, after].concat().join(" ");
        self.last = words;
        Partial { text, stable_text: self.stable.join(" ") }
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

    fn shown(texts: &[&str]) -> Vec<(String, String)> {
        let mut agreement = Agreement::default();
        let shown = texts.iter().map(|text| agreement.push(text));
        shown.map(|it| (it.stable_text, it.text)).collect()
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
        let steps = shown(&["I can see it", "I can see it", "I can't seed the rain"]);
        assert_eq!(steps[1].0, "I can see");
        assert_eq!(steps[2], ("I can see".into(), "I can see the rain".into()));
    }

    #[test]
    fn one_decode_settles_nothing() {
        assert_eq!(shown(&["one two three"])[0].0, "");
        assert_eq!(shown(&["", "", "one"])[2], (String::new(), "one".into()));
    }

    proptest! {
        #[test]
        fn stable_text_is_a_prefix_and_never_shrinks(
            texts in prop::collection::vec(prop::collection::vec("[abAB]{1,2}[.,]?", 0..6), 1..12),
        ) {
            let mut agreement = Agreement::default();
            let mut before = String::new();
            for text in texts {
                let partial = agreement.push(&text.join(" "));
                prop_assert!(partial.text.starts_with(&partial.stable_text));
                prop_assert!(partial.stable_text.starts_with(&before));
                prop_assert!(partial.text.split(' ').count() >= text.len().min(1));
                before = partial.stable_text;
            }
        }
    }
}
