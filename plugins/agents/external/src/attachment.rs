//! What kind of image a file is, by its first bytes.

/// How many bytes at the beginning of a file tell.
const HEAD: usize = 12;

/// An image that agents take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ImageKind {
    /// PNG, ISO/IEC 15948.
    Png,
    /// JPEG, ITU-T T.81.
    Jpeg,
    /// GIF 87a or 89a.
    Gif,
    /// WebP in its RIFF container.
    Webp,
}

/// What kind of image begins with these bytes; `None` if none that agents take.
pub(crate) fn image_kind(beginning: &[u8]) -> Option<ImageKind> {
    match beginning {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(ImageKind::Png),
        [0xff, 0xd8, 0xff, ..] => Some(ImageKind::Jpeg),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(ImageKind::Gif),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(ImageKind::Webp),
        _ => None,
    }
}

/// As [`image_kind`], for a file. One that cannot be read is none.
pub(crate) fn image_kind_of(file: &std::path::Path) -> Option<ImageKind> {
    use std::io::Read;
    let mut head = Vec::with_capacity(HEAD);
    std::fs::File::open(file).ok()?.take(HEAD as u64).read_to_end(&mut head).ok()?;
    image_kind(&head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_known_by_their_first_bytes_alone() {
        assert_eq!(image_kind(b"\x89PNG\r\n\x1a\nrest"), Some(ImageKind::Png));
        assert_eq!(image_kind(b"\xff\xd8\xff\xe0"), Some(ImageKind::Jpeg));
        assert_eq!(image_kind(b"GIF89a"), Some(ImageKind::Gif));
        assert_eq!(image_kind(b"RIFF\0\0\0\0WEBPVP8 "), Some(ImageKind::Webp));
        for other in [&b"GIF88a"[..], b"RIFF\0\0\0\0WAVE", b"#!/bin/sh", b""] {
            assert_eq!(image_kind(other), None);
        }
    }
}
