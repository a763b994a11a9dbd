//! What an operator may set.

use std::{collections::BTreeMap, path::PathBuf};

use carport_core::{Result, RpcError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{remote::ProviderSettings, turns::words::Kind};

/// The section `[voice]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Directories that absolute paths of clients may lie in; none if empty.
    pub audio_roots: Vec<PathBuf>,
    /// Seconds without sound after which a stream that is pushed to stops, 1 at the least.
    #[schemars(range(min = 1))]
    pub idle_secs: u64,
    /// Streams of sound at once in all, 1 to 64. Each may hold a minute of sound.
    #[schemars(range(min = 1, max = 64))]
    pub streams: usize,
    /// Streams of sound at once of one connection, 1 to 64.
    #[schemars(range(min = 1, max = 64))]
    pub streams_per_connection: usize,
    /// Who may listen to the daemon's microphone.
    pub mic: MicAccess,
    /// Whether the models of this machine are there as the providers `local`.
    pub local: bool,
    /// Directories where models are looked for first.
    pub models: Vec<PathBuf>,
    /// Whether missing models may be fetched.
    pub allow_download: bool,
    /// Providers over a network or as a program, by the id that calls name them with. One that is called
    /// `local` is taken where a call names none; the models of this machine have to be off then.
    pub providers: BTreeMap<String, ProviderSettings>,
    /// How turns are taken.
    pub turns: TurnSettings,
}

/// Who may listen to the daemon's microphone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MicAccess {
    /// Only the host.
    #[default]
    Host,
    /// Whoever is authenticated.
    Authenticated,
}

/// How turns are taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TurnSettings {
    /// Words that tell what an utterance is about; whole words in any case.
    pub words: Words,
    /// What is said while the slow track works.
    pub phrases: Phrases,
}

/// Words that tell what an utterance is about; one entry may be several words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Words {
    /// Mail.
    pub email: Vec<String>,
    /// Appointments.
    pub calendar: Vec<String>,
    /// What has to be looked up.
    pub search: Vec<String>,
    /// Anything else that needs more than a quick answer.
    pub unknown: Vec<String>,
}

/// What is said while the slow track works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Phrases {
    /// For mail.
    pub email: String,
    /// For appointments.
    pub calendar: String,
    /// For what has to be looked up.
    pub search: String,
    /// For anything else, and where no fast model is ready.
    pub unknown: String,
}

impl Words {
    pub(crate) fn of(&self, kind: Kind) -> &[String] {
        match kind {
            Kind::Email => &self.email,
            Kind::Calendar => &self.calendar,
            Kind::Search => &self.search,
            Kind::Unknown => &self.unknown,
        }
    }
}

impl Phrases {
    pub(crate) fn of(&self, kind: Kind) -> &str {
        match kind {
            Kind::Email => &self.email,
            Kind::Calendar => &self.calendar,
            Kind::Search => &self.search,
            Kind::Unknown => &self.unknown,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            audio_roots: Vec::new(),
            idle_secs: 300,
            streams: 8,
            streams_per_connection: 4,
            mic: MicAccess::default(),
            local: true,
            models: Vec::new(),
            allow_download: false,
            providers: BTreeMap::new(),
            turns: TurnSettings::default(),
        }
    }
}

impl Default for Words {
    fn default() -> Self {
        let words = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect();
        let calendar =
            ["calendar", "appointment", "appointments", "meeting", "meetings", "schedule"];
        Self {
            email: words(&["email", "emails", "e-mail", "mail", "mails", "inbox"]),
            calendar: words(&calendar),
            search: words(&["search", "google", "look up", "news", "weather"]),
            unknown: Vec::new(),
        }
    }
}

impl Default for Phrases {
    fn default() -> Self {
        Self {
            email: "Let me look at your mail.".into(),
            calendar: "Let me look at your calendar.".into(),
            search: "Let me look that up.".into(),
            unknown: "One moment.".into(),
        }
    }
}

impl Config {
    /// Bounds that the types do not hold.
    pub(crate) fn check(&self) -> Result<()> {
        if self.idle_secs == 0 {
            return Err(RpcError::internal("`voice.idle_secs` must be 1 at the least"));
        }
        let most =
            [("streams", self.streams), ("streams_per_connection", self.streams_per_connection)];
        if let Some((name, _)) = most.iter().find(|(_, most)| !(1..=64).contains(most)) {
            return Err(RpcError::internal(format!("`voice.{name}` must be 1 to 64")));
        }
        self.providers.iter().try_for_each(|(name, settings)| settings.check(name))?;
        match self.audio_roots.iter().find(|root| !root.is_absolute()) {
            None => Ok(()),
            Some(root) => {
                let why = format!("`voice.audio_roots`: {} is not absolute", root.display());
                Err(RpcError::internal(why))
            }
        }
    }
}
