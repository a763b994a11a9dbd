//! The providers of this host, by kind and id.

use std::{collections::BTreeMap, sync::Arc};

use carport_core::{Guarded, Result, RpcError, bounds};
use carport_voice_api::{
    Provider, ProviderKind, ProviderRow, SpeakerPrints, SpeechToText, TextToSpeech, Unready,
};

use crate::remote::ProviderType;

/// What is taken where a call names none.
pub(crate) const DEFAULT: &str = "local";

/// Every provider that was registered.
#[derive(Default)]
pub(crate) struct Providers(Guarded<Known>);

#[derive(Default)]
struct Known {
    stt: BTreeMap<String, Arc<dyn SpeechToText>>,
    tts: BTreeMap<String, Arc<dyn TextToSpeech>>,
    speakers: BTreeMap<String, Arc<dyn SpeakerPrints>>,
}

impl Providers {
    pub(crate) fn register(&self, provider: Provider) -> Result<()> {
        let known = &mut *self.0.lock();
        match provider {
            Provider::Stt(it) => add(&mut known.stt, it.about().id, it),
            Provider::Tts(it) => add(&mut known.tts, it.about().id, it),
            Provider::Speakers(it) => add(&mut known.speakers, it.about().id, it),
        }
    }

    /// The one of this id, which would work now.
    pub(crate) fn stt(&self, field: &str, id: Option<&str>) -> Result<Arc<dyn SpeechToText>> {
        let provider = find(&self.0.lock().stt, "speech recognition", field, id)?;
        provider.ready().map_err(unready)?;
        Ok(provider)
    }

    /// The one of this id, which would work now.
    pub(crate) fn tts(&self, field: &str, id: Option<&str>) -> Result<Arc<dyn TextToSpeech>> {
        let provider = find(&self.0.lock().tts, "speech", field, id)?;
        provider.ready().map_err(unready)?;
        Ok(provider)
    }

    /// The one of this id, which would work now; the first if it names none.
    pub(crate) fn speakers(&self, field: &str, id: Option<&str>) -> Result<Arc<dyn SpeakerPrints>> {
        let first = self.0.lock().speakers.keys().next().cloned();
        let id = id.or(first.as_deref());
        let provider = find(&self.0.lock().speakers, "telling speakers apart", field, id)?;
        provider.ready().map_err(unready)?;
        Ok(provider)
    }

    /// The one of this id, whether it would work or not.
    pub(crate) fn any(&self, kind: Which, field: &str, id: Option<&str>) -> Result<Provider> {
        let known = self.0.lock();
        match kind {
            Which::Stt => find(&known.stt, "speech recognition", field, id).map(Provider::Stt),
            Which::Tts => find(&known.tts, "speech", field, id).map(Provider::Tts),
            Which::Speakers => {
                let id = id.or(known.speakers.keys().next().map(String::as_str));
                let found = find(&known.speakers, "telling speakers apart", field, id);
                found.map(Provider::Speakers)
            }
        }
    }

    /// A row for each that listens or speaks, and for each that another build would have, by kind and id.
    /// Asks them without holding the lock.
    pub(crate) fn rows(&self) -> Vec<ProviderRow> {
        let (stt, tts): (Vec<_>, Vec<_>) = {
            let known = self.0.lock();
            (known.stt.values().cloned().collect(), known.tts.values().cloned().collect())
        };
        let row = |about: carport_voice_api::About, kind, ready: Result<(), Unready>, voices| {
            ProviderRow {
                default: about.id == DEFAULT,
                id: about.id,
                kind,
                available: true,
                description: about.description,
                ready: ready.is_ok(),
                reason: ready.err().map(|it| it.remedy),
                streaming: about.streaming,
                voices,
            }
        };
        let stt = stt.iter().map(|it| row(it.about(), ProviderKind::Stt, it.ready(), None));
        let tts =
            tts.iter().map(|it| row(it.about(), ProviderKind::Tts, it.ready(), Some(it.voices())));
        let absent = absent(ProviderType::is_built);
        let mut rows: Vec<_> = stt.chain(tts).chain(absent).collect();
        rows.sort_by(|a, b| (a.kind, &a.id).cmp(&(b.kind, &b.id)));
        rows
    }
}

/// A row for each kind of provider that is not in the build.
fn absent(is_built: impl Fn(ProviderType) -> bool) -> Vec<ProviderRow> {
    let row = |it: ProviderType, kind| ProviderRow {
        id: it.word().into(),
        kind,
        available: false,
        description: "Not in this build".into(),
        ready: false,
        reason: Some(format!("`{}` {}", it.word(), it.remedy())),
        default: false,
        streaming: false,
        voices: None,
    };
    let missing = ProviderType::ALL.into_iter().filter(|it| !is_built(*it));
    let each = missing.flat_map(|it| {
        let kinds = [ProviderKind::Stt, ProviderKind::Tts].into_iter();
        kinds.filter(move |kind| it.is_for(*kind)).map(move |kind| row(it, kind))
    });
    each.collect()
}

/// What a provider is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which {
    Stt,
    Tts,
    Speakers,
}

fn add<T: ?Sized>(
    known: &mut BTreeMap<String, Arc<T>>,
    id: String,
    provider: Arc<T>,
) -> Result<()> {
    bounds::bytes("id", &id, 1..=64)?;
    if known.contains_key(&id) {
        return Err(RpcError::conflict(format!("a provider `{id}` of this kind is there already")));
    }
    known.insert(id, provider);
    Ok(())
}

fn find<T: ?Sized>(
    known: &BTreeMap<String, Arc<T>>,
    what: &str,
    field: &str,
    id: Option<&str>,
) -> Result<Arc<T>> {
    let wanted = id.unwrap_or(DEFAULT);
    if let Some(provider) = known.get(wanted) {
        return Ok(provider.clone());
    }
    let ids: Vec<&str> = known.keys().map(String::as_str).collect();
    let absent = ProviderType::ALL.into_iter().find(|it| !it.is_built() && id == Some(it.word()));
    if let Some(absent) = absent {
        let missing = absent.word().to_owned();
        let remedy = format!("`{missing}` {}", absent.remedy());
        return Err(unready(Unready { missing, remedy }));
    }
    match id {
        Some(id) => {
            let why = format!("no provider `{id}` for {what}; see `voice.providers.list`");
            Err(RpcError::invalid_params(field, why).with("known", ids))
        }
        None => {
            let why = format!(
                "this build has no provider `{DEFAULT}` for {what}: name one of those in \
                 `voice.providers.list`, or use a build that has it, with `voice.local` on"
            );
            Err(RpcError::unavailable("provider", &why).with("reason", why).with("known", ids))
        }
    }
}

pub(crate) fn unready(unready: Unready) -> RpcError {
    RpcError::unavailable(unready.missing.clone(), &unready.remedy).with("reason", unready.remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_build_would_have_is_listed_with_the_way_to_it() {
        let rows = absent(|it| it == ProviderType::Elevenlabs);
        let brief: Vec<_> = rows.iter().map(|it| (it.kind, &*it.id)).collect();
        let (stt, tts) = (ProviderKind::Stt, ProviderKind::Tts);
        let expected =
            [(stt, "openai-http"), (tts, "openai-http"), (tts, "espeak"), (stt, "whisper")];
        assert_eq!(brief, expected);
        assert!(rows.iter().all(|it| !it.available));
        let reasons = rows.iter().map(|it| it.reason.as_deref().unwrap_or_default());
        assert!(
            reasons.into_iter().all(|it| it.contains("voice-") && it.contains("voice.providers"))
        );
        assert!(absent(|_| true).is_empty());
    }
}
