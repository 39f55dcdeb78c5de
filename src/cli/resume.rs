//! `reconcile run --resume RUN`: the run that was cut off, held against the contracts and settings of now. What does not fit is
//! refused before anything is compared; all problems are told at once.

use std::io;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::audit::reproduce::row_filter;
use super::failure::{self, Failure, HOW_RUNS_ARE_NAMED};
use super::{Comparison, Run};
use crate::audit::{Audit, ContractAudit, Kept, Recorder, Resumed};
use crate::contract::{Configuration, Contract};
use crate::history::{self, CutOff, NoSuchRun};
use crate::run::Earlier;

/// The run that is gone on with.
#[derive(Debug)]
pub(super) struct Resume {
    cut_off: CutOff,
    /// Contracts whose lines cannot be told again as they were.
    untellable: std::collections::BTreeMap<String, String>,
}

/// What to do where a run cannot be gone on with.
const ANEW: &str = "`reconcile run` compares everything anew";

/// Reads the run and finds its contracts, narrowed as it was.
pub(super) fn prepare(
    run: &str,
    options: &Run,
    configuration: &Configuration,
    reports: &Path,
) -> Result<(Arc<Resume>, Vec<Arc<Contract>>), Failure> {
    let unreadable = |error: io::Error| {
        let failure = Failure::new(format!("run `{run}` cannot be gone on with: {}", failure::plain(&error)));
        let advice = if NoSuchRun::is(&error) { HOW_RUNS_ARE_NAMED } else { ANEW };
        failure.advised(advice)
    };
    let cut_off = history::cut_off(reports, run).map_err(unreadable)?;
    let then = &cut_off.audit;
    let refused = |problems: Vec<String>| {
        let says = |problem: String| format!("run {} cannot be gone on with: {problem}", then.run_id);
        let problems: Vec<_> = problems.into_iter().flat_map(|problem| Failure::new(says(problem)).problems).collect();
        if problems.is_empty() { Ok(()) } else { Err(Failure { problems }.advised(ANEW)) }
    };
    refused(unfit(&cut_off, &options.comparison, configuration))?;
    let file = failure::shown(&configuration.file);
    let (mut contracts, mut problems) = (Vec::new(), Vec::new());
    for before in &then.contracts {
        match configuration.contracts.iter().find(|contract| contract.name == before.name) {
            None => problems.push(format!("contract \"{}\" is not in {file}", before.name)),
            Some(contract) => {
                problems.extend(cut_off.unlike(contract));
                contracts.push(Arc::clone(contract));
            }
        }
    }
    refused(problems)?;
    let narrowed = row_filter(then, &contracts, options.comparison.row_filter.as_deref());
    match narrowed {
        Err(problem) => refused(vec![problem])?,
        Ok(None) => {}
        Ok(Some(row_filter)) => {
            for contract in &mut contracts {
                Arc::make_mut(contract).row_filter = Some(row_filter.clone());
            }
        }
    }
    let untellable = cut_off.untellable().map_err(unreadable)?;
    Ok((Arc::new(Resume { cut_off, untellable }), contracts))
}

/// In what the run does not fit the command line, the contract file and this program.
fn unfit(cut_off: &CutOff, comparison: &Comparison, configuration: &Configuration) -> Vec<String> {
    let then = &cut_off.audit;
    let mut problems = Vec::new();
    if then.command != "run" {
        problems.push("it is of no contract file".to_owned());
    }
    if cut_off.tool_version != env!("CARGO_PKG_VERSION") {
        problems.push(format!(
            "it was written by version {}, and this is version {}",
            cut_off.tool_version,
            env!("CARGO_PKG_VERSION")
        ));
    }
    if !cut_off.same_digest_format {
        problems.push("its digests are of another format than those of this version".to_owned());
    }
    let planned = then.settings.get("plan").is_none_or(|plan| plan != "false");
    match (planned, comparison.no_plan) {
        (false, false) => problems.push("it drafted no plan: say `--no-plan` again".to_owned()),
        (true, true) => problems.push("it drafted a plan: leave `--no-plan` out".to_owned()),
        _ => {}
    }
    match (cut_off.is_signed, configuration.run.sign.is_some()) {
        (true, false) => problems.push("it is signed, and this run would not be".to_owned()),
        (false, true) => problems.push("it is not signed, and this run would sign what nobody signed then".to_owned()),
        _ => {}
    }
    problems
}

impl Resume {
    /// For the record of the run that goes on.
    pub(super) fn resumed(&self) -> Resumed {
        Resumed { run_id: self.cut_off.audit.run_id.clone(), manifest: self.cut_off.manifest.clone() }
    }

    /// Puts it into the record of the run that goes on.
    pub(super) fn note(&self, audit: &mut Audit) {
        audit.resumed = Some(self.resumed());
        audit.settings.extend(self.narrowed().map(|narrowed| ("where".to_owned(), narrowed.clone())));
    }

    /// `--where` of the run, as it was recorded.
    pub(super) fn narrowed(&self) -> Option<&String> {
        self.cut_off.audit.settings.get("where")
    }
}

impl Earlier for Resume {
    fn run_id(&self) -> &str {
        &self.cut_off.audit.run_id
    }

    fn started_at(&self) -> Timestamp {
        self.cut_off.audit.started_at
    }

    fn found(&self, contract: &str) -> Option<&ContractAudit> {
        self.cut_off.found(contract).filter(|_| !self.untellable.contains_key(contract))
    }

    fn tell(&self, contract: &str, recorder: &mut dyn Recorder) -> io::Result<()> {
        self.cut_off.tell(contract, recorder)
    }

    fn kept(&self, contract: &str) -> Option<&Kept> {
        self.cut_off.kept(contract)
    }
}
