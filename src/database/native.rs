//! What a column is in its database, where a checksum can be computed of it there: only types whose values have one text
//! in every system. All others are read.

/// A type of a database whose values the database can write as every other one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Native {
    /// Whole numbers of any width, with or without sign.
    Integer,
    /// Exact decimals, with or without a declared scale.
    Decimal,
    /// True and false, as a type of its own.
    Boolean,
    /// Text without padding.
    Text,
    /// Bytes without padding.
    Bytes,
    /// Days.
    Date,
    /// Dates and times without zone, to the microsecond.
    Local,
    /// Instants, to the microsecond.
    Instant,
    /// UUIDs.
    Uuid,
}

/// A function that connections to SQLite are given: the MD5 of UTF-8 text as hexadecimal digits, NULL of anything else.
pub const SQLITE_MD5: &str = "reconcile_md5";
/// Another: the number that eight hexadecimal digits from a place are.
pub const SQLITE_LANE: &str = "reconcile_lane";
