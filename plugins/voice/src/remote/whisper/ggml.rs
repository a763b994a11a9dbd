//! Model files of whisper.cpp: the library aborts the process at some that are damaged, so they are read here first.
//!
//! A file is the header, the mel filters, the vocabulary and the tensors, all little-endian, as
//! `models/convert-pt-to-ggml.py` of whisper.cpp writes them and `whisper_model_load` reads them.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek},
    path::Path,
};

/// "ggml", read as a number.
const MAGIC: i32 = 0x6767_6d6c;
/// Bins of the spectrum below the mel filters.
const BINS: i32 = 201;
/// Tokens of a vocabulary: of English models, of others, and of others with Cantonese.
const VOCABULARY: std::ops::RangeInclusive<i32> = 51_864..=51_866;
/// Layers of the encoder: tiny, base, small, medium, large.
const LAYERS: [i32; 5] = [4, 6, 12, 24, 32];
/// Width of an attention head.
const HEAD: i32 = 64;
/// The longest token or name of a tensor, in bytes.
const MOST_NAME: u64 = 1024;
/// By [`Header::form`]: how the library stores the large tensors. It aborts at others.
const FORMS: [i32; 12] = [0, 1, 2, 3, 7, 8, 9, 10, 11, 12, 13, 14];
/// A multiple of this in the form counts versions of the quantization.
const VERSIONS: i32 = 1000;

/// Why a file is no model that may be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    /// It could not be read.
    #[error("cannot be read: {0}")]
    Unread(io::ErrorKind),
    /// It does not begin as one.
    #[error("is no GGML model of whisper.cpp")]
    Foreign,
    /// Part of it makes no sense.
    #[error("is damaged: {0} is not as it must be")]
    Odd(&'static str),
    /// It ends before it should.
    #[error("is damaged: it ends too early")]
    Short,
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Short,
            kind => Self::Unread(kind),
        }
    }
}

/// What the beginning of a file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    vocabulary: i32,
    mels: i32,
    form: i32,
}

impl Header {
    /// Whether it knows more than English.
    pub(super) fn is_multilingual(self) -> bool {
        self.vocabulary > *VOCABULARY.start()
    }
}

/// Reads the beginning only.
pub(super) fn header(path: &Path) -> Result<Header, Broken> {
    Bytes::open(path)?.header()
}

/// Reads the file from its beginning to its end; weights are passed over.
pub(super) fn check(path: &Path) -> Result<Header, Broken> {
    Bytes::open(path)?.check()
}

/// A file of which is known how much is left.
struct Bytes<R> {
    from: BufReader<R>,
    left: u64,
}

impl Bytes<File> {
    fn open(path: &Path) -> Result<Self, Broken> {
        let file = File::open(path)?;
        let facts = file.metadata()?;
        // A pipe would be waited for, and a directory has a length too.
        if !facts.is_file() {
            return Err(Broken::Foreign);
        }
        Ok(Self { from: BufReader::new(file), left: facts.len() })
    }
}

impl<R: Read + Seek> Bytes<R> {
    fn take(&mut self, bytes: u64) -> Result<(), Broken> {
        self.left = self.left.checked_sub(bytes).ok_or(Broken::Short)?;
        Ok(())
    }

    fn number(&mut self) -> Result<i32, Broken> {
        self.take(4)?;
        let mut bytes = [0; 4];
        self.from.read_exact(&mut bytes)?;
        Ok(i32::from_le_bytes(bytes))
    }

    fn skip(&mut self, bytes: u64) -> Result<(), Broken> {
        self.take(bytes)?;
        let step = i64::try_from(bytes).map_err(|_| Broken::Short)?;
        Ok(self.from.seek_relative(step)?)
    }

    /// Skips something that is preceded by its length.
    fn skip_name(&mut self, length: i32, what: &'static str) -> Result<(), Broken> {
        match u64::try_from(length) {
            Ok(length) if length <= MOST_NAME => self.skip(length),
            _ => Err(Broken::Odd(what)),
        }
    }

    fn header(&mut self) -> Result<Header, Broken> {
        match self.number() {
            Ok(MAGIC) => {}
            Ok(_) | Err(Broken::Short) => return Err(Broken::Foreign),
            Err(other) => return Err(other),
        }
        let [mut sizes, mut rest] = [[0; 5], [0; 5]];
        for size in sizes.iter_mut().chain(&mut rest) {
            *size = self.number()?;
        }
        let form = self.number()?;
        let [vocabulary, sound, state, heads, layers] = sizes;
        let [text, text_state, text_heads, text_layers, mels] = rest;
        let is_width = |state: i32, heads: i32| (1..=20).contains(&heads) && state == heads * HEAD;
        for (fits, what) in [
            (VOCABULARY.contains(&vocabulary), "the size of the vocabulary"),
            (sound == 1500 && text == 448, "the length of the context"),
            (is_width(state, heads) && state == text_state, "the width"),
            (heads == text_heads, "the number of heads"),
            (
                LAYERS.contains(&layers) && (1..=layers).contains(&text_layers),
                "the number of layers",
            ),
            (mels == 80 || mels == 128, "the number of mel bands"),
            (form >= 0 && FORMS.contains(&(form % VERSIONS)), "the form of the weights"),
        ] {
            if !fits {
                return Err(Broken::Odd(what));
            }
        }
        Ok(Header { vocabulary, mels, form })
    }

    fn check(&mut self) -> Result<Header, Broken> {
        let header = self.header()?;
        if (self.number()?, self.number()?) != (header.mels, BINS) {
            return Err(Broken::Odd("the size of the mel filters"));
        }
        self.skip(4 * header.mels as u64 * BINS as u64)?;
        let tokens = self.number()?;
        if !(50_000..=header.vocabulary).contains(&tokens) {
            return Err(Broken::Odd("the number of tokens"));
        }
        for _ in 0..tokens {
            let length = self.number()?;
            self.skip_name(length, "the length of a token")?;
        }
        while self.left > 0 {
            self.skip_tensor()?;
        }
        Ok(header)
    }

    fn skip_tensor(&mut self) -> Result<(), Broken> {
        let (dimensions, name, kind) = (self.number()?, self.number()?, self.number()?);
        if !(1..=4).contains(&dimensions) {
            return Err(Broken::Odd("the number of a tensor's dimensions"));
        }
        let mut elements = 1_u64;
        for _ in 0..dimensions {
            let size = u64::try_from(self.number()?).ok().filter(|it| *it > 0);
            let product = size.and_then(|it| elements.checked_mul(it));
            // The library counts them in 32 bits.
            elements = product
                .filter(|it| *it <= i32::MAX as u64)
                .ok_or(Broken::Odd("the size of a tensor"))?;
        }
        self.skip_name(name, "the name of a tensor")?;
        let (bytes, block) = blocks(kind).ok_or(Broken::Odd("the form of a tensor"))?;
        if elements % block != 0 {
            return Err(Broken::Odd("the size of a tensor"));
        }
        self.skip(elements / block * bytes)
    }
}

/// Bytes and elements of a block of a tensor of this kind, by `ggml_type` of ggml.
fn blocks(kind: i32) -> Option<(u64, u64)> {
    Some(match kind {
        0 => (4, 1),
        1 => (2, 1),
        2 => (18, 32),
        3 => (20, 32),
        6 => (22, 32),
        7 => (24, 32),
        8 => (34, 32),
        10 => (84, 256),
        11 => (110, 256),
        12 => (144, 256),
        13 => (176, 256),
        14 => (210, 256),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    const SIZES: [i32; 11] = [51_864, 1500, 384, 6, 4, 448, 384, 6, 4, 80, 1];

    fn file(sizes: &[i32], tensor: &[i32], data: usize) -> Vec<u8> {
        let mut numbers = vec![MAGIC];
        numbers.extend(sizes);
        numbers.extend([80, BINS]);
        numbers.extend(vec![0; 80 * 201]);
        numbers.extend([50_257]);
        numbers.extend(vec![0; 50_257]);
        numbers.extend(tensor);
        let mut bytes: Vec<u8> = numbers.iter().flat_map(|it| it.to_le_bytes()).collect();
        bytes.resize(bytes.len() + data, 0);
        bytes
    }

    fn checked(bytes: &[u8]) -> Result<Header, Broken> {
        Bytes { from: BufReader::new(Cursor::new(bytes)), left: bytes.len() as u64 }.check()
    }

    #[test]
    fn a_model_is_one_and_everything_else_is_told_apart() {
        // A name of four bytes stands in the place of a number.
        let tensor = [2, 4, 1, 8, 2, 0];
        let whole = file(&SIZES, &tensor, 32);
        assert!(!checked(&whole).unwrap().is_multilingual());
        assert!(checked(&file(&[51_865], &[], 0)).is_err());
        assert_eq!(checked(&whole[..whole.len() - 1]), Err(Broken::Short));
        assert_eq!(checked(b"RIFF and so on"), Err(Broken::Foreign));
        assert_eq!(checked(b""), Err(Broken::Foreign));
        for (at, value) in [
            (0, 51_863),
            (0, 51_867),
            (1, 1499),
            (2, 385),
            (3, 0),
            (4, 5),
            (5, -1),
            (6, 0),
            (7, 7),
            (8, 0),
            (8, 5),
            (9, 81),
            (10, 4),
            (10, -1),
            (10, 15),
        ] {
            let mut sizes = SIZES;
            sizes[at] = value;
            let why = checked(&file(&sizes, &[], 0));
            assert!(matches!(why, Err(Broken::Odd(_))), "{at}, {value}: {why:?}");
        }
        for tensor in [
            [0, 4, 1, 8, 2, 0],
            [5, 4, 1, 8, 2, 0],
            [2, -1, 1, 8, 2, 0],
            [2, 4, 4, 8, 2, 0],
            [2, 4, 2, 8, 2, 0],
            [2, 4, 1, 0, 2, 0],
            [2, 4, 1, 65_536, 65_536, 0],
        ] {
            let why = checked(&file(&SIZES, &tensor, 32));
            assert!(matches!(why, Err(Broken::Odd(_))), "{tensor:?}: {why:?}");
        }
    }

    proptest! {
        /// Nothing panics, and nothing is reserved or passed over that is not there.
        #[test]
        fn any_bytes_have_an_answer(tail: Vec<u8>, cut in 0_usize..300_000) {
            let mut bytes = file(&SIZES, &[], 0);
            bytes.truncate(cut);
            bytes.extend(tail);
            let _ = checked(&bytes);
        }
    }
}
