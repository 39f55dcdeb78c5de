//! The key that signs what enters the ledger, opened before a command does anything else. How is `history`'s business.

use std::sync::Arc;

use super::failure::{self, Failure};
use super::outcome::ambient_limit;
use super::{Global, configuration};
use crate::contract::{Contract, Sign};
use crate::history::Signer;

/// The signer that `[run.sign]` asks for; None where it asks for none.
pub(super) fn signer(
    sign: Option<&Sign>,
    contracts: &[Arc<Contract>],
    memory_limit: Option<u64>,
) -> Result<Option<Arc<Signer>>, Failure> {
    let Some(sign) = sign else { return Ok(None) };
    let opened = Signer::open(sign, memory_limit).map_err(|error| {
        // The path may have come from the environment; all contracts of a file know of the same variables.
        let said = failure::plain(&error);
        let said = contracts.first().map_or(said.clone(), |contract| contract.secrets.redact(&said).into_owned());
        Failure::with_hint(
            format!("run.sign: {said}"),
            "nothing was done; a run that is to be signed is not published without a signature",
        )
    })?;
    Ok(Some(Arc::new(opened)))
}

/// The signer of the contract file where there is one, for commands that work without one too.
pub(super) fn of_file(global: &Global, reports_named: bool) -> Result<Option<Arc<Signer>>, Failure> {
    match configuration::present(global, reports_named)? {
        None => Ok(None),
        Some(configuration) => {
            let memory_limit = global.memory_limit.or(configuration.run.memory_limit).or_else(ambient_limit);
            signer(configuration.run.sign.as_ref(), &configuration.contracts, memory_limit)
        }
    }
}
