//! Reads a PostgreSQL URL. What says how TLS is agreed on is taken out first, because the driver knows only half of it.
//! Nothing of the URL is repeated in an error: where it is misread, any part may be a password.

use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;

use super::Failure;
use super::tls::Mode;

/// What a URL asks for.
pub(super) struct Wanted {
    /// Hosts, user, database, and all that the driver knows.
    pub(super) config: Config,
    /// `sslmode`
    pub(super) mode: Mode,
    /// `sslrootcert`
    pub(super) root: Option<PathBuf>,
    /// `sslcert`
    pub(super) certificate: Option<PathBuf>,
    /// `sslkey`
    pub(super) key: Option<PathBuf>,
    /// `passfile`
    pub(super) passfile: Option<PathBuf>,
}

/// What else a URL may say, for errors.
const OPTIONS: &str = "sslmode, sslrootcert, sslcert, sslkey, passfile, connect_timeout, target_session_attrs, options, keepalives, host, port";

pub(super) fn read(url: &str) -> Result<Wanted, Failure> {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut mode, mut root, mut certificate, mut key, mut passfile) = (Mode::Prefer, None, None, None, None);
    let mut rest: Vec<&str> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = || percent_decode_str(value).decode_utf8_lossy().into_owned();
        match name {
            "sslmode" => mode = Mode::named(&value())?,
            "sslrootcert" => root = Some(PathBuf::from(value())),
            "sslcert" => certificate = Some(PathBuf::from(value())),
            "sslkey" => key = Some(PathBuf::from(value())),
            "passfile" => passfile = Some(PathBuf::from(value())),
            // We say who we are.
            "application_name" | "fallback_application_name" => {}
            "sslpassword" => {
                return Err(Failure::new("the URL asks for `sslpassword`, and keys with a password are not served")
                    .with_hint("write the key without one, for its owner alone"));
            }
            _ => rest.push(pair),
        }
    }
    let url = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
    // The driver takes these two schemes, in small letters.
    let (scheme, behind) = url.split_once("://").unwrap_or(("postgres", &url));
    let config = Config::from_str(&format!("{}://{behind}", scheme.to_ascii_lowercase())).map_err(|_| {
        Failure::new("the URL cannot be read, expected postgres://user@host:port/database")
            .with_hint(format!("percent-encode what is special in user and password; behind `?` may stand {OPTIONS}"))
    })?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(Failure::new("the URL names no host, expected postgres://user@host:port/database"));
    }
    if mode == Mode::Disable && (certificate.is_some() || key.is_some()) {
        return Err(Failure::new("the URL names a client certificate, which `sslmode=disable` never sends")
            .with_hint("add sslmode=verify-full, and the server's authority with sslrootcert"));
    }
    Ok(Wanted { config, mode, root, certificate, key, passfile })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_how_tls_is_agreed_on_is_ours_and_the_rest_the_drivers() {
        let wanted = read(
            "POSTGRES://amy:s%40cret@db:6000/shop?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem&connect_timeout=3&sslcert=a%20b.crt&sslkey=c.key",
        )
        .unwrap();
        assert_eq!(wanted.mode, Mode::VerifyFull);
        assert_eq!(wanted.root, Some(PathBuf::from("/etc/ca.pem")));
        assert_eq!((wanted.certificate, wanted.key), (Some(PathBuf::from("a b.crt")), Some(PathBuf::from("c.key"))));
        assert_eq!(wanted.config.get_ports(), [6000]);
        assert_eq!(wanted.config.get_password(), Some(&b"s@cret"[..]));
        assert_eq!(wanted.config.get_connect_timeout(), Some(&std::time::Duration::from_secs(3)));
    }

    #[test]
    fn a_url_that_is_misread_is_not_repeated() {
        for url in [
            "postgres://amy:secret@db:port/shop",
            "postgres://db/x?sslmode=secret",
            "postgres://db/x?sslcert=c.crt&sslkey=c.key&sslpassword=secret",
            "postgres://db/x?sslmode=disable&sslkey=secret",
        ] {
            let failure = read(url).err().expect("no URL");
            assert!(!failure.problem.contains("cret"), "{failure:?}");
            assert!(failure.hint.is_some(), "{failure:?}");
        }
    }
}
