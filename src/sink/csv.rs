//! The CSV sink.
//!
//! One header line with every column of [`COLUMNS`], then one line a row. UTF-8, `,` between
//! fields, `\n` after each line. NULL is a bare `\N`; a text that *is* `\N` is quoted, `"\N"`, so
//! the two stay apart for readers that look at quotes (PostgreSQL's `COPY … CSV NULL '\N'` and
//! `ocp-rollup verify` do). An empty field is an empty text. A field is quoted only where it must
//! be: when it holds `,`, `"`, a carriage return or a line feed. Doubles are the shortest digits
//! that read back as the same double, whole numbers without `.0`; JSON and dates stand as they are.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use super::file::{FileError, PendingFile};
use super::{Ended, Sink, SinkError};
use crate::database::Passing;
use crate::summary::columns::{COLUMNS, DayTexts, Value};
use crate::summary::row::{DayMeta, RowBatch};

/// Bytes gathered before they are written.
const BUFFER: usize = 1 << 18;

/// Writes finished days to one CSV file, which appears when the run is complete.
#[derive(Debug)]
pub struct CsvSink {
    file: PendingFile,
    line: String,
}

impl CsvSink {
    /// Opens a temporary file beside `path` and writes the header to it.
    ///
    /// # Errors
    /// The file cannot be made or written: see [`FileError`].
    pub fn create(path: &Path) -> Result<Self, FileError> {
        let mut line = String::with_capacity(BUFFER + (1 << 14));
        for (i, column) in COLUMNS.iter().enumerate() {
            if i > 0 {
                line.push(',');
            }
            line.push_str(column.name);
        }
        line.push('\n');
        Ok(CsvSink { file: PendingFile::create(path)?, line })
    }

    fn flush(&mut self) -> Result<(), FileError> {
        self.file.write_all(self.line.as_bytes()).map_err(|e| self.file.error(e))?;
        self.line.clear();
        Ok(())
    }
}

impl Sink for CsvSink {
    fn begin_day(&mut self, _day: &Arc<DayMeta>) -> Result<(), SinkError> {
        Ok(())
    }

    fn write(&mut self, rows: &RowBatch) -> Result<(), SinkError> {
        let day = DayTexts::new(&rows.day);
        for row in &rows.rows {
            for (i, column) in COLUMNS.iter().enumerate() {
                if i > 0 {
                    self.line.push(',');
                }
                encode(column.value(rows, &day, row), &mut self.line);
            }
            self.line.push('\n');
            if self.line.len() >= BUFFER {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn end_day(&mut self) -> Result<Ended, SinkError> {
        Ok(Ended::InPlace)
    }

    /// What a file does not take now it will not take later.
    fn recover(&mut self, failed: SinkError) -> Result<Passing, SinkError> {
        Err(failed)
    }

    fn finish(mut self: Box<Self>) -> Result<(), SinkError> {
        self.flush()?;
        Ok(self.file.commit()?)
    }
}

/// Appends one field. Writing to a `String` cannot fail, hence the dropped results.
fn encode(value: Value<'_>, line: &mut String) {
    match value {
        Value::Null => line.push_str("\\N"),
        Value::Integer(i) => {
            let _ = write!(line, "{i}");
        }
        Value::Text(text) | Value::Json(text) => encode_text(text, line),
        Value::Date(date) => {
            let _ = write!(line, "{date}");
        }
        Value::Numeric(number) => encode_number(number, line),
        Value::Uuid(uuid) => {
            let _ = write!(line, "{uuid}");
        }
    }
}

fn encode_number(number: f64, line: &mut String) {
    if number.is_nan() {
        line.push_str("\\N");
        return;
    }
    let start = line.len();
    // `{:?}` rather than `{}`: the latter spells 1e300 with three hundred zeros.
    let _ = write!(line, "{number:?}");
    if line[start..].ends_with(".0") {
        line.truncate(line.len() - 2);
    }
}

fn encode_text(text: &str, line: &mut String) {
    if text == "\\N" {
        line.push_str("\"\\N\"");
    } else if text.bytes().any(|b| matches!(b, b',' | b'"' | b'\r' | b'\n')) {
        line.push('"');
        let mut pieces = text.split('"');
        line.push_str(pieces.next().unwrap_or_default());
        for piece in pieces {
            line.push_str("\"\"");
            line.push_str(piece);
        }
        line.push('"');
    } else {
        line.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(value: Value<'_>) -> String {
        let mut line = String::new();
        encode(value, &mut line);
        line
    }

    #[test]
    fn numbers_are_short_and_read_back() {
        for (number, text) in [
            (72.0, "72"),
            (0.1, "0.1"),
            (-0.0, "-0"),
            (1e300, "1e300"),
            (1e-300, "1e-300"),
            (1e16, "1e16"),
            (123456789.0, "123456789"),
            (-385.65000000000003, "-385.65000000000003"),
            (100.0, "100"),
            (f64::NAN, "\\N"),
        ] {
            assert_eq!(field(Value::Numeric(number)), text);
        }
    }

    #[test]
    fn only_what_needs_quotes_gets_them() {
        for (text, encoded) in [
            ("", ""),
            ("plain text", "plain text"),
            (" padded ", " padded "),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("\"", "\"\"\"\""),
            ("a\nb", "\"a\nb\""),
            ("a\rb", "\"a\rb\""),
            ("\\N", "\"\\N\""),
            ("\\Nx", "\\Nx"),
            ("Zürich 東京", "Zürich 東京"),
        ] {
            assert_eq!(field(Value::Text(text)), encoded);
        }
        assert_eq!(field(Value::Null), "\\N");
        assert_eq!(field(Value::Json(r#"{"a":"b"}"#)), r#""{""a"":""b""}""#);
    }
}
