//! How far a text is from what was said.

use carport_voice_phonemes::cardinal;
use strsim::generic_levenshtein;

/// What is said in thinking and means nothing.
const FILLERS: [&str; 6] = ["uh", "um", "uhm", "hm", "hmm", "mm"];

/// Words as they are compared: lower case, hyphens, slashes and underscores as blanks, names of a program as the
/// words that they are read as, nothing but letters and digits, "mister" in full, numbers below a thousand in words,
/// the old "tatter'd" as "tattered", letters that are spelt as one word, without [`FILLERS`].
pub(crate) fn words(text: &str) -> Vec<String> {
    let text = text.replace('’', "'").replace(['-', '–', '—', '/', '_'], " ");
    let text = unspelt(&parted(&text)).to_lowercase();
    let word = |word: &str| {
        let old = word.trim_end_matches(|it: char| !it.is_alphanumeric()).strip_suffix("'d");
        let letters = |it: &str| it.chars().filter(|it| it.is_alphanumeric()).collect::<String>();
        // "They'd" and its like stay as they are.
        let word =
            old.filter(|it| it.len() > 4).map_or_else(|| letters(word), |it| letters(it) + "ed");
        match word.as_str() {
            "mr" => vec!["mister".to_owned()],
            "" => vec![],
            filler if FILLERS.contains(&filler) => vec![],
            other => number(other).unwrap_or_else(|| vec![word]),
        }
    };
    text.split_whitespace().flat_map(word).collect()
}

/// Parts "LocalSet" where a small letter meets a capital, and "TCPSocket" before the last of several capitals, but
/// not "IDs".
fn parted(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut parted = String::with_capacity(text.len());
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map_or(' ', |at| letters[at]);
        let is_small = |at: usize| letters.get(at).is_some_and(|it| it.is_lowercase());
        let is_plural = letters.get(at + 1) == Some(&'s') && !is_small(at + 2);
        let after = is_small(at + 1) && !is_plural;
        let begins = before.is_lowercase() || (before.is_uppercase() && after);
        if letter.is_uppercase() && begins {
            parted.push(' ');
        }
        parted.push(*letter);
    }
    parted
}

/// Letters that are spelt one by one, "L. C." or "L C", as the word that they are short for, "LC". They are
/// capitals, or have a full stop; "a" and "I" without one are words unless their neighbour is such a letter.
fn unspelt(text: &str) -> String {
    let all: Vec<&str> = text.split_whitespace().collect();
    let letter = |at: usize| {
        let word = *all.get(at)?;
        let letter = word.strip_suffix('.').unwrap_or(word);
        let mut rest = letter.chars();
        let single = rest.next().filter(|it| it.is_alphabetic() && rest.next().is_none())?;
        (letter != word || single.is_uppercase()).then_some((single, letter == word))
    };
    let is_plain = |at: usize| letter(at).is_some_and(|it| it.0 != 'A' && it.0 != 'I');
    let (mut joined, mut goes_on) = (String::new(), false);
    for (at, word) in all.iter().enumerate() {
        let found = letter(at).filter(|(single, is_bare)| {
            let may_be_a_word = *is_bare && matches!(single, 'A' | 'I');
            !may_be_a_word || is_plain(at + 1) || (at > 0 && is_plain(at - 1))
        });
        if !(goes_on && found.is_some()) {
            joined.push(' ');
        }
        match found {
            Some((single, _)) => joined.push(single),
            None => joined.push_str(word),
        }
        goes_on = found.is_some();
    }
    joined
}

/// A whole number below a thousand in words, as it is counted.
fn number(digits: &str) -> Option<Vec<String>> {
    let plain = digits.len() == 1 || !digits.starts_with('0');
    let value = digits.parse().ok().filter(|it| plain && *it < 1000)?;
    Some(cardinal(value).into_iter().map(str::to_owned).collect())
}

/// What was said and what was heard instead, where they differ: neighbours together, "-" for nothing.
pub(crate) fn differences(said: &str, heard: &str) -> Vec<(String, String)> {
    let (said, heard) = (words(said), words(heard));
    // `left[i][j]`: the edits between what follows the i-th word said and the j-th heard.
    let mut left = vec![vec![0; heard.len() + 1]; said.len() + 1];
    for i in (0..=said.len()).rev() {
        for j in (0..=heard.len()).rev() {
            left[i][j] = match (said.get(i), heard.get(j)) {
                (Some(one), Some(other)) => (left[i + 1][j + 1] + usize::from(one != other))
                    .min(left[i + 1][j] + 1)
                    .min(left[i][j + 1] + 1),
                _ => said.len() - i + heard.len() - j,
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let (mut found, mut run) = (Vec::new(), (Vec::new(), Vec::new()));
    while i < said.len() || j < heard.len() {
        let (one, other) = (said.get(i), heard.get(j));
        if one == other {
            close(&mut run, &mut found);
            (i, j) = (i + 1, j + 1);
            continue;
        }
        // What is left after a word was changed, left out or put in: the cheapest of those that can be.
        let after = |i: usize, j: usize| left.get(i).and_then(|row| row.get(j)).copied();
        let [change, out, more] = [after(i + 1, j + 1), after(i + 1, j), after(i, j + 1)];
        let best = [change, out, more].into_iter().flatten().min();
        if change == best || out == best {
            run.0.extend(one.cloned());
            i += 1;
        }
        if change == best || out != best {
            run.1.extend(other.cloned());
            j += 1;
        }
    }
    close(&mut run, &mut found);
    found
}

/// Adds a run of words that differ, if there is one, and begins another.
fn close(run: &mut (Vec<String>, Vec<String>), found: &mut Vec<(String, String)>) {
    let (said, heard) = std::mem::take(run);
    let text = |words: Vec<String>| if words.is_empty() { "-".into() } else { words.join(" ") };
    if !said.is_empty() || !heard.is_empty() {
        found.push((text(said), text(heard)));
    }
}

/// Errors over several texts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Score {
    pub(crate) words: usize,
    pub(crate) word_edits: usize,
    /// Of the words without the blanks between them, so that "file system" is "filesystem".
    pub(crate) letters: usize,
    pub(crate) letter_edits: usize,
}

impl Score {
    /// Of one text.
    pub(crate) fn of(said: &str, heard: &str) -> Self {
        let (said, heard) = (words(said), words(heard));
        let letters = |words: &[String]| words.concat().chars().collect::<Vec<_>>();
        let (said_letters, heard_letters) = (letters(&said), letters(&heard));
        Self {
            words: said.len(),
            word_edits: generic_levenshtein(&heard, &said),
            letters: said_letters.len(),
            letter_edits: generic_levenshtein(&heard_letters, &said_letters),
        }
    }

    /// Together with those of another.
    pub(crate) fn add(&mut self, other: Self) {
        self.words += other.words;
        self.word_edits += other.word_edits;
        self.letters += other.letters;
        self.letter_edits += other.letter_edits;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_in_words_and_in_letters() {
        let score = Score::of("Mr. Dash-wood's file system.", "mister dash woods filesystem");
        assert_eq!((score.words, score.word_edits, score.letter_edits), (5, 2, 0));
        let score = Score::of("a b c d", "a x c");
        assert_eq!((score.word_edits, score.letter_edits), (2, 2));
        assert_eq!(Score::of("", "a b").word_edits, 2);
        assert_eq!(Score::of("a b", "").word_edits, 2);
    }

    #[test]
    fn spelling_and_fillers_are_no_errors_and_other_words_are() {
        assert_eq!(Score::of("Uh, the tatter'd weed, um", "the tattered weed").word_edits, 0);
        assert_eq!(words("He’d say: “I'd deserv’d, they'd.”"), words("Hed say id deserved theyd"));
        assert_eq!(Score::of("tatter'd", "tatter").word_edits, 1);
        let counted = "zero ten nineteen forty forty two six hundred one hundred eleven";
        assert_eq!(words("0, 10, 19, 40, 42, 600, 111"), words(counted));
        assert_eq!(words("1000 007 2nd"), ["1000", "007", "2nd"]);
        assert_eq!(Score::of("Mr Fox's forty", "mister foxes 14").word_edits, 2);
    }

    #[test]
    fn spelt_letters_are_one_word_and_words_of_one_letter_stay() {
        assert_eq!(words("An L. C. or J. R. R. Tolkien"), words("an LC or JRR Tolkien"));
        assert_eq!(
            words("the U-S-B port, i. e. one I/O"),
            ["the", "usb", "port", "ie", "one", "io"]
        );
        assert_eq!(words("I saw a file. A dog, I"), ["i", "saw", "a", "file", "a", "dog", "i"]);
        assert_eq!(words("a b c"), ["a", "b", "c"]);
    }

    #[test]
    fn names_of_a_program_are_the_words_that_are_read() {
        assert_eq!(words("LocalSet, TcpSocket"), words("local set, TCP socket"));
        assert_eq!(words("an HTTPServer"), words("an HTTP server"));
        assert_eq!(words("NASA Ok IDs X509Cert"), ["nasa", "ok", "ids", "x509cert"]);
    }

    #[test]
    fn differences_are_told_by_their_neighbours() {
        let pair = |said: &str, heard: &str| (said.to_owned(), heard.to_owned());
        let found = differences("a file system b c d", "a filesystem b x d e");
        assert_eq!(found, [pair("file system", "filesystem"), pair("c", "x"), pair("-", "e")]);
        assert_eq!(differences("", "a"), [pair("-", "a")]);
        assert_eq!(differences("a b", ""), [pair("a b", "-")]);
        assert!(differences("same, words", "Same words!").is_empty());
    }
}
