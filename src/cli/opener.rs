//! Opens a page as the person at the machine would: by the system's opener. It waits only until the opener has taken it, and where there is
//! none it says what there is to open.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::failure::{self, Failure};
use crate::console::Console;
use crate::history;

/// Those that are looked for, the first that is there is taken; each with the words before the path.
const OPENERS: &[(&str, &[&str])] = if cfg!(target_os = "macos") {
    &[("open", &[])]
} else if cfg!(windows) {
    &[("explorer", &[])]
} else {
    &[("xdg-open", &[]), ("gio", &["open"]), ("wslview", &[]), ("sensible-browser", &[])]
};

/// Opens the page of a run.
pub(super) fn open(reports: &Path, run: &str, console: &mut Console) -> Result<(), Failure> {
    let folder = history::locate(reports, run)
        .map_err(|error| Failure::of_run(reports, &format!("run `{run}` cannot be opened"), &error))?;
    let page = folder.join(history::PAGE);
    if !page.is_file() {
        let written = format!("{}: there is no such page", failure::shown(&page));
        return Err(Failure::with_hint(
            written,
            "an earlier version wrote this run; `reconcile report RUN` shows it here",
        ));
    }
    let page = std::path::absolute(&page).unwrap_or(page);
    let path = failure::shown(&page);
    let Some((program, words)) = OPENERS.iter().find_map(|(name, words)| Some((on_path(name)?, words))) else {
        let names: Vec<&str> = OPENERS.iter().map(|(name, _)| *name).collect();
        let looked = format!("nothing that opens a page was found (looked for {})", names.join(", "));
        console.warning(&looked, Some("open the page whose path is printed in a browser"));
        return writeln!(console.out(), "{path}").map_err(|error| Failure::stdout(&error));
    };
    // What an opener has to say is not this program's output.
    let status = Command::new(&program)
        .args(*words)
        .arg(&page)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match status {
        // The opener of Windows ends with 1 also where it opened the page.
        Ok(status) if status.success() || cfg!(windows) => console.note(&format!("opened {path}")),
        Ok(status) => console.warning(
            &format!("{} did not open the page ({status})", program.display()),
            Some(&format!("open it in a browser: {path}")),
        ),
        Err(error) => console.warning(
            &format!("{} could not be started: {}", program.display(), failure::plain(&error)),
            Some(&format!("open it in a browser: {path}")),
        ),
    }
    Ok(())
}

/// A program of this name, where the system looks for programs.
fn on_path(name: &str) -> Option<PathBuf> {
    let name = if cfg!(windows) { format!("{name}.exe") } else { name.to_owned() };
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(&name)).find(|program| program.is_file())
}
