//! Composes the key of both sides where a crosswalk says which key of the one is which key of the other: by the attributes of
//! the key, or by columns of the authority's own. It reads no rows.

use std::sync::Arc;

use super::compose::Extra;
use super::crossing::{Crossing, Named};
use super::join::kept;
use super::other::{Matching, Other, Pair, names};
use super::{Composer, ignored};
use crate::contract::{Attribute, Crosswalk};
use crate::normalise::composed_field;
use crate::sides::{Side, Sides};

use super::super::Halt;

impl Composer<'_> {
    /// Maps the key of both sides.
    pub(super) fn cross(&mut self, crosswalk: &Crosswalk) -> Result<(), Halt> {
        let before = self.opened_before(&crosswalk.source);
        let mut other = Other::open(&crosswalk.source, Vec::new(), self.tuning, before)?;
        for column in crosswalk.columns.iter().flat_map(|(_, columns)| columns) {
            other.take(column, "crosswalk")?;
        }
        let key: Vec<usize> = self.contract.key.clone().iter().map(|name| self.declared(name)).collect();
        let paths = Sides::from_fn(|side| self.own_columns(crosswalk, side, &key));
        let matching = paths.as_ref().try_map(|side, paths| self.matching(crosswalk, &other, side, paths, &key))?;
        let named = if crosswalk.own.is_some() { Named::ByTheirOwn } else { Named::Each };
        let crossing = Arc::new(Crossing::new(other, matching, &crosswalk.columns.projection, named)?);
        let is_own = crosswalk.own.is_some();
        self.hidden.authority.extend(crosswalk.own.iter().flatten().cloned());
        for (place, &attribute) in key.iter().enumerate() {
            for side in Side::BOTH {
                let own = (side == Side::Projection || !is_own).then(|| paths.get(side)[place][0].clone());
                let column = self.map(&crossing, side, place, own.as_deref())?;
                let attribute = &mut self.contract.attributes[attribute];
                match side {
                    Side::Authority => attribute.column = vec![column],
                    Side::Projection => attribute.projected_as = vec![column],
                }
            }
        }
        self.owners.crossing = Some(crossing);
        Ok(())
    }

    /// The place of an attribute of the key among those that are declared.
    fn declared(&mut self, name: &str) -> usize {
        let attributes = &mut self.contract.attributes;
        attributes.iter().position(|attribute| attribute.name == name).unwrap_or_else(|| {
            attributes.push(Attribute::plain(name, self.contract.attribute_defaults.clone()));
            attributes.len() - 1
        })
    }

    /// The columns of a side that make its key.
    fn own_columns(&self, crosswalk: &Crosswalk, side: Side, key: &[usize]) -> Vec<Vec<String>> {
        if let Some(own) = crosswalk.own.as_ref().filter(|_| side == Side::Authority) {
            return own.iter().map(|column| vec![column.clone()]).collect();
        }
        let path = |index: &usize| {
            let attribute = &self.contract.attributes[*index];
            if side == Side::Authority { attribute.column.clone() } else { attribute.projected_as.clone() }
        };
        key.iter().map(path).collect()
    }

    /// How a side's keys find lines of the crosswalk.
    fn matching(
        &self,
        crosswalk: &Crosswalk,
        other: &Other,
        side: Side,
        paths: &[Vec<String>],
        key: &[usize],
    ) -> Result<Matching, Halt> {
        let own_schema = &**self.schemas.get(side);
        let mut pairs = Vec::with_capacity(paths.len());
        for (place, (path, theirs)) in paths.iter().zip(crosswalk.columns.get(side)).enumerate() {
            let found = path.first().and_then(|column| own_schema.field_with_name(column).ok());
            if path.len() != 1 || found.is_none_or(|field| field.data_type().is_nested()) {
                return Err(Halt::Contract(format!(
                    "{side}: a crosswalk maps plain columns, and `{}` is none (columns are: {})",
                    path.join("."),
                    names(own_schema)
                )));
            }
            let by_attribute = side == Side::Projection || crosswalk.own.is_none();
            let attribute = key.get(place).filter(|_| by_attribute).map(|index| &self.contract.attributes[*index]);
            pairs.push(Pair {
                name: attribute.map_or_else(|| path[0].clone(), |attribute| attribute.name.clone()),
                own: path.clone(),
                other: vec![theirs.clone()],
                options: attribute
                    .map_or_else(|| self.contract.attribute_defaults.clone(), |attribute| attribute.options.clone()),
                texts_are: None,
            });
        }
        let sources = Sides {
            authority: (self.contract.sources.get(side), own_schema),
            projection: (&crosswalk.source, &*other.opened.schema),
        };
        // A NULL that is the whole key is itself, one that is a part of it is a part of what is mapped.
        let null_keys_match = self.contract.null_keys_match && pairs.len() > 1;
        Matching::new(&self.contract, sources, pairs, null_keys_match)
    }

    /// Plans the column that takes the place of one column of the key, and tells its name.
    fn map(&mut self, crossing: &Arc<Crossing>, side: Side, place: usize, own: Option<&str>) -> Result<String, Halt> {
        let column = self.name(side, &format!("crosswalk({})", self.contract.key[place]));
        let schema = Arc::clone(self.schemas.get(side));
        let own_index =
            own.map(|own| schema.index_of(own)).transpose().map_err(|error| Halt::Contract(error.to_string()))?;
        let value = match (side, own_index) {
            (Side::Projection, Some(index)) => kept(schema.field(index)),
            _ => crossing.field(place).clone(),
        };
        let field = composed_field(&column, &value);
        self.plans.get_mut(side).push(Extra::Mapped {
            crossing: Arc::clone(crossing),
            index: place,
            column: own_index,
            field,
        });
        self.contract.ignore.extend(own.map(|own| ignored(side, own)));
        Ok(column)
    }
}
