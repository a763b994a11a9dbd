//! Signatures of manifests: ed25519 over the SHA-256 of the canonical form.

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer, VerifyingKey};
use sha2::{Digest, Sha256};
use toml_edit::{DocumentMut, Item, Table, TableLike, Value};

use crate::{
    document::Document,
    error::BundleError,
    key::{PREFIX, SigningKey},
    toml,
};

/// What a signature says. It says that the manifest is whole and whose key signed it; whether that
/// key is one to be trusted is for people to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The manifest is as the holder of this key signed it.
    Verified {
        /// The public key, as the manifest names it.
        key_id: String,
    },
    /// There is no signature.
    Unsigned,
    /// There is one, and it does not hold.
    Failed {
        /// In words.
        why: &'static str,
    },
}

impl Verdict {
    /// Whether both hold, and by the same key; how it is written does not matter.
    pub fn is_of_key_of(&self, other: &Self) -> bool {
        let bare = |verdict: &Self| match verdict {
            Self::Verified { key_id } => {
                Some(key_id.strip_prefix(PREFIX).unwrap_or(key_id).to_owned())
            }
            Self::Unsigned | Self::Failed { .. } => None,
        };
        bare(self).is_some() && bare(self) == bare(other)
    }
}

/// Signs a manifest in TOML: the text with `publisher.key_id` and `publisher.signature` set, everything
/// else as it was written. The manifest has to be one.
pub fn sign(manifest_toml: &str, key: &SigningKey) -> Result<String, BundleError> {
    Document::from_toml(manifest_toml)?.manifest()?;
    let mut text = toml::parse(manifest_toml)?;
    put(publisher(&mut text)?, "key_id", key.key_id());
    let digest = digest(&Document::from_toml(&text.to_string())?);
    let signature = STANDARD.encode(key.0.sign(&digest).to_bytes());
    put(publisher(&mut text)?, "signature", signature);
    Ok(text.to_string())
}

/// The table `publisher`, made if it is missing.
fn publisher(text: &mut DocumentMut) -> Result<&mut dyn TableLike, BundleError> {
    let item = text.entry("publisher").or_insert_with(|| Item::Table(Table::new()));
    let no_table = || BundleError::Value { path: "publisher".into(), why: "must be a table" };
    item.as_table_like_mut().ok_or_else(no_table)
}

/// Says whether a manifest in TOML is as its publisher signed it. It has to be one: a signed text of
/// another kind is an error.
pub fn verify(manifest_toml: &str) -> Result<Verdict, BundleError> {
    let document = Document::from_toml(manifest_toml)?;
    document.manifest()?;
    Ok(document.verify())
}

impl Document {
    /// Says whether the manifest is as its publisher signed it.
    pub fn verify(&self) -> Verdict {
        let Some(signature) = self.of_publisher("signature") else { return Verdict::Unsigned };
        let Some(key_id) = self.of_publisher("key_id") else {
            return Verdict::Failed { why: "`publisher.key_id` is missing" };
        };
        let base64 = key_id.strip_prefix(PREFIX).unwrap_or(key_id);
        let Some(key) = bytes(base64).and_then(|it| VerifyingKey::from_bytes(&it).ok()) else {
            return Verdict::Failed { why: "`publisher.key_id` is no ed25519 public key" };
        };
        let Some(signature) = bytes(signature).map(|it| Signature::from_bytes(&it)) else {
            return Verdict::Failed { why: "`publisher.signature` is no ed25519 signature" };
        };
        match key.verify_strict(&digest(self), &signature) {
            Ok(()) => Verdict::Verified { key_id: key_id.to_owned() },
            Err(_) => Verdict::Failed { why: "the manifest is not what this key signed" },
        }
    }
}

fn bytes<const N: usize>(base64: &str) -> Option<[u8; N]> {
    STANDARD.decode(base64).ok()?.try_into().ok()
}

fn digest(document: &Document) -> [u8; 32] {
    Sha256::digest(document.canonical()).into()
}

/// Sets a text; what stands around the old one, a remark behind it included, stays.
fn put(table: &mut dyn TableLike, key: &str, text: String) {
    let mut new = Value::from(text);
    if let Some(old) = table.get(key).and_then(Item::as_value) {
        *new.decor_mut() = old.decor().clone();
    }
    match table.get_mut(key) {
        Some(item) => *item = Item::Value(new),
        None => drop(table.insert(key, Item::Value(new))),
    }
}
