//! `carport agents install`, `sign`, `verify` and `keygen`: agents from manifests, and whose they are.

use std::{
    fmt::Display,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use atomic_write_file::AtomicWriteFile;
use carport_agents_bundle::{self as bundle, BundleError, Document, SigningKey, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{sentence, stands};
use crate::{
    cli::Global,
    client::{agents::ManagedAgent, connect::connect, proof::Role},
    exit::Exit,
    output::{Output, Tone, one_line},
};

#[derive(Debug, clap::Args)]
pub(super) struct Install {
    /// The manifest, in TOML
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct Sign {
    /// The manifest, in TOML
    file: PathBuf,
    /// The key: `carport agents keygen` makes one
    #[arg(long, value_name = "KEY")]
    key: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    /// The manifest, in TOML
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct Keygen {
    /// The file of the key; one that exists is never written over
    key: PathBuf,
}

/// What was installed.
#[derive(Debug, Serialize, Deserialize)]
struct Installed {
    report: Report,
    agent: Option<ManagedAgent>,
}

/// What is to be known of an installation.
#[derive(Debug, Serialize, Deserialize)]
struct Report {
    #[serde(rename = "missingOptional")]
    missing_optional: Vec<Value>,
    signature: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
    warnings: Vec<String>,
    unenforced: Vec<String>,
}

pub(super) async fn install(wanted: &Install, global: &Global, output: Output) -> Result<(), Exit> {
    let document = Document::from_toml(&read(&wanted.file)?).map_err(named(&wanted.file))?;
    let (link, _) = connect(global, &Role::Host).await?;
    let installed: Installed = link.ask("agents.install", &document).await?;
    match output.is_json() {
        true => output.document(&installed)?,
        false => print(&installed, output)?,
    }
    let to_start = |agent: &&ManagedAgent| agent.spec.other.get("auto_start") == Some(&json!(true));
    installed.agent.as_ref().filter(to_start).map_or(Ok(()), stands)
}

fn print(Installed { report, agent }: &Installed, output: Output) -> Result<(), Exit> {
    match agent {
        Some(agent) => output.line(sentence(agent))?,
        None => output.line("the manifest is kept; nothing of it is for the daemon to start")?,
    }
    let key = report.key_id.as_deref().map(|key| format!(", by {}", one_line(key)));
    let key = key.unwrap_or_default();
    output.line(format_args!("signature: {}{key}", signature(&report.signature)))?;
    for feature in &report.missing_optional {
        let text = |name: &str| feature[name].as_str().unwrap_or_default();
        let feature = format!("{}.{}", text("namespace"), text("feature"));
        output.line(format_args!("does without {}", one_line(&feature)))?;
    }
    for feature in &report.unenforced {
        let text = format!("denied, and nothing keeps it from {}", one_line(feature));
        output.line(Tone::Warn.paint(text))?;
    }
    let mut warnings = report.warnings.iter();
    warnings.try_for_each(|warning| output.line(Tone::Warn.paint(one_line(warning))))
}

/// A signature's state in its colour.
fn signature(state: &str) -> String {
    let tone = match state {
        "verified" => Tone::Good,
        "unsigned" => Tone::Warn,
        _ => Tone::Bad,
    };
    tone.paint(one_line(state))
}

pub(super) fn sign(wanted: &Sign, output: Output) -> Result<(), Exit> {
    let key = SigningKey::read(&wanted.key).map_err(|error| key_failed(&error, &wanted.key))?;
    let signed = bundle::sign(&read(&wanted.file)?, &key).map_err(named(&wanted.file))?;
    // What is there was read and is right: the disk is at fault.
    let failed = |error: io::Error| Exit::failed(format!("{}: {error}", wanted.file.display()));
    let mut file = AtomicWriteFile::open(&wanted.file).map_err(failed)?;
    file.write_all(signed.as_bytes()).map_err(failed)?;
    file.commit().map_err(failed)?;
    match output.is_json() {
        true => output.document(&json!({ "file": wanted.file, "key_id": key.key_id() })),
        false => output.line(format_args!("{}: signed by {}", wanted.file.display(), key.key_id())),
    }
}

pub(super) fn verify(wanted: &Verify, output: Output) -> Result<(), Exit> {
    let verdict = bundle::verify(&read(&wanted.file)?).map_err(named(&wanted.file))?;
    let file = wanted.file.display();
    match verdict {
        Verdict::Verified { key_id } => match output.is_json() {
            true => output.document(&json!({ "file": wanted.file, "key_id": key_id })),
            false => output.line(format_args!("{file}: signed by {}", one_line(&key_id))),
        },
        Verdict::Unsigned => Err(Exit::failed(format!(
            "{file} is not signed: `carport agents sign {file} --key KEY` signs it"
        ))),
        Verdict::Failed { why } => Err(Exit::failed(format!(
            "{file}: the signature does not hold: {why}; get it from its publisher again"
        ))),
    }
}

pub(super) fn keygen(wanted: &Keygen, output: Output) -> Result<(), Exit> {
    let key = SigningKey::create(&wanted.key).map_err(Exit::failed)?;
    match output.is_json() {
        true => output.document(&json!({ "key": wanted.key, "key_id": key.key_id() })),
        false => output.line(key.key_id()),
    }
}

fn read(path: &Path) -> Result<String, Exit> {
    fs::read_to_string(path).map_err(named(path))
}

/// An error with the file that it is about.
fn named<E: Display>(path: &Path) -> impl Fn(E) -> Exit {
    move |error| Exit::usage(format!("{}: {error}", path.display()))
}

fn key_failed(error: &BundleError, path: &Path) -> Exit {
    match error {
        BundleError::NotAKey => Exit::usage(format!("{} {error}", path.display())),
        // These name the file themselves.
        error => Exit::usage(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Code;

    const MANIFEST: &str = "# kept\n[agent]\nid = \"a\"\nname = \"A\"\n\n\
                            [transport]\nkind = \"pure_data\"\n";

    #[test]
    fn what_was_signed_verifies_until_a_letter_changes() {
        let dir = tempfile::tempdir().unwrap();
        let (file, key) = (dir.path().join("agent.toml"), dir.path().join("key"));
        fs::write(&file, MANIFEST).unwrap();
        let output = Output::new(false);
        let verified = || verify(&Verify { file: file.clone() }, output);
        let unsigned = verified().unwrap_err();
        assert!(unsigned.message.contains("agents sign"), "{}", unsigned.message);
        keygen(&Keygen { key: key.clone() }, output).unwrap();
        assert!(keygen(&Keygen { key: key.clone() }, output).is_err(), "a key is never replaced");
        sign(&Sign { file: file.clone(), key }, output).unwrap();
        verified().unwrap();
        let signed = fs::read_to_string(&file).unwrap();
        assert!(signed.starts_with("# kept\n"), "{signed}");
        fs::write(&file, signed.replace("[transport]", "[other]")).unwrap();
        assert_eq!(verified().unwrap_err().code, Code::Usage, "it is no manifest");
        fs::write(&file, signed.replace("name = \"A\"", "name = \"B\"")).unwrap();
        let failed = verified().unwrap_err();
        assert!(failed.message.contains("does not hold"), "{}", failed.message);
    }

    #[test]
    fn what_cannot_be_signed_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let (file, key) = (dir.path().join("agent.toml"), dir.path().join("key"));
        fs::write(&file, "[agent]\n").unwrap();
        fs::write(&key, "no key").unwrap();
        let output = Output::new(false);
        let sign = || sign(&Sign { file: file.clone(), key: key.clone() }, output).unwrap_err();
        assert_eq!(sign().code, Code::Usage, "others may open the key, or it is none");
        fs::remove_file(&key).unwrap();
        SigningKey::create(&key).unwrap();
        let exit = sign();
        assert!(exit.message.contains("agent.toml"), "{}", exit.message);
        assert_eq!(fs::read_to_string(&file).unwrap(), "[agent]\n");
    }
}
