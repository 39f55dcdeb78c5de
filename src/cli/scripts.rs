//! `plan.sql` and `rollback.sql` of a run, for each database that a plan repairs. What keeps them from being written is a
//! warning: the plan itself is there. Nothing is written to a database.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use super::apply::most_bytes;
use crate::apply::given::Action;
use crate::apply::work::{Chosen, prepare, scripts};
use crate::audit::Audit;
use crate::contract::{Contract, Database};
use crate::history::{Plan, RunFolder};
use crate::report::escape::counted;

/// How many actions a script holds at most.
const MOST: usize = 100_000;

/// Writes them where there is anything to repair. What does not fit into the memory that may be taken is said.
pub(super) fn write(
    folder: &mut RunFolder,
    contracts: &[Arc<Contract>],
    memory_limit: Option<u64>,
    audit: &mut Audit,
) -> io::Result<()> {
    let most_bytes = most_bytes(memory_limit);
    let targets = targets(contracts);
    if targets.is_empty() || audit.command != "run" {
        return Ok(());
    }
    let run_id = audit.run_id.clone();
    let mut said = Vec::new();
    folder.of_plan(&mut |folder| {
        let mut names = Vec::new();
        for (source, database) in &targets {
            let of = if targets.len() == 1 { String::new() } else { format!("-{}", file_name(source)) };
            let files = [format!("plan{of}.sql"), format!("rollback{of}.sql")];
            let Some((chosen, left)) = chosen(folder, contracts, database, most_bytes)? else { continue };
            if left > 0 {
                let left = counted(left as u64, "action");
                said.push(format!("{}: {left} more than `{}` holds", files[0], files[0]));
            }
            match one(folder, &files, database, &run_id, &chosen) {
                Ok(()) => names.extend(files),
                Err(error) => {
                    files.iter().for_each(|name| _ = std::fs::remove_file(folder.join(name)));
                    let secrets = &chosen[0].contract.secrets;
                    let why = secrets.redact(&error.to_string()).into_owned();
                    said.push(format!("`{}` was not written: {}: {why}", files[0], database.shown));
                }
            }
        }
        Ok(names)
    })?;
    audit.warnings.extend(said);
    Ok(())
}

/// The databases that hold projections, each with the name of a source there.
fn targets(contracts: &[Arc<Contract>]) -> Vec<(String, Database)> {
    let mut targets: Vec<(String, Database)> = Vec::new();
    for contract in contracts {
        let source = &contract.sources.projection;
        let Some(database) = source.database() else { continue };
        if !targets.iter().any(|(_, known)| is_same(known, database)) {
            targets.push((source.name.clone(), database.clone()));
        }
    }
    targets
}

fn is_same(one: &Database, other: &Database) -> bool {
    (one.system, &one.url) == (other.system, &other.url)
}

/// A source's name as a part of a file's name.
fn file_name(source: &str) -> String {
    let plain: String = source.chars().map(|one| if one.is_ascii_alphanumeric() { one } else { '_' }).collect();
    // Two names may become alike.
    if plain == source { plain } else { format!("{plain}-{}", &blake3::hash(source.as_bytes()).to_hex()[..8]) }
}

/// The actions that repair a database, and how many more there are; None where there are none.
fn chosen<'a>(
    folder: &Path,
    contracts: &'a [Arc<Contract>],
    database: &Database,
    most_bytes: usize,
) -> io::Result<Option<(Vec<Chosen<'a>>, usize)>> {
    let (mut chosen, mut left, mut bytes) = (Vec::new(), 0, 0);
    for planned in Plan::open(folder)? {
        let planned = planned?;
        let of = contracts.iter().find(|contract| contract.name == planned.contract);
        let there = |contract: &&Arc<Contract>| {
            contract.sources.projection.database().is_some_and(|other| is_same(other, database))
        };
        let Some(contract) = of.filter(there) else { continue };
        bytes += planned.line.len();
        if chosen.len() >= MOST || (bytes > most_bytes && !chosen.is_empty()) {
            left += 1;
            continue;
        }
        let action = Action::parse(&planned.line).map_err(io::Error::other)?;
        chosen.push(Chosen { contract, action, personal: std::collections::BTreeSet::new() });
    }
    Ok((!chosen.is_empty()).then_some((chosen, left)))
}

fn one(folder: &Path, files: &[String; 2], database: &Database, run_id: &str, chosen: &[Chosen<'_>]) -> io::Result<()> {
    let mut target = prepare(database, chosen).map_err(|refused| io::Error::other(refused.message))?;
    let create = |name: &str| File::create_new(folder.join(name)).map(BufWriter::new);
    let (mut plan, mut rollback) = (create(&files[0])?, create(&files[1])?);
    scripts(&mut target, &format!("run {run_id}"), chosen, &mut plan, &mut rollback)?;
    plan.flush()?;
    rollback.flush()
}
