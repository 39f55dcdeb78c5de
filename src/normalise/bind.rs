//! Where the contract meets the schemas: which columns are compared, and as what.

use super::{BindError, BindRequest, Binding};

/// Decides for every attribute its two columns and its comparison, before the first row is read.
///
/// # Errors
/// What makes the contract impossible to compare at all: all such complaints, not only the first.
pub fn bind(request: BindRequest<'_>) -> Result<Binding, Vec<BindError>> {
    let _ = request;
    todo!()
}
