//! A text in pieces that a service takes at once.

/// Bytes of a piece: services refuse texts of more than 4096 characters.
pub(crate) const MOST: usize = 4000;

/// Pieces of at most `most` bytes, cut after a sentence if one ends in the second half, else between
/// words, else anywhere between characters. Together they are the text.
pub(crate) fn pieces(text: &str, most: usize) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while rest.len() > most {
        let window = &rest[..rest.floor_char_boundary(most.max(4))];
        let after = |marks: &[&str]| {
            let ends = marks.iter().filter_map(|mark| window.rfind(mark).map(|at| at + mark.len()));
            ends.max().filter(|at| *at * 2 > window.len())
        };
        let at = after(&[". ", "! ", "? ", "\n"]).or_else(|| after(&[" "])).unwrap_or(window.len());
        let (piece, more) = rest.split_at(at);
        pieces.push(piece);
        rest = more;
    }
    if !rest.is_empty() {
        pieces.push(rest);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cut_comes_after_a_sentence_then_between_words() {
        assert_eq!(pieces("One two. Three four", 16), ["One two. ", "Three four"]);
        assert_eq!(pieces("one two three four", 12), ["one two ", "three four"]);
    }

    proptest! {
        #[test]
        fn pieces_are_short_and_make_the_text(text in "[a-zA-Z. é€𝄞\n]{0,200}", most in 4usize..40) {
            let cut = pieces(&text, most);
            prop_assert_eq!(cut.concat(), &*text);
            prop_assert!(cut.iter().all(|it| !it.is_empty() && it.len() <= most));
        }
    }
}
