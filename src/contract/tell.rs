//! Who is told of a run: webhooks, catalogues, collectors. It sends nothing, and shows no more of an address than its host.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::Secret;

/// What `[run]` says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tell {
    /// A file for a metrics collector.
    pub metrics: Option<PathBuf>,
    /// Where OpenLineage events are sent.
    pub openlineage: Option<Endpoint>,
    /// The webhook that is told the verdict.
    pub notify: Option<Notify>,
}

/// `[run.notify]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// Where.
    pub endpoint: Endpoint,
    /// What it is sent.
    pub shape: NoticeShape,
    /// What it is told of.
    pub on: BTreeSet<NoticeOf>,
    /// The `Authorization` header.
    pub authorization: Option<Secret>,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How often it is tried, at least once.
    pub attempts: u32,
}

/// The form of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeShape {
    /// JSON of our own.
    Json,
    /// A message for Slack.
    Slack,
}

/// What a notice can be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoticeOf {
    /// Everything agreed.
    Agreed,
    /// Something drifted.
    Drifted,
    /// Something could not be compared.
    Unverified,
    /// A contract agrees that did not in the run before.
    Recovered,
}

impl NoticeOf {
    /// Their fixed names, in their order.
    pub const NAMES: [&str; 4] = ["agreed", "drifted", "unverified", "recovered"];

    /// Its fixed name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Agreed, Self::Drifted, Self::Unverified, Self::Recovered].into_iter().find(|of| of.name() == name)
    }
}

/// An address over HTTP. Its path and what stands before its host can be secrets, so only the host is ever shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: url::Url,
    shown: String,
}

impl Endpoint {
    /// Reads one. `written` is the text as it stands in the file, where environment variables complete it.
    ///
    /// # Errors
    /// What is expected, without the text.
    pub fn parse(text: &str, written: Option<&str>) -> Result<Self, String> {
        let expected = "expected a URL that begins with https:// or http:// and names a host";
        let url = url::Url::parse(text.trim()).map_err(|_| expected.to_owned())?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err(expected.to_owned());
        }
        let shown = written.map_or_else(|| url.origin().ascii_serialization(), host_of);
        Ok(Self { url, shown })
    }

    /// Its host, for messages.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The whole address, for who connects.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.url.as_str()
    }

    /// The same with segments after its path.
    #[must_use]
    pub fn joined(&self, segments: &str) -> Self {
        let mut joined = self.clone();
        let path = format!("{}/{segments}", self.url.path().trim_end_matches('/'));
        joined.url.set_path(&path);
        joined
    }

    /// The port that it names, where that is not its scheme's own.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.url.port()
    }

    /// Whether it names a host alone.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.url.path() == "/"
    }
}

/// Scheme and host of a text that names variables instead of their values.
fn host_of(written: &str) -> String {
    let (scheme, rest) = written.split_once("://").map_or((None, written), |(scheme, rest)| (Some(scheme), rest));
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    scheme.map_or_else(|| host.to_owned(), |scheme| format!("{scheme}://{host}"))
}

/// Only what may be shown.
impl fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_host_of_an_address_is_shown() {
        let cases = [
            ("https://amy:hunter2@hooks.example:8443/T0/B0/hunter2?token=hunter2", None, "https://hooks.example:8443"),
            (
                "https://hooks.example/services/hunter2",
                Some("https://hooks.example/services/${HOOK}"),
                "https://hooks.example",
            ),
            ("https://hunter2.example/x", Some("${HOOK}"), "${HOOK}"),
            ("https://hunter2.example/x", Some("https://amy:${P}@${HOST}/x"), "https://${HOST}"),
        ];
        for (text, written, shown) in cases {
            let endpoint = Endpoint::parse(text, written).expect("a URL");
            assert_eq!(endpoint.shown(), shown);
            assert!(!format!("{endpoint:?}").contains("hunter2"));
            assert!(endpoint.reveal().contains("hunter2"));
        }
        for text in ["", "hooks.example", "ftp://hooks.example", "http://", "file:///etc/passwd"] {
            assert!(Endpoint::parse(text, None).is_err(), "{text}");
        }
    }

    #[test]
    fn segments_are_added_to_a_path() {
        let joined = |text: &str| Endpoint::parse(text, None).expect("a URL").joined("v1/traces").reveal().to_owned();
        assert_eq!(joined("http://collector:4318"), "http://collector:4318/v1/traces");
        assert_eq!(joined("http://collector:4318/otlp/?a=b"), "http://collector:4318/otlp/v1/traces?a=b");
    }

    #[test]
    fn every_event_has_its_name() {
        for name in NoticeOf::NAMES {
            assert_eq!(NoticeOf::named(name).map(NoticeOf::name), Some(name));
        }
    }
}
