//! Metrics for a folder that several jobs write to: each file's series carry the name of its batch, so that no two files say
//! the same series. It knows only texts that this module wrote.

use super::escaped;

/// The same metrics with a label `batch` before all others.
#[must_use]
pub fn of_batch(metrics: &str, batch: &str) -> String {
    let label = format!("batch=\"{}\"", escaped(batch));
    let mut text = String::with_capacity(metrics.len() * 2);
    for line in metrics.lines() {
        // A name is letters and underscores, so the first of these ends it.
        let end = line.find(['{', ' ']).filter(|_| !line.starts_with('#'));
        match end.map(|end| line.split_at(end)) {
            None => text.push_str(line),
            Some((name, rest)) => match rest.strip_prefix('{') {
                Some(labels) => text.extend([name, "{", &label, ",", labels]),
                None => text.extend([name, "{", &label, "}", rest]),
            },
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_and_no_comment_gets_the_label() {
        let metrics = "# HELP a_b What {it} is.\n# TYPE a_b gauge\na_b 1\na_c{side=\"x y\"} 2.5\n";
        assert_eq!(
            of_batch(metrics, "nightly \"1\""),
            "# HELP a_b What {it} is.\n# TYPE a_b gauge\na_b{batch=\"nightly \\\"1\\\"\"} 1\n\
             a_c{batch=\"nightly \\\"1\\\"\",side=\"x y\"} 2.5\n"
        );
    }
}
