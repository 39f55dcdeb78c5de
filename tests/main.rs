//! The one integration binary, so that the engine is linked once. Each module says what it holds the product to.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

/// Counts what the engine asks of it, for `work`.
#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

/// A temp folder, the binary, and one assertion that shows everything it said.
mod support;

/// The binary in a terminal: its screen, keys, and size.
mod terminal;

/// Real database servers, started and stopped by the tests themselves.
mod servers;

/// Every folder of `fixtures/scenarios` does what its hand-written counts and its recorded output say.
mod scenarios;

/// No output and no file repeats what came from the environment.
mod secrets;

/// Nor personal data that came in by another way than as a value that is compared.
mod personal;

/// What a newcomer sees in the first minute: `reconcile.toml` at the root, against truths counted elsewhere.
mod newcomer;

/// What `check` says of owners, and the map of contexts.
mod entitlement;

/// `init` finds the estate's keys and pairs again, and what it writes passes `check` and runs.
mod init;

/// One test for each exit status, through the binary.
mod exit_status;

/// A run over some keys does not pass for one over all.
mod narrowed;

/// What to do next, and what was left out.
mod advice;

/// `latest` is the ledger's newest run.
mod newest;

/// What is printed, what is written elsewhere, and what is said on stderr, each in its place.
mod outputs;

/// Every bad input gets one clear message, status 2, and leaves nothing half-written.
mod bad_input;

/// What somebody new types wrongly is answered with what to do.
mod wrong_ways;

/// A signal at any moment leaves a run whole or absent.
mod signals;

/// Signed runs, with the keys and the checks of `minisign`.
mod signing;

/// Proofs, archives, the documented walk, and a run done again.
mod evidence;

/// `--memory-limit` is kept, and nothing spilled is left behind.
mod memory;

/// How much the engine asks of the allocator for a row.
mod work;

/// What many divergences have in common is said once, and the option that is proposed settles it.
mod causes;
/// Where divergences lie is said where it is no chance.
mod whereabouts;

/// What is kept between runs never changes a result, and spares the reading of what is unchanged.
mod cache;

/// The old copy beside the new one: which of them is right, against a plain map.
mod baseline;
/// Control totals, invariants and rules where a scenario folder cannot show it.
mod controls;
/// Markers, tombstones and the window, where more than one run or one file is needed to see them.
mod lag;
/// What other sources own, hold and map is read, said, and never mistaken for agreement.
mod owners;

/// `audit verify` and `audit prune` through the binary.
mod audit;

/// What is new, recurs or is resolved, and what `history` and `explain RUN KEY` tell.
mod history;
/// Divergences go out to people, and their decisions come back.
mod review;

/// A person looks through a run on the terminal.
mod browse;
/// Bars on a terminal, lines in a log, nothing left behind.
mod progress;

/// When `parity` lets a cutover go on.
mod parity;

/// What is served by itself is served together.
mod combinations;

/// Defects that were found and mended.
mod regression;

/// The engine against a comparison in thirty obvious lines, over random tables.
mod oracle;

/// PostgreSQL as a source, on a real server.
mod postgres;
/// Every type of PostgreSQL, against the page that lists them.
mod postgres_types;

/// The engine as tests of its ways call it.
mod engine;

/// Sources in the order of their keys are merged, and say the same.
mod merged;

/// Where most rows differ, telling them says what keeping them says.
mod told;

/// Sums of segments in a database say what reading every row says.
mod pushdown;

/// What differs is read again, and only what stands is a divergence.
mod recheck;

/// What a database hides, cuts short or makes up anew is never taken for agreement.
mod truth;

/// Going on from a run that was cut off.
mod resume;

/// MariaDB against text and itself.
#[cfg(feature = "mysql")]
mod mariadb;

/// Client certificates, as both servers ask for them.
#[cfg(all(feature = "postgres", feature = "mysql"))]
mod certificates;

/// How servers are reached and spared.
#[cfg(all(feature = "postgres", feature = "mysql"))]
mod gentle;

/// Every pair of systems, both ways round, on one table of types.
#[cfg(all(feature = "postgres", feature = "mysql", feature = "sqlite"))]
mod databases_pairs;

/// SQLite files against text and each other.
#[cfg(feature = "sqlite")]
mod sqlite;

/// The corpora of the fuzz targets, as ordinary tests.
mod corpus;

/// The examples of how the job is operated are what their systems accept.
mod operating;

/// The documents as a book: pages, links, and the words that `explain` knows.
mod book;
/// Every example of a contract file is accepted, and every option has one.
mod examples;
/// The manual pages, as they are rendered.
mod manual;
/// The quick start, line by line.
mod quickstart;

/// What machines read is what its published schema says.
mod formats;

/// Collectors, pipelines, catalogues and webhooks are told of a run, and none of them changes it.
mod machines;

/// Processors that lack what the build needs.
mod processors;

/// Alert rules and dashboard, against the metrics of real runs.
mod monitoring;

/// A server that takes what is sent.
mod receiver;

/// The page of a run and the page over all runs, in a real browser.
mod page;

/// Rules about the code, its documents and its fixtures.
mod tidy;

/// Plans are applied to databases, once, and undone to the byte.
mod apply;
