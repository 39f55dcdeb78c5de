//! Canonical batch to key and row digests.
