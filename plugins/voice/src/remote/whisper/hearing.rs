//! Segments into text by a model that is loaded.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use carport_voice_api::{Cancel, Decoded, Decoder, Failure, FailureKind, Listen, Pass, Word};
use whisper_rs::{
    FullParams, SamplingStrategy, WhisperContext, WhisperState, WhisperTokenId, get_lang_str,
};

use super::{ENGLISH, language, languages};

/// Of a prompt only the end counts, 223 tokens of it. The library's splitter of words calls itself once a
/// letter, so a long word would take the thread's whole stack.
const MOST_PROMPT: usize = 1024;
/// Threads that a segment is heard with at the most; more make it little faster.
const MOST_THREADS: usize = 4;
/// Milliseconds in the library's unit of time.
const UNIT_MS: i64 = 10;

thread_local! {
    /// Until when, and for whom, this thread hears a segment.
    static WATCH: RefCell<Option<Watch>> = const { RefCell::new(None) };
}

#[derive(Clone)]
struct Watch {
    cancel: Cancel,
    until: Instant,
}

impl Watch {
    fn is_over(&self) -> bool {
        self.cancel.is_cancelled() || Instant::now() >= self.until
    }
}

type Settings = FullParams<'static, 'static>;

/// What segments are heard with, by their language; `None` finds out. Made once, because the library's
/// bindings never free a text or a callback that they were given.
static SETTINGS: LazyLock<BTreeMap<Option<&'static str>, Settings>> =
    LazyLock::new(|| languages().map(Some).chain([None]).map(|it| (it, settings(it))).collect());

fn settings(language: Option<&'static str>) -> Settings {
    let mut settings = FullParams::new(SamplingStrategy::Greedy { best_of: 1 });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    settings.set_n_threads((cores / 2).clamp(1, MOST_THREADS) as i32);
    settings.set_language(language);
    // What was said before is another matter, and a mistake would be carried on.
    settings.set_no_context(true);
    settings.set_suppress_nst(true);
    settings.set_print_special(false);
    settings.set_print_progress(false);
    settings.set_print_realtime(false);
    settings.set_print_timestamps(false);
    // The bindings read the callback as one of the type that is named here, while they keep a boxed one: only
    // for a boxed one are both the same. It is asked on the thread that hears, after the encoder and after each token.
    type Asked = Box<dyn FnMut() -> bool>;
    let asked: Asked = Box::new(|| WATCH.with_borrow(|it| it.as_ref().is_some_and(Watch::is_over)));
    settings.set_abort_callback_safe::<Asked, Asked>(asked);
    settings
}

/// One stream's or file's.
pub(super) struct Hearing {
    context: Arc<WhisperContext>,
    language: Option<&'static str>,
    prompt: Vec<WhisperTokenId>,
    words: bool,
    cancel: Cancel,
    timeout: Duration,
}

impl Hearing {
    pub(super) fn new(
        context: Arc<WhisperContext>,
        listen: &Listen,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        let language = match context.is_multilingual() {
            true => listen.language.as_deref().and_then(language),
            false => Some(ENGLISH),
        };
        // The library takes no NUL, and reserves as many tokens as it is told.
        let prompt = listen.prompt.as_deref().unwrap_or_default().replace('\0', " ");
        let prompt = end_of(&prompt, MOST_PROMPT);
        let prompt = context.tokenize(prompt, prompt.len() + 1);
        let prompt = prompt.map_err(|_| failed("the prompt could not be taken apart"))?;
        Ok(Self {
            context,
            language,
            prompt,
            words: listen.words,
            cancel: listen.cancel.clone(),
            timeout,
        })
    }

    /// Whether it was heard; not if nobody wants it any more.
    fn run(&self, state: &mut WhisperState, samples: &[f32]) -> Result<bool, Failure> {
        let usual = SETTINGS.get(&self.language).ok_or_else(|| failed("an unknown language"))?;
        let mut settings: FullParams<'_, '_> = usual.clone();
        settings.set_token_timestamps(self.words);
        settings.set_no_timestamps(!self.words);
        settings.set_tokens(&self.prompt);
        let watch = Watch { cancel: self.cancel.clone(), until: Instant::now() + self.timeout };
        WATCH.set(Some(watch.clone()));
        let done = state.full(settings, samples);
        WATCH.set(None);
        match done {
            _ if self.cancel.is_cancelled() => Ok(false),
            Ok(()) => Ok(true),
            Err(_) if watch.is_over() => Err(failed(format!(
                "a segment took longer than {} s: take a smaller model, or raise the provider's \
                 `timeout_secs`",
                self.timeout.as_secs()
            ))),
            Err(error) => Err(failed(format!("whisper.cpp failed: {error}"))),
        }
    }
}

impl Decoder for Hearing {
    fn decode(&mut self, samples: &[f32], pass: Pass, _: &Cancel) -> Result<Decoded, Failure> {
        // A segment costs as much as half a minute however short it is: too much for one that still grows.
        if pass == Pass::Partial || samples.is_empty() {
            return Ok(Decoded::default());
        }
        // Its buffers are large, and only those who have a place hear at the same time.
        let state = self.context.create_state();
        let mut state = state.map_err(|_| failed("there is no memory to hear a segment"))?;
        if !self.run(&mut state, samples)? {
            return Ok(Decoded::default());
        }
        let tokens = tokens(&state, self.context.token_eot());
        let language = match self.context.is_multilingual() {
            true => get_lang_str(state.full_lang_id_from_state()),
            false => Some(ENGLISH),
        };
        Ok(decoded(&tokens, self.words, language))
    }
}

/// A piece of a word.
struct Token {
    bytes: Vec<u8>,
    probability: f32,
    start_ms: u64,
    end_ms: u64,
}

/// Tokens from `end` on are marks.
fn tokens(state: &WhisperState, end: WhisperTokenId) -> Vec<Token> {
    let ms = |time: i64| u64::try_from(time * UNIT_MS).unwrap_or_default();
    let mut all = Vec::new();
    for segment in state.as_iter() {
        let tokens = (0..segment.n_tokens()).filter_map(|it| segment.get_token(it));
        for token in tokens.filter(|it| it.token_id() < end) {
            let (Ok(bytes), data) = (token.to_bytes(), token.token_data()) else { continue };
            all.push(Token {
                bytes: bytes.to_vec(),
                probability: data.p,
                start_ms: ms(data.t0),
                end_ms: ms(data.t1),
            });
        }
    }
    all
}

/// A word begins with a blank. A token may be part of a letter, so bytes are put together first.
fn decoded(tokens: &[Token], with_words: bool, language: Option<&str>) -> Decoded {
    let text_of = |tokens: &[Token]| {
        let bytes: Vec<u8> = tokens.iter().flat_map(|it| it.bytes.iter().copied()).collect();
        String::from_utf8_lossy(&bytes).trim().to_owned()
    };
    let confidence_of = |tokens: &[Token]| {
        let sum: f64 = tokens.iter().map(|it| f64::from(it.probability)).sum();
        (sum / tokens.len() as f64).clamp(0.0, 1.0)
    };
    let text = text_of(tokens);
    let word = |tokens: &[Token]| Word {
        text: text_of(tokens),
        start_ms: tokens[0].start_ms,
        end_ms: tokens[tokens.len() - 1].end_ms,
        confidence: Some(confidence_of(tokens)),
    };
    let words = match with_words {
        true => tokens.chunk_by(|_, next| !next.bytes.starts_with(b" ")).map(word).collect(),
        false => Vec::new(),
    };
    Decoded {
        confidence: (!text.is_empty()).then(|| confidence_of(tokens)),
        text,
        language: language.map(str::to_owned),
        words: words.into_iter().filter(|it: &Word| !it.text.is_empty()).collect(),
    }
}

/// The last so many bytes of a text, or a few less: letters stay whole.
fn end_of(text: &str, most: usize) -> &str {
    let from = (text.len().saturating_sub(most)..=text.len()).find(|it| text.is_char_boundary(*it));
    &text[from.unwrap_or_default()..]
}

fn failed(why: impl Into<String>) -> Failure {
    Failure::new(FailureKind::Failed, why)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use whisper_rs::WhisperContextParameters;

    use super::*;

    fn token(text: &[u8], start_ms: u64) -> Token {
        Token { bytes: text.to_vec(), probability: 0.5, start_ms, end_ms: start_ms + 10 }
    }

    #[test]
    fn tokens_become_words_with_times_and_whole_letters() {
        let heard =
            [token(b" Na", 0), token(b"\xc3", 10), token(b"\xafve,", 20), token(b" yes", 40)];
        let heard_words = decoded(&heard, true, Some("en"));
        assert_eq!(heard_words.text, "Naïve, yes");
        let words: Vec<_> =
            heard_words.words.iter().map(|it| (&*it.text, it.start_ms, it.end_ms)).collect();
        assert_eq!(words, [("Naïve,", 0, 30), ("yes", 40, 50)]);
        assert_eq!(heard_words.confidence, Some(0.5));
        assert!(decoded(&heard, false, None).words.is_empty());
        assert_eq!(decoded(&[], true, None), Decoded::default());
        assert_eq!(decoded(&[token(b" ", 0)], true, None), Decoded::default());
    }

    #[test]
    fn a_prompt_is_cut_between_letters() {
        assert_eq!(end_of("abc", 2), "bc");
        assert_eq!(end_of("aéc", 2), "c");
        assert_eq!(end_of("", 2), "");
        assert_eq!(end_of("é", 0), "");
    }

    #[test]
    fn every_language_has_its_settings() {
        assert!(SETTINGS.contains_key(&None));
        assert_eq!(language("de-AT"), Some("de"));
        assert!(SETTINGS.contains_key(&language("yue")));
        assert_eq!(language("german"), None);
    }

    /// A model without weights hears some text to its end, and stops where it is told to.
    #[test]
    fn hearing_ends_when_nobody_wants_it_or_it_takes_too_long() {
        let model = Path::new(env!("CARGO_MANIFEST_DIR"));
        let model = model.join("tests/samples/for-tests-ggml-tiny.bin");
        let context = WhisperContext::new_with_params(model, WhisperContextParameters::default());
        let context = Arc::new(context.unwrap());
        let samples = vec![0.1; 16_000];
        let listen = Listen { language: Some("en".into()), ..Listen::default() };
        let hearing = |timeout| Hearing::new(context.clone(), &listen, timeout).unwrap();
        let long = Duration::from_secs(600);
        assert_eq!(hearing(long).decode(&samples, Pass::Partial), Ok(Decoded::default()));
        let late = hearing(Duration::ZERO).decode(&samples, Pass::Final).unwrap_err();
        assert!(late.message.contains("timeout_secs"), "{late}");
        let heard = hearing(long).decode(&samples, Pass::Final).unwrap();
        assert_eq!(heard.language.as_deref(), Some("en"));
        listen.cancel.cancel();
        assert_eq!(hearing(long).decode(&samples, Pass::Final), Ok(Decoded::default()));
    }
}
