//! What help says after the options: examples, which a test parses, and the exit statuses.

use super::ExitStatus;

const RUN: &str = "\
Examples:
  reconcile run
  reconcile run crm-policy-view --format json
  reconcile run --tag nightly --out /var/lib/reconcile --memory-limit 4GiB
  reconcile run crm-policy-view --where \"policy_status = 'Active'\" --limit 100

Spilled data goes to the folder that TMPDIR names.
";

const DIFF: &str = "\
Examples:
  reconcile diff authority.parquet projection.csv --key policy_id
  reconcile diff 'new/*.parquet' old/ --key country,code --tolerance lat=0.00001
  reconcile diff a.csv b.csv --key '\"id, old\"' --map premium=premium_amount --ignore 'etl_*'
  reconcile diff a.ndjson b.json --no-key --format ndjson
  reconcile diff a.csv b.csv                  # without a key: proposes some
";

pub(super) const CHECK: &str = "\
Examples:
  reconcile check
  reconcile check --sources
  reconcile check --config contracts/billing.toml --format json

Exit status: 0 no problem, 2 at least one.
";

pub(super) const CONTRACTS: &str = "\
Examples:
  reconcile contracts
  reconcile contracts --format json
  reconcile contracts --map > contexts.mmd
  reconcile contracts --map=dot | dot -Tsvg -o contexts.svg
  reconcile contracts --reports /var/lib/reconcile
";

pub(super) const EXPLAIN: &str = "\
Examples:
  reconcile explain
  reconcile explain missing
  reconcile explain rule:large-premium-gap
  reconcile explain unverified
  reconcile explain latest 1042
  reconcile explain latest '{\"country\":\"IT\",\"code\":7}'
";

pub(super) const REPORT: &str = "\
Examples:
  reconcile report latest
  reconcile report latest --open
  reconcile report 20261121T072500 --format markdown
  reconcile report latest --reports /var/lib/reconcile --limit 100

The exit status is that of the run which is shown.
";

pub(super) const BROWSE: &str = "\
Examples:
  reconcile browse
  reconcile browse 20261121T072500
  reconcile browse latest --reports /var/lib/reconcile

Exit status: 0 left, 2 the run or the terminal cannot be shown, 130 Ctrl-C.
";

pub(super) const AUDIT: &str = "\
Examples:
  reconcile audit verify
  reconcile audit verify --reports /var/lib/reconcile
  reconcile audit export latest --out evidence.tar
  reconcile audit reproduce latest
  reconcile audit prune --keep-days 90 --dry-run

Exit status: each command has its own; `audit verify`: 0 unchanged, 1 something was changed, 2 could not be read.
";

const AUDIT_VERIFY: &str = "\
Examples:
  reconcile audit verify
  reconcile audit verify --reports /var/lib/reconcile
  reconcile audit verify --format json
  reconcile audit verify --key minisign.pub --key earlier.pub
  reconcile audit verify --key minisign.pub --signed-from 41

Exit status:
    0  nothing was changed
    1  something was changed, is missing, came in another order, or is not signed by a given key
    2  something could not be read
";

pub(super) const AUDIT_PROVE: &str = "\
Examples:
  reconcile audit prove latest --out proof.json
  reconcile audit prove 20261121T072500 --line 40
  reconcile audit prove --since 12 --out continued.json
  reconcile audit verify --proof proof.json --key minisign.pub
";

pub(super) const AUDIT_EXPORT: &str = "\
Examples:
  reconcile audit export latest
  reconcile audit export 20261121T072500 --out evidence.tar --key minisign.pub
";

pub(super) const AUDIT_REPRODUCE: &str = "\
Examples:
  reconcile audit reproduce latest
  reconcile audit reproduce 20261121T072500 --threads 1 --format json

Exit status:
    0  the same divergences.parquet, the same table digests, the same figures
    1  something came out otherwise, and is named
    2  it could not be done again: an input or a contract has changed, or the run was changed or stopped
";

pub(super) const AUDIT_PRUNE: &str = "\
Examples:
  reconcile audit prune --keep-days 90 --dry-run
  reconcile audit prune --keep-runs 100
  reconcile audit prune --keep-runs 30 --keep-days 365
";

pub(super) const PLAN: &str = "\
Examples:
  reconcile plan
  reconcile plan 20261121T072500 --safety review --kind missing
  reconcile plan latest --severity critical --contract crm-policy-view --format ndjson
";

pub(super) const APPLY: &str = "\
Examples:
  reconcile apply latest
  reconcile apply latest --execute --only missing --max-actions 100
  reconcile apply latest --out repaired.csv
  reconcile apply --rollback latest --execute

Exit status:
    0  all was done, or would be
    1  some was skipped, or still diverges
    2  failed or refused
";

pub(super) const REVIEW: &str = "\
Examples:
  reconcile review export --out review.csv
  reconcile review import review.csv --who amy
";

pub(super) const REVIEW_EXPORT: &str = "\
Examples:
  reconcile review export --out review.csv
  reconcile review export 20261121T072500 --contract crm-policy-view --all

Decisions: accept-authority, accept-projection, ignore-until YYYY-MM-DD, fix-elsewhere; reopen takes one back.
";

pub(super) const REVIEW_IMPORT: &str = "\
Examples:
  reconcile review import review.csv
  reconcile review import review.csv --who amy

Exit status: 0 taken in, 2 refused, and then nothing was taken in.
";

pub(super) const SCHEMA: &str = "\
Examples:
  reconcile schema
  reconcile schema > reconcile.schema.json
";

pub(super) const COMPLETIONS: &str = "\
Examples:
  reconcile completions bash > ~/.local/share/bash-completion/completions/reconcile
  reconcile completions zsh > ~/.zfunc/_reconcile
  reconcile completions fish > ~/.config/fish/completions/reconcile.fish
";

pub(super) const MAN: &str = "\
Examples:
  reconcile man | man -l -
  reconcile man --out ~/.local/share/man/man1
";

pub(super) const INIT: &str = "\
Examples:
  reconcile init authority.parquet projection.csv
  reconcile init 'policy_admin/*.parquet' crm/policies.ndjson --name crm-policies --out contracts/crm.toml
  reconcile init a.csv b.csv --force

Exit status: 0 written, 2 not.
";

pub(super) const PARITY: &str = "\
Examples:
  reconcile parity crm-policy-view
  reconcile parity crm-policy-view --format json
  reconcile parity crm-policy-view --reports /var/lib/reconcile

Exit status:
    0  ready: every condition is met
    1  not yet: what is missing is said, a line a condition
    2  cannot tell: no runs, no gate, or something was changed
";

pub(super) const HISTORY: &str = "\
Examples:
  reconcile history
  reconcile history crm-policy-view --last 100 --format json
  reconcile history --ascii --reports /var/lib/reconcile

Exit status: 0 all runs could be read, 2 some were changed or are missing.
";

const TOP: &str = "\
Examples:
  reconcile run
  reconcile diff authority.parquet projection.csv --key policy_id
  reconcile explain missing
";

/// After the help of `reconcile` itself.
pub(super) fn top() -> String {
    format!("{TOP}\n{}", exit_statuses())
}

/// After the help of `run`.
pub(super) fn run() -> String {
    format!("{RUN}\n{}", exit_statuses())
}

/// After the help of `diff`.
pub(super) fn diff() -> String {
    format!("{DIFF}\n{}", exit_statuses())
}

/// After the help of `audit verify`.
pub(super) fn audit_verify() -> String {
    AUDIT_VERIFY.to_owned()
}

/// The table of exit statuses, from the one place that knows them.
pub(super) fn exit_statuses() -> String {
    let mut table = "Exit status:\n".to_owned();
    for status in ExitStatus::ALL {
        table.push_str(&format!("  {:>3}  {}\n", status.code(), status.sentence()));
    }
    table
}
