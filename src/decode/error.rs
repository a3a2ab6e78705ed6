//! What can be wrong with an input file.

use std::sync::Arc;

use parquet::errors::ParquetError;

use crate::labels::parse::LabelError;

/// A fault of the input, with the place where it lies.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    #[error("cannot read {object}")]
    Read { object: Arc<str>, source: std::io::Error },

    #[error(
        "{object} is not a readable Parquet file; it may be truncated or still being written: \
         upload it again or move it away"
    )]
    Footer { object: Arc<str>, source: ParquetError },

    #[error("{object} is empty (0 bytes), so no Parquet file: upload it again or move it away")]
    ZeroBytes { object: Arc<str> },

    #[error("{object} has no column {column}, which is needed; it has: {present}")]
    MissingColumn { object: Arc<str>, column: &'static str, present: String },

    #[error("{object} has several columns that differ from {column} in case only: {found}")]
    AmbiguousColumn { object: Arc<str>, column: &'static str, found: String },

    #[error("{object}, column {column}: the type is {found}, which cannot be read as {wanted}")]
    ColumnType { object: Arc<str>, column: &'static str, found: String, wanted: &'static str },

    #[error("{object}, row group {row_group}, column {column}: the data is damaged")]
    Damaged { object: Arc<str>, row_group: usize, column: &'static str, source: ParquetError },

    #[error("{object}, row group {row_group}, column {column}: {problem}")]
    Value { object: Arc<str>, row_group: usize, column: &'static str, problem: String },

    #[error("{object}, row group {row_group}, column {column}: the text {text:?}")]
    Label {
        object: Arc<str>,
        row_group: usize,
        column: &'static str,
        text: String,
        source: LabelError,
    },

    #[error(
        "{object}, row group {row_group}: its statistics say {promised}, but it holds a row of \
         {found}; the file was not written properly"
    )]
    Statistics { object: Arc<str>, row_group: usize, promised: String, found: String },
}

/// Where in the input a column chunk lies.
#[derive(Debug, Clone)]
pub struct Place {
    pub object: Arc<str>,
    pub row_group: usize,
    pub column: &'static str,
}

impl Place {
    pub fn damaged(&self, source: ParquetError) -> InputError {
        // A file or store that failed while pages were read is not a damaged one.
        let source = match source {
            ParquetError::External(error) => match error.downcast::<std::io::Error>() {
                Ok(source) if source.kind() == std::io::ErrorKind::UnexpectedEof => {
                    ParquetError::EOF(source.to_string())
                }
                Ok(source) => {
                    return InputError::Read { object: self.object.clone(), source: *source };
                }
                Err(error) => ParquetError::External(error),
            },
            source => source,
        };
        InputError::Damaged {
            object: self.object.clone(),
            row_group: self.row_group,
            column: self.column,
            source: said_once(source),
        }
    }

    pub fn value(&self, problem: impl Into<String>) -> InputError {
        InputError::Value {
            object: self.object.clone(),
            row_group: self.row_group,
            column: self.column,
            problem: problem.into(),
        }
    }

    pub fn label(&self, text: &str, source: LabelError) -> InputError {
        InputError::Label {
            object: self.object.clone(),
            row_group: self.row_group,
            column: self.column,
            text: excerpt(text),
            source,
        }
    }
}

/// An error of the Parquet reader without the cause that it both quotes and has as its source.
pub fn said_once(error: ParquetError) -> ParquetError {
    match error {
        ParquetError::External(cause) => ParquetError::General(cause.to_string()),
        error => error,
    }
}

/// The start of a text, short enough for a message.
fn excerpt(text: &str) -> String {
    const MOST: usize = 120;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
