//! Who is enrolled: prints in memory and in one file a person. A print leaves in no reply, event or log.

use std::{collections::BTreeMap, path::PathBuf};

use carport_core::{Guarded, Result, RpcError, Time, encode_name};
use carport_voice_api::Voiceprint;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::files::replace;

/// People that may be enrolled.
const MOST_LABELS: usize = 256;
/// Samples of one person.
pub(crate) const MOST_SAMPLES: usize = 8;

/// One person.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Enrolled {
    pub(crate) label: String,
    prints: Vec<Vec<f32>>,
    /// Voice of all samples.
    pub(crate) voiced_ms: u64,
    pub(crate) created_at: Time,
}

impl Enrolled {
    pub(crate) fn samples(&self) -> usize {
        self.prints.len()
    }
}

/// Everybody who is enrolled.
pub(crate) struct Enrolments {
    directory: PathBuf,
    known: Guarded<BTreeMap<String, Enrolled>>,
    /// One writer at a time.
    writing: Mutex<()>,
}

impl Enrolments {
    /// Reads what is in the directory; a file that does not read is left alone.
    pub(crate) fn read(directory: PathBuf) -> std::io::Result<Self> {
        let mut known = BTreeMap::new();
        for entry in std::fs::read_dir(&directory)? {
            let path = entry?.path();
            if path.extension().is_none_or(|ending| ending != "json") {
                continue;
            }
            match serde_json::from_slice::<Enrolled>(&std::fs::read(&path)?) {
                Ok(person) => drop(known.insert(person.label.clone(), person)),
                Err(_) => tracing::warn!(path = %path.display(), "an enrolment does not read"),
            }
        }
        Ok(Self { directory, known: Guarded::new(known), writing: Mutex::new(()) })
    }

    /// Everybody, by label.
    pub(crate) fn list(&self) -> Vec<Enrolled> {
        self.known.lock().values().cloned().collect()
    }

    /// Labels and prints, to match voices with.
    pub(crate) fn prints(&self) -> Vec<(String, Vec<Vec<f32>>)> {
        let known = self.known.lock();
        known.values().map(|it| (it.label.clone(), it.prints.clone())).collect()
    }

    /// Adds a sample. Returns how many there are, and how much voice they have.
    pub(crate) async fn add(&self, label: &str, print: Voiceprint, now: Time) -> Result<Enrolled> {
        let _one = self.writing.lock().await;
        let (known, count) = {
            let known = self.known.lock();
            (known.get(label).cloned(), known.len())
        };
        if known.is_none() && count >= MOST_LABELS {
            return Err(RpcError::limit("people that are enrolled", MOST_LABELS as u64));
        }
        let mut person = known.unwrap_or_else(|| Enrolled {
            label: label.to_owned(),
            prints: Vec::new(),
            voiced_ms: 0,
            created_at: now,
        });
        if person.prints.len() >= MOST_SAMPLES {
            let what = format!("samples of `{label}`; remove the enrolment to begin anew");
            return Err(RpcError::limit(what, MOST_SAMPLES as u64));
        }
        person.prints.push(print.vector);
        person.voiced_ms += print.voiced_ms;
        let path = self.path(label)?;
        let bytes = serde_json::to_vec(&person).map_err(RpcError::internal)?;
        let written = tokio::task::spawn_blocking(move || replace(&path, &bytes));
        written.await.map_err(RpcError::internal)?.map_err(unwritten)?;
        self.known.lock().insert(label.to_owned(), person.clone());
        Ok(person)
    }

    /// Removes somebody; `false` if nobody has the label.
    pub(crate) async fn remove(&self, label: &str) -> Result<bool> {
        let _one = self.writing.lock().await;
        if !self.known.lock().contains_key(label) {
            return Ok(false);
        }
        tokio::fs::remove_file(self.path(label)?).await.map_err(unwritten)?;
        self.known.lock().remove(label);
        Ok(true)
    }

    fn path(&self, label: &str) -> Result<PathBuf> {
        Ok(self.directory.join(format!("{}.json", encode_name("label", label)?)))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "handed to `map_err`")]
fn unwritten(error: std::io::Error) -> RpcError {
    RpcError::internal(format!("the enrolment could not be written: {error}"))
}
