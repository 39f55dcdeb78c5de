//! Reaches databases: who connects, with which password, over which TLS, and how each dialect quotes names and values.
//! Reads no rows to compare and decides nothing about them; no secret leaves it.

pub mod dialect;
pub mod refused;
#[cfg(feature = "sqlite")]
pub mod sqlite;
