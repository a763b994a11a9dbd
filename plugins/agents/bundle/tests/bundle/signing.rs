//! The canonical form, and what a signature over it holds.

use std::{fs, os::unix::fs::PermissionsExt};

use carport_agents_bundle::{BundleError, Document, SigningKey, Verdict, sign, verify};
use proptest::{collection, prelude::*};
use serde_json::{Map, Value, json};

use crate::{document, manifest, with};

const TEXT: &str = "# An agent.\n\n[agent]\nid = \"helper\"   # short\nname = 'Helper'\n\n\
                    [publisher]\nkey_id = \"old\" # ours\n\n[transport]\nkind = \"pure_data\"\n";

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

#[test]
fn the_canonical_form_is_the_documented_one() {
    let mut whole = with("/publisher", json!({ "signature": "s", "key_id": "k", "none": null }));
    whole["z"] =
        json!({ "\u{1F600}": 1.0, "\u{FFFD}": "a\"\\\n\u{1}\u{e9}/", "b": [1.5, -0.0, true] });
    let expected = concat!(
        r#"{"agent":{"id":"helper","name":"Helper","namespace":"acme"},"#,
        r#""publisher":{"key_id":"k"},"#,
        r#""transport":{"command":"/bin/sh","kind":"external_process"},"#,
        "\"z\":{\"b\":[1.5,0,true],\"\u{FFFD}\":\"a\\\"\\\\\\n\\u0001\u{e9}/\",\"\u{1F600}\":1}}",
    );
    assert_eq!(document(whole).canonical(), expected);
}

#[test]
fn numbers_are_written_as_documented() {
    let numbers = json!([1e-5, 1.5e-7, 9_007_199_254_740_992.0, 1e16, 2.5e300, -0.5, i64::MIN]);
    let canonical = document(json!({ "n": numbers })).canonical();
    let expected = "[0.00001,1.5e-7,9007199254740992.0,1e+16,2.5e+300,-0.5,-9223372036854775808]";
    assert_eq!(canonical, format!(r#"{{"n":{expected}}}"#));
}

#[test]
fn a_signed_text_that_is_no_manifest_is_nobodys() {
    let signed = sign(TEXT, &key()).unwrap().replace("[transport]", "[other]");
    assert!(matches!(verify(&signed), Err(BundleError::Invalid(_))));
}

#[test]
fn only_the_same_key_signs_what_comes_next() {
    let of = |text: &str, key: &SigningKey| verify(&sign(text, key).unwrap()).unwrap();
    let (first, next) = (of(TEXT, &key()), of(&TEXT.replace("Helper", "New"), &key()));
    assert!(next.is_of_key_of(&first));
    assert!(!of(TEXT, &SigningKey::from_bytes(&[8; 32])).is_of_key_of(&first));
    assert!(!Verdict::Unsigned.is_of_key_of(&Verdict::Unsigned));
}

#[test]
fn signing_sets_two_members_and_leaves_the_text() {
    let signed = sign(TEXT, &key()).unwrap();
    assert!(
        matches!(verify(&signed).unwrap(), Verdict::Verified { key_id } if key_id == key().key_id())
    );
    let rest: Vec<_> = signed.lines().filter(|line| !line.starts_with("signature")).collect();
    let expected = TEXT.replace("\"old\"", &format!("\"{}\"", key().key_id()));
    assert_eq!(rest, expected.lines().collect::<Vec<_>>());
    assert_eq!(sign(&signed, &key()).unwrap(), signed, "signing again changes nothing");
    let bare = TEXT.replace("[publisher]\nkey_id = \"old\" # ours\n", "");
    assert_eq!(verify(&bare).unwrap(), Verdict::Unsigned);
    let signed = sign(&bare, &key()).unwrap();
    assert!(signed.starts_with(bare.trim_end()), "{signed}");
    assert!(matches!(verify(&signed).unwrap(), Verdict::Verified { .. }));
    let prefixless = signed.replace("ed25519:", "");
    assert!(matches!(verify(&prefixless).unwrap(), Verdict::Failed { .. }), "it is signed, too");
    assert!(matches!(sign("[agent]\n", &key()), Err(BundleError::Invalid(_))));
}

#[test]
fn a_signature_without_a_key_or_of_another_key_does_not_hold() {
    let signed = sign(TEXT, &key()).unwrap();
    let other = SigningKey::from_bytes(&[8; 32]).key_id();
    let without: String =
        signed.lines().filter(|it| !it.starts_with("key_id")).map(|it| format!("{it}\n")).collect();
    for broken in [
        signed.replace(&key().key_id(), &other),
        signed.replace(&key().key_id(), "ed25519:AAAA"),
        signed.replace("signature = \"", "signature = \"A"),
        without,
    ] {
        assert!(matches!(verify(&broken).unwrap(), Verdict::Failed { .. }), "{broken}");
    }
}

#[test]
fn a_prefix_before_the_key_is_a_matter_of_taste() {
    // Signed by hand over a key without its prefix.
    let whole = with("/publisher", json!({ "key_id": key().key_id().replace("ed25519:", "") }));
    use base64::{Engine, engine::general_purpose::STANDARD};
    use ed25519_dalek::Signer;
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(document(whole.clone()).canonical());
    let signer = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let mut signed = whole;
    signed["publisher"]["signature"] = STANDARD.encode(signer.sign(&digest).to_bytes()).into();
    assert!(matches!(document(signed).verify(), Verdict::Verified { .. }));
}

#[test]
fn a_key_is_made_once_private_and_refused_when_it_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let made = SigningKey::create(&path).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(SigningKey::read(&path).unwrap().key_id(), made.key_id());
    assert!(!format!("{made:?}").contains(text.trim()), "a printed key shows nothing of itself");
    assert!(matches!(SigningKey::create(&path), Err(BundleError::Io { .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(SigningKey::read(&path), Err(BundleError::Open { mode: 0o640, .. })));
    for bad in ["", "AAAA", "not base64"] {
        assert!(matches!(SigningKey::from_text(bad), Err(BundleError::NotAKey)));
    }
}

/// Any value that JSON and TOML share.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |it| it.is_finite()).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            collection::btree_map(".{0,4}", inner, 0..4)
                .prop_map(|it| Value::Object(it.into_iter().collect())),
        ]
    })
}

/// A manifest with further members of any kind.
fn any_manifest() -> impl Strategy<Value = Value> {
    collection::btree_map("x[a-z.\" ]{1,4}", value(), 0..4).prop_map(|more| {
        let mut whole = manifest();
        whole["agent"]["tags"] = json!(more);
        whole.as_object_mut().unwrap().extend(more);
        whole
    })
}

/// The object as a JSON text whose members come backwards.
fn backwards(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members = members.iter().rev();
            let members = members.map(|(key, it)| format!("{} : {}", json!(key), backwards(it)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(" , "))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(backwards).collect::<Vec<_>>().join("\n,"))
        }
        leaf => leaf.to_string(),
    }
}

fn holds(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Verified { .. })
}

/// Every place in a value, as a JSON pointer.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(members) => {
            members
                .iter()
                .for_each(|(key, it)| places(it, &format!("{at}/{}", escaped(key)), found));
        }
        Value::Array(items) => {
            items.iter().zip(0..).for_each(|(it, n)| places(it, &format!("{at}/{n}"), found));
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn the_canonical_form_is_that_of_the_values_alone(whole in any_manifest()) {
        let canonical = document(whole.clone()).canonical();
        let reordered: Document = serde_json::from_str(&backwards(&whole)).unwrap();
        prop_assert_eq!(&reordered.canonical(), &canonical);
        let toml = reordered.to_toml().unwrap();
        prop_assert_eq!(&Document::from_toml(&toml).unwrap().canonical(), &canonical, "{}", toml);
        let read: Map<String, Value> = serde_json::from_str(&canonical).unwrap();
        prop_assert_eq!(&Document::new(read).canonical(), &canonical);
    }

    #[test]
    fn what_is_signed_verifies_and_any_change_breaks_it(
        whole in any_manifest(), at in any::<prop::sample::Index>(), new in value(), add in any::<bool>(),
    ) {
        let signed = sign(&document(whole).to_toml().unwrap(), &key()).unwrap();
        prop_assert!(holds(&verify(&signed).unwrap()));
        let document_of = Document::from_toml(&signed).unwrap();
        let mut changed = serde_json::to_value(&document_of).unwrap();
        let mut all = Vec::new();
        places(&changed, "", &mut all);
        all.retain(|it| !it.is_empty());
        let place = changed.pointer_mut(at.get::<String>(&all)).unwrap();
        match place {
            Value::Object(members) if add => drop(members.insert("added".into(), new)),
            Value::Array(items) if add => items.push(new),
            place => *place = new,
        }
        let changed: Document = match serde_json::from_value(changed) {
            Ok(changed) => changed,
            Err(_) => return Ok(()),
        };
        let same = changed.canonical() == document_of.canonical();
        let untouched = serde_json::to_value(&changed).unwrap()["publisher"]["signature"]
            == serde_json::to_value(&document_of).unwrap()["publisher"]["signature"];
        prop_assert_eq!(holds(&changed.verify()), same && untouched);
    }
}
