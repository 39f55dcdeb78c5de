//! `reconcile run`: which contracts, with which settings. The batch itself is carried out in `outcome`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::failure::{self, Failure, nearest};
use super::outcome::{Batch, carry_out};
use super::{ExitStatus, Global, Run, configuration, contracts, resume};
use crate::cache;
use crate::console::Console;
use crate::contract::{Configuration, Contract, Problem};

pub(super) fn run(options: &Run, global: &Global, console: &mut Console) -> Result<ExitStatus, Failure> {
    let configuration = configuration::load(global)?;
    let reports = options.comparison.out.clone().unwrap_or_else(|| configuration.run.reports.clone());
    let (resume, contracts) = match &options.resume {
        Some(run) => {
            let (resume, contracts) = resume::prepare(run, options, &configuration, &reports)?;
            (Some(resume), contracts)
        }
        None => (None, chosen(&configuration, options)?),
    };
    let mut shown = BTreeMap::from([("config".to_owned(), failure::shown(&configuration.file))]);
    if !options.contracts.is_empty() {
        shown.insert("contracts".to_owned(), options.contracts.join(", "));
    }
    if !options.tags.is_empty() {
        shown.insert("tags".to_owned(), options.tags.join(", "));
    }
    if let Some(resume) = &resume {
        shown.insert("resume".to_owned(), resume.resumed().run_id);
    }
    let mut tell = configuration.run.tell.clone();
    tell.notify = tell.notify.filter(|_| !options.no_notify);
    let batch = Batch {
        command: "run",
        tell,
        whole: match &resume {
            Some(resume) => resume.narrowed().is_none() && contracts.len() == configuration.contracts.len(),
            None => options.contracts.is_empty() && options.tags.is_empty(),
        },
        contracts,
        resume,
        cache: Some(configuration.run.cache.clone().unwrap_or_else(|| reports.join(cache::FOLDER))),
        reports: Some(reports),
        threads: super::values::threads(global.threads).unwrap_or(configuration.run.threads),
        memory_limit: global.memory_limit.or(configuration.run.memory_limit),
        comparison: &options.comparison,
        shown,
        warnings: configuration.warnings.iter().map(failure::line).collect(),
        pii_key: configuration.run.pii_key,
        cadences: configuration.contracts.iter().map(|contract| contracts::cadence(contract)).collect(),
        contract_files: configuration.files,
        sign: configuration.run.sign,
    };
    carry_out(batch, global, console)
}

/// The contracts that were asked for, narrowed by `--where`.
fn chosen(configuration: &Configuration, options: &Run) -> Result<Vec<Arc<Contract>>, Failure> {
    let mut contracts = select(configuration, options)?;
    if let Some(row_filter) = &options.comparison.row_filter {
        for contract in &mut contracts {
            Arc::make_mut(contract).row_filter = Some(row_filter.clone());
        }
    }
    Ok(contracts)
}

/// The contracts that were named or carry a tag that was named; all of them where nothing was. What was asked for and is
/// not there is an error, never less work.
fn select(configuration: &Configuration, options: &Run) -> Result<Vec<Arc<Contract>>, Failure> {
    let all = &configuration.contracts;
    let names: BTreeSet<&str> = all.iter().map(|contract| contract.name.as_str()).collect();
    let tags: BTreeSet<&str> = all.iter().flat_map(|contract| &contract.tags).map(String::as_str).collect();
    let mut problems = Vec::new();
    for name in options.contracts.iter().filter(|name| !names.contains(name.as_str())) {
        problems.push(unknown(configuration, &format!("contract \"{name}\""), name, &names));
    }
    for tag in options.tags.iter().filter(|tag| !tags.contains(tag.as_str())) {
        problems.push(unknown(configuration, &format!("--tag \"{tag}\""), tag, &tags));
    }
    if all.is_empty() {
        problems.push(Problem {
            file: Some(configuration.file.clone()),
            message: "has no contract, expected at least one `[contract.NAME]`".to_owned(),
            ..Problem::default()
        });
    }
    if !problems.is_empty() {
        return Err(Failure { problems });
    }
    let everything = options.contracts.is_empty() && options.tags.is_empty();
    let chosen = |contract: &&Arc<Contract>| {
        everything
            || options.contracts.contains(&contract.name)
            || contract.tags.iter().any(|tag| options.tags.contains(tag))
    };
    Ok(all.iter().filter(chosen).cloned().collect())
}

fn unknown(configuration: &Configuration, about: &str, word: &str, known: &BTreeSet<&str>) -> Problem {
    let known_list: Vec<&str> = known.iter().copied().collect();
    // Tags may have come from the environment; all contracts of a file know of the same variables.
    let secrets = configuration.contracts.first().map(|contract| contract.secrets.clone()).unwrap_or_default();
    let there_are = if known.is_empty() { "none".to_owned() } else { known_list.join(", ") };
    Problem {
        file: Some(configuration.file.clone()),
        about: Some(about.to_owned()),
        message: secrets.redact(&format!("is not in the file (there are: {there_are})")).into_owned(),
        hint: nearest(word, known.iter().copied()).map(|hint| secrets.redact(&hint).into_owned()),
        ..Problem::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::contracts::tests::{configuration, contract};

    fn selected(names: &[&str], tags: &[&str]) -> Result<Vec<String>, Vec<String>> {
        let mut nightly = contract("orders");
        nightly.tags = vec!["nightly".to_owned()];
        let mut hourly = contract("payments");
        hourly.tags = vec!["hourly".to_owned(), "money".to_owned()];
        let configuration = configuration(vec![nightly, hourly, contract("stock")]);
        let options = Run {
            contracts: names.iter().map(ToString::to_string).collect(),
            tags: tags.iter().map(ToString::to_string).collect(),
            ..Run::default()
        };
        select(&configuration, &options)
            .map(|contracts| contracts.iter().map(|contract| contract.name.clone()).collect())
            .map_err(|failure| failure.problems.iter().map(failure::line).collect())
    }

    #[test]
    fn contracts_are_chosen_by_name_by_tag_or_all() {
        let cases: [(&[&str], &[&str], &[&str]); 5] = [
            (&[], &[], &["orders", "payments", "stock"]),
            (&["stock"], &[], &["stock"]),
            (&[], &["money"], &["payments"]),
            (&["stock"], &["nightly"], &["orders", "stock"]),
            (&["stock", "stock"], &[], &["stock"]),
        ];
        for (names, tags, expected) in cases {
            assert_eq!(selected(names, tags).unwrap(), expected, "{names:?} {tags:?}");
        }
    }

    #[test]
    fn every_unknown_name_is_said_at_once() {
        let problems = selected(&["order", "stock"], &["weekly"]).unwrap_err();
        assert_eq!(
            problems,
            [
                "reconcile.toml: contract \"order\": is not in the file (there are: orders, payments, stock)",
                "reconcile.toml: --tag \"weekly\": is not in the file (there are: hourly, money, nightly)",
            ]
        );
    }
}
