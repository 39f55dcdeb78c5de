//! Runs and the hash-chained ledger: publishes a run folder whole or not at all, appends its line, proves both unchanged.
