//! What facts mean, as directions: compared with a query's from end to end.
//!
//! A direction comes from an encoder that this crate does not know. Each of its numbers is kept in 8 bits,
//! and products are sums of whole numbers, so that the same directions compare alike on any machine. They
//! are a cache: a graph is the same without them, and they are in no file.

use std::sync::Arc;

use super::{chunked::Chunked, part::PartId};

/// Facts of a block, whose directions lie one after the other.
const BLOCK: usize = 64;
/// Numbers of a direction, at most: the sum of their products fits 32 bits.
const MOST_WIDTH: usize = 1 << 16;
/// Bytes of a block beside its directions, for each of its facts.
const PLACE: usize = size_of::<f32>() + size_of::<PartId>();

/// A direction.
#[derive(Debug, Clone, PartialEq)]
pub struct Meaning {
    numbers: Box<[i8]>,
    /// One over its length.
    scale: f32,
}

impl Meaning {
    /// The direction of a vector of any length; `None` if it has none, or too many numbers.
    pub fn of(vector: &[f32]) -> Option<Self> {
        let largest = vector.iter().fold(0.0, |most: f32, it| most.max(it.abs()));
        let is_some = largest > 0.0 && vector.iter().all(|it| it.is_finite());
        if !is_some || vector.len() > MOST_WIDTH {
            return None;
        }
        let whole = |it: &f32| (it / largest * 127.0).round() as i8;
        let numbers: Box<[i8]> = vector.iter().map(whole).collect();
        let scale = 1.0 / (product(&numbers, &numbers) as f32).sqrt();
        Some(Self { numbers, scale })
    }

    /// The cosine of the angle to another one, -1 to 1; 0 if that is of another encoder.
    pub fn cosine(&self, other: &Self) -> f32 {
        match self.numbers.len() == other.numbers.len() {
            true => self.to(&other.numbers, other.scale),
            false => 0.0,
        }
    }

    fn to(&self, numbers: &[i8], scale: f32) -> f32 {
        product(&self.numbers, numbers) as f32 * self.scale * scale
    }
}

/// The sum of products. In 32 bits from the beginning, and a piece at a time, it is computed many numbers
/// at once.
fn product(one: &[i8], other: &[i8]) -> i32 {
    one.iter().zip(other).map(|(a, b)| i32::from(i16::from(*a) * i16::from(*b))).sum()
}

/// The directions of some facts, by their numbers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meanings {
    blocks: Chunked<Option<Arc<Block>>>,
    /// Numbers of a direction; 0 before the first one.
    width: usize,
    count: usize,
    held: usize,
}

#[derive(Debug, Clone)]
struct Block {
    numbers: Box<[i8]>,
    /// 0: the fact has no direction.
    scales: [f32; BLOCK],
    parts: [PartId; BLOCK],
}

impl Meanings {
    /// How many facts have one.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Memory that they take.
    pub(crate) fn bytes(&self) -> usize {
        self.held * BLOCK * (self.width + PLACE + size_of::<u64>())
    }

    pub(crate) fn has(&self, at: u32) -> bool {
        let block = self.blocks.get(at as usize / BLOCK).and_then(Option::as_ref);
        block.is_some_and(|block| block.scales[at as usize % BLOCK] != 0.0)
    }

    /// A fact's direction; one of another encoder than the first one's is not kept.
    pub(super) fn set(&mut self, at: u32, part: PartId, meaning: &Meaning) {
        if self.width == 0 {
            self.width = meaning.numbers.len();
        }
        if self.width != meaning.numbers.len() {
            return;
        }
        self.clear(at);
        let (block, place) = (at as usize / BLOCK, at as usize % BLOCK);
        while self.blocks.len() <= block {
            self.blocks.push(None);
        }
        let Some(held) = self.blocks.get_mut(block) else { return };
        self.held += usize::from(held.is_none());
        self.count += 1;
        let block = Arc::make_mut(held.get_or_insert_with(|| Arc::new(Block::new(self.width))));
        block.numbers[place * self.width..][..self.width].copy_from_slice(&meaning.numbers);
        (block.scales[place], block.parts[place]) = (meaning.scale, part);
    }

    /// A fact says something else now, or is gone.
    pub(super) fn clear(&mut self, at: u32) {
        if !self.has(at) {
            return;
        }
        let Some(held) = self.blocks.get_mut(at as usize / BLOCK) else { return };
        let Some(block) = held else { return };
        self.count -= 1;
        let block = Arc::make_mut(block);
        block.scales[at as usize % BLOCK] = 0.0;
        if block.scales.iter().all(|scale| *scale == 0.0) {
            *held = None;
            self.held -= 1;
        }
    }

    /// The cosines of the facts of these parts that have a direction, by number.
    pub(crate) fn each(&self, parts: &[PartId], asked: &Meaning, mut tell: impl FnMut(u32, f32)) {
        if asked.numbers.len() != self.width {
            return;
        }
        for (number, block) in self.blocks.pieces().flatten().enumerate() {
            let Some(block) = block else { continue };
            for (place, numbers) in block.numbers.chunks_exact(self.width).enumerate() {
                if block.scales[place] != 0.0 && parts.contains(&block.parts[place]) {
                    let at = (number * BLOCK + place) as u32;
                    tell(at, asked.to(numbers, block.scales[place]));
                }
            }
        }
    }
}

impl Block {
    fn new(width: usize) -> Self {
        let numbers = vec![0; BLOCK * width].into();
        Self { numbers, scales: [0.0; BLOCK], parts: [0; BLOCK] }
    }
}
