//! Any text as `reconcile.toml`: a contract or complaints, never a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = reconcile::contract::parse_text(text);
});
