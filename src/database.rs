//! Reaches databases: who connects, with which password, over which TLS, and how each dialect quotes names and values.
//! Reads no rows to compare and decides nothing about them; no secret leaves it.

pub mod dialect;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod identity;
#[cfg(feature = "mysql")]
pub mod mysql;
mod native;
mod place;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
pub mod refused;
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(crate) mod runtime;
#[cfg(feature = "sqlite")]
pub mod sqlite;

pub use native::{Native, SQLITE_LANE, SQLITE_MD5};
pub use place::place;
