//! Runs steps of decoders that panic on malformed data, so that a panic becomes a problem like any other.

use std::cell::Cell;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a step; its error, or that it panicked, as a sentence part. What the step used must not be used again after a
/// panic.
pub(super) fn guarded<T, E: Display>(step: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    let before = IS_GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(step));
    IS_GUARDED.set(before);
    match result {
        Ok(result) => result.map_err(|error| plain(&error.to_string())),
        Err(_) => Err("the decoder gave up on malformed data".to_owned()),
    }
}

/// The message of another library without the kind that it begins with, which says nothing to our reader.
fn plain(text: &str) -> String {
    const KINDS: [&str; 9] = [
        "Parquet error: ",
        "Parquet argument error: ",
        "Arrow: ",
        "EOF: ",
        "External: ",
        "Io error: ",
        "Ipc error: ",
        "Parser error: ",
        "Invalid argument error: ",
    ];
    let text = KINDS.iter().fold(text, |text, kind| text.strip_prefix(kind).unwrap_or(text));
    let mut characters = text.chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}

/// Keeps panics that are caught here from being printed; all others go on as before. For the binary, once.
pub(super) fn silence() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |panic| {
            if !IS_GUARDED.get() {
                before(panic);
            }
        }));
    });
}
