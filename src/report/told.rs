//! What stands in the places of a divergence's values, which is not of every kind a value: a count of rows, a side, or a
//! place with its problem. Everything in it is safe to show.

use super::escape::{count, counted, quoted, quoted_pair, visible};
use crate::audit::{ContractAudit, InputFacts, TakenOver};
use crate::classify::Divergence;
use crate::contract::Kind;
use crate::sides::{Side, Sides};

/// What was not read because it is unchanged, and what trust that leaves.
pub(super) fn taken_over(contract: &ContractAudit) -> Option<String> {
    let of_side = |(side, input): (Side, &InputFacts)| {
        let TakenOver { files, rows, digests } = input.taken_over;
        let digested =
            if digests == 0 { String::new() } else { format!(", {} not digested again", counted(digests, "file")) };
        let all = counted(input.files.len() as u64, "file");
        format!("{side} {} in {} of {all}{digested}", counted(rows, "row"), count(files))
    };
    let sides: Vec<String> = contract.inputs.iter().filter(|(_, input)| input.taken_over.any()).map(of_side).collect();
    (!sides.is_empty()).then(|| format!("{}: taken over from an earlier run; {}", sides.join("; "), TakenOver::TRUST))
}

/// It, as a person is told.
pub(super) enum Told {
    /// Nothing: the kind and the key say all.
    Nothing,
    /// Two values or types, each quoted or `null`.
    Pair { authority: String, projection: String },
    /// `1 row` and `2 rows`, where there is a row at all.
    Rows(Sides<Option<String>>),
    /// What could not be read on this side: place and problem, whole.
    Problem(Side, String),
}

impl Told {
    pub(super) fn of(divergence: &Divergence) -> Self {
        let values = divergence.values.as_ref().map(|_, value| value.as_deref());
        let side = Side::BOTH.into_iter().find(|side| values.get(*side).is_some());
        match (divergence.kind, side) {
            (Kind::Unreadable, Some(side)) => {
                Self::Problem(side, visible(values.get(side).as_deref().unwrap_or_default()))
            }
            (Kind::DuplicateKey | Kind::NullKey, Some(_)) => Self::Rows(values.map(|_, value| value.map(rows))),
            (_, None) if divergence.attribute.is_none() => Self::Nothing,
            _ => {
                let (authority, projection) = quoted_pair(values.authority, values.projection);
                Self::Pair { authority, projection }
            }
        }
    }

    /// What a table shows in the columns of the sides.
    pub(super) fn by_side(self) -> Sides<String> {
        match self {
            Self::Nothing => Sides::default(),
            Self::Pair { authority, projection } => Sides { authority, projection },
            Self::Rows(rows) => rows.map(|_, rows| rows.unwrap_or_default()),
            Self::Problem(side, problem) => {
                let mut cells = Sides::<String>::default();
                *cells.get_mut(side) = problem;
                cells
            }
        }
    }
}

/// `1 row at the authority, 2 in the projection`; a side of which nothing is said is left out.
pub(super) fn rows_sentence(rows: &Sides<Option<String>>) -> String {
    match (&rows.authority, &rows.projection) {
        (Some(authority), Some(projection)) => {
            let number = projection.split(' ').next().unwrap_or(projection);
            format!("{authority} at the authority, {number} in the projection")
        }
        (Some(authority), None) => format!("{authority} at the authority"),
        (None, Some(projection)) => format!("{projection} in the projection"),
        (None, None) => String::new(),
    }
}

fn rows(count: &str) -> String {
    count.parse().map_or_else(|_| quoted(Some(count)), |count| counted(count, "row"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_on_the_sides_that_have_a_count() {
        let sentence = |authority: Option<&str>, projection: Option<&str>| {
            rows_sentence(&Sides { authority: authority.map(rows), projection: projection.map(rows) })
        };
        assert_eq!(sentence(Some("1"), Some("2")), "1 row at the authority, 2 in the projection");
        assert_eq!(sentence(Some("0"), Some("1200")), "0 rows at the authority, 1,200 in the projection");
        assert_eq!(sentence(Some("1"), None), "1 row at the authority");
        assert_eq!(sentence(None, Some("1")), "1 row in the projection");
    }
}
