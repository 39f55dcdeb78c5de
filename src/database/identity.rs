//! A client's certificate with its key: read from files, held against each other, and handed to whoever agrees on TLS. Nothing of
//! a key is ever shown, and no password of one is asked for.

use std::fs;
use std::path::PathBuf;

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use super::refused::Refused;

/// The files, and what a URL calls each.
pub(super) struct Files {
    /// The certificate, those that signed it behind it.
    pub(super) certificate: (&'static str, PathBuf),
    /// Its key.
    pub(super) key: (&'static str, PathBuf),
}

/// Who a client says that it is.
pub(super) struct Identity {
    /// As the files hold them: certificates, key.
    #[cfg_attr(not(feature = "mysql"), expect(dead_code, reason = "only the driver of MySQL reads PEM itself"))]
    pem: [Vec<u8>; 2],
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Reads both.
    ///
    /// # Errors
    /// A file that cannot be read or holds something else, a key with a password, one of another certificate.
    pub(super) fn read(files: &Files) -> Result<Self, Refused> {
        let pem = [content(&files.certificate)?, content(&files.key)?];
        let (name, place) = shown(&files.certificate);
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem[0]).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        let chain =
            chain.ok_or_else(|| Refused::new(format!("`{name}` {place} holds no certificate, expected PEM")))?;
        let identity = Self { key: key(&pem[1], &files.key)?, chain, pem };
        identity.fits(files)?;
        Ok(identity)
    }

    fn fits(&self, files: &Files) -> Result<(), Refused> {
        let ((certificate, at), (key, place)) = (shown(&files.certificate), shown(&files.key));
        let made = CertifiedKey::from_der(self.chain.clone(), self.key.clone_key(), &ring::default_provider());
        match made {
            Ok(_) => Ok(()),
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                Err(Refused::new(format!("`{key}` {place} is not the key of the certificate in `{certificate}` {at}"))
                    .with_hint("name the two that were made together"))
            }
            Err(Error::InvalidCertificate(_)) => {
                Err(Refused::new(format!("`{certificate}` {at} holds a certificate that is not read, expected X.509 version 3"))
                    .with_hint("sign it with an extension: openssl x509 -req … -extfile FILE, where FILE says basicConstraints=CA:FALSE"))
            }
            Err(_) => Err(Refused::new(format!("`{key}` {place} holds a key of a kind that is not served"))
                .with_hint("RSA, ECDSA with P-256 or P-384, and Ed25519 are")),
        }
    }

    /// For a handshake.
    #[cfg(feature = "postgres")]
    pub(super) fn into_parts(self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        (self.chain, self.key)
    }

    /// As PEM: certificates, key.
    #[cfg(feature = "mysql")]
    pub(super) fn into_pem(self) -> [Vec<u8>; 2] {
        self.pem
    }
}

fn shown((name, path): &(&'static str, PathBuf)) -> (&'static str, String) {
    (name, path.display().to_string())
}

fn content(file: &(&'static str, PathBuf)) -> Result<Vec<u8>, Refused> {
    let (name, place) = shown(file);
    fs::read(&file.1).map_err(|error| Refused::new(format!("cannot read `{name}` {place}: {error}")))
}

fn key(content: &[u8], file: &(&'static str, PathBuf)) -> Result<PrivateKeyDer<'static>, Refused> {
    let (name, place) = shown(file);
    if memchr::memmem::find(content, b"ENCRYPTED").is_some() {
        return Err(Refused::new(format!("`{name}` {place} is protected by a password, and nobody is asked for one"))
            .with_hint("write it without one, for its owner alone: openssl pkey -in KEY -out PLAIN; chmod 600 PLAIN"));
    }
    PrivateKeyDer::from_pem_slice(content).map_err(|error| match error {
        pem::Error::NoItemsFound => Refused::new(format!("`{name}` {place} holds no private key, expected PEM")),
        // What is wrong with it is not repeated: it may be a part of the key.
        _ => Refused::new(format!("`{name}` {place} holds a private key that cannot be read, expected PEM")),
    })
}

/// Refuses a key that others than its owner may read, as the clients of PostgreSQL do: one of root may be read by its group.
///
/// # Errors
/// That they may.
#[cfg(feature = "postgres")]
pub(super) fn is_private(name: &str, path: &std::path::Path) -> Result<(), Refused> {
    use std::os::unix::fs::MetadataExt;

    // What is not there is said when it is read.
    let Ok(found) = fs::metadata(path) else { return Ok(()) };
    let open_to = found.mode() & if found.uid() == 0 { 0o037 } else { 0o077 };
    if open_to == 0 {
        return Ok(());
    }
    let problem = format!("`{name}` {} may be read or written by others than its owner", path.display());
    Err(Refused::new(problem).with_hint("chmod 600 it; one of root may be readable by its group: chmod 640"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(folder: &Path, certificate: &str, key: &str) -> Refused {
        fs::write(folder.join("c.crt"), certificate).unwrap();
        fs::write(folder.join("c.key"), key).unwrap();
        let files = Files { certificate: ("sslcert", folder.join("c.crt")), key: ("sslkey", folder.join("c.key")) };
        Identity::read(&files).err().expect("an error")
    }

    #[test]
    fn what_is_no_certificate_or_key_is_said_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let pem = |label: &str, body: &str| format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
        let certificate = pem("CERTIFICATE", "c2VjcmV0");
        for (certificate, key, expected) in [
            ("", "", "c.crt holds no certificate, expected PEM"),
            ("sesame", "", "c.crt holds no certificate"),
            (&certificate, "", "c.key holds no private key, expected PEM"),
            (&certificate, &certificate, "c.key holds no private key"),
            (&certificate, &pem("ENCRYPTED PRIVATE KEY", "c2VjcmV0"), "c.key is protected by a password"),
            (&certificate, &pem("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\n\nc2VjcmV0"), "protected by a password"),
            (&certificate, &pem("PRIVATE KEY", "c2Vj*mV0"), "c.key holds a private key that cannot be read"),
            (&certificate, &pem("PRIVATE KEY", "c2VjcmV0"), "c.key holds a key of a kind that is not served"),
        ] {
            let refused = read(folder.path(), certificate, key);
            assert!(refused.problem.contains(expected), "{refused:?}");
            let shown = format!("{refused:?}");
            assert!(!shown.contains("sesame") && !shown.contains("c2V"), "{shown}");
        }
        let absent = Files { certificate: ("ssl-cert", folder.path().join("no")), key: ("ssl-key", PathBuf::new()) };
        assert!(Identity::read(&absent).err().unwrap().problem.starts_with("cannot read `ssl-cert`"));
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn a_key_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;

        let file = tempfile::NamedTempFile::new().unwrap();
        let said = |mode: u32| {
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
            is_private("sslkey", file.path()).err().map(|refused| refused.problem)
        };
        assert_eq!(said(0o600), None);
        for mode in [0o644, 0o604, 0o660] {
            assert!(said(mode).unwrap().contains("may be read or written by others"), "{mode:o}");
        }
        assert!(is_private("sslkey", Path::new("/nowhere")).is_ok());
    }
}
