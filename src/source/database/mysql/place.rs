//! What is read: the statement for a table, view or query, and what its engine cannot promise.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::contract::{Rows, System};
use crate::database::dialect::{quoted_name, table_parts};
use crate::database::refused::Refused;

use super::Stop;

/// What is read.
pub(super) struct Place {
    /// The statement.
    pub(super) select: String,
    /// The table's engine, where that has no transactions.
    without_snapshot: Option<String>,
}

impl Place {
    /// Finds what the contract names.
    pub(super) async fn find(connection: &mut Conn, rows: &Rows, filter: Option<&str>) -> Result<Self, Stop> {
        let filter = filter.map(|filter| format!("\nWHERE (\n{filter}\n)")).unwrap_or_default();
        match rows {
            Rows::Query(query) => {
                // Within parentheses only a query is one, whatever it is.
                let query = query.trim().trim_end_matches(';');
                let select = format!("SELECT * FROM (\n{query}\n) AS `reconcile: rows`{filter}");
                Ok(Self { select, without_snapshot: None })
            }
            Rows::Table(written) => {
                let (schema, name) = named(connection, written).await?;
                let columns = columns(connection, &schema, &name, written).await?;
                let columns: Vec<String> = columns.iter().map(|name| quoted_name(System::Mysql, name)).collect();
                let from = format!("{}.{}", quoted_name(System::Mysql, &schema), quoted_name(System::Mysql, &name));
                let select = format!("SELECT {} FROM {from}{filter}", columns.join(", "));
                Ok(Self { select, without_snapshot: engine(connection, &schema, &name).await? })
            }
        }
    }

    /// What the reader has to know.
    pub(super) fn warnings(&self, shown: &str) -> Vec<String> {
        let warning = |engine: &String| {
            format!(
                "{shown}: a table of the engine {engine} has no snapshots: it is read by one statement, but what \
                 belongs together in several tables may be read apart"
            )
        };
        self.without_snapshot.iter().map(warning).collect()
    }
}

/// The table's database and name.
async fn named(connection: &mut Conn, written: &str) -> Result<(String, String), Stop> {
    let mut parts = table_parts(written).map_err(Refused::new)?;
    let name = parts.pop().unwrap_or_default();
    let schema = match parts.len() {
        0 => connection.query_first::<Option<String>, _>("SELECT DATABASE()").await?.flatten(),
        1 => parts.pop(),
        _ => {
            let problem = format!("the table `{written}` has more than two parts, expected database.table");
            return Err(Refused::new(problem).with_hint("a name that holds a dot is written in quotes: `a.b`").into());
        }
    };
    let unnamed =
        || Refused::new("neither the URL nor the table names a database").with_hint("for instance shop.orders");
    Ok((schema.ok_or_else(unnamed)?, name))
}

/// The names of all columns, generated and invisible ones too.
async fn columns(connection: &mut Conn, schema: &str, name: &str, written: &str) -> Result<Vec<String>, Stop> {
    // The catalog finds names of another letter case, which on most systems are other tables.
    let folds: Option<u8> = connection.query_first("SELECT @@lower_case_table_names").await?;
    let found: Vec<(String, String, String)> = connection
        .exec(
            "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS \
             WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION",
            (schema, name),
        )
        .await?;
    let same = |one: &str, other: &str| one == other || folds != Some(0) && one.to_lowercase() == other.to_lowercase();
    let found = found.into_iter().filter(|(of_schema, of_name, _)| same(of_schema, schema) && same(of_name, name));
    let columns: Vec<String> = found.map(|(_, _, column)| column).collect();
    if columns.is_empty() {
        let problem = format!("has no table `{written}`, or the user may not see it");
        return Err(Refused::new(problem)
            .with_hint("check the name, or GRANT SELECT ON database.table TO the user")
            .into());
    }
    Ok(columns)
}

/// The table's engine, where that has no transactions and so no snapshot.
async fn engine(connection: &mut Conn, schema: &str, name: &str) -> Result<Option<String>, Stop> {
    let engine: Option<String> = connection
        .exec_first(
            "SELECT t.ENGINE FROM information_schema.TABLES t JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE \
             WHERE t.TABLE_SCHEMA = ? AND t.TABLE_NAME = ? AND COALESCE(e.TRANSACTIONS, 'NO') <> 'YES'",
            (schema, name),
        )
        .await?;
    Ok(engine)
}
