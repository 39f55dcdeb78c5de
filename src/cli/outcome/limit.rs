//! How many divergences are held to be printed: `--limit`, as far as memory and a person's patience reach. The files of a run show
//! the usual number whatever is printed, so that no option makes them grow.

use super::LIMIT;
use crate::audit::Audit;
use crate::classify::Divergence;
use crate::cli::Format;
use crate::console::Console;
use crate::run::Settings;

/// More than these are printed line by line as they are found (`--format ndjson`), or read from the file that holds all of them.
const MOST: usize = 1_000;
/// How much memory one of them may take, with both its values.
const ONE: u64 = 1 << 16;

/// How many of each contract are held.
pub(super) fn held(limit: Option<usize>, memory_limit: Option<u64>) -> usize {
    // A quarter of the memory is more than they ever take.
    let memory = memory_limit.unwrap_or(Settings::USUAL_MEMORY) / 4 / ONE;
    let most = usize::try_from(memory).unwrap_or(MOST).clamp(LIMIT, MOST);
    limit.unwrap_or(LIMIT).clamp(LIMIT, most)
}

/// Leaves in the audit what the files of a run show, and gives what is only printed.
pub(super) fn beyond_files(audit: &mut Audit, held: usize) -> Vec<Vec<Divergence>> {
    if held <= LIMIT {
        return Vec::new();
    }
    let of_one = |examples: &mut Vec<Divergence>| examples.split_off(examples.len().min(LIMIT));
    audit.contracts.iter_mut().map(|contract| of_one(&mut contract.examples)).collect()
}

/// Puts back what is printed.
pub(super) fn printed(audit: &mut Audit, beyond: Vec<Vec<Divergence>>) {
    for (contract, more) in audit.contracts.iter_mut().zip(beyond) {
        contract.examples.extend(more);
    }
}

/// Says where fewer are printed than were asked for.
pub(super) fn say(limit: Option<usize>, held: usize, format: Format, console: &mut Console) {
    let streams = matches!(format, Format::Json | Format::Ndjson);
    if let Some(limit) = limit.filter(|limit| *limit > held && !streams) {
        console.warning(
            &format!("--limit {limit}: at most {held} divergences of each contract are printed in this format"),
            Some("`--format ndjson` prints as many as are asked for, and `divergences.parquet` holds all of them"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_bounded_by_memory_and_never_below_what_files_show() {
        let cases = [
            (None, None, LIMIT),
            (Some(5), None, LIMIT),
            (Some(300), None, 300),
            (Some(100_000_000), None, MOST),
            (Some(100_000_000), Some(64 << 20), 256),
            (Some(100_000_000), Some(1 << 20), LIMIT),
        ];
        for (limit, memory, expected) in cases {
            assert_eq!(held(limit, memory), expected, "{limit:?} {memory:?}");
        }
    }
}
