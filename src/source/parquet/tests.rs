//! Parquet: row groups, and that no damage is ever silent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use rayon::prelude::*;

use super::super::tests::{cuts, parquet_bytes, read, read_all, read_columns, refusal, sample, source, write};
use super::super::{OpenOptions, Piece, open_cut};

/// The columns with text as it was written, not as views.
fn plain(columns: &[ArrayRef]) -> Vec<ArrayRef> {
    let plain = |column: &ArrayRef| match column.data_type() {
        DataType::Utf8View => cast(column, &DataType::Utf8).unwrap(),
        _ => Arc::clone(column),
    };
    columns.iter().map(plain).collect()
}

#[test]
fn rows_come_back_as_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let batch = sample(1000);
    let path = write(folder.path(), "a.parquet", parquet_bytes(&batch, 300));
    let everything = read(&path).unwrap();
    assert_eq!(plain(everything.batch.columns()), batch.columns());
    let opened = open_cut(&source(&path), &OpenOptions { batch_rows: 7, ..OpenOptions::default() }, cuts(1)).unwrap();
    assert_eq!(opened.files[0].rows, Some(1000));
    let columns = read_columns(&opened, &[0, 3]).unwrap();
    assert_eq!(columns.batch.column(1), batch.column(3));
    assert_eq!(read_columns(&opened, &[]).unwrap().batch.num_rows(), 1000);
    assert_eq!(plain(read_all(&opened).unwrap().batch.columns()), batch.columns());
}

#[test]
fn a_page_that_does_not_decode_costs_the_rest_of_its_row_group_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let batch = sample(1000);
    let mut bytes = parquet_bytes(&batch, 500);
    // The first page header of the first column of the first group.
    bytes[4..40].fill(0xFF);
    let path = write(folder.path(), "a.parquet", bytes);
    let everything = read(&path).unwrap();
    assert_eq!(everything.unreadable.len(), 1);
    assert_eq!(everything.unreadable[0].rows, 500);
    assert!(everything.unreadable[0].place.ends_with("a.parquet, row group 0"), "{:?}", everything.unreadable);
    assert_eq!(everything.batch.columns()[0].to_data(), batch.slice(500, 500).columns()[0].to_data());
}

#[test]
fn every_cut_of_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = parquet_bytes(&sample(20), 10);
    for length in (1..bytes.len()).step_by(37) {
        let path = write(folder.path(), "a.parquet", &bytes[..length]);
        refusal(&path);
    }
}

/// Flips bits of each byte; whatever comes, it is an error, or rows and unreadable rows that the footer counts.
#[test]
fn no_flipped_byte_loses_rows_in_silence() {
    super::super::silence_decoder_panics();
    let bytes = parquet_bytes(&sample(24), 12);
    let folder = tempfile::tempdir().unwrap();
    let refused = AtomicUsize::new(0);
    (0..bytes.len()).into_par_iter().for_each(|offset| {
        for mask in [0xFF_u8, 0x01] {
            let mut flipped = bytes.clone();
            flipped[offset] ^= mask;
            let path = write(folder.path(), &format!("{offset}-{mask}.parquet"), &flipped);
            let Ok(opened) = open_cut(&source(&path), &OpenOptions::default(), cuts(64)) else {
                refused.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            let columns: Vec<usize> = (0..opened.schema.fields().len()).collect();
            for unit in &opened.units {
                let mut rows = 0;
                let mut failed = false;
                match unit.read(&columns) {
                    Ok(pieces) => {
                        for piece in pieces {
                            match piece {
                                Ok(Piece::Rows(batch)) => rows += batch.num_rows() as u64,
                                Ok(Piece::Unreadable(unreadable)) => rows += unreadable.rows,
                                Err(_) => failed = true,
                            }
                        }
                    }
                    Err(_) => failed = true,
                }
                assert!(failed || Some(rows) == unit.rows(), "byte {offset}: {rows} of {:?}", unit.rows());
            }
            std::fs::remove_file(&path).unwrap();
        }
    });
    assert!(refused.into_inner() > 0, "a broken footer is refused");
}

#[test]
fn single_rows_are_those_of_the_whole_reading() {
    let folder = tempfile::tempdir().unwrap();
    let batch = sample(1000);
    let path = write(folder.path(), "a.parquet", parquet_bytes(&batch, 300));
    let opened = open_cut(&source(&path), &OpenOptions::default(), cuts(1)).unwrap();
    let [unit] = opened.units.as_slice() else { panic!("small row groups are one unit") };
    for rows in [vec![], vec![0], vec![999], vec![299, 300, 301], (0..1000).step_by(7).collect(), (0..1000).collect()] {
        let mut found = Vec::new();
        for piece in unit.read_rows(&[0, 1], &rows).unwrap().unwrap() {
            let Piece::Rows(piece) = piece.unwrap() else { panic!("all rows can be read") };
            found.push(piece);
        }
        let schema = opened.schema.project(&[0, 1]).unwrap().into();
        let found = arrow::compute::concat_batches(&schema, &found).unwrap();
        let offsets = arrow::array::UInt64Array::from(rows);
        let expected = arrow::compute::take_record_batch(&batch.project(&[0, 1]).unwrap(), &offsets).unwrap();
        assert_eq!(plain(found.columns()), expected.columns());
    }
}
