//! The whole report once, and what tries to break out of it.

use super::*;
use crate::report::sample;

fn rendered(audit: &Audit) -> String {
    let mut out = Vec::new();
    render(audit, &mut out).expect("a vector takes all");
    String::from_utf8(out).expect("text")
}

#[test]
fn the_report_reads_from_verdict_to_evidence() {
    assert_eq!(rendered(&sample::audit()), include_str!("expected.md"));
}

#[test]
fn no_text_of_the_data_becomes_markup() {
    let cases = [
        ("a|b", "a\\|b"),
        ("`code`", "\\`code\\`"),
        ("<script>", "&lt;script&gt;"),
        ("a\nb", "a\\\\nb"),
        ("[x](http://y)", "\\[x\\](http&#58;//y)"),
        ("snake_case", "snake\\_case"),
        ("me@example.com", "me&#64;example.com"),
    ];
    for (text, expected) in cases {
        assert_eq!(plain(text), expected);
    }
    let report = rendered(&sample::audit());
    assert!(!report.contains("<b>"));
    let cells = |line: &str| line.replace("\\|", "").matches('|').count();
    for line in report.lines().filter(|line| line.starts_with("| medium |") && line.contains("mismatch")) {
        assert_eq!(cells(line), 8, "{line}");
    }
}
