//! The two sides of a contract, so that what is done to both is written once.
//!
//! It never says which side is right: that is the contract's business.

use serde::Serialize;

/// Which side a row, a column or an error belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The side that decides.
    Authority,
    /// The side that copies.
    Projection,
}

impl Side {
    /// Both sides, the authority first.
    pub const BOTH: [Self; 2] = [Self::Authority, Self::Projection];

    /// The side's name as the user writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Authority => "authority",
            Self::Projection => "projection",
        }
    }

    /// The side across.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Authority => Self::Projection,
            Self::Projection => Self::Authority,
        }
    }
}

impl std::fmt::Display for Side {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(self.name())
    }
}

/// One value for each side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sides<T> {
    /// What belongs to the authority.
    pub authority: T,
    /// What belongs to the projection.
    pub projection: T,
}

impl<T> Sides<T> {
    /// Makes both values with one function that is told the side.
    pub fn from_fn(mut make: impl FnMut(Side) -> T) -> Self {
        Self { authority: make(Side::Authority), projection: make(Side::Projection) }
    }

    /// Applies one function to both values.
    pub fn map<U>(self, mut apply: impl FnMut(Side, T) -> U) -> Sides<U> {
        Sides {
            authority: apply(Side::Authority, self.authority),
            projection: apply(Side::Projection, self.projection),
        }
    }

    /// Applies one fallible function to both values; the authority's error comes first.
    ///
    /// # Errors
    /// The first error that `apply` returns.
    pub fn try_map<U, E>(self, mut apply: impl FnMut(Side, T) -> Result<U, E>) -> Result<Sides<U>, E> {
        Ok(Sides {
            authority: apply(Side::Authority, self.authority)?,
            projection: apply(Side::Projection, self.projection)?,
        })
    }

    /// Borrows both values.
    pub fn as_ref(&self) -> Sides<&T> {
        Sides { authority: &self.authority, projection: &self.projection }
    }

    /// Borrows both values mutably.
    pub fn as_mut(&mut self) -> Sides<&mut T> {
        Sides { authority: &mut self.authority, projection: &mut self.projection }
    }

    /// Pairs the values of two `Sides`.
    pub fn zip<U>(self, other: Sides<U>) -> Sides<(T, U)> {
        Sides { authority: (self.authority, other.authority), projection: (self.projection, other.projection) }
    }

    /// The value of one side.
    pub fn get(&self, side: Side) -> &T {
        match side {
            Side::Authority => &self.authority,
            Side::Projection => &self.projection,
        }
    }

    /// The value of one side, mutably.
    pub fn get_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Authority => &mut self.authority,
            Side::Projection => &mut self.projection,
        }
    }

    /// Both values with their sides, the authority first.
    pub fn iter(&self) -> impl Iterator<Item = (Side, &T)> {
        [(Side::Authority, &self.authority), (Side::Projection, &self.projection)].into_iter()
    }
}
