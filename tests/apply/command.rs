//! `reconcile apply` as its user calls it.
