//! Signed ledgers, and what is said where a signature is missing, of another key, or changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::folder::RunFolder;
use super::super::sign::tests::{public_of, signer};
use super::super::{
    Applied, PublicKeys, Retention, Signer, Unwatched, decision_line, ledger, manifest, may_append, prune,
    receipt_path, record_apply, record_decisions, verify, verify_signed, verify_signed_from,
};
use crate::report::sample;

fn id(number: usize) -> String {
    format!("20260301T020000Z-{number:04}")
}

fn publish(reports: &Path, number: usize, signer: Option<&Arc<Signer>>) -> Vec<String> {
    let audit = sample::small(&id(number));
    let (folder, notes) = RunFolder::begin_signed(reports, &audit.run_id, signer.cloned()).expect("it begins");
    folder.publish(&audit).expect("it is published");
    notes
}

fn problems(reports: &Path, keys: &PublicKeys) -> Vec<String> {
    verify_signed(reports, keys).expect("it can be read").changed
}

#[track_caller]
fn named(reports: &Path, keys: &PublicKeys, texts: &[&str]) {
    let problems = problems(reports, keys);
    let names = |text: &&str| problems.iter().any(|problem| problem.contains(*text));
    assert!(texts.iter().all(names) && !problems.is_empty(), "{texts:?} not in {problems:?}");
}

/// Two signed runs, and the keys.
fn signed() -> (tempfile::TempDir, PathBuf, Arc<Signer>, PublicKeys) {
    let folder = tempfile::tempdir().expect("a folder");
    let reports = folder.path().join("reports");
    let (signer, keys) = signer(folder.path(), "one.key");
    for number in 1..=2 {
        assert_eq!(publish(&reports, number, Some(&signer)), Vec::<String>::new());
    }
    (folder, reports, signer, keys)
}

#[test]
fn what_is_signed_verifies_and_says_by_whom() {
    let (_folder, reports, signer, keys) = signed();
    let found = verify_signed(&reports, &keys).expect("it can be read");
    assert_eq!((found.changed.as_slice(), found.unchanged), (&[][..], 2));
    assert_eq!(found.signatures.by_key, [(signer.key_id(), 4)].into(), "two lines and two manifests");
    assert_eq!(found.signatures.note(), None);
    let claimed = verify(&reports).expect("it can be read");
    assert!(
        claimed.changed.is_empty() && claimed.signatures.note().is_some_and(|note| note.contains(&signer.key_id()))
    );
}

#[test]
fn another_key_is_named_and_keys_may_change() {
    let (folder, reports, _, keys) = signed();
    let (newer, newer_keys) = signer(folder.path(), "newer.key");
    publish(&reports, 3, Some(&newer));
    named(&reports, &keys, &["line 3: was signed by another key", &newer.key_id(), &id(3)]);
    named(&reports, &newer_keys, &["line 1: was signed by another key", "line 2", &id(1), &id(2)]);
    let paths = ["one.key", "newer.key"].map(|name| public_of(folder.path(), name));
    let both = PublicKeys::read(&paths).expect("keys");
    assert_eq!(problems(&reports, &both), Vec::<String>::new());
}

#[test]
fn a_bit_flipped_anywhere_in_a_signed_run_or_line_is_found() {
    let (_folder, reports, _, keys) = signed();
    let run = reports.join(id(1));
    for name in [manifest::FILE.to_owned(), manifest::signature_file()] {
        let path = run.join(&name);
        let whole = fs::read(&path).expect("a file");
        let step = if name == manifest::FILE { 97 } else { 1 };
        for position in (0..whole.len()).step_by(step) {
            let mut bytes = whole.clone();
            bytes[position] ^= 1 << (position % 8);
            fs::write(&path, &bytes).expect("writable");
            named(&reports, &keys, &[&name]);
            named(&reports, &PublicKeys::default(), &[&name]);
        }
        fs::remove_file(&path).expect("removed");
        named(&reports, &keys, &[&name, "is missing"]);
        fs::write(&path, &whole).expect("writable");
    }
    let path = reports.join(ledger::FILE);
    let whole = fs::read(&path).expect("a ledger");
    for position in (0..whole.len() - 1).step_by(7) {
        let mut bytes = whole.clone();
        bytes[position] ^= 1 << (position % 8);
        fs::write(&path, &bytes).expect("writable");
        named(&reports, &keys, &[]);
    }
    fs::write(&path, &whole).expect("writable");
    assert_eq!(problems(&reports, &keys), Vec::<String>::new());
}

/// Who may write to the folder can make everything fit again but the signatures.
#[test]
fn a_ledger_that_was_made_anew_does_not_pass_for_a_signed_one() {
    let (folder, reports, _, keys) = signed();
    fs::remove_dir_all(reports.join(id(1))).expect("removed");
    fs::remove_file(reports.join(ledger::FILE)).expect("removed");
    // The next run adopts the other folder, in a ledger that holds.
    publish(&reports, 3, None);
    assert_eq!(problems(&reports, &PublicKeys::default()), Vec::<String>::new());
    named(&reports, &keys, &["line 1: is not signed", "line 2: is not signed", &format!("run `{}`", id(3))]);
    // Neither does one of another key.
    let (forger, _) = signer(folder.path(), "forger.key");
    fs::remove_file(reports.join(ledger::FILE)).expect("removed");
    publish(&reports, 4, Some(&forger));
    named(&reports, &keys, &["line 1: was signed by another key"]);
}

#[test]
fn a_line_moved_to_another_ledger_is_not_believed() {
    let (folder, reports, signer, keys) = signed();
    let line = |reports: &Path| fs::read_to_string(reports.join(ledger::FILE)).expect("a ledger");
    let mine = line(&reports);
    let first = mine.lines().next().expect("a line");
    // The signature of line 1 on line 2.
    let signature =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["signature"].to_string();
    let second = mine.lines().nth(1).expect("a line");
    let swapped = second.replace(&signature(second), &signature(first));
    let content = swapped.rsplit_once(ledger::LINE_DIGEST).expect("a line").0;
    let sealed = format!("{content}{}{}\"}}\n", ledger::LINE_DIGEST, blake3::hash(content.as_bytes()).to_hex());
    fs::write(reports.join(ledger::FILE), format!("{first}\n{sealed}")).expect("writable");
    assert_eq!(problems(&reports, &PublicKeys::default()), Vec::<String>::new(), "no digest tells");
    named(&reports, &keys, &["line 2: was changed: its signature", &signer.key_id()]);
    // A member after the signature is not signed, and makes the line none of a ledger.
    let content = first.rsplit_once(ledger::LINE_DIGEST).expect("a line").0;
    let content = format!("{content},\"verdict\":\"agreed\"");
    let sealed = format!("{content}{}{}\"}}\n", ledger::LINE_DIGEST, blake3::hash(content.as_bytes()).to_hex());
    fs::write(reports.join(ledger::FILE), sealed).expect("writable");
    named(&reports, &PublicKeys::default(), &["line 1: changed"]);
    drop(folder);
}

#[test]
fn a_signed_ledger_takes_no_line_without_signature_but_a_run_s() {
    let (_folder, reports, signer, keys) = signed();
    let now = sample::instant("2026-03-02T02:00:00Z");
    let retention = Retention { keep_runs: Some(1), ..Retention::default() };
    let refused = prune(&reports, retention, now, None, &Unwatched).expect_err("it would not be signed").to_string();
    assert!(refused.contains("the ledger is signed") && refused.contains("run.sign"), "{refused}");
    let refused = record_decisions(&reports, vec![decision_line(now)], now, None).expect_err("nor this").to_string();
    assert!(refused.contains("the ledger is signed"), "{refused}");
    assert_eq!(prune(&reports, retention, now, Some(&signer), &Unwatched).expect("it prunes"), [id(1)]);
    assert_eq!(problems(&reports, &keys), Vec::<String>::new());
    assert_eq!(verify_signed(&reports, &keys).expect("it can be read").signatures.by_key[&signer.key_id()], 4);
    // A run that was paid for is kept, and says so.
    let notes = publish(&reports, 3, None);
    assert!(notes.iter().any(|note| note.contains("the ledger is signed")), "{notes:?}");
    named(&reports, &keys, &["line 4: is not signed", &format!("run `{}`: manifest.json is not signed", id(3))]);
}

#[test]
fn what_was_applied_is_signed_too() {
    let (_folder, reports, signer, keys) = signed();
    let now = sample::instant("2026-03-02T02:00:00Z");
    let refused = may_append(&reports, None).expect_err("it would not be signed").to_string();
    assert!(refused.contains("the ledger is signed") && refused.contains("run.sign"), "{refused}");
    may_append(&reports, Some(&signer)).expect("it will be signed");
    let applied = |apply_id: &str| {
        let path = receipt_path(&reports, apply_id).expect("a folder");
        fs::write(path, "{}\n").expect("writable");
        let (apply_id, run_id) = (apply_id.to_owned(), id(1));
        Applied { apply_id, run_id, rolls_back: None, done: 1, skipped: 0, receipt: String::new() }
    };
    record_apply(&reports, applied("A1"), now, Some(&signer)).expect("recorded");
    assert_eq!(problems(&reports, &keys), Vec::<String>::new());
    // What was done is recorded in any case.
    record_apply(&reports, applied("A2"), now, None).expect("recorded");
    named(&reports, &keys, &["line 4: is not signed"]);
}

#[test]
fn an_adopted_run_keeps_its_signature_and_gets_a_signed_line() {
    let (_folder, reports, signer, keys) = signed();
    let path = reports.join(ledger::FILE);
    let whole = fs::read_to_string(&path).expect("a ledger");
    let first = whole.lines().next().expect("a line");
    fs::write(&path, format!("{first}\n")).expect("writable");
    let notes = publish(&reports, 3, Some(&signer));
    assert!(notes.iter().any(|note| note.contains("was adopted")), "{notes:?}");
    assert_eq!(problems(&reports, &keys), Vec::<String>::new());
}

#[test]
fn lines_from_before_signing_pass_where_it_is_said_when_that_began() {
    let folder = tempfile::tempdir().expect("a folder");
    let reports = folder.path().join("reports");
    let (signer, keys) = signer(folder.path(), "one.key");
    (1..=3).for_each(|number| drop(publish(&reports, number, None)));
    let none = verify_signed_from(&reports, &keys, Some(4), &|_| {}).expect("it can be read");
    assert!(none.changed[0].contains("no line has to be signed"), "{:?}", none.changed);
    (4..=5).for_each(|number| drop(publish(&reports, number, Some(&signer))));
    let found = verify_signed(&reports, &keys).expect("it can be read");
    assert_eq!(found.changed.len(), 6, "three lines and three manifests: {:?}", found.changed);
    assert!(found.notes.iter().any(|note| note.contains("`--signed-from 4`")), "{:?}", found.notes);
    let found = verify_signed_from(&reports, &keys, Some(4), &|_| {}).expect("it can be read");
    assert_eq!((found.changed.as_slice(), found.unchanged), (&[][..], 5));
    let said = "lines 1 to 3 are unsigned, before signing began at line 4";
    assert!(found.notes.iter().any(|note| note.starts_with(said)), "{:?}", found.notes);
    assert_eq!(found.signatures.by_key, [(signer.key_id(), 4)].into());
    // Said too early or too late, the difference is named.
    let early = verify_signed_from(&reports, &keys, Some(3), &|_| {}).expect("it can be read").changed;
    assert!(early.iter().any(|problem| problem.contains("line 3: is not signed")) && early.len() == 2, "{early:?}");
    assert_eq!(
        verify_signed_from(&reports, &keys, Some(5), &|_| {}).expect("it can be read").changed,
        Vec::<String>::new()
    );
    // A line without signature after the beginning is refused.
    publish(&reports, 6, None);
    let later = verify_signed_from(&reports, &keys, Some(4), &|_| {}).expect("it can be read").changed;
    assert!(later.iter().any(|problem| problem.contains("line 6: is not signed")) && later.len() == 2, "{later:?}");
}

/// The signature of the first signed line holds what was written before it.
#[test]
fn what_was_written_before_signing_began_cannot_be_changed_after_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let reports = folder.path().join("reports");
    let (signer, keys) = signer(folder.path(), "one.key");
    publish(&reports, 1, None);
    publish(&reports, 2, Some(&signer));
    let path = reports.join(ledger::FILE);
    let text = fs::read_to_string(&path).expect("a ledger");
    let first = text.lines().next().expect("a line");
    let content = first.rsplit_once(ledger::LINE_DIGEST).expect("a line").0.replace("agreed", "drifted");
    let sealed = format!("{content}{}{}\"}}", ledger::LINE_DIGEST, blake3::hash(content.as_bytes()).to_hex());
    assert_ne!(sealed, first, "nothing was changed");
    fs::write(&path, text.replace(first, &sealed)).expect("writable");
    let changed = verify_signed_from(&reports, &keys, Some(2), &|_| {}).expect("it can be read").changed;
    assert!(!changed.is_empty());
    // Nor can the unsigned lines be made anew with a forged line after them.
    let (forger, _) = super::super::sign::tests::signer(folder.path(), "forger.key");
    fs::remove_file(&path).expect("removed");
    publish(&reports, 3, Some(&forger));
    let changed = verify_signed_from(&reports, &keys, Some(3), &|_| {}).expect("it can be read").changed;
    assert!(changed.iter().any(|problem| problem.contains("another key")), "{changed:?}");
}
