//! Cuts a report to what one comment of a pull request holds, at the end of a section where one is near. It never says less
//! without saying so.

/// The most characters that GitHub takes in one comment.
pub const COMMENT: usize = 65_536;

/// The text where it fits; else its beginning, with a last line that says so.
#[must_use]
pub fn fit(text: &str, most: usize) -> String {
    // Not every system counts alike; of these ways this one gives the most.
    let units = |text: &str| text.encode_utf16().count();
    if units(text) <= most {
        return text.to_owned();
    }
    let note = format!(
        "\n> The rest is left out: a comment holds {most} characters at most. `report.md` in the run's folder holds all.\n"
    );
    let budget = most.saturating_sub(units(&note) + 4);
    let (mut used, mut at, mut fenced) = (0, 0, false);
    let (mut line_end, mut section_end) = ((0, false), 0);
    for line in text.split_inclusive('\n') {
        if line.starts_with('#') && !fenced && used >= budget / 2 {
            section_end = at;
        }
        used += units(line);
        if used > budget {
            break;
        }
        at += line.len();
        fenced ^= line.starts_with("```");
        line_end = (at, fenced);
    }
    let (end, fenced) = if section_end > 0 { (section_end, false) } else { line_end };
    let fence = if fenced { "```\n" } else { "" };
    format!("{}{fence}{note}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_not_touched() {
        assert_eq!(fit("# a\n\nb\n", 9), "# a\n\nb\n");
    }

    #[test]
    fn what_is_too_long_ends_with_a_section_and_says_so() {
        let text = format!("# sum\n\n{}## second\n\n{}", "a line\n".repeat(80), "a row\n".repeat(80));
        let cut = fit(&text, 800);
        assert!(cut.chars().count() <= 800 && cut.contains("a line\n\n> The rest is left out"), "{cut}");
        assert!(!cut.contains("## second"), "{cut}");
    }

    #[test]
    fn what_has_no_section_near_ends_with_a_line_and_no_open_fence() {
        let text = format!("# sum\n```toml\n{}```\n", "x = \"\u{1f600}\"\n".repeat(100));
        let cut = fit(&text, 600);
        assert!(cut.encode_utf16().count() <= 600, "{}", cut.len());
        assert_eq!(cut.matches("```").count(), 2, "{cut}");
        assert!(fit(&"x".repeat(1000), 300).starts_with("\n> The rest"), "one line that is too long");
    }
}
