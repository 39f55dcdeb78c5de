//! What `--where` left out, in the sentence of a verdict: "every row agrees" is only said of all rows. It changes no verdict.

use super::verdict::counted;
use crate::audit::{Books, Verdict};
use crate::contract::Contract;
use crate::sides::Sides;

/// A verdict's sentence with the rows that were out of scope, where a predicate narrowed the run and nothing drifted. What drifted
/// did so whatever was left out.
pub(super) fn told(
    contract: &Contract,
    books: &Sides<Books>,
    (verdict, because): (Verdict, String),
) -> (Verdict, String) {
    let nothing = books.iter().all(|(_, books)| books.read == 0);
    if contract.row_filter.is_none() || verdict != Verdict::Agreed || nothing {
        return (verdict, because);
    }
    let left_out = left_out(books);
    let because = match because.as_str() {
        EVERY_ROW => format!("every row that satisfies `--where` agrees ({left_out})"),
        other => format!("{other} ({left_out} of `--where`)"),
    };
    (verdict, because)
}

/// The sentence of a contract without a divergence.
pub(super) const EVERY_ROW: &str = "every row agrees";

fn left_out(books: &Sides<Books>) -> String {
    let Sides { authority, projection } = books.as_ref().map(|_, books| books.out_of_scope);
    match (authority, projection) {
        (0, 0) => "no row is out of scope".to_owned(),
        (both, other) if both == other => format!("{} of each side out of scope", counted(both, "row")),
        (authority, projection) => {
            format!("{} of the authority and {projection} of the projection out of scope", counted(authority, "row"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_that_were_left_out_are_counted_by_side() {
        let books = |authority, projection| {
            let of = |out_of_scope| Books { out_of_scope, ..Books::default() };
            Sides { authority: of(authority), projection: of(projection) }
        };
        assert_eq!(left_out(&books(0, 0)), "no row is out of scope");
        assert_eq!(left_out(&books(1, 1)), "1 row of each side out of scope");
        assert_eq!(left_out(&books(3, 1)), "3 rows of the authority and 1 of the projection out of scope");
    }
}
