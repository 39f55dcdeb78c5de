//! `divergences.parquet`, written as the divergences are found.
