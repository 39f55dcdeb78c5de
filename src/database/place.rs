//! Which database a location stands for, once its variables have values: a digest that tells databases apart and names none.
//! Who asks, by which password, and how the connection is made is no part of it. It connects to nothing.

use crate::contract::{Database, System};

/// Options of a URL that decide which database, or which of its tables, is reached.
const OF_THE_PLACE: [&str; 6] = ["dbname", "host", "hostaddr", "options", "port", "socket"];

/// The digest, in hex.
#[must_use]
pub fn place(database: &Database) -> String {
    let written = database.url.reveal();
    let where_it_is = match database.system {
        System::Sqlite => {
            let path = std::path::Path::new(written);
            let whole = std::fs::canonicalize(path).or_else(|_| std::path::absolute(path));
            whole.map_or_else(|_| written.to_owned(), |path| path.display().to_string())
        }
        System::Postgres => of_url(written, "5432", true),
        System::Mysql => of_url(written, "3306", false),
    };
    blake3::hash(format!("reconcile place 1\n{}\n{where_it_is}", database.system.name()).as_bytes())
        .to_hex()
        .to_string()
}

/// Hosts with their ports, the database, and the options that count. Where no database is named, some servers take the user's
/// name for it.
fn of_url(url: &str, port: &str, named_by_user: bool) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (base, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = base.split_once('/').unwrap_or((base, ""));
    let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let with_port = |host: &str| {
        let numbered =
            host.rsplit_once(':').is_some_and(|(_, behind)| behind.bytes().all(|digit| digit.is_ascii_digit()));
        if numbered { host.to_lowercase() } else { format!("{}:{port}", host.to_lowercase()) }
    };
    let hosts: Vec<String> = hosts.split(',').map(with_port).collect();
    let user = user.split_once(':').map_or(user, |(user, _)| user);
    let database = if database.is_empty() && named_by_user { user } else { database };
    let counts = |pair: &&str| OF_THE_PLACE.contains(&pair.split_once('=').map_or(*pair, |(name, _)| name));
    let mut options: Vec<&str> = query.split('&').filter(counts).collect();
    options.sort_unstable();
    format!("{}\n{database}\n{}", hosts.join(","), options.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_place_is_the_same_whoever_asks() {
        let same = of_url("postgres://amy:secret@DB/shop?sslmode=require", "5432", true);
        assert_eq!(of_url("postgres://bob@db:5432/shop?connect_timeout=3", "5432", true), same);
        assert!(!same.contains("amy") && !same.contains("secret"), "{same}");
        for other in [
            "postgres://amy@db2/shop",
            "postgres://amy@db:6000/shop",
            "postgres://amy@db/stage",
            "postgres://amy@db,db2/shop",
            "postgres://amy@db/shop?options=-csearch_path%3Dother",
            "postgres://amy@db/shop?host=other",
        ] {
            assert_ne!(of_url(other, "5432", true), same, "{other}");
        }
        assert_ne!(of_url("postgres://amy@db", "5432", true), of_url("postgres://bob@db", "5432", true));
        assert_eq!(of_url("mysql://amy@[::1]/x", "3306", false), of_url("mysql://[::1]:3306/x", "3306", false));
    }
}
