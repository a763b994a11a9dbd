//! How far a text is from what was said.

/// Words as they are compared: lower case, hyphens, slashes and underscores as blanks, nothing but letters
/// and digits, "mister" in full.
pub(crate) fn words(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace(['-', '–', '—', '/', '_'], " ").replace("mr.", "mister");
    let letters = |word: &str| word.chars().filter(|it| it.is_alphanumeric()).collect::<String>();
    text.split_whitespace().map(letters).filter(|it| !it.is_empty()).collect()
}

/// Levenshtein's distance: what has to be changed, left out or put in.
pub(crate) fn edits<T: PartialEq>(given: &[T], expected: &[T]) -> usize {
    let mut row: Vec<usize> = (0..=expected.len()).collect();
    for (i, one) in given.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in expected.iter().enumerate() {
            let change = diagonal + usize::from(one != other);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[expected.len()]
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
            word_edits: edits(&heard, &said),
            letters: said_letters.len(),
            letter_edits: edits(&heard_letters, &said_letters),
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
}
