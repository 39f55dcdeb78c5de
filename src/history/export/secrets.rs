//! Whether a contract's file may hold a secret that does not come from the environment: rather too often than not. It decides
//! on what the file says as TOML, and on its lines besides, since a comment may hold one too. It changes nothing.

/// Whether a file's text may hold one. What is no TOML may.
pub(super) fn holds_secret(text: &str) -> bool {
    let Ok(file) = text.parse::<toml::Table>() else { return true };
    in_table(&file, "") || text.lines().any(in_line)
}

fn in_table(table: &toml::Table, of: &str) -> bool {
    table.iter().any(|(name, value)| in_value(value, name, of))
}

/// A value that stands under a name, in the table of another name.
fn in_value(value: &toml::Value, name: &str, of: &str) -> bool {
    match value {
        toml::Value::String(text) => in_text(text, name, of),
        toml::Value::Array(values) => values.iter().any(|value| in_value(value, name, of)),
        toml::Value::Table(table) => in_table(table, name),
        other => sounds_secret(name) && !other.is_bool(),
    }
}

fn in_text(text: &str, name: &str, of: &str) -> bool {
    let is_hook = name == "openlineage" || (name == "url" && of == "notify");
    let of_scheme =
        |left: &str| matches!(left.trim().to_ascii_lowercase().as_str(), "bearer" | "basic" | "token" | "apikey");
    let named = match without_variables(text) {
        _ if text.is_empty() => false,
        None if is_hook => true,
        None => sounds_secret(name),
        Some(left) if is_hook => !is_plain_place(&left),
        Some(left) => sounds_secret(name) && !left.is_empty() && !(name == "authorization" && of_scheme(&left)),
    };
    named || in_urls(text) || in_query(text)
}

fn sounds_secret(name: &str) -> bool {
    const WORDS: [&str; 8] =
        ["password", "passwd", "secret", "token", "pii_key", "access_key", "api_key", "authorization"];
    let name = name.to_lowercase();
    // What names a file holds nothing of it.
    WORDS.iter().any(|word| name.contains(word)) && !name.ends_with("_file")
}

/// What is left of a text without its variables; None where it has none. A variable's default is written in the file.
fn without_variables(text: &str) -> Option<String> {
    let (mut left, mut rest, mut found) = (String::new(), text, false);
    while let Some(start) = rest.find("${") {
        left.push_str(&rest[..start]);
        let end = rest[start..].find('}').map_or(rest.len(), |end| start + end + 1);
        let inner = rest[start + 2..end].trim_end_matches('}');
        match inner.split_once(":-") {
            _ if rest[..start].ends_with('$') => left.push_str(inner),
            None => found = true,
            Some((_, default)) => left.push_str(default),
        }
        rest = &rest[end..];
    }
    found.then(|| left + rest)
}

/// Whether what is left of a URL names a place and nothing that could be a secret in it.
fn is_plain_place(left: &str) -> bool {
    let path = left.split_once("://").map_or("", |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
    path.chars().all(|letter| letter.is_ascii_lowercase() || "/-_.".contains(letter))
}

/// Whether a URL in a text has user information that is written out: a password, or, where no database is asked, anything.
fn in_urls(text: &str) -> bool {
    let mut before = "";
    let mut found = false;
    for rest in text.split("://") {
        let of_database = ["postgres", "postgresql", "mysql", "mariadb"].iter().any(|name| before.ends_with(name));
        let url = rest.split(['"', '\'', ' ', '\t', ',']).next().unwrap_or_default();
        let end = url.find(['/', '?', '#']).unwrap_or(url.len());
        // A password may hold what ends an authority.
        let at = url[..end].rfind('@').or_else(|| url.find('@').filter(|&at| url[..at].contains(':')));
        let user = at.map_or("", |at| &url[..at]);
        let secret = user.split_once(':').map_or(if of_database { "" } else { user }, |(_, password)| password);
        found |= !before.is_empty() && !is_of_variables(secret);
        before = rest;
    }
    found
}

/// Whether the query of a URL in a text gives a secret.
fn in_query(text: &str) -> bool {
    let pairs = text.split(['?', '&', ';']).skip(1).filter_map(|pair| pair.split_once('='));
    let mut secrets = pairs.filter(|(name, _)| {
        let name = name.trim().to_lowercase();
        sounds_secret(&name)
            || matches!(name.as_str(), "key" | "sig" | "signature" | "pwd" | "pass" | "apikey" | "auth")
    });
    text.contains("://") && secrets.any(|(_, value)| !is_of_variables(value.split('#').next().unwrap_or_default()))
}

fn is_of_variables(text: &str) -> bool {
    text.is_empty() || without_variables(text).is_some_and(|left| left.is_empty())
}

/// Whether a line, which may be a comment, gives a secret that is written out.
fn in_line(line: &str) -> bool {
    let comment = line.split_once('#').map_or("", |(_, comment)| comment);
    let given = comment.split_once('=').filter(|(name, _)| sounds_secret(name.trim()));
    let value = given.map_or("", |(_, value)| value.trim().trim_start_matches(['"', '\'']));
    let value = value.split(['"', '\'']).next().unwrap_or_default();
    in_urls(comment) || in_query(comment) || !is_of_variables(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_a_secret_is_told_from_one_without() {
        let with = [
            "location = \"postgres://app:hunter2@db/claims\"",
            "location = \"postgres://app:hun/ter2@db/claims\"",
            "location = \"postgres://app:${X:-hunter2}@db/claims\"",
            "location = \"https://hunter2@host/a.csv\"",
            "password = \"hunter2\"",
            "password = \"hunter2\" # not ${PASSWORD}",
            "password = \"hunter2${X}\"",
            "password = \"${X:-hunter2}\"",
            "password = \"$${hunter2}\"",
            "password = '''\nhunter2'''",
            "x = { a = [{ \"api_token\" = \"hunter2\" }] }",
            "location = \"mysql://db/claims?password=hunter2\"",
            "location = \"https://host/a.csv?sv=1&sig=hunter2\"",
            "[run]\npii_key = \"0123456789abcdef0123\"",
            "[run]\nnotify = { url = \"${HOOK}\", authorization = \"Bearer hunter2\" }",
            "[run.notify]\nurl = \"https://hooks.slack.com/services/T0/B0/hunter2\"",
            "[run.notify]\nurl = \"https://hooks.slack.com/services/T0/B0/hunter2?${X}\"",
            "[run.notify]\nurl = \"https://hooks.example.org\"",
            "[run]\nopenlineage = \"http://marquez:5000\"",
            "# location = \"postgres://app:hunter2@db/claims\"",
            "#password = \"hunter2\"",
            "no TOML",
        ];
        let without = [
            "location = \"postgres://app:${DB_PASSWORD}@db/claims\"",
            "password = \"${SIGN_PASSWORD}\"",
            "password_file = \"/run/secrets/db\"",
            "location = \"postgres://app@db/claims\"",
            "location = \"a.csv\"  # e-mail me@example.org",
            "location = \"s3://bucket/icons@2x/*.parquet\"",
            "runbook = \"https://wiki.example.org/page?view=all\" # password = \"${X}\"",
            "[run.notify]\nurl = \"${HOOK_URL}\"\nauthorization = \"Bearer ${TOKEN}\"",
            "[run.notify]\nurl = \"https://hooks.slack.com/services/${HOOK}\"\n[run]\nopenlineage = \"http://${HOST}:5000\"",
            "[contract.a.attribute.token]\ncolumn = \"password\"",
        ];
        for text in with {
            assert!(holds_secret(text), "{text}");
        }
        for text in without {
            assert!(!holds_secret(text), "{text}");
        }
    }
}
