//! Reads a location: files, a database, or a URL that another system serves. No secret of a URL is shown.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use super::super::tree::Text;
use super::super::{Database, Limits, Location, Rows, Secret, System};

/// Schemes that are known, by what serves them.
const SCHEMES: [(&str, &str, Serves); 13] = [
    ("postgres", "postgres", Serves::Database),
    ("postgresql", "postgres", Serves::Database),
    ("mysql", "mysql", Serves::Database),
    ("mariadb", "mysql", Serves::Database),
    ("sqlite", "sqlite", Serves::Database),
    ("kafka", "kafka", Serves::Topic),
    ("s3", "s3", Serves::Objects),
    ("gs", "gs", Serves::Objects),
    ("az", "az", Serves::Objects),
    ("abfs", "az", Serves::Objects),
    ("abfss", "az", Serves::Objects),
    ("http", "http", Serves::Objects),
    ("https", "https", Serves::Objects),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Serves {
    Database,
    Topic,
    Objects,
}

/// Reads a location; `resolve` makes a written path one that can be opened.
///
/// # Errors
/// What was seen and expected, without the location itself.
pub(super) fn parse(text: &Text, resolve: impl Fn(&str) -> PathBuf) -> Result<Location, String> {
    if text.text.is_empty() {
        return Err("location is empty, expected a path, glob, directory or URL".to_owned());
    }
    let scheme = match text.text.split_once("://") {
        Some((scheme, _)) => scheme.to_ascii_lowercase(),
        None if text.text.to_ascii_lowercase().starts_with("sqlite:") => "sqlite".to_owned(),
        None => {
            if misspelt(&text.text) {
                let expected = "expected a path, or a URL as in `postgres://…` (a file of such a name: `./…`)";
                return Err(format!("the location begins like a URL and is none, {expected}"));
            }
            return Ok(files(text, &resolve));
        }
    };
    if scheme == "file" {
        return Ok(files(text, &resolve));
    }
    let Some((_, canonical, _)) = SCHEMES.iter().find(|(name, ..)| *name == scheme) else {
        let names = SCHEMES.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(", ");
        return Err(format!("the location's scheme is not one of file, {names}"));
    };
    let shown = without_secrets(text, &scheme);
    Ok(match *canonical {
        "postgres" => database(System::Postgres, text, shown, resolve),
        "mysql" => database(System::Mysql, text, shown, resolve),
        "sqlite" => database(System::Sqlite, text, shown, resolve),
        other => Location::Remote { scheme: other.to_owned(), shown },
    })
}

/// A database; what stands behind `#` in its URL is the table.
fn database(system: System, text: &Text, shown: String, resolve: impl Fn(&str) -> PathBuf) -> Location {
    let (url, table) = text.text.split_once('#').unwrap_or((&text.text, ""));
    // A `#` of a password that is not escaped begins no table.
    let (url, table) = if table.contains('@') { (text.text.as_str(), "") } else { (url, table) };
    let url = match system {
        System::Sqlite => {
            let path = url["sqlite:".len()..].trim_start_matches("//");
            resolve(path.split('?').next().unwrap_or_default()).to_string_lossy().into_owned()
        }
        System::Postgres | System::Mysql => url.to_owned(),
    };
    let rows = Rows::Table(percent_decode_str(table).decode_utf8_lossy().into_owned());
    let (url, limits) = (Secret::new(url), Limits::default());
    Location::Database(Box::new(Database { system, url, shown, rows, password_file: None, limits }))
}

/// Whether a location without `://` was meant as a URL: `postgres:/amy:…@db/shop` is no file, and would be shown as one.
fn misspelt(location: &str) -> bool {
    let end = location.find([':', '/']).unwrap_or(location.len());
    let (scheme, rest) = location.split_at(end);
    let known = SCHEMES.iter().any(|(name, ..)| scheme.eq_ignore_ascii_case(name));
    let alike = scheme.len() > 1 && scheme.chars().all(|letter| letter.is_ascii_alphabetic());
    let user = rest.trim_start_matches([':', '/']).split_once('@').is_some_and(|(user, _)| user.contains(':'));
    (known && rest.starts_with(':')) || ((known || (alike && rest.starts_with(':'))) && user)
}

fn files(text: &Text, resolve: &impl Fn(&str) -> PathBuf) -> Location {
    Location::Files { written: text.text.clone(), path: resolve(&text.text) }
}

/// The URL without user information, query and fragment, with `${NAME}` where a variable stood. Where it cannot be told
/// surely what belongs to a password, nothing but the scheme is left.
fn without_secrets(text: &Text, scheme: &str) -> String {
    let shown = text.shown();
    let whole_variable = shown.starts_with("${") && shown.find('}') == Some(shown.len() - 1);
    if whole_variable {
        return shown.to_owned();
    }
    if scheme == "sqlite" {
        return shown.split(['?', '#', ';']).next().unwrap_or_default().to_owned();
    }
    let hidden = format!("{scheme}://…");
    let Some((_, rest)) = shown.split_once("://") else { return hidden };
    let head_end = rest.find(['/', '?', '#', ';']).unwrap_or(rest.len());
    let (head, tail) = rest.split_at(head_end);
    // An `@` behind the first slash may be the end of a password that holds a slash.
    let path_may_hold_at = matches!(scheme, "s3" | "gs" | "az" | "abfs" | "abfss") && !head.contains(':');
    if tail.contains('@') && !path_may_hold_at {
        return hidden;
    }
    let host = head.rsplit_once('@').map_or(head, |(_, host)| host);
    let path = tail.split(['?', '#', ';']).next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

/// Where to read what to do: a URL without its secrets, any other text as it stands.
pub(super) fn runbook(text: &Text) -> String {
    match text.text.split_once("://") {
        Some((scheme, _)) if !scheme.is_empty() && scheme.chars().all(|letter| letter.is_ascii_alphanumeric()) => {
            without_secrets(text, &scheme.to_ascii_lowercase())
        }
        _ => text.text.clone(),
    }
}

/// What is not done about a location that is not files, as a sentence part.
pub(super) fn consequence(scheme: &str) -> String {
    let serves = SCHEMES.iter().find(|(_, canonical, _)| *canonical == scheme).map(|(.., serves)| *serves);
    let by = match serves {
        Some(Serves::Topic) => "topics come with the feature `kafka` of a later version".to_owned(),
        Some(Serves::Objects) => {
            "object stores and web addresses come with the feature `cloud` of a later version".to_owned()
        }
        Some(Serves::Database) | None => format!("`{scheme}:` is served by no version"),
    };
    format!("the rows are not read: this version reads files and databases, {by}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, written: Option<&str>) -> String {
        let text = Text { text: text.to_owned(), written: written.map(ToOwned::to_owned) };
        parse(&text, |path| PathBuf::from(path)).expect("a location").shown().to_owned()
    }

    #[test]
    fn a_url_is_shown_without_its_secrets() {
        let cases = [
            ("postgres://amy:secret@db/shop", "postgres://db/shop"),
            ("postgres://amy:se@cret@db/shop?password=secret", "postgres://db/shop"),
            ("postgres://amy:se/cret@db/shop", "postgres://…"),
            ("postgres://amy:se?cret@db/shop", "postgres://…"),
            ("postgresql://db:5432/shop?sslpassword=secret#secret", "postgresql://db:5432/shop"),
            ("MYSQL://amy:secret@db/shop", "mysql://db/shop"),
            ("kafka://amy:secret@broker:9092/orders", "kafka://broker:9092/orders"),
            ("s3://bucket/icons@2x/*.parquet?versionId=secret", "s3://bucket/icons@2x/*.parquet"),
            ("s3://key:sec/ret@bucket/x", "s3://…"),
            ("https://amy:secret@example.org/a.csv?token=secret", "https://example.org/a.csv"),
            ("sqlite:shop.db?key=secret", "sqlite:shop.db"),
            ("postgres://db;password=secret", "postgres://db"),
        ];
        for (location, expected) in cases {
            assert_eq!(shown(location, None), expected, "{location}");
        }
    }

    #[test]
    fn what_came_from_the_environment_is_shown_as_its_name() {
        assert_eq!(shown("postgres://amy:secret@db/shop", Some("${DATABASE_URL}")), "${DATABASE_URL}");
        assert_eq!(
            shown("postgres://amy:secret@db/shop", Some("postgres://amy:${PASSWORD}@db/shop")),
            "postgres://db/shop"
        );
        assert_eq!(shown("postgres://secret/shop", Some("postgres://${HOST}/shop")), "postgres://${HOST}/shop");
        assert_eq!(shown("postgres://a:secret@db", Some("${SCHEME}a:secret@db")), "postgres://…");
    }

    #[test]
    fn a_runbook_that_is_a_url_is_shown_without_its_secrets() {
        let cases = [
            ("https://amy:secret@wiki/page?token=secret#secret", "https://wiki/page"),
            ("the blue folder, page 3", "the blue folder, page 3"),
            ("see https://wiki/page#top", "see https://wiki/page#top"),
        ];
        for (written, expected) in cases {
            assert_eq!(runbook(&Text { text: written.to_owned(), written: None }), expected);
        }
    }

    #[test]
    fn an_unknown_scheme_is_refused_without_repeating_the_location() {
        let locations = [
            "jdbc:postgresql://amy:secret@db/shop",
            "ftp://amy:secret@host/x",
            "postgres:/amy:secret@db/shop",
            "MySQL:amy:secret@db/shop",
            "https:/example.org/a.csv?token=secret",
            "postgres//amy:secret@db/shop",
            "postgre:/amy:secret@db/shop",
        ];
        for path in ["http/a.csv", "postgres/a@b.csv", "./postgres:a.csv", "a:b.csv", "C:/amy:x@b.csv"] {
            assert_eq!(shown(path, None), path);
        }
        for location in locations {
            let text = Text { text: location.to_owned(), written: None };
            let message = parse(&text, |path| PathBuf::from(path)).expect_err("no location");
            assert!(!message.contains("secret"), "{message}");
        }
    }
}
