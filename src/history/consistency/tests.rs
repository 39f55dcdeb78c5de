//! Proofs of two lines of small ledgers, and what is said of one that was changed.

use std::sync::Arc;

use super::super::folder::RunFolder;
use super::super::sign::tests::signer;
use super::super::{Retention, Signer, Unwatched, prune};
use super::*;
use crate::report::sample;

fn publish(reports: &Path, number: usize, signer: Option<&Arc<Signer>>) {
    let audit = sample::small(&format!("20260301T020000Z-{number:04}"));
    let (folder, _) = RunFolder::begin_signed(reports, &audit.run_id, signer.cloned()).expect("it begins");
    folder.publish(&audit).expect("it is published");
}

/// Writes the proof and reads it back, as another machine would.
fn checked(proof: &Consistency, against: &Against<'_>) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("proof.json");
    fs::write(&file, proof.text().expect("JSON")).expect("writable");
    Consistency::read(&file).expect("readable").expect("a proof").check(against).problems
}

#[test]
fn every_pair_of_lines_is_proved() {
    let folder = tempfile::tempdir().expect("a folder");
    let reports = folder.path().join("reports");
    let (signer, keys) = signer(folder.path(), "one.key");
    (1..=9).for_each(|number| publish(&reports, number, Some(&signer)));
    for since in 1..=9 {
        for line in since..=9 {
            let proof = prove_continued(&reports, since, Some(line)).expect("a proof");
            let kept = proof.first.merkle_root.clone();
            let against = Against { keys: keys.clone(), root: Some(&kept), folder: None };
            assert_eq!(checked(&proof, &against), Vec::<String>::new(), "{since} to {line}");
        }
    }
    for (since, line) in [(0, None), (5, Some(4)), (3, Some(10)), (10, None)] {
        let error = prove_continued(&reports, since, line).expect_err("no such lines").to_string();
        assert!(error.contains("expected two of 1 to 9"), "{error}");
    }
}

#[test]
fn nothing_of_a_proof_can_be_changed() {
    let folder = tempfile::tempdir().expect("a folder");
    let reports = folder.path().join("reports");
    let (signer, _) = signer(folder.path(), "one.key");
    let (_, others) = super::super::sign::tests::signer(folder.path(), "other.key");
    (1..=6).for_each(|number| publish(&reports, number, Some(&signer)));
    let proof = prove_continued(&reports, 3, None).expect("a proof");
    let other = prove_continued(&reports, 4, Some(5)).expect("a proof");
    let plain = Against::default();
    assert_eq!(checked(&proof, &plain), Vec::<String>::new());
    let sized = |tree_size| Consistency { first: End { tree_size, ..proof.first.clone() }, ..proof.clone() };
    let changes = [
        ("the earlier line", Consistency { first: other.first.clone(), ..proof.clone() }),
        ("the later line", Consistency { second: other.second.clone(), ..proof.clone() }),
        ("the parts", Consistency { path: other.path.clone(), ..proof.clone() }),
        ("no parts", Consistency { path: Vec::new(), ..proof.clone() }),
        ("a size", sized(2)),
        ("a size of nothing", sized(0)),
        ("the order", Consistency { first: proof.second.clone(), second: proof.first.clone(), ..proof.clone() }),
        (
            "a byte",
            Consistency {
                second: End { line: proof.second.line.replace("agreed", "Agreed"), ..proof.second.clone() },
                ..proof.clone()
            },
        ),
    ];
    for (what, changed) in changes {
        assert!(!checked(&changed, &plain).is_empty(), "{what} was changed");
    }
    let by_others = checked(&proof, &Against { keys: others, ..Against::default() });
    assert!(by_others.len() == 2 && by_others.iter().all(|problem| problem.contains("another key")), "{by_others:?}");
    let kept = Against { root: Some(&other.first.merkle_root), ..Against::default() };
    assert!(checked(&proof, &kept).iter().any(|problem| problem.contains("neither of its Merkle roots")));
}

/// Who makes the ledger anew cannot continue a line that somebody has kept.
#[test]
fn a_ledger_that_was_made_anew_does_not_continue_the_old_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    (1..=3).for_each(|number| publish(&old, number, None));
    [1, 7, 3, 4].into_iter().for_each(|number| publish(&new, number, None));
    let kept = prove_continued(&old, 3, None).expect("a proof").first;
    let mut proof = prove_continued(&new, 3, None).expect("a proof");
    let against = Against { root: Some(&kept.merkle_root), ..Against::default() };
    assert!(checked(&proof, &against).iter().any(|problem| problem.contains("neither")));
    proof.first = kept.clone();
    assert!(checked(&proof, &against).iter().any(|problem| problem.contains("do not lead")));
}

#[test]
fn lines_that_are_no_runs_are_ends_as_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let reports = folder.path().join("reports");
    (1..=3).for_each(|number| publish(&reports, number, None));
    let retention = Retention { keep_runs: Some(1), ..Retention::default() };
    prune(&reports, retention, sample::instant("2026-03-02T02:00:00Z"), None, &Unwatched).expect("it prunes");
    let proof = prove_continued(&reports, 3, Some(4)).expect("a proof");
    assert_eq!(
        (proof.first.tree_size, proof.second.tree_size, checked(&proof, &Against::default())),
        (3, 3, Vec::new())
    );
    let path = reports.join(ledger::FILE);
    let text = fs::read_to_string(&path).expect("a ledger").replacen("agreed", "drifted", 1);
    fs::write(&path, text).expect("writable");
    let error = prove_continued(&reports, 1, None).expect_err("it was changed").to_string();
    assert!(error.contains("nothing is proved by a ledger that was changed"), "{error}");
}
