//! Reaches a MySQL or MariaDB server: reads the URL, finds the password, agrees on TLS, connects, and gives the session one
//! zone and one dialect, whatever the server's defaults are. No error of it holds a user or a password.

use std::path::PathBuf;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{ClientIdentity, Conn, DriverError, Opts, OptsBuilder, SslOpts};

use crate::contract::Database;

use super::identity::{Files, Identity};
use super::refused::Refused;

mod said;
mod url;

pub use said::{is_lost, refused};
use url::{Tls, Wanted};

/// How long reaching a server may take where the URL does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// After how long a silence the other end is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(30);

/// What every session begins with, whatever the server's defaults and its `init_connect` say: every character as it is,
/// instants in UTC, one dialect, zero dates as they stand, all rows, of now, nothing cut short, a server that waits while rows
/// are read slowly, and none that waits a day for a table that somebody locked. Only MariaDB reads what stands behind `M!`; DEFAULT is there the present, and no global value.
const SESSION: [&str; 3] = [
    "SET NAMES utf8mb4",
    "SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', lc_time_names = 'en_US', \
     default_week_format = 0, net_write_timeout = 3600, net_read_timeout = 3600, wait_timeout = 86400, lock_wait_timeout = 30",
    "SET sql_select_limit = 18446744073709551615, group_concat_max_len = 1073741824, sql_auto_is_null = 0, \
     sql_safe_updates = 0, completion_type = 0 /*M!100304 , system_versioning_asof = DEFAULT */",
];

/// All that is needed to connect, again and again.
#[derive(Clone)]
pub struct Access {
    opts: Opts,
    /// Without TLS, where that is allowed.
    plain: Option<Opts>,
    /// How TLS is agreed on, where the certificate may be for any host.
    for_any_host: Option<SslOpts>,
    timeout: Duration,
}

impl Access {
    /// Reads the URL and everything it names; connects to nothing.
    ///
    /// # Errors
    /// A URL that cannot be read, a file of certificates, of a key or of the password that cannot be.
    pub fn new(database: &Database) -> Result<Self, Refused> {
        let wanted = url::read(database.url.reveal())?;
        let password = match (&wanted.password, &database.password_file) {
            (Some(password), _) => Some(password.clone()),
            (None, Some(file)) => Some(first_line(file)?),
            (None, None) => None,
        };
        let plain = OptsBuilder::default()
            .ip_or_hostname(wanted.host.clone())
            .tcp_port(wanted.port)
            .user(wanted.user.clone())
            .pass(password)
            .db_name(wanted.database.clone())
            .socket(wanted.socket.clone())
            .prefer_socket(Some(wanted.socket.is_some()))
            .connect_attribute("program_name", "reconcile")
            .stmt_cache_size(Some(4))
            .tcp_keepalive(Some(SILENCE))
            .secure_auth(true);
        // What does not leave this machine needs none.
        let ssl = if wanted.socket.is_some() { None } else { ssl(&wanted)? };
        let for_any_host = ssl.clone().filter(|_| wanted.tls == Tls::VerifyCa);
        let secure: Opts = plain.clone().ssl_opts(ssl).into();
        let may_be_plain = wanted.tls == Tls::Prefer;
        Ok(Self {
            opts: secure,
            plain: may_be_plain.then(|| plain.into()),
            for_any_host,
            timeout: wanted.timeout.unwrap_or(CONNECT_TIMEOUT),
        })
    }

    /// Connects, and prepares the session.
    ///
    /// # Errors
    /// A server that is not there, refuses, or does not offer the TLS that is wanted.
    pub async fn connect(&self) -> Result<Conn, Refused> {
        let mut connection = match (self.reach(&self.opts).await?, &self.plain) {
            (Ok(connection), _) => connection,
            (Err(mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer)), Some(plain)) => {
                self.reach(plain).await?.map_err(|error| refused(&error))?
            }
            (Err(error), _) => match (&self.for_any_host, said::certified_name(&error)) {
                // The driver checks the name in any case, so it is asked for one that the certificate has: all else of
                // the certificate is verified again with it.
                (Some(ssl), Some(name)) => {
                    let ssl = ssl.clone().with_danger_tls_hostname_override(Some(name));
                    let opts = OptsBuilder::from_opts(self.opts.clone()).ssl_opts(ssl).into();
                    self.reach(&opts).await?.map_err(|error| refused(&error))?
                }
                _ => return Err(refused(&error)),
            },
        };
        for statement in SESSION {
            connection.query_drop(statement).await.map_err(|error| refused(&error))?;
        }
        Ok(connection)
    }

    /// Ends a connection and what it does, by its number at the server.
    ///
    /// # Errors
    /// As of `connect`, or that the server has no such connection any more.
    pub async fn end(&self, thread: u32) -> Result<(), Refused> {
        let mut connection = self.connect().await?;
        let ended = connection.query_drop(format!("KILL {thread}")).await;
        let _ = connection.disconnect().await;
        ended.map_err(|error| refused(&error))
    }

    async fn reach(&self, opts: &Opts) -> Result<mysql_async::Result<Conn>, Refused> {
        tokio::time::timeout(self.timeout, Conn::new(opts.clone())).await.map_err(|_| {
            Refused::new(format!("does not answer within {} s", self.timeout.as_secs()))
                .with_hint("check host and port; `connect_timeout` in the URL waits longer")
        })
    }
}

fn first_line(file: &std::path::Path) -> Result<String, Refused> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Refused::new(format!("cannot read `password_file` {}: {error}", file.display())))?;
    match text.lines().next().filter(|line| !line.is_empty()) {
        Some(line) => Ok(line.to_owned()),
        None => Err(Refused::new(format!("`password_file` {} has no first line", file.display()))),
    }
}

/// How TLS is agreed on; None: not at all.
fn ssl(wanted: &Wanted) -> Result<Option<SslOpts>, Refused> {
    let base = SslOpts::default();
    let opts = match wanted.tls {
        Tls::Disable => return Ok(None),
        Tls::Prefer | Tls::Require => {
            base.with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true)
        }
        Tls::VerifyCa | Tls::VerifyFull => base,
    };
    let opts = opts.with_client_identity(identity(wanted)?);
    let Some(roots) = &wanted.roots else { return Ok(Some(opts)) };
    let read = std::fs::read(roots)
        .map_err(|error| Refused::new(format!("cannot read the certificates of {}: {error}", roots.display())))?;
    Ok(Some(opts.with_root_certs(vec![read.into()]).with_disable_built_in_roots(true)))
}

/// The client's certificate, where the URL names one.
fn identity(wanted: &Wanted) -> Result<Option<ClientIdentity>, Refused> {
    let (Some(certificate), Some(key)) = (&wanted.certificate, &wanted.key) else { return Ok(None) };
    let files = Files { certificate: ("ssl-cert", certificate.clone()), key: ("ssl-key", key.clone()) };
    let [certificates, key] = Identity::read(&files)?.into_pem();
    Ok(Some(ClientIdentity::new(certificates.into(), key.into())))
}

/// A socket or certificate of a URL, as a path.
fn path(text: String) -> PathBuf {
    PathBuf::from(text)
}
