//! Tells formats by names, and foreign content by its first bytes. Never guesses a format from content.

use crate::contract::Format;

use super::Error;
use super::file::SourceFile;

/// How a file is compressed as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    /// Not at all.
    None,
    /// gzip, of one member or several.
    Gzip,
    /// Zstandard, of one frame or several.
    Zstd,
}

/// What a file's name says: the format, where the extension is known, and the compression.
pub(super) fn by_name(name: &str) -> (Option<Format>, Compression) {
    let lower = name.to_ascii_lowercase();
    let mut parts = lower.rsplit('.');
    let mut last = parts.next().unwrap_or_default();
    let compression = match last {
        "gz" | "gzip" => Compression::Gzip,
        "zst" | "zstd" => Compression::Zstd,
        _ => Compression::None,
    };
    if compression != Compression::None {
        last = parts.next().unwrap_or_default();
    }
    // A name without a dot has no extension: its only part is the stem.
    if parts.next().is_none() {
        return (None, compression);
    }
    let format = match last {
        "parquet" | "pq" => Some(Format::Parquet),
        "arrow" | "ipc" | "feather" | "arrows" => Some(Format::Arrow),
        "csv" => Some(Format::Csv),
        "tsv" | "tab" => Some(Format::Tsv),
        "ndjson" | "jsonl" => Some(Format::Ndjson),
        "json" => Some(Format::Json),
        _ => None,
    };
    (format, compression)
}

/// The extensions that tell a format, for messages.
pub(super) const EXTENSIONS: &str = ".parquet .pq .arrow .ipc .feather .arrows .csv .tsv .tab .ndjson .jsonl .json, \
                                     and all but Parquet also with .gz or .zst";

/// What a format is called in messages.
pub(super) fn called(format: Format) -> &'static str {
    match format {
        Format::Parquet => "a Parquet file",
        Format::Arrow => "an Arrow IPC file or stream",
        Format::Csv => "CSV text",
        Format::Tsv => "TSV text",
        Format::Ndjson => "a JSON object a line",
        Format::Json => "a JSON array of objects",
    }
}

/// What the first bytes of a file give away, if they do.
pub(super) fn foreign(head: &[u8]) -> Option<&'static str> {
    const MAGIC: &[(&[u8], &str)] = &[
        (b"PAR1", "a Parquet file"),
        (b"PARE", "an encrypted Parquet file"),
        (b"ARROW1", "an Arrow IPC file"),
        (b"FEA1", "a Feather V1 file"),
        (b"\xFF\xFF\xFF\xFF", "an Arrow IPC stream"),
        (b"\x1F\x8B", "gzip data"),
        (b"\x28\xB5\x2F\xFD", "Zstandard data"),
        (b"BZh", "bzip2 data"),
        (b"\xFD7zXZ\0", "xz data"),
        (b"PK\x03\x04", "a zip archive or spreadsheet"),
        (b"Obj\x01", "an Avro file"),
        (b"ORC", "an ORC file"),
        (b"SQLite format 3\0", "a SQLite database"),
        (b"%PDF", "a PDF document"),
    ];
    MAGIC.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, name)| *name)
}

/// The first bytes as a message may show them.
pub(super) fn begins_with(head: &[u8]) -> String {
    if let Some(name) = foreign(head) {
        return format!("is {name}");
    }
    let shown: String =
        head.iter().take(8).flat_map(|byte| std::ascii::escape_default(*byte)).map(char::from).collect();
    format!("begins with `{shown}`")
}

/// The error for a file that is not what its name or `format` says.
pub(super) fn not(file: &SourceFile, head: &[u8], format: Format, compression: Compression) -> Error {
    let expected = match compression {
        Compression::None => called(format).to_owned(),
        Compression::Gzip => format!("{} in gzip", called(format)),
        Compression::Zstd => format!("{} in Zstandard", called(format)),
    };
    file.error(format!("{}, expected {expected}", begins_with(head)))
        .with_hint("give the file the extension of its content, or say `format`")
}
