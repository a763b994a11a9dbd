//! Names and texts as words, so that matching never hits a part of a word. Nothing is copied, for texts
//! may be as large as a frame.

/// The most words of a phrase.
const LONGEST: usize = 3;

/// The words of a text: what is between everything but letters and digits.
pub(crate) fn text_words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// The words of a name, which ends a word also where the case changes: `getHTTPHeader` and
/// `get_http_header` have the same words.
pub(crate) fn name_words(name: &str) -> impl Iterator<Item = &str> {
    text_words(name).flat_map(|mut rest| {
        std::iter::from_fn(move || {
            let (word, after) = rest.split_at(case_change(rest));
            rest = after;
            (!word.is_empty()).then_some(word)
        })
    })
}

/// Where the first word of several without marks between them ends.
fn case_change(words: &str) -> usize {
    let mut letters = words.char_indices().peekable();
    let mut before: Option<char> = None;
    while let Some((at, letter)) = letters.next() {
        let last_capital = letters.peek().is_some_and(|(_, after)| after.is_lowercase());
        let changes = before.is_some_and(|before| !before.is_uppercase() || last_capital);
        if changes && letter.is_uppercase() {
            return at;
        }
        before = Some(letter);
    }
    words.len()
}

/// Whether one of `phrases`, lower-case words with one space between them, stands in `words`, whatever
/// their case.
pub(crate) fn has_phrase<'a>(words: impl Iterator<Item = &'a str>, phrases: &[&str]) -> bool {
    let mut tail = Tail::default();
    words.into_iter().any(|word| {
        tail.push(word);
        tail.is_any(phrases)
    })
}

/// Whether `words` end with one of `phrases`.
pub(crate) fn ends_with<'a>(words: impl Iterator<Item = &'a str>, phrases: &[&str]) -> bool {
    let mut tail = Tail::default();
    words.for_each(|word| tail.push(word));
    tail.is_any(phrases)
}

/// The last words so far, the newest last.
#[derive(Default)]
struct Tail<'a>([&'a str; LONGEST]);

impl<'a> Tail<'a> {
    fn push(&mut self, word: &'a str) {
        self.0.rotate_left(1);
        self.0[LONGEST - 1] = word;
    }

    fn is_any(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| {
            let mut words = self.0.iter().rev();
            phrase
                .rsplit(' ')
                .all(|it| words.next().is_some_and(|word| word.eq_ignore_ascii_case(it)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_falls_apart_at_marks_and_where_the_case_changes() {
        for (name, words) in [
            ("read_file", vec!["read", "file"]),
            ("fs/read-file.v2:x", vec!["fs", "read", "file", "v2", "x"]),
            ("sendEmail", vec!["send", "Email"]),
            ("getHTTPHeader", vec!["get", "HTTP", "Header"]),
            ("APIKey", vec!["API", "Key"]),
            ("sha256Sum", vec!["sha256", "Sum"]),
            ("PASSWORD", vec!["PASSWORD"]),
            ("sendgrid", vec!["sendgrid"]),
            ("größeÄndern", vec!["größe", "Ändern"]),
            ("__", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(name_words(name).collect::<Vec<_>>(), words, "{name}");
        }
    }

    #[test]
    fn phrases_are_of_whole_words() {
        let words = || text_words("sudo /usr/bin/git  PUSH --force; echo raindrop tables");
        assert!(
            has_phrase(words(), &["x", "git push"]) && has_phrase(words(), &["git push force"])
        );
        assert!(has_phrase(words(), &["sudo"]) && has_phrase(words(), &["tables"]));
        assert!(!has_phrase(words(), &["drop table"]) && !has_phrase(words(), &["push git"]));
        assert!(ends_with(name_words("aws_apiKey"), &["api key"]));
        assert!(!ends_with(name_words("key"), &["api key"]));
        assert!(!ends_with(name_words("token_count"), &["token"]));
    }
}
