//! JSON pointers of RFC 6901, as A2UI uses them.

use crate::{
    fault::{Fault, Reason},
    limits::{Limits, within},
};

/// Names that a renderer written in JavaScript must never set.
const RESERVED: [&str; 3] = ["__proto__", "constructor", "prototype"];

/// Whether a segment, a member's name or an id may not be used.
pub(crate) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// An absolute pointer into a data model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// Reads one. `""` and `/` are the whole model; one trailing slash is dropped. `field` is where it stands.
    ///
    /// # Errors
    /// It is too long, not absolute, has a `~` that is neither `~0` nor `~1`, or a reserved segment.
    pub fn read(text: &str, field: &str, limits: &Limits) -> Result<Self, Fault> {
        within("maxPathBytes", limits.max_path_bytes, text.len())?;
        if matches!(text, "" | "/") {
            return Ok(Self(Vec::new()));
        }
        let Some(rest) = text.strip_prefix('/') else {
            let why = "must be absolute: a `/` before each segment";
            return Err(Fault::at(Reason::InvalidPath, field, why));
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        rest.split('/').map(|it| segment(it, field)).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the text can be the path of a binding, absolute or relative.
    pub(crate) fn check_binding(text: &str, field: &str, limits: &Limits) -> Result<(), Fault> {
        within("maxPathBytes", limits.max_path_bytes, text.len())?;
        text.split('/').try_for_each(|it| segment(it, field).map(drop))
    }

    /// Its segments, unescaped.
    pub fn segments(&self) -> &[String] {
        &self.0
    }

    /// The pointer of a member or an item of what this one points to.
    pub(crate) fn below(path: &str, member: &str) -> String {
        format!("{path}/{}", member.replace('~', "~0").replace('/', "~1"))
    }
}

fn segment(text: &str, field: &str) -> Result<String, Fault> {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        plain.push(match letter {
            '~' => match letters.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => {
                    let why = "a `~` must be written `~0`, and a `/` within a segment `~1`";
                    return Err(Fault::at(Reason::InvalidPath, field, why));
                }
            },
            letter => letter,
        });
    }
    match is_reserved(&plain) {
        true => Err(Fault::at(Reason::ReservedSegment, field, format!("`{plain}` is reserved"))),
        false => Ok(plain),
    }
}

/// The index that a segment is, if it is one: `0|[1-9][0-9]*`.
pub(crate) fn index(segment: &str) -> Option<usize> {
    let digits = !segment.is_empty() && segment.bytes().all(|it| it.is_ascii_digit());
    let plain = digits && (segment == "0" || !segment.starts_with('0'));
    // A number of more digits than a list can have items.
    if plain && segment.len() > 18 {
        Some(usize::MAX)
    } else if plain {
        segment.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, Option<Reason>> {
        let read = Pointer::read(text, "path", &Limits::default());
        read.map(|it| it.0).map_err(|it| it.reason())
    }

    #[test]
    fn pointers_are_read_as_rfc_6901_says() {
        for (text, segments) in [
            ("", &[] as &[&str]),
            ("/", &[]),
            ("/a", &["a"]),
            ("/a/", &["a"]),
            ("/a//", &["a", ""]),
            ("/a~1b/~0/0", &["a/b", "~", "0"]),
            ("/~01", &["~1"]),
        ] {
            assert_eq!(read(text).unwrap(), segments, "{text}");
        }
        for (text, reason) in [
            ("a", Reason::InvalidPath),
            ("/~", Reason::InvalidPath),
            ("/~2", Reason::InvalidPath),
            ("/a/~", Reason::InvalidPath),
            ("/a/__proto__/b", Reason::ReservedSegment),
            ("/constructor", Reason::ReservedSegment),
        ] {
            assert_eq!(read(text), Err(Some(reason)), "{text}");
        }
        assert_eq!(read(&format!("/{}", "a".repeat(1024))), Err(None));
    }

    #[test]
    fn only_plain_numbers_are_indices() {
        assert_eq!(["0", "7", "10"].map(index), [Some(0), Some(7), Some(10)]);
        for not in ["", "00", "01", "-1", "+1", "1e2", " 1", "a", "1.0"] {
            assert_eq!(index(not), None, "{not}");
        }
        assert_eq!(index(&"9".repeat(40)), Some(usize::MAX));
    }
}
