//! `browse` as a person uses it: in a terminal, by keys, at any size.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use crate::support::Workspace;
use crate::terminal::Terminal;

const ENTER: &str = "\r";
const ESC: &str = "\u{1b}";
const TAB: &str = "\t";
const DOWN: &str = "\u{1b}[B";

/// Two contracts, one of them with divergences of several kinds.
fn workspace() -> Workspace {
    let workspace = Workspace::new();
    workspace.bytes(
        "a.csv",
        "id,name,city\n1,Anna Rossi,Via Roma 12\n2,Bert,Oslo\n3,Carl,Bern\n4,Dora,Kiel\n6,\u{1b}[2Jmeta,x\n".as_bytes(),
    );
    workspace.bytes(
        "b.csv",
        "id,name,city\n1,Anna Bianchi,Via Roma 21\n2,Berta,Oslo\n3,Carl,Bern\n5,Emil,Graz\n6,\u{1b}[2Jmeta,y\n"
            .as_bytes(),
    );
    workspace.file(
        "reconcile.toml",
        "version = 1\n[source.a]\nlocation = \"a.csv\"\n[source.b]\nlocation = \"b.csv\"\n[source.c]\nlocation = \"a.csv\"\n\
         [contract.people]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"b\"\nkey = [\"id\"]\n\
         [contract.same]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"c\"\nkey = [\"id\"]\n",
    );
    workspace.reconcile(["run"]).expect(1, &[]);
    workspace
}

fn browse(workspace: &Workspace) -> Terminal {
    let terminal = Terminal::start(workspace, &["browse"], 24, 80);
    terminal.wait_for("6 divergences\n");
    terminal
}

/// Leaves, which is no failure.
fn quit(mut terminal: Terminal) {
    terminal.press("q");
    assert_eq!(terminal.end().0, 0);
}

/// The lines that are not empty.
fn lines(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.is_empty()).collect()
}

/// What is shown inverse of the line with the street.
fn inverse(terminal: &Terminal) -> String {
    terminal.look(|screen| {
        let row = (0..24).find(|row| (0..80).any(|column| screen.cell(*row, column).unwrap().contents() == "V"));
        let row = row.expect("the line of the city");
        let cells = (0..80).map(|column| screen.cell(row, column).unwrap());
        cells.filter(|cell| cell.inverse()).map(vt100::Cell::contents).collect()
    })
}

#[track_caller]
fn gave_back(terminal: &Terminal) {
    terminal.look(|screen| {
        assert!(!screen.alternate_screen(), "it is still taken");
        assert!(!screen.hide_cursor(), "the cursor is still hidden");
    });
}

#[test]
fn divergences_are_listed_by_contract_cause_kind_and_attribute() {
    let workspace = workspace();
    let mut terminal = browse(&workspace);
    assert_eq!(
        lines(&workspace.filtered(&terminal.text())),
        [
            " reconcile browse  [run]  drifted",
            "all                                                                6 divergences",
            "[1 contracts] 2 causes  3 kinds  4 attributes",
            "> people             6  drifted 2 high 4 medium",
            "  same               0  agreed",
            " Enter open  Tab next list  / search  Esc back  e export  ? help  q quit",
        ]
    );
    terminal.press(TAB);
    terminal.wait_for("[2 causes]");
    terminal.press("3");
    assert_eq!(
        lines(&workspace.filtered(&terminal.wait_for("[3 kinds]"))),
        [
            " reconcile browse  [run]  drifted",
            "all                                                                6 divergences",
            " 1 contracts  2 causes [3 kinds] 4 attributes",
            "> missing            1  1 high",
            "  orphan             1  1 high",
            "  mismatch           4  4 medium",
            " Enter open  Tab next list  / search  Esc back  e export  ? help  q quit",
        ]
    );
    terminal.press(TAB);
    assert_eq!(
        lines(&workspace.filtered(&terminal.wait_for("[4 attributes]"))),
        [
            " reconcile browse  [run]  drifted",
            "all                                                                6 divergences",
            " 1 contracts  2 causes  3 kinds [4 attributes]",
            "> (whole row)           2  2 high in people",
            "  city                  2  2 medium in people",
            "  name                  2  2 medium in people",
            " Enter open  Tab next list  / search  Esc back  e export  ? help  q quit",
        ]
    );
    quit(terminal);
}

#[test]
fn a_line_is_opened_with_both_values_and_rows_side_by_side() {
    let workspace = workspace();
    let mut terminal = browse(&workspace);
    terminal.press("4j");
    terminal.press(ENTER);
    terminal.wait_for("attribute");
    terminal.press("/roma");
    terminal.wait_for("search: roma_");
    terminal.press(ENTER);
    terminal.wait_for("1 divergence\n");
    assert_eq!(
        lines(&workspace.filtered(&terminal.text())),
        [
            " reconcile browse  [run]  drifted",
            r#"contract people › attribute city › "roma"                           1 divergence"#,
            r#">  medium   mismatch       {"id":"1"}  city  "Via Roma 12" → "Via Roma 21""#,
            " Enter open  Space mark  / search  Tab groups  Esc back  ? help  q quit",
        ]
    );
    terminal.press(ENTER);
    terminal.wait_for("authority");
    let (keys, line) = (
        " Esc back  ←→ other lines  Space mark  r rows  e export  ? help  q quit",
        [
            " reconcile browse  [run]  drifted",
            r#"contract people › attribute city › "roma"                           1 divergence"#,
            "medium mismatch  default",
            "contract  people",
            r#"key       {"id":"1"}"#,
            "             authority                         projection",
            r#"> city       "Via Roma 12"                     "Via Roma 21""#,
            r#"  name       "Anna Rossi"                      "Anna Bianchi""#,
        ],
    );
    assert_eq!(lines(&workspace.filtered(&terminal.text())), [&line[..], &[keys]].concat());
    // What differs is shown inverse, and nothing else in the line.
    assert_eq!(inverse(&terminal), "1221");
    terminal.press("r");
    terminal.wait_for("both rows, as they stand in the sources");
    let rows = [
        "both rows, as they stand in the sources",
        "             authority                         projection",
        r#"  id         "1"                               "1""#,
        r#"  city       "Via Roma 12"                     "Via Roma 21""#,
        r#"  name       "Anna Rossi"                      "Anna Bianchi""#,
    ];
    assert_eq!(lines(&workspace.filtered(&terminal.text())), [&line[..], &rows, &[keys]].concat());
    terminal.press(ESC);
    terminal.wait_for("Tab groups");
    terminal.press("/nowhere");
    terminal.press(ENTER);
    terminal.wait_for("nothing is like that");
    quit(terminal);
}

#[test]
fn what_is_marked_is_exported_as_review_export_does() {
    let workspace = workspace();
    let mut terminal = browse(&workspace);
    terminal.press("e");
    terminal.wait_for("nothing is marked");
    terminal.press(&format!("3{DOWN}"));
    terminal.press(ENTER);
    terminal.wait_for(">  high     orphan");
    terminal.press(" ");
    terminal.wait_for("1 marked");
    terminal.press(ESC);
    terminal.wait_for("[3 kinds]");
    terminal.press("/berta");
    terminal.press(ENTER);
    terminal.wait_for("\"Berta\"");
    terminal.press(" ");
    terminal.wait_for("2 marked");
    terminal.press("q");
    terminal.wait_for("2 marked, not exported");
    terminal.press("e");
    terminal.wait_for("export to: review-");
    for _ in 0..60 {
        terminal.press("\u{7f}");
    }
    terminal.press("marked.csv");
    terminal.press(ENTER);
    terminal.wait_for("2 written to marked.csv");
    // A file that is there may hold decisions.
    terminal.press("e");
    terminal.wait_for("export to: review-");
    for _ in 0..60 {
        terminal.press("\u{7f}");
    }
    terminal.press("marked.csv");
    terminal.press(ENTER);
    terminal.wait_for("marked.csv: is there already");
    terminal.press("m");
    terminal.wait_for("› marked");
    quit(terminal);

    let records = |text: &str| -> Vec<BTreeMap<String, String>> {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        reader.deserialize().map(Result::unwrap).collect()
    };
    let all = workspace.reconcile(["review", "export", "--all"]);
    let marked = records(&fs::read_to_string(workspace.path().join("marked.csv")).unwrap());
    let wanted = |line: &BTreeMap<String, String>| line["kind"] == "orphan" || line["projection_value"] == "Berta";
    let expected: Vec<_> = records(&all.stdout).into_iter().filter(wanted).collect();
    assert_eq!(expected.len(), 2);
    assert_eq!(marked, expected);
    // It comes back as any other review.
    workspace.reconcile(["review", "import", "marked.csv"]).expect(0, &["0 decisions were taken in"]);
}

#[test]
fn a_small_window_still_says_what_matters() {
    let workspace = workspace();
    let mut terminal = browse(&workspace);
    terminal.resize(10, 40);
    // What was drawn for the size before may still come. The run's id is cut, and is another each time.
    terminal.wait("the small window", |text| {
        text.split_once('\n').is_some_and(|(first, rest)| {
            first.contains("browse")
                && lines(rest)
                    == [
                        "all                        6 divergences",
                        "[1 contracts]  Tab: next",
                        "> people             6  drifted 2 high",
                        "  same               0  agreed",
                        " Enter open  ? help  q quit",
                    ]
        })
    });
    terminal.press("3");
    terminal.wait_for("[3 kinds]");
    terminal.press(ENTER);
    terminal.wait_for(">  high");
    terminal.press(ENTER);
    terminal.wait_for("contract  people");
    terminal.press(ESC);
    terminal.wait_for("Space mark");
    terminal.press("?");
    terminal.wait_for("Enter");
    terminal.resize(24, 80);
    terminal.wait_for("leave at once");
    terminal.press("x");
    terminal.wait_for("missing");
    quit(terminal);
}

#[test]
fn the_terminal_is_given_back_however_it_ends() {
    let workspace = workspace();
    let mut terminal = browse(&workspace);
    terminal.look(|screen| assert!(screen.alternate_screen()));
    terminal.press("\u{3}");
    assert_eq!(terminal.child.wait().unwrap().exit_code(), 130);
    terminal.wait("the screen from before", str::is_empty);
    gave_back(&terminal);
    for (signal, status) in [("TERM", 143), ("INT", 130), ("HUP", 130)] {
        let mut terminal = browse(&workspace);
        let process = terminal.child.process_id().unwrap().to_string();
        assert!(Command::new("kill").args(["-s", signal, &process]).status().unwrap().success());
        assert_eq!(terminal.child.wait().unwrap().exit_code(), status, "{signal}");
        terminal.wait("the screen from before", str::is_empty);
        gave_back(&terminal);
    }
}

#[test]
fn colour_adds_and_never_informs() {
    let workspace = workspace();
    let colours = |variables: &[(&str, &str)]| {
        let mut terminal = Terminal::with(&workspace, &["browse"], variables, 24, 80);
        let text = terminal.wait_for("6 divergences\n");
        let coloured = terminal.look(|screen| {
            (0..24)
                .any(|row| (0..80).any(|column| screen.cell(row, column).unwrap().fgcolor() != vt100::Color::Default))
        });
        terminal.press("q");
        terminal.end();
        (text, coloured)
    };
    let (text, coloured) = colours(&[]);
    let (plain, plainly) = colours(&[("NO_COLOR", "1")]);
    assert_eq!((coloured, plainly), (true, false));
    assert_eq!(text, plain);
}

#[test]
fn without_a_terminal_it_says_what_to_do_instead() {
    let workspace = workspace();
    workspace.reconcile(["browse"]).expect(2, &["needs a terminal", "hint: ", "reconcile review export RUN"]);
    let terminal = Terminal::start(&workspace, &["browse", "--format", "json"], 24, 80);
    assert_eq!(terminal.end().0, 2);
    let terminal = Terminal::start(&workspace, &["browse", "1999"], 24, 200);
    let (status, said) = terminal.end();
    assert_eq!(status, 2);
    assert!(said.contains("no run `1999`"), "{said}");
    // A run that was changed is not looked at.
    let file = workspace.run().join("divergences.parquet");
    fs::write(&file, [&fs::read(&file).unwrap()[..], b"x"].concat()).unwrap();
    let (status, said) = Terminal::start(&workspace, &["browse"], 24, 200).end();
    assert_eq!(status, 2);
    assert!(said.contains("was changed"), "{said}");
}

/// What the kernel says of a process: the value behind a name.
#[track_caller]
fn of_process(process: u32, file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/{file}")).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    value.trim().trim_end_matches(" kB").parse().unwrap()
}

/// A run of a million lines is opened, and looked at from one end to the other, in little memory; and what is looked at is read, not
/// the whole file again. For the run that `page` makes.
pub(crate) fn a_million_lines_are_looked_through_in_little_memory(workspace: &Workspace) {
    let file = fs::metadata(workspace.run().join("divergences.parquet")).unwrap().len();
    let mut terminal = Terminal::start(workspace, &["browse"], 24, 80);
    terminal.wait_for("1,000,000 divergences\n");
    let process = terminal.child.process_id().unwrap();
    let read = || of_process(process, "io", "rchar:");
    // Once whole, to be held against the manifest; then of each line what it is grouped by.
    assert!(read() < 2 * file + (64 << 20), "{} bytes of a file of {file}", read());
    terminal.press(ENTER);
    terminal.wait("the lines", |text| text.contains("{\"id\":") && text.contains("1,000,000 divergences\n"));
    let first = terminal.text();
    let before = read();
    terminal.press("G");
    let last = terminal.wait("the last lines", |text| text.contains("{\"id\":") && *text != first);
    terminal.press("\u{1b}[5~");
    terminal.wait("the page before", |text| text.contains("{\"id\":") && *text != last);
    assert!(read() - before < file / 4, "{} bytes for two pages of a file of {file}", read() - before);
    terminal.press("/{\"id\":999999}");
    terminal.press(ENTER);
    terminal.wait_for("1 divergence\n");
    let peak = of_process(process, "status", "VmHWM:");
    assert!(peak < 300 << 10, "{peak} KiB for a million lines");
    quit(terminal);
}
