//! One normalised sentence to its phonemes.

use crate::dictionary::capitalized;
use crate::lexicon::{Lexicon, Next, Spelling, is_loud_name};
use crate::pieces::{Piece, Tagged, chunks, is_pause, is_silent, merged};
use crate::stress::{PRIMARY, Stress, is_consonant, is_vowel, weight};
use crate::tagger::Tagger;
use crate::tokens::{Tokenizer, is_letter};

/// What turns words into sounds. The model for unknown words is passed in with each call.
#[derive(Debug)]
pub(crate) struct Speaker {
    pub(crate) tokenizer: Tokenizer,
    pub(crate) tagger: Tagger,
    pub(crate) lexicon: Lexicon,
}

/// Phonemes of a word that no dictionary has.
pub(crate) type Unknown<'u> = dyn FnMut(&str) -> Option<String> + 'u;

impl Speaker {
    /// The phonemes of a sentence, a space where the text has one. Works from the end, because a word's sound may
    /// depend on what follows.
    pub(crate) fn phonemes(&self, sentence: &str, unknown: &mut Unknown<'_>) -> String {
        let tokens = self.tokenizer.split(sentence);
        let words: Vec<&str> = tokens.iter().map(|token| token.text).collect();
        let tags = self.tagger.tag(&words);
        let mut at = 0;
        let mut tagged = Vec::with_capacity(tokens.len());
        for (token, tag) in tokens.iter().zip(tags) {
            at += sentence[at..].find(token.text).unwrap_or(0);
            tagged.push(Tagged { start: at, text: token.text, tag, space: token.space });
            at += token.text.len();
        }
        let mut chunks = chunks(&tagged);
        let mut next = Next::default();
        for chunk in chunks.iter_mut().rev() {
            next = match &mut chunk[..] {
                [word] => self.word(word, next, unknown),
                chunk => self.chunk(sentence, chunk, next, unknown),
            };
        }
        let mut spoken = String::with_capacity(sentence.len() * 2);
        for chunk in &chunks {
            push_chunk(chunk, &mut spoken);
        }
        spoken.replace('ɾ', "T").replace('ʔ', "t").trim().to_owned()
    }

    fn word(&self, word: &mut Piece<'_>, next: Next, unknown: &mut Unknown<'_>) -> Next {
        let spelling =
            Spelling { text: word.text, tag: word.tag, currency: word.currency, head: word.head };
        let known = word.phonemes.take().or_else(|| self.lexicon.read(spelling, next));
        let phonemes = known.unwrap_or_else(|| self.fall_back(word.text, unknown));
        let next = followed_by(next, &phonemes, word.text, word.tag);
        word.phonemes = Some(phonemes);
        next
    }

    /// Looks up the longest run of pieces that ends the chunk, then the longest before it, and so on. One piece that is
    /// unknown makes the whole chunk unknown.
    fn chunk(
        &self,
        sentence: &str,
        chunk: &mut [Piece<'_>],
        mut next: Next,
        unknown: &mut Unknown<'_>,
    ) -> Next {
        let mut right = chunk.len();
        while right > 0 {
            let found = (0..right).find_map(|left| {
                let run = merged(sentence, &chunk[left..right])?;
                Some((left, run, self.lexicon.read(run, next)?))
            });
            if let Some((left, run, phonemes)) = found {
                next = followed_by(next, &phonemes, run.text, run.tag);
                chunk[left + 1..right].iter_mut().for_each(|p| p.phonemes = Some(String::new()));
                chunk[left].phonemes = Some(phonemes);
                right = left;
            } else if chunk[right - 1].text.chars().all(is_silent) {
                chunk[right - 1].phonemes = Some(String::new());
                right -= 1;
            } else {
                let whole = merged(sentence, chunk).map_or("", |whole| whole.text);
                let phonemes = self.fall_back(whole, unknown);
                chunk.iter_mut().for_each(|piece| piece.phonemes = Some(String::new()));
                chunk[0].phonemes = Some(phonemes);
                return next;
            }
        }
        settle_stress(chunk);
        next
    }

    /// Letters by the model, digits as numbers, signs by name.
    fn fall_back(&self, text: &str, unknown: &mut Unknown<'_>) -> String {
        let mut parts = Vec::new();
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            let end = at + part_len(&text[at..], c);
            let part = &text[at..end];
            let phonemes = if is_loud_name(part.split(['\'', '’']).next().unwrap_or(part)) {
                unknown(&capitalized(&part.to_lowercase()))
            } else if is_letter(c) {
                unknown(part)
            } else if c.is_ascii_digit() {
                self.lexicon.number(part, None, false)
            } else {
                Some(part.chars().filter_map(sign).collect())
            };
            parts.extend(phonemes.filter(|p| !p.is_empty()));
            at = end;
        }
        parts.join(" ")
    }
}

/// Bytes of a run of one kind: letters with apostrophes between, digits with points and commas between, or others.
fn part_len(rest: &str, first: char) -> usize {
    let (kind, inner): (fn(char) -> bool, &str) = if is_letter(first) {
        (is_letter, "'’")
    } else if first.is_ascii_digit() {
        (|c| c.is_ascii_digit(), ".,")
    } else {
        (|c| !c.is_alphanumeric(), "")
    };
    let mut chars = rest.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let goes_on = chars.peek().is_some_and(|(_, next)| kind(*next));
        if !(kind(c) || (inner.contains(c) && goes_on)) {
            return at;
        }
    }
    rest.len()
}

/// The name of a sign.
fn sign(c: char) -> Option<&'static str> {
    Some(match c {
        '/' => "slˈæʃ",
        '=' => "ˈikwᵊlz",
        '+' => "plˈʌs",
        '&' => "ænd",
        '@' => "æt",
        '%' => "pəɹsˈɛnt",
        '#' => "hˈæʃ",
        '*' => "ˈæstəɹˌɪsk",
        '~' => "tˈɪldə",
        '^' => "kˈɛɹət",
        '<' => "lˈɛs ðən",
        '>' => "ɡɹˈATəɹ ðən",
        '—' => "—",
        _ => return None,
    })
}

/// What the word before hears of this one.
fn followed_by(next: Next, phonemes: &str, text: &str, tag: &str) -> Next {
    let sound = phonemes.chars().find(|c| is_vowel(*c) || is_consonant(*c) || is_pause(*c));
    let vowel = sound.map_or(next.vowel, |c| (!is_pause(c)).then(|| is_vowel(c)));
    let to = matches!(text, "to" | "To") || (text == "TO" && matches!(tag, "TO" | "IN"));
    Next { vowel, to }
}

/// Parts of different kinds ("B-52") are words of their own. Parts of one word ("well-known") share one strong stress.
fn settle_stress(chunk: &mut [Piece<'_>]) {
    let mut kinds = [false; 3];
    for c in chunk.iter().flat_map(|piece| piece.text.chars()).filter(|c| !is_silent(*c)) {
        kinds[if c.is_alphabetic() {
            0
        } else if c.is_ascii_digit() {
            1
        } else {
            2
        }] = true;
    }
    let slash = chunk.iter().any(|piece| piece.text.contains('/'));
    let apart = slash || kinds.iter().filter(|kind| **kind).count() > 1;
    chunk.iter_mut().skip(1).for_each(|piece| piece.gap = apart);
    if apart {
        return;
    }
    let mut heard: Vec<(bool, usize, usize)> = chunk
        .iter()
        .enumerate()
        .filter_map(|(i, piece)| Some((i, piece.phonemes.as_deref().filter(|p| !p.is_empty())?)))
        .map(|(i, phonemes)| (phonemes.contains(PRIMARY), weight(phonemes), i))
        .collect();
    let strong = heard.iter().filter(|(primary, ..)| *primary).count();
    let weaker: Vec<usize> = match heard[..] {
        [(.., first), (.., second)] if chunk[first].text.chars().nth(1).is_none() => vec![second],
        _ if heard.len() < 2 || strong <= heard.len().div_ceil(2) => return,
        _ => {
            heard.sort_unstable();
            heard[..heard.len() / 2].iter().map(|(.., i)| *i).collect()
        }
    };
    for i in weaker {
        chunk[i].phonemes = chunk[i].phonemes.as_deref().map(|p| Stress::Weaker.apply(p));
    }
}

fn push_chunk(chunk: &[Piece<'_>], spoken: &mut String) {
    let start = spoken.len();
    for piece in chunk {
        let phonemes = piece.phonemes.as_deref().unwrap_or("");
        if piece.gap && spoken.len() > start && !spoken.ends_with(' ') && !phonemes.is_empty() {
            spoken.push(' ');
        }
        spoken.push_str(phonemes);
    }
    let space = chunk.last().is_some_and(|last| last.space);
    if space && !spoken.ends_with(' ') {
        spoken.push(' ');
    }
}
