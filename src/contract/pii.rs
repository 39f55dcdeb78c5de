//! What a contract says of personal data, and the key that digests of it are made with. How it is masked is `run`'s business.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::{Attribute, Contract, Crosswalk, Pii, Source};
use crate::sides::{Side, Sides};
use crate::sql::Scalar;

/// A key for digests of personal data. It is derived from what the user wrote and shows nothing of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PiiKey([u8; 32]);

impl PiiKey {
    /// The least that is taken for a secret.
    pub const LEAST_CHARACTERS: usize = 16;

    /// Derived from a text.
    #[must_use]
    pub fn of(secret: &str) -> Self {
        Self(blake3::derive_key("reconcile 2026 key of digests of personal data", secret.as_bytes()))
    }

    /// The key.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Nothing of it.
impl fmt::Debug for PiiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PiiKey")
    }
}

impl Contract {
    /// Whether any attribute holds personal data.
    #[must_use]
    pub fn has_pii(&self) -> bool {
        self.attributes.iter().any(|attribute| attribute.pii.is_some())
    }

    /// The attributes that hold personal data.
    pub fn personal(&self) -> impl Iterator<Item = (&Attribute, Pii)> {
        self.attributes.iter().filter_map(|attribute| Some((attribute, attribute.pii?)))
    }

    /// The columns of any source that personal attributes are read from, derived of or found by, by their names.
    #[must_use]
    pub fn personal_columns(&self) -> BTreeSet<String> {
        let sites = Sites { sources: &self.sources, key: &self.key, crosswalk: self.crosswalk.as_ref() };
        let columns = self.personal().flat_map(|(one, _)| sites.columns_of(one, &self.attributes));
        let mut names: BTreeSet<String> = columns.filter_map(|column| column.path.into_iter().next()).collect();
        // Other names under which an owner's rows are found: those of the attributes themselves.
        names.extend(self.personal().map(|(one, _)| one.name.clone()));
        names
    }

    /// The contract in which those of these attributes that it does not declare, and that read a personal column, are declared
    /// as personal; None where there are none.
    #[must_use]
    pub fn with_personal<'a>(&self, compared: impl Iterator<Item = &'a str>) -> Option<Self> {
        let sites = Sites { sources: &self.sources, key: &self.key, crosswalk: self.crosswalk.as_ref() };
        let personal: Vec<_> =
            self.personal().map(|(one, way)| (sites.columns_of(one, &self.attributes), way)).collect();
        let plain = |name: &str| {
            let plain = Attribute::plain(name, self.attribute_defaults.clone());
            let way = shared(&sites.columns_of(&plain, &self.attributes), &personal)?;
            Some(Attribute { pii: Some(way), ..plain })
        };
        let undeclared = compared.filter(|name| self.attributes.iter().all(|attribute| attribute.name != *name));
        let found: Vec<Attribute> = undeclared.filter_map(plain).collect();
        (!found.is_empty()).then(|| {
            let mut contract = self.clone();
            contract.attributes.extend(found);
            contract
        })
    }
}

/// Makes personal what reads a column of a personal attribute, the whole of it or a part, or is derived from one.
pub(super) fn spread(
    attributes: &mut [Attribute],
    sources: &Sides<Arc<Source>>,
    key: &[String],
    crosswalk: Option<&Crosswalk>,
) {
    let sites = Sites { sources, key, crosswalk };
    let columns: Vec<Vec<Column>> = attributes.iter().map(|one| sites.columns_of(one, attributes)).collect();
    let personal: Vec<(Vec<Column>, Pii)> =
        attributes.iter().zip(&columns).filter_map(|(one, columns)| Some((columns.clone(), one.pii?))).collect();
    for (attribute, columns) in attributes.iter_mut().zip(&columns) {
        attribute.pii = attribute.pii.or_else(|| shared(columns, &personal));
    }
}

/// How the first personal attribute is written that has a column in common with these.
fn shared(columns: &[Column], personal: &[(Vec<Column>, Pii)]) -> Option<Pii> {
    let meets =
        |(others, _): &&(Vec<Column>, Pii)| others.iter().any(|other| columns.iter().any(|one| one.meets(other)));
    personal.iter().find(meets).map(|(_, way)| *way)
}

/// A column of a source, or a member of one.
#[derive(Clone)]
struct Column {
    source: Arc<Source>,
    path: Vec<String>,
}

impl Column {
    /// Whether they are one, or one is a part of the other.
    fn meets(&self, other: &Self) -> bool {
        self.source.location == other.source.location
            && (self.path.starts_with(&other.path) || other.path.starts_with(&self.path))
    }
}

/// Where the attributes of a contract may come from.
struct Sites<'a> {
    sources: &'a Sides<Arc<Source>>,
    key: &'a [String],
    crosswalk: Option<&'a Crosswalk>,
}

impl Sites<'_> {
    /// Every column that an attribute's values come from, whoever owns it when.
    fn columns_of(&self, attribute: &Attribute, all: &[Attribute]) -> Vec<Column> {
        let Attribute { origin, .. } = attribute;
        let at = |source: &Arc<Source>, path: Vec<String>| Column { source: Arc::clone(source), path };
        let mut columns = vec![at(&self.sources.projection, attribute.projected_as.clone())];
        let mut owners: Vec<&Arc<Source>> = origin.owners.iter().map(|tenure| &tenure.source).collect();
        if let Some(place) = self.key.iter().position(|name| *name == attribute.name) {
            // Other owners are joined by it.
            owners.extend(all.iter().flat_map(|one| &one.origin.owners).map(|tenure| &tenure.source));
            owners.push(&self.sources.authority);
            if let Some(crosswalk) = self.crosswalk {
                // Columns of other keys than the attributes' are of all of them.
                let of_side = |(side, names): (Side, &Vec<String>)| match &crosswalk.own {
                    Some(_) if side == Side::Authority => names.clone(),
                    _ => names.get(place).cloned().into_iter().collect(),
                };
                let theirs = crosswalk.columns.iter().flat_map(of_side);
                columns.extend(theirs.map(|name| at(&crosswalk.source, vec![name])));
                let own = crosswalk.own.iter().flatten();
                columns.extend(own.map(|name| at(&self.sources.authority, vec![name.clone()])));
            }
        }
        if let Some(lookup) = &origin.lookup {
            owners = vec![&lookup.source];
        } else if owners.is_empty() {
            owners.push(&self.sources.authority);
        }
        let derived = origin
            .derive
            .as_deref()
            .map(|written| Scalar::parse(written).map_or_else(|_| Vec::new(), |scalar| scalar.columns().to_vec()));
        for source in owners {
            match &derived {
                Some(names) => columns.extend(names.iter().map(|name| at(source, vec![name.clone()]))),
                None if source.name == self.sources.authority.name && origin.lookup.is_none() => {
                    columns.push(at(source, attribute.column.clone()));
                }
                None => columns.push(at(source, attribute.column_at(&source.name))),
            }
        }
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_shows_nothing_of_itself_and_depends_on_every_character() {
        let key = PiiKey::of("correct horse battery");
        assert_eq!(format!("{key:?}"), "PiiKey");
        assert_ne!(key, PiiKey::of("correct horse batterz"));
        assert_eq!(key, PiiKey::of("correct horse battery"));
    }
}
