//! The environment variables and files that commands heed, and the pages that say so. Only words: nothing is read here.

/// A variable or a file.
pub(super) struct Surrounding {
    pub(super) name: &'static str,
    pub(super) says: &'static str,
    /// The pages that name it.
    pub(super) pages: Pages,
}

/// Some pages. A new command is among those of `AllBut`, until somebody thinks of it.
pub(super) enum Pages {
    Only(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}

impl Surrounding {
    pub(super) fn is_of(&self, page: &str) -> bool {
        match self.pages {
            Pages::Only(pages) => pages.contains(&page),
            Pages::AllBut(pages) => !pages.contains(&page),
        }
    }
}

/// The commands that read tables.
const READERS: Pages = Pages::Only(&[
    "reconcile",
    "reconcile-run",
    "reconcile-diff",
    "reconcile-init",
    "reconcile-check",
    "reconcile-explain",
    "reconcile-apply",
    "reconcile-audit-reproduce",
]);
/// Those of them that compare whole tables.
const COMPARERS: Pages = Pages::Only(&[
    "reconcile",
    "reconcile-run",
    "reconcile-diff",
    "reconcile-init",
    "reconcile-apply",
    "reconcile-audit-reproduce",
]);
/// The commands that tell others of a run.
const TELLERS: Pages = Pages::Only(&["reconcile", "reconcile-run", "reconcile-diff"]);
/// The commands that read the contract file, or describe it.
const CONTRACTED: Pages =
    Pages::AllBut(&["reconcile-diff", "reconcile-init", "reconcile-completions", "reconcile-man"]);
/// The commands that look at runs.
const OF_RUNS: Pages = Pages::AllBut(&[
    "reconcile-diff",
    "reconcile-init",
    "reconcile-check",
    "reconcile-schema",
    "reconcile-completions",
    "reconcile-man",
]);

/// Every variable.
pub(super) const ENVIRONMENT: [Surrounding; 8] = [
    Surrounding {
        name: "NO_COLOR",
        says: "Where it is set to something, nothing is coloured, unless --color always is given.",
        pages: Pages::AllBut(&[]),
    },
    Surrounding {
        name: "${NAME}",
        says: "Whatever variable the contract file names in a string; ${NAME:-default} where it may be unset. What came from \
               the environment is never repeated in a message.",
        pages: CONTRACTED,
    },
    Surrounding {
        name: "TMPDIR",
        says: "The folder of what memory does not hold: files without a name, gone with the process.",
        pages: COMPARERS,
    },
    Surrounding {
        name: "PGPASSWORD, PGPASSFILE",
        says: "The password of a PostgreSQL source, and the pgpass file that may hold it.",
        pages: READERS,
    },
    Surrounding { name: "SQLITE_TMPDIR", says: "The folder of the temporary files of SQLite.", pages: READERS },
    Surrounding {
        name: "OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS, OTEL_EXPORTER_OTLP_TIMEOUT, OTEL_EXPORTER_OTLP_PROTOCOL",
        says: "Where traces and metrics of a run are sent, and how; --otlp comes first. With TRACES_ or METRICS_ before its last word each is of that alone, and its endpoint is taken as it stands.",
        pages: TELLERS,
    },
    Surrounding {
        name: "OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_SDK_DISABLED, OTEL_TRACES_EXPORTER, OTEL_METRICS_EXPORTER",
        says: "What the sender is called, and whether anything is sent because of the environment.",
        pages: TELLERS,
    },
    Surrounding {
        name: "OPENLINEAGE_API_KEY, OPENLINEAGE_NAMESPACE",
        says: "The key and the namespace of OpenLineage events, where the contract file says whom they are sent to.",
        pages: Pages::Only(&["reconcile", "reconcile-run"]),
    },
];

/// Every file.
pub(super) const FILES: [Surrounding; 10] = [
    Surrounding {
        name: "reconcile.toml",
        says: "The contract file: --config, or this one here or in the nearest parent folder.",
        pages: CONTRACTED,
    },
    Surrounding {
        name: "reconcile.toml",
        says: "The file that is written, here; --out names another.",
        pages: Pages::Only(&["reconcile-init"]),
    },
    Surrounding {
        name: "DIR/RUNID/",
        says: "With --out: the folder of the run, whole or not there, with DIR/ledger.ndjson beside it.",
        pages: Pages::Only(&["reconcile-diff"]),
    },
    Surrounding {
        name: "reports/RUNID/",
        says: "A run: summary.json, divergences.parquet, recurrence.parquet, plan.ndjson, report.html, report.md, metrics.prom, \
               junit.xml, openlineage.ndjson, and manifest.json with the digest of each; plan.sql and rollback.sql where a \
               projection is a database. It is there whole or not at all.",
        pages: OF_RUNS,
    },
    Surrounding {
        name: "reports/ledger.ndjson",
        says: "All runs, hash-chained, a line each; only ever appended to.",
        pages: OF_RUNS,
    },
    Surrounding {
        name: "reports/decisions.ndjson",
        says: "What people decided.",
        pages: Pages::Only(&[
            "reconcile",
            "reconcile-run",
            "reconcile-review",
            "reconcile-review-export",
            "reconcile-review-import",
        ]),
    },
    Surrounding {
        name: "reports/applied/",
        says: "The journals and receipts of what was applied.",
        pages: Pages::Only(&["reconcile", "reconcile-apply", "reconcile-audit-verify"]),
    },
    Surrounding {
        name: "reports/.cache/",
        says: "What spares the next run from reading unchanged files again; safe to delete.",
        pages: Pages::Only(&["reconcile", "reconcile-run"]),
    },
    Surrounding {
        name: "~/.local/share/bash-completion/completions/, ~/.config/fish/completions/",
        says: "Where bash and fish look for completions; zsh looks into the folders of its fpath.",
        pages: Pages::Only(&["reconcile-completions"]),
    },
    Surrounding {
        name: "~/.local/share/man/man1/, /usr/local/share/man/man1/",
        says: "Where man looks for pages.",
        pages: Pages::Only(&["reconcile-man"]),
    },
];
