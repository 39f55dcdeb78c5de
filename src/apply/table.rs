//! What a target's catalog says of the table that a plan repairs: columns, what must be unique, what refers to what, what
//! happens by itself when a row is written. Only values; it asks no server.

use crate::contract::System;
use crate::database::dialect::quoted_name;

/// A table that is repaired.
#[derive(Clone, Debug)]
pub struct Table {
    /// Whose dialect.
    pub system: System,
    /// Its name in SQL.
    pub sql: String,
    /// The name that tells it from all others of the target.
    pub identity: String,
    /// In their order.
    pub columns: Vec<Column>,
    /// What must be unique, the primary key too.
    pub unique: Vec<Unique>,
    /// What its rows refer to.
    pub foreign: Vec<Foreign>,
    /// Whose rows the server removes or changes by itself when a row of this table is removed.
    pub referring: Vec<Referring>,
    /// Triggers, and foreign keys of other tables that act on their own: each a sentence part for people.
    pub by_itself: Vec<String>,
    /// Why no row can be removed: tables may refer to it that cannot be seen, and whose rows might go with it.
    pub unseen: Option<String>,
    /// Why none of its rows can be repaired (a view, say).
    pub refused: Option<String>,
}

/// A column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// How its values are written.
    pub family: Family,
    /// Its type in SQL, without length, to write a literal of it.
    pub type_sql: String,
    /// The type as people know it.
    pub shown: String,
    /// A row cannot be inserted without a value for it.
    pub required: bool,
    /// The server computes it, so that it is never written.
    pub generated: bool,
    /// The server gives it on insert and takes another only when told so (`GENERATED ALWAYS AS IDENTITY`).
    pub identity_always: bool,
    /// Of a list, what its elements are.
    pub element: Option<Box<Column>>,
}

/// How values of a type are written and compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// True and false.
    Boolean,
    /// Whole numbers.
    Integer,
    /// Exact numbers.
    Decimal,
    /// 32 bits.
    Float32,
    /// 64 bits.
    Float64,
    /// Characters.
    Text,
    /// Characters, filled up with blanks.
    Padded,
    /// Bytes.
    Binary,
    /// Some bits.
    Bits,
    /// A day.
    Date,
    /// A time of the day, or a length of time.
    Time,
    /// A local time.
    Timestamp,
    /// A moment.
    Instant,
    /// JSON.
    Json,
    /// Elements of one type in order.
    List,
    /// Members by name, which no literal is made of.
    Nested,
    /// One of the texts that the type lists.
    Label,
    /// Whatever a text of its own stands for, with an equality.
    Spelled,
    /// Whatever a text of its own stands for, without one.
    Opaque,
    /// SQLite: as each value is stored.
    Numeric,
    /// SQLite: no affinity.
    Anything,
}

impl Family {
    /// Its fixed name, as receipts have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Text => "text",
            Self::Padded => "padded text",
            Self::Binary => "bytes",
            Self::Bits => "bits",
            Self::Date => "date",
            Self::Time => "time",
            Self::Timestamp => "timestamp",
            Self::Instant => "instant",
            Self::Json => "json",
            Self::List => "list",
            Self::Nested => "members",
            Self::Label => "label",
            Self::Spelled | Self::Opaque => "spelled",
            Self::Numeric => "numeric",
            Self::Anything => "anything",
        }
    }
}

/// Columns that no two rows may share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unique {
    /// Indices of columns.
    pub columns: Vec<usize>,
    /// Whether it can wait for the end of the transaction.
    pub deferrable: bool,
}

/// Columns that name a row of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// Indices of columns.
    pub columns: Vec<usize>,
    /// The `identity` of the table that they refer to.
    pub refers_to: String,
    /// The columns there, by name.
    pub referred: Vec<String>,
}

/// A foreign key to this table that does something by itself when a row is removed here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referring {
    /// The table that has it, in SQL.
    pub sql: String,
    /// The table as people know it.
    pub shown: String,
    /// Whether that is this table itself.
    pub own: bool,
    /// Its columns, in SQL.
    pub columns: Vec<String>,
    /// Indices of this table's columns that they refer to, in the same order.
    pub referred: Vec<usize>,
    /// What the server does: `cascade`, `set null`, `set default`.
    pub act: String,
}

impl Table {
    /// The place of a column.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// A column's name in SQL.
    #[must_use]
    pub fn name(&self, index: usize) -> String {
        quoted_name(self.system, &self.columns[index].name)
    }

    /// Whether all that must be unique can wait for the end of the transaction, where it holds one of these columns.
    #[must_use]
    pub fn waits(&self, unique: &Unique) -> bool {
        self.system == System::Postgres && unique.deferrable
    }
}
