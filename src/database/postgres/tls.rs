//! How TLS is agreed on, as `sslmode` says: whether it is wanted, what of the server's certificate is checked, and which
//! certificate of the client it is told.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::super::identity::{Files, Identity, is_private};
use super::super::refused::Refused;
use super::Failure;

/// `sslmode`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Never TLS.
    Disable,
    /// TLS where the server insists.
    Allow,
    /// TLS where the server offers it.
    Prefer,
    /// TLS with whoever answers.
    Require,
    /// TLS with a certificate of a trusted authority.
    VerifyCa,
    /// The same, and it names the host.
    VerifyFull,
}

const MODES: [(&str, Mode); 6] = [
    ("disable", Mode::Disable),
    ("allow", Mode::Allow),
    ("prefer", Mode::Prefer),
    ("require", Mode::Require),
    ("verify-ca", Mode::VerifyCa),
    ("verify-full", Mode::VerifyFull),
];

impl Mode {
    pub(super) fn named(name: &str) -> Result<Self, Failure> {
        MODES.iter().find(|(known, _)| *known == name).map(|(_, mode)| *mode).ok_or_else(|| {
            let names = MODES.map(|(name, _)| name).join(", ");
            Failure::new(format!("the URL's `sslmode` is not one of {names}")).with_hint("the safest is verify-full")
        })
    }
}

/// What a handshake is held to.
///
/// # Errors
/// A file of certificates that cannot be read, or a machine without any.
pub(super) fn settings(mode: Mode, root: Option<&Path>, identity: Option<Identity>) -> Result<ClientConfig, Failure> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::new(format!("TLS cannot be set up: {error}")))?;
    // As the system's own client does: a root certificate that is named is a wish to have it checked.
    let mode = if mode == Mode::Require && root.is_some() { Mode::VerifyCa } else { mode };
    let checks: Arc<dyn ServerCertVerifier> = match mode {
        Mode::Disable | Mode::Allow | Mode::Prefer | Mode::Require => Arc::new(Lenient { provider, chain: None }),
        Mode::VerifyCa | Mode::VerifyFull => {
            let roots = Arc::new(roots(root)?);
            let chain = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                .build()
                .map_err(|error| Failure::new(format!("TLS cannot be set up: {error}")))?;
            if mode == Mode::VerifyFull { chain } else { Arc::new(Lenient { provider, chain: Some(chain) }) }
        }
    };
    let builder = builder.dangerous().with_custom_certificate_verifier(checks);
    let Some(identity) = identity else { return Ok(builder.with_no_client_auth()) };
    let (chain, key) = identity.into_parts();
    // Both were held against each other when they were read.
    builder.with_client_auth_cert(chain, key).map_err(|_| Failure::new("the client's certificate cannot be used"))
}

/// The client's certificate, where the URL names one or, as for the system's own client, one lies in the user's folder.
///
/// # Errors
/// One of the two files without the other, or what is wrong with them.
pub(super) fn identity(
    mode: Mode,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
) -> Result<Option<Identity>, Failure> {
    let own = |name: &str| {
        let path = PathBuf::from(std::env::var_os("HOME")?).join(".postgresql").join(name);
        path.exists().then_some(path)
    };
    let said = |refused: Refused| Failure { hint: refused.hint, ..Failure::new(refused.problem) };
    if mode == Mode::Disable {
        return Ok(None);
    }
    let (certificate, key) = match (certificate.or_else(|| own("postgresql.crt")), key) {
        (None, None) => return Ok(None),
        (Some(certificate), key) => (certificate, key.or_else(|| own("postgresql.key"))),
        (None, Some(_)) => {
            return Err(Failure::new("the URL names `sslkey` and no `sslcert`").with_hint("name the certificate too"));
        }
    };
    let Some(key) = key else {
        let problem = format!("no `sslkey` is named for the certificate in `sslcert` {}", certificate.display());
        return Err(Failure::new(problem).with_hint("add sslkey=/path/of/its.key to the URL"));
    };
    is_private("sslkey", &key).map_err(said)?;
    Identity::read(&Files { certificate: ("sslcert", certificate), key: ("sslkey", key) }).map(Some).map_err(said)
}

fn roots(root: Option<&Path>) -> Result<RootCertStore, Failure> {
    let own = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".postgresql/root.crt"));
    let system = root == Some(Path::new("system"));
    let file = root.filter(|_| !system).map(Path::to_path_buf);
    let file = file.or_else(|| own.filter(|own| !system && own.exists()));
    let mut roots = RootCertStore::empty();
    let Some(file) = file else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(Failure::new("this machine has no certificates to check the server's against")
                .with_hint("name them: sslrootcert=/path/of/root.crt"));
        }
        return Ok(roots);
    };
    let place = file.display();
    let text = fs::read(&file).map_err(|error| Failure::new(format!("cannot read `sslrootcert` {place}: {error}")))?;
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let added = certificate.ok().and_then(|certificate| roots.add(certificate).ok());
        added.ok_or_else(|| Failure::new(format!("`sslrootcert` {place} holds what is no certificate")))?;
    }
    if roots.is_empty() {
        return Err(Failure::new(format!("`sslrootcert` {place} holds no certificate, expected PEM")));
    }
    Ok(roots)
}

/// Asks less of a certificate than the library does.
#[derive(Debug)]
struct Lenient {
    /// With which signatures are checked all the same.
    provider: Arc<CryptoProvider>,
    /// Trusted authorities, one of which must have signed it, whatever host it names; None: any certificate will do, so that
    /// nobody overhears, but who listens is not known.
    chain: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        // The chain is checked before the name is.
        match chain.verify_server_cert(certificate, others, name, stapled, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            checked => checked,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
