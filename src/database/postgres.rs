//! Reaches a PostgreSQL server: reads the URL, finds the password, agrees on TLS, connects. It names itself `reconcile`
//! there. It runs no statement of its own, and no error of it holds a user, a password or a value.

use std::time::Duration;

use tokio_postgres::config::SslMode;
use tokio_postgres::{CancelToken, Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::contract::Database;

mod failure;
mod password;
mod tls;
mod url;

pub(crate) use failure::Failure;
use tls::Mode;

/// How long reaching a server may take where the URL does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// All that is needed to connect, again and again.
#[derive(Clone)]
pub(crate) struct Access {
    config: Config,
    mode: Mode,
    connector: MakeRustlsConnect,
}

/// One connection.
pub(crate) struct Link {
    /// Who sends statements.
    pub(crate) client: Client,
    /// Who asks the server to stop one.
    pub(crate) cancel: CancelToken,
}

impl Access {
    /// Reads the URL and everything it names; connects to nothing.
    ///
    /// # Errors
    /// A URL that cannot be read, a file of certificates or of the password that cannot be.
    pub(crate) fn new(database: &Database) -> Result<Self, Failure> {
        let url::Wanted { mut config, mode, root, certificate, key, passfile } = url::read(database.url.reveal())?;
        config.application_name("reconcile");
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        password::complete(&mut config, database.password_file.as_deref(), passfile.as_deref())?;
        let identity = tls::identity(mode, certificate, key)?;
        let connector = MakeRustlsConnect::new(tls::settings(mode, root.as_deref(), identity)?);
        Ok(Self { config, mode, connector })
    }

    /// Connects.
    ///
    /// # Errors
    /// A server that is not there, refuses, or does not offer the TLS that is wanted.
    pub(crate) async fn connect(&self) -> Result<Link, Failure> {
        let mut config = self.config.clone();
        config.ssl_mode(match self.mode {
            Mode::Disable | Mode::Allow => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        });
        match self.reach(&config).await {
            // `allow`: the server may insist on TLS.
            Err(failure) if self.mode == Mode::Allow && failure.refused => {
                config.ssl_mode(SslMode::Require);
                self.reach(&config).await.map_err(|_| failure)
            }
            reached => reached,
        }
    }

    /// Asks the server to stop what a connection does.
    pub(crate) async fn stop(&self, cancel: &CancelToken) {
        // That the server cannot be told is no news: the connection is given up in any case.
        let _ = match self.mode {
            Mode::Disable | Mode::Allow => cancel.cancel_query(NoTls).await,
            _ => cancel.cancel_query(self.connector.clone()).await,
        };
    }

    async fn reach(&self, config: &Config) -> Result<Link, Failure> {
        // A name that resolves to many addresses is tried one by one, each with its own time-out.
        let connected = config.connect(self.connector.clone()).await;
        let (client, connection) = connected.map_err(|error| Failure::reaching(&error, config))?;
        tokio::spawn(async move {
            // What ends a connection is told to whoever waits for an answer.
            let _ = connection.await;
        });
        let cancel = client.cancel_token();
        Ok(Link { client, cancel })
    }
}
