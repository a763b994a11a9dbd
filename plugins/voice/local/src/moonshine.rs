//! Moonshine tiny (English): an encoder over raw samples, and a decoder that writes one token at a time.

use std::{
    fs,
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use carport_voice_audio::{RATE, level_db};
use rten::{Model, NodeId, RunOptions, ValueOrView};
use rten_tensor::{NdTensor, prelude::*};

use crate::{
    Heard, Help, ModelError, Recognizer, RunError, Threads,
    load::{graph, node, unusable},
    stt::without_repeats,
    threads::failed,
};

const ENCODER: &str = "encoder_model.std.onnx";
const DECODER: &str = "decoder_model_merged.std.onnx";
const TOKENIZER: &str = "tokenizer.bin";

const LAYERS: usize = 6;
const HEADS: usize = 8;
const HEAD_WIDTH: usize = 36;
/// The token that begins a text, and the one that ends it.
const BEGIN: i32 = 1;
const END: i32 = 2;
/// The last of the tokens that stand for no text.
const LAST_SPECIAL: u32 = 2;

/// The longest stretch of sound, in seconds: a segment of 30 s, its pre-roll and some room.
const MAX_SECONDS: usize = 32;
/// Shorter sound is filled up with silence: the encoder needs some.
const MIN_SAMPLES: usize = RATE as usize / 4;
/// Nobody says more than so many tokens a second, so more are made up.
const TOKENS_A_SECOND: f32 = 6.5;
/// What is quieter holds no speech that this model hears; it would make some up.
const QUIET_DB: f32 = -65.0;

/// A loaded recognizer. It keeps nothing between calls.
pub struct Moonshine {
    encoder: Model,
    encoder_inputs: [NodeId; 2],
    encoder_output: NodeId,
    decoder: Model,
    mask: NodeId,
    tokens: NodeId,
    hidden: NodeId,
    use_cache: NodeId,
    logits: NodeId,
    caches: Vec<Cache>,
    /// The bytes of each token; a blank is U+2581.
    vocabulary: Vec<Vec<u8>>,
    threads: Arc<Threads>,
}

/// Keys or values of one layer, that a step hands to the next.
struct Cache {
    /// It comes from the sound: made by the first step, and the same in all others.
    of_sound: bool,
    past: NodeId,
    present: NodeId,
}

impl Moonshine {
    /// The name of its model directory.
    pub const MODEL: &str = "moonshine-tiny-en";
    /// The language that it hears.
    pub const LANGUAGE: &str = "en";

    /// Loads the files of a directory that was verified. Runs borrow one of `threads`.
    pub fn open(directory: &Path, threads: Arc<Threads>) -> Result<Self, ModelError> {
        let encoder = graph(Self::MODEL, directory, ENCODER)?;
        let decoder = graph(Self::MODEL, directory, DECODER)?;
        let tokenizer = fs::read(directory.join(TOKENIZER)).map_err(|why| why.to_string());
        let vocabulary = tokenizer.and_then(|it| vocabulary(&it));
        let vocabulary =
            vocabulary.map_err(|why| unusable(Self::MODEL, directory, TOKENIZER, why))?;
        Self::assemble(encoder, decoder, vocabulary, threads)
            .map_err(|(file, why)| unusable(Self::MODEL, directory, file, why))
    }

    fn assemble(
        encoder: Model,
        decoder: Model,
        vocabulary: Vec<Vec<u8>>,
        threads: Arc<Threads>,
    ) -> Result<Self, (&'static str, String)> {
        let of = |name| node(&encoder, name).map_err(|why| (ENCODER, why));
        let encoder_inputs = [of("input_values")?, of("attention_mask")?];
        let output = encoder.output_ids().first().copied();
        let encoder_output = output.ok_or((ENCODER, "has no output".to_owned()))?;
        let of = |name: &str| node(&decoder, name).map_err(|why| (DECODER, why));
        let mut caches = Vec::new();
        for layer in 0..LAYERS {
            for (side, of_sound) in [("decoder", false), ("encoder", true)] {
                for kind in ["key", "value"] {
                    let past = of(&format!("past_key_values.{layer}.{side}.{kind}"))?;
                    let present = of(&format!("present.{layer}.{side}.{kind}"))?;
                    caches.push(Cache { of_sound, past, present });
                }
            }
        }
        Ok(Self {
            mask: of("encoder_attention_mask")?,
            tokens: of("input_ids")?,
            hidden: of("encoder_hidden_states")?,
            use_cache: of("use_cache_branch")?,
            logits: of("logits")?,
            encoder_inputs,
            encoder_output,
            encoder,
            decoder,
            caches,
            vocabulary,
            threads,
        })
    }

    fn listen(
        &self,
        samples: &[f32],
        help: Help<'_>,
        options: &RunOptions,
    ) -> Result<Heard, RunError> {
        let mut sound = samples.to_vec();
        sound.resize(samples.len().max(MIN_SAMPLES), 0.0);
        // Both graphs want a mask as long as the samples, not as the encoder's frames.
        let mask = NdTensor::<i32, 2>::full([1, sound.len()], 1);
        let most = (sound.len() as f32 / RATE as f32 * TOKENS_A_SECOND).ceil() as usize + 3;
        let sound = NdTensor::from_data([1, sound.len()], sound);
        let inputs = vec![
            (self.encoder_inputs[0], sound.into()),
            (self.encoder_inputs[1], mask.view().into()),
        ];
        let outputs = self.encoder.run(inputs, &[self.encoder_output], Some(options.clone()));
        let hidden = outputs.map_err(failed)?.into_iter().next();
        let hidden: NdTensor<f32, 3> =
            hidden.ok_or_else(|| failed("no output"))?.try_into().map_err(failed)?;
        let mut writer = Writer::new(self, mask, hidden);
        let (mut tokens, mut doubt) = (Vec::new(), 0.0f32);
        let known = |it: &&u32| (**it as usize) < self.vocabulary.len();
        let mut draft = &help.draft[..help.draft.iter().take_while(known).take(most - 1).count()];
        'writing: while tokens.len() < most {
            if help.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                return Err(RunError::Cancelled);
            }
            for (token, log_probability) in writer.step(std::mem::take(&mut draft), options)? {
                doubt -= log_probability;
                if token == END {
                    break 'writing;
                }
                tokens.push(token as u32);
                if let Some(wanted) = without_repeats(&tokens) {
                    tokens.truncate(wanted);
                    break 'writing;
                }
            }
        }
        let text = self.text(&tokens).trim().to_owned();
        let confidence = match text.is_empty() {
            true => 0.0,
            false => (-doubt / (tokens.len() + 1) as f32).exp().clamp(0.0, 1.0),
        };
        Ok(Heard { text, confidence, tokens })
    }

    fn text(&self, tokens: &[u32]) -> String {
        let known = tokens.iter().filter(|it| **it > LAST_SPECIAL);
        let bytes = known.filter_map(|it| self.vocabulary.get(*it as usize)).flatten();
        let bytes: Vec<u8> = bytes.copied().collect();
        String::from_utf8_lossy(&bytes).replace('\u{2581}', " ")
    }
}

impl Recognizer for Moonshine {
    fn decode_with(&self, samples: &[f32], help: Help<'_>) -> Result<Heard, RunError> {
        let (got, limit) = (samples.len(), self.limit());
        if got > limit {
            return Err(RunError::TooLong { got, limit, unit: "samples" });
        }
        if level_db(samples) < QUIET_DB {
            return Ok(Heard::default());
        }
        self.threads.run(|options| self.listen(samples, help, options))
    }

    fn limit(&self) -> usize {
        MAX_SECONDS * RATE as usize
    }
}

/// One text in the making.
struct Writer<'a> {
    model: &'a Moonshine,
    mask: NdTensor<i32, 2>,
    hidden: NdTensor<f32, 3>,
    caches: Vec<NdTensor<f32, 4>>,
    last: i32,
    first: bool,
}

impl<'a> Writer<'a> {
    fn new(model: &'a Moonshine, mask: NdTensor<i32, 2>, hidden: NdTensor<f32, 3>) -> Self {
        let caches = model.caches.iter().map(|_| no_cache()).collect();
        Self { model, mask, hidden, caches, last: BEGIN, first: true }
    }

    /// The likeliest next tokens, each with the logarithm of its probability: those of `draft` that are, and the
    /// one after them. Only the first step may have a draft.
    fn step(&mut self, draft: &[u32], options: &RunOptions) -> Result<Vec<(i32, f32)>, RunError> {
        let model = self.model;
        let given = std::iter::once(self.last).chain(draft.iter().map(|it| *it as i32));
        let given = NdTensor::from_data([1, 1 + draft.len()], given.collect::<Vec<_>>());
        let cached = NdTensor::from_data([1], vec![i32::from(!self.first)]);
        let mut inputs: Vec<(NodeId, ValueOrView<'_>)> = vec![
            (model.mask, self.mask.view().into()),
            (model.tokens, given.into()),
            (model.hidden, self.hidden.view().into()),
            (model.use_cache, cached.into()),
        ];
        let mut outputs = vec![model.logits];
        let mut renewed = Vec::new();
        for (place, cache) in model.caches.iter().enumerate() {
            if self.first || !cache.of_sound {
                // Given away, so that the graph appends to it in place.
                let value = std::mem::replace(&mut self.caches[place], no_cache());
                inputs.push((cache.past, value.into()));
                outputs.push(cache.present);
                renewed.push(place);
            }
        }
        for (cache, value) in model.caches.iter().zip(&self.caches) {
            if cache.of_sound && !self.first {
                inputs.push((cache.past, value.view().into()));
            }
        }
        let made = model.decoder.run(inputs, &outputs, Some(options.clone())).map_err(failed)?;
        let mut made = made.into_iter();
        let logits = made.next().ok_or_else(|| failed("no logits"))?;
        let logits: NdTensor<f32, 3> = logits.try_into().map_err(failed)?;
        let mut found = Vec::new();
        for at in 0..logits.size(1) {
            let next = likeliest(logits.slice((0, at)).iter().copied());
            found.push(next);
            if draft.get(at).is_none_or(|guess| *guess as i32 != next.0) {
                break;
            }
        }
        for (place, value) in renewed.into_iter().zip(made) {
            let value: NdTensor<f32, 4> = value.try_into().map_err(failed)?;
            // What follows a wrong guess is forgotten.
            let is_all_right = model.caches[place].of_sound || found.len() == 1 + draft.len();
            self.caches[place] = match is_all_right {
                true => value,
                false => value.slice((.., .., ..found.len())).to_tensor(),
            };
        }
        self.first = false;
        self.last = found.last().map_or(END, |it| it.0);
        Ok(found)
    }
}

/// Keys or values of no token.
fn no_cache() -> NdTensor<f32, 4> {
    NdTensor::zeros([1, HEADS, 0, HEAD_WIDTH])
}

/// The greatest of the logits, and the logarithm of its softmax.
fn likeliest(logits: impl Iterator<Item = f32> + Clone) -> (i32, f32) {
    let best = logits.clone().enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
    let Some((token, highest)) = best else { return (END, 0.0) };
    let sum: f32 = logits.map(|it| (it - highest).exp()).sum();
    (token as i32, -sum.ln())
}

/// The tokens of `tokenizer.bin`: each its length (one byte below 128, else two: low 7 bits first) and
/// its bytes.
fn vocabulary(mut bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut tokens = Vec::new();
    while let [first, rest @ ..] = bytes {
        let (length, rest) = match (*first, rest) {
            (low @ 0..128, rest) => (usize::from(low), rest),
            (low, [high, rest @ ..]) => (usize::from(*high) * 128 + usize::from(low) - 128, rest),
            _ => return Err("ends within a length".into()),
        };
        let (token, rest) = rest.split_at_checked(length).ok_or("ends within a token")?;
        tokens.push(token.to_vec());
        bytes = rest;
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vocabulary_is_lengths_and_bytes() {
        let long = vec![7u8; 130];
        let bytes = [&[1, b'a', 0, 130, 1][..], &long].concat();
        assert_eq!(vocabulary(&bytes), Ok(vec![b"a".to_vec(), vec![], long]));
        assert!(vocabulary(&[2, b'a']).is_err() && vocabulary(&[200]).is_err());
    }

    #[test]
    fn the_likeliest_token_has_its_probability() {
        let (token, log) = likeliest([0.0, 2.0, 1.0].into_iter());
        let sum = 1.0 + 2.0f32.exp() + 1.0f32.exp();
        assert_eq!(token, 1);
        assert!((log.exp() - 2.0f32.exp() / sum).abs() < 1e-6);
    }
}
