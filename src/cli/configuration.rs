//! Finds and loads `reconcile.toml`, and the folder of its reports. It never checks what is in the file.

use std::path::{Path, PathBuf};

use super::failure::{self, Failure};
use super::{Global, Reports};
use crate::console::Console;
use crate::contract::{self, Configuration};

const FILE: &str = "reconcile.toml";

/// The configuration that the command is about.
pub(super) fn load(global: &Global) -> Result<Configuration, Failure> {
    let file = find(global)?.ok_or_else(|| {
        Failure::with_hint(
            format!("{FILE}: is neither in the working folder nor in any parent"),
            "name one with `--config FILE`, or compare two tables without one: `reconcile diff AUTHORITY PROJECTION \
             --key COLUMN`",
        )
    })?;
    Ok(contract::load(&file, &|name| std::env::var(name).ok())?)
}

/// The folder of run folders and ledger: the flag, else the contract file's, else `reports` here.
pub(super) fn reports(options: &Reports, global: &Global) -> Result<PathBuf, Failure> {
    if let Some(reports) = &options.reports {
        return Ok(reports.clone());
    }
    match find(global)? {
        Some(_) => Ok(load(global)?.run.reports),
        None => Ok(PathBuf::from("reports")),
    }
}

/// The configuration where there is one. Where the folder of runs was named anyway, one that is not valid is done without.
pub(super) fn present(global: &Global, dispensable: bool) -> Result<Option<Configuration>, Failure> {
    match find(global)? {
        None => Ok(None),
        Some(_) if dispensable && global.config.is_none() => Ok(load(global).ok()),
        Some(_) => load(global).map(Some),
    }
}

/// Says what is legal but worth a word.
pub(super) fn say_warnings(configuration: &Configuration, console: &mut Console) {
    for problem in &configuration.warnings {
        failure::say_warning(problem, console);
    }
}

fn find(global: &Global) -> Result<Option<PathBuf>, Failure> {
    if let Some(file) = &global.config {
        return Ok(Some(file.clone()));
    }
    let folder = std::env::current_dir()
        .map_err(|error| Failure::path(Path::new("."), "the working folder cannot be read", &error))?;
    Ok(upwards(&folder))
}

fn upwards(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().map(|folder| folder.join(FILE)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_found_in_the_nearest_parent() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("one/two");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(root.path().join(FILE), "version = 1\n").unwrap();
        assert_eq!(upwards(&deep), Some(root.path().join(FILE)));
        std::fs::write(root.path().join("one").join(FILE), "version = 1\n").unwrap();
        assert_eq!(upwards(&deep), Some(root.path().join("one").join(FILE)));
    }
}
