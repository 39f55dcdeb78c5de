//! Any bytes as JSON: rows, rows that are counted as unreadable, or an error, never a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    reconcile::source::fuzz_json(bytes);
});
