//! Looking at text from one place: what stands before, and what can be read from there.

/// A place in a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'t> {
    pub(super) text: &'t str,
    pub(super) at: usize,
}

/// Letters, digits and the underscore.
pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

impl<'t> Place<'t> {
    pub(super) fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    pub(super) fn before(&self) -> Option<char> {
        self.text[..self.at].chars().next_back()
    }

    /// No letter or digit stands before.
    pub(super) fn opens_word(&self) -> bool {
        !self.before().is_some_and(is_word)
    }

    /// No letter, digit or point stands before.
    pub(super) fn opens_number(&self) -> bool {
        !self.before().is_some_and(|c| is_word(c) || c == '.')
    }
}

/// What is left of the text after something was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan<'t> {
    start: &'t str,
    pub(super) rest: &'t str,
}

impl<'t> Scan<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { start: text, rest: text }
    }

    /// Bytes read so far.
    pub(super) fn taken(&self) -> usize {
        self.start.len() - self.rest.len()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// Whether the next character ends a word.
    pub(super) fn ends_word(&self) -> bool {
        !self.peek().is_some_and(is_word)
    }

    fn take(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }

    /// `literal`, if it stands here.
    pub(super) fn literal(&mut self, literal: &str) -> Option<&'t str> {
        self.rest.starts_with(literal).then(|| self.take(literal.len()))
    }

    /// One of these characters.
    pub(super) fn one_of(&mut self, chars: &str) -> Option<char> {
        let c = self.peek().filter(|c| chars.contains(*c))?;
        self.take(c.len_utf8());
        Some(c)
    }

    /// At most one space.
    pub(super) fn space(&mut self) -> bool {
        self.literal(" ").is_some()
    }

    /// All digits here, if there are as many as allowed.
    pub(super) fn digits(&mut self, min: usize, max: usize) -> Option<&'t str> {
        let count = self.rest.bytes().take(max + 1).take_while(u8::is_ascii_digit).count();
        (min <= count && count <= max).then(|| self.take(count))
    }

    /// "1,250.5": digits, groups of three after commas, a fraction.
    pub(super) fn number(&mut self) -> Option<&'t str> {
        let bytes = self.rest.as_bytes();
        let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
        let mut end = digits(0);
        if end == 0 {
            return None;
        }
        while bytes.get(end) == Some(&b',') && digits(end + 1) == 3 {
            end += 4;
        }
        if bytes.get(end) == Some(&b'.') && digits(end + 1) > 0 {
            end += 1 + digits(end + 1);
        }
        Some(self.take(end))
    }

    /// The longest of `words` that stands here as a word of its own.
    pub(super) fn word_of<'w>(&mut self, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
        let rest = self.rest;
        let fits = |word: &&str| {
            rest.strip_prefix(*word).is_some_and(|after| !after.chars().next().is_some_and(is_word))
        };
        let word = words.filter(fits).max_by_key(|word| word.len())?;
        self.take(word.len());
        Some(word)
    }
}
