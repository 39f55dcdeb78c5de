//! What the server would do to rows of other tables when a row is removed, as far as this user may see it; and whether that is
//! far enough. What is not known counts as what harms.

use std::collections::BTreeSet;

use super::{Column, Mysql, Place, Refused};
use crate::apply::table::Referring;
use crate::contract::System;
use crate::database::dialect::quoted_name;

/// Foreign keys with their rules, which a user who may only read a table is not shown.
const KEYS: &str = "information_schema.KEY_COLUMN_USAGE k LEFT JOIN information_schema.REFERENTIAL_CONSTRAINTS r ON \
    r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME AND r.TABLE_NAME = k.TABLE_NAME";

/// Rules by which the server does something by itself.
const ACTING: &str = "('CASCADE', 'SET NULL', 'SET DEFAULT')";

/// A rule that is not shown.
const UNKNOWN: &str = "unknown to this user";

impl Mysql {
    pub(super) fn referring(&mut self, place: &Place, columns: &[Column]) -> Result<Vec<Referring>, Refused> {
        let rows = self.ask(&format!(
            "SELECT k.CONSTRAINT_SCHEMA, k.CONSTRAINT_NAME, k.TABLE_SCHEMA, k.TABLE_NAME, k.COLUMN_NAME, k.REFERENCED_COLUMN_NAME, \
             COALESCE(LOWER(r.DELETE_RULE), '{UNKNOWN}'), k.TABLE_SCHEMA = k.REFERENCED_TABLE_SCHEMA AND k.TABLE_NAME = k.REFERENCED_TABLE_NAME \
             FROM {KEYS} \
             WHERE COALESCE(r.DELETE_RULE, 'CASCADE') IN {ACTING} AND {} \
             ORDER BY k.TABLE_SCHEMA, k.TABLE_NAME, k.CONSTRAINT_NAME, k.ORDINAL_POSITION",
            place.is("k.REFERENCED_TABLE_SCHEMA", "k.REFERENCED_TABLE_NAME")
        ))?;
        let name = |name: &str| quoted_name(System::Mysql, name);
        let mut all: Vec<([String; 3], Referring)> = Vec::new();
        for row in rows {
            let text = |index: usize| row[index].clone().unwrap_or_default();
            let Some(referred) = columns.iter().position(|column| column.name.eq_ignore_ascii_case(&text(5))) else {
                continue;
            };
            let identity = [text(2), text(3), text(1)];
            if all.last().is_none_or(|(last, _)| *last != identity) {
                let foreign = Referring {
                    sql: format!("{}.{}", name(&text(2)), name(&text(3))),
                    shown: text(3),
                    own: text(7) == "1",
                    columns: Vec::new(),
                    referred: Vec::new(),
                    act: text(6),
                };
                all.push((identity, foreign));
            }
            if let Some((_, foreign)) = all.last_mut() {
                foreign.columns.push(name(&text(4)));
                foreign.referred.push(referred);
            }
        }
        Ok(all.into_iter().map(|(_, foreign)| foreign).collect())
    }

    pub(super) fn by_itself(&mut self, place: &Place) -> Result<Vec<String>, Refused> {
        let rows = self.ask(&format!(
            "SELECT CONCAT('trigger `', TRIGGER_NAME, '`') FROM information_schema.TRIGGERS WHERE {} UNION ALL \
             SELECT CONCAT('foreign key `', k.CONSTRAINT_NAME, '` of `', k.TABLE_NAME, '` (on delete ', \
             COALESCE(LOWER(r.DELETE_RULE), '{UNKNOWN}'), ', on update ', COALESCE(LOWER(r.UPDATE_RULE), '{UNKNOWN}'), ')') \
             FROM {KEYS} WHERE k.ORDINAL_POSITION = 1 AND {} AND \
             (COALESCE(r.DELETE_RULE, 'CASCADE') IN {ACTING} OR COALESCE(r.UPDATE_RULE, 'CASCADE') IN {ACTING})",
            place.is("EVENT_OBJECT_SCHEMA", "EVENT_OBJECT_TABLE"),
            place.is("k.REFERENCED_TABLE_SCHEMA", "k.REFERENCED_TABLE_NAME"),
        ))?;
        let mut told: Vec<String> = rows.into_iter().filter_map(|row| row[0].clone()).collect();
        told.sort();
        Ok(told)
    }

    /// Why rows of other tables may go with a row although none was found: what this user cannot see refers to it.
    pub(super) fn unseen(&mut self, [schema, table]: [&str; 2], seen: &[Referring]) -> Result<Option<String>, Refused> {
        if let Some(names) = self.known_to_the_engine(schema, table)? {
            let is_seen = |name: &String| {
                let parts: Vec<String> = name.split('/').map(|part| quoted_name(System::Mysql, part)).collect();
                seen.iter().any(|one| one.sql.eq_ignore_ascii_case(&parts.join(".")))
            };
            // Names of other characters are written in another way there, so they are counted.
            let (odd, plain): (Vec<&String>, Vec<&String>) = names.iter().partition(|name| name.contains('@'));
            let others: BTreeSet<&str> =
                seen.iter().map(|one| one.sql.as_str()).filter(|sql| !is_plain_sql(sql)).collect();
            let all = plain.into_iter().all(is_seen) && odd.len() <= others.len();
            let why = "tables refer to it whose rows would go with it, and which this user may not see";
            return Ok((!all).then(|| format!("{why}, so the row is left for a person")));
        }
        let grants: Vec<String> =
            self.ask("SHOW GRANTS")?.into_iter().filter_map(|row| row.into_iter().next()?).collect();
        if grants.iter().any(|grant| sees_all(grant, schema)) {
            return Ok(None);
        }
        let why = "this user cannot see whether rows of other tables would go with it";
        Ok(Some(format!("{why}: that takes SELECT on the whole database, or PROCESS")))
    }

    /// The tables with a foreign key to a table that acts when a row is removed there, by all that the engine knows; None where
    /// it does not tell.
    fn known_to_the_engine(&mut self, schema: &str, table: &str) -> Result<Option<BTreeSet<String>>, Refused> {
        if !is_plain(schema) || !is_plain(table) {
            return Ok(None);
        }
        for catalog in ["INNODB_SYS_FOREIGN", "INNODB_FOREIGN"] {
            let asked = self.ask(&format!(
                "SELECT FOR_NAME FROM information_schema.{catalog} WHERE LOWER(REF_NAME) = LOWER('{schema}/{table}') \
                 AND (TYPE & 3) <> 0"
            ));
            match asked {
                Ok(rows) => return Ok(Some(rows.into_iter().filter_map(|row| row.into_iter().next()?).collect())),
                Err(refused) if refused.lost => return Err(refused),
                // Another server's catalog, or one that only PROCESS opens.
                Err(_) => {}
            }
        }
        Ok(None)
    }
}

/// Whether a grant shows every table of a database.
fn sees_all(grant: &str, schema: &str) -> bool {
    let Some((rights, rest)) = grant.strip_prefix("GRANT ").and_then(|rest| rest.split_once(" ON ")) else {
        return false;
    };
    let mut rights = rights.split(", ");
    let on = rest.split_once(" TO ").map_or(rest, |(on, _)| on);
    // In a grant a database is a pattern, in which a character may be escaped.
    let here = on == "*.*" || on.replace('\\', "") == format!("{}.*", quoted_name(System::Mysql, schema));
    here && rights.any(|right| matches!(right, "SELECT" | "ALL" | "ALL PRIVILEGES"))
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Whether both parts of a table's name are plain.
fn is_plain_sql(sql: &str) -> bool {
    sql.trim_matches('`').split("`.`").all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_grant_that_shows_all_tables_does() {
        for (grant, expected) in [
            ("GRANT ALL PRIVILEGES ON *.* TO `root`@`%` WITH GRANT OPTION", true),
            ("GRANT SELECT, INSERT ON `crm\\_x`.* TO `amy`@`%`", true),
            ("GRANT INSERT, UPDATE ON `crm_x`.* TO `amy`@`%`", false),
            ("GRANT SELECT ON `crm_x`.`t` TO `amy`@`%`", false),
            ("GRANT SELECT ON `other`.* TO `amy`@`%`", false),
            ("GRANT USAGE ON *.* TO `amy`@`%`", false),
            ("GRANT SELECT (`a`) ON `crm_x`.`t` TO `amy`@`%`", false),
            ("GRANT `role` TO `amy`@`%`", false),
        ] {
            assert_eq!(sees_all(grant, "crm_x"), expected, "{grant}");
        }
    }
}
