//! A predicate as a tree of conditions that can be said in any dialect of SQL and mean there what they mean here. What could mean
//! something else (a function, the clock, an order of texts, a computed number) is no part of it, and is said.

use polars::prelude::{AggExpr, AnyValue, DataType, DataTypeExpr, Expr, LiteralValue, Operator};

use super::Predicate;
use super::scalar::Comparison;

/// A condition about one row. It holds, does not hold, or is unknown, as in SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The same for every row.
    Constant(bool),
    /// A boolean column is true.
    Flag(String),
    /// The same, or a whole number is not zero.
    Truth(String),
    /// A column is NULL.
    IsNull(String),
    /// A column stands so to a value; texts and booleans are equal or unequal only.
    Compare(String, Comparison, Value),
    /// It does not hold.
    Not(Box<Condition>),
    /// Both hold.
    And(Box<Condition>, Box<Condition>),
    /// One of them holds.
    Or(Box<Condition>, Box<Condition>),
}

/// A value that a column is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Whole(i64),
    /// True or false.
    Boolean(bool),
}

impl Predicate {
    /// The predicate as such a tree.
    ///
    /// # Errors
    /// What of it is said in another way in every dialect, as a sentence part.
    pub fn condition(&self) -> Result<Condition, String> {
        condition(&self.expression)
    }
}

fn condition(expression: &Expr) -> Result<Condition, String> {
    match expression {
        Expr::Alias(inner, _) => condition(inner),
        Expr::Column(name) => Ok(Condition::Flag(name.to_string())),
        // What `not` is said of is taken for a truth value.
        Expr::Cast { expr, dtype: DataTypeExpr::Literal(DataType::Boolean), .. } => match &**expr {
            Expr::Column(name) => Ok(Condition::Truth(name.to_string())),
            inner => condition(inner),
        },
        Expr::Literal(literal) => match value(literal) {
            Some(Value::Boolean(constant)) => Ok(Condition::Constant(constant)),
            _ => Err("it holds a value where a condition belongs".to_owned()),
        },
        Expr::BinaryExpr { left, op: Operator::And | Operator::LogicalAnd, right } => {
            Ok(Condition::And(boxed(left)?, boxed(right)?))
        }
        Expr::BinaryExpr { left, op: Operator::Or | Operator::LogicalOr, right } => {
            Ok(Condition::Or(boxed(left)?, boxed(right)?))
        }
        Expr::BinaryExpr { left, op, right } => compared(left, *op, right),
        Expr::Function { input, function } => match (function.to_string().as_str(), input.as_slice()) {
            ("not", [inner]) => Ok(Condition::Not(boxed(inner)?)),
            ("is_null", [inner]) => Ok(Condition::IsNull(column(inner)?)),
            ("is_not_null", [inner]) => Ok(Condition::Not(Box::new(Condition::IsNull(column(inner)?)))),
            ("is_in", [inner, list]) => among(&column(inner)?, list),
            (name, _) => Err(format!("it uses `{name}`")),
        },
        _ => Err("it computes".to_owned()),
    }
}

fn boxed(expression: &Expr) -> Result<Box<Condition>, String> {
    condition(expression).map(Box::new)
}

fn column(expression: &Expr) -> Result<String, String> {
    match expression {
        Expr::Alias(inner, _) => column(inner),
        Expr::Column(name) => Ok(name.to_string()),
        _ => Err("it computes what it compares".to_owned()),
    }
}

fn compared(left: &Expr, op: Operator, right: &Expr) -> Result<Condition, String> {
    use Comparison as C;

    let (name, literal, turned) = match (left, right) {
        (other, Expr::Literal(literal)) => (column(other)?, literal, false),
        (Expr::Literal(literal), other) => (column(other)?, literal, true),
        _ => return Err("it compares columns with each other, or computes".to_owned()),
    };
    let value = value(literal).ok_or("it compares with a value that is no text, whole number or boolean")?;
    let comparison = match op {
        Operator::Eq => C::Equal,
        Operator::NotEq => C::Unequal,
        Operator::Lt => C::Less,
        Operator::LtEq => C::LessOrEqual,
        Operator::Gt => C::Greater,
        Operator::GtEq => C::GreaterOrEqual,
        _ => return Err(format!("it uses `{op}`")),
    };
    let comparison = if turned { comparison.turned() } else { comparison };
    if !matches!((&value, comparison), (Value::Whole(_), _) | (_, C::Equal | C::Unequal)) {
        return Err("it asks for the order of texts".to_owned());
    }
    Ok(Condition::Compare(name, comparison, value))
}

/// One of the values of a list. A list that holds NULL is none.
fn among(name: &str, list: &Expr) -> Result<Condition, String> {
    let odd = || "it holds a list that is not of texts or whole numbers".to_owned();
    let list = match list {
        Expr::Agg(AggExpr::Implode { input, .. }) => input,
        other => other,
    };
    let Expr::Literal(LiteralValue::Series(series)) = list else { return Err(odd()) };
    let equal = |value: AnyValue<'_>| {
        let value = of_any(&value).ok_or_else(odd)?;
        Ok(Condition::Compare(name.to_owned(), Comparison::Equal, value))
    };
    let values: Vec<Condition> = series.iter().map(equal).collect::<Result<_, String>>()?;
    values.into_iter().reduce(|one, other| Condition::Or(Box::new(one), Box::new(other))).ok_or_else(odd)
}

fn value(literal: &LiteralValue) -> Option<Value> {
    if matches!(literal, LiteralValue::Series(_) | LiteralValue::Range(_)) {
        return None;
    }
    of_any(&literal.to_any_value()?)
}

fn of_any(value: &AnyValue<'_>) -> Option<Value> {
    match value {
        AnyValue::Boolean(value) => Some(Value::Boolean(*value)),
        AnyValue::String(text) => Some(Value::Text((*text).to_owned())),
        AnyValue::StringOwned(text) => Some(Value::Text(text.to_string())),
        whole if whole.is_integer() => whole.try_extract().ok().map(Value::Whole),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BooleanArray, Int64Array, RecordBatch, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    /// What a condition says of a row; None: it is unknown.
    fn says(condition: &Condition, row: (Option<bool>, Option<&str>, Option<i64>)) -> Option<bool> {
        use Comparison as C;

        match condition {
            Condition::Constant(constant) => Some(*constant),
            Condition::Truth(name) if name == "n" => row.2.map(|number| number != 0),
            Condition::Flag(_) | Condition::Truth(_) => row.0,
            Condition::IsNull(name) => Some(match name.as_str() {
                "b" => row.0.is_none(),
                "t" => row.1.is_none(),
                _ => row.2.is_none(),
            }),
            Condition::Compare(_, comparison, value) => {
                let order = match value {
                    Value::Boolean(value) => row.0?.cmp(value),
                    Value::Text(text) => row.1?.cmp(text.as_str()),
                    Value::Whole(number) => row.2?.cmp(number),
                };
                Some(match comparison {
                    C::Equal => order.is_eq(),
                    C::Unequal => order.is_ne(),
                    C::Less => order.is_lt(),
                    C::LessOrEqual => order.is_le(),
                    C::Greater => order.is_gt(),
                    C::GreaterOrEqual => order.is_ge(),
                })
            }
            Condition::Not(inner) => says(inner, row).map(|holds| !holds),
            Condition::And(one, other) => match (says(one, row), says(other, row)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (one, other) => Some(one? && other?),
            },
            Condition::Or(one, other) => match (says(one, row), says(other, row)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (one, other) => Some(one? || other?),
            },
        }
    }

    #[test]
    fn the_tree_says_of_every_row_what_the_predicate_says() {
        let mut rows = Vec::new();
        for flag in [None, Some(true), Some(false)] {
            for text in [None, Some(""), Some("D"), Some("d"), Some("it's")] {
                rows.extend([None, Some(-1), Some(0), Some(1), Some(i64::MAX)].map(|number| (flag, text, number)));
            }
        }
        let fields = vec![
            Field::new("b", DataType::Boolean, true),
            Field::new("t", DataType::Utf8, true),
            Field::new("n", DataType::Int64, true),
        ];
        let flags: BooleanArray = rows.iter().map(|row| row.0).collect();
        let texts: StringArray = rows.iter().map(|row| row.1).collect();
        let numbers: Int64Array = rows.iter().map(|row| row.2).collect();
        let columns: Vec<arrow::array::ArrayRef> = vec![Arc::new(flags), Arc::new(texts), Arc::new(numbers)];
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
        for written in [
            "b",
            "not b",
            "not n",
            "not not b",
            "b = true",
            "b is true",
            "b is not true",
            "b is false",
            "t = 'D'",
            "'D' = t",
            "t <> 'D'",
            "t in ('D', 'it''s')",
            "t not in ('D')",
            "t is not null",
            "t is null or n >= 1",
            "not (t is null and b)",
            "n = 1",
            "0 < n",
            "1 >= n",
            "n between 0 and 1",
            "n in (1, 0, -1)",
            "n not in (1)",
            "n = -1 and not (b or t <> 'd')",
            "true",
            "false or b",
        ] {
            let predicate = Predicate::parse(written).unwrap();
            let condition = predicate.condition().unwrap_or_else(|why| panic!("{written}: {why}"));
            let mask = predicate.mask(&batch).unwrap_or_else(|why| panic!("{written}: {why}"));
            for (row, values) in rows.iter().enumerate() {
                assert_eq!(says(&condition, *values) == Some(true), mask.value(row), "{written} of {values:?}");
            }
        }
    }

    #[test]
    fn what_a_dialect_could_say_in_another_way_is_refused() {
        for (written, why) in [
            ("upper(t) = 'D'", "computes"),
            ("t = 'D' and t < upper('d')", "compares columns with each other, or computes"),
            ("t < 'D'", "order of texts"),
            ("t = b", "compares columns"),
            ("n + 1 = 2", "computes what it compares"),
            ("n = 1.5", "no text, whole number or boolean"),
            ("t in ('D', null)", "a list"),
            ("t like 'D%'", "it uses"),
            ("t = null", "a value that is no text"),
            ("cast(n as text) = '1'", "computes what it compares"),
        ] {
            let said = Predicate::parse(written).and_then(|predicate| predicate.condition()).unwrap_err();
            assert!(said.contains(why), "{written}: {said}");
        }
    }
}
