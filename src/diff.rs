//! Digests of two sides to differences.
