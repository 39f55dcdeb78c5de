//! Proofs of every run of small ledgers, alone, and what is said of one that was changed.

use super::super::folder::RunFolder;
use super::super::sign::tests::signer;
use super::super::{Retention, Unwatched, prune};
use super::*;
use crate::report::sample;

fn id(number: usize) -> String {
    format!("20260301T020000Z-{number:04}")
}

fn publish(reports: &Path, number: usize, signer: Option<&std::sync::Arc<super::super::Signer>>) {
    let audit = sample::small(&id(number));
    let (folder, _) = RunFolder::begin_signed(reports, &audit.run_id, signer.cloned()).expect("it begins");
    folder.publish(&audit).expect("it is published");
}

/// Writes the proof and reads it back, as another machine would.
fn checked(proof: &Proof, against: &Against<'_>) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("proof.json");
    fs::write(&file, proof.text().expect("JSON")).expect("writable");
    Proof::read(&file).expect("a proof").check(against).expect("it can be checked").problems
}

#[test]
fn every_run_of_ledgers_of_one_to_twenty_lines_is_proved_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let reports = folder.path().join("reports");
    let (signer, keys) = signer(folder.path(), "one.key");
    let against = Against { keys, ..Against::default() };
    for count in 1..=20 {
        publish(&reports, count, Some(&signer));
        for number in [1, count.div_ceil(2), count] {
            let proof = prove(&reports, &id(number), None).expect("a proof");
            assert_eq!(checked(&proof, &against), Vec::<String>::new(), "run {number} of {count}");
        }
    }
    for number in 1..=20 {
        for line in number..=20 {
            let proof = prove(&reports, &id(number), Some(line as u64)).expect("a proof");
            assert_eq!(checked(&proof, &against), Vec::<String>::new(), "run {number} by line {line}");
        }
    }
    let error = prove(&reports, &id(5), Some(4)).expect_err("an earlier line").to_string();
    assert!(error.contains("expected one from 5"), "{error}");
}

#[test]
fn nothing_of_a_proof_can_be_changed() {
    let folder = tempfile::tempdir().expect("a folder");
    let reports = folder.path().join("reports");
    let (signer, keys) = signer(folder.path(), "one.key");
    let (_, others) = super::super::sign::tests::signer(folder.path(), "other.key");
    (1..=5).for_each(|number| publish(&reports, number, Some(&signer)));
    let proof = prove(&reports, &id(2), None).expect("a proof");
    let other = prove(&reports, &id(3), Some(4)).expect("a proof");
    let plain = Against::default();
    let changes: [(&str, Proof); 8] = [
        ("manifest", Proof { manifest: other.manifest.clone(), ..proof.clone() }),
        ("leaf_index", Proof { leaf_index: 2, ..proof.clone() }),
        ("tree_size", Proof { tree_size: 9, ..proof.clone() }),
        ("path", Proof { path: other.path.clone(), ..proof.clone() }),
        ("merkle_root", Proof { merkle_root: other.merkle_root.clone(), ..proof.clone() }),
        ("run_line", Proof { run_line: other.run_line.clone(), ..proof.clone() }),
        ("root_line", Proof { root_line: other.root_line.clone(), ..proof.clone() }),
        ("a byte of a line", Proof { root_line: proof.root_line.replace("agreed", "Agreed"), ..proof.clone() }),
    ];
    assert_eq!(checked(&proof, &plain), Vec::<String>::new());
    for (what, changed) in changes {
        assert!(!checked(&changed, &plain).is_empty(), "{what} was changed");
    }
    let by_others = checked(&proof, &Against { keys: others, ..Against::default() });
    assert!(by_others.iter().all(|problem| problem.contains("another key")) && by_others.len() == 2, "{by_others:?}");
    let kept = Against { root: Some(&other.merkle_root), ..Against::default() };
    assert!(checked(&proof, &kept).iter().any(|problem| problem.contains("its Merkle root is")));
    // With the run's folder beside it every file is proved too.
    let run = reports.join(id(2));
    let with_folder = Against { keys, folder: Some(&run), ..Against::default() };
    assert_eq!(checked(&proof, &with_folder), Vec::<String>::new());
    fs::write(run.join("report.md"), "better").expect("writable");
    assert!(checked(&proof, &with_folder).iter().any(|problem| problem.contains("report.md")));
}

#[test]
fn a_pruned_run_is_still_proved_by_later_lines_of_any_kind() {
    let folder = tempfile::tempdir().expect("a folder");
    let reports = folder.path().join("reports");
    (1..=3).for_each(|number| publish(&reports, number, None));
    let retention = Retention { keep_runs: Some(1), ..Retention::default() };
    prune(&reports, retention, sample::instant("2026-03-02T02:00:00Z"), None, &Unwatched).expect("it prunes");
    let proof = prove(&reports, &id(1), None).expect("a proof");
    assert_eq!((proof.sequence, checked(&proof, &Against::default())), (4, Vec::new()));
    let kept = proof.merkle_root.clone();
    assert_eq!(checked(&proof, &Against { root: Some(&kept), ..Against::default() }), Vec::<String>::new());
    assert!(prove(&reports, &id(9), None).is_err(), "a run that is not there");
    // A ledger that was changed proves nothing.
    let path = reports.join(ledger::FILE);
    let text = fs::read_to_string(&path).expect("a ledger").replacen("agreed", "drifted", 1);
    fs::write(&path, text).expect("writable");
    let error = prove(&reports, &id(3), None).expect_err("it was changed").to_string();
    assert!(error.contains("nothing is proved by a ledger that was changed"), "{error}");
}
