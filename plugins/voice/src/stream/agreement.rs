//! Which part of a partial text will not change any more: what two decodes agree on.

/// The partial texts of one segment.
#[derive(Debug, Default)]
pub(crate) struct Agreement {
    former: Vec<String>,
    stable: usize,
}

/// A partial text and the part of it that stands; the part is a prefix of the text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    pub(crate) text: String,
    pub(crate) stable: String,
}

impl Agreement {
    /// Takes the next decode. What stood goes on standing, whatever the decode says in its place; the last
    /// word never stands, because it may be half of one.
    pub(crate) fn next(&mut self, text: &str) -> Agreed {
        let heard = text.split_whitespace().map(str::to_owned);
        let kept = self.former.iter().take(self.stable).cloned();
        let words: Vec<String> = kept.chain(heard.skip(self.stable)).collect();
        let agreed = self.former.iter().zip(&words).take_while(|(a, b)| a == b).count();
        self.stable = agreed.min(words.len().saturating_sub(1)).max(self.stable);
        let agreed = Agreed { text: words.join(" "), stable: words[..self.stable].join(" ") };
        self.former = words;
        agreed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_word_stands_once_two_decodes_agree_on_it() {
        let mut agreement = Agreement::default();
        let mut next = |text: &str| {
            let agreed = agreement.next(text);
            (agreed.text, agreed.stable)
        };
        let pair = |text: &str, stable: &str| (text.to_owned(), stable.to_owned());
        assert_eq!(next("turn le"), pair("turn le", ""));
        assert_eq!(next("turn left at"), pair("turn left at", "turn"));
        assert_eq!(next("turn left at the next"), pair("turn left at the next", "turn left at"));
        assert_eq!(next("burn left it the"), pair("turn left at the", "turn left at"));
        assert_eq!(next(""), pair("turn left at", "turn left at"));
    }

    proptest! {
        #[test]
        fn what_stands_is_a_prefix_and_never_shrinks(
            decodes in prop::collection::vec("[ab]{1,2}( [ab]{1,2}){0,5}|", 1..12),
        ) {
            let (mut agreement, mut former) = (Agreement::default(), String::new());
            for (nth, decode) in decodes.iter().enumerate() {
                let Agreed { text, stable } = agreement.next(decode);
                prop_assert!(text.starts_with(&stable) && stable.starts_with(&former));
                prop_assert!(nth > 0 || stable.is_empty());
                former = stable;
            }
        }
    }
}
