//! Providers that do what a test says: text that follows from the sound, hanging, failing, late finals.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
};

use carport_core::{Result, RpcError};
use carport_voice_api::{
    About, Activity, Cancel, Caps, Decoded, Decoder, Ear, Failure, Heard, Listen, Listener, Out,
    Pass, Recogniser, Say, Sound, SpeakerPrints, SpeechToText, TextToSpeech, Unready, Voiceprint,
    Word,
};

/// What loud sound is.
const LOUD: f32 = 0.1;

/// A door that work waits in front of while it is shut.
#[derive(Default)]
pub(crate) struct Door {
    shut: Mutex<bool>,
    moved: Condvar,
    pub(crate) waiting: AtomicUsize,
}

impl Door {
    pub(crate) fn shut(&self) {
        *self.shut.lock().unwrap() = true;
    }

    pub(crate) fn open(&self) {
        *self.shut.lock().unwrap() = false;
        self.moved.notify_all();
    }

    fn pass(&self) {
        let mut shut = self.shut.lock().unwrap();
        self.waiting.fetch_add(1, Ordering::SeqCst);
        while *shut {
            shut = self.moved.wait(shut).unwrap();
        }
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// How the providers behave, and what they did.
#[derive(Default)]
pub(crate) struct Knobs {
    /// In front of opening a recogniser.
    pub(crate) loading: Door,
    /// In front of every decode, and of the sound that a listener gets.
    pub(crate) decoding: Door,
    /// In front of every chunk of speech but the first.
    pub(crate) speaking: Door,
    pub(crate) load_fails: Mutex<Option<Failure>>,
    pub(crate) decode_fails: Mutex<Option<Failure>>,
    pub(crate) speech_fails: Mutex<Option<Failure>>,
    pub(crate) panics: Mutex<bool>,
    pub(crate) unready: Mutex<Option<Unready>>,
    /// What a decode says instead of counting words.
    pub(crate) says: Mutex<VecDeque<&'static str>>,
    /// Recognisers that are open.
    pub(crate) open: AtomicI64,
    pub(crate) decodes: Mutex<Vec<(Pass, usize)>>,
    /// Where the listener's provider tells, for each listener that was opened.
    pub(crate) ears: Mutex<Vec<Ear>>,
    /// What it tells at its end; nothing: it hangs silently.
    pub(crate) at_the_end: Mutex<Vec<Heard>>,
    pub(crate) heard_samples: AtomicUsize,
    pub(crate) flushes: AtomicUsize,
    /// What calls off the partials that were begun.
    pub(crate) partials: Mutex<Vec<Cancel>>,
    pub(crate) spoken_ms: AtomicUsize,
    /// How long a chunk of speech is.
    pub(crate) chunk_ms: AtomicUsize,
}

impl Knobs {
    /// Of the listener that was opened last.
    pub(crate) fn ear(&self) -> Ear {
        self.ears.lock().unwrap().last().unwrap().clone()
    }
}

/// Recognition by the plugin's own segments, under any id.
pub(crate) struct Segments(pub(crate) &'static str, pub(crate) Arc<Knobs>);
/// Recognition that finds segments itself.
pub(crate) struct Remote(pub(crate) Arc<Knobs>);
/// Speech in chunks, one a sentence, or in one.
pub(crate) struct Speaker {
    pub(crate) id: &'static str,
    pub(crate) streaming: bool,
    pub(crate) clones: bool,
    pub(crate) knobs: Arc<Knobs>,
}
/// Quiet voices are one person, loud ones another.
pub(crate) struct Prints;

fn about(id: &str, streaming: bool) -> About {
    About { id: id.into(), description: format!("scripted {id}"), streaming }
}

fn check(listen: &Listen) -> Result<(String, Caps)> {
    if listen.language.as_deref().is_some_and(|it| it != "en") {
        let error = RpcError::invalid_params("options.language", "English only");
        return Err(error.with("known", vec!["en"]));
    }
    let caps = Caps { partials: true, words: true, diarizer: false, languages: None };
    Ok(("counter".into(), caps))
}

fn take(failure: &Mutex<Option<Failure>>) -> Result<(), Failure> {
    failure.lock().unwrap().take().map_or(Ok(()), Err)
}

impl SpeechToText for Segments {
    fn about(&self) -> About {
        about(self.0, true)
    }
    fn ready(&self) -> Result<(), Unready> {
        self.1.unready.lock().unwrap().clone().map_or(Ok(()), Err)
    }
    fn check(&self, listen: &Listen) -> Result<(String, Caps)> {
        check(listen)
    }
    fn open(&self, listen: &Listen, _: Ear) -> Result<Recogniser, Failure> {
        self.1.loading.pass();
        take(&self.1.load_fails)?;
        self.1.open.fetch_add(1, Ordering::SeqCst);
        let decoder = Box::new(Counter { knobs: self.1.clone(), words: listen.words });
        Ok(Recogniser::Segments { decoder, activity: Box::new(Loudness) })
    }
}

/// Says one word for each 100 ms that are loud.
struct Counter {
    knobs: Arc<Knobs>,
    words: bool,
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.knobs.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Decoder for Counter {
    fn decode(&mut self, samples: &[f32], pass: Pass, stop: &Cancel) -> Result<Decoded, Failure> {
        if pass == Pass::Partial {
            self.knobs.partials.lock().unwrap().push(stop.clone());
        }
        self.knobs.decodes.lock().unwrap().push((pass, samples.len()));
        self.knobs.decoding.pass();
        assert!(!*self.knobs.panics.lock().unwrap(), "a provider that panics");
        take(&self.knobs.decode_fails)?;
        let loud = samples.iter().filter(|it| it.abs() > LOUD).count();
        let counted = (1..=(loud / 1600).max(1)).map(|nth| format!("w{nth}")).collect::<Vec<_>>();
        let said = self.knobs.says.lock().unwrap().pop_front();
        let text = said.map_or_else(|| counted.join(" "), str::to_owned);
        let word = |(nth, text): (usize, &str)| Word {
            text: text.into(),
            start_ms: nth as u64 * 100,
            end_ms: nth as u64 * 100 + 100,
            confidence: None,
        };
        let words = text.split_whitespace().enumerate().map(word);
        let words = if self.words { words.collect() } else { Vec::new() };
        Ok(Decoded { text, confidence: Some(0.5), language: Some("en".into()), words })
    }
}

struct Loudness;

impl Activity for Loudness {
    fn speech(&mut self, frame: &[f32]) -> f32 {
        // A few of them say enough, so that an hour is heard in seconds.
        let loud = frame.iter().step_by(15).filter(|it| it.abs() > LOUD).count();
        if loud * 30 > frame.len() { 0.9 } else { 0.0 }
    }
}

impl SpeechToText for Remote {
    fn about(&self) -> About {
        about("remote", true)
    }
    fn ready(&self) -> Result<(), Unready> {
        Ok(())
    }
    fn check(&self, listen: &Listen) -> Result<(String, Caps)> {
        check(listen)
    }
    fn open(&self, _: &Listen, ear: Ear) -> Result<Recogniser, Failure> {
        self.0.ears.lock().unwrap().push(ear);
        self.0.open.fetch_add(1, Ordering::SeqCst);
        Ok(Recogniser::Stream(Box::new(Wire(self.0.clone()))))
    }
}

struct Wire(Arc<Knobs>);

impl Drop for Wire {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Listener for Wire {
    fn hear(&mut self, samples: &[f32]) -> Result<(), Failure> {
        self.0.decoding.pass();
        self.0.heard_samples.fetch_add(samples.len(), Ordering::SeqCst);
        take(&self.0.decode_fails)
    }
    fn flush(&mut self) -> Result<(), Failure> {
        self.0.flushes.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
    fn finish(&mut self) -> Result<(), Failure> {
        let ear = self.0.ear();
        self.0.at_the_end.lock().unwrap().drain(..).for_each(|heard| ear(heard));
        Ok(())
    }
}

impl TextToSpeech for Speaker {
    fn about(&self) -> About {
        about(self.id, self.streaming)
    }
    fn ready(&self) -> Result<(), Unready> {
        Ok(())
    }
    fn voices(&self) -> Vec<String> {
        vec!["one".into(), "two".into()]
    }
    fn sample_rate(&self) -> u32 {
        16_000
    }
    fn clones(&self) -> bool {
        self.clones
    }
    fn check(&self, say: &Say) -> Result<()> {
        match say.voice.as_deref() {
            None | Some("one" | "two") => Ok(()),
            Some(_) => Err(RpcError::invalid_params("voice", "no such voice")),
        }
    }
    fn speak(&self, say: &Say, out: Out<'_>) -> Result<(), Failure> {
        let ms = self.knobs.chunk_ms.load(Ordering::SeqCst).max(20);
        for (nth, _) in say.text.split_terminator('.').enumerate() {
            if nth > 0 {
                self.knobs.speaking.pass();
                take(&self.knobs.speech_fails)?;
            }
            self.knobs.spoken_ms.fetch_add(ms, Ordering::SeqCst);
            if out(Sound::Samples(vec![0.5; ms * 16])).is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl SpeakerPrints for Prints {
    fn about(&self) -> About {
        about("prints", false)
    }
    fn ready(&self) -> Result<(), Unready> {
        Ok(())
    }
    fn print(&self, samples: &[f32]) -> Result<Voiceprint, Failure> {
        let loud: Vec<f32> = samples.iter().map(|it| it.abs()).filter(|it| *it > LOUD).collect();
        let voiced_ms = loud.len() as u64 / 16;
        if loud.is_empty() {
            return Ok(Voiceprint { vector: Vec::new(), voiced_ms });
        }
        let mean = loud.iter().sum::<f32>() / loud.len() as f32;
        let vector = if mean < 0.3 { vec![1.0, 0.0] } else { vec![0.0, 1.0] };
        Ok(Voiceprint { vector, voiced_ms })
    }
}
