//! One column of a row group, by whichever way can read it.

use super::arrays::ArrayColumn;
use super::error::{InputError, Place};
use super::pages::PageColumn;
use super::times::{NO_TIME, TimeUnit};
use super::unpack::Spare;
use crate::aggregate::partial::StateId;
use crate::aggregate::rows::Id;

/// Makes ids of texts.
pub trait Resolve {
    /// What a text becomes.
    type Id: Id;

    /// Appends the id of each of `texts`, which lie at `place`.
    ///
    /// # Errors
    /// The first text that has no id.
    fn ids<'t>(
        &mut self,
        texts: impl Iterator<Item = &'t [u8]>,
        place: &Place,
        out: &mut Vec<Self::Id>,
    ) -> Result<(), InputError>;
}

/// A forward reader.
pub enum Column {
    /// From raw pages; times have a unit.
    Pages(Box<PageColumn>, TimeUnit),
    /// Through Arrow arrays.
    Arrays(Box<ArrayColumn>),
    /// The file has no such column: every row is null.
    Missing,
}

impl Column {
    /// Rows that can be read at once; at least one unless the column ends early, an error.
    pub fn available(&mut self) -> Result<usize, InputError> {
        match self {
            Column::Pages(column, _) => column.available(),
            Column::Arrays(column) => column.available(),
            Column::Missing => Ok(usize::MAX),
        }
    }

    /// Bytes of the pages or arrays that were decoded so far, and those that are held of them.
    pub fn decoded(&self) -> (u64, u64) {
        match self {
            Column::Pages(column, _) => column.decoded(),
            Column::Arrays(column) => column.decoded(),
            Column::Missing => (0, 0),
        }
    }

    /// Memory for the pages of the same column of another row group.
    pub fn into_spare(self) -> Spare {
        match self {
            Column::Pages(column, _) => column.into_spare(),
            Column::Arrays(_) | Column::Missing => Spare::new(),
        }
    }

    pub fn skip(&mut self, count: usize) -> Result<(), InputError> {
        match self {
            Column::Pages(column, _) => column.skip(count),
            Column::Arrays(column) => column.skip(count),
            Column::Missing => Ok(()),
        }
    }

    /// Appends `count` doubles, NaN for null. `count` is at most [`Column::available`].
    pub fn numbers(&mut self, count: usize, out: &mut Vec<f64>) -> Result<(), InputError> {
        match self {
            Column::Pages(column, _) => column.numbers(count, out),
            Column::Arrays(column) => column.numbers(count, out),
            Column::Missing => {
                out.resize(out.len() + count, f64::NAN);
                Ok(())
            }
        }
    }

    /// Appends `count` times in microseconds, [`NO_TIME`] for null.
    pub fn times(&mut self, count: usize, out: &mut Vec<i64>) -> Result<(), InputError> {
        match self {
            Column::Pages(column, unit) => column.times(count, *unit, out),
            Column::Arrays(column) => column.times(count, out),
            Column::Missing => {
                out.resize(out.len() + count, NO_TIME);
                Ok(())
            }
        }
    }

    /// Appends `count` ids that `resolve` makes for the partial state `state`; `null` for null.
    pub fn texts<R: Resolve>(
        &mut self,
        count: usize,
        state: StateId,
        null: R::Id,
        resolve: &mut R,
        out: &mut Vec<R::Id>,
    ) -> Result<(), InputError> {
        match self {
            Column::Pages(column, _) => column.texts(count, state, null, resolve, out),
            Column::Arrays(column) => column.texts(count, null, resolve, out),
            Column::Missing => {
                out.resize(out.len() + count, null);
                Ok(())
            }
        }
    }
}
