//! Predicates in SQL over Arrow batches, evaluated by polars: `filter`, `--where`.
//!
//! A predicate sees one batch at a time and answers with a mask; NULL is not true. It never changes a value and never
//! sees more than the columns that it names. A cast that fails is NULL, as it is for the contract's rules.

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::datatypes::DataType as ArrowType;
use polars::prelude::{AggExpr, DataFrame, DataType, Expr, IntoLazy, Series};
use polars::sql::sql_expr;

mod condition;
mod exchange;
mod scalar;

pub use condition::{Condition, Value};
pub use scalar::{Arithmetic, Comparison, Opaque, Scalar, Tree};

/// A parsed predicate.
#[derive(Clone, Debug)]
pub struct Predicate {
    written: String,
    expression: Expr,
    columns: Vec<String>,
}

impl Predicate {
    /// Parses a predicate.
    ///
    /// # Errors
    /// What the SQL parser says.
    pub fn parse(written: &str) -> Result<Self, String> {
        let parsed = sql_expr(written).map_err(|error| first_line(&error))?;
        let (columns, expression) = examined(parsed, written, "a predicate")?;
        Ok(Self { written: written.to_owned(), expression, columns })
    }

    /// As the user wrote it.
    #[must_use]
    pub fn written(&self) -> &str {
        &self.written
    }

    /// The columns that it names, sorted.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Which rows satisfy it. `batch` has at least the columns that it names.
    ///
    /// # Errors
    /// A column that is absent or of a type that SQL cannot take, or what polars says of the types.
    pub fn mask(&self, batch: &RecordBatch) -> Result<BooleanArray, String> {
        let mut series = Vec::with_capacity(self.columns.len());
        for name in &self.columns {
            let Some(column) = batch.column_by_name(name) else {
                let schema = batch.schema();
                let have: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
                return Err(format!("`{}` names no column `{name}` (columns are: {})", self.written, have.join(", ")));
            };
            series.push(exchange::to_polars(name, &plain(name, column)?)?.into());
        }
        let said = |error: polars::error::PolarsError| format!("`{}`: {}", self.written, first_line(&error));
        // Without columns the frame has no height of its own: a constant predicate is evaluated on one row.
        let height = if series.is_empty() { 1 } else { batch.num_rows() };
        let frame = DataFrame::new(height, series).map_err(said)?;
        let answer = frame.lazy().select([self.expression.clone().alias("satisfied")]).collect().map_err(said)?;
        let answer = answer.column("satisfied").map_err(said)?.as_materialized_series().clone();
        self.to_mask(&answer, batch.num_rows())
    }

    fn to_mask(&self, answer: &Series, rows: usize) -> Result<BooleanArray, String> {
        if answer.dtype() != &DataType::Boolean {
            return Err(format!("`{}` is no predicate: it gives {}, not true or false", self.written, answer.dtype()));
        }
        let answer = answer.bool().map_err(|error| first_line(&error))?;
        if answer.len() != rows && !self.columns.is_empty() {
            return Err(format!(
                "`{}` is no predicate about one row: {rows} rows gave {} answers",
                self.written,
                answer.len()
            ));
        }
        if answer.len() == rows && !self.columns.is_empty() {
            return Ok(answer.iter().map(|value| Some(value.unwrap_or(false))).collect());
        }
        let constant = answer.get(0).unwrap_or(false);
        Ok(std::iter::repeat_n(Some(constant), rows).collect())
    }
}

/// Its columns, and the expression with casts that give NULL where they fail; refused where it looks at other rows.
fn examined(parsed: Expr, written: &str, about: &str) -> Result<(Vec<String>, Expr), String> {
    let (mut columns, mut beyond) = (Vec::new(), None);
    let expression = parsed.map_expr(|expression| match expression {
        Expr::Column(name) => {
            columns.push(name.to_string());
            Expr::Column(name)
        }
        Expr::Cast { expr, dtype, .. } => {
            Expr::Cast { expr, dtype, options: polars::chunked_array::cast::CastOptions::NonStrict }
        }
        other => {
            beyond = beyond.take().or_else(|| beyond_one_row(&other));
            other
        }
    });
    if let Some(what) = beyond {
        return Err(format!("`{written}` uses {what}, which looks at other rows; {about} is about one row"));
    }
    columns.sort();
    columns.dedup();
    Ok((columns, expression))
}

/// What of an expression looks at more than one row, so that its answer would depend on how rows are batched. What is not
/// known to keep to its row counts as looking further.
fn beyond_one_row(expression: &Expr) -> Option<String> {
    /// Functions that keep to their row, besides those of texts (`str.`) and times (`dt.`).
    const OF_ONE_ROW: [&str; 29] = [
        "abs",
        "negate",
        "pow",
        "sqrt",
        "cbrt",
        "sign",
        "exp",
        "log",
        "round",
        "floor",
        "ceil",
        "clip",
        "coalesce",
        "fill_null",
        "is_null",
        "is_not_null",
        "is_finite",
        "is_infinite",
        "is_nan",
        "is_not_nan",
        "is_between",
        "is_in",
        "not",
        "any_horizontal",
        "all_horizontal",
        "min_horizontal",
        "max_horizontal",
        "concat_str",
        "replace",
    ];
    match expression {
        Expr::Alias(..) | Expr::Literal(_) | Expr::BinaryExpr { .. } | Expr::Ternary { .. } => None,
        Expr::Function { function, .. } => {
            let name = function.to_string();
            let of_one_row = OF_ONE_ROW.contains(&name.as_str())
                || (name.starts_with("str.") && !name.contains("vertical") && !name.contains("join"))
                || name.starts_with("dt.");
            (!of_one_row).then(|| format!("`{name}`"))
        }
        // The list of an `in` is imploded, which is about no row at all.
        Expr::Agg(AggExpr::Implode { input, .. }) if matches!(**input, Expr::Literal(_)) => None,
        Expr::Agg(_) | Expr::Len => Some("an aggregate".to_owned()),
        Expr::Over { .. } => Some("a window".to_owned()),
        Expr::SubPlan(..) => Some("a subquery".to_owned()),
        _ => Some("something".to_owned()),
    }
}

/// Polars' messages go on with the plan that failed; a reader wants the sentence.
fn first_line(error: &polars::error::PolarsError) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    // It says no more than that.
    if let Some(said) = line.strip_prefix("unable to parse ").and_then(|said| said.strip_suffix(" as Expr")) {
        return format!("unable to parse {said}, expected an expression of SQL, like `amount > 10`");
    }
    // What failed may be anyone's: how many values did is said, not which.
    line.split(" values: [").next().map_or(String::new(), |said| {
        if said.len() < line.len() { format!("{said} values") } else { said.trim().to_owned() }
    })
}

/// Brings a column to a type that polars takes: dictionaries become their values, instants their UTC wall clock.
fn plain(name: &str, column: &ArrayRef) -> Result<ArrayRef, String> {
    let target = match column.data_type() {
        ArrowType::Dictionary(_, values) => (**values).clone(),
        ArrowType::Timestamp(unit, Some(_)) => {
            // The values of a zoned timestamp are already in UTC, so only the label goes.
            let data = column.to_data().into_builder().data_type(ArrowType::Timestamp(*unit, None));
            return data.build().map(arrow::array::make_array).map_err(|error| error.to_string());
        }
        ArrowType::Decimal32(precision, scale) | ArrowType::Decimal64(precision, scale) => {
            ArrowType::Decimal128(*precision, *scale)
        }
        ArrowType::Decimal256(..)
        | ArrowType::Map(..)
        | ArrowType::Union(..)
        | ArrowType::Interval(_)
        | ArrowType::RunEndEncoded(..) => {
            return Err(format!("column `{name}` is {}, which SQL here cannot take", column.data_type()));
        }
        _ => return Ok(column.clone()),
    };
    arrow::compute::cast(column, &target).map_err(|error| format!("column `{name}`: {error}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray};

    use super::*;

    fn batch() -> RecordBatch {
        RecordBatch::try_from_iter([
            ("line", Arc::new(StringArray::from(vec![Some("motor"), None, Some("home")])) as ArrayRef),
            ("sum insured", Arc::new(Int64Array::from(vec![1, 2, 3]))),
            ("rate", Arc::new(Float64Array::from(vec![0.5, 1.5, 2.5]))),
            ("text", Arc::new(StringArray::from(vec!["10", "x", "30"]))),
            ("day", Arc::new(Date32Array::from(vec![0, 20_000, 20_001]))),
            (
                "premium",
                Arc::new(
                    Decimal128Array::from(vec![Some(1050), None, Some(-5)]).with_precision_and_scale(12, 2).unwrap(),
                ),
            ),
        ])
        .unwrap()
    }

    fn selected(predicate: &str) -> Result<Vec<bool>, String> {
        let mask = Predicate::parse(predicate)?.mask(&batch())?;
        Ok((0..mask.len()).map(|row| mask.value(row)).collect())
    }

    #[test]
    fn predicates_select_rows_and_null_is_not_true() {
        for (predicate, expected) in [
            ("line = 'motor'", [true, false, false]),
            ("line <> 'motor'", [false, false, true]),
            ("line is null or rate > 2", [false, true, true]),
            ("\"sum insured\" between 2 and 3", [false, true, true]),
            ("cast(text as double) > 15", [false, false, true]),
            ("cast(text as bigint) is null", [false, true, false]),
            ("day >= date '2024-10-04'", [false, true, true]),
            ("premium > 10", [true, false, false]),
            ("line in ('home', 'motor') and not rate = 0.5", [false, false, true]),
            ("line like 'm%'", [true, false, false]),
            ("upper(line) = 'HOME' or length(text) > 2", [false, false, true]),
            ("coalesce(line, 'none') = 'none' and abs(premium) > 0 is null", [false, true, false]),
            ("case when rate > 2 then true else false end", [false, false, true]),
            ("round(rate) = 2 or extract(year from day) = 1970", [true, true, true]),
            ("substr(text, 1, 1) = '3' or starts_with(line, 'm')", [true, false, true]),
            ("true", [true, true, true]),
        ] {
            assert_eq!(selected(predicate).as_deref(), Ok(expected.as_slice()), "{predicate}");
        }
    }

    #[test]
    fn a_predicate_that_cannot_be_is_said() {
        for (predicate, said) in [
            ("absent = 1", "columns are: line"),
            ("line = ", "unable to parse"),
            ("rate + 1", "no predicate"),
            ("count(*) = 3", "looks at other rows"),
            ("rate = max(rate)", "looks at other rows"),
            ("sum(rate) over () > 1", "looks at other rows"),
        ] {
            let error = selected(predicate).unwrap_err();
            assert!(error.contains(said), "{predicate}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
