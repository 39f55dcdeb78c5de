//! A review as a spreadsheet takes it: CSV in which no cell can be a formula, and which is read back exactly.
//!
//! A cell that begins with `=`, `+`, `-`, `@`, a tab, a line break, one of their wide forms or an apostrophe gets an apostrophe
//! before it; a text of no characters is an apostrophe alone, so that an empty cell is NULL. What a spreadsheet made of the file
//! is read too: with a byte order mark, and with `;` or a tab between cells.

/// The columns, in the order of the file.
pub(super) const COLUMNS: [&str; 17] = [
    "contract",
    "fingerprint",
    "key",
    "kind",
    "severity",
    "attribute",
    "authority_value",
    "projection_value",
    "reason",
    "cause",
    "proposed_action",
    "decision",
    "until",
    "who",
    "why",
    "run",
    "row_digest",
];

/// The columns that an import reads.
const NEEDED: [&str; 8] = ["contract", "fingerprint", "decision", "until", "who", "why", "run", "row_digest"];

/// A text as a cell; None is an empty one.
pub(super) fn escaped(text: Option<&str>) -> String {
    match text {
        None => String::new(),
        Some("") => "'".to_owned(),
        Some(text) if text.starts_with(dangerous) => format!("'{text}"),
        Some(text) => text.to_owned(),
    }
}

/// What a cell stands for. An apostrophe that nothing here put there is left: people may have written it.
pub(super) fn unescaped(cell: &str) -> Option<&str> {
    match cell.strip_prefix('\'') {
        _ if cell.is_empty() => None,
        Some(text) if text.is_empty() || text.starts_with(dangerous) => Some(text),
        _ => Some(cell),
    }
}

fn dangerous(character: char) -> bool {
    matches!(character, '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '\'' | '＝' | '＋' | '－' | '＠')
}

/// A line of the file that holds a decision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Decided {
    /// Where it begins.
    pub(super) line: u64,
    /// The cells by column, as they stand for.
    pub(super) contract: String,
    pub(super) fingerprint: String,
    pub(super) decision: String,
    pub(super) until: String,
    pub(super) who: String,
    pub(super) why: String,
    pub(super) row_digest: String,
}

/// Problems, each with its line.
pub(super) type Problems = Vec<(u64, String)>;

/// The lines with a decision.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Decided>, Problems> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + memchr::memchr_iter(b'\n', &bytes[..error.valid_up_to()]).count() as u64;
        vec![(line, "is not UTF-8: save it as `CSV UTF-8`".to_owned())]
    })?;
    let head = text.lines().next().unwrap_or_default();
    let delimiter =
        [b',', b';', b'\t'].into_iter().max_by_key(|delimiter| head.bytes().filter(|byte| byte == delimiter).count());
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter.unwrap_or(b','))
        .flexible(true)
        .has_headers(false)
        .from_reader(bytes);
    let mut records = reader.records();
    let header = records.next().transpose().ok().flatten().unwrap_or_default();
    let place = |name: &str| header.iter().position(|column| column.trim() == name);
    let missing: Vec<&str> = NEEDED.into_iter().filter(|name| place(name).is_none()).collect();
    if !missing.is_empty() {
        let problem = format!("has no column {}: take the header of `reconcile review export`", missing.join(", "));
        return Err(vec![(1, problem)]);
    }
    let (mut decided, mut problems) = (Vec::new(), Vec::new());
    for record in records {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, |position| line_at(bytes, position));
                problems.push((line, format!("cannot be read: {error}")));
                break;
            }
        };
        let line = record.position().map_or(0, |position| line_at(bytes, position));
        let cell = |name: &str| {
            let cell = place(name).and_then(|index| record.get(index)).unwrap_or_default();
            unescaped(cell).unwrap_or_default().to_owned()
        };
        let decision = cell("decision").trim().to_owned();
        if decision.is_empty() {
            continue;
        }
        if record.len() != header.len() {
            problems.push((line, format!("has {} cells, expected {} as in the header", record.len(), header.len())));
            continue;
        }
        decided.push(Decided {
            line,
            contract: cell("contract"),
            fingerprint: cell("fingerprint").trim().to_owned(),
            decision,
            until: cell("until").trim().to_owned(),
            who: cell("who").trim().to_owned(),
            why: cell("why").trim().to_owned(),
            row_digest: cell("row_digest").trim().to_owned(),
        });
    }
    if problems.is_empty() { Ok(decided) } else { Err(problems) }
}

/// The line that a record begins in. The reader's own count stands before the line feed that ends the line before, where that ends in
/// CR LF.
fn line_at(bytes: &[u8], position: &csv::Position) -> u64 {
    let start = usize::try_from(position.byte()).unwrap_or(bytes.len()).min(bytes.len());
    let breaks = bytes[start..].iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
    1 + memchr::memchr_iter(b'\n', &bytes[..start + breaks]).count() as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(rows: &[Vec<String>]) -> Vec<u8> {
        let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
        writer.write_record(COLUMNS).expect("a vector takes all");
        rows.iter().for_each(|row| writer.write_record(row).expect("a vector takes all"));
        writer.into_inner().expect("a vector takes all")
    }

    fn row(contract: &str, decision: &str, who: &str, why: &str) -> Vec<String> {
        let cell = |name: &&str| {
            let text = match *name {
                "contract" => contract,
                "decision" => decision,
                "who" => who,
                "why" => why,
                _ => return escaped(None),
            };
            escaped(Some(text))
        };
        COLUMNS.iter().map(cell).collect()
    }

    proptest! {
        #[test]
        fn any_text_comes_back_as_it_was_and_none_is_a_formula(text in "(?s)['=+\\-@\t\r\n\"＝;,]{0,3}.{0,12}") {
            let cell = escaped(Some(&text));
            prop_assert_eq!(unescaped(&cell), Some(text.as_str()));
            prop_assert!(!cell.starts_with(|first| first != '\'' && dangerous(first)), "{:?}", cell);
            prop_assert!(!cell.is_empty());
        }

        #[test]
        fn any_file_is_read_back(contract in "(?s).{1,12}", who in "(?s)\\S{1,8}", why in "(?s)\\S.{0,12}\\S") {
            let read = read(&file(&[row("x", "", "", ""), row(&contract, "fix-elsewhere", &who, &why)])).expect("a file");
            prop_assert_eq!(read.len(), 1);
            prop_assert_eq!(&read[0].contract, &contract);
            prop_assert_eq!((&*read[0].who, &*read[0].why), (who.trim(), why.trim()));
        }
    }

    #[test]
    fn null_the_empty_text_and_an_apostrophe_are_told_apart() {
        assert_eq!([escaped(None), escaped(Some("")), escaped(Some("'"))], ["", "'", "''"]);
        assert_eq!([unescaped(""), unescaped("'"), unescaped("''")], [None, Some(""), Some("'")]);
        assert_eq!(unescaped("'t Hooft"), Some("'t Hooft"));
        assert_eq!(unescaped(&escaped(Some("'t Hooft"))), Some("'t Hooft"));
    }

    #[test]
    fn a_line_is_named_by_its_number_however_lines_end() {
        let row = |decision: &str| row("a", decision, "amy", "one\ntwo");
        let plain = String::from_utf8(file(&[row("reopen"), row(""), row("reopen")])).expect("text");
        // Rows of two lines each, and an empty line before the last.
        let spaced = plain.trim_end().rsplit_once("\n\"a\"").map(|(head, tail)| format!("{head}\n\n\"a\"{tail}\n"));
        let mac = plain.replace('\n', "\r\n");
        for (text, lines) in [(plain, [2, 6]), (mac, [2, 6]), (spaced.expect("rows"), [2, 7])] {
            let read = read(text.as_bytes()).expect("a file");
            assert_eq!(read.iter().map(|decided| decided.line).collect::<Vec<_>>(), lines, "{text:?}");
        }
    }

    #[test]
    fn what_a_spreadsheet_saved_is_read() {
        let plain = String::from_utf8(file(&[row("a", "reopen", "amy", "seen")])).expect("text");
        let semicolons = format!("\u{feff}{}", plain.replace(',', ";").replace('\n', "\r\n").replace('"', ""));
        let tabs = plain.replace(',', "\t");
        for text in [plain, semicolons, tabs] {
            let read = read(text.as_bytes()).expect("a file");
            assert_eq!((&*read[0].decision, &*read[0].who), ("reopen", "amy"));
        }
        assert!(read(b"a,b\n1,2\n").expect_err("no header")[0].1.contains("has no column contract"));
        assert!(read(b"contract\n\xff\n").expect_err("no text")[0].1.contains("is not UTF-8"));
    }
}
