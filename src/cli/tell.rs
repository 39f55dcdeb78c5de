//! Tells the world of a run, once it is judged: webhook, catalogue, collector. Whoever cannot be told is a warning of the run, and
//! changes neither its verdict nor its exit status. What a message holds is `report`'s business, how it travels `courier`'s.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::failure::{self, Failure};
use super::otlp::Otlp;
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
const BUDGET: Duration = Duration::from_secs(30);

/// How much time is left.
#[derive(Clone, Copy)]
struct Haste<'a> {
    /// Nothing is tried twice.
    hurry: &'a dyn Fn() -> bool,
    /// Nothing more is begun.
    over: &'a dyn Fn() -> bool,
}

impl Haste<'_> {
    /// Why a letter is not begun.
    fn late(self) -> Result<(), String> {
        if (self.over)() { Err("there was no time left, or a signal came".to_owned()) } else { Ok(()) }
    }
}

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

    /// Sends what is to be sent; gives what did not arrive, for the run's warnings. Where `hurry` says so, nothing is tried
    /// twice.
    pub(super) fn send(&self, whole: &Whole<'_>, hurry: &dyn Fn() -> bool) -> Vec<String> {
        let mut warnings = Vec::new();
        // A run that a signal stopped is told of all the same, once each; a signal that comes now ends the telling.
        let (began, stopped) = (Instant::now(), hurry());
        let over = || began.elapsed() >= BUDGET || (hurry() && !stopped);
        let in_time = Haste { hurry: &|| hurry() || over(), over: &over };
        warnings.extend(self.otlp.as_ref().and_then(|otlp| send_otlp(otlp, whole, in_time).err()));
        warnings.extend(self.openlineage.as_ref().and_then(|endpoint| send_lineage(endpoint, whole, in_time).err()));
        if let Some(notify) = &self.notify {
            self.notify(notify, whole.audit, hurry, &mut warnings);
        }
        warnings
    }

    fn notify(&self, notify: &Notify, audit: &Audit, hurry: &dyn Fn() -> bool, warnings: &mut Vec<String>) {
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
        if !notice.of().iter().any(|event| notify.on.contains(event)) {
            return;
        }
        let body = match notify.shape {
            NoticeShape::Json => notice.json(),
            NoticeShape::Slack => notice.slack(),
        };
        let authorization = notify.authorization.iter();
        let headers: Vec<_> =
            authorization.map(|secret| ("authorization".to_owned(), secret.reveal().to_owned())).collect();
        let body = body.to_string();
        let letter =
            Letter { url: notify.endpoint.reveal(), content_type: JSON, headers: &headers, body: body.as_bytes() };
        let patience = Patience { timeout: notify.timeout, attempts: notify.attempts, pause: Patience::PAUSE };
        if let Err(undelivered) = courier::send(&letter, patience, hurry) {
            let shown = notify.endpoint.shown();
            warnings.push(format!("notify: nobody was told of this run at {shown}: {undelivered}"));
        }
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

fn send_otlp(to: &Otlp, whole: &Whole<'_>, haste: Haste<'_>) -> Result<(), String> {
    let patience = Patience { timeout: to.timeout, attempts: 2, pause: Patience::PAUSE };
    let bodies = [("traces", otlp::traces(whole, &to.resource)), ("metrics", otlp::metrics(whole, &to.resource))];
    for (signal, body) in bodies {
        let endpoint = to.endpoint.joined(&format!("v1/{signal}"));
        let letter = Letter { url: endpoint.reveal(), content_type: PROTOBUF, headers: &to.headers, body: &body };
        let sent = haste.late().and_then(|()| {
            courier::send(&letter, patience, haste.hurry).map_err(|undelivered| undelivered.to_string())
        });
        sent.map_err(|problem| format!("OTLP: {signal} did not reach {}: {problem}", endpoint.shown()))?;
    }
    Ok(())
}

fn send_lineage(to: &Endpoint, whole: &Whole<'_>, haste: Haste<'_>) -> Result<(), String> {
    let endpoint = if to.is_bare() { to.joined(LINEAGE_PATH) } else { to.clone() };
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let namespace = set("OPENLINEAGE_NAMESPACE").unwrap_or_else(|| openlineage::NAMESPACE.to_owned());
    let key = set("OPENLINEAGE_API_KEY").map(|key| ("authorization".to_owned(), format!("Bearer {key}")));
    let headers: Vec<_> = key.into_iter().collect();
    let patience = Patience { timeout: Duration::from_secs(5), attempts: 3, pause: Patience::PAUSE };
    let events = openlineage::events(whole.audit, whole.measured, &namespace);
    for (sent, event) in events.iter().enumerate() {
        let body = event.to_string();
        let letter = Letter { url: endpoint.reveal(), content_type: JSON, headers: &headers, body: body.as_bytes() };
        let arrived = haste.late().and_then(|()| {
            courier::send(&letter, patience, haste.hurry).map_err(|undelivered| undelivered.to_string())
        });
        arrived.map_err(|problem| {
            let (left, all) = (events.len() - sent, events.len());
            format!("OpenLineage: {left} of {all} events did not reach {}: {problem}", endpoint.shown())
        })?;
    }
    Ok(())
}
