//! What a page says of the sample, whose values try to break out of every format.

use std::collections::BTreeMap;

use super::*;
use crate::report::sample;

fn page(audit: &Audit, extras: &Extras<'_>) -> String {
    let mut out = Vec::new();
    render(audit, extras, &mut out).expect("a vector takes all");
    String::from_utf8(out).expect("a page is text")
}

#[test]
fn the_verdict_and_its_sentence_stand_before_everything_else() {
    let text = page(&sample::audit(), &Extras::default());
    let order = [
        "<h1>Unverified</h1>",
        "1 of 3 contracts could not be compared to the end",
        "At a glance",
        "id=\"c1\"",
        "id=\"evidence\"",
    ];
    let places: Vec<_> = order.iter().map(|words| text.find(words).unwrap_or_else(|| panic!("no {words}"))).collect();
    assert!(places.is_sorted(), "{places:?}");
    assert!(text.contains("What to do:</b> quote the field that holds a delimiter"));
    let mut interrupted = sample::audit();
    interrupted.interrupted = Some(15);
    assert!(page(&interrupted, &Extras::default()).contains("The run was interrupted by SIGTERM"));
}

#[test]
fn every_part_is_shown_where_there_is_something_to_say() {
    let mut audit = sample::audit();
    audit.contracts[1].figures = sample::figures();
    audit.contracts[1].baseline = Some(sample::baseline());
    let mut gallery = Gallery::default();
    sample::divergences().iter().for_each(|divergence| gallery.divergence(divergence));
    gallery.action(&sample::action());
    let past = PastRun {
        run_id: "20260228T020000Z-0001".to_owned(),
        at: None,
        verdict: "agreed".to_owned(),
        version: None,
        keys: Ok(0),
    };
    let name = audit.contracts[1].name.clone();
    let extras = Extras {
        galleries: BTreeMap::from([(name.clone(), gallery)]),
        past: BTreeMap::from([(name, vec![past])]),
        files: vec![PageFile { name: "summary.json", bytes: 7, blake3: "ab" }],
        ledger: Some(LedgerEnd { lines: 4, digest: "cd".to_owned() }),
        ..Extras::default()
    };
    let text = page(&audit, &extras);
    for words in [
        "4 more than in the run before",
        "The old copy beside the new",
        "1 regression (old_projection is right)",
        "Total by status | *: 2 of 3 groups do not balance",
        "the ledger had 4 lines.",
        "line 5 or a later one is this run's",
        "<td><code>summary.json</code></td>",
        "Waits for nobody",
    ] {
        assert!(text.contains(words), "no `{words}`");
    }
    assert!(!text.contains("<b>\u{1b}") && !text.contains("\u{202e}") && !text.contains("<i>\""));
}

#[test]
fn a_run_without_contracts_and_an_index_without_runs_are_pages_too() {
    let mut audit = sample::audit();
    audit.contracts.clear();
    assert!(page(&audit, &Extras::default()).contains("Nothing was compared."));
    let mut out = Vec::new();
    render_index(&Listing::default(), &mut out).expect("a vector takes all");
    assert!(String::from_utf8(out).expect("text").contains("Nothing was compared yet."));
}

#[test]
fn an_index_says_how_many_runs_it_does_not_show() {
    let run = Listed {
        run_id: "20260301T020000Z-7f3a".to_owned(),
        at: None,
        verdict: "drifted".to_owned(),
        contracts: (0..30).map(|number| (format!("contract {number}"), "drifted".to_owned())).collect(),
        keys: Some(1_200),
        page: true,
        note: None,
        narrowed: false,
    };
    let listing = Listing { runs: vec![run; 200], all: 1_234, complaints: vec!["line 3 was changed".to_owned()] };
    let mut out = Vec::new();
    render_index(&listing, &mut out).expect("a vector takes all");
    let text = String::from_utf8(out).expect("text");
    for words in
        ["The newest 200 runs of 1,234 runs", "and 18 more", "1,200", "line 3 was changed", "7f3a&#x2f;report.html"]
    {
        assert!(text.contains(words), "no `{words}`");
    }
}
