//! Reads a URL of MySQL or MariaDB. Nothing of it is repeated in an error: where it is misread, any part may be a password.

use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use url::Url;

use super::super::refused::Refused;

/// How TLS is agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tls {
    /// Never.
    Disable,
    /// Where the server offers it; its certificate is not looked at.
    Prefer,
    /// Always; its certificate is not looked at.
    Require,
    /// Always, with a certificate of a known authority, for whatever host.
    VerifyCa,
    /// Always, with a certificate of a known authority for this host.
    VerifyFull,
}

/// What a URL asks for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub host: String,
    pub port: u16,
    pub user: Option<String>,
    pub password: Option<String>,
    pub database: Option<String>,
    /// A socket of this machine instead of host and port.
    pub socket: Option<String>,
    pub tls: Tls,
    /// A file of certificates of authorities.
    pub roots: Option<PathBuf>,
    /// The client's certificate.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
    pub timeout: Option<Duration>,
}

const FORM: &str = "expected mysql://user@host:port/database";
const OPTIONS: &str = "sslmode (or ssl-mode), sslrootcert (or ssl-ca), sslcert (or ssl-cert), sslkey (or ssl-key), socket, connect_timeout";

pub(super) fn read(text: &str) -> Result<Wanted, Refused> {
    let misread = || {
        Refused::new(format!("the URL cannot be read, {FORM}"))
            .with_hint(format!("percent-encode what is special in user and password; behind `?` may stand {OPTIONS}"))
    };
    let url = Url::parse(text).map_err(|_| misread())?;
    let decoded =
        |part: &str| percent_decode_str(part).decode_utf8().map(std::borrow::Cow::into_owned).map_err(|_| misread());
    let some = |part: &str| if part.is_empty() { Ok(None) } else { decoded(part).map(Some) };
    let host = url.host_str().filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| Refused::new(format!("the URL names no host, {FORM}")))?;
    let database = url.path().trim_start_matches('/');
    if database.contains('/') {
        return Err(misread());
    }
    let mut wanted = Wanted {
        host: decoded(host.trim_start_matches('[').trim_end_matches(']'))?,
        port: url.port().unwrap_or(3306),
        user: some(url.username())?,
        password: url.password().map(decoded).transpose()?,
        database: some(database)?,
        socket: None,
        tls: Tls::Prefer,
        roots: None,
        certificate: None,
        key: None,
        timeout: None,
    };
    for (name, value) in url.query_pairs() {
        match &*name {
            "sslmode" | "ssl-mode" | "ssl_mode" => wanted.tls = tls(&value)?,
            "sslrootcert" | "ssl-ca" | "ssl_ca" => wanted.roots = Some(super::path(value.into_owned())),
            "sslcert" | "ssl-cert" | "ssl_cert" => wanted.certificate = Some(super::path(value.into_owned())),
            "sslkey" | "ssl-key" | "ssl_key" => wanted.key = Some(super::path(value.into_owned())),
            "socket" => wanted.socket = Some(value.into_owned()),
            "connect_timeout" => {
                let seconds = value.parse().ok().filter(|seconds| *seconds > 0);
                let seconds =
                    seconds.ok_or_else(|| Refused::new("`connect_timeout` of the URL is no number of seconds"))?;
                wanted.timeout = Some(Duration::from_secs(seconds));
            }
            _ => {
                return Err(Refused::new(format!("an option of the URL is not one of {OPTIONS}"))
                    .with_hint("a `?` that belongs to a password is written %3F"));
            }
        }
    }
    if wanted.roots.is_some() && !matches!(wanted.tls, Tls::VerifyCa | Tls::VerifyFull) {
        return Err(Refused::new("the URL names certificates that nothing is verified with")
            .with_hint("add sslmode=verify-full, or verify-ca where the host's name does not matter"));
    }
    match (wanted.certificate.is_some(), wanted.key.is_some()) {
        (false, false) => {}
        (true, true) if wanted.tls != Tls::Disable && wanted.socket.is_none() => {}
        (true, true) => {
            return Err(Refused::new("the URL names a client certificate, which is never sent without TLS")
                .with_hint("add sslmode=verify-full, and leave `socket` out"));
        }
        _ => {
            return Err(Refused::new("the URL names one of `ssl-cert` and `ssl-key` without the other")
                .with_hint("name both: the certificate, and the key that it was made with"));
        }
    }
    Ok(wanted)
}

fn tls(written: &str) -> Result<Tls, Refused> {
    Ok(match written.to_ascii_lowercase().replace('_', "-").as_str() {
        "disable" | "disabled" => Tls::Disable,
        "prefer" | "preferred" => Tls::Prefer,
        "require" | "required" => Tls::Require,
        "verify-ca" => Tls::VerifyCa,
        "verify-full" | "verify-identity" => Tls::VerifyFull,
        _ => {
            return Err(Refused::new(
                "`sslmode` of the URL is not one of disable, prefer, require, verify-ca, verify-full",
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_url_is_read() {
        let wanted =
            read("mariadb://amy:s%40cr%2Fet@[::1]:3307/my%20shop?ssl-mode=VERIFY_IDENTITY&ssl-ca=%2Fca.pem&connect_timeout=3&ssl-cert=c.crt&sslkey=c%2Bd.key")
                .unwrap();
        assert_eq!((wanted.host.as_str(), wanted.port, wanted.tls), ("::1", 3307, Tls::VerifyFull));
        assert_eq!(wanted.user.as_deref(), Some("amy"));
        assert_eq!(wanted.password.as_deref(), Some("s@cr/et"));
        assert_eq!(wanted.database.as_deref(), Some("my shop"));
        assert_eq!(wanted.roots, Some(PathBuf::from("/ca.pem")));
        assert_eq!(wanted.timeout, Some(Duration::from_secs(3)));
        assert_eq!((wanted.certificate, wanted.key), (Some(PathBuf::from("c.crt")), Some(PathBuf::from("c+d.key"))));
        let plain = read("mysql://db").unwrap();
        assert_eq!((plain.port, plain.tls, plain.database, plain.user), (3306, Tls::Prefer, None, None));
    }

    #[test]
    fn a_url_that_is_misread_is_not_repeated() {
        for url in [
            "mysql://amy:se?cret@db/shop",
            "mysql://amy:secret@db:port/shop",
            "mysql://db/x?sslmode=secret",
            "mysql://db/x?secret=1",
            "mysql://amy:sec/ret@db/x",
            "mysql://db/x?ssl-ca=secret",
            "mysql://db/x?ssl-key=secret",
            "mysql://db/x?ssl-cert=secret&ssl-key=secret&sslmode=disable",
            "mysql://db/x?ssl-cert=secret&ssl-key=secret&socket=secret",
        ] {
            let refused = read(url).expect_err(url);
            assert!(!refused.problem.contains("cret"), "{refused:?}");
        }
    }
}
