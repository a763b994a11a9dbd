//! Tokens to pieces and chunks: what is looked up together and what is spoken with one stress.

use crate::lexicon::Spelling;
use crate::numbers;
use crate::tokens::{is_letter, is_lower, is_upper};

/// A part of a token that is all letters, all digits, or a mark.
#[derive(Clone, Debug)]
pub(crate) struct Piece<'t> {
    /// Where it stands in the sentence.
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) text: &'t str,
    pub(crate) tag: &'t str,
    /// White space follows.
    pub(crate) space: bool,
    /// It opens its chunk.
    pub(crate) head: bool,
    /// What it counts.
    pub(crate) currency: Option<char>,
    /// Set once it is known how it sounds.
    pub(crate) phonemes: Option<String>,
    /// A pause between it and the piece before it in the chunk.
    pub(crate) gap: bool,
    /// Never looked up together with its neighbours.
    alone: bool,
}

/// A token with its tag and its place in the sentence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tagged<'t> {
    pub(crate) start: usize,
    pub(crate) text: &'t str,
    pub(crate) tag: &'t str,
    pub(crate) space: bool,
}

/// Pieces of one chunk; more are a chunk of their own. Nothing that is spoken has as many, and looking up every run of
/// a chunk costs the square of it.
const MAX_PIECES: usize = 16;

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '‘' | '’')
}

/// Marks that are silent inside a chunk.
pub(crate) fn is_silent(c: char) -> bool {
    "',-._‘’/".contains(c)
}

/// Marks that the voice knows as pauses.
pub(crate) fn is_pause(c: char) -> bool {
    ";:,.!?—…".contains(c)
}

/// Bytes of the piece that `rest` opens with; 0 where its first character belongs to none.
fn piece_len(rest: &str, first: bool) -> usize {
    let run = |part: fn(char) -> bool| rest.len() - rest.trim_start_matches(part).len();
    let mut chars = rest.chars();
    let Some(c) = chars.next() else { return 0 };
    let (next, after) = (chars.next(), chars.next());
    let apostrophes = run(is_apostrophe);
    if first && apostrophes > 0 {
        return apostrophes;
    }
    if is_upper(c) && next.is_some_and(is_upper) && after.is_some_and(is_lower) {
        return c.len_utf8();
    }
    let minus = usize::from(first && c == '-');
    let digits = number_len(&rest[minus..]);
    if digits > 0 {
        return minus + digits;
    }
    let lines = run(|c| c == '-' || c == '_');
    if lines > 0 {
        return lines;
    }
    if is_letter(c) {
        return hump_len(rest).unwrap_or_else(|| word_len(rest));
    }
    if apostrophes > 0 && apostrophes < rest.len() && apostrophes == c.len_utf8() {
        return 0;
    }
    if apostrophes > 0 { apostrophes } else { c.len_utf8() }
}

/// "1,250.5": digits, with single points and commas before any of them.
fn number_len(s: &str) -> usize {
    let bytes = s.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut at = 0;
    loop {
        if digit(at) {
            at += 1;
        } else if matches!(bytes.get(at), Some(b',' | b'.')) && digit(at + 1) {
            at += 2;
        } else {
            return at;
        }
    }
}

/// The "camel" of "camelCase".
fn hump_len(s: &str) -> Option<usize> {
    let mut chars = s.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let (_, next) = *chars.peek()?;
        if is_lower(c) && is_upper(next) {
            return Some(at + c.len_utf8());
        }
        if !is_letter(next) {
            return None;
        }
    }
    None
}

/// Letters, then single letters after apostrophes: "rock'n".
fn word_len(s: &str) -> usize {
    let mut at = s.len() - s.trim_start_matches(is_letter).len();
    loop {
        let mut rest = s[at..].chars();
        match (rest.next(), rest.next()) {
            (Some(mark), Some(letter)) if is_apostrophe(mark) && is_letter(letter) => {
                at += mark.len_utf8() + letter.len_utf8();
            }
            _ => return at,
        }
    }
}

/// What a token that is only a mark sounds like, `None` when it is a word.
fn mark(text: &str, tag: &str) -> Option<String> {
    if tag == ":" && matches!(text, "-" | "–") {
        return Some("—".to_owned());
    }
    let marks = [".", ",", "-LRB-", "-RRB-", "``", "\"\"", "''", ":", "$", "#", "NFP"];
    if !marks.contains(&tag) || text.chars().all(|c| c.is_ascii_alphabetic()) {
        return None;
    }
    Some(match tag {
        "-LRB-" => "(".to_owned(),
        "-RRB-" => ")".to_owned(),
        "``" => "“".to_owned(),
        "\"\"" | "''" => "”".to_owned(),
        _ => text.chars().filter(|c| is_pause(*c) || matches!(c, '"' | '“' | '”')).collect(),
    })
}

/// The chunks of a sentence, in order. A chunk of one piece is a word or a mark.
pub(crate) fn chunks<'t>(tokens: &[Tagged<'t>]) -> Vec<Vec<Piece<'t>>> {
    let mut chunks: Vec<Vec<Piece<'t>>> = Vec::new();
    let mut currency = None;
    // Whether the last chunk may go on.
    let mut open = false;
    for (i, token) in tokens.iter().enumerate() {
        let counted = tokens.get(i + 1).is_none_or(|next| next.tag != "CD");
        for mut piece in settle(pieces(token), counted, &mut currency) {
            let whole = piece.phonemes.is_some() || piece.alone;
            let joins =
                open && !whole && chunks.last().is_some_and(|chunk| chunk.len() < MAX_PIECES);
            open = !whole && !piece.space;
            match chunks.last_mut() {
                Some(chunk) if joins => {
                    piece.head = false;
                    chunk.push(piece);
                }
                _ => chunks.push(vec![piece]),
            }
        }
    }
    chunks
}

fn pieces<'t>(token: &Tagged<'t>) -> Vec<Piece<'t>> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(c) = token.text[at..].chars().next() {
        let length = piece_len(&token.text[at..], at == 0);
        if length > 0 {
            pieces.push(Piece {
                start: token.start + at,
                end: token.start + at + length,
                text: &token.text[at..at + length],
                tag: token.tag,
                space: false,
                head: true,
                currency: None,
                phonemes: None,
                gap: false,
                alone: false,
            });
        }
        at += if length > 0 { length } else { c.len_utf8() };
    }
    if let Some(last) = pieces.last_mut() {
        last.space = token.space;
    }
    pieces
}

/// Marks become their phonemes, money is moved to its number, and the "2" of "B2B" becomes "to". `counted`: no further
/// number follows the token.
fn settle<'t>(
    mut pieces: Vec<Piece<'t>>,
    counted: bool,
    currency: &mut Option<char>,
) -> Vec<Piece<'t>> {
    let last = pieces.len().saturating_sub(1);
    for i in 0..pieces.len() {
        let (text, tag) = (pieces[i].text, pieces[i].tag);
        let sign = text
            .chars()
            .next()
            .filter(|c| numbers::money(*c).is_some() && text.len() == c.len_utf8());
        if tag == "$" && sign.is_some() {
            *currency = sign;
            pieces[i].phonemes = Some(String::new());
        } else if let Some(phonemes) = mark(text, tag) {
            pieces[i].phonemes = Some(phonemes);
        } else if currency.is_some() {
            if tag != "CD" {
                *currency = None;
            } else if i == last && counted {
                pieces[i].currency = *currency;
            }
        } else if text == "2" && i > 0 && i < last {
            let letter = |c: Option<char>| c.is_some_and(char::is_alphabetic);
            if letter(pieces[i - 1].text.chars().next_back())
                && letter(pieces[i + 1].text.chars().next())
            {
                pieces[i].text = "to";
                pieces[i].alone = true;
            }
        }
    }
    pieces
}

/// Several neighbours as one word; `sentence` is what the places count in.
pub(crate) fn merged<'t>(sentence: &'t str, run: &[Piece<'t>]) -> Option<Spelling<'t>> {
    let (first, last) = (run.first()?, run.last()?);
    let size = |piece: &Piece<'_>| -> usize {
        piece.text.chars().map(|c| if c.is_uppercase() { 2 } else { 1 }).sum()
    };
    let longest = run.iter().rev().max_by_key(|piece| size(piece))?;
    Some(Spelling {
        text: &sentence[first.start..last.end],
        tag: longest.tag,
        currency: run.iter().filter_map(|piece| piece.currency).max(),
        head: first.head,
    })
}
