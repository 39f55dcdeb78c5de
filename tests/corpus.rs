//! The corpora of `fuzz/` through the functions that the fuzz targets call: no input may make them panic.

use std::fs;
use std::path::PathBuf;

use crate::support::root;

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = root().join("fuzz/corpus").join(target);
    let mut files: Vec<(PathBuf, Vec<u8>)> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    assert!(files.len() >= 10, "{} holds only {} files", folder.display(), files.len());
    files
}

/// Each file whole, each of its beginnings (of long files a few), and each with one byte changed.
fn variants(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let step = (bytes.len() / 64).max(1);
    let cuts = (0..bytes.len()).step_by(step).map(|end| bytes[..end].to_vec());
    let changes = (0..bytes.len()).step_by(step).map(|place| {
        let mut changed = bytes.to_vec();
        changed[place] ^= 0x20;
        changed
    });
    std::iter::once(bytes.to_vec()).chain(cuts).chain(changes)
}

fn walk(target: &str, read: impl Fn(&[u8]) + std::panic::RefUnwindSafe) {
    for (path, bytes) in corpus(target) {
        for variant in variants(&bytes) {
            let outcome = std::panic::catch_unwind(|| read(&variant));
            assert!(outcome.is_ok(), "{}: panicked on {:?}", path.display(), String::from_utf8_lossy(&variant));
        }
    }
}

#[test]
fn no_contract_makes_the_parser_panic() {
    walk("contract", |bytes| {
        if let Ok(text) = std::str::from_utf8(bytes) {
            let _ = reconcile::contract::parse_text(text);
        }
    });
}

#[test]
fn no_csv_makes_the_reader_panic() {
    walk("csv", |bytes| {
        reconcile::source::fuzz_csv(bytes);
    });
}

#[test]
fn no_json_makes_the_reader_panic() {
    walk("json", |bytes| {
        reconcile::source::fuzz_json(bytes);
    });
}
