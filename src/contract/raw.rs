//! The TOML as it is written: every field optional, spans kept.
