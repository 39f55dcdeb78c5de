//! `reconcile diff`: two tables without a contract file. Without a key it proposes some; it never guesses one.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::failure::Failure;
use super::outcome::{Batch, carry_out};
use super::values::Columns;
use super::{Diff, ExitStatus, Global, propose, values};
use crate::console::Console;
use crate::contract::{self, DiffRequest};

pub(super) fn run(options: &Diff, global: &Global, console: &mut Console) -> Result<ExitStatus, Failure> {
    if options.key.is_empty() && !options.no_key {
        return Err(propose::keys(options));
    }
    let contract = contract::for_diff(&request(options))?;
    let shown = BTreeMap::from([
        ("authority".to_owned(), contract.sources.authority.location.shown().to_owned()),
        ("projection".to_owned(), contract.sources.projection.location.shown().to_owned()),
    ]);
    let batch = Batch {
        command: "diff",
        contracts: vec![Arc::new(contract)],
        reports: options.comparison.out.clone(),
        cache: None,
        threads: values::threads(global.threads).unwrap_or(0),
        memory_limit: global.memory_limit,
        comparison: &options.comparison,
        shown,
        warnings: Vec::new(),
        pii_key: None,
        cadences: Vec::new(),
        contract_files: Vec::new(),
        sign: None,
        tell: contract::Tell::default(),
        whole: true,
        resume: None,
    };
    carry_out(batch, global, console)
}

fn request(options: &Diff) -> DiffRequest {
    DiffRequest {
        authority: options.authority.clone(),
        projection: options.projection.clone(),
        key: names(&options.key),
        map: options.map.iter().map(|pair| (pair.attribute.clone(), pair.column.clone())).collect(),
        ignore: names(&options.ignore),
        only: names(&options.only),
        tolerance: options.tolerance.iter().map(|of| (of.column.clone(), of.value.clone())).collect(),
        types: options.types.iter().map(|of| (of.column.clone(), of.value.clone())).collect(),
        trim: options.trim,
        ignore_case: options.ignore_case,
        null_equals: options.null_equals.clone(),
        row_filter: options.comparison.row_filter.clone(),
    }
}

fn names(lists: &[Columns]) -> Vec<String> {
    lists.iter().flat_map(|list| list.0.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Arguments, Command};
    use super::*;

    #[test]
    fn every_flag_reaches_the_request() {
        let words = [
            "reconcile",
            "diff",
            "a.csv",
            "b.csv",
            "--key",
            r#""a,b",c"#,
            "--key",
            "d",
            "--map",
            "p=q=r",
            "--ignore",
            "etl_*,authority:note",
            "--only",
            "p,x",
            "--only",
            "y",
            "--tolerance",
            "0.1",
            "--tolerance",
            "p=1%",
            "--type",
            "p=decimal(12, 2)",
            "--trim",
            "--ignore-case",
            "--null-equals",
            "",
            "--null-equals",
            "-",
            "--where",
            "p > 1",
        ];
        let Command::Diff(options) = Arguments::try_parse_from(words).unwrap().command else { panic!("not a diff") };
        let text = |text: &str| text.to_owned();
        let request = request(&options);
        assert_eq!(request.key, ["a,b", "c", "d"]);
        assert_eq!(request.map, [(text("p"), text("q=r"))]);
        assert_eq!(request.ignore, ["etl_*", "authority:note"]);
        assert_eq!(request.only, ["p", "x", "y"]);
        assert_eq!(request.tolerance, [(None, text("0.1")), (Some(text("p")), text("1%"))]);
        assert_eq!(request.types, [(text("p"), text("decimal(12, 2)"))]);
        assert!(request.trim && request.ignore_case);
        assert_eq!(request.null_equals, ["", "-"]);
        assert_eq!(request.row_filter.as_deref(), Some("p > 1"));
    }
}
