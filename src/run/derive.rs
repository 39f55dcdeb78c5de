//! Evaluates `derive`: SQL about one row of the owner, a batch at a time.
//!
//! Numbers are computed exactly, whatever holds them: integers, decimals, floats (which stand for their shortest decimal) and
//! texts, as an attribute of `type = "decimal"` reads them. A value that cannot be computed is a fault, never NULL.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, LargeStringArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use num_bigint::{BigInt, Sign};

use crate::contract::Source;
use crate::normalise::{FaultReason, Number, numbers};
use crate::notation::{self, Notation};
use crate::sql::{Arithmetic, Comparison, Scalar, Tree};

/// A value, NULL, or why there is none.
type Cell<T> = Result<Option<T>, FaultReason>;

/// An expression that has met its owner's schema.
#[derive(Clone, Debug)]
pub(super) struct Derivation {
    scalar: Scalar,
    source: Arc<Source>,
    kind: Kind,
    field: Field,
}

/// What an expression gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Number,
    Text,
    Boolean,
    Null,
    /// A column as it stands.
    Column,
}

impl Derivation {
    /// Checks an expression against the owner's schema.
    ///
    /// # Errors
    /// A column that is not there, types that do not fit, or what is not served.
    pub(super) fn new(written: &str, source: &Arc<Source>, schema: &Schema) -> Result<Self, String> {
        let scalar = Scalar::parse(written)?;
        let mut fields = Vec::new();
        for name in scalar.columns() {
            let Some((_, field)) = schema.fields().find(name) else {
                let have: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
                return Err(format!(
                    "`{written}` names no column `{name}` of source `{}` (columns are: {})",
                    source.name,
                    have.join(", ")
                ));
            };
            fields.push(Arc::clone(field));
        }
        let empty = RecordBatch::new_empty(Arc::new(Schema::new(fields)));
        let field = Field::new("derived", DataType::Null, true);
        let mut derivation = Self { scalar, source: Arc::clone(source), kind: Kind::Null, field };
        derivation.kind = Rows { of: &derivation, batch: &empty }.kind(derivation.scalar.tree())?;
        let (values, _) = derivation.evaluate(&empty)?;
        derivation.field = match (derivation.kind, derivation.scalar.tree()) {
            (Kind::Number, _) => notation::field("derived", DataType::LargeUtf8, Notation::Number),
            (Kind::Column, Tree::Column(name)) => {
                empty.schema().field_with_name(name).cloned().unwrap_or(derivation.field)
            }
            _ => Field::new("derived", values.data_type().clone(), true),
        };
        Ok(derivation)
    }

    /// The field of its values.
    pub(super) fn field(&self) -> &Field {
        &self.field
    }

    /// The columns that it names.
    pub(super) fn columns(&self) -> &[String] {
        self.scalar.columns()
    }

    /// The values for a batch that has its columns, with the code of each that is a fault.
    ///
    /// # Errors
    /// What polars says.
    pub(super) fn evaluate(&self, batch: &RecordBatch) -> Result<(ArrayRef, Vec<u8>), String> {
        let rows = Rows { of: self, batch };
        let tree = self.scalar.tree();
        Ok(match self.kind {
            Kind::Number => {
                let (values, codes) = parted(rows.numbers(tree)?);
                let texts: LargeStringArray = values.into_iter().map(|value| value.map(|exact| exact.text())).collect();
                (Arc::new(texts), codes)
            }
            Kind::Text => {
                let (values, codes) = parted(rows.texts(tree)?);
                (Arc::new(values.into_iter().collect::<LargeStringArray>()), codes)
            }
            Kind::Boolean => {
                let (values, codes) = parted(rows.booleans(tree)?);
                (Arc::new(values.into_iter().collect::<BooleanArray>()), codes)
            }
            Kind::Column => (rows.column(tree)?, vec![0; batch.num_rows()]),
            Kind::Null => (arrow::array::new_null_array(&DataType::Null, batch.num_rows()), vec![0; batch.num_rows()]),
        })
    }
}

fn parted<T>(cells: Vec<Cell<T>>) -> (Vec<Option<T>>, Vec<u8>) {
    let codes = cells.iter().map(|cell| cell.as_ref().err().map_or(0, |reason| reason.code())).collect();
    (cells.into_iter().map(|cell| cell.ok().flatten()).collect(), codes)
}

/// An expression over the rows of a batch.
struct Rows<'a> {
    of: &'a Derivation,
    batch: &'a RecordBatch,
}

impl Rows<'_> {
    fn kind(&self, tree: &Tree) -> Result<Kind, String> {
        Ok(match tree {
            Tree::Number(_) | Tree::Arithmetic(..) | Tree::Absolute(_) | Tree::Rounded(..) | Tree::ToNumber(..) => {
                Kind::Number
            }
            Tree::Text(_) => Kind::Text,
            Tree::Null => Kind::Null,
            Tree::Compare(..) | Tree::And(..) | Tree::Or(..) | Tree::Not(_) | Tree::IsNull(_) => Kind::Boolean,
            Tree::Column(_) | Tree::Opaque(_) => Kind::Column,
            Tree::Case(_, one, other) => self.common([&**one, &**other].into_iter())?,
            Tree::Coalesce(several) => self.common(several.iter())?,
        })
    }

    /// What several branches have in common.
    fn common<'t>(&self, branches: impl Iterator<Item = &'t Tree>) -> Result<Kind, String> {
        let mut common = Kind::Null;
        for branch in branches {
            let kind = match self.kind(branch)? {
                Kind::Column => {
                    let column = self.column(branch)?;
                    match column.data_type() {
                        data_type if data_type.is_string() => Kind::Text,
                        data_type if data_type.is_numeric() => Kind::Number,
                        DataType::Boolean => Kind::Boolean,
                        DataType::Null => Kind::Null,
                        other => return Err(self.refused(&format!("chooses between values of type {other}"))),
                    }
                }
                kind => kind,
            };
            common = match (common, kind) {
                (Kind::Null, kind) | (kind, Kind::Null) => kind,
                (one, other) if one == other => one,
                // A column of texts beside a number holds numbers.
                (Kind::Number, Kind::Text) | (Kind::Text, Kind::Number) => Kind::Number,
                _ => return Err(self.refused("chooses between values of different types")),
            };
        }
        Ok(common)
    }

    fn refused(&self, what: &str) -> String {
        format!("`{}` {what}, which is not served here", self.of.scalar.written())
    }

    fn count(&self) -> usize {
        self.batch.num_rows()
    }

    fn column(&self, tree: &Tree) -> Result<ArrayRef, String> {
        match tree {
            Tree::Column(name) => {
                let column = self.batch.column_by_name(name);
                column.cloned().ok_or_else(|| self.refused(&format!("names no column `{name}`")))
            }
            Tree::Opaque(opaque) => opaque.evaluate(self.batch),
            _ => Err(self.refused("takes what it computes for a column")),
        }
    }

    fn column_of_numbers(&self, tree: &Tree) -> Result<Vec<Cell<Exact>>, String> {
        let column = self.column(tree)?;
        let field = match tree {
            Tree::Column(name) => self.batch.schema().field_with_name(name).cloned().ok(),
            _ => None,
        };
        let field = field.unwrap_or_else(|| Field::new("", column.data_type().clone(), true));
        let Some(numbers) = numbers(&self.of.source, &field, &column) else {
            let name =
                if let Tree::Column(name) = tree { format!("column `{name}`") } else { "a part of it".to_owned() };
            return Err(format!(
                "`{}` computes with numbers, and {name} is {}",
                self.of.scalar.written(),
                column.data_type()
            ));
        };
        let exact = |number: Number| number.parts().map(|(coefficient, exponent)| Exact { coefficient, exponent });
        let cell = |cell: Cell<Number>| match cell? {
            Some(number) => exact(number).map(Some).ok_or(FaultReason::NotDerivable),
            None => Ok(None),
        };
        Ok(numbers.into_iter().map(cell).collect())
    }

    fn numbers(&self, tree: &Tree) -> Result<Vec<Cell<Exact>>, String> {
        let constant = |text: &str| {
            let parts = Number::parse(text, '.').and_then(|number| number.parts());
            let cell = parts.map(|(coefficient, exponent)| Some(Exact { coefficient, exponent }));
            vec![cell.ok_or(FaultReason::Unparseable); self.count()]
        };
        Ok(match tree {
            Tree::Column(_) | Tree::Opaque(_) => self.column_of_numbers(tree)?,
            Tree::Number(text) | Tree::Text(text) => constant(text),
            Tree::Null => vec![Ok(None); self.count()],
            Tree::Arithmetic(Arithmetic::Divide, ..) => return Err(self.refused("divides outside of `round`")),
            Tree::Arithmetic(operation, one, other) => {
                let cells = self.numbers(one)?.into_iter().zip(self.numbers(other)?);
                cells.map(|(one, other)| both(one, other, |one, other| Ok(one.with(*operation, &other)))).collect()
            }
            Tree::Rounded(inner, places) => {
                if let Tree::Arithmetic(Arithmetic::Divide, one, other) = &**inner {
                    let cells = self.numbers(one)?.into_iter().zip(self.numbers(other)?);
                    cells.map(|(one, other)| both(one, other, |one, other| one.divided(&other, *places))).collect()
                } else {
                    let cells = self.numbers(inner)?.into_iter();
                    cells.map(|cell| Ok(cell?.map(|exact| exact.rounded(*places)))).collect()
                }
            }
            Tree::Absolute(inner) => {
                let absolute = |mut exact: Exact| {
                    exact.coefficient = BigInt::from_biguint(Sign::Plus, exact.coefficient.into_parts().1);
                    exact
                };
                self.numbers(inner)?.into_iter().map(|cell| Ok(cell?.map(absolute))).collect()
            }
            Tree::ToNumber(inner, places) => {
                let fits =
                    |exact: &Exact| places.is_none_or(|places| exact.order(&exact.clone().rounded(places)).is_eq());
                let cell = |cell: Cell<Exact>| match cell? {
                    Some(exact) if !fits(&exact) => Err(FaultReason::OutOfType),
                    cell => Ok(cell),
                };
                self.numbers(inner)?.into_iter().map(cell).collect()
            }
            Tree::Case(when, one, other) => self.case(when, self.numbers(one)?, self.numbers(other)?)?,
            Tree::Coalesce(several) => first(several.iter().map(|one| self.numbers(one)).collect::<Result<_, _>>()?),
            Tree::Compare(..) | Tree::And(..) | Tree::Or(..) | Tree::Not(_) | Tree::IsNull(_) => {
                return Err(self.refused("computes with true and false"));
            }
        })
    }

    fn texts(&self, tree: &Tree) -> Result<Vec<Cell<String>>, String> {
        Ok(match tree {
            Tree::Text(text) => vec![Ok(Some(text.clone())); self.count()],
            Tree::Null => vec![Ok(None); self.count()],
            Tree::Column(_) | Tree::Opaque(_) => {
                let column = self.column(tree)?;
                let texts = arrow::compute::cast(&column, &DataType::LargeUtf8).map_err(|error| error.to_string())?;
                texts.as_string::<i64>().iter().map(|text| Ok(text.map(ToOwned::to_owned))).collect()
            }
            Tree::Case(when, one, other) => self.case(when, self.texts(one)?, self.texts(other)?)?,
            Tree::Coalesce(several) => first(several.iter().map(|one| self.texts(one)).collect::<Result<_, _>>()?),
            _ => return Err(self.refused("takes numbers for texts")),
        })
    }

    fn booleans(&self, tree: &Tree) -> Result<Vec<Cell<bool>>, String> {
        Ok(match tree {
            Tree::Null => vec![Ok(None); self.count()],
            Tree::Compare(comparison, one, other) => {
                let cells = self.numbers(one)?.into_iter().zip(self.numbers(other)?);
                cells
                    .map(|(one, other)| both(one, other, |one, other| Ok(holds(*comparison, one.order(&other)))))
                    .collect()
            }
            Tree::And(one, other) => self.logic(one, other, false)?,
            Tree::Or(one, other) => self.logic(one, other, true)?,
            Tree::Not(inner) => self.booleans(inner)?.into_iter().map(|cell| Ok(cell?.map(|truth| !truth))).collect(),
            Tree::IsNull(inner) => self.numbers(inner)?.into_iter().map(|cell| Ok(Some(cell?.is_none()))).collect(),
            Tree::Column(_) | Tree::Opaque(_) => {
                let column = self.column(tree)?;
                let truths = column.as_boolean_opt().ok_or_else(|| {
                    self.refused(&format!("takes values of type {} for true or false", column.data_type()))
                })?;
                truths.iter().map(Ok).collect()
            }
            Tree::Case(when, one, other) => self.case(when, self.booleans(one)?, self.booleans(other)?)?,
            Tree::Coalesce(several) => first(several.iter().map(|one| self.booleans(one)).collect::<Result<_, _>>()?),
            _ => return Err(self.refused("takes numbers or texts for true or false")),
        })
    }

    /// `and` and `or`: what decides is decisive, whatever the other is.
    fn logic(&self, one: &Tree, other: &Tree, decisive: bool) -> Result<Vec<Cell<bool>>, String> {
        let cells = self.booleans(one)?.into_iter().zip(self.booleans(other)?);
        let cell = |(one, other): (Cell<bool>, Cell<bool>)| match (one?, other?) {
            (Some(truth), _) | (_, Some(truth)) if truth == decisive => Ok(Some(decisive)),
            (_, Some(truth)) if truth == decisive => Ok(Some(decisive)),
            (Some(_), Some(_)) => Ok(Some(!decisive)),
            _ => Ok(None),
        };
        Ok(cells.map(cell).collect())
    }

    /// Where the condition holds the one, elsewhere the other; a fault in what is not chosen is none.
    fn case<T>(&self, when: &Tree, one: Vec<Cell<T>>, other: Vec<Cell<T>>) -> Result<Vec<Cell<T>>, String> {
        let choices = self.booleans(when)?.into_iter().zip(one.into_iter().zip(other));
        Ok(choices.map(|(when, (one, other))| if when? == Some(true) { one } else { other }).collect())
    }
}

fn both<A, B>(one: Cell<A>, other: Cell<A>, with: impl FnOnce(A, A) -> Result<B, FaultReason>) -> Cell<B> {
    match (one?, other?) {
        (Some(one), Some(other)) => with(one, other).map(Some),
        _ => Ok(None),
    }
}

/// The first of each row that is not NULL.
fn first<T>(several: Vec<Vec<Cell<T>>>) -> Vec<Cell<T>> {
    let mut several = several.into_iter();
    let Some(mut found) = several.next() else { return Vec::new() };
    for next in several {
        for (cell, next) in found.iter_mut().zip(next) {
            if matches!(cell, Ok(None)) {
                *cell = next;
            }
        }
    }
    found
}

fn holds(comparison: Comparison, order: Ordering) -> bool {
    match comparison {
        Comparison::Equal => order.is_eq(),
        Comparison::Unequal => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    }
}

/// `coefficient × 10^exponent`, exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Exact {
    coefficient: BigInt,
    exponent: i32,
}

impl Exact {
    /// The coefficient over a lower exponent.
    fn over(&self, exponent: i32) -> BigInt {
        &self.coefficient * power(self.exponent.abs_diff(exponent))
    }

    fn with(&self, operation: Arithmetic, other: &Self) -> Self {
        let exponent = self.exponent.min(other.exponent);
        match operation {
            Arithmetic::Add => Self { coefficient: self.over(exponent) + other.over(exponent), exponent },
            Arithmetic::Subtract => Self { coefficient: self.over(exponent) - other.over(exponent), exponent },
            Arithmetic::Multiply | Arithmetic::Divide => {
                Self { coefficient: &self.coefficient * &other.coefficient, exponent: self.exponent + other.exponent }
            }
        }
    }

    fn order(&self, other: &Self) -> Ordering {
        let exponent = self.exponent.min(other.exponent);
        self.over(exponent).cmp(&other.over(exponent))
    }

    /// Half away from zero.
    fn rounded(self, places: u32) -> Self {
        let exponent = -i32::try_from(places).unwrap_or(i32::MAX);
        if self.exponent >= exponent {
            return self;
        }
        let divisor = power(self.exponent.abs_diff(exponent));
        Self { coefficient: quotient(&self.coefficient, &divisor), exponent }
    }

    /// The quotient to so many places, half away from zero.
    fn divided(&self, other: &Self, places: u32) -> Result<Self, FaultReason> {
        if other.coefficient.sign() == Sign::NoSign {
            return Err(FaultReason::NotDerivable);
        }
        let exponent = -i32::try_from(places).unwrap_or(i32::MAX);
        // one × 10^a / (other × 10^b), over 10^-places.
        let shift = i64::from(self.exponent) - i64::from(other.exponent) - i64::from(exponent);
        let size = power(u32::try_from(shift.unsigned_abs()).unwrap_or(u32::MAX));
        let coefficient = if shift >= 0 {
            quotient(&(&self.coefficient * size), &other.coefficient)
        } else {
            quotient(&self.coefficient, &(&other.coefficient * size))
        };
        Ok(Self { coefficient, exponent })
    }

    fn text(&self) -> String {
        let digits = self.coefficient.magnitude().to_string();
        let sign = if self.coefficient.sign() == Sign::Minus { "-" } else { "" };
        let places = self.exponent.unsigned_abs() as usize;
        match self.exponent {
            0 => format!("{sign}{digits}"),
            1..=30 => format!("{sign}{digits}{}", "0".repeat(if digits == "0" { 0 } else { places })),
            -60..=-1 => {
                let padded = format!("{digits:0>width$}", width = places + 1);
                let (whole, fraction) = padded.split_at(padded.len() - places);
                let fraction = fraction.trim_end_matches('0');
                if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
            }
            exponent => format!("{sign}{digits}e{exponent}"),
        }
    }
}

fn power(of_ten: u32) -> BigInt {
    BigInt::from(10).pow(of_ten)
}

/// Half away from zero.
fn quotient(dividend: &BigInt, divisor: &BigInt) -> BigInt {
    let negative = (dividend.sign() == Sign::Minus) != (divisor.sign() == Sign::Minus);
    let (dividend, divisor) = (dividend.magnitude(), divisor.magnitude());
    let whole = (dividend * 2_u8 + divisor) / (divisor * 2_u8);
    BigInt::from_biguint(if negative { Sign::Minus } else { Sign::Plus }, whole)
}

#[cfg(test)]
mod tests;
