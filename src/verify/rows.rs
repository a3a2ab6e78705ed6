//! The rows of one side, by column, texts interned.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::canonical::{self, Expected};
use super::number::Number;
use super::{Filter, LoadError};
use crate::summary::columns::ColumnType;

/// The id of SQL NULL in every vocabulary.
pub(super) const NULL_ID: u32 = 0;

/// The rows of one side, ready to compare.
#[derive(Debug)]
pub struct Rows {
    pub(super) name: String,
    pub(super) len: usize,
    pub(super) columns: Vec<Column>,
    pub(super) vocabulary: Vocabulary,
}

impl Rows {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What the rows were read from.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// A column; what lies beyond the end of its vector is null, so an unused column costs nothing.
#[derive(Debug)]
pub(super) struct Column {
    pub name: String,
    pub column_type: ColumnType,
    pub data: Data,
}

#[derive(Debug)]
pub(super) enum Data {
    Numbers(Vec<Number>),
    /// Ids in the side's vocabulary.
    Texts(Vec<u32>),
}

impl Column {
    fn new(name: &str) -> Self {
        let column_type = canonical::column_type(name);
        let data = match column_type {
            ColumnType::Numeric => Data::Numbers(Vec::new()),
            _ => Data::Texts(Vec::new()),
        };
        Column { name: name.to_owned(), column_type, data }
    }

    pub fn number(&self, row: usize) -> Number {
        match &self.data {
            Data::Numbers(values) => values.get(row).copied().unwrap_or(Number::NULL),
            Data::Texts(_) => Number::NULL,
        }
    }

    pub fn id(&self, row: usize) -> u32 {
        match &self.data {
            Data::Texts(ids) => ids.get(row).copied().unwrap_or(NULL_ID),
            Data::Numbers(_) => NULL_ID,
        }
    }

    /// Rows in which the column is not null.
    pub fn filled(&self) -> usize {
        match &self.data {
            Data::Numbers(values) => values.iter().filter(|&&v| v != Number::NULL).count(),
            Data::Texts(ids) => ids.iter().filter(|&&id| id != NULL_ID).count(),
        }
    }

    fn truncate(&mut self, rows: usize) {
        match &mut self.data {
            Data::Numbers(values) => values.truncate(rows),
            Data::Texts(ids) => ids.truncate(rows),
        }
    }
}

/// The distinct texts of a side.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    ids: FxHashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
}

impl Vocabulary {
    pub fn intern(&mut self, text: &str) -> u32 {
        if let Some(&id) = self.ids.get(text) {
            return id;
        }
        let text: Arc<str> = Arc::from(text);
        self.texts.push(Arc::clone(&text));
        // Ids begin at 1: 0 is null.
        let id = self.texts.len() as u32;
        self.ids.insert(text, id);
        id
    }

    pub fn find(&self, text: &str) -> Option<u32> {
        self.ids.get(text).copied()
    }

    /// The text of `id`; `None` is null.
    pub fn text(&self, id: u32) -> Option<&str> {
        let index = (id as usize).checked_sub(1)?;
        self.texts.get(index).map(|t| &**t)
    }

    /// All texts, in the order of their ids from 1.
    pub fn texts(&self) -> &[Arc<str>] {
        &self.texts
    }
}

/// Takes values field by field, row by row.
pub(super) struct Builder {
    rows: Rows,
    /// For each input column its place in `rows.columns`; `None` is skipped.
    places: Vec<Option<usize>>,
    memos: Vec<Memo>,
    filter: RowFilter,
}

/// The last text of a column and the id it got: neighbouring rows repeat themselves.
#[derive(Default)]
struct Memo {
    raw: String,
    id: u32,
    /// Raw texts seen before, where making the canonical one takes work.
    seen: FxHashMap<Box<str>, u32>,
}

#[derive(Default)]
struct RowFilter {
    from: Option<String>,
    to: Option<String>,
    sources: Vec<String>,
    date_column: usize,
    source_column: usize,
}

impl Builder {
    /// A side called `name` whose input has the columns `header`.
    ///
    /// # Errors
    /// A column occurs twice, or one that the filter needs is missing.
    pub fn new(name: String, header: &[String], filter: &Filter) -> Result<Self, LoadError> {
        let mut columns: Vec<Column> = Vec::with_capacity(header.len());
        let mut places = Vec::with_capacity(header.len());
        for column in header {
            // Random in every run.
            if column == "uuid" {
                places.push(None);
                continue;
            }
            if columns.iter().any(|c| c.name == *column) {
                return Err(LoadError::DuplicateColumn { file: name, column: column.clone() });
            }
            places.push(Some(columns.len()));
            columns.push(Column::new(column));
        }
        let place = |column: &'static str| {
            columns
                .iter()
                .position(|c| c.name == column)
                .ok_or_else(|| LoadError::NoFilterColumn { file: name.clone(), column })
        };
        let mut row_filter = RowFilter {
            from: filter.from.map(|d| d.to_string()),
            to: filter.to.map(|d| d.to_string()),
            sources: filter.provider_uuids.iter().map(|u| u.hyphenated().to_string()).collect(),
            ..RowFilter::default()
        };
        if filter.from.is_some() || filter.to.is_some() {
            row_filter.date_column = place("usage_start")?;
        }
        if !filter.provider_uuids.is_empty() {
            row_filter.source_column = place("source_uuid")?;
        }
        let memos = columns.iter().map(|_| Memo::default()).collect();
        Ok(Builder {
            rows: Rows { name, len: 0, columns, vocabulary: Vocabulary::default() },
            places,
            memos,
            filter: row_filter,
        })
    }

    /// The name and type of input column `column`; `None` if it is skipped.
    pub fn column(&self, column: usize) -> Option<(&str, ColumnType)> {
        let column = &self.rows.columns[self.places[column]?];
        Some((&column.name, column.column_type))
    }

    /// Sets a value of the row in progress. What is not set is null.
    ///
    /// # Errors
    /// `text` is not what the column's type calls for.
    pub fn text(&mut self, column: usize, text: &str) -> Result<(), Expected> {
        let Some(place) = self.places[column] else { return Ok(()) };
        let column_type = self.rows.columns[place].column_type;
        if column_type == ColumnType::Numeric {
            let number = canonical::number(text)?;
            self.number(column, number);
            return Ok(());
        }
        let memo = &mut self.memos[place];
        let vocabulary = &mut self.rows.vocabulary;
        let id = if memo.id != NULL_ID && memo.raw == text {
            memo.id
        } else if column_type == ColumnType::Text {
            vocabulary.intern(text)
        } else if let Some(&id) = memo.seen.get(text) {
            id
        } else {
            let id = vocabulary.intern(&canonical::canonical(column_type, text)?);
            memo.seen.insert(text.into(), id);
            id
        };
        if memo.id != id || memo.raw != text {
            memo.raw.clear();
            memo.raw.push_str(text);
            memo.id = id;
        }
        let len = self.rows.len;
        if let Data::Texts(ids) = &mut self.rows.columns[place].data {
            ids.resize(len, NULL_ID);
            ids.push(id);
        }
        Ok(())
    }

    /// Sets a number of the row in progress.
    pub fn number(&mut self, column: usize, number: f64) {
        let Some(place) = self.places[column] else { return };
        let len = self.rows.len;
        if let Data::Numbers(values) = &mut self.rows.columns[place].data {
            values.resize(len, Number::NULL);
            values.push(Number::new(number));
        }
    }

    /// Ends the row in progress, and forgets it if the filter does not let it through.
    pub fn end_row(&mut self) {
        if self.keeps() {
            self.rows.len += 1;
        } else {
            let len = self.rows.len;
            self.rows.columns.iter_mut().for_each(|c| c.truncate(len));
        }
    }

    fn keeps(&self) -> bool {
        let filter = &self.filter;
        let text = |column: usize| {
            let column = &self.rows.columns[column];
            self.rows.vocabulary.text(column.id(self.rows.len))
        };
        if filter.from.is_some() || filter.to.is_some() {
            // A time of day sorts behind its date alone: only the date counts.
            let Some(date) = text(filter.date_column).and_then(|t| t.get(..10)) else {
                return false;
            };
            if filter.from.as_deref().is_some_and(|from| date < from)
                || filter.to.as_deref().is_some_and(|to| date > to)
            {
                return false;
            }
        }
        filter.sources.is_empty()
            || text(filter.source_column).is_some_and(|s| filter.sources.iter().any(|f| f == s))
    }

    pub fn finish(self) -> Rows {
        self.rows
    }
}
