//! Where the contract meets the schemas: which columns are compared, and as what. It reads no rows and stops at no first
//! complaint.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};

use crate::contract::{Attribute, Compare, Contract, Options, Source, Tolerance};
use crate::sides::{Side, Sides};

use super::composed;
use super::ground::{Ground, Shape, any_inferred, choose, describe, describe_comparison, shape};
use super::rules::SideRules;
use super::text::TextRules;
use super::{BindError, BindRequest, Binding, BoundAttribute, ColumnPath, Comparison, SchemaDifference, SchemaReason};

/// Decides for every attribute its two columns and its comparison, before the first row is read.
///
/// # Errors
/// What makes the contract impossible to compare at all: all such complaints, not only the first.
pub fn bind(request: BindRequest<'_>) -> Result<Binding, Vec<BindError>> {
    let mut binder = Binder::new(request);
    binder.check_names();
    for name in &request.contract.key {
        binder.key(name);
    }
    for attribute in &request.contract.attributes {
        if !request.contract.key.contains(&attribute.name) {
            binder.declared(attribute);
        }
    }
    binder.rest();
    binder.check_only();
    if binder.binding.attributes.is_empty() && binder.binding.schema.is_empty() && binder.errors.is_empty() {
        binder.errors.push(BindError::NothingCompared);
    }
    if binder.errors.is_empty() { Ok(binder.binding) } else { Err(binder.errors) }
}

struct Binder<'a> {
    contract: &'a Contract,
    schemas: Sides<&'a Schema>,
    binding: Binding,
    errors: Vec<BindError>,
    /// Column paths that attributes have taken, per side.
    taken: Sides<BTreeSet<Vec<String>>>,
    /// Where the authority's values of the attribute come from that is being joined.
    owner: Arc<Source>,
}

/// An attribute on its way to being bound.
struct Candidate<'a> {
    name: &'a str,
    options: &'a Options,
    is_key: bool,
    is_declared: bool,
}

/// A column that was found: where, and its field.
#[derive(Clone)]
struct Found {
    path: ColumnPath,
    field: Field,
}

impl<'a> Binder<'a> {
    fn new(request: BindRequest<'a>) -> Self {
        let binding = Binding {
            attributes: Vec::new(),
            key_count: request.contract.key.len(),
            schema: Vec::new(),
            left_out: Sides::default(),
        };
        let (taken, owner) = (Sides::default(), Arc::clone(&request.contract.sources.authority));
        Self { contract: request.contract, schemas: request.schemas, binding, errors: Vec::new(), taken, owner }
    }

    fn check_names(&mut self) {
        for side in Side::BOTH {
            let mut seen = BTreeSet::new();
            let mut told = BTreeSet::new();
            for field in self.schemas.get(side).fields() {
                if !seen.insert(field.name()) && told.insert(field.name()) {
                    self.errors.push(BindError::TwoColumns { side, column: field.name().clone() });
                }
            }
        }
    }

    fn columns(&self, side: Side) -> Vec<String> {
        self.schemas.get(side).fields().iter().map(|field| field.name().clone()).collect()
    }

    fn find(&self, side: Side, path: &[String]) -> Option<Found> {
        let (first, members) = path.split_first()?;
        let (index, top) = self.schemas.get(side).fields().find(first)?;
        let mut field = top;
        for member in members {
            let DataType::Struct(fields) = field.data_type() else { return None };
            field = fields.find(member)?.1;
        }
        let mut path = ColumnPath { index, members: members.to_vec() };
        if let Some(value) = composed::value_field(field) {
            path.members.push(composed::VALUE.to_owned());
            return Some(Found { path, field: value.as_ref().clone() });
        }
        let field = field.as_ref().clone();
        Some(Found { path, field })
    }

    fn is_ignored(&self, side: Side, column: &str) -> bool {
        let hits = |ignore: &crate::contract::Ignore| {
            ignore.side.is_none_or(|only| only == side) && ignore.glob.is_match(column)
        };
        self.contract.ignore.iter().any(hits)
    }

    /// Whether `only` leaves an attribute out.
    fn is_left_out(&self, name: &str) -> bool {
        !self.contract.only.is_empty() && !self.contract.only.iter().any(|only| only == name)
    }

    fn key(&mut self, name: &'a str) {
        let declared = self.contract.attributes.iter().find(|attribute| attribute.name == name);
        let paths = declared.map_or_else(
            || Sides::from_fn(|_| vec![name.to_owned()]),
            |attribute| Sides { authority: attribute.column.clone(), projection: attribute.projected_as.clone() },
        );
        let options = declared.map_or(&self.contract.attribute_defaults, |attribute| &attribute.options);
        let ignored = Side::BOTH
            .into_iter()
            .find(|side| paths.get(*side).first().is_some_and(|column| self.is_ignored(*side, column)));
        if let Some(side) = ignored {
            let problem =
                format!("a key attribute cannot be ignored ({side} column `{}` is)", paths.get(side).join("."));
            self.errors.push(BindError::Option { attribute: name.to_owned(), problem });
        }
        let found = paths.as_ref().map(|side, path| self.find(side, path));
        for (side, found) in found.iter() {
            if found.is_none() {
                self.errors.push(BindError::NoKeyColumn {
                    side,
                    attribute: name.to_owned(),
                    column: paths.get(side).join("."),
                    have: self.columns(side),
                });
            }
        }
        self.take(&paths);
        let candidate = Candidate { name, options, is_key: true, is_declared: declared.is_some() };
        if let Sides { authority: Some(authority), projection: Some(projection) } = found {
            self.join(&candidate, Sides { authority, projection });
        }
    }

    fn take(&mut self, paths: &Sides<Vec<String>>) {
        for (side, path) in paths.iter() {
            self.taken.get_mut(side).insert(path.clone());
        }
    }

    fn declared(&mut self, attribute: &'a Attribute) {
        let paths = Sides { authority: attribute.column.clone(), projection: attribute.projected_as.clone() };
        let ignored = paths.as_ref().map(|side, path| path.first().is_some_and(|column| self.is_ignored(side, column)));
        self.take(&paths);
        if self.is_left_out(&attribute.name) || (ignored.authority && ignored.projection) {
            self.leave_out(&paths);
            return;
        }
        let found = paths.as_ref().map(|side, path| if *ignored.get(side) { None } else { self.find(side, path) });
        let candidate =
            Candidate { name: &attribute.name, options: &attribute.options, is_key: false, is_declared: true };
        match found {
            Sides { authority: Some(authority), projection: Some(projection) } => {
                self.join(&candidate, Sides { authority, projection });
            }
            Sides { authority: None, projection: None } => self.errors.push(BindError::NoColumn {
                attribute: attribute.name.clone(),
                authority: self.columns(Side::Authority),
                projection: self.columns(Side::Projection),
            }),
            found => self.one_sided(&attribute.name, &found),
        }
    }

    fn leave_out(&mut self, paths: &Sides<Vec<String>>) {
        for (side, path) in paths.iter() {
            if self.find(side, path).is_some() {
                self.binding.left_out.get_mut(side).push(path.join("."));
            }
        }
    }

    fn one_sided(&mut self, attribute: &str, found: &Sides<Option<Found>>) {
        let types = found.as_ref().map(|_, found| found.as_ref().map(|found| describe(&found.field)));
        let reason = SchemaReason::MissingColumn;
        self.binding.schema.push(SchemaDifference { attribute: attribute.to_owned(), types, reason });
    }

    /// Whether attributes have taken a column whole, or every member of it.
    fn is_taken(&self, side: Side, path: &mut Vec<String>, field: &Field) -> bool {
        let taken = self.taken.get(side);
        if taken.contains(path) {
            return true;
        }
        let DataType::Struct(members) = field.data_type() else { return false };
        !members.is_empty()
            && members.iter().all(|member| {
                path.push(member.name().clone());
                let is_taken = self.is_taken(side, path, member);
                path.pop();
                is_taken
            })
    }

    /// The columns of a side that no attribute has taken and no option leaves out.
    fn free(&mut self, side: Side) -> Vec<String> {
        let schema = *self.schemas.get(side);
        let mut free = Vec::new();
        for field in schema.fields() {
            let name = field.name();
            if self.is_taken(side, &mut vec![name.clone()], field) {
                continue;
            }
            let left_out = self.is_ignored(side, name)
                || self.is_left_out(name)
                || (self.contract.compare == Compare::Declared && self.contract.only.is_empty());
            if left_out {
                self.binding.left_out.get_mut(side).push(name.clone());
            } else {
                free.push(name.clone());
            }
        }
        // By name: the order of a source's columns changes no result.
        free.sort_unstable();
        free
    }

    /// The columns that no attribute names, paired by name.
    fn rest(&mut self) {
        let free = Sides::from_fn(|side| self.free(side));
        let options = &self.contract.attribute_defaults;
        for column in &free.authority {
            let paths = Sides::from_fn(|_| vec![column.clone()]);
            let both = free.projection.contains(column);
            let found = paths.as_ref().map(
                |side, path| {
                    if side == Side::Authority || both { self.find(side, path) } else { None }
                },
            );
            let name = self.free_name(column);
            match found {
                Sides { authority: Some(authority), projection: Some(projection) } => {
                    let candidate = Candidate { name: &name, options, is_key: false, is_declared: false };
                    self.join(&candidate, Sides { authority, projection });
                }
                _ if self.is_marker(Side::Authority, column) => {
                    self.binding.left_out.authority.push(column.clone());
                }
                found => self.one_sided(&name, &found),
            }
        }
        for column in &free.projection {
            if !free.authority.contains(column) {
                if self.is_marker(Side::Projection, column) {
                    self.binding.left_out.projection.push(column.clone());
                    continue;
                }
                let projection = self.find(Side::Projection, std::slice::from_ref(column));
                let name = self.free_name(column);
                self.one_sided(&name, &Sides { authority: None, projection });
            }
        }
    }

    /// Whether a column is there to be a marker: on one side only it is no attribute that the other lacks.
    fn is_marker(&self, side: Side, column: &str) -> bool {
        let source = self.contract.sources.get(side);
        let markers = [&source.version_column, &source.updated_at, &source.deleted];
        markers.into_iter().flatten().any(|marker| marker == column)
    }

    /// A column's name as an attribute's name, unless a declared attribute of other columns has it already.
    fn free_name(&self, column: &str) -> String {
        let mut name = column.to_owned();
        while self.contract.attributes.iter().any(|attribute| attribute.name == name)
            || self.contract.key.contains(&name)
            || self.binding.attributes.iter().any(|attribute| attribute.name == name)
        {
            name.push_str(" (column)");
        }
        name
    }

    /// `only` names attributes: one that is nowhere is an error, as a misspelt one would compare nothing.
    fn check_only(&mut self) {
        for only in &self.contract.only {
            let known = self.contract.key.contains(only)
                || self.contract.attributes.iter().any(|attribute| attribute.name == *only)
                || Side::BOTH.iter().any(|side| self.schemas.get(*side).fields().find(only).is_some());
            if !known {
                self.errors.push(BindError::NoColumn {
                    attribute: only.clone(),
                    authority: self.columns(Side::Authority),
                    projection: self.columns(Side::Projection),
                });
            }
        }
    }

    fn join(&mut self, candidate: &Candidate<'_>, found: Sides<Found>) {
        let fields = found.as_ref().map(|_, found| &found.field);
        self.owner = Arc::clone(self.contract.source_of(Side::Authority, candidate.name));
        let mut options = candidate.options.clone();
        if !candidate.is_declared && !candidate.is_key {
            self.add_default_tolerance(&mut options, fields);
        }
        let comparison = match self.comparison(&options, fields) {
            Ok(comparison) => comparison,
            Err(reason) => return self.incomparable(candidate.name, fields, reason),
        };
        let errors = self.unfitting(candidate, &options, &comparison, fields);
        if !errors.is_empty() {
            self.errors.extend(errors);
            return;
        }
        let texts = fields.iter().all(|(_, field)| matches!(shape(field), Shape::Text));
        if texts && comparison == Comparison::Number && options.logical_type.is_none() {
            // A tolerance or `round` on text against text implies it.
            options.logical_type = Some(crate::contract::LogicalType::Decimal(None));
        }
        let single = comparison == Comparison::Float
            && fields.iter().any(|(_, field)| matches!(shape(field), Shape::Float { bits: 32 }));
        let rules = fields.map(|side, field| {
            let mut rules = self.rules(side, field, &options);
            if single && matches!(shape(field), Shape::Text) {
                // A text across from a float stands for the nearest float of that width.
                rules.logical = rules.logical.or(Some(crate::contract::LogicalType::Float32));
            }
            Arc::new(rules)
        });
        self.binding.attributes.push(BoundAttribute {
            name: candidate.name.to_owned(),
            columns: found.map(|_, found| found.path),
            comparison,
            tolerance: options.tolerance.clone(),
            options,
            rules,
        });
    }

    /// The source whose spellings and zone hold for the values of a side.
    fn source(&self, side: Side) -> &Source {
        if side == Side::Authority { &self.owner } else { &self.contract.sources.projection }
    }

    fn rules(&self, side: Side, field: &Field, options: &Options) -> SideRules {
        let source = self.source(side);
        let translates = side == Side::Authority && options.translate.is_some();
        let mut rules = SideRules::new(field, options, &source.csv, translates);
        rules.own = own(field);
        rules.zone = options.timezone.clone().or_else(|| source.timezone.clone());
        if translates && !matches!(shape(field), Shape::Text) {
            rules.translated = Some(Arc::new(rules.after_translation()));
        }
        rules
    }

    fn comparison(&self, options: &Options, fields: Sides<&Field>) -> Result<Comparison, SchemaReason> {
        let zones = Sides::from_fn(|side| options.timezone.as_ref().or(self.source(side).timezone.as_ref()));
        let ground = Ground {
            zones,
            logical: options.logical_type,
            tolerance: matches!(options.tolerance, Some(Tolerance::Absolute(_) | Tolerance::Relative(_))),
            round: options.round.is_some(),
            narrow_floats: false,
            inferred: any_inferred(fields),
        };
        let mut shapes = fields.map(|_, field| shape(field));
        // What is translated is text from there on.
        let scalar = !matches!(shapes.authority, Shape::Null | Shape::Unsupported);
        if options.translate.is_some() && scalar {
            if matches!(shapes.authority, Shape::List(_) | Shape::Struct(_) | Shape::Map(..)) {
                return Err(SchemaReason::Incomparable);
            }
            shapes.authority = Shape::Text;
        }
        choose(shapes, &ground)
    }

    /// Of attributes that the contract does not name: a tolerance or `round` holds where there are numbers, and says
    /// nothing of the others.
    fn add_default_tolerance(&self, options: &mut Options, fields: Sides<&Field>) {
        let asked = self.contract.numeric_tolerance.clone().or_else(|| options.tolerance.take());
        let round = options.round.take();
        options.tolerance = None;
        let is_numeric = self.comparison(options, fields).is_ok_and(|comparison| is_number(&comparison));
        if is_numeric {
            options.tolerance = asked;
            options.round = round;
        }
    }

    fn incomparable(&mut self, name: &str, fields: Sides<&Field>, reason: SchemaReason) {
        let types = fields.map(|_, field| describe(field));
        if self.binding.attributes.len() < self.binding.key_count && self.contract.key.iter().any(|key| key == name) {
            self.errors.push(BindError::IncomparableKey {
                attribute: name.to_owned(),
                authority: types.authority,
                projection: types.projection,
            });
            return;
        }
        let types = types.map(|_, described| Some(described));
        self.binding.schema.push(SchemaDifference { attribute: name.to_owned(), types, reason });
    }

    /// What is wrong with the options for this comparison.
    fn unfitting(
        &self,
        candidate: &Candidate<'_>,
        options: &Options,
        comparison: &Comparison,
        fields: Sides<&Field>,
    ) -> Vec<BindError> {
        let mut errors = Vec::new();
        let attribute = candidate.name.to_owned();
        let mut complain = |problem: &str| {
            errors.push(BindError::Option { attribute: attribute.clone(), problem: problem.to_owned() });
        };
        if options.round.is_some() && !is_number(comparison) && *comparison != Comparison::Null {
            complain(&format!("`round` needs numbers, these are {}", describe_comparison(comparison)));
        }
        if let Some((one, other)) = TextRules::new(options, false).contradiction(options) {
            complain(&format!(
                "translate gives two values to one, as `{one}` and `{other}` are alike under its options"
            ));
        }
        let Some(tolerance) = &options.tolerance else { return errors };
        if candidate.is_key || self.contract.key.is_empty() {
            complain(
                "a tolerance cannot decide which rows pair, so a key attribute, or a contract without key, has none",
            );
            return errors;
        }
        let is_time = matches!(tolerance, Tolerance::Time(_));
        let texts = fields.iter().all(|(_, field)| matches!(shape(field), Shape::Text));
        if is_time && texts && *comparison == Comparison::Text {
            complain("a tolerance of time on text needs a `type`, such as `timestamp`");
            return errors;
        }
        let fits = match comparison {
            Comparison::Null => true,
            comparison if is_number(comparison) => !is_time,
            Comparison::Date
            | Comparison::Time
            | Comparison::Timestamp
            | Comparison::Instant
            | Comparison::Duration => is_time,
            _ => false,
        };
        if !fits {
            let comparison = describe_comparison(comparison).to_owned();
            errors.push(BindError::NoDistance { attribute, comparison });
        }
        errors
    }
}

pub(super) fn is_number(comparison: &Comparison) -> bool {
    matches!(comparison, Comparison::Integer | Comparison::Decimal { .. } | Comparison::Float | Comparison::Number)
}

/// What a column would become if it met only itself; None for what is never compared.
pub(super) fn own(field: &Field) -> Option<Comparison> {
    let ground = Ground {
        zones: Sides { authority: None, projection: None },
        logical: None,
        tolerance: false,
        round: false,
        narrow_floats: true,
        inferred: false,
    };
    choose(Sides { authority: shape(field), projection: shape(field) }, &ground).ok()
}

#[cfg(test)]
mod tests;
