//! Names and texts as words, so that matching never hits a part of a word.

/// The words of a name in lower case: split at everything but letters and digits, and where the case
/// changes, so that `getHTTPHeader` and `get_http_header` are the same words.
pub(crate) fn name_words(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let mut words = vec![String::new()];
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| letters[at]);
        let after = letters.get(at + 1);
        let rises = before.is_some_and(|it| !it.is_uppercase()) && letter.is_uppercase();
        let ends_capitals = before.is_some_and(char::is_uppercase)
            && letter.is_uppercase()
            && after.is_some_and(|it| it.is_lowercase());
        if rises || ends_capitals || !letter.is_alphanumeric() {
            words.push(String::new());
        }
        if letter.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The words of a text in lower case: split at everything but letters and digits.
pub(crate) fn text_words(text: &str) -> Vec<String> {
    let words = text.split(|letter: char| !letter.is_alphanumeric());
    words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// Whether one of `phrases`, each of words with a space between, stands in `words`.
pub(crate) fn has_phrase(words: &[String], phrases: &[&str]) -> bool {
    (0..words.len()).any(|at| phrases.iter().any(|phrase| starts_with(&words[at..], phrase)))
}

/// Whether `words` end with one of `phrases`.
pub(crate) fn ends_with(words: &[String], phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| {
        let start = words.len().checked_sub(phrase.split(' ').count());
        start.is_some_and(|start| starts_with(&words[start..], phrase))
    })
}

fn starts_with(words: &[String], phrase: &str) -> bool {
    let mut words = words.iter();
    phrase.split(' ').all(|wanted| words.next().is_some_and(|word| word == wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_falls_apart_at_marks_and_where_the_case_changes() {
        for (name, words) in [
            ("read_file", vec!["read", "file"]),
            ("fs/read-file.v2:x", vec!["fs", "read", "file", "v2", "x"]),
            ("sendEmail", vec!["send", "email"]),
            ("getHTTPHeader", vec!["get", "http", "header"]),
            ("APIKey", vec!["api", "key"]),
            ("PASSWORD", vec!["password"]),
            ("sendgrid", vec!["sendgrid"]),
            ("größeÄndern", vec!["größe", "ändern"]),
            ("__", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(name_words(name), words, "{name}");
        }
    }

    #[test]
    fn phrases_are_of_whole_words() {
        let words = text_words("sudo /usr/bin/git  PUSH --force; echo raindrop tables");
        assert!(has_phrase(&words, &["git push"]) && has_phrase(&words, &["sudo"]));
        assert!(!has_phrase(&words, &["drop table"]) && !has_phrase(&words, &["push git"]));
        assert!(ends_with(&name_words("aws_apiKey"), &["api key"]));
        assert!(!ends_with(&name_words("key"), &["api key"]));
        assert!(!ends_with(&name_words("token_count"), &["token"]));
    }
}
