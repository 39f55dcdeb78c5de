//! What a client of MySQL could not do, as a sentence for people: the server's own words where they hold no secret.

use std::error::Error as _;

use mysql_async::{DriverError, Error, IoError};
use rustls::CertificateError;

use super::super::refused::Refused;

/// What the driver or the server said.
#[must_use]
pub fn refused(error: &Error) -> Refused {
    match error {
        Error::Server(said) => server(said.code, &said.message),
        Error::Io(IoError::Tls(tls)) => {
            let cause = tls.source().map_or_else(|| tls.to_string(), ToString::to_string);
            Refused::new(format!("TLS cannot be agreed on: {cause}"))
                .with_hint("check `sslmode` and `sslrootcert` in the URL, and the server's certificate")
        }
        Error::Io(IoError::Io(cause)) if tls_error(error).is_some() => {
            Refused::new(format!("TLS cannot be agreed on: {cause}"))
                .with_hint("check `sslmode` and `sslrootcert` in the URL, and the server's certificate")
        }
        Error::Io(IoError::Io(cause)) => Refused::new(format!("cannot be reached, or the connection broke: {cause}"))
            .with_hint("check host and port, and that the server runs"),
        Error::Driver(DriverError::NoClientSslFlagFromServer) => {
            Refused::new("the server offers no TLS, which `sslmode` demands")
                .with_hint("switch TLS on at the server, or allow sslmode=prefer or disable")
        }
        Error::Driver(DriverError::ConnectionClosed) => Refused::new("the server closed the connection"),
        Error::Driver(DriverError::CleartextPluginDisabled | DriverError::MysqlOldPasswordDisabled) => {
            Refused::new("the server asks for the password in a form that anyone could read")
                .with_hint("give the user another authentication plugin")
        }
        Error::Driver(DriverError::UnknownAuthPlugin { name }) => {
            Refused::new(format!("the server asks for the authentication plugin {name}, which is not served"))
        }
        Error::Driver(DriverError::PacketTooLarge) => {
            Refused::new("a row is larger than a packet may be").with_hint("raise max_allowed_packet at the server")
        }
        // What else the driver says may hold packets and values.
        Error::Driver(_) => Refused::new("the server answers in a way that is not understood"),
        Error::Url(_) | Error::Other(_) => Refused::new("the connection cannot be prepared"),
    }
}

/// Whether the connection is gone, so that another may do better.
#[must_use]
pub fn is_lost(error: &Error) -> bool {
    match error {
        Error::Io(IoError::Io(_)) => tls_error(error).is_none(),
        Error::Driver(DriverError::ConnectionClosed | DriverError::PoolDisconnected) => true,
        // The server shuts down, or somebody killed the connection.
        Error::Server(said) => matches!(said.code, 1053 | 1927 | 2006 | 2013),
        _ => false,
    }
}

/// What TLS said, where it was TLS that failed.
fn tls_error(error: &Error) -> Option<&rustls::Error> {
    match error {
        Error::Io(IoError::Io(cause)) => cause.get_ref()?.downcast_ref(),
        _ => None,
    }
}

/// A name that the server's certificate is for, where it was refused only because that is not the host's.
pub(super) fn certified_name(error: &Error) -> Option<String> {
    let Some(rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. })) =
        tls_error(error)
    else {
        return None;
    };
    // They are written `DnsName("db.example")`.
    let name = presented.iter().find_map(|written| written.strip_prefix("DnsName(\"")?.strip_suffix("\")"));
    // Some name that a wildcard stands for.
    name.map(|name| name.strip_prefix("*.").map_or_else(|| name.to_owned(), |rest| format!("any.{rest}")))
}

fn server(code: u16, message: &str) -> Refused {
    let told = Refused::new(format!("the server says: {} (error {code})", without_user(message)));
    match code {
        1045 | 1698 => Refused::new(format!("the server does not let the user in (error {code})"))
            .with_hint("check user and password: in the URL as `${NAME}`, or `password_file`; a user who REQUIREs X509 is let in with `ssl-cert` and `ssl-key` only"),
        1044 | 1142 | 1143 | 1227 | 1370 => {
            told.with_hint("the user needs SELECT on what is read: GRANT SELECT ON database.table TO …")
        }
        1046 => told.with_hint("name the database in the URL, or before the table: shop.orders"),
        1040 | 1203 | 1226 => told.with_hint("wait until other connections are done"),
        1969 | 3024 => Refused::new(format!("a statement took longer than is allowed (error {code})"))
            .with_hint("raise `statement_timeout` or `max_duration`"),
        _ => told,
    }
}

/// A message without the account that it names: `'amy'@'10.0.0.1'`.
fn without_user(message: &str) -> String {
    let mut out = String::new();
    let mut rest = message;
    while let Some(at) = rest.find("'@'") {
        let start = rest[..at].rfind('\'').unwrap_or(at);
        let end = rest[at + 3..].find('\'').map_or(rest.len(), |end| at + 3 + end + 1);
        out.push_str(rest[..start].trim_end());
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_account_is_named() {
        let denied = server(1142, "SELECT command denied to user 'amy'@'10.0.0.1' for table `shop`.`orders`");
        assert_eq!(
            denied.problem,
            "the server says: SELECT command denied to user for table `shop`.`orders` (error 1142)"
        );
        assert!(denied.hint.is_some());
        let wrong = server(1045, "Access denied for user 'amy'@'localhost' (using password: YES)");
        assert_eq!(wrong.problem, "the server does not let the user in (error 1045)");
    }
}
