//! Joins the records of one partition by sorting both sides: the plain way, for all that the index does not serve.

use super::{Position, Record};
use crate::sides::Sides;

/// How a partition is joined.
#[derive(Clone, Copy, Debug)]
pub struct JoinRules {
    /// Without a key, equal rows pair as often as both sides have them.
    pub multiset: bool,
    /// `--where` is given: a key is out of scope where none of its rows satisfies it.
    pub scoped: bool,
}

/// What the tags of one partition say.
#[derive(Debug, Default)]
pub struct Joined {
    /// Rows that agree, on either side.
    pub agree: u64,
    /// Rows of keys that are out of scope.
    pub out_of_scope: Sides<u64>,
    /// Rows that must be looked at again.
    pub candidates: Sides<Vec<Position>>,
}

/// Joins the records of one partition.
#[must_use]
pub fn join(mut records: Sides<Vec<Record>>, rules: JoinRules) -> Joined {
    for side in [&mut records.authority, &mut records.projection] {
        side.sort_unstable();
    }
    let mut joined = Joined::default();
    let (mut authority, mut projection) = (records.authority.as_slice(), records.projection.as_slice());
    loop {
        let next = match (authority.first(), projection.first()) {
            (Some(one), Some(other)) => one.key().min(other.key()),
            (Some(only), None) | (None, Some(only)) => only.key(),
            (None, None) => return joined,
        };
        let group = Sides { authority: split(&mut authority, next), projection: split(&mut projection, next) };
        join_group(group, rules, &mut joined);
    }
}

/// Splits the records of one key tag off the front.
fn split<'a>(records: &mut &'a [Record], key: u64) -> &'a [Record] {
    let count = records.iter().take_while(|record| record.key() == key).count();
    let (group, rest) = records.split_at(count);
    *records = rest;
    group
}

fn join_group(group: Sides<&[Record]>, rules: JoinRules, joined: &mut Joined) {
    let Sides { authority, projection } = group;
    let mut all = authority.iter().chain(projection);
    if rules.scoped && !all.clone().any(|record| record.position().in_scope()) {
        joined.out_of_scope.authority += authority.len() as u64;
        joined.out_of_scope.projection += projection.len() as u64;
        return;
    }
    let agree = authority.len() == projection.len()
        && (authority.len() == 1 || rules.multiset)
        // Where the predicate holds for one of two equal rows only, the sums of the rows in scope would differ.
        && all.all(|record| record.same_row(authority[0]) && record.position().in_scope());
    if agree {
        joined.agree += authority.len() as u64;
        return;
    }
    joined.candidates.authority.extend(authority.iter().map(|record| record.position()));
    joined.candidates.projection.extend(projection.iter().map(|record| record.position()));
}
