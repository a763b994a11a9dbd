//! Who is enrolled: prints in memory and in one file a person. A print leaves in no reply, event or log.

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    path::{Path, PathBuf},
};

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
            let person = std::fs::read(&path).ok();
            let person = person.and_then(|it| serde_json::from_slice::<Enrolled>(&it).ok());
            // Under another name it could be neither replaced nor removed.
            match person.filter(|it| is_named(&path, &it.label)) {
                Some(person) => drop(known.insert(person.label.clone(), person)),
                None => tracing::warn!(path = %path.display(), "an enrolment does not read"),
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
        match tokio::fs::remove_file(self.path(label)?).await {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(unwritten(error)),
            _ => {}
        }
        self.known.lock().remove(label);
        Ok(true)
    }

    fn path(&self, label: &str) -> Result<PathBuf> {
        Ok(self.directory.join(file_name(label)?))
    }
}

fn file_name(label: &str) -> Result<String> {
    Ok(format!("{}.json", encode_name("label", label)?))
}

fn is_named(path: &Path, label: &str) -> bool {
    file_name(label).is_ok_and(|it| path.file_name() == Some(it.as_ref()))
}

#[expect(clippy::needless_pass_by_value, reason = "handed to `map_err`")]
fn unwritten(error: std::io::Error) -> RpcError {
    RpcError::internal(format!("the enrolment could not be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print() -> Voiceprint {
        Voiceprint { vector: vec![1.0], voiced_ms: 3000 }
    }

    #[tokio::test]
    async fn so_many_people_and_no_more() {
        let place = tempfile::tempdir().unwrap();
        let all = Enrolments::read(place.path().to_owned()).unwrap();
        for nth in 0..MOST_LABELS {
            all.add(&format!("p{nth}"), print(), Time::default()).await.unwrap();
        }
        let Err(error) = all.add("one more", print(), Time::default()).await else { panic!() };
        assert_eq!((error.code, &error.data.unwrap()["limit"]), (-32012, &256.into()));
        assert!(all.add("p7", print(), Time::default()).await.is_ok(), "a sample of a known one");
        assert!(all.remove("p7").await.unwrap());
        assert!(all.add("one more", print(), Time::default()).await.is_ok());
        assert_eq!(Enrolments::read(place.path().to_owned()).unwrap().list().len(), MOST_LABELS);
    }

    #[tokio::test]
    async fn files_that_do_not_read_or_went_keep_nobody() {
        let place = tempfile::tempdir().unwrap();
        let all = Enrolments::read(place.path().to_owned()).unwrap();
        all.add("ann", print(), Time::default()).await.unwrap();
        std::fs::copy(place.path().join("ann.json"), place.path().join("copy.json")).unwrap();
        std::fs::write(place.path().join("torn.json"), "{").unwrap();
        std::fs::create_dir(place.path().join("place.json")).unwrap();
        std::fs::remove_file(place.path().join("ann.json")).unwrap();
        assert!(all.remove("ann").await.unwrap());
        assert!(Enrolments::read(place.path().to_owned()).unwrap().list().is_empty());
    }
}
