//! Sets severity and reason by the contract's rules: SQL over the columns of `divergences.parquet`, the first match decides.
//!
//! A rule sees the severity and reason that hold without rules, and never another divergence: a predicate is about one row,
//! so how divergences are cut into batches changes nothing.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, LargeStringArray, RecordBatch};

use super::{Bench, Divergence, Reason, judge_all};
use crate::contract::{Contract, DIVERGENCE_COLUMNS};
use crate::diff::resolve::Difference;

/// Differences that are judged before rules are asked, so that little is held twice.
const AT_ONCE: usize = 2048;

/// Judges many differences, in order, as `judge_all` does, and then by the contract's rules.
///
/// # Errors
/// What SQL says of a rule that cannot be evaluated.
pub fn judge_by_rules(
    bench: Bench<'_>,
    differences: &[Difference],
    mut each: impl FnMut(&Difference, Vec<Divergence>),
) -> Result<(), String> {
    if bench.contract.controls.rules.is_empty() {
        judge_all(bench, differences, each);
        return Ok(());
    }
    for some in differences.chunks(AT_ONCE) {
        let mut judged = Vec::with_capacity(some.len());
        judge_all(bench, some, |_, divergences| judged.push(divergences));
        let mut lines: Vec<&mut Divergence> = judged.iter_mut().flatten().collect();
        rule(bench.contract, &mut lines)?;
        some.iter().zip(judged).for_each(|(difference, divergences)| each(difference, divergences));
    }
    Ok(())
}

/// Sets severity and reason of each line by the first rule that matches it; a line that none matches keeps its own.
///
/// # Errors
/// What SQL says of a rule that cannot be evaluated.
pub fn rule(contract: &Contract, lines: &mut [&mut Divergence]) -> Result<(), String> {
    let rules = &contract.controls.rules;
    if rules.is_empty() || lines.is_empty() {
        return Ok(());
    }
    let named = |column: &str| rules.iter().any(|rule| rule.when.columns().iter().any(|name| name == column));
    let column = |name: &'static str| {
        let texts = lines.iter().map(|line| text(contract, line, name));
        (name, Arc::new(texts.collect::<LargeStringArray>()) as ArrayRef)
    };
    // One column there always is, so that the batch has its rows.
    let columns = DIVERGENCE_COLUMNS.into_iter().filter(|name| *name == "kind" || named(name)).map(column);
    let batch = RecordBatch::try_from_iter(columns).map_err(|error| error.to_string())?;
    let mut matched = vec![None; lines.len()];
    for rule in rules {
        let mask = rule.when.mask(&batch).map_err(|said| format!("rule `{}`: {said}", rule.name))?;
        for (found, holds) in matched.iter_mut().zip(&mask) {
            if found.is_none() && holds == Some(true) {
                *found = Some(rule);
            }
        }
    }
    for (line, rule) in lines.iter_mut().zip(matched) {
        if let Some(rule) = rule {
            line.severity = rule.severity;
            line.reason = Reason::Rule(Arc::clone(&rule.name));
        }
    }
    Ok(())
}

/// What a column of `divergences.parquet` holds of a line.
fn text<'d>(contract: &'d Contract, line: &'d Divergence, column: &str) -> Option<Cow<'d, str>> {
    Some(match column {
        "contract" => contract.name.as_str().into(),
        "kind" => line.kind.name().into(),
        "severity" => line.severity.name().into(),
        "reason" => line.reason.to_string().into(),
        "key" => line.key.as_deref()?.into(),
        "attribute" => line.attribute.as_deref()?.into(),
        "authority_value" => line.values.authority.as_deref()?.into(),
        "projection_value" => line.values.projection.as_deref()?.into(),
        "authority_source" => (&*line.authority_source).into(),
        "fingerprint" => blake3::Hash::from_bytes(line.fingerprint).to_hex().to_string().into(),
        _ => return None,
    })
}
