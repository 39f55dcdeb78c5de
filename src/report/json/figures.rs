//! Control totals, invariants and the value at risk on the wire: members of `summary.json` that are there only where the
//! contract asks for them, and the same in the manifest. Sums are exact numbers as text.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::SidesRecord;
use crate::audit::{
    Figure, Figures, GroupFigures, InvariantFigures, KindAtRisk, OwnMismatches, SumFigure, TotalFigures, ValueAtRisk,
};
use crate::contract::{Kind, Severity};
use crate::sides::Side;

/// All of it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct FiguresRecord {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    totals: Vec<TotalRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    invariants: Vec<InvariantRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value_at_risk: Option<ValueAtRiskRecord>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct TotalRecord {
    name: String,
    by: Vec<String>,
    sum: Vec<String>,
    severity: Option<String>,
    not_computed: Option<String>,
    groups: u64,
    unbalanced: u64,
    whole: SidesRecord<FigureRecord>,
    worst: Vec<GroupRecord>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct GroupRecord {
    /// JSON object text.
    group: String,
    authority: FigureRecord,
    projection: FigureRecord,
    differences: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct FigureRecord {
    rows: u64,
    sums: Vec<SumRecord>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct SumRecord {
    sum: String,
    nulls: u64,
    unsummed: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct InvariantRecord {
    name: String,
    side: String,
    severity: String,
    rows: u64,
    /// Keys as JSON object texts.
    examples: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct ValueAtRiskRecord {
    attribute: String,
    not_computed: Option<String>,
    sum: String,
    kinds: BTreeMap<String, KindRecord>,
    own: Option<OwnRecord>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct KindRecord {
    keys: u64,
    unvalued: u64,
    sum: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct OwnRecord {
    keys: u64,
    unvalued: u64,
    net: String,
    gross: String,
}

impl FiguresRecord {
    pub(crate) fn of(figures: &Figures) -> Self {
        Self {
            totals: figures.totals.iter().map(TotalRecord::of).collect(),
            invariants: figures.invariants.iter().map(InvariantRecord::of).collect(),
            value_at_risk: figures.value_at_risk.as_ref().map(ValueAtRiskRecord::of),
        }
    }

    /// The figures again; the problem is a sentence part.
    pub(crate) fn into_figures(
        self,
        kind: impl Fn(&str) -> Result<Kind, String>,
        severity: impl Fn(&str) -> Result<Severity, String>,
    ) -> Result<Figures, String> {
        let invariants = self.invariants.into_iter().map(|invariant| invariant.into_figures(&severity));
        Ok(Figures {
            totals: self.totals.into_iter().map(|total| total.into_figures(&severity)).collect::<Result<_, _>>()?,
            invariants: invariants.collect::<Result<_, _>>()?,
            value_at_risk: self.value_at_risk.map(|worth| worth.into_figures(kind)).transpose()?,
        })
    }

    pub(crate) fn is_none(&self) -> bool {
        self.totals.is_empty() && self.invariants.is_empty() && self.value_at_risk.is_none()
    }
}

impl TotalRecord {
    fn of(total: &TotalFigures) -> Self {
        Self {
            name: total.name.clone(),
            by: total.by.clone(),
            sum: total.sum.clone(),
            severity: total.severity.map(|severity| severity.name().to_owned()),
            not_computed: total.not_computed.clone(),
            groups: total.groups,
            unbalanced: total.unbalanced,
            whole: SidesRecord::of(&total.whole, FigureRecord::of),
            worst: total.worst.iter().map(GroupRecord::of).collect(),
        }
    }

    fn into_figures(self, severity: impl Fn(&str) -> Result<Severity, String>) -> Result<TotalFigures, String> {
        Ok(TotalFigures {
            severity: self.severity.as_deref().map(severity).transpose()?,
            whole: self.whole.into_sides().map(|_, figure| figure.into_figure()),
            worst: self.worst.into_iter().map(GroupRecord::into_figures).collect(),
            name: self.name,
            by: self.by,
            sum: self.sum,
            not_computed: self.not_computed,
            groups: self.groups,
            unbalanced: self.unbalanced,
        })
    }
}

impl GroupRecord {
    fn of(group: &GroupFigures) -> Self {
        Self {
            group: group.group.clone(),
            authority: FigureRecord::of(&group.sides.authority),
            projection: FigureRecord::of(&group.sides.projection),
            differences: group.differences.clone(),
        }
    }

    fn into_figures(self) -> GroupFigures {
        let (authority, projection) = (self.authority.into_figure(), self.projection.into_figure());
        GroupFigures {
            group: self.group,
            sides: crate::sides::Sides { authority, projection },
            differences: self.differences,
        }
    }
}

impl FigureRecord {
    fn of(figure: &Figure) -> Self {
        let sum = |sum: &SumFigure| SumRecord { sum: sum.sum.clone(), nulls: sum.nulls, unsummed: sum.unsummed };
        Self { rows: figure.rows, sums: figure.sums.iter().map(sum).collect() }
    }

    fn into_figure(self) -> Figure {
        let sum = |sum: SumRecord| SumFigure { sum: sum.sum, nulls: sum.nulls, unsummed: sum.unsummed };
        Figure { rows: self.rows, sums: self.sums.into_iter().map(sum).collect() }
    }
}

impl InvariantRecord {
    fn of(invariant: &InvariantFigures) -> Self {
        Self {
            name: invariant.name.clone(),
            side: invariant.side.name().to_owned(),
            severity: invariant.severity.name().to_owned(),
            rows: invariant.rows,
            examples: invariant.examples.clone(),
        }
    }

    fn into_figures(self, severity: impl Fn(&str) -> Result<Severity, String>) -> Result<InvariantFigures, String> {
        let side = Side::BOTH.into_iter().find(|side| side.name() == self.side);
        Ok(InvariantFigures {
            side: side.ok_or_else(|| format!("`{}` is not a side", self.side))?,
            severity: severity(&self.severity)?,
            name: self.name,
            rows: self.rows,
            examples: self.examples,
        })
    }
}

impl ValueAtRiskRecord {
    fn of(worth: &ValueAtRisk) -> Self {
        let kind = |(kind, found): (&Kind, &KindAtRisk)| {
            let record = KindRecord { keys: found.keys, unvalued: found.unvalued, sum: found.sum.clone() };
            (kind.name().to_owned(), record)
        };
        let own = |own: &OwnMismatches| OwnRecord {
            keys: own.keys,
            unvalued: own.unvalued,
            net: own.net.clone(),
            gross: own.gross.clone(),
        };
        Self {
            attribute: worth.attribute.clone(),
            not_computed: worth.not_computed.clone(),
            sum: worth.sum.clone(),
            kinds: worth.kinds.iter().map(kind).collect(),
            own: worth.own.as_ref().map(own),
        }
    }

    fn into_figures(self, kind: impl Fn(&str) -> Result<Kind, String>) -> Result<ValueAtRisk, String> {
        let of_kind = |(name, found): (String, KindRecord)| {
            Ok((kind(&name)?, KindAtRisk { keys: found.keys, unvalued: found.unvalued, sum: found.sum }))
        };
        let own =
            |own: OwnRecord| OwnMismatches { keys: own.keys, unvalued: own.unvalued, net: own.net, gross: own.gross };
        Ok(ValueAtRisk {
            attribute: self.attribute,
            not_computed: self.not_computed,
            sum: self.sum,
            kinds: self.kinds.into_iter().map(of_kind).collect::<Result<_, String>>()?,
            own: self.own.map(own),
        })
    }
}
