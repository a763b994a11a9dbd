//! How a string with references reads.

/// Bytes of an action's id.
const MAX_ID: usize = 128;
const OUTPUT: &str = ".output";

/// A part of the output of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference<'a> {
    pub(super) id: &'a str,
    /// Whether `id` is an action of the proposal; else the reference stays text.
    pub(super) known: bool,
    pub(super) path: Vec<Part<'a>>,
    pub(super) source: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part<'a> {
    Key(&'a str),
    Index(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Text(&'a str),
    Output(Reference<'a>),
}

/// How a string reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reading<'a> {
    Plain,
    Whole(Reference<'a>),
    Pieces(Vec<Piece<'a>>),
}

impl<'a> Piece<'a> {
    /// What it stands for, unless an output decides it.
    pub(super) fn text(&self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Output(reference) => (!reference.known).then_some(reference.source),
        }
    }
}

impl Reference<'_> {
    pub(super) fn path_text(&self) -> String {
        let parts = self.path.iter().map(|part| match part {
            Part::Key(key) => format!(".{key}"),
            Part::Index(at) => format!("[{at}]"),
        });
        parts.collect::<String>().trim_start_matches('.').to_owned()
    }
}

pub(super) fn read<'a>(text: &'a str, is_action: &dyn Fn(&str) -> bool) -> Reading<'a> {
    if let Some(body) = text.strip_prefix('$')
        && let Some(whole) = reference(body, text, is_action)
    {
        return Reading::Whole(whole);
    }
    let escaped = text.strip_prefix("$$");
    let rest = escaped.unwrap_or(text);
    let mut pieces: Vec<_> = escaped.map(|_| Piece::Text("$")).into_iter().collect();
    let (mut done, mut from) = (0, 0);
    while let Some(start) = rest[from..].find("${").map(|at| from + at) {
        let inner = &rest[start + 2..];
        // Stopping at a brace keeps many openings without an end linear.
        let end = inner.find(|it: char| "{}".contains(it) || it.is_whitespace());
        let end = end.filter(|end| inner[*end..].starts_with('}'));
        let after = start + 3 + end.unwrap_or(0);
        match end.and_then(|end| reference(&inner[..end], &rest[start..after], is_action)) {
            Some(reference) => {
                pieces.push(Piece::Text(&rest[done..start]));
                pieces.push(Piece::Output(reference));
                (done, from) = (after, after);
            }
            None => from = start + 2,
        }
    }
    pieces.push(Piece::Text(&rest[done..]));
    let same = pieces.iter().all(|piece| *piece == Piece::Text(text));
    if same { Reading::Plain } else { Reading::Pieces(pieces) }
}

/// `body` is `id.output` and a path. An id may itself contain `.output`: the longest that the proposal has
/// is meant; if it has none, the shortest that could be one.
fn reference<'a>(
    body: &'a str,
    source: &'a str,
    is_action: &dyn Fn(&str) -> bool,
) -> Option<Reference<'a>> {
    let (mut found, mut like) = (None, None);
    for (at, _) in body.match_indices(OUTPUT).take_while(|(at, _)| *at <= MAX_ID) {
        let id = &body[..at];
        let Some(path) = path(&body[at + OUTPUT.len()..]) else { continue };
        let known = is_action(id);
        let reference = Reference { id, known, path, source };
        match known {
            true => found = Some(reference),
            false if looks_like_id(id) => like = like.or(Some(reference)),
            false => {}
        }
    }
    found.or(like)
}

fn looks_like_id(id: &str) -> bool {
    let word = |letter: u8| letter.is_ascii_alphanumeric() || b"_.:-".contains(&letter);
    !id.is_empty() && id.bytes().all(word)
}

/// `.key` and `[index]`, any number of them. A key is of anything but white space, dots, brackets and
/// braces.
fn path(mut rest: &str) -> Option<Vec<Part<'_>>> {
    let mut parts = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let (digits, after) = after.split_once(']')?;
            parts.push(Part::Index(digits.parse().ok()?));
            rest = after;
        } else {
            let after = rest.strip_prefix('.')?;
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let key = &after[..end];
            let ends = |letter: char| letter.is_whitespace() || "]{}".contains(letter);
            if key.is_empty() || key.contains(ends) {
                return None;
            }
            parts.push(Part::Key(key));
            rest = &after[end..];
        }
    }
    Some(parts)
}
