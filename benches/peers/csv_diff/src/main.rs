//! Compares two CSV files with the `csv-diff` crate, the first column as the key: csv_diff_peer AUTHORITY PROJECTION

use std::error::Error;
use std::fs::File;

use csv_diff::csv::Csv;
use csv_diff::csv_diff::CsvByteDiffLocal;

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    let [authority, projection] = &paths[..] else { return Err("expected AUTHORITY PROJECTION".into()) };
    let sides = (Csv::with_reader_seek(File::open(authority)?), Csv::with_reader_seek(File::open(projection)?));
    let found = CsvByteDiffLocal::new()?.diff(sides.0, sides.1)?;
    println!("{}", found.as_slice().len());
    Ok(())
}
