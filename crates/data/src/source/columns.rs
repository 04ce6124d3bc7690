//! The columns that several files have in common.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};

use super::kind::{Kind, Single};
use super::paths::{DataFile, Format};
use super::{Chunk, Limits, csv, json, parquet};
use crate::error::DataError;

/// What one file says of its columns and rows.
#[derive(Debug)]
pub(super) struct Described {
    columns: Vec<(String, Type)>,
    /// Rows of each row group; for a text file, nothing is known but whether there are any.
    groups: Groups,
}

#[derive(Debug)]
enum Groups {
    Rows(Vec<u64>),
    Text { any: bool },
}

/// What is known of a column's type.
#[derive(Clone, Debug, PartialEq)]
enum Type {
    /// The file says so.
    Fixed(DataType),
    /// Text that the file stores by small dictionaries.
    Dictionary,
    /// Judged by the first rows.
    Judged(Kind),
}

/// The columns of a set of files.
#[derive(Debug, Default)]
pub(super) struct Columns {
    columns: Vec<(String, Type)>,
    /// The file that the others are compared with.
    first: Option<PathBuf>,
    /// Whether there were none but JSON lines, in which a key may be absent.
    open_ended: bool,
}

impl Described {
    pub(super) fn of(file: &DataFile, limits: &Limits) -> Result<Described, DataError> {
        let judged = |columns: Vec<(String, Kind)>, any| Described {
            columns: columns.into_iter().map(|(name, kind)| (name, Type::Judged(kind))).collect(),
            groups: Groups::Text { any },
        };
        match file.format {
            Format::Csv => csv::columns(file, limits).map(|(columns, any)| judged(columns, any)),
            Format::JsonLines => json::columns(file, limits).map(|columns| judged(columns, true)),
            Format::Parquet => {
                let facts = parquet::facts(&file.path)?;
                let mut columns: Vec<(String, Type)> = Vec::with_capacity(facts.fields.len());
                for (field, small_dictionary) in facts.fields.iter().zip(facts.small_dictionary) {
                    let kind = if small_dictionary { Type::Dictionary } else { Type::Fixed(field.data_type().clone()) };
                    if columns.iter().any(|(name, _)| name == field.name()) {
                        return Err(DataError::DuplicateColumn {
                            file: file.path.clone(),
                            column: field.name().clone(),
                        });
                    }
                    columns.push((field.name().clone(), kind));
                }
                Ok(Described { columns, groups: Groups::Rows(facts.row_groups) })
            }
        }
    }

    /// The file's chunks that have rows.
    pub(super) fn chunks(&self, file: usize) -> Vec<Chunk> {
        match &self.groups {
            Groups::Text { any: true } => vec![Chunk { file, row_group: None, first_row: 1, rows: None }],
            Groups::Text { any: false } => Vec::new(),
            Groups::Rows(groups) => {
                let mut first_row = 1;
                let mut chunks = Vec::with_capacity(groups.len());
                for (index, rows) in groups.iter().enumerate().filter(|(_, rows)| **rows > 0) {
                    chunks.push(Chunk { file, row_group: Some(index), first_row, rows: Some(*rows) });
                    first_row += rows;
                }
                chunks
            }
        }
    }
}

impl Columns {
    /// Columns whose types leave no choice.
    pub(super) fn fixed(schema: &SchemaRef) -> Columns {
        let column = |field: &FieldRef| (field.name().clone(), Type::Fixed(field.data_type().clone()));
        Columns { columns: schema.fields().iter().map(column).collect(), first: None, open_ended: false }
    }

    /// Takes in another file's columns.
    ///
    /// # Errors
    /// [`DataError::Disagreement`].
    pub(super) fn add(&mut self, file: &DataFile, described: Described) -> Result<(), DataError> {
        let may_lack = file.format == Format::JsonLines;
        let Some(first) = self.first.clone() else {
            (self.columns, self.first, self.open_ended) = (described.columns, Some(file.path.clone()), may_lack);
            return Ok(());
        };
        let disagreement = |column: &str, problem: String| {
            let column = column.to_owned();
            Err(DataError::Disagreement { file: file.path.clone(), column, problem })
        };
        if !may_lack
            && let Some((name, _)) =
                self.columns.iter().find(|(name, _)| described.columns.iter().all(|(other, _)| other != name))
        {
            return disagreement(name, format!("is missing, while {} has it", first.display()));
        }
        for (name, other) in described.columns {
            match self.columns.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => match known.join(&other) {
                    Some(joined) => *known = joined,
                    None => {
                        let (here, there) = (other.data_type(), known.data_type());
                        return disagreement(&name, format!("holds {here}, while {} holds {there}", first.display()));
                    }
                },
                None if self.open_ended && may_lack => self.columns.push((name, other)),
                None => return disagreement(&name, format!("is here, while {} does not have it", first.display())),
            }
        }
        self.open_ended &= may_lack;
        Ok(())
    }

    /// The columns as Arrow sees them.
    pub(super) fn schema(&self) -> SchemaRef {
        let field = |(name, kind): &(String, Type)| Field::new(name, kind.data_type(), true);
        Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()))
    }

    /// `schema` with those of `names` whose type was judged read as `single`.
    pub(super) fn forced(&self, schema: &SchemaRef, names: &[String], single: Single) -> SchemaRef {
        let field = |(field, (name, kind)): (&FieldRef, &(String, Type))| match kind {
            Type::Judged(kind) if names.contains(name) => {
                Arc::new(Field::new(name, kind.forced(single).data_type(), true))
            }
            Type::Judged(_) | Type::Fixed(_) | Type::Dictionary => Arc::clone(field),
        };
        Arc::new(Schema::new(schema.fields().iter().zip(&self.columns).map(field).collect::<Vec<_>>()))
    }
}

impl Type {
    /// A type that both can be read as.
    fn join(&self, other: &Type) -> Option<Type> {
        match (self, other) {
            (left, right) if left == right => Some(left.clone()),
            (Type::Judged(left), Type::Judged(right)) => left.join(*right).map(Type::Judged),
            (Type::Fixed(fixed), Type::Judged(kind)) | (Type::Judged(kind), Type::Fixed(fixed)) => {
                let wanted = Kind::of(fixed)?;
                (wanted.join(*kind) == Some(wanted)).then(|| Type::Fixed(fixed.clone()))
            }
            (Type::Dictionary, other) | (other, Type::Dictionary) => Type::Fixed(DataType::Utf8).join(other),
            (Type::Fixed(_), Type::Fixed(_)) => None,
        }
    }

    fn data_type(&self) -> DataType {
        match self {
            Type::Fixed(kind) => kind.clone(),
            Type::Dictionary => parquet::dictionary_type(),
            Type::Judged(kind) => kind.data_type(),
        }
    }
}
