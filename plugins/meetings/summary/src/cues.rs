//! Words that tell decisions, action items and open questions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::terms::words;

/// Words that tell what a sentence is. Each entry is one or more words in a row, in any case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cues {
    /// Of a decision.
    pub decisions: Vec<String>,
    /// Of something that somebody is to do.
    pub actions: Vec<String>,
    /// Of a question that stays open, beside a question mark without an answer.
    pub questions: Vec<String>,
}

impl Default for Cues {
    fn default() -> Self {
        let list = |text: &str| text.split(", ").map(str::to_owned).collect();
        Self {
            decisions: list(
                "decided, decide to, decision is, decision was, agreed, we agree, approved, settled on, \
                 we choose, we chose, we go with, we'll go with, let's go with, going with, it's final",
            ),
            actions: list(
                "will, i'll, we'll, you'll, he'll, she'll, they'll, to do, todo, action item, action point, \
                 need to, needs to, has to, have to, must, follow up, take care of, takes care of, \
                 responsible for, is going to, am going to, let me, please, by monday, by tuesday, \
                 by wednesday, by thursday, by friday, by saturday, by sunday, by tomorrow, by tonight, \
                 by next week, by next month, by the end of, deadline",
            ),
            questions: list(
                "open question, open issue, still open, still unclear, not clear, unclear, not sure, \
                 don't know, do not know, to be decided, to be discussed, tbd, need to find out, \
                 wonder whether, wonder if",
            ),
        }
    }
}

/// Lists of cues, taken apart once.
pub(crate) struct Known {
    decisions: Vec<Vec<String>>,
    actions: Vec<Vec<String>>,
    questions: Vec<Vec<String>>,
}

/// What cues say of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Decision,
    Action,
    /// Whether it may be answered by what follows.
    Question {
        asked: bool,
    },
}

impl Known {
    pub(crate) fn new(cues: &Cues) -> Self {
        let apart = |list: &[String]| -> Vec<Vec<String>> {
            list.iter().map(|it| words(it)).filter(|it| !it.is_empty()).collect()
        };
        Self {
            decisions: apart(&cues.decisions),
            actions: apart(&cues.actions),
            questions: apart(&cues.questions),
        }
    }

    /// What a sentence is. What is asked is no decision, and what is open neither that nor a task.
    pub(crate) fn kind(&self, sentence: &str) -> Option<Kind> {
        let words = words(sentence);
        let has = |cues: &[Vec<String>]| {
            cues.iter().any(|cue| words.windows(cue.len()).any(|it| it == cue.as_slice()))
        };
        let is_asked =
            sentence.trim_end_matches(['"', '\'', ')', '”', '’', '!']).ends_with(['?', '？']);
        if is_asked || has(&self.questions) {
            return Some(Kind::Question { asked: is_asked });
        }
        match () {
            () if has(&self.decisions) => Some(Kind::Decision),
            () if has(&self.actions) => Some(Kind::Action),
            () => None,
        }
    }
}

/// Whether a sentence begins as an answer does.
pub(crate) fn is_answer(sentence: &str) -> bool {
    const ANSWERS: [&str; 14] = [
        "yes",
        "yeah",
        "yep",
        "no",
        "nope",
        "sure",
        "right",
        "exactly",
        "correct",
        "okay",
        "ok",
        "absolutely",
        "definitely",
        "ja",
    ];
    words(sentence).first().is_some_and(|it| ANSWERS.contains(&it.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cues_are_whole_words_in_any_case() {
        let known = Known::new(&Cues::default());
        for (sentence, kind) in [
            ("We AGREED on blue.", Some(Kind::Decision)),
            ("Ann will send it by Friday.", Some(Kind::Action)),
            ("I'll do it.", Some(Kind::Action)),
            ("Goodwill is nice.", None),
            ("Will you come?", Some(Kind::Question { asked: true })),
            ("I'm not sure we will make it.", Some(Kind::Question { asked: false })),
            ("We disagreed.", None),
        ] {
            assert_eq!(known.kind(sentence), kind, "{sentence}");
        }
        let none = Cues { decisions: vec![" ".into()], actions: Vec::new(), questions: Vec::new() };
        assert_eq!(Known::new(&none).kind("We agreed."), None);
    }
}
