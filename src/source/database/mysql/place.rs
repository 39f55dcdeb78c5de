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
    /// What stands behind FROM.
    pub(super) from: String,
    filter: String,
    /// Database and name, where it is a table or view.
    named: Option<(String, String)>,
    /// It is a table, and no view.
    is_table: bool,
    /// The table's engine, where that has no transactions.
    without_snapshot: Option<String>,
}

impl Place {
    /// Finds what the contract names; `declared`: no other columns than those that it names are compared.
    pub(super) async fn find(
        connection: &mut Conn,
        rows: &Rows,
        filter: Option<&str>,
        declared: bool,
    ) -> Result<Self, Stop> {
        let filter = filter.map(|filter| format!("\nWHERE (\n{filter}\n)")).unwrap_or_default();
        match rows {
            Rows::Query(query) => {
                // Within parentheses only a query is one, whatever it is.
                let query = query.trim().trim_end_matches(';');
                let from = format!("(\n{query}\n) AS `reconcile: rows`");
                let select = format!("SELECT * FROM {from}{filter}");
                Ok(Self { select, from, filter, named: None, is_table: false, without_snapshot: None })
            }
            Rows::Table(written) => {
                let (schema, name) = named(connection, written).await?;
                let columns = columns(connection, &schema, &name, written).await?;
                let columns: Vec<String> = columns.iter().map(|name| quoted_name(System::Mysql, name)).collect();
                let from = format!("{}.{}", quoted_name(System::Mysql, &schema), quoted_name(System::Mysql, &name));
                let select = format!("SELECT {} FROM {from}{filter}", columns.join(", "));
                let without_snapshot = engine(connection, &schema, &name).await?;
                let is_table = is_table(connection, &schema, &name).await?;
                if !declared {
                    sees_all(connection, &from, is_table).await?;
                }
                Ok(Self { select, from, filter, named: Some((schema, name)), is_table, without_snapshot })
            }
        }
    }

    /// The statement for the rows of which a condition holds.
    pub(super) fn within(&self, condition: &str) -> String {
        let joint = if self.filter.is_empty() { "\nWHERE" } else { " AND" };
        format!("{}{joint} {condition}", self.select)
    }

    /// The first column of the primary key, where that is a whole number and the table has snapshots.
    pub(super) async fn leading(&self, connection: &mut Conn) -> Result<Option<String>, Stop> {
        let Some(table) = self.table().filter(|_| !self.is_without_snapshot()) else { return Ok(None) };
        let found: Option<(String, String)> = connection
            .exec_first(
                "SELECT s.COLUMN_NAME, c.DATA_TYPE FROM information_schema.STATISTICS s JOIN information_schema.COLUMNS c \
                 ON c.TABLE_SCHEMA = s.TABLE_SCHEMA AND c.TABLE_NAME = s.TABLE_NAME AND c.COLUMN_NAME = s.COLUMN_NAME \
                 WHERE s.TABLE_SCHEMA = ? AND s.TABLE_NAME = ? AND s.INDEX_NAME = 'PRIMARY' AND s.SEQ_IN_INDEX = 1",
                table,
            )
            .await?;
        let is_whole = |of: &str| matches!(of, "tinyint" | "smallint" | "mediumint" | "int" | "bigint");
        Ok(found.filter(|(_, of)| is_whole(of)).map(|(name, _)| name))
    }

    /// The table's database and name.
    pub(super) fn table(&self) -> Option<(&str, &str)> {
        let named = self.named.as_ref().filter(|_| self.is_table);
        named.map(|(schema, name)| (schema.as_str(), name.as_str()))
    }

    /// Whether it is a table, and neither view nor query.
    pub(super) fn is_table(&self) -> bool {
        self.is_table
    }

    /// Whether what is asked twice may have changed in between.
    pub(super) fn is_without_snapshot(&self) -> bool {
        self.without_snapshot.is_some()
    }

    /// Rows and bytes of a table that has snapshots, about.
    pub(super) async fn size(&self, connection: &mut Conn) -> Result<Option<(u64, u64)>, Stop> {
        let Some(table) = self.table().filter(|_| !self.is_without_snapshot()) else { return Ok(None) };
        let told: Option<(Option<u64>, Option<u64>)> = connection
            .exec_first(
                "SELECT TABLE_ROWS, DATA_LENGTH FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?",
                table,
            )
            .await?;
        let (rows, bytes) = told.unwrap_or_default();
        // The server guesses, and what was filled a moment ago may not have been looked at.
        let rows = match rows.filter(|rows| *rows > 0) {
            Some(rows) => rows,
            None => self.count(connection).await?,
        };
        Ok(Some((rows, bytes.unwrap_or(0))))
    }

    /// How many rows there are.
    pub(super) async fn count(&self, connection: &mut Conn) -> Result<u64, Stop> {
        let count: Option<u64> =
            connection.query_first(format!("SELECT COUNT(*) FROM {}{}", self.from, self.filter)).await?;
        Ok(count.unwrap_or(0))
    }

    /// Whether there is any row.
    pub(super) async fn has_rows(&self, connection: &mut Conn) -> Result<bool, Stop> {
        let asked = format!("SELECT 1 FROM {}{} LIMIT 1", self.from, self.filter);
        let one: Option<u8> = connection.query_first(asked).await?;
        Ok(one.is_some())
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

/// Refuses a table of which the user sees some columns only: the catalog leaves out the others without a word.
async fn sees_all(connection: &mut Conn, from: &str, is_table: bool) -> Result<(), Stop> {
    let told = match connection.prep(format!("SELECT * FROM {from}")).await {
        Ok(statement) => connection.close(statement).await,
        Err(error) => Err(error),
    };
    // Invisible columns are not among them; whoever sees the whole declaration sees these too.
    let told = match told {
        Ok(()) if is_table => connection.query_drop(format!("SHOW CREATE TABLE {from}")).await,
        told => told,
    };
    match told {
        Err(mysql_async::Error::Server(said)) if matches!(said.code, 1142 | 1143) => {
            let problem = format!("the user may see some columns of {from} only, expected SELECT on the whole table");
            Err(Refused::new(problem)
                .with_hint(
                    "GRANT SELECT ON database.table TO the user, or name the columns: by a `query`, or as attributes under \
                     compare = \"declared\"",
                )
                .into())
        }
        told => Ok(told?),
    }
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

/// Whether it is a table, and no view.
async fn is_table(connection: &mut Conn, schema: &str, name: &str) -> Result<bool, Stop> {
    let kind: Option<String> = connection
        .exec_first(
            "SELECT TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?",
            (schema, name),
        )
        .await?;
    Ok(matches!(kind.as_deref(), Some("BASE TABLE" | "SYSTEM VERSIONED")))
}

/// A text in SQL, as its bytes, so that no setting changes what it means.
pub(super) fn literal(text: &str) -> String {
    let digits: String = text.bytes().map(|byte| format!("{byte:02X}")).collect();
    format!("CONVERT(X'{digits}' USING utf8mb4)")
}
