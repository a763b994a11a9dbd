//! Samples out of bytes that come in pieces of any size.

/// Samples that are handed on at once, at the least, but for the last.
const LEAST: usize = 960;

/// 16-bit signed little-endian samples that come in pieces.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    bytes: Vec<u8>,
}

impl Pieces {
    /// The samples that are there, if it is worth while to hand them on.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Option<Vec<f32>> {
        self.bytes.extend_from_slice(bytes);
        (self.bytes.len() >= LEAST * 2).then(|| self.take())
    }

    /// What is left; `None` if it ends in the middle of a sample.
    pub(crate) fn finish(mut self) -> Option<Vec<f32>> {
        let rest = self.take();
        self.bytes.is_empty().then_some(rest)
    }

    fn take(&mut self) -> Vec<f32> {
        let whole = self.bytes.len() / 2 * 2;
        let samples = self.bytes.drain(..whole).collect::<Vec<_>>();
        let (pairs, _) = samples.as_chunks::<2>();
        pairs.iter().map(|it| f32::from(i16::from_le_bytes(*it)) / 32_768.0).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn how_it_is_cut_changes_no_sample(
            bytes in prop::collection::vec(any::<u8>(), 0..9000),
            cut in 1usize..3000,
        ) {
            let mut pieces = Pieces::default();
            let mut samples: Vec<f32> = Vec::new();
            for piece in bytes.chunks(cut) {
                samples.extend(pieces.push(piece).into_iter().flatten());
            }
            let rest = pieces.finish();
            prop_assert_eq!(rest.is_some(), bytes.len() % 2 == 0);
            if let Some(rest) = rest {
                samples.extend(rest);
                let whole = bytes.chunks(2).map(|it| f32::from(i16::from_le_bytes([it[0], it[1]])));
                prop_assert!(samples.into_iter().map(|it| it * 32_768.0).eq(whole));
            }
        }
    }
}
