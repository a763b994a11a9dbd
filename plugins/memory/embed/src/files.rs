//! The files of an encoder, read with suspicion.

use std::{fs::File, io::Read, path::Path};

use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use tokenizers::{Tokenizer, TruncationParams};

use crate::{MOST_TOKENS, Unusable};

const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
const MODEL: &str = "model.safetensors";

/// Bytes of each file at most. The weights are in memory twice while they are read.
const MOST_CONFIG: u64 = 1 << 20;
const MOST_TOKENIZER: u64 = 64 << 20;
const MOST_MODEL: u64 = 2 << 30;
/// Layers, and numbers of a vector, at most: four times those of BERT's largest.
const MOST_LAYERS: usize = 96;
const MOST_WIDTH: usize = 4096;
/// Tokens that are room for at least: the two ends of a text and some of it.
const LEAST_TOKENS: usize = 8;

#[expect(clippy::needless_pass_by_value, reason = "errors and texts come as they are")]
fn broken(file: &'static str, reason: impl ToString) -> Unusable {
    Unusable::Broken { file, reason: reason.to_string() }
}

/// The shape of the encoder.
pub(crate) fn config(directory: &Path) -> Result<Config, Unusable> {
    let text = read(directory, CONFIG, MOST_CONFIG)?;
    let config: Config = serde_json::from_slice(&text).map_err(|error| broken(CONFIG, error))?;
    let within = |name: &str, value: usize, least: usize, most: usize| {
        if (least..=most).contains(&value) {
            return Ok(());
        }
        Err(broken(CONFIG, format!("`{name}` is {value}, not {least} to {most}")))
    };
    within("hidden_size", config.hidden_size, 1, MOST_WIDTH)?;
    within("num_hidden_layers", config.num_hidden_layers, 1, MOST_LAYERS)?;
    within("num_attention_heads", config.num_attention_heads, 1, config.hidden_size)?;
    within("type_vocab_size", config.type_vocab_size, 1, 16)?;
    let positions = config.max_position_embeddings;
    within("max_position_embeddings", positions, LEAST_TOKENS, 1 << 20)?;
    if !config.hidden_size.is_multiple_of(config.num_attention_heads) {
        return Err(broken(CONFIG, "`num_attention_heads` does not divide `hidden_size`"));
    }
    if config.pad_token_id >= config.vocab_size {
        return Err(broken(CONFIG, "`pad_token_id` is not below `vocab_size`"));
    }
    Ok(config)
}

/// What splits texts. What the file says of their length is for another use and does not count.
pub(crate) fn tokenizer(directory: &Path, config: &Config) -> Result<Tokenizer, Unusable> {
    let text = read(directory, TOKENIZER, MOST_TOKENIZER)?;
    // It expects of some damaged texts what they do not hold, and panics.
    let tokenizer = std::panic::catch_unwind(|| Tokenizer::from_bytes(text));
    let tokenizer = tokenizer.map_err(|_| broken(TOKENIZER, "it cannot be read"))?;
    let mut tokenizer = tokenizer.map_err(|error| broken(TOKENIZER, error))?;
    let max_length = MOST_TOKENS.min(config.max_position_embeddings);
    let truncation = TruncationParams { max_length, ..TruncationParams::default() };
    tokenizer
        .with_padding(None)
        .with_truncation(Some(truncation))
        .map_err(|error| broken(TOKENIZER, error))?;
    let largest = tokenizer.get_vocab(true).into_values().max().unwrap_or_default() as usize;
    if largest >= config.vocab_size {
        let reason =
            format!("it has a token {largest}, and the encoder knows {}", config.vocab_size);
        return Err(broken(TOKENIZER, reason));
    }
    Ok(tokenizer)
}

/// The weights.
pub(crate) fn model(directory: &Path, config: &Config) -> Result<BertModel, Unusable> {
    let bytes = read(directory, MODEL, MOST_MODEL)?;
    let weights = VarBuilder::from_buffered_safetensors(bytes, DType::F32, &Device::Cpu);
    let model = weights.and_then(|weights| BertModel::load(weights, config));
    model.map_err(|error| broken(MODEL, error))
}

fn read(directory: &Path, file: &'static str, most: u64) -> Result<Vec<u8>, Unusable> {
    let unread = |error| Unusable::Unread { file, error };
    let path = directory.join(file);
    // Asked before it is opened: to open a pipe is to wait for who writes to it.
    let about = path.metadata().map_err(unread)?;
    if !about.is_file() {
        return Err(broken(file, "it is not a file"));
    }
    if about.len() > most {
        return Err(Unusable::TooLarge { file, bytes: about.len(), most });
    }
    let mut bytes = Vec::with_capacity(about.len() as usize);
    File::open(path).and_then(|it| it.take(most).read_to_end(&mut bytes)).map_err(unread)?;
    Ok(bytes)
}
