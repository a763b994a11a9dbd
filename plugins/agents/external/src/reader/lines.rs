//! Bytes cut into lines, none of which is ever larger than a limit.

/// What becomes of a line that is larger than the limit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Large {
    /// It is passed on in pieces, none of which parts a character.
    Pieces,
    /// It is passed over.
    Skipped,
    /// There is one line only, and what is beyond the limit is dropped.
    Cut,
}

/// Cuts bytes into lines.
pub(super) struct Lines {
    limit: usize,
    large: Large,
    line: Vec<u8>,
    /// Whether something of the present line was passed over or dropped.
    over: bool,
}

impl Lines {
    /// Lines with their ends; larger ones come in pieces.
    pub(super) fn pieces(limit: usize) -> Self {
        Self { limit, large: Large::Pieces, line: Vec::new(), over: false }
    }

    /// Whole lines; larger ones are passed over.
    pub(super) fn whole(limit: usize) -> Self {
        Self { large: Large::Skipped, ..Self::pieces(limit) }
    }

    /// All bytes up to the limit as one line.
    pub(super) fn all(limit: usize) -> Self {
        Self { large: Large::Cut, ..Self::pieces(limit) }
    }

    /// Takes more bytes, and hands on every line that is complete.
    pub(super) fn push(&mut self, bytes: &[u8], mut line: impl FnMut(&[u8])) {
        if self.large == Large::Cut {
            self.extend(bytes, &mut line);
            return;
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.extend(piece, &mut line);
            if piece.ends_with(b"\n") {
                self.end(&mut line);
            }
        }
    }

    /// Hands on the last line. Answers whether nothing of it was dropped.
    pub(super) fn finish(&mut self, mut line: impl FnMut(&[u8])) -> bool {
        let complete = !self.over;
        if self.large == Large::Cut || !self.line.is_empty() {
            self.end(&mut line);
        }
        complete
    }

    /// How many bytes wait for the end of their line.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.line.len()
    }

    fn extend(&mut self, mut more: &[u8], line: &mut impl FnMut(&[u8])) {
        while !more.is_empty() {
            let room = self.limit - self.line.len();
            let (now, rest) = more.split_at(more.len().min(room));
            self.line.extend_from_slice(now);
            more = rest;
            if more.is_empty() {
                return;
            }
            if self.large != Large::Pieces {
                self.over = true;
                return;
            }
            let cut = boundary(&self.line);
            line(&self.line[..cut]);
            self.line.drain(..cut);
        }
    }

    fn end(&mut self, line: &mut impl FnMut(&[u8])) {
        if !(self.over && self.large == Large::Skipped) {
            line(&self.line);
        }
        self.line.clear();
        self.over = false;
    }
}

/// Where bytes can be cut near their end without parting a character. Never 0.
fn boundary(bytes: &[u8]) -> usize {
    let begins = |at: &usize| bytes[*at] & 0b1100_0000 != 0b1000_0000;
    let last = (bytes.len().saturating_sub(4)..bytes.len()).rev().find(begins);
    match last {
        // A character that could go on begins here.
        Some(at) if at > 0 && bytes[at] >= 0b1100_0000 => at,
        _ => bytes.len(),
    }
}
