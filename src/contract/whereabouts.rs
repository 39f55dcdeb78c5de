//! Where a contract's rows lie, as one digest: what its meaning leaves out, and a run that goes on from another must find
//! unchanged. No secret goes into it.

use super::{Contract, Location, Rows};

impl Contract {
    /// The BLAKE3 of the name and location of every source that it reads, of tables and queries, and of which rows are theirs.
    #[must_use]
    pub fn whereabouts(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        let mut add = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        };
        for source in self.every_source() {
            add(&self.secrets.redact(&source.name));
            add(&self.secrets.redact(source.location.shown()));
            add(&self.secrets.redact(source.filter.as_deref().unwrap_or_default()));
            match &source.location {
                Location::Database(database) => match &database.rows {
                    Rows::Table(table) => add(&format!("table {}", self.secrets.redact(table))),
                    Rows::Query(query) => add(&format!("query {}", self.secrets.redact(query))),
                },
                Location::Files { .. } | Location::Remote { .. } => add("files"),
            }
        }
        *hasher.finalize().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use crate::contract::load_text;

    #[test]
    fn another_table_of_the_same_server_is_another_place_and_another_limit_is_not() {
        let digest = |table: &str, options: &str| {
            let text = format!(
                "version = 1\n[source.a]\nlocation = \"sqlite:a.db\"\ntable = \"{table}\"\n{options}\n[source.b]\nlocation = \"b.csv\"\n\
                 [contract.c]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"b\"\nkey = [\"id\"]\n"
            );
            let configuration = load_text("reconcile.toml".as_ref(), &text).unwrap();
            configuration.contracts[0].whereabouts()
        };
        assert_eq!(digest("t", ""), digest("t", "max_duration = \"1h\""));
        assert_ne!(digest("t", ""), digest("u", ""));
        assert_ne!(digest("t", ""), digest("t", "filter = \"id > 1\""));
    }
}
