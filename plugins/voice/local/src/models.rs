//! Where model files lie, and whether they are whole.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use carport_core::RpcError;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// The file that describes a model, in the model's directory.
const MANIFEST: &str = "manifest.json";
/// A manifest is smaller.
const MANIFEST_MAX: u64 = 64 << 10;

/// `manifest.json` of a model: what lies beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The name of the model and of its directory.
    pub id: String,
    /// An SPDX expression.
    pub license: String,
    /// Where the files come from, in words.
    pub source: String,
    /// Each file by its plain name.
    pub files: BTreeMap<String, ManifestFile>,
}

/// One file of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Its bytes.
    pub size: u64,
    /// Its SHA-256 in lower-case hex.
    pub sha256: String,
}

/// Why a model cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ModelError {
    /// No place has it.
    #[error(
        "model `{model}` is missing; looked for {}; put its directory into one of these places, or name its parent in `voice.models`",
        shown(places)
    )]
    Missing {
        /// Its name.
        model: String,
        /// Where it was looked for: each is a directory that would hold `manifest.json`.
        places: Vec<PathBuf>,
    },
    /// A file is not what the manifest says.
    #[error("model `{model}`: {} {why}; copy the model's directory anew", file.display())]
    Damaged {
        /// Its name.
        model: String,
        /// The file that is wrong.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The files are whole and cannot be run.
    #[error("model `{model}`: {} {why}; it needs the model that this version was made for", file.display())]
    Unusable {
        /// Its name.
        model: String,
        /// The file that is wrong.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl ModelError {
    /// The name of the model.
    pub fn model(&self) -> &str {
        match self {
            Self::Missing { model, .. }
            | Self::Damaged { model, .. }
            | Self::Unusable { model, .. } => model,
        }
    }
}

impl From<ModelError> for RpcError {
    fn from(error: ModelError) -> Self {
        Self::unavailable(error.model().to_owned(), &error)
    }
}

fn shown(places: &[PathBuf]) -> String {
    places.iter().map(|it| it.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// What the search order is made of.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// Directories that a call or a command line names.
    pub option: Vec<PathBuf>,
    /// `voice.models` of the configuration.
    pub configured: Vec<PathBuf>,
    /// The state root; `models/voice/` in it is searched.
    pub state_root: Option<PathBuf>,
    /// The running program; `models/voice/` beside it is searched.
    pub executable: Option<PathBuf>,
    /// The `models` directory of a checkout, usually [`Places::repository`].
    pub repository: Option<PathBuf>,
}

impl Places {
    /// The directory of the models in the checkout that this was built from.
    pub fn repository() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("models")
    }

    /// The parents of model directories, first to last, each once.
    fn parents(self) -> Vec<PathBuf> {
        let under = |root: &Path| root.join("models").join("voice");
        let mut all = self.option;
        all.extend(self.configured);
        all.extend(self.state_root.as_deref().map(under));
        all.extend(self.executable.as_deref().and_then(Path::parent).map(under));
        all.extend(self.repository);
        let mut parents = Vec::new();
        for place in all {
            if !parents.contains(&place) {
                parents.push(place);
            }
        }
        parents
    }
}

/// Finds models, and verifies them.
#[derive(Debug)]
pub struct Locator {
    parents: Vec<PathBuf>,
}

impl Locator {
    /// Searches these places.
    pub fn new(places: Places) -> Self {
        Self { parents: places.parents() }
    }

    /// The directories that would hold a model, first to last.
    pub fn searched(&self, model: &str) -> Vec<PathBuf> {
        self.parents.iter().map(|it| it.join(model)).collect()
    }

    /// The directory of a model, with every file of its manifest present and of its size; their content
    /// is not read. The first place that has a manifest decides: a damaged model is an error, not a reason
    /// to look on.
    pub fn locate(&self, model: &str) -> Result<PathBuf, ModelError> {
        self.look(model, false)
    }

    /// As [`Locator::locate`], and every file is whole: to be called right before files are loaded, for a
    /// graph that is junk may keep its reader busy for ever.
    pub fn find(&self, model: &str) -> Result<PathBuf, ModelError> {
        self.look(model, true)
    }

    /// The manifest of a model that [`Locator::locate`] finds.
    pub fn manifest(&self, model: &str) -> Result<Manifest, ModelError> {
        let place = self.locate(model)?;
        manifest(&place).map_err(|why| ModelError::Damaged {
            model: model.into(),
            file: place.join(MANIFEST),
            why,
        })
    }

    fn look(&self, model: &str, content: bool) -> Result<PathBuf, ModelError> {
        let places = self.searched(model);
        let Some(place) = places.iter().find(|it| it.join(MANIFEST).exists()) else {
            return Err(ModelError::Missing { model: model.into(), places });
        };
        verify(model, place, content)?;
        Ok(place.clone())
    }
}

/// Compares every file of a model with its manifest; without `content` only its size.
fn verify(model: &str, place: &Path, content: bool) -> Result<(), ModelError> {
    let damaged = |file: &str, why: String| ModelError::Damaged {
        model: model.into(),
        file: place.join(file),
        why,
    };
    let manifest = manifest(place).map_err(|why| damaged(MANIFEST, why))?;
    if manifest.id != model {
        return Err(damaged(MANIFEST, format!("describes `{}`", manifest.id)));
    }
    for (name, wanted) in &manifest.files {
        let plain = Path::new(name).file_name().is_some_and(|it| it == name.as_str());
        if !plain {
            return Err(damaged(MANIFEST, format!("names `{name}`, which is no plain file name")));
        }
        whole(&place.join(name), wanted, content).map_err(|why| damaged(name, why))?;
    }
    match stray(place, &manifest) {
        Ok(None) => Ok(()),
        Ok(Some(name)) => Err(damaged(&name, "is none of the manifest's files".into())),
        Err(why) => Err(damaged("", format!("cannot be listed ({why})"))),
    }
}

/// A file that lies there and was not compared with anything. Hidden ones are nobody's.
fn stray(place: &Path, manifest: &Manifest) -> io::Result<Option<String>> {
    for entry in fs::read_dir(place)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != MANIFEST && !name.starts_with('.') && !manifest.files.contains_key(&name) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn manifest(place: &Path) -> Result<Manifest, String> {
    let read = || -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        File::open(place.join(MANIFEST))?.take(MANIFEST_MAX).read_to_end(&mut text)?;
        Ok(text)
    };
    let text = read().map_err(|why| format!("cannot be read ({why})"))?;
    serde_json::from_slice(&text).map_err(|why| format!("is no manifest ({why})"))
}

fn whole(file: &Path, wanted: &ManifestFile, content: bool) -> Result<(), String> {
    let missing = |why: io::Error| match why.kind() {
        io::ErrorKind::NotFound => "is missing".into(),
        _ => format!("cannot be read ({why})"),
    };
    let size = fs::metadata(file).map_err(missing)?.len();
    if size != wanted.size {
        return Err(format!("has {size} bytes instead of {}", wanted.size));
    }
    if !content {
        return Ok(());
    }
    let sum = sum(file).map_err(missing)?;
    match sum == wanted.sha256 {
        true => Ok(()),
        false => Err(format!("has the SHA-256 {sum} instead of {}", wanted.sha256)),
    }
}

/// The SHA-256 of a file in lower-case hex.
fn sum(file: &Path) -> io::Result<String> {
    let (mut file, mut hash) = (File::open(file)?, Sha256::new());
    let mut piece = vec![0; 256 << 10];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            count => hash.update(&piece[..count]),
        }
    }
    Ok(hash.finalize().iter().map(|it| format!("{it:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A model of two files in `parent`.
    fn model(parent: &Path, files: &[(&str, &[u8])]) -> PathBuf {
        let place = parent.join("m");
        fs::create_dir_all(&place).unwrap();
        let mut listed = BTreeMap::new();
        for (name, bytes) in files {
            fs::write(place.join(name), bytes).unwrap();
            let sha256 = sum(&place.join(name)).unwrap();
            listed.insert((*name).into(), ManifestFile { size: bytes.len() as u64, sha256 });
        }
        let (license, source) = ("MIT".into(), "made up".into());
        let manifest = Manifest { id: "m".into(), license, source, files: listed };
        fs::write(place.join(MANIFEST), serde_json::to_vec(&manifest).unwrap()).unwrap();
        place
    }

    fn places(root: &Path) -> Places {
        Places {
            option: vec![root.join("option")],
            configured: vec![root.join("configured"), root.join("option")],
            state_root: Some(root.join("state")),
            executable: Some(root.join("bin/carport")),
            repository: Some(root.join("repository")),
        }
    }

    #[test]
    fn places_are_searched_in_their_order() {
        let root = TempDir::new().unwrap();
        let order =
            ["repository", "bin/models/voice", "state/models/voice", "configured", "option"];
        for place in order {
            let made = model(&root.path().join(place), &[("a", b"1")]);
            assert_eq!(Locator::new(places(root.path())).find("m"), Ok(made));
        }
    }

    #[test]
    fn a_missing_model_names_the_places_and_the_remedy() {
        let root = TempDir::new().unwrap();
        let error = Locator::new(places(root.path())).find("m").unwrap_err();
        let ModelError::Missing { places, .. } = &error else { panic!("{error}") };
        assert_eq!(places.len(), 5, "the option is searched once");
        let text = error.to_string();
        for place in places {
            assert!(text.contains(&place.display().to_string()), "{text}");
        }
        assert!(text.contains("`m`") && text.contains("`voice.models`"), "{text}");
        let wire = RpcError::from(error);
        assert_eq!(wire.code, carport_core::codes::UNAVAILABLE);
        assert_eq!(wire.data.unwrap()["missing"], "m");
    }

    #[test]
    fn damage_names_the_file_and_is_found_before_a_later_place_is_tried() {
        let root = TempDir::new().unwrap();
        let place = model(&root.path().join("option"), &[("a", b"12"), ("b", b"34")]);
        model(&root.path().join("repository"), &[("a", b"12"), ("b", b"34")]);
        let find = || Locator::new(places(root.path())).find("m");
        let told = |bytes: Option<&[u8]>| {
            match bytes {
                Some(bytes) => fs::write(place.join("b"), bytes).unwrap(),
                None => fs::remove_file(place.join("b")).unwrap(),
            }
            let error = find().unwrap_err();
            let ModelError::Damaged { file, why, .. } = error else { panic!("{error}") };
            assert_eq!(file, place.join("b"));
            why
        };
        assert!(find().is_ok());
        assert_eq!(told(Some(b"345")), "has 3 bytes instead of 2");
        assert!(Locator::new(places(root.path())).locate("m").is_err(), "its size shows");
        assert!(told(Some(b"35")).starts_with("has the SHA-256 "));
        assert!(Locator::new(places(root.path())).locate("m").is_ok(), "only its content is wrong");
        assert_eq!(told(None), "is missing");
    }

    #[test]
    fn a_manifest_cannot_point_elsewhere() {
        let root = TempDir::new().unwrap();
        let place = model(&root.path().join("option"), &[("a", b"12")]);
        let write = |text: &str| fs::write(place.join(MANIFEST), text).unwrap();
        let why = || Locator::new(places(root.path())).find("m").unwrap_err().to_string();
        for name in ["../a", "/etc/hostname", "a/b", ".."] {
            let files = format!(r#"{{"{name}":{{"size":2,"sha256":""}}}}"#);
            write(&format!(r#"{{"id":"m","license":"","source":"","files":{files}}}"#));
            assert!(why().contains("no plain file name"), "{}", why());
        }
        write(r#"{"id":"n","license":"","source":"","files":{}}"#);
        assert!(why().contains("describes `n`"));
        write("{");
        assert!(why().contains("is no manifest"));
    }

    #[test]
    fn what_the_manifest_does_not_vouch_for_is_not_used() {
        let root = TempDir::new().unwrap();
        let place = model(&root.path().join("option"), &[("a", b"12")]);
        let locator = Locator::new(places(root.path()));
        fs::write(place.join(".hidden"), "of a file manager").unwrap();
        assert_eq!(locator.find("m"), Ok(place.clone()));
        fs::write(place.join("b.onnx"), "never compared").unwrap();
        let Err(ModelError::Damaged { file, .. }) = locator.find("m") else { panic!() };
        assert_eq!(file, place.join("b.onnx"));
    }

    #[test]
    fn what_was_whole_once_is_compared_again() {
        let root = TempDir::new().unwrap();
        let place = model(&root.path().join("option"), &[("a", b"12")]);
        let locator = Locator::new(places(root.path()));
        assert_eq!(locator.find("m"), Ok(place.clone()));
        assert_eq!(locator.manifest("m").unwrap().files["a"].size, 2);
        fs::write(place.join("a"), "21").unwrap();
        assert!(matches!(locator.find("m"), Err(ModelError::Damaged { .. })));
    }
}
