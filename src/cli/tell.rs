//! Tells the world of a run, once it is published: webhook, catalogue, collector. What is told is written before, so that it is
//! of the same facts as the record, and sent after, so that nobody hears of a run that there is not. Whoever cannot be told is a
//! warning, and changes neither verdict nor exit status. What a message holds is `report`'s business, how it travels
//! `courier`'s.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::failure::{self, Failure};
use super::otlp::{Destination, Otlp};
use super::outcome::Batch;
use crate::audit::Audit;
use crate::contract::{Endpoint, NoticeShape, Notify, Secrets};
use crate::courier::{self, Letter, Patience, Place};
use crate::history;
use crate::report::notice::Notice;
use crate::report::prometheus::{self, Whole};
use crate::report::{junit, openlineage, otlp};

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";
/// The path that collectors of OpenLineage take events at.
const LINEAGE_PATH: &str = "api/v1/lineage";

/// Who is told, known before anything is compared.
pub(super) struct Teller {
    /// Files with what each is called in an error.
    metrics: Option<PathBuf>,
    junit: Option<PathBuf>,
    otlp: Option<Otlp>,
    openlineage: Option<Endpoint>,
    notify: Option<Notify>,
    reports: Option<PathBuf>,
    secrets: Secrets,
}

/// No letter to a catalogue or collector is begun later than that after the first.
pub(super) const BUDGET: Duration = Duration::from_secs(30);

/// A file that is written when the run is published.
pub(super) struct Draft {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Teller {
    /// What options, contract file and environment ask for. What could not be written afterwards is an error now.
    pub(super) fn of(batch: &Batch<'_>, warnings: &mut Vec<String>) -> Result<Self, Failure> {
        let options = batch.comparison;
        let narrowed = options.row_filter.is_some();
        let variable = |name: &str| std::env::var(name).ok();
        let teller = Self {
            // A run of some contracts would take the others' figures away.
            metrics: options
                .metrics
                .clone()
                .or_else(|| batch.tell.metrics.clone().filter(|_| batch.whole && !narrowed)),
            junit: options.junit.clone(),
            otlp: Otlp::of(options.otlp.as_deref(), &variable, warnings)?,
            openlineage: batch.tell.openlineage.clone().filter(|_| !narrowed),
            notify: batch.tell.notify.clone(),
            reports: batch.reports.clone(),
            secrets: batch.contracts.first().map(|contract| contract.secrets.clone()).unwrap_or_default(),
        };
        for path in teller.metrics.iter().chain(&teller.junit) {
            let place = courier::place_of(path).map_err(|error| teller.unwritten(path, &error))?;
            let Place::File(file) = place else { continue };
            if file.is_dir() || !courier::folder_of(&file).is_dir() {
                let problem = if file.is_dir() { "is a folder, expected a file" } else { "its folder is not there" };
                let shown = failure::shown(path);
                let message = teller.secrets.redact(&format!("{shown}: {problem}")).into_owned();
                return Err(Failure::with_hint(message, "nothing was compared; make the folder, or name another file"));
            }
        }
        Ok(teller)
    }

    /// Whether it wants to know what only a run that is kept counts.
    pub(super) fn counts(&self) -> bool {
        self.metrics.is_some() || self.otlp.is_some()
    }

    /// Everything that is to be sent, ready: what a run was before is known only until it is published.
    pub(super) fn parcels(&self, whole: &Whole<'_>, warnings: &mut Vec<String>) -> Vec<Parcel> {
        let otlp = self.otlp.as_ref().map(|to| of_otlp(to, whole)).unwrap_or_default();
        let lineage = self.openlineage.as_ref().map(|to| of_lineage(to, whole));
        let notice = self.notify.as_ref().and_then(|to| self.of_notice(to, whole.audit, warnings));
        otlp.into_iter().chain(lineage).chain(notice).collect()
    }

    fn of_notice(&self, to: &Notify, audit: &Audit, warnings: &mut Vec<String>) -> Option<Parcel> {
        let before = match self.reports.as_deref().map(history::last_verdicts) {
            None => BTreeMap::new(),
            Some(Ok(before)) => before.into_iter().map(|(contract, (verdict, _))| (contract, verdict)).collect(),
            Some(Err(error)) => {
                let said = failure::plain(&error);
                warnings.push(format!("notify: whether a contract recovered is not known: {said}"));
                BTreeMap::new()
            }
        };
        let notice = Notice { audit, before: &before };
        if !notice.of().iter().any(|event| to.on.contains(event)) {
            return None;
        }
        let body = match to.shape {
            NoticeShape::Json => notice.json(),
            NoticeShape::Slack => notice.slack(),
        };
        let authorization = to.authorization.iter();
        let post = Post {
            endpoint: to.endpoint.clone(),
            body: body.to_string().into_bytes(),
            otherwise: format!("notify: nobody was told of this run at {}", to.endpoint.shown()),
        };
        Some(Parcel {
            content_type: JSON,
            headers: authorization.map(|secret| ("authorization".to_owned(), secret.reveal().to_owned())).collect(),
            posts: vec![post],
            patience: Patience { timeout: to.timeout, attempts: to.attempts, pause: Patience::PAUSE },
        })
    }

    /// The files, rendered now, so that they can be written when the run is published.
    pub(super) fn drafts(&self, whole: &Whole<'_>) -> Result<Vec<Draft>, Failure> {
        let mut drafts = Vec::new();
        if let Some(path) = &self.metrics {
            let mut text = Vec::new();
            prometheus::render(whole, &mut text).map_err(|error| self.unwritten(path, &error))?;
            let batch = path.file_stem().unwrap_or_default().to_string_lossy();
            let text = prometheus::of_batch(&String::from_utf8_lossy(&text), &batch);
            drafts.push(Draft { path: path.clone(), bytes: text.into_bytes() });
        }
        if let Some(path) = &self.junit {
            let mut bytes = Vec::new();
            junit::render(whole.audit, whole.measured, &mut bytes).map_err(|error| self.unwritten(path, &error))?;
            drafts.push(Draft { path: path.clone(), bytes });
        }
        Ok(drafts)
    }

    /// Writes them, each whole or not at all.
    pub(super) fn write(&self, drafts: &[Draft]) -> Result<(), Failure> {
        for draft in drafts {
            courier::replace(&draft.path, &draft.bytes).map_err(|error| self.unwritten(&draft.path, &error))?;
        }
        Ok(())
    }

    fn unwritten(&self, path: &Path, error: &std::io::Error) -> Failure {
        let message = failure::path_message(path, "cannot be written", error);
        Failure::with_hint(self.secrets.redact(&message), "the run itself is as it was published, if it was to be kept")
    }
}

/// What one of them is sent, in its order.
pub(super) struct Parcel {
    content_type: &'static str,
    headers: Vec<(String, String)>,
    posts: Vec<Post>,
    patience: Patience,
}

struct Post {
    endpoint: Endpoint,
    body: Vec<u8>,
    /// What is said where it does not arrive.
    otherwise: String,
}

impl Parcel {
    /// Sends it up to what does not arrive, and says what that was. Where `hurry` says so nothing is tried twice, and where
    /// `over` does nothing more is begun.
    pub(super) fn send(&self, hurry: &dyn Fn() -> bool, over: &dyn Fn() -> bool) -> Result<(), String> {
        for post in &self.posts {
            if over() {
                return Err(format!("{}: there was no time left, or a signal came", post.otherwise));
            }
            let letter = Letter {
                url: post.endpoint.reveal(),
                content_type: self.content_type,
                headers: &self.headers,
                body: &post.body,
            };
            courier::send(&letter, self.patience, hurry)
                .map_err(|undelivered| format!("{}: {undelivered}", post.otherwise))?;
        }
        Ok(())
    }
}

fn of_otlp(to: &Otlp, whole: &Whole<'_>) -> Vec<Parcel> {
    // Whoever began the trace decided whether it is kept.
    let traces = to.traces.as_ref().filter(|_| to.parent.as_ref().is_none_or(|parent| parent.sampled));
    let traces = traces.map(|at| ("traces", at, otlp::traces(whole, &to.resource, to.parent.as_ref())));
    let metrics = to.metrics.as_ref().map(|at| ("metrics", at, otlp::metrics(whole, &to.resource)));
    let parcel = |(signal, at, body): (&str, &Destination, Vec<u8>)| {
        let otherwise = format!("OTLP: {signal} did not reach {}{}", at.endpoint.shown(), at.doubt());
        Parcel {
            content_type: PROTOBUF,
            headers: at.headers.clone(),
            posts: vec![Post { endpoint: at.endpoint.clone(), body, otherwise }],
            patience: Patience { timeout: at.timeout, attempts: 2, pause: Patience::PAUSE },
        }
    };
    let mut parcels: Vec<Parcel> = traces.into_iter().chain(metrics).map(parcel).collect();
    if to.is_one() && parcels.len() == 2 {
        let metrics = parcels.pop();
        parcels[0].posts.extend(metrics.into_iter().flat_map(|parcel| parcel.posts));
    }
    parcels
}

fn of_lineage(to: &Endpoint, whole: &Whole<'_>) -> Parcel {
    let endpoint = if to.is_bare() { to.joined(LINEAGE_PATH) } else { to.clone() };
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let namespace = set("OPENLINEAGE_NAMESPACE").unwrap_or_else(|| openlineage::NAMESPACE.to_owned());
    let key = set("OPENLINEAGE_API_KEY").map(|key| ("authorization".to_owned(), format!("Bearer {key}")));
    let events = openlineage::events(whole.audit, whole.measured, &namespace);
    let all = events.len();
    let posts = events.iter().enumerate().map(|(sent, event)| Post {
        endpoint: endpoint.clone(),
        body: event.to_string().into_bytes(),
        otherwise: format!("OpenLineage: {} of {all} events did not reach {}", all - sent, endpoint.shown()),
    });
    Parcel {
        content_type: JSON,
        headers: key.into_iter().collect(),
        posts: posts.collect(),
        patience: Patience { timeout: Duration::from_secs(5), attempts: 3, pause: Patience::PAUSE },
    }
}
