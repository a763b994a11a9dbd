//! What an utterance is about, by its words.

use crate::config::Words;

/// A kind of utterance that a model which has not seen the data must not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Email,
    Calendar,
    Search,
    Unknown,
}

impl Kind {
    /// In the order in which they are looked for.
    pub(crate) const ALL: [Self; 4] = [Self::Email, Self::Calendar, Self::Search, Self::Unknown];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Calendar => "calendar",
            Self::Search => "search",
            Self::Unknown => "unknown",
        }
    }
}

/// The first kind with one of its words in the utterance. A word may be several, and counts only whole.
pub(crate) fn classify(utterance: &str, words: &Words) -> Option<Kind> {
    let utterance = utterance.to_lowercase();
    let has = |word: &String| holds(&utterance, word.trim().to_lowercase().as_str());
    Kind::ALL.into_iter().find(|kind| words.of(*kind).iter().any(has))
}

fn holds(text: &str, word: &str) -> bool {
    let is_edge = |letter: Option<char>| letter.is_none_or(|it| !it.is_alphanumeric());
    !word.is_empty()
        && text.match_indices(word).any(|(at, found)| {
            is_edge(text[..at].chars().next_back())
                && is_edge(text[at + found.len()..].chars().next())
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TurnSettings;

    #[test]
    fn whole_words_in_any_case_in_the_order_of_kinds() {
        let words = TurnSettings::default().words;
        for (utterance, kind) in [
            ("Any new E-MAIL?", Some(Kind::Email)),
            ("mail me the calendar", Some(Kind::Email)),
            ("what is on my calendar", Some(Kind::Calendar)),
            ("Look up the capital of Peru.", Some(Kind::Search)),
            ("the mailman rescheduled", None),
            ("how are you", None),
            ("", None),
        ] {
            assert_eq!(classify(utterance, &words), kind, "{utterance}");
        }
        let own = Words { unknown: vec!["Größe".into(), " ".into()], ..Words::default() };
        assert_eq!(classify("welche GRÖSSE, welche größe", &own), Some(Kind::Unknown));
        assert_eq!(classify("größer", &own), None);
    }
}
