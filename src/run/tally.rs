//! Adds up what is found of one contract, tells the recorder, and closes the books into an audit.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::at_risk::{self, AtRisk};
use super::carried::MarkerFacts;
use super::controls::{warnings, weigh};
use super::desk::{Relieved, lapsed};
use super::examples::Examples;
use super::input::Inputs;
use super::lag::LagCounts;
use super::privacy::Privacy;
use super::recheck::Second;
use super::scan::UnitFacts;
use super::{Halt, Settings};
use crate::audit::decision::Decided;
use crate::audit::lag::Counted;
use crate::audit::{
    Baseline, Books, Checksums, ContractAudit, Figures, InputFacts, OwnerFacts, PlanCounts, SecondLook, Verdict,
    balanced,
};
use crate::causes::Cause;
use crate::contract::{Contract, Kind, Severity};
use crate::database::place;
use crate::digest::Sum;
use crate::normalise::SchemaDifference;
use crate::sides::{Side, Sides};
use crate::source::{self, Unreadable};

mod baseline;
mod opened;
mod owners;
mod record;
mod scope;
mod segments;
mod verdict;

use verdict::counted;

pub(super) use opened::Taken;
pub(super) use segments::Spanned;

/// What is known of one contract so far.
pub(super) struct Tally<'a> {
    contract: &'a Contract,
    settings: &'a Settings,
    books: Sides<Books>,
    keys: BTreeMap<Kind, u64>,
    severities: BTreeMap<Severity, u64>,
    keys_by_severity: BTreeMap<Severity, u64>,
    /// Of those the ones that are in flight.
    excused: BTreeMap<Severity, u64>,
    attributes: Vec<(String, u64)>,
    attribute_owners: BTreeMap<String, String>,
    key_count: usize,
    examples: Examples,
    plan: PlanCounts,
    actions: u64,
    inputs: Sides<InputFacts>,
    schema: Vec<SchemaDifference>,
    unreadable: Vec<(Side, Unreadable)>,
    /// The first few of those, for the reader of a summary: side, place, problem.
    first_unreadable: Vec<String>,
    captured: Sides<Option<i64>>,
    markers: Sides<MarkerFacts>,
    lag: LagCounts,
    /// What seconds behind are counted from, where markers or a window are given.
    lags: Option<Counted>,
    /// The sums of all rows' digests, where the run is to be evidence.
    table: Option<Sides<Sum>>,
    warnings: Vec<String>,
    owners: Vec<OwnerFacts>,
    unreadable_owners: u64,
    at_risk: AtRisk,
    figures: Figures,
    causes: Vec<Cause>,
    baseline: Option<Baseline>,
    checksums: Option<Checksums>,
    second_look: Option<SecondLook>,
    spanned: Option<Spanned>,
    /// Rows of each side that agree, without the engine having seen them.
    beforehand: u64,
    compared: bool,
    /// Applied to all that leaves.
    privacy: Arc<Privacy>,
    decided: Decided,
    /// Keys whose worst severity is another, or none, without what was decided away.
    relieved: Relieved,
}

impl<'a> Tally<'a> {
    pub(super) fn new(contract: &'a Contract, settings: &'a Settings) -> Self {
        let inputs = contract.sources.as_ref().map(|_, source| InputFacts {
            source: source.name.clone(),
            context: source.context.as_deref().map(|context| contract.secrets.redact(context).into_owned()),
            location: contract.secrets.redact(source.location.shown()).into_owned(),
            place: source.database().map(place),
            ..InputFacts::default()
        });
        let harmless = contract.unserved.iter().filter(|option| !option.hides);
        // Values that are yet to be masked are held whole, so no more of them than are always shown.
        let whole = contract.attributes.iter().any(|attribute| attribute.pii.is_some());
        let examples = if whole { settings.examples.min(Settings::USUAL_EXAMPLES) } else { settings.examples };
        Self {
            contract,
            settings,
            books: Sides::default(),
            keys: BTreeMap::new(),
            severities: BTreeMap::new(),
            keys_by_severity: BTreeMap::new(),
            excused: BTreeMap::new(),
            attributes: Vec::new(),
            attribute_owners: BTreeMap::new(),
            key_count: 0,
            examples: Examples::new(examples, whole),
            plan: PlanCounts::default(),
            actions: 0,
            inputs,
            schema: Vec::new(),
            unreadable: Vec::new(),
            first_unreadable: Vec::new(),
            captured: Sides::default(),
            markers: Sides::default(),
            lag: LagCounts::default(),
            lags: None,
            table: None,
            warnings: harmless.map(|option| format!("`{}`: {}", option.option, option.consequence)).collect(),
            owners: Vec::new(),
            unreadable_owners: 0,
            at_risk: AtRisk::default(),
            figures: Figures::default(),
            causes: Vec::new(),
            baseline: None,
            checksums: None,
            second_look: None,
            spanned: None,
            beforehand: 0,
            compared: false,
            privacy: Arc::new(Privacy::new(contract, settings.pii_key)),
            decided: Decided::default(),
            relieved: Relieved::default(),
        }
    }

    /// How personal data are written.
    pub(super) fn privacy(&self) -> Arc<Privacy> {
        Arc::clone(&self.privacy)
    }

    /// What many divergences have in common.
    pub(super) fn causes(&mut self, causes: Vec<Cause>) {
        self.causes = causes;
    }

    /// Says what is worth a word.
    pub(super) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// The files of each side, as reports name them.
    pub(super) fn file_names(&self) -> Sides<Vec<String>> {
        self.inputs.as_ref().map(|_, facts| facts.files.iter().map(|file| file.path.clone()).collect())
    }

    /// What the first reading saw.
    pub(super) fn scanned(&mut self, units: &Sides<Vec<UnitFacts>>, files: Sides<u64>) {
        for (side, files) in files.iter() {
            self.inputs.get_mut(side).taken_over.files = *files;
        }
        for (side, units) in units.iter() {
            let books = self.books.get_mut(side);
            for unit in units {
                let unreadable: u64 = unit.unreadable.iter().map(|range| range.rows).sum();
                books.read += unit.read - unit.out_of_scope + unreadable;
                books.unreadable += unreadable;
                books.out_of_scope += unit.out_of_scope;
                if unit.taken_over {
                    self.inputs.get_mut(side).taken_over.rows += unit.read;
                }
                self.unreadable.extend(unit.unreadable.iter().map(|range| (side, range.clone())));
                let captured = self.captured.get_mut(side);
                *captured = (*captured).max(unit.captured);
                self.markers.get_mut(side).join(&unit.markers);
            }
        }
    }

    pub(super) fn table_sums(&mut self, sums: Sides<Sum>) {
        // Of rows that were not read there is no digest.
        let whole = self.checksums.as_ref().is_none_or(|checksums| !checksums.used);
        let beforehand = self.spanned.as_ref().map_or(Some(Sum::default()), |spanned| spanned.sum);
        let Some(beforehand) = beforehand.filter(|_| self.settings.digest_inputs && whole) else { return };
        self.table = Some(sums.map(|_, mut sum| {
            sum += beforehand;
            sum
        }));
    }

    /// What was done about checksums in a database.
    pub(super) fn checksums(&mut self, checksums: Checksums) {
        self.checksums = Some(checksums);
    }

    /// What a second look made of the differences.
    /// Gives back why it did not come to its end, if it did not.
    pub(super) fn looked_again(&mut self, second: Second<'_>) -> Option<Halt> {
        let of_rows = self.keys.iter().filter(|(kind, _)| !matches!(kind, Kind::Schema | Kind::Unreadable));
        let (facts, failed) = second.close(of_rows.map(|(_, keys)| keys).sum());
        self.second_look = Some(facts);
        failed
    }

    /// Rows of equal segments: counted on both sides where they lie, each with a partner that it agrees with.
    pub(super) fn proved(&mut self, checksums: Checksums) {
        self.agreed_beforehand(checksums.proved);
        self.checksums = Some(checksums);
    }

    /// What the tags settled.
    pub(super) fn joined(&mut self, agree: u64, out_of_scope: Sides<u64>) {
        for side in Side::BOTH {
            self.books.get_mut(side).agree += agree;
        }
        self.leave_out(out_of_scope);
    }

    fn leave_out(&mut self, rows: Sides<u64>) {
        for (side, rows) in rows.iter() {
            let books = self.books.get_mut(side);
            books.out_of_scope += rows;
            books.read -= rows;
        }
    }

    /// Pairs that agree, as far as they were counted.
    pub(super) fn agree(&self) -> u64 {
        self.books.authority.agree
    }

    /// Whether all rows of each side could be read.
    pub(super) fn complete(&self) -> Sides<bool> {
        self.books
            .as_ref()
            .map(|side, books| books.unreadable == 0 && (side == Side::Projection || self.unreadable_owners == 0))
    }

    pub(super) fn captured_at(&self, side: Side) -> Option<Timestamp> {
        let nanoseconds = (*self.captured.get(side))?;
        Timestamp::from_nanosecond(i128::from(nanoseconds)).ok()
    }

    /// What the first reading saw of the markers.
    pub(super) fn markers(&self) -> &Sides<MarkerFacts> {
        &self.markers
    }

    /// How far the projection lies behind is worth telling.
    pub(super) fn lags(&mut self, counted: Counted) {
        self.lags = Some(counted);
    }

    pub(super) fn captured(&mut self, side: Side, at: Option<Timestamp>) {
        self.inputs.get_mut(side).captured_at = at;
    }

    /// What was measured of every row, and what the divergences add up to.
    pub(super) fn gauged(&mut self, inputs: &Inputs) {
        let bound = at_risk::attribute(self.contract, &inputs.binding).is_some();
        self.figures = Figures {
            totals: inputs.gauges.totals(),
            invariants: inputs.gauges.invariants(self.contract),
            value_at_risk: self.at_risk.figures(self.contract, bound),
        };
        self.warnings.extend(warnings(self.contract, &self.figures));
    }

    /// Every row is in its account.
    pub(super) fn compared(&mut self) {
        self.compared = true;
    }

    /// The contract was compared to the end.
    pub(super) fn finished(mut self) -> ContractAudit {
        if let Err(unbalanced) = balanced(&self.books) {
            return self.halted(&Halt::Unbalanced(unbalanced));
        }
        self.warn_of_owners();
        let (verdict, because) =
            weigh(self.contract, &self.figures, scope::told(self.contract, &self.books, self.verdict()));
        let because = self.resting_on(because);
        let mut told = self.first_unreadable.clone();
        if !told.is_empty() {
            told.push(
                "hint: mend or fetch the file again; until then rows that seem missing or orphaned may be these"
                    .to_owned(),
            );
        }
        self.close(verdict, because, (!told.is_empty()).then(|| told.join("\n")))
    }

    /// The contract could not be opened: every problem is told.
    pub(super) fn refused(self, halts: &[Halt]) -> ContractAudit {
        let said: Vec<String> = halts.iter().map(Self::said).collect();
        self.close(Verdict::Unverified, "it could not be compared".to_owned(), Some(said.join("\n")))
    }

    /// The contract could not be compared to the end.
    pub(super) fn halted(mut self, halt: &Halt) -> ContractAudit {
        if !self.compared || matches!(halt, Halt::Unbalanced(_)) {
            for side in Side::BOTH {
                let books = self.books.get_mut(side);
                let Books { read, unreadable, out_of_scope, .. } = *books;
                let (agree, uncompared) = (self.beforehand, read - unreadable - self.beforehand);
                *books = Books { read, agree, unreadable, uncompared, out_of_scope, ..Books::default() };
            }
        }
        let because = match halt {
            Halt::Baseline(..) => "its baseline could not be compared",
            Halt::SecondLook(..) => "what differs could not be looked at again",
            _ if self.compared => "its result cannot be relied on",
            _ => "it could not be compared to the end",
        };
        self.close(Verdict::Unverified, because.to_owned(), Some(Self::said(halt)))
    }

    /// A halt with its hint.
    pub(super) fn said(halt: &Halt) -> String {
        match halt {
            Halt::Source { error: source::Error { hint: Some(hint), .. }, .. } => format!("{halt}\nhint: {hint}"),
            Halt::SecondLook(_, of_look) => match &**of_look {
                Halt::Source { error: source::Error { hint: Some(hint), .. }, .. } => format!("{halt}\nhint: {hint}"),
                _ => halt.to_string(),
            },
            _ => halt.to_string(),
        }
    }

    /// Takes personal values out of the places of what was read.
    fn hide_places(&mut self, privacy: &Privacy) {
        let Sides { authority, projection } = &mut self.inputs;
        let besides = self.owners.iter_mut().map(|owner| &mut owner.input);
        let old = self.baseline.iter_mut().map(|old| &mut old.input);
        [authority, projection].into_iter().chain(besides).chain(old).for_each(|input| privacy.of_input(input));
    }

    /// What each side's rows come to, whatever their order.
    fn digest_tables(&mut self) {
        for (side, sum) in self.table.iter().flat_map(Sides::iter) {
            let mut hasher = blake3::Hasher::new();
            let books = self.books.get(side);
            hasher.update(&(books.read - books.unreadable).to_le_bytes()).update(&sum.to_bytes());
            self.inputs.get_mut(side).table_digest = hasher.finalize().to_hex().to_string();
        }
    }

    /// Says where the plan is more than the contract lets be done; whether it was cut.
    fn warn_of_plan(&mut self) -> bool {
        let most = self.contract.repair.max_actions.unwrap_or(u64::MAX);
        let truncated = self.actions > most;
        if truncated {
            self.warnings.push(format!(
                "the plan has {}, more than the {most} allowed: it holds the first {most} and cannot be applied",
                counted(self.actions, "action")
            ));
        }
        if let Some(ratio) =
            self.contract.repair.max_ratio.filter(|ratio| ratio.less_than(self.actions, self.books.authority.read))
        {
            self.warnings.push(format!(
                "the plan has {} on {}, above a ratio of {ratio}: it needs a person as a whole",
                counted(self.actions, "action"),
                counted(self.books.authority.read, "authority row"),
            ));
        }
        truncated
    }

    fn close(mut self, verdict: Verdict, mut because: String, mut error: Option<String>) -> ContractAudit {
        self.warnings.extend(lapsed(&self.decided));
        let (secrets, privacy) = (&self.contract.secrets, self.privacy());
        secrets.redact_in(&mut because);
        for text in error.iter_mut().chain(&mut self.warnings) {
            secrets.redact_in(text);
            *text = privacy.scrubbed(text).into_owned();
        }
        let for_people = |text: &Option<String>| text.as_deref().map(|text| secrets.redact(text).into_owned());
        let covered = |books: &Books| books.read - books.unreadable - books.uncompared;
        let in_scope = self.books.authority.read + self.books.projection.read;
        let in_scope = self.about().map_or(in_scope, |about| about.max(in_scope + 1));
        let compared = covered(&self.books.authority) + covered(&self.books.projection);
        #[expect(clippy::cast_precision_loss, reason = "a ratio for people; the counts stand beside it")]
        let coverage = match (in_scope, self.compared) {
            (0, done) => f64::from(u8::from(done)),
            _ => compared as f64 / in_scope as f64,
        };
        self.digest_tables();
        let segments = self.segments(verdict);
        let truncated = self.warn_of_plan();
        self.hide_places(&privacy);
        ContractAudit {
            name: self.contract.name.clone(),
            version: self.contract.version.text.clone(),
            team: for_people(&self.contract.team),
            runbook: for_people(&self.contract.runbook),
            description: for_people(&self.contract.description),
            contract_digest: self.contract.digest,
            verdict,
            because,
            error,
            coverage,
            books: self.books,
            keys: self.keys,
            severities: self.severities,
            keys_by_severity: self.keys_by_severity,
            attribute_owners: self.attribute_owners,
            attributes: self.attributes,
            key: self.contract.key.clone(),
            examples: self.examples.chosen().into_iter().map(|one| privacy.masked(one)).collect(),
            plan: self.plan,
            plan_truncated: truncated,
            figures: self.figures,
            inputs: self.inputs,
            owners: self.owners,
            lag: self.lags.map(|counted| self.lag.closed(self.contract, counted, |key| privacy.masked_key(key))),
            warnings: self.warnings,
            decided: self.decided,
            recurrence: None,
            causes: self.causes,
            baseline: self.baseline,
            checksums: self.checksums,
            second_look: self.second_look,
            segments,
        }
    }
}
