//! One run by hand, with a contract of each verdict and values that try to break out of every format. For tests only.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::audit::decision::Decided;
use crate::audit::{
    Audit, Baseline, Books, Checksums, Column, ContractAudit, Figure, Figures, GroupFigures, InputFacts, InputFile,
    InvariantFigures, KindAtRisk, Look, OwnMismatches, PlanCounts, SecondLook, Status, SumFigure, TakenOver, ThreeWay,
    ThreeWayExample, TotalFigures, ValueAtRisk, Verdict,
};
use crate::classify::{Divergence, Reason};
use crate::contract::{Kind, Severity};
use crate::normalise::FaultReason;
use crate::plan::{Action, Op, Safety};
use crate::sides::{Side, Sides};

/// Three contracts: agreed, drifted, unverified.
pub(crate) fn audit() -> Audit {
    Audit {
        run_id: "20260301T020000Z-7f3a".to_owned(),
        started_at: instant("2026-03-01T02:00:00.123456789Z"),
        elapsed_ms: 1250,
        command: "run".to_owned(),
        settings: [("configuration".to_owned(), "reconcile.toml".to_owned()), ("threads".to_owned(), "2".to_owned())]
            .into(),
        contracts: vec![agreed(), drifted(), unverified()],
        warnings: vec!["run `20260228T020000Z-0001` was adopted: it has a folder but no ledger line".to_owned()],
        interrupted: None,
        resumed: None,
    }
}

/// A run of one contract without divergences: the least a folder can hold.
pub(crate) fn small(run_id: &str) -> Audit {
    let mut audit = audit();
    run_id.clone_into(&mut audit.run_id);
    audit.contracts.truncate(1);
    audit.warnings.clear();
    audit
}

/// Control totals, invariants and a value at risk, with everything that they can say.
pub(crate) fn figures() -> Figures {
    let figure =
        |rows, sum: &str, nulls| Figure { rows, sums: vec![SumFigure { sum: sum.to_owned(), nulls, unsummed: 0 }] };
    let total = |name: &str, not_computed| TotalFigures {
        name: name.to_owned(),
        by: vec!["status".to_owned()],
        sum: vec!["premium".to_owned()],
        severity: None,
        not_computed,
        groups: 0,
        unbalanced: 0,
        worst: vec![],
        whole: Sides::default(),
    };
    let worst = GroupFigures {
        group: "{\"status\":\"<b>\u{1b}\"}".to_owned(),
        sides: Sides { authority: figure(2, "300.5", 0), projection: figure(1, "0.1", 1) },
        differences: vec!["300.4".to_owned()],
    };
    let whole = Sides { authority: figure(9, "1000.5", 0), projection: figure(8, "700.1", 1) };
    let off = TotalFigures { groups: 3, unbalanced: 2, worst: vec![worst], whole, ..total("by status | *", None) };
    let severe = TotalFigures {
        severity: Some(Severity::High),
        ..total("all", Some("`premium` cannot be compared".to_owned()))
    };
    let invariant = |side, rows, examples: &[&str]| InvariantFigures {
        name: "positive".to_owned(),
        side,
        severity: Severity::High,
        rows,
        examples: examples.iter().map(ToString::to_string).collect(),
    };
    let kind = |keys, unvalued, sum: &str| KindAtRisk { keys, unvalued, sum: sum.to_owned() };
    Figures {
        totals: vec![off, severe],
        invariants: vec![
            invariant(Side::Authority, 4, &["{\"id\":1}", "{\"id\":2}"]),
            invariant(Side::Projection, 0, &[]),
        ],
        value_at_risk: Some(ValueAtRisk {
            attribute: "premium".to_owned(),
            not_computed: None,
            sum: "12.5".to_owned(),
            kinds: [(Kind::Missing, kind(2, 0, "10")), (Kind::Mismatch, kind(3, 1, "2.5"))].into(),
            own: Some(OwnMismatches { keys: 1, unvalued: 0, net: "-0.5".to_owned(), gross: "0.5".to_owned() }),
        }),
    }
}

pub(crate) fn instant(text: &str) -> Timestamp {
    text.parse().expect("a test's instant is valid")
}

fn agreed() -> ContractAudit {
    ContractAudit {
        name: "billing-view".to_owned(),
        version: "1.0.0".to_owned(),
        team: None,
        runbook: None,
        description: None,
        contract_digest: [7; 32],
        verdict: Verdict::Agreed,
        because: "1 key at or above `low`, 10 are allowed".to_owned(),
        error: None,
        coverage: 1.0,
        books: books(Books { read: 3001, agree: 3000, unpaired: 1, ..Books::default() }, 3000),
        keys: [(Kind::Missing, 1)].into(),
        severities: [(Severity::Low, 1)].into(),
        keys_by_severity: [(Severity::Low, 1)].into(),
        attributes: vec![("amount".to_owned(), 0)],
        key: vec!["invoice".to_owned()],
        examples: vec![],
        plan: PlanCounts::default(),
        plan_truncated: false,
        attribute_owners: BTreeMap::new(),
        figures: Figures::default(),
        inputs: inputs("billing", None),
        owners: Vec::new(),
        lag: None,
        warnings: vec![],
        decided: Decided::default(),
        recurrence: None,
        causes: vec![],
        baseline: None,
        checksums: None,
        second_look: None,
        segments: None,
    }
}

/// Two looks at what differed.
pub(crate) fn second_look() -> SecondLook {
    let look = |at: &str, keys, settled| Look {
        read_at: Sides { authority: Some(instant(at)), projection: None },
        keys,
        settled,
    };
    SecondLook {
        keys: 9,
        left: 4,
        settled: 6,
        unstable: 1,
        looks: vec![look("2026-02-01T02:00:02Z", 9, 5), look("2026-02-01T02:00:04Z", 4, 1)],
        replaced: true,
        because: Some("<b>enough\u{202e}".to_owned()),
    }
}

/// Sums of segments, of which some were read.
pub(crate) fn checksums() -> Checksums {
    Checksums {
        used: true,
        because: "the contract asks for it".to_owned(),
        segments: 9766,
        read: 98,
        proved: 4_950_000,
        statements: Sides { authority: 51, projection: 52 },
    }
}

/// An old copy, and examples of each status with everything that they can say.
pub(crate) fn baseline() -> Baseline {
    let example = |status, projection_kind, baseline_kind| ThreeWayExample {
        status,
        key: Some("{\"id\":\"<b>\u{1b}|\"}".into()),
        attribute: Some("premium | *".into()),
        projection_kind,
        baseline_kind,
        authority_value: Some("10".into()),
        projection_value: Some("\u{202e}11".into()),
        baseline_value: None,
    };
    let examples = vec![
        example(Status::Regression, Some(Kind::Mismatch), None),
        example(Status::Changed, Some(Kind::Mismatch), Some(Kind::Missing)),
        example(Status::Inherited, Some(Kind::Stale), Some(Kind::Mismatch)),
        example(Status::Healed, None, Some(Kind::DuplicateKey)),
        example(Status::InFlight, Some(Kind::InFlight), None),
    ];
    let parity = ThreeWay {
        regressions: 1,
        inherited: 1200,
        changed: 1,
        healed: 1,
        in_flight: 1,
        untold: 2,
        unseen: vec!["name <i>".to_owned()],
        examples,
    };
    Baseline {
        input: inputs("old", None).projection,
        books: Books { read: 9, agree: 8, unpaired: 1, ..Books::default() },
        parity: Some(parity),
    }
}

fn books(authority: Books, projection_read: u64) -> Sides<Books> {
    let projection =
        Books { read: projection_read, agree: authority.agree, differ: authority.differ, ..Books::default() };
    Sides { authority, projection }
}

fn inputs(name: &str, captured_at: Option<Timestamp>) -> Sides<InputFacts> {
    Sides::from_fn(|side| InputFacts {
        place: None,
        source: format!("{name}_{side}"),
        context: Some("Policy | Administration".to_owned()),
        location: format!("data/{name}/{side}/*.parquet"),
        captured_at,
        files: vec![InputFile {
            path: format!("data/{name}/{side}/part-0.parquet"),
            bytes: 12_345,
            modified: Some(instant("2026-02-28T23:59:59Z")),
            blake3: "ab".repeat(32),
        }],
        snapshot: None,
        table_digest: "cd".repeat(32),
        taken_over: TakenOver::default(),
        columns: vec![Column { name: "policy_id".to_owned(), data_type: "Int64".to_owned() }],
        left_out: Vec::new(),
    })
}

fn drifted() -> ContractAudit {
    ContractAudit {
        name: "crm-policy-view".to_owned(),
        version: "2.1.0".to_owned(),
        team: Some("crm".to_owned()),
        runbook: Some("https://wiki.example/crm-policy-view".to_owned()),
        description: Some("What CRM shows of a policy".to_owned()),
        contract_digest: [8; 32],
        verdict: Verdict::Drifted,
        because: "3 keys at or above `high`, none is allowed".to_owned(),
        error: None,
        coverage: 0.999_99,
        books: Sides {
            authority: Books { read: 12_004, agree: 12_000, differ: 2, unpaired: 2, ..Books::default() },
            projection: Books { read: 12_002, agree: 12_000, differ: 2, ..Books::default() },
        },
        keys: [(Kind::Missing, 2), (Kind::Mismatch, 2)].into(),
        severities: [(Severity::Critical, 2), (Severity::Medium, 2)].into(),
        keys_by_severity: [(Severity::Critical, 2), (Severity::Medium, 2)].into(),
        attributes: vec![("holder".to_owned(), 1), ("premium".to_owned(), 1), ("status".to_owned(), 0)],
        key: vec!["policy_id".to_owned()],
        examples: divergences(),
        plan: PlanCounts { safe: 2, review: 2, manual: 0 },
        plan_truncated: false,
        attribute_owners: BTreeMap::new(),
        figures: Figures::default(),
        inputs: inputs("policy", Some(instant("2026-03-01T00:00:00Z"))),
        owners: Vec::new(),
        lag: None,
        warnings: vec!["projection: 1 file holds no rows".to_owned()],
        decided: Decided::default(),
        recurrence: None,
        causes: vec![],
        baseline: None,
        checksums: None,
        second_look: None,
        segments: None,
    }
}

fn unverified() -> ContractAudit {
    ContractAudit {
        name: "claims-view".to_owned(),
        version: "1.2.3".to_owned(),
        team: Some("claims".to_owned()),
        runbook: None,
        description: None,
        contract_digest: [9; 32],
        verdict: Verdict::Unverified,
        because: "projection could not be read".to_owned(),
        error: Some(
            "claims.csv:812: 7 fields, expected 9 as in the header\nhint: quote the field that holds a delimiter"
                .to_owned(),
        ),
        coverage: 0.0,
        books: Sides::default(),
        keys: BTreeMap::new(),
        severities: BTreeMap::new(),
        keys_by_severity: BTreeMap::new(),
        attributes: vec![],
        key: vec!["claim".to_owned()],
        examples: vec![],
        plan: PlanCounts::default(),
        plan_truncated: false,
        attribute_owners: BTreeMap::new(),
        figures: Figures::default(),
        inputs: inputs("claims", None),
        owners: Vec::new(),
        lag: None,
        warnings: vec![],
        decided: Decided::default(),
        recurrence: None,
        causes: vec![],
        baseline: None,
        checksums: None,
        second_look: None,
        segments: None,
    }
}

/// Every sort of divergence that the formats must tell apart, the worst first.
pub(crate) fn divergences() -> Vec<Divergence> {
    let divergence = |kind,
                      severity,
                      reason,
                      key: &str,
                      attribute: Option<&str>,
                      authority: Option<&str>,
                      projection: Option<&str>| {
        Divergence {
            kind,
            severity,
            reason,
            key: Some(key.into()),
            attribute: attribute.map(Arc::from),
            values: Sides { authority: authority.map(Box::from), projection: projection.map(Box::from) },
            authority_source: "policy_admin".into(),
            cause: None,
            fingerprint: *blake3::hash(key.as_bytes()).as_bytes(),
            row_digest: None,
        }
    };
    vec![
        divergence(
            Kind::Missing,
            Severity::Critical,
            Reason::Kind(Kind::Missing),
            r#"{"policy_id":17}"#,
            None,
            None,
            None,
        ),
        divergence(
            Kind::Missing,
            Severity::Critical,
            Reason::Rule("old | policies".into()),
            r#"{"policy_id":12345678901234567890123456789012345678}"#,
            None,
            None,
            None,
        ),
        divergence(
            Kind::Mismatch,
            Severity::Medium,
            Reason::Value(FaultReason::Unparseable),
            r#"{"policy_id":18}"#,
            Some("premium"),
            Some("10.00"),
            Some("n/a"),
        ),
        divergence(
            Kind::Mismatch,
            Severity::Medium,
            Reason::Attribute("holder".into()),
            r#"{"policy_id":19}"#,
            Some("holder"),
            Some("<b>`Anna|\n\u{202e}"),
            None,
        ),
    ]
}

/// One action, for the plan.
pub(crate) fn action() -> Action {
    Action {
        action_id: "0".repeat(32),
        contract: "crm-policy-view".to_owned(),
        kind: Kind::Mismatch,
        op: Op::Update,
        key: r#"{"policy_id":12345678901234567890123456789012345678}"#.into(),
        before: Some(serde_json::json!({"premium": "n/a"})),
        after: Some(serde_json::json!({"premium": "10.00"})),
        guard: Some(serde_json::json!({"row": "present", "values": {"premium": "n/a"}})),
        safety: Safety::Safe,
        reason: "the contract repairs `premium` without a person".to_owned(),
    }
}
