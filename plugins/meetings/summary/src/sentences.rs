//! Sentences of a text. A dot ends one only if it is none of an abbreviation, a number or an initial.

/// Words that end with a dot in the middle of a sentence, without it and in lower case.
const ABBREVIATIONS: [&str; 37] = [
    "mr", "mrs", "ms", "dr", "prof", "st", "jr", "sr", "gen", "col", "sgt", "rev", "hon", "vs",
    "e.g", "i.e", "cf", "approx", "ca", "fig", "no", "vol", "pp", "p", "ch", "sec", "al", "dept",
    "est", "inc", "ltd", "co", "corp", "z.b", "d.h", "bzw", "usw",
];
/// Abbreviations that may end a sentence too: they do if a capital follows.
const MAY_END: [&str; 9] = ["inc", "ltd", "co", "corp", "usw", "al", "jr", "sr", "no"];

/// The sentences of a text, trimmed, none empty. A text without an end of one is one sentence.
pub(crate) fn sentences(text: &str) -> Vec<&str> {
    let (mut found, mut begin) = (Vec::new(), 0);
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        if !is_end(letter) {
            continue;
        }
        // `?!`, `...` and closing quotes belong to the sentence that they end.
        let mut end = at + letter.len_utf8();
        while let Some((at, next)) = letters.next_if(|(_, it)| is_end(*it) || is_closing(*it)) {
            end = at + next.len_utf8();
        }
        let (before, after) = (&text[begin..at], &text[end..]);
        let is_wide = matches!(letter, '。' | '！' | '？');
        let is_apart = is_wide || after.is_empty() || after.starts_with(char::is_whitespace);
        let is_dots = text[at..end].chars().all(|it| matches!(it, '.' | '…'));
        if is_apart && !(is_dots && goes_on(before, after, end == at + 1)) {
            found.push(text[begin..end].trim());
            begin = end;
        }
    }
    found.push(text[begin..].trim());
    found.retain(|it| it.chars().any(char::is_alphanumeric));
    found
}

fn is_end(letter: char) -> bool {
    matches!(letter, '.' | '!' | '?' | '…' | '。' | '！' | '？')
}

fn is_closing(letter: char) -> bool {
    matches!(letter, '"' | '\'' | ')' | ']' | '”' | '’' | '»' | '」')
}

/// Whether the sentence goes on after one dot or several.
fn goes_on(before: &str, after: &str, is_one: bool) -> bool {
    let Some(next) = after.trim_start().chars().next() else { return false };
    if next.is_lowercase() || !is_one {
        return next.is_lowercase();
    }
    let apart = |it: char| it.is_whitespace() || "(\"'".contains(it);
    let word = before.rsplit(apart).next().unwrap_or_default();
    let lower = word.to_lowercase();
    let is_initial =
        word.chars().count() == 1 && word.chars().all(char::is_uppercase) && word != "I";
    let may_end = MAY_END.contains(&lower.as_str()) && next.is_uppercase();
    is_initial || (ABBREVIATIONS.contains(&lower.as_str()) && !may_end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dots_that_end_nothing() {
        for one in [
            "Mr. Smith pays 3.5 million, e.g. to Dr. Jones.",
            "See fig. 3 and J. R. Miller at 9 a.m. tomorrow",
            "It is version 1.2.3 of example.com, approx. 5 MB!",
            "No end here",
            "He said so ... and left.",
            "What?!",
        ] {
            assert_eq!(sentences(one), [one]);
        }
    }

    #[test]
    fn ends_of_sentences() {
        for (text, expected) in [
            ("We ship. It works!", vec!["We ship.", "It works!"]),
            ("Really?! \"Yes.\" I do.", vec!["Really?!", "\"Yes.\"", "I do."]),
            ("I work at Acme Inc. They pay.", vec!["I work at Acme Inc.", "They pay."]),
            ("So do I. Good.", vec!["So do I.", "Good."]),
            (
                "Wait… No. 5 is late. Is it no. Yes",
                vec!["Wait…", "No. 5 is late.", "Is it no.", "Yes"],
            ),
            ("好。很好！对吗？", vec!["好。", "很好！", "对吗？"]),
            (" . ! ", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(sentences(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_said_is_lost(text in "([A-Za-z0-9.!?\"ü好。 ]{0,60})|(.{0,60})") {
            let said = |text: &str| text.chars().filter(|it| it.is_alphanumeric()).collect::<String>();
            prop_assert_eq!(sentences(&text).iter().map(|it| said(it)).collect::<String>(), said(&text));
        }
    }
}
