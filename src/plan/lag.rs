//! The repair of what markers and tombstones tell: a copy that is behind is updated as any other; one that is ahead, or
//! alive where its owner deleted it, is a person's; what is on its way is left alone.

use serde_json::json;

use super::{Action, Complete, Consent, Op, Safety};
use crate::classify::Bench;
use crate::contract::{Kind, Repair};
use crate::diff::resolve::{Difference, RowAt};
use crate::sides::{Side, Sides};

/// The actions of a difference whose kind asks for others than its shape would; None where it does not.
pub(super) fn draft(bench: Bench<'_>, difference: &Difference, complete: Complete) -> Option<Vec<Action>> {
    match (bench.kind_of(difference), difference) {
        (Kind::InFlight, _) => Some(Vec::new()),
        (Kind::Ahead, Difference::Differ { rows, attributes }) => Some(bench.ahead(*rows, attributes)),
        (kind @ Kind::Stale, Difference::Unpaired { row, fault, .. }) => {
            Some(bench.insert(kind, *row, fault.is_some(), complete))
        }
        (kind @ Kind::Stale, Difference::Differ { rows, attributes }) => Some(bench.update(kind, *rows, attributes)),
        (_, Difference::Tombstone { rows, side: Side::Authority }) => Some(bench.bury(rows.projection)),
        (kind, Difference::Tombstone { rows, side: Side::Projection }) => {
            let why = "the projection holds a tombstone of the key, which an insert would contradict";
            Some(bench.by_hand(kind, Side::Authority, rows.authority, why))
        }
        _ => None,
    }
}

impl Bench<'_> {
    /// A newer row is never overwritten, so that there is nothing to do but to look.
    fn ahead(self, rows: Sides<RowAt>, attributes: &[usize]) -> Vec<Action> {
        if self.contract.repair.kinds.get(&Kind::Ahead) == Some(&Repair::Ignore) {
            return Vec::new();
        }
        let reason = "the projection's version is later than the authority's, which an update would lose".to_owned();
        let consent = Consent { op: Some(Op::Review), safety: Safety::Review, reason };
        let before = self.object(attributes.iter().copied(), |index| self.seen(rows.projection, index));
        let key = self.key(Side::Authority, rows.authority);
        vec![self.action(Kind::Ahead, Op::Review, key, (Some(before), None, None), consent)]
    }

    /// The delete that the authority's tombstone asks for; after a look at best.
    fn bury(self, row: RowAt) -> Vec<Action> {
        let kind = Kind::Resurrected;
        let Some(consent) = self.consent(kind, None) else { return Vec::new() };
        let before = self.object(0..self.binding.attributes.len(), |index| self.seen(row, index));
        let guard = json!({ "row": "present", "values": before });
        let op = consent.op.unwrap_or(Op::Delete);
        vec![self.action(kind, op, self.key(Side::Projection, row), (Some(before), None, Some(guard)), consent)]
    }
}
