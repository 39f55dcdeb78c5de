//! The command lines of `reconcile audit`, as data.

use clap::Args;

use super::super::Reports;

/// `reconcile audit verify`.
#[derive(Debug, Clone, Default, Args)]
pub struct AuditVerify {
    /// A minisign public key (its text, or the file of it) that must have signed every run and every line; may be given more
    /// than once, where keys were changed
    #[arg(long = "key", value_name = "PUBLIC_KEY")]
    pub keys: Vec<String>,

    /// Where runs were written.
    #[command(flatten)]
    pub reports: Reports,
}
