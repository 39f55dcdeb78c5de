//! Arrow IPC: file and stream, plain and compressed, and that no damage is ever silent.

use arrow::array::RecordBatch;
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};

use super::super::tests::{cuts, gzip, read, read_all, read_columns, refusal, sample, source, write, zstandard};
use super::super::{OpenOptions, Piece, open_cut};

fn options(compressed: bool) -> IpcWriteOptions {
    let compression = compressed.then_some(CompressionType::ZSTD);
    IpcWriteOptions::default().try_with_compression(compression).unwrap()
}

fn file_bytes(batches: &[RecordBatch], compressed: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = FileWriter::try_new_with_options(&mut bytes, &batches[0].schema(), options(compressed)).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    drop(writer);
    bytes
}

fn stream_bytes(batches: &[RecordBatch], compressed: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new_with_options(&mut bytes, &batches[0].schema(), options(compressed)).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    drop(writer);
    bytes
}

fn parts(batch: &RecordBatch) -> Vec<RecordBatch> {
    vec![batch.slice(0, 10), batch.slice(10, batch.num_rows() - 10)]
}

#[test]
fn rows_come_back_as_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let batch = sample(100);
    for compressed in [false, true] {
        let file = file_bytes(&parts(&batch), compressed);
        let stream = stream_bytes(&parts(&batch), compressed);
        let files = [
            ("a.arrow", file.clone()),
            ("a.feather", stream.clone()),
            ("a.arrow.gz", gzip(&file)),
            ("a.ipc.zst", zstandard(&file)),
            ("a.arrows.gz", gzip(&stream)),
        ];
        for (name, bytes) in files {
            let path = write(folder.path(), name, bytes);
            let opened =
                open_cut(&source(&path), &OpenOptions { batch_rows: 8, ..OpenOptions::default() }, cuts(1)).unwrap();
            assert_eq!(opened.files[0].rows, Some(100), "{name}");
            assert_eq!(read_all(&opened).unwrap().batch.columns(), batch.columns(), "{name}");
            assert_eq!(read_columns(&opened, &[1, 3]).unwrap().batch.column(1), batch.column(3), "{name}");
            assert_eq!(read_columns(&opened, &[]).unwrap().batch.num_rows(), 100, "{name}");
        }
    }
}

#[test]
fn every_cut_of_a_file_or_stream_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let batch = sample(30);
    for bytes in [file_bytes(&parts(&batch), false), stream_bytes(&parts(&batch), false)] {
        for length in 1..bytes.len() {
            let path = write(folder.path(), "a.arrow", &bytes[..length]);
            refusal(&path);
        }
    }
    let twice = stream_bytes(&parts(&batch), false).repeat(2);
    assert!(refusal(&write(folder.path(), "twice.arrows", twice)).contains("goes on after the mark"));
}

#[test]
fn no_flipped_byte_loses_rows_in_silence() {
    super::super::silence_decoder_panics();
    let folder = tempfile::tempdir().unwrap();
    let batch = sample(12);
    for bytes in
        [file_bytes(&parts(&batch), false), stream_bytes(&parts(&batch), false), file_bytes(&parts(&batch), true)]
    {
        for offset in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[offset] ^= 0xFF;
            let path = write(folder.path(), "a.arrow", &flipped);
            let Ok(opened) = open_cut(&source(&path), &OpenOptions::default(), cuts(64)) else { continue };
            let columns: Vec<usize> = (0..opened.schema.fields().len()).collect();
            for unit in &opened.units {
                let Ok(pieces) = unit.read(&columns) else { continue };
                let mut rows = 0;
                let mut failed = false;
                for piece in pieces {
                    match piece {
                        Ok(Piece::Rows(batch)) => rows += batch.num_rows() as u64,
                        Ok(Piece::Unreadable(unreadable)) => rows += unreadable.rows,
                        Err(_) => failed = true,
                    }
                }
                assert!(failed || Some(rows) == unit.rows(), "byte {offset}: {rows} of {:?}", unit.rows());
            }
        }
    }
}

#[test]
fn two_columns_of_one_name_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let batch = sample(3).project(&[0, 1, 0]).unwrap();
    let path = write(folder.path(), "a.arrow", file_bytes(&[batch], false));
    assert!(refusal(&path).contains("has two columns named `id`"));
    let fine = write(folder.path(), "b.arrow", file_bytes(&[sample(3)], false));
    assert_eq!(read(&fine).unwrap().batch.num_rows(), 3);
}
