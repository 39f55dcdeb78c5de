//! The command line as data, and one file per command.
