//! The crossing from arrow-rs to polars through the Arrow C data interface, without copying; the only `unsafe` code.
//!
//! Both crates generate the structs of the interface from the same C definition
//! (<https://arrow.apache.org/docs/format/CDataInterface.html>), so one may be read as the other.

use arrow::array::{Array, ArrayRef};
use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema, to_ffi};
use polars::prelude::{PlSmallStr, Series};
use polars_arrow::ffi::{ArrowArray, ArrowSchema, import_array_from_c, import_field_from_c};

const _: () = {
    assert!(size_of::<FFI_ArrowArray>() == size_of::<ArrowArray>());
    assert!(size_of::<FFI_ArrowSchema>() == size_of::<ArrowSchema>());
    assert!(align_of::<FFI_ArrowArray>() == align_of::<ArrowArray>());
    assert!(align_of::<FFI_ArrowSchema>() == align_of::<ArrowSchema>());
};

/// Hands a column to polars.
///
/// # Errors
/// A type that polars does not have.
#[expect(unsafe_code, reason = "the C data interface is how the two Arrow implementations meet")]
pub(super) fn to_polars(name: &str, column: &ArrayRef) -> Result<Series, String> {
    let (array, schema) = to_ffi(&column.to_data()).map_err(|error| format!("column `{name}`: {error}"))?;
    let said = |error: polars::error::PolarsError| format!("column `{name}`: {error}");
    // SAFETY: both are `repr(C)` mirrors of the interface's structs, of equal size and alignment (asserted above). Each is
    // moved, not copied: `transmute` consumes the arrow-rs value, so that its release callback is called once, by polars.
    let (array, schema): (ArrowArray, ArrowSchema) = unsafe {
        let array = std::mem::transmute::<FFI_ArrowArray, ArrowArray>(array);
        (array, std::mem::transmute::<FFI_ArrowSchema, ArrowSchema>(schema))
    };
    // SAFETY: the structs come from `to_ffi`, which makes valid ones.
    let field = unsafe { import_field_from_c(&schema) }.map_err(said)?;
    // SAFETY: as above, and the type is the one that was exported with the array.
    let array = unsafe { import_array_from_c(array, field.dtype) }.map_err(said)?;
    Series::try_from((PlSmallStr::from(name), array)).map_err(said)
}
