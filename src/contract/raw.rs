//! Every key of `reconcile.toml`: its shape, its default, what it says, and whether this version acts on it.
//!
//! The tables of this file are the one list of keys. The reader checks files against them, `schema` turns them into JSON
//! Schema, and a test holds `docs/contract.md` to them. They never say what a value means for a comparison; that is `check`.

use super::{PushDown, Severity};

mod notify;

pub(super) use notify::NOTIFY;

/// What a value must look like.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// A string.
    Text,
    /// An array of strings.
    Texts,
    /// true or false.
    Boolean,
    /// A whole number, at most this.
    Count(u64),
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// An array of these strings.
    Several(&'static [&'static str]),
    /// `version = 1`.
    FormatVersion,
    /// A semantic version.
    Version,
    /// A length of time.
    Span,
    /// A size in bytes.
    Size,
    /// A share of a whole.
    Ratio,
    /// A distance between values.
    Tolerance,
    /// A logical type.
    Type,
    /// A time zone.
    Zone,
    /// Globs over column names.
    Ignore,
    /// A column's name, or the members of a struct.
    Path,
    /// One byte.
    Delimiter,
    /// One character.
    DecimalSeparator,
    /// An encoding's label.
    Encoding,
    /// A strptime pattern.
    TimeFormat,
    /// A time, `{ column = … }` or `{ file = "mtime" }`.
    CapturedAt,
    /// A table of values, or `{ file = … }`.
    Translate,
    /// A table of these keys.
    Section(&'static Section),
    /// A table whose keys are the user's names, and whose values are tables of these keys.
    Named(&'static Section),
    /// An array of tables of these keys.
    Each(&'static Section),
    /// A column's name, the members of a struct, or a table of such by source.
    Columns,
    /// A source, or an array of tables of these keys, one owner after the other.
    Owners(&'static Section),
    /// A column's name, or a table of one column to the other.
    On,
    /// A column for each attribute of the key.
    KeyColumns,
    /// A column for each attribute of the key, or a table of one column to the other.
    Crossed,
    /// A time.
    Instant,
}

/// A table of `reconcile.toml`.
#[derive(Debug)]
pub(super) struct Section {
    /// As headings and messages name it.
    pub(super) name: &'static str,
    /// Its keys.
    pub(super) keys: &'static [Key],
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) required: bool,
    /// As the reference shows it; empty where there is none.
    pub(super) default: &'static str,
    /// One sentence.
    pub(super) says: &'static str,
}

impl Key {
    const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }
}

impl Section {
    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

const fn key(name: &'static str, shape: Shape, says: &'static str) -> Key {
    Key { name, shape, required: false, default: "", says }
}

/// Severities, the worst first.
pub(super) const SEVERITIES: &[&str] = &["critical", "high", "medium", "low", "info"];
const FORMATS: &[&str] = &["parquet", "arrow", "csv", "tsv", "ndjson", "json"];
const REPAIRS: &[&str] = &["auto", "review", "replay", "ignore"];

pub(super) fn severity(name: &str) -> Option<Severity> {
    Severity::ALL.into_iter().find(|severity| severity.name() == name)
}

/// The whole file.
pub(super) static FILE: Section = Section {
    name: "file",
    keys: &[
        key("version", Shape::FormatVersion, "The version of this format.").required(),
        key("include", Shape::Texts, "Other files, as paths or globs relative to this file; each may hold sources, contracts and further includes.").default("[]"),
        key("run", Shape::Section(&RUN), "How a run is carried out."),
        key("defaults", Shape::Section(&DEFAULTS), "Options of every contract that says nothing else."),
        key("source", Shape::Named(&SOURCE), "Named places that rows are read from."),
        key("contract", Shape::Named(&CONTRACT), "Agreements, each about one projection."),
    ],
};

/// A file that another one includes.
pub(super) static INCLUDED: Section = Section {
    name: "included file",
    keys: &[
        key("version", Shape::FormatVersion, "The version of this format."),
        key("include", Shape::Texts, "Other files, as paths or globs relative to this file."),
        key("source", Shape::Named(&SOURCE), "Named places that rows are read from."),
        key("contract", Shape::Named(&CONTRACT), "Agreements, each about one projection."),
    ],
};

pub(super) static RUN: Section = Section {
    name: "run",
    keys: &[
        key("reports", Shape::Text, "The folder of run folders and ledger.").default("\"reports\""),
        key(
            "cache",
            Shape::Text,
            "The folder of what is kept between runs, so that unchanged files are not read again.",
        )
        .default("`.cache` within the folder of reports"),
        key("memory_limit", Shape::Size, "How much memory a run may take; it spills to disk rather than take more.")
            .default("85% of what the control group allows, at most 4 GiB"),
        key("threads", Shape::Count(256), "Worker threads; 0 stands for all cores.").default("0"),
        key(
            "pii_key",
            Shape::Text,
            "What digests of personal data are keyed with, at least 16 characters: `\"${NAME}\"`.",
        )
        .default("a key in `.pii.key` within the folder of reports, made at the first use"),
        key("sign", Shape::Section(&SIGN), "With which key manifests and the ledger's lines are signed."),
        key("notify", Shape::Section(&NOTIFY), "Who is told the verdict."),
        key("metrics", Shape::Text, "A file for a metrics collector, written anew by every run.").default("none"),
        key("openlineage", Shape::Text, "The URL that OpenLineage events are sent to.").default("none"),
    ],
};

static SIGN: Section = Section {
    name: "sign",
    keys: &[
        key("key", Shape::Text, "The file of a minisign secret key, which nobody but its owner may read.").required(),
        key("password", Shape::Text, "The password of the key: `\"${NAME}\"`.")
            .default("none: the key has no password"),
    ],
};

const SAYS_FAIL_ON: &str = "The severity from which the contract drifts.";
const SAYS_ZONE: &str = "The zone of timestamps without zone, where neither attribute nor source says one.";
const SAYS_COMPARE: &str = "`declared` compares only the key and the attributes that are named.";
const SAYS_IGNORE: &str =
    "Columns that are not compared, as globs; with `authority:` or `projection:` before it only that side's.";
const SAYS_NULL_KEYS: &str = "`match` pairs rows whose key holds NULL; `report` makes each a `null_key` divergence.";
const SAYS_WINDOW: &str = "Changes younger than this may still be on their way.";
const SAYS_CADENCE: &str =
    "How often the contract must have run; `contracts`, `history`, runs and metrics say which are overdue.";
const SAYS_TRIM: &str = "Which ends of a text lose their white space.";
const SAYS_CASE: &str = "`ignore` folds case by Unicode's full default folding.";
const SAYS_SPACES: &str = "`collapse` makes one space of each run of white space.";
const SAYS_UNICODE: &str = "The normalization form that texts are brought to.";
const SAYS_NULL_EQUALS: &str = "Texts that are NULL.";
const TRIMS: &[&str] = &["left", "right", "both", "none"];
const CASES: &[&str] = &["ignore", "exact"];
const SPACES: &[&str] = &["collapse", "keep"];
const FORMS: &[&str] = &["nfc", "nfd", "nfkc", "nfkd", "none"];

const FAIL_ON: Key = key("fail_on", Shape::OneOf(SEVERITIES), SAYS_FAIL_ON).default("\"low\"");
const TIMEZONE: Key = key("timezone", Shape::Zone, SAYS_ZONE).default("none");
const COMPARE: Key = key("compare", Shape::OneOf(&["all", "declared"]), SAYS_COMPARE).default("\"all\"");
const IGNORE: Key = key("ignore", Shape::Ignore, SAYS_IGNORE).default("[]");
const NULL_KEYS: Key = key("null_keys", Shape::OneOf(&["report", "match"]), SAYS_NULL_KEYS).default("\"report\"");
const WINDOW: Key = key("window", Shape::Span, SAYS_WINDOW).default("none");
const CADENCE: Key = key("cadence", Shape::Span, SAYS_CADENCE).default("none");
const TEAM: Key = key("team", Shape::Text, "Who answers for the projection.").default("none");
const RUNBOOK: Key = key("runbook", Shape::Text, "Where to read what to do.").default("none");
const TAGS: Key = key("tags", Shape::Texts, "For `run --tag`.").default("[]");
const ALLOW_KEY: Key =
    key("allow", Shape::Section(&ALLOW), "What is tolerated all the same; exceeding any one drifts the contract.");
const SEVERITY_KEY: Key = key("severity", Shape::Section(&SEVERITY), "The severity of each kind.");
const REPAIR_KEY: Key = key("repair", Shape::Section(&REPAIR), "How divergences are repaired.");
const TRIM: Key = key("trim", Shape::OneOf(TRIMS), SAYS_TRIM).default("\"none\"");
const CASE: Key = key("case", Shape::OneOf(CASES), SAYS_CASE).default("\"exact\"");
const SPACES_KEY: Key = key("spaces", Shape::OneOf(SPACES), SAYS_SPACES).default("\"keep\"");
const UNICODE: Key = key("unicode", Shape::OneOf(FORMS), SAYS_UNICODE).default("\"none\"");
const NULL_EQUALS: Key = key("null_equals", Shape::Texts, SAYS_NULL_EQUALS).default("[]");
const PARITY_KEY: Key = key("parity", Shape::Section(&PARITY), "The cutover gate.");
const RECHECK_KEY: Key =
    key("recheck", Shape::Section(&RECHECK), "A second look at what differs: it is read again by key on both sides.");
const VALUE_AT_RISK: Key =
    key("value_at_risk", Shape::Text, "The attribute that says what a row is worth.").default("none");

/// What every contract says unless it says something else.
pub(super) static DEFAULTS: Section = Section {
    name: "defaults",
    keys: &[
        FAIL_ON,
        TIMEZONE,
        COMPARE,
        IGNORE,
        NULL_KEYS,
        WINDOW,
        CADENCE,
        TEAM,
        RUNBOOK,
        TAGS,
        ALLOW_KEY,
        SEVERITY_KEY,
        REPAIR_KEY,
        TRIM,
        CASE,
        SPACES_KEY,
        UNICODE,
        NULL_EQUALS,
        PARITY_KEY,
        RECHECK_KEY,
        VALUE_AT_RISK,
    ],
};

pub(super) static RECHECK: Section = Section {
    name: "contract.NAME.recheck",
    keys: &[
        key("after", Shape::Span, "The pause before each look.").default("\"2s\""),
        key("times", Shape::Count(20), "How many looks there are at most; 0: none.").default("3"),
    ],
};

pub(super) static SOURCE: Section = Section {
    name: "source.NAME",
    keys: &[
        key("location", Shape::Text, "A path, glob or directory, relative to the file; or the URL of a database.")
            .required(),
        key("context", Shape::Text, "The bounded context that the source belongs to.").default("none"),
        key("format", Shape::OneOf(FORMATS), "Only where the extension does not tell.").default("by extension"),
        key("table", Shape::Text, "The table, where the location is a database.").default("none"),
        key("query", Shape::Text, "A query instead of a table, where the location is a database.").default("none"),
        key("filter", Shape::Text, "SQL over the source's own columns: the rows that are read.").default("all rows"),
        key("version_column", Shape::Text, "A marker that grows with each change of a row.").default("none"),
        key("updated_at", Shape::Text, "The column that says when a row changed last.").default("none"),
        key("deleted", Shape::Text, "A boolean column or SQL predicate: the row is a tombstone.").default("none"),
        key(
            "captured_at",
            Shape::CapturedAt,
            "When the snapshot was taken: a time, `{ column = … }` or `{ file = \"mtime\" }`.",
        )
        .default("what the source can tell"),
        key("max_age", Shape::Span, "A snapshot older than that makes the contract `unverified`.").default("none"),
        key("timezone", Shape::Zone, "The zone of its timestamps without zone.").default("the contract's"),
        key("csv", Shape::Section(&CSV), "How its text files are read."),
        key(
            "pushdown",
            Shape::OneOf(PushDown::NAMES),
            "Whether a database sums its rows itself, so that equal parts are not read: `auto` where that is sooner.",
        )
        .default("\"auto\""),
        key("password_file", Shape::Text, "A file whose first line is the database's password.").default("none"),
        key("max_connections", Shape::Count(1024), "How many connections a database is asked for at most.")
            .default("2"),
        key("max_rows_per_second", Shape::Count(1_000_000_000), "How many rows are read a second at most.")
            .default("no limit"),
        key("statement_timeout", Shape::Span, "How long one statement may take in a database.")
            .default("the database's"),
        key("max_duration", Shape::Span, "How long reading the source may take; the rest is `unverified`.")
            .default("no limit"),
        key(
            "pause_if",
            Shape::Text,
            "When reading waits: \"replica_lag > 5s\", or \"load > 8\" (connections at work).",
        )
        .default("never"),
    ],
};

pub(super) static CSV: Section = Section {
    name: "source.NAME.csv",
    keys: &[
        key("delimiter", Shape::Delimiter, "One ASCII character between fields.").default("\",\", tab for tsv"),
        key("header", Shape::Boolean, "Whether the first record names the columns.").default("true"),
        key("null", Shape::Texts, "Texts that are NULL, quoted or not.").default("an unquoted empty field"),
        key("encoding", Shape::Encoding, "How bytes become text.").default("\"utf-8\""),
        key("decimal", Shape::DecimalSeparator, "The decimal separator.").default("\".\""),
        key("date_format", Shape::TimeFormat, "The strptime pattern of dates.").default("ISO 8601"),
        key("timestamp_format", Shape::TimeFormat, "The strptime pattern of timestamps.").default("ISO 8601"),
        key("true", Shape::Texts, "Texts that stand for true.").default("[]"),
        key("false", Shape::Texts, "Texts that stand for false.").default("[]"),
    ],
};

pub(super) static CONTRACT: Section = Section {
    name: "contract.NAME",
    keys: &[
        key("version", Shape::Version, "Semantic version of the agreement; a change of meaning is a new major.")
            .required(),
        key(
            "authority",
            Shape::Text,
            "The source that decides which keys exist and owns every attribute that names no other owner.",
        )
        .required(),
        key("projection", Shape::Text, "The source that is checked.").required(),
        key("key", Shape::Texts, "The attributes that identify a row on both sides; `[]`: rows are a multiset.")
            .required(),
        key("extends", Shape::Text, "Another contract whose options hold where this one says nothing."),
        key("description", Shape::Text, "What the agreement is about.").default("none"),
        TEAM,
        RUNBOOK,
        TAGS,
        CADENCE,
        COMPARE,
        IGNORE,
        NULL_KEYS,
        WINDOW,
        FAIL_ON,
        ALLOW_KEY,
        SEVERITY_KEY,
        REPAIR_KEY,
        TIMEZONE,
        TRIM,
        CASE,
        SPACES_KEY,
        UNICODE,
        NULL_EQUALS,
        key("attribute", Shape::Named(&ATTRIBUTE), "How single attributes compare."),
        key("rule", Shape::Each(&RULE), "Severities by SQL over divergences, the first match decides."),
        key("total", Shape::Each(&TOTAL), "Control totals."),
        PARITY_KEY,
        RECHECK_KEY,
        VALUE_AT_RISK,
        key("crosswalk", Shape::Section(&CROSSWALK), "Which key of the authority is which key of the projection."),
        key("invariant", Shape::Each(&INVARIANT), "Rows of one side that break the contract by themselves."),
        key("baseline", Shape::Text, "The source of the old copy that the projection replaces, compared beside it.")
            .default("none"),
    ],
};

pub(super) static ALLOW: Section = Section {
    name: "contract.NAME.allow",
    keys: &[
        key("keys", Shape::Count(u64::MAX), "Keys at or above `fail_on`.").default("none"),
        key("ratio", Shape::Ratio, "Keys at or above `fail_on`, as a share of authority rows.").default("none"),
        key("severity", Shape::Section(&ALLOW_SEVERITY), "Keys at each severity."),
    ],
};

pub(super) static ALLOW_SEVERITY: Section = Section {
    name: "contract.NAME.allow.severity",
    keys: &[
        key("critical", Shape::Count(u64::MAX), "Keys that are critical.").default("none"),
        key("high", Shape::Count(u64::MAX), "Keys that are high.").default("none"),
        key("medium", Shape::Count(u64::MAX), "Keys that are medium.").default("none"),
        key("low", Shape::Count(u64::MAX), "Keys that are low.").default("none"),
        key("info", Shape::Count(u64::MAX), "Keys that are info.").default("none"),
    ],
};

pub(super) static ATTRIBUTE: Section = Section {
    name: "contract.NAME.attribute.NAME",
    keys: &[
        key("column", Shape::Columns, "Its column at the owner; a struct's member as an array; `{ SOURCE = … }` where it has other names at other sources.")
            .default("the attribute's name"),
        key("projected_as", Shape::Columns, "Its column in the projection; a struct's member as an array; `{ SOURCE = … }` where the baseline has another name.")
            .default("the attribute's name"),
        key("owner", Shape::Owners(&OWNER), "The authority source that owns it, joined on the contract's key; an array where it changes.")
            .default("the contract's authority"),
        UNICODE,
        SPACES_KEY,
        TRIM,
        CASE,
        NULL_EQUALS,
        key(
            "translate",
            Shape::Translate,
            "The owner's value to the value expected in the projection; or `{ file = \"map.csv\" }`.",
        )
        .default("none"),
        key("type", Shape::Type, "The logical type that both sides are compared under.").default("what the sides tell"),
        key("round", Shape::Count(76), "Decimal places, half away from zero.").default("none"),
        key("tolerance", Shape::Tolerance, "How far apart is still equal; the bound itself is equal.").default("none"),
        key("timezone", Shape::Zone, "The zone of its timestamps without zone, on both sides.").default("the source's"),
        key("severity", Shape::OneOf(SEVERITIES), "The severity of its mismatches.").default("the kind's"),
        key("repair", Shape::OneOf(REPAIRS), "How its divergences are repaired.").default("the kind's"),
        key("pii", Shape::OneOf(&["mask", "hash", "drop"]), "How personal data is written.").default("none"),
        key("derive", Shape::Text, "SQL over the owner's columns, instead of a column.").default("none"),
        key("lookup", Shape::Section(&LOOKUP), "A second source that holds the value."),
    ],
};

pub(super) static OWNER: Section = Section {
    name: "contract.NAME.attribute.NAME.owner",
    keys: &[
        key("source", Shape::Text, "The source that owns the attribute in this time.").required(),
        key("from", Shape::Instant, "When its time begins; the first owner has none.").default("none"),
        key("until", Shape::Instant, "When the next owner's time begins; the last owner has none.").default("none"),
    ],
};

pub(super) static LOOKUP: Section = Section {
    name: "contract.NAME.attribute.NAME.lookup",
    keys: &[
        key("source", Shape::Text, "The source that holds the value, and owns it.").required(),
        key(
            "on",
            Shape::On,
            "The authority's column and the column of the source that equals it; one name where both have it.",
        )
        .required(),
        key("column", Shape::Path, "The column of the source that holds the value.").default("the attribute's name"),
    ],
};

pub(super) static CROSSWALK: Section = Section {
    name: "contract.NAME.crosswalk",
    keys: &[
        key("location", Shape::Text, "Where the crosswalk is: a path, glob or directory.").default("none"),
        key("source", Shape::Text, "A source instead of a location.").default("none"),
        key("format", Shape::OneOf(FORMATS), "Only where the extension does not tell.").default("by extension"),
        key("csv", Shape::Section(&CSV), "How its text files are read."),
        key(
            "authority_column",
            Shape::Crossed,
            "Its column of the authority's keys; an array where the key has several attributes; a table of the authority's own columns to its columns where the authority's key has others.",
        )
        .required(),
        key(
            "projection_column",
            Shape::KeyColumns,
            "Its column of the projection's keys; an array where the key has several attributes.",
        )
        .required(),
    ],
};

pub(super) static SEVERITY: Section = Section {
    name: "contract.NAME.severity",
    keys: &[
        key("missing", Shape::OneOf(SEVERITIES), "Key at the authority, not in the projection.").default("\"high\""),
        key("orphan", Shape::OneOf(SEVERITIES), "Key in the projection, not at the authority.").default("\"high\""),
        key("mismatch", Shape::OneOf(SEVERITIES), "An attribute differs.").default("\"medium\""),
        key("stale", Shape::OneOf(SEVERITIES), "The projection lies behind.").default("\"low\""),
        key("ahead", Shape::OneOf(SEVERITIES), "The projection lies ahead.").default("\"high\""),
        key("in_flight", Shape::OneOf(SEVERITIES), "Still on its way.").default("\"info\""),
        key("resurrected", Shape::OneOf(SEVERITIES), "Deleted at the authority, alive in the projection.")
            .default("\"critical\""),
        key("duplicate_key", Shape::OneOf(SEVERITIES), "A key more than once on a side.").default("\"high\""),
        key("null_key", Shape::OneOf(SEVERITIES), "NULL in a key.").default("\"high\""),
        key("schema", Shape::OneOf(SEVERITIES), "A column that cannot be compared.").default("\"high\""),
        key("unreadable", Shape::OneOf(SEVERITIES), "A row that could not be read.").default("\"high\""),
    ],
};

pub(super) static REPAIR: Section = Section {
    name: "contract.NAME.repair",
    keys: &[
        key("missing", Shape::OneOf(REPAIRS), "Of this kind.").default("the plan's"),
        key("orphan", Shape::OneOf(REPAIRS), "Of this kind.").default("the plan's"),
        key("mismatch", Shape::OneOf(REPAIRS), "Of this kind.").default("the plan's"),
        key("stale", Shape::OneOf(REPAIRS), "Of this kind.").default("the plan's"),
        key("ahead", Shape::OneOf(REPAIRS), "Of this kind.").default("the plan's"),
        key("in_flight", Shape::OneOf(REPAIRS), "Of this kind.").default("the plan's"),
        key("resurrected", Shape::OneOf(REPAIRS), "Of this kind.").default("the plan's"),
        key("duplicate_key", Shape::OneOf(REPAIRS), "Of this kind.").default("the plan's"),
        key("null_key", Shape::OneOf(REPAIRS), "Of this kind.").default("the plan's"),
        key("schema", Shape::OneOf(REPAIRS), "Of this kind.").default("the plan's"),
        key("unreadable", Shape::OneOf(REPAIRS), "Of this kind.").default("the plan's"),
        key("max_actions", Shape::Count(u64::MAX), "Above it the whole plan needs a person.").default("none"),
        key("max_ratio", Shape::Ratio, "Of authority rows; above it the whole plan needs a person.").default("none"),
    ],
};

pub(super) static RULE: Section = Section {
    name: "contract.NAME.rule",
    keys: &[
        key("name", Shape::Text, "As the reason names it.").required(),
        key("when", Shape::Text, "SQL over the columns of `divergences.parquet`.").required(),
        key("severity", Shape::OneOf(SEVERITIES), "The severity that it sets.").required(),
    ],
};

pub(super) static TOTAL: Section = Section {
    name: "contract.NAME.total",
    keys: &[
        key("name", Shape::Text, "As reports name it.").required(),
        key("by", Shape::Texts, "The attributes that rows are grouped by.").default("[]"),
        key("sum", Shape::Texts, "The attributes that are summed.").default("[]"),
        key("severity", Shape::OneOf(SEVERITIES), "What it costs where a group does not balance.")
            .default("it is shown and warned of"),
    ],
};

pub(super) static INVARIANT: Section = Section {
    name: "contract.NAME.invariant",
    keys: &[
        key("name", Shape::Text, "As reports name it.").required(),
        key("side", Shape::OneOf(&["authority", "projection", "both"]), "Whose rows it is about.").required(),
        key("when", Shape::Text, "SQL over the source's own columns: the rows that break it.").required(),
        key("severity", Shape::OneOf(SEVERITIES), "What a row that breaks it costs.").required(),
    ],
};

pub(super) static PARITY: Section = Section {
    name: "contract.NAME.parity",
    keys: &[
        key("consecutive_runs", Shape::Count(100_000), "How many runs in a row, the newest first, must count.")
            .default("1"),
        key("min_coverage", Shape::Ratio, "The least coverage of each.").default("\"100%\""),
        key(
            "max_ratio",
            Shape::Ratio,
            "The greatest share of diverging keys of each, allowed or not; of authority rows.",
        )
        .default("none"),
        key(
            "max_regressions",
            Shape::Count(u64::MAX),
            "The most lines of each that the old copy (`baseline`) has right; they are counted whatever the verdict.",
        )
        .default("none"),
    ],
};

/// The nearest of several names, where one is near enough to be meant.
pub(super) fn nearest<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let lower = wrong.to_lowercase();
    let scored = names.into_iter().map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), name));
    let (distance, name) = scored.min_by_key(|(distance, _)| *distance)?;
    // A third of the letters may differ: `critcal` is near, `red` is near to nothing.
    let reach = (wrong.chars().count().max(name.chars().count()) / 3).max(1);
    (distance <= reach).then_some(name)
}
