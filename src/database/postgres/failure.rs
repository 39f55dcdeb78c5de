//! What a client of PostgreSQL could not do, as a sentence for people: the server's own words where they hold no secret.

use std::error::Error as _;
use std::io;

use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, Error};

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What was seen and what was expected.
    pub(crate) problem: String,
    /// What the reader can do now.
    pub(crate) hint: Option<String>,
    /// The server's code, where it said one.
    pub(crate) code: Option<String>,
    /// The connection is gone, or was never there: another attempt may succeed.
    pub(crate) lost: bool,
    /// The server answered, and did not let the user in.
    pub(crate) refused: bool,
}

impl Failure {
    /// With a problem alone.
    pub(crate) fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), hint: None, code: None, lost: false, refused: false }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Whether the server said this code.
    pub(crate) fn is(&self, code: &SqlState) -> bool {
        self.code.as_deref() == Some(code.code())
    }

    /// What kept a connection from being made.
    pub(super) fn reaching(error: &Error, config: &Config) -> Self {
        let mut failure = Self::of(error);
        if let Some(user) = config.get_user() {
            // The server names the user, whom nobody else needs to know.
            failure.problem = failure.problem.replace(&format!("user \"{user}\""), "the user");
            failure.problem = failure.problem.replace(&format!("role \"{user}\""), "the role of the URL");
        }
        failure.refused = error.as_db_error().is_some();
        if error.as_db_error().is_none() {
            failure.lost = true;
            failure.problem = format!("cannot connect: {}", failure.problem);
        }
        let hint = match failure.code.as_deref() {
            Some("28P01") => Some(if config.get_password().is_none() {
                "no password was given: put it into the URL as `${NAME}`, or use password_file, PGPASSWORD or pgpass"
            } else {
                "check user and password"
            }),
            Some("28000") if failure.problem.contains("certificate") => Some(
                "name the client's certificate and its key in the URL: sslcert, sslkey; its name must be the user's",
            ),
            Some("28000") => Some("ask for an entry in the server's pg_hba.conf, or use the `sslmode` that it wants"),
            Some("53300") => Some("lower `max_connections`, or wait until others are done"),
            None if config.get_password().is_none() && failure.problem.contains("password") => {
                Some("put it into the URL as `${NAME}`, or use password_file, PGPASSWORD or pgpass")
            }
            None => Some("check host, port and sslmode of the URL"),
            Some(_) => None,
        };
        failure.hint = failure.hint.or(hint.map(ToOwned::to_owned));
        failure
    }

    /// What kept a statement from being done.
    pub(crate) fn of(error: &Error) -> Self {
        let Some(said) = error.as_db_error() else { return Self::without_answer(error) };
        let code = said.code();
        let mut message = said.message();
        // What is wrong with a value is said with the value, which may be anybody's data.
        if code.code().starts_with("22") || code.code().starts_with("23") {
            message = message.split([':', '"']).next().unwrap_or(message).trim_end();
        }
        let mut failure = Self::new(message);
        failure.code = Some(code.code().to_owned());
        failure.hint = hint(code);
        if code.code() == "42501" && message.contains("row-level security") {
            failure.hint = Some(
                "a policy hides rows from the user of the URL: ALTER ROLE … BYPASSRLS, or read a view of the rows that \
                 are meant, whose owner no policy holds back"
                    .to_owned(),
            );
        }
        // The server is going down, or ended this connection alone.
        failure.lost = code.code().starts_with("57P") || code.code().starts_with("08");
        failure
    }

    fn without_answer(error: &Error) -> Self {
        if error.is_closed() {
            return Self { lost: true, ..Self::new("the connection was closed") };
        }
        let mut cause = error.source();
        while let Some(inner) = cause {
            if let Some(io) = inner.downcast_ref::<io::Error>() {
                return Self { lost: true, ..Self::new(said(io)) };
            }
            cause = inner.source();
        }
        // Its own words name steps of the protocol, and no value.
        let text = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        Self { lost: true, ..Self::new(text) }
    }
}

/// An error of the system, also of TLS below it.
fn said(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "nothing listens there (connection refused)".to_owned(),
        io::ErrorKind::TimedOut => "no answer in time".to_owned(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "the connection was cut".to_owned()
        }
        _ => error.to_string(),
    }
}

fn hint(code: &SqlState) -> Option<String> {
    let hint = match code.code() {
        "42501" => "GRANT SELECT on the table, and USAGE on its schema, to the user of the URL",
        "57014" => "raise `statement_timeout`, or read at a quieter time",
        "55P03" => "another session holds a lock on the table: wait until it is done",
        "40001" => "a replica ended the reading because of its primary: set hot_standby_feedback, or read the primary",
        "25006" => "a source is only read: leave out what writes",
        "42703" | "42601" | "42883" => "check `filter` and `query`: they are in PostgreSQL's own SQL",
        _ => return None,
    };
    Some(hint.to_owned())
}
