//! Whether a filter of a table chooses the same rows whenever it is asked: each statement has its own `NOW()`, and its own
//! chance. In doubt it does not, which costs speed alone. It asks nobody.

/// Functions that answer by what they are given alone.
const FUNCTIONS: [&str; 31] = [
    "abs",
    "ascii",
    "cast",
    "ceil",
    "char_length",
    "coalesce",
    "concat",
    "date",
    "day",
    "floor",
    "greatest",
    "hex",
    "hour",
    "if",
    "ifnull",
    "lcase",
    "least",
    "left",
    "length",
    "lower",
    "md5",
    "mod",
    "month",
    "nullif",
    "right",
    "round",
    "substring",
    "trim",
    "ucase",
    "upper",
    "year",
];
/// Words that parentheses may follow, and are no functions.
const WORDS: [&str; 12] = ["and", "between", "by", "case", "else", "in", "like", "not", "or", "then", "when", "xor"];
/// What words begin with that need no parentheses to be another value each time, and what reads other rows.
const MOVING: [&str; 6] = ["current", "exists", "local", "next", "select", "utc"];

/// Whether a filter is the same whenever it is asked.
pub(super) fn is_constant(filter: &str) -> bool {
    // A comment may stand between a name and its parentheses, and a variable changes while rows are read.
    if ["--", "#", "/*", "@", "?"].iter().any(|mark| filter.contains(mark)) {
        return false;
    }
    let is_part = |part: char| part.is_alphanumeric() || matches!(part, '_' | '$');
    let mut rest = filter;
    while let Some(from) = rest.find(is_part) {
        let (word, behind) =
            rest[from..].split_at(rest[from..].find(|part| !is_part(part)).unwrap_or(rest.len() - from));
        let word = word.to_lowercase();
        let mut behind_quote = behind.chars().skip_while(|part| part.is_whitespace() || matches!(part, '`' | '"'));
        let is_called = behind_quote.next() == Some('(');
        let is_known = FUNCTIONS.contains(&word.as_str()) || WORDS.contains(&word.as_str());
        if MOVING.iter().any(|moving| word.starts_with(moving)) || is_called && !is_known {
            return false;
        }
        rest = behind;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_answers_by_the_row_alone_is_the_same_each_time() {
        for filter in
            ["id < 1900", "`status` <> 'draft' AND (id IN (1, 2))", "YEAR(day) = 2026 and lower (name) like 'a%'"]
        {
            assert!(is_constant(filter), "{filter}");
        }
        for filter in [
            "until > NOW()",
            "until > now ()",
            "day = CURRENT_DATE",
            "until > LOCALTIME",
            "day > UTC_DATE()",
            "RAND() < 0.5",
            "mine(id) = 1",
            "`mine`(id) = 1",
            "id = @id",
            "id IN (SELECT id FROM other)",
            "until > now/* so */()",
            "until > CURRENT_TIMESTAMP -- so",
        ] {
            assert!(!is_constant(filter), "{filter}");
        }
    }
}
