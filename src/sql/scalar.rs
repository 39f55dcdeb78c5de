//! Scalar expressions in SQL: `derive`. What computes with numbers becomes a small tree that its caller evaluates exactly;
//! the rest is left to polars, a batch at a time.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float32Array, Float64Array, Int64Array, LargeBinaryArray, LargeStringArray,
    NullArray, RecordBatch, Time64NanosecondArray, TimestampMicrosecondArray, UInt64Array,
};
use polars::prelude::{
    AnyValue, DataFrame, DataType, DataTypeExpr, Expr, FunctionExpr, IntoLazy, LiteralValue, Operator, Series,
    TimeUnit, UnknownKind,
};
use polars::sql::sql_expr;

use super::{examined, exchange, first_line, plain};

/// A parsed scalar expression.
#[derive(Clone, Debug)]
pub struct Scalar {
    written: String,
    tree: Tree,
    columns: Vec<String>,
}

/// An expression about one row.
#[derive(Clone, Debug)]
pub enum Tree {
    /// A column's value.
    Column(String),
    /// A number, as text.
    Number(String),
    /// A text.
    Text(String),
    /// NULL.
    Null,
    /// Two numbers.
    Arithmetic(Arithmetic, Box<Tree>, Box<Tree>),
    /// A number without its sign.
    Absolute(Box<Tree>),
    /// A number rounded to so many places.
    Rounded(Box<Tree>, u32),
    /// A value as a number; with `Some(places)` it must have no more of them.
    ToNumber(Box<Tree>, Option<u32>),
    /// Whether two numbers stand so.
    Compare(Comparison, Box<Tree>, Box<Tree>),
    /// Both hold.
    And(Box<Tree>, Box<Tree>),
    /// One of them holds.
    Or(Box<Tree>, Box<Tree>),
    /// It does not hold.
    Not(Box<Tree>),
    /// Whether it is NULL.
    IsNull(Box<Tree>),
    /// `case when`: condition, then, else.
    Case(Box<Tree>, Box<Tree>, Box<Tree>),
    /// The first that is not NULL.
    Coalesce(Vec<Tree>),
    /// What polars evaluates.
    Opaque(Opaque),
}

/// What is done with two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`, only within `round`
    Divide,
}

/// How two numbers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    /// The same of both values in the other order.
    pub(super) fn turned(self) -> Self {
        match self {
            Self::Equal | Self::Unequal => self,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
        }
    }
}

/// An expression that polars evaluates.
#[derive(Clone, Debug)]
pub struct Opaque {
    written: String,
    expression: Expr,
    columns: Vec<String>,
}

impl Scalar {
    /// Parses a scalar expression.
    ///
    /// # Errors
    /// What the SQL parser says, or what of it is not about one row or not exact.
    pub fn parse(written: &str) -> Result<Self, String> {
        let parsed = sql_expr(written).map_err(|error| first_line(&error))?;
        let (columns, expression) = examined(parsed, written, "a derivation")?;
        let tree = Lowering { written }.lower(&expression)?;
        Ok(Self { written: written.to_owned(), tree, columns })
    }

    /// As the user wrote it.
    #[must_use]
    pub fn written(&self) -> &str {
        &self.written
    }

    /// The expression.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The columns that it names, sorted.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }
}

struct Lowering<'a> {
    written: &'a str,
}

impl Lowering<'_> {
    fn lower(&self, expression: &Expr) -> Result<Tree, String> {
        match expression {
            Expr::Alias(inner, _) => self.lower(inner),
            Expr::Column(name) => Ok(Tree::Column(name.to_string())),
            Expr::Literal(literal) => self.literal(literal).unwrap_or_else(|| self.opaque(expression)),
            _ if !computes(expression) => self.opaque(expression),
            Expr::BinaryExpr { left, op, right } => self.binary(*op, left, right),
            Expr::Ternary { predicate, truthy, falsy } => {
                Ok(Tree::Case(self.boxed(predicate)?, self.boxed(truthy)?, self.boxed(falsy)?))
            }
            Expr::Cast { expr, dtype, .. } => self.cast(expr, dtype),
            Expr::Function { input, function } => self.function(input, function),
            _ => Err(format!("`{}` computes in a way that is not served here", self.written)),
        }
    }

    fn boxed(&self, expression: &Expr) -> Result<Box<Tree>, String> {
        self.lower(expression).map(Box::new)
    }

    fn opaque(&self, expression: &Expr) -> Result<Tree, String> {
        let (columns, expression) = examined(expression.clone(), self.written, "a derivation")?;
        Ok(Tree::Opaque(Opaque { written: self.written.to_owned(), expression, columns }))
    }

    fn literal(&self, literal: &LiteralValue) -> Option<Result<Tree, String>> {
        if literal.is_null() {
            return Some(Ok(Tree::Null));
        }
        if let Some(text) = literal.extract_str() {
            return Some(Ok(Tree::Text(text.to_owned())));
        }
        match literal.to_any_value()? {
            AnyValue::Float64(number) => Some(self.float(number)),
            AnyValue::Float32(number) => Some(self.float(f64::from(number))),
            number if is_number(literal) => Some(Ok(Tree::Number(number.to_string()))),
            _ => None,
        }
    }

    /// The SQL parser reads a number through a float; one that may have lost digits by that is refused.
    fn float(&self, number: f64) -> Result<Tree, String> {
        let text = number.to_string();
        let digits = text.chars().filter(char::is_ascii_digit).count();
        if digits > 15 {
            return Err(format!(
                "`{}` holds a number of more than 15 digits; write it as cast('…' as decimal) to keep them all",
                self.written
            ));
        }
        Ok(Tree::Number(text))
    }

    fn binary(&self, op: Operator, left: &Expr, right: &Expr) -> Result<Tree, String> {
        let (one, other) = (self.boxed(left)?, self.boxed(right)?);
        let compare = |comparison| Ok(Tree::Compare(comparison, one.clone(), other.clone()));
        match op {
            Operator::Plus => Ok(Tree::Arithmetic(Arithmetic::Add, one, other)),
            Operator::Minus => Ok(Tree::Arithmetic(Arithmetic::Subtract, one, other)),
            Operator::Multiply => Ok(Tree::Arithmetic(Arithmetic::Multiply, one, other)),
            Operator::RustDivide | Operator::TrueDivide => Err(format!(
                "`{}` divides, which has no exact result; say how many places hold: round(a / b, 2)",
                self.written
            )),
            Operator::Eq => compare(Comparison::Equal),
            Operator::NotEq => compare(Comparison::Unequal),
            Operator::Lt => compare(Comparison::Less),
            Operator::LtEq => compare(Comparison::LessOrEqual),
            Operator::Gt => compare(Comparison::Greater),
            Operator::GtEq => compare(Comparison::GreaterOrEqual),
            Operator::And | Operator::LogicalAnd => Ok(Tree::And(one, other)),
            Operator::Or | Operator::LogicalOr => Ok(Tree::Or(one, other)),
            _ => Err(format!("`{}` uses `{op}`, which is not served here", self.written)),
        }
    }

    fn cast(&self, inner: &Expr, target: &DataTypeExpr) -> Result<Tree, String> {
        let DataTypeExpr::Literal(target) = target else {
            return Err(format!("`{}` casts to a type that is not served here", self.written));
        };
        let inner = self.boxed(inner)?;
        match target {
            DataType::Decimal(_, scale) => {
                let places =
                    u32::try_from(*scale).map_err(|_| format!("`{}` casts to an unknown scale", self.written))?;
                // A bare `decimal` stands for any number.
                Ok(Tree::ToNumber(inner, (places > 0).then_some(places)))
            }
            target if target.is_integer() => Ok(Tree::ToNumber(inner, Some(0))),
            target if target.is_float() => Ok(Tree::ToNumber(inner, None)),
            target => Err(format!("`{}` casts what it computes to {target}, which is not served here", self.written)),
        }
    }

    fn function(&self, input: &[Expr], function: &FunctionExpr) -> Result<Tree, String> {
        match (function, input) {
            (FunctionExpr::Round { decimals, .. }, _) if *decimals > 76 => {
                Err(format!("`{}` rounds to {decimals} places, at most 76 are served", self.written))
            }
            (FunctionExpr::Round { decimals, .. }, [inner, ..]) => {
                if let Expr::BinaryExpr { left, op: Operator::RustDivide | Operator::TrueDivide, right } = inner {
                    let divided = Tree::Arithmetic(Arithmetic::Divide, self.boxed(left)?, self.boxed(right)?);
                    return Ok(Tree::Rounded(Box::new(divided), *decimals));
                }
                Ok(Tree::Rounded(self.boxed(inner)?, *decimals))
            }
            (function, [inner]) => match function.to_string().as_str() {
                "abs" => Ok(Tree::Absolute(self.boxed(inner)?)),
                "not" => Ok(Tree::Not(self.boxed(inner)?)),
                "is_null" => Ok(Tree::IsNull(self.boxed(inner)?)),
                "is_not_null" => Ok(Tree::Not(Box::new(Tree::IsNull(self.boxed(inner)?)))),
                name => Err(self.not_served(name)),
            },
            (function, several) if function.to_string() == "coalesce" => {
                Ok(Tree::Coalesce(several.iter().map(|one| self.lower(one)).collect::<Result<_, _>>()?))
            }
            (function, _) => Err(self.not_served(&function.to_string())),
        }
    }

    fn not_served(&self, function: &str) -> String {
        format!("`{}` uses `{function}` on what it computes, which has no exact result here", self.written)
    }
}

fn is_number(literal: &LiteralValue) -> bool {
    let data_type = literal.get_datatype();
    data_type.is_primitive_numeric() || matches!(data_type, DataType::Unknown(UnknownKind::Int(_) | UnknownKind::Float))
}

/// Whether an expression computes with numbers, which polars would do inexactly or not at all.
fn computes(expression: &Expr) -> bool {
    let is_text = |expression: &Expr| {
        matches!(expression, Expr::Cast { dtype: DataTypeExpr::Literal(DataType::String), .. })
            || matches!(expression, Expr::Literal(literal) if literal.extract_str().is_some())
    };
    expression.into_iter().any(|node| match node {
        // Two texts are put together by the same operator.
        Expr::BinaryExpr { left, op: Operator::Plus, right } => !(is_text(left) || is_text(right)),
        Expr::BinaryExpr { left, op, right } => {
            let arithmetic = matches!(
                op,
                Operator::Minus
                    | Operator::Multiply
                    | Operator::RustDivide
                    | Operator::TrueDivide
                    | Operator::FloorDivide
                    | Operator::Modulus
            );
            let number = |side: &Expr| matches!(side, Expr::Literal(literal) if is_number(literal));
            arithmetic || number(left) || number(right)
        }
        Expr::Function { function, .. } => {
            let name = function.to_string();
            ["abs", "round", "negate", "pow", "sqrt", "cbrt", "exp", "log", "floor", "ceil"].contains(&name.as_str())
        }
        Expr::Ternary { truthy, falsy, .. } => {
            [truthy, falsy].iter().any(|side| matches!(&***side, Expr::Literal(literal) if is_number(literal)))
        }
        Expr::Cast { dtype: DataTypeExpr::Literal(target), .. } => {
            target.is_integer() || target.is_float() || target.is_decimal()
        }
        _ => false,
    })
}

impl Opaque {
    /// The value for each row of a batch that has at least the columns that it names.
    ///
    /// # Errors
    /// A column that is absent or of a type that SQL cannot take, or what polars says of the types.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef, String> {
        let mut series = Vec::with_capacity(self.columns.len());
        for name in &self.columns {
            let column =
                batch.column_by_name(name).ok_or_else(|| format!("`{}` names no column `{name}`", self.written))?;
            series.push(exchange::to_polars(name, &plain(name, column)?)?.into());
        }
        let said = |error: polars::error::PolarsError| format!("`{}`: {}", self.written, first_line(&error));
        let height = if series.is_empty() { 1 } else { batch.num_rows() };
        let frame = DataFrame::new(height, series).map_err(said)?;
        let answer = frame.lazy().select([self.expression.clone().alias("derived")]).collect().map_err(said)?;
        let answer = answer.column("derived").map_err(said)?.as_materialized_series().clone();
        let rows = batch.num_rows();
        let answer = match (answer.len(), self.columns.is_empty()) {
            (1, true) => answer.new_from_index(0, rows),
            (length, _) if length == rows => answer,
            (length, _) => {
                return Err(format!("`{}` is not about one row: {rows} rows gave {length} values", self.written));
            }
        };
        from_polars(&answer).map_err(|said| format!("`{}`: {said}", self.written))
    }
}

/// A column that polars made.
fn from_polars(series: &Series) -> Result<ArrayRef, String> {
    let said = |error: polars::error::PolarsError| first_line(&error);
    let cast = |target: &DataType| series.strict_cast(target).map_err(said);
    Ok(match series.dtype() {
        DataType::Null => Arc::new(NullArray::new(series.len())),
        DataType::Boolean => Arc::new(series.bool().map_err(said)?.iter().collect::<BooleanArray>()),
        DataType::UInt64 => Arc::new(series.u64().map_err(said)?.iter().collect::<UInt64Array>()),
        integer if integer.is_integer() => {
            Arc::new(cast(&DataType::Int64)?.i64().map_err(said)?.iter().collect::<Int64Array>())
        }
        DataType::Float32 => Arc::new(series.f32().map_err(said)?.iter().collect::<Float32Array>()),
        DataType::Float64 => Arc::new(series.f64().map_err(said)?.iter().collect::<Float64Array>()),
        DataType::String => Arc::new(series.str().map_err(said)?.iter().collect::<LargeStringArray>()),
        DataType::Binary => Arc::new(series.binary().map_err(said)?.iter().collect::<LargeBinaryArray>()),
        DataType::Date => Arc::new(cast(&DataType::Int32)?.i32().map_err(said)?.iter().collect::<Date32Array>()),
        DataType::Time => {
            Arc::new(cast(&DataType::Int64)?.i64().map_err(said)?.iter().collect::<Time64NanosecondArray>())
        }
        DataType::Datetime(unit, None) => {
            let values = series.to_physical_repr().into_owned();
            let values = values.i64().map_err(said)?;
            match unit {
                TimeUnit::Microseconds => Arc::new(values.iter().collect::<TimestampMicrosecondArray>()),
                TimeUnit::Nanoseconds => Arc::new(values.iter().collect::<arrow::array::TimestampNanosecondArray>()),
                TimeUnit::Milliseconds => Arc::new(values.iter().collect::<arrow::array::TimestampMillisecondArray>()),
            }
        }
        DataType::Decimal(precision, scale) => {
            let decimals = series.decimal().map_err(said)?;
            let values: arrow::array::Decimal128Array = decimals.physical().iter().collect();
            let (precision, scale) = (u8::try_from(*precision), i8::try_from(*scale));
            let (Ok(precision), Ok(scale)) = (precision, scale) else { return Err("a decimal too wide".to_owned()) };
            Arc::new(values.with_precision_and_scale(precision, scale).map_err(|error| error.to_string())?)
        }
        other => return Err(format!("it gives {other}, which is not served here")),
    })
}
