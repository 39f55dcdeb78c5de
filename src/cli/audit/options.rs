//! The command lines of `reconcile audit`, as data.

use std::path::PathBuf;

use clap::Args;

use super::super::Reports;

/// `reconcile audit verify`.
#[derive(Debug, Clone, Default, Args)]
pub struct AuditVerify {
    /// A minisign public key (its text, or the file of it) that must have signed every run and every line; may be given more
    /// than once, where keys were changed
    #[arg(long = "key", value_name = "PUBLIC_KEY")]
    pub keys: Vec<String>,

    /// With `--key`: the number of the first line that had to be signed; those before it are from before signing was switched
    /// on. Keep it with the key: what the ledger says of itself proves nothing
    #[arg(long, value_name = "N", requires = "keys", conflicts_with = "proof", value_parser = clap::value_parser!(u64).range(1..))]
    pub signed_from: Option<u64>,

    /// Check this proof of `audit prove` instead of the folder of runs
    #[arg(long, value_name = "FILE")]
    pub proof: Option<PathBuf>,

    /// With `--proof`: the Merkle root that was kept elsewhere, in hex; of a proof of two lines that of either
    #[arg(long, value_name = "DIGEST", requires = "proof")]
    pub root: Option<String>,

    /// With `--proof`: the run's folder, whose files are held against the proof
    #[arg(long, value_name = "FOLDER", requires = "proof")]
    pub run: Option<PathBuf>,

    /// Where runs were written.
    #[command(flatten)]
    pub reports: Reports,
}

/// `reconcile audit prove`.
#[derive(Debug, Clone, Default, Args)]
pub struct Prove {
    /// A run id (also of a run that was pruned), the start of one, `latest`, or the path of a run folder
    #[arg(value_name = "RUN", required_unless_present = "since", conflicts_with = "since")]
    pub run: Option<String>,

    /// Instead of a run: prove that the ledger continues what stood in the line of this number, with nothing of it changed
    #[arg(long, value_name = "N")]
    pub since: Option<u64>,

    /// The number of the ledger's line whose Merkle root the proof leads to [default: the newest]
    #[arg(long, value_name = "N")]
    pub line: Option<u64>,

    /// The file to write, which must not be there yet [default: stdout]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// The folder of run folders and ledger [default: the contract file's `reports`, or `reports` here]
    #[arg(long, value_name = "DIR")]
    pub reports: Option<PathBuf>,
}

/// `reconcile audit export`.
#[derive(Debug, Clone, Default, Args)]
pub struct Export {
    /// A run id, the start of one, `latest`, or the path of a run folder
    #[arg(value_name = "RUN")]
    pub run: String,

    /// The archive to write, which must not be there yet [default: evidence-RUN.tar]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// A minisign public key (its text, or the file of it) to put in; may be given more than once [default: that of the
    /// contract file's `[run.sign]`]
    #[arg(long = "key", value_name = "PUBLIC_KEY")]
    pub keys: Vec<String>,

    /// The number of the ledger's line whose Merkle root the proof leads to [default: the newest]
    #[arg(long, value_name = "N")]
    pub line: Option<u64>,

    /// The folder of run folders and ledger [default: the contract file's `reports`, or `reports` here]
    #[arg(long, value_name = "DIR")]
    pub reports: Option<PathBuf>,
}

/// `reconcile audit reproduce`.
#[derive(Debug, Clone, Default, Args)]
pub struct Reproduce {
    /// A run id, the start of one, `latest`, or the path of a run folder
    #[arg(value_name = "RUN")]
    pub run: String,

    /// The run's predicate, where the run did not record its values because they may be personal
    #[arg(long = "where", value_name = "SQL")]
    pub row_filter: Option<String>,

    /// Where runs were written.
    #[command(flatten)]
    pub reports: Reports,
}
