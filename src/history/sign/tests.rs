//! Keys of every kind, and what is said of those that cannot be used.

use super::*;
use crate::contract::Password;

/// A new pair of keys in a folder: the settings that open the secret one, and the public one in base64.
pub(in super::super) fn keys(folder: &Path, name: &str) -> (Sign, String) {
    let pair = minisign::KeyPair::generate_unencrypted_keypair().expect("a pair of keys");
    let path = folder.join(name);
    write(&path, &String::from(pair.sk.to_box(None).expect("a key")), 0o600);
    (Sign { key: path, password: None }, pair.pk.to_base64())
}

/// A new pair of keys, ready for use.
pub(in super::super) fn signer(folder: &Path, name: &str) -> (std::sync::Arc<Signer>, PublicKeys) {
    let (sign, public) = keys(folder, name);
    let signer = Signer::open(&sign, None).expect("a key");
    (std::sync::Arc::new(signer), PublicKeys::read(&[public]).expect("a key"))
}

/// The public key of a key in a folder, in base64.
pub(in super::super) fn public_of(folder: &Path, name: &str) -> String {
    let sign = Sign { key: folder.join(name), password: None };
    Signer::open(&sign, None).expect("a key").public.to_base64()
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).expect("writable");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    }
}

/// Of the password `test only, opens nothing else`, and cheap to open.
const LOCKED_KEY: &str = include_str!("locked.key");

#[test]
fn what_is_signed_is_proved_by_its_key_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let (signer, keys) = signer(folder.path(), "one.key");
    let (_, others) = self::signer(folder.path(), "other.key");
    let signature = signer.sign(b"bytes", "a comment").expect("signed");
    assert_eq!(keys.check(b"bytes", &signature), Ok(signer.key_id()));
    assert_eq!(keys.ids(), [signer.key_id()]);
    let problem = keys.check(b"other bytes", &signature).expect_err("other bytes");
    assert!(problem.contains("does not hold"), "{problem}");
    let problem = others.check(b"bytes", &signature).expect_err("another key");
    assert!(problem.contains("another key"), "{problem}");
    let forged = signature.replace("a comment", "b comment");
    assert!(keys.check(b"bytes", &forged).is_err(), "the comment is signed too");
    for broken in ["", "untrusted comment: x\nRWQ\ntrusted comment: y\nz\n"] {
        let problem = keys.check(b"bytes", broken).expect_err("no signature");
        assert!(problem.contains("none of minisign's"), "{problem}");
    }
    assert!(format!("{signer:?}").len() < 30, "a key shows nothing but its number");
}

#[test]
fn a_key_that_cannot_be_used_is_said_and_shows_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let (good, public) = keys(folder.path(), "good.key");
    let text = fs::read_to_string(&good.key).expect("a key");
    let encoded = text.lines().nth(1).expect("a key").to_owned();
    let damaged_end = text.replace(&encoded[encoded.len() - 12..], "AAAAAAAAAAA=");
    write(&path("open.key"), &text, 0o644);
    write(&path("damaged.key"), &damaged_end, 0o600);
    write(&path("public.key"), &format!("untrusted comment: x\n{public}\n"), 0o600);
    write(&path("empty.key"), "", 0o600);
    write(&path("locked.key"), LOCKED_KEY, 0o600);
    // As minisign 0.11 writes a key without password, and the same with the halves of two keys.
    let unsummed = |text: &str, encoded: &str| text.replace(&encoded[168..], &format!("{}=", "A".repeat(43)));
    write(&path("unsummed.key"), &unsummed(&text, &encoded), 0o600);
    let (other, _) = keys(folder.path(), "other.key");
    let other = fs::read_to_string(&other.key).expect("a key");
    let mixed = format!("{}{}", &encoded[..100], &other.lines().nth(1).expect("a key")[100..]);
    write(&path("mixed.key"), &unsummed(&format!("untrusted comment: x\n{mixed}\n"), &mixed), 0o600);
    write(&path("half.key"), &LOCKED_KEY[..LOCKED_KEY.len() / 2], 0o600);
    let right = "test only, opens nothing else";
    let cases = [
        ("absent.key", None, None, "no such file"),
        ("open.key", None, None, "may be used by others than its owner (mode 0644)"),
        ("damaged.key", None, None, "the key is damaged"),
        ("mixed.key", None, None, "the key is damaged"),
        ("public.key", None, None, "is not a minisign secret key"),
        ("empty.key", None, None, "is not a minisign secret key"),
        ("locked.key", None, None, "the key has a password"),
        ("locked.key", Some("hunter2"), None, "does not open the key"),
        ("locked.key", Some(right), Some(1 << 20), "more than the memory limit of 1 MiB"),
        ("half.key", Some(right), None, "the key is damaged"),
    ];
    for (name, password, limit, expected) in cases {
        let sign = Sign { key: path(name), password: password.map(Password::new) };
        let error = Signer::open(&sign, limit).expect_err(name).to_string();
        assert!(error.contains(expected) && error.contains(name), "{name}: {error}");
        assert!(!error.contains("hunter2") && !error.contains(&encoded), "{name}: {error}");
    }
    let sign = Sign { key: path("locked.key"), password: Some(Password::new(right)) };
    let unsummed = Sign { key: path("unsummed.key"), password: None };
    let opened = |sign: &Sign| Signer::open(sign, None).expect("a key").key_id();
    assert_eq!(opened(&unsummed), opened(&good));
    assert_eq!(Signer::open(&sign, Some(256 << 20)).expect("it opens").key_id(), "5E7C0DEDC0FFEE01");
}

#[test]
fn a_public_key_is_taken_as_text_or_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (sign, public) = keys(folder.path(), "one.key");
    let signer = Signer::open(&sign, None).expect("a key");
    let file = folder.path().join("one.pub");
    fs::write(&file, signer.public_key().expect("a key")).expect("writable");
    let bare = folder.path().join("bare.pub");
    fs::write(&bare, format!("{public}\n")).expect("writable");
    for word in [public.clone(), file.display().to_string(), bare.display().to_string()] {
        assert_eq!(PublicKeys::read(&[word]).expect("a key").ids(), [signer.key_id()]);
    }
    let secret = sign.key.display().to_string();
    for (word, expected) in
        [("RWnothing", "neither a minisign public key"), (secret.as_str(), "holds no minisign public key")]
    {
        let error = PublicKeys::read(&[word.to_owned()]).expect_err(word).to_string();
        assert!(error.contains(expected), "{error}");
    }
}
