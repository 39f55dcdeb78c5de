//! Keeps the password of a database out of the file that `init` writes: everybody may read that. What stands in its place is an
//! environment variable. It opens nothing and judges no location.

use super::draft::{self, Draft};
use crate::sides::Side;

/// Puts a variable in place of each password, and says so in the file and to whoever called.
pub(super) fn take(draft: &mut Draft) {
    let mut taken = Vec::new();
    for side in Side::BOTH {
        let source = draft.sources.get_mut(side);
        let pieces = pieces(&source.location);
        if pieces.iter().all(|(_, secret)| !secret) {
            continue;
        }
        let (mut written, mut names) = (String::new(), Vec::new());
        for (text, secret) in pieces {
            if secret {
                let name = variable(&source.name, &mut taken);
                written.push_str(&format!("${{{name}}}"));
                names.push(name);
            } else {
                written.push_str(&text.replace("${", "$${"));
            }
        }
        source.written = Some(draft::quoted(&written));
        let names = names.join(", ");
        let said = format!("the password of source `{}` is not written", source.name);
        draft.doubts.push(format!("{said}: set {names} in the environment, to what stood in the URL"));
        draft
            .source_evidence
            .get_mut(side)
            .push(format!("{said}, {names} in the environment is to hold it as a URL has it"));
    }
}

/// A name that no other password has.
fn variable(source: &str, taken: &mut Vec<String>) -> String {
    let of_name = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' };
    let mut name: String = source.chars().map(of_name).collect();
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name.push_str("_PASSWORD");
    let plain = name.clone();
    for number in 2.. {
        if !taken.contains(&name) {
            break;
        }
        name = format!("{plain}_{number}");
    }
    taken.push(name.clone());
    name
}

/// Where the host of a URL begins in what stands behind `://`, as those read it who connect.
pub(super) fn host(rest: &str) -> usize {
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..authority].rfind('@') {
        Some(at) => at + 1,
        // A password may hold what ends an authority, where its URL is not read strictly.
        None => rest.find('@').filter(|&at| rest[..at].contains(':')).map_or(0, |at| at + 1),
    }
}

/// A location in pieces, each with whether it is a secret.
fn pieces(location: &str) -> Vec<(&str, bool)> {
    let Some(begin) = location.find("://").map(|at| at + 3) else { return vec![(location, false)] };
    let rest = &location[begin..];
    if location[..begin].eq_ignore_ascii_case("file://") || location[..begin].eq_ignore_ascii_case("sqlite://") {
        return vec![(location, false)];
    }
    let host = begin + host(rest);
    let mut pieces = Vec::new();
    let mut at = 0;
    if host > begin
        && let Some(colon) = location[begin..host].find(':').map(|colon| begin + colon + 1)
    {
        pieces.extend([(&location[..colon], false), (&location[colon..host - 1], true)]);
        at = host - 1;
    }
    // Whatever of the query sounds like one.
    if let Some(query) = location[host..].find('?').map(|query| host + query + 1) {
        let end = location[query..].find('#').map_or(location.len(), |end| query + end);
        let mut place = query;
        for pair in location[query..end].split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = name.to_ascii_lowercase();
            let sounds = ["pass", "pwd", "secret", "token", "key"].iter().any(|word| name.contains(word));
            if sounds && !value.is_empty() {
                let value_at = place + pair.len() - value.len();
                pieces.extend([(&location[at..value_at], false), (value, true)]);
                at = place + pair.len();
            }
            place += pair.len() + 1;
        }
    }
    pieces.push((&location[at..], false));
    pieces.retain(|(text, _)| !text.is_empty());
    pieces
}

#[cfg(test)]
mod tests {
    use super::super::draft::DraftSource;
    use super::*;

    #[test]
    fn a_password_is_a_variable_in_the_file() {
        let cases = [
            ("postgres://amy:hunter2@db/shop#public.orders", "postgres://amy:${SHOP_PASSWORD}@db/shop#public.orders"),
            ("mysql://amy:hun@ter2@db", "mysql://amy:${SHOP_PASSWORD}@db"),
            ("postgres://amy:hun/ter2@db/shop", "postgres://amy:${SHOP_PASSWORD}@db/shop"),
            (
                "postgres://db/shop?password=hunter2&connect_timeout=3",
                "postgres://db/shop?password=${SHOP_PASSWORD}&connect_timeout=3",
            ),
            (
                "postgres://a:hunter2@db/s?sslpassword=hunter2#t${x}",
                "postgres://a:${SHOP_PASSWORD}@db/s?sslpassword=${SHOP_PASSWORD_2}#t$${x}",
            ),
        ];
        for (location, expected) in cases {
            let source =
                DraftSource { name: "shop".to_owned(), location: location.to_owned(), ..DraftSource::default() };
            let mut draft = Draft::default();
            draft.sources.authority = source;
            take(&mut draft);
            assert_eq!(draft.sources.authority.written, Some(format!("\"{expected}\"")), "{location}");
            let text = draft.text();
            assert!(!text.contains("hunter2") && !text.contains("ter2") && text.contains(expected), "{text}");
            assert!(draft.doubts[0].contains("SHOP_PASSWORD") && draft.source_evidence.authority.len() == 1);
        }
        for location in ["postgres://amy@db/shop", "a@b:c.csv", "sqlite:a.db#t", "data/?key=x.csv", "file:///a:b@c.csv"]
        {
            assert_eq!(pieces(location), [(location, false)]);
        }
        let mut taken = Vec::new();
        let names = ["a-b", "a_b", "7up"].map(|source| variable(source, &mut taken));
        assert_eq!(names, ["A_B_PASSWORD", "A_B_PASSWORD_2", "_7UP_PASSWORD"]);
    }
}
