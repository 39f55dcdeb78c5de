//! A run that goes on from another, held against the ledger; and what a run leaves to another, read back.

use std::path::Path;

use super::*;
use crate::audit::{Reading, Resumed, Segments};
use crate::history::folder::RunFolder;
use crate::history::verify;
use crate::report::sample;

fn publish(reports: &Path, audit: &Audit, places: &Whereabouts) {
    let (mut folder, _) = RunFolder::begin(reports, &audit.run_id).unwrap();
    folder.set_whereabouts(places.clone());
    folder.publish(audit).unwrap();
}

fn places() -> Whereabouts {
    sample::audit().contracts.into_iter().map(|contract| (contract.name, [1; 32])).collect()
}

#[test]
fn a_run_that_goes_on_from_one_that_the_ledger_does_not_hold_is_complained_of() {
    let reports = tempfile::tempdir().unwrap();
    publish(reports.path(), &sample::small("20260301T020000Z-0001"), &Whereabouts::new());
    let manifest = Ledger::read(reports.path()).unwrap().runs().next().unwrap().1.manifest.clone();
    let next = |id: &str, run_id: &str, manifest: &str| {
        let mut audit = sample::small(id);
        audit.resumed = Some(Resumed { run_id: run_id.to_owned(), manifest: manifest.to_owned() });
        publish(reports.path(), &audit, &Whereabouts::new());
        verify(reports.path()).unwrap().changed
    };
    assert_eq!(next("20260301T020000Z-0002", "20260301T020000Z-0001", &manifest), Vec::<String>::new());
    let said = next("20260301T020000Z-0003", "20260301T020000Z-0001", &"0".repeat(64));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("0003`: goes on from run `20260301T020000Z-0001`, whose manifest is another"), "{said:?}");
    let said = next("20260301T020000Z-0004", "20260301T020000Z-0009", &manifest);
    assert!(said[1].ends_with("which no line before it holds"), "{said:?}");
}

#[test]
fn what_is_left_to_another_run_comes_back_and_is_held_to_itself() {
    let reports = tempfile::tempdir().unwrap();
    let mut audit = sample::audit();
    let name = audit.contracts[2].name.clone();
    let reading = Reading { run_id: "a".to_owned(), rows: Sides { authority: 9, projection: 9 }, ..Reading::default() };
    let range = |low, high, rows, sum| Range { low, high, rows, sum, reading: 0 };
    let kept = Kept {
        readings: vec![reading.clone()],
        ranges: vec![range(i64::MIN, -1, 4, Some([0x5a; 32])), range(3, i64::MAX, 5, None)],
        inputs: Sides { authority: Some([2; 32]), projection: None },
    };
    let segments = Segments { readings: vec![reading], kept: Some(kept.clone()), ..Segments::default() };
    audit.contracts[2].segments = Some(segments);
    publish(reports.path(), &audit, &places());
    let read = cut_off(reports.path(), &audit.run_id).unwrap();
    assert_eq!(read.kept(&name), Some(&kept));
    assert!(read.found(&name).is_none() && read.found(&audit.contracts[0].name).is_some());
    assert_eq!(read.kept(&audit.contracts[0].name), None);
    let mut bytes = document(&audit, &places()).unwrap().unwrap();
    assert!(parsed(&bytes).is_ok());
    let text = String::from_utf8(bytes.clone()).unwrap();
    for (from, to, expected) in [
        ("\"rows\":4", "\"rows\":3", "are not those of its readings"),
        ("\"to\":-1", "\"to\":3", "overlaps another"),
        ("\"format_version\":1", "\"format_version\":2", "this version reads 1"),
        (&"5a".repeat(32), "5a", "is not a BLAKE3 in hex"),
    ] {
        let problem = parsed(text.replacen(from, to, 1).as_bytes()).unwrap_err();
        assert!(problem.contains(expected), "{problem}");
    }
    bytes.truncate(20);
    assert!(parsed(&bytes).unwrap_err().contains("cannot be read"));
    assert!(
        document(&sample::small("20260301T020000Z-0001"), &places()).unwrap().is_none(),
        "it was compared to its end"
    );
}
