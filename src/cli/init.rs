//! `reconcile init`: from two tables a first contract file, with the evidence for every line of it in comments.
//!
//! ```text
//! table ─ profile ─┬─ keys ─ align ─ pairs ─ options ─┬─ draft ─ check ─ file
//!  head   all rows └─ counted    rows of one key      └─ the engine tries each option
//! ```
//! It proposes and never decides: what it could not see it says, and a file that is there is never overwritten unasked.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};

use serde_json::{Value, json};

use super::failure::{self, Failure};
use super::outcome::ambient_limit;
use super::{ExitStatus, Format, Global, Init, interrupt, values};
use crate::console::Console;
use crate::contract::{self, Contract};
use crate::report::escape::visible;
use crate::run;
use crate::sides::Sides;

mod align;
mod draft;
mod keys;
mod loose;
mod names;
mod options;
mod pairs;
mod profile;
mod propose;
mod table;
mod unwritten;

use draft::Draft;

/// The scheme of a file of SQLite.
const SQLITE: &str = "sqlite:";
/// What is counted and kept where no limit is given.
const USUAL_MEMORY: u64 = 1 << 30;

pub(super) fn run(options: &Init, global: &Global, console: &mut Console) -> Result<ExitStatus, Failure> {
    let out = options.out.clone().unwrap_or_else(|| PathBuf::from("reconcile.toml"));
    if !options.force && fs::symlink_metadata(&out).is_ok() {
        let message = format!("{}: is there already, and is not overwritten", failure::shown(&out));
        return Err(Failure::with_hint(message, "name another file with `--out FILE`, or overwrite it with `--force`"));
    }
    let threads = values::threads(global.threads).unwrap_or(0);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|error| Failure::new(format!("threads cannot be started: {error}")))?;
    let ambient = || ambient_limit().map_or(USUAL_MEMORY, |limit| limit.min(USUAL_MEMORY));
    let memory = global.memory_limit.unwrap_or_else(ambient);
    let bars = interrupt::told(console)?;
    let mut draft = pool.install(|| propose::propose(options, memory, &bars))?;
    bars.begin("", "checking what is proposed", 0);
    let contract = checked(&mut draft, &out)?;
    bars.finish();
    unwritten::take(&mut draft);
    let text = draft.text();
    write(&out, &text, options.force)?;
    if let Some(warning) = warning(&draft) {
        console.warning(&warning, Some("read the comments of the file before the first run"));
    }
    let said = match global.format {
        Format::Json => format!("{:#}\n", document(&draft, &out)),
        Format::Ndjson => format!("{}\n", document(&draft, &out)),
        Format::Text | Format::Markdown => sentences(&draft, &contract, &out),
    };
    console.out().write_all(said.as_bytes()).map_err(|error| Failure::stdout(&error))?;
    Ok(ExitStatus::Agreed)
}

/// Holds the draft to what `check --sources` would say, and moves its locations to where the file will stand.
fn checked(draft: &mut Draft, out: &Path) -> Result<Contract, Failure> {
    let contract = draft.contract()?;
    run::check_sources(&contract).map_err(|problems| {
        Failure::with_hint(
            format!("what was proposed does not fit the tables: {}", problems.join("; ")),
            "compare them with `reconcile diff`, which takes keys, pairs and types as options",
        )
    })?;
    let folder = out.parent().unwrap_or_else(|| Path::new(""));
    if !folder.as_os_str().is_empty() {
        draft.sources = Sides {
            authority: moved(&draft.sources.authority, folder)?,
            projection: moved(&draft.sources.projection, folder)?,
        };
        contract::load_text(out, &draft.text())?;
    }
    Ok(contract)
}

/// A location that means the same when it is read from another folder.
fn moved(source: &draft::DraftSource, folder: &Path) -> Result<draft::DraftSource, Failure> {
    let Some((scheme, path, rest)) = path_of(&source.location).filter(|(_, path, _)| !Path::new(path).is_absolute())
    else {
        return Ok(source.clone());
    };
    let plain = |part| matches!(part, Component::Normal(_));
    let moved = if let Ok(below) = Path::new(path).strip_prefix(folder) {
        below.to_path_buf()
    } else if folder.components().all(plain) {
        folder.components().map(|_| "..").collect::<PathBuf>().join(path)
    } else {
        let here = std::env::current_dir();
        here.map_err(|error| Failure::path(Path::new("."), "the working folder cannot be read", &error))?.join(path)
    };
    let location = format!("{scheme}{}{rest}", moved.display());
    Ok(draft::DraftSource { location, ..source.clone() })
}

/// The path of a location, with what stands before and behind it; None for a URL that names none of this machine.
fn path_of(location: &str) -> Option<(&str, &str, &str)> {
    if let Some(path) = location.strip_prefix("file://") {
        return Some(("file://", path, ""));
    }
    if location.get(..SQLITE.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SQLITE)) {
        let path = location[SQLITE.len()..].trim_start_matches("//");
        let (path, rest) = path.split_at(path.find(['?', '#']).unwrap_or(path.len()));
        return Some((SQLITE, path, rest));
    }
    (!location.contains("://")).then_some(("", location, ""))
}

/// Writes the file whole or not at all; one that came to be there in the meantime stays, unless `force`.
fn write(out: &Path, text: &str, force: bool) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::path(out, "cannot be written", &error);
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut aside =
        tempfile::Builder::new().prefix(".reconcile-").suffix(".toml").tempfile_in(folder).map_err(failed)?;
    aside.write_all(text.as_bytes()).and_then(|()| aside.as_file().sync_all()).map_err(failed)?;
    readable(aside.path()).map_err(failed)?;
    let kept = if force { aside.persist(out) } else { aside.persist_noclobber(out) };
    kept.map(drop).map_err(|error| failed(error.error))
}

/// A temporary file is its owner's alone; a contract is everyone's.
#[cfg(unix)]
fn readable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable(_path: &Path) -> io::Result<()> {
    Ok(())
}

fn warning(draft: &Draft) -> Option<String> {
    let doubts = &draft.doubts;
    (!doubts.is_empty()).then(|| format!("contract \"{}\": {}", draft.name, doubts.join("; ")))
}

fn sentences(draft: &Draft, contract: &Contract, out: &Path) -> String {
    let key = if contract.key.is_empty() {
        "rows as a multiset".to_owned()
    } else {
        format!("key {}", visible(&contract.key.join(", ")))
    };
    let compared = draft.pairs.len() - draft.key_count;
    let file = failure::shown(out);
    let file = visible(&file);
    let config = if file == "reconcile.toml" { String::new() } else { format!(" --config {file}") };
    format!(
        "{file}: contract \"{}\": {key}, {} compared, {} left out\n\nNext:\n  reconcile check --sources{config}\n  \
         reconcile run{config}\n",
        visible(&draft.name),
        counted(compared, "attribute"),
        counted(draft.left_out.len(), "column"),
    )
}

fn document(draft: &Draft, out: &Path) -> Value {
    let pairs = draft.pairs.iter().enumerate().map(|(number, pair)| {
        json!({
            "attribute": pair.name,
            "key": number < draft.key_count,
            "column": pair.paths.authority,
            "projected_as": pair.paths.projection,
            "options": pair.options.iter().map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>(),
            "suggested": pair.suggested.iter().map(|option| format!("{} = {}", option.name, option.value)).collect::<Vec<_>>(),
            "evidence": pair.evidence,
        })
    });
    let left_out = draft
        .left_out
        .iter()
        .map(|column| json!({"side": column.side.name(), "column": column.column, "why": column.why}));
    json!({
        "format_version": 1,
        "file": failure::shown(out),
        "contract": draft.name,
        "key": draft.pairs[..draft.key_count].iter().map(|pair| &pair.name).collect::<Vec<_>>(),
        "key_evidence": draft.key_evidence,
        "attributes": pairs.collect::<Vec<_>>(),
        "left_out": left_out.collect::<Vec<_>>(),
        "warnings": draft.doubts,
    })
}

fn counted(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{} {noun}s", grouped(number)) }
}

/// A count with its thousands apart.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "shares are for ranking and never for results")]
fn real(count: usize) -> f64 {
    count as f64
}

fn share(part: usize, whole: usize) -> f64 {
    real(part) / real(whole.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (27_088, "27,088"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
