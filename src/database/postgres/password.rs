//! Finds the password: that of the URL, of `password_file`, of `PGPASSWORD`, of the pgpass file, in this order. It shows none.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::Failure;

/// Gives the configuration its password, where there is one.
pub(super) fn complete(config: &mut Config, file: Option<&Path>, passfile: Option<&Path>) -> Result<(), Failure> {
    if config.get_password().is_some() {
        return Ok(());
    }
    let found = match file {
        Some(file) => Some(first_line(file)?),
        None => std::env::var("PGPASSWORD").ok().filter(|password| !password.is_empty()),
    };
    if let Some(password) = found.or_else(|| of_passfile(config, passfile)) {
        config.password(password);
    }
    Ok(())
}

fn first_line(file: &Path) -> Result<String, Failure> {
    let text = fs::read_to_string(file)
        .map_err(|error| Failure::new(format!("cannot read `password_file` {}: {error}", file.display())))?;
    match text.lines().next().filter(|line| !line.is_empty()) {
        Some(line) => Ok(line.to_owned()),
        None => Err(Failure::new(format!("`password_file` {} has no first line", file.display()))),
    }
}

/// The password that the pgpass file has for the first host. A file that others may read does not count, as for all
/// clients of PostgreSQL.
fn of_passfile(config: &Config, passfile: Option<&Path>) -> Option<String> {
    let usual = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".pgpass"));
    let named = passfile.map(Path::to_path_buf).or_else(|| std::env::var_os("PGPASSFILE").map(PathBuf::from));
    let file = named.or_else(usual)?;
    if fs::metadata(&file).ok()?.mode() & 0o077 != 0 {
        return None;
    }
    let text = fs::read_to_string(&file).ok()?;
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        // Sockets are `localhost` there.
        _ => "localhost".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432).to_string();
    let user = config.get_user()?;
    let database = config.get_dbname().unwrap_or(user);
    text.lines().find_map(|line| matching(line, [&host, &port, database, user]))
}

/// The password of a line whose four fields fit.
fn matching(line: &str, wanted: [&str; 4]) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let mut fields = fields(line).into_iter();
    let fits =
        wanted.iter().all(|wanted| fields.next().is_some_and(|(field, bare)| bare && field == "*" || field == *wanted));
    fields.next().filter(|_| fits).map(|(password, _)| password)
}

/// Five fields between colons, in which `\` takes the next character as it stands; and whether they had none.
fn fields(line: &str) -> Vec<(String, bool)> {
    let mut fields = vec![(String::new(), true)];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let count = fields.len();
        let (field, bare) = fields.last_mut().expect("there is one from the start");
        match character {
            ':' if count < 5 => fields.push((String::new(), true)),
            ':' => break,
            '\\' => {
                *bare = false;
                field.extend(characters.next());
            }
            _ => field.push(character),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_pgpass_fits_by_its_four_fields() {
        let wanted = ["db", "5432", "shop", "amy"];
        let cases = [
            ("db:5432:shop:amy:secret", Some("secret")),
            ("*:*:*:amy:with\\:colon\\\\", Some("with:colon\\")),
            ("db:5432:shop:bob:secret", None),
            ("db:5433:shop:amy:secret", None),
            ("# db:5432:shop:amy:secret", None),
            ("\\*:*:*:amy:secret", None),
            ("db:5432:shop:amy", None),
        ];
        for (line, password) in cases {
            assert_eq!(matching(line, wanted).as_deref(), password, "{line}");
        }
    }

    #[test]
    fn a_file_of_a_password_gives_its_first_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        fs::write(&file, "secret\nmore\n").unwrap();
        let mut config = Config::new();
        complete(&mut config, Some(&file), None).unwrap();
        assert_eq!(config.get_password(), Some(&b"secret"[..]));
        let absent = complete(&mut Config::new(), Some(&folder.path().join("no")), None).unwrap_err();
        assert!(absent.problem.contains("password_file"), "{absent:?}");
    }
}
