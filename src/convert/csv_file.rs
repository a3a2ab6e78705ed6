//! The rows of a CSV file, cleaned.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::rc::Rc;

use chrono::NaiveDateTime;
use csv::ByteRecord;
use xxhash_rust::xxh3::Xxh3;

use super::ConvertError;
use super::clean::{self, Labels};
use super::header::{self, Column, Content, From, Mapping};
use crate::line_items::columns::Kind;

/// Bytes that a line may have.
const LONGEST_LINE: usize = 4 << 20;
/// Above this a measure is no usage: Koku drops such rows.
const ANOMALOUS: f64 = 1e18;

/// A CSV file on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// As messages name it: a path, or an archive and its member.
    pub name: String,
    pub path: PathBuf,
}

/// A CSV file being read.
pub struct CsvFile {
    name: String,
    csv: csv::Reader<Guard>,
    budget: Rc<Cell<usize>>,
    hash: Rc<RefCell<Xxh3>>,
    record: ByteRecord,
    columns: Vec<Column>,
    labels: Labels,
    row: Row,
}

/// A cleaned row; values of each kind in the order of the columns.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// Milliseconds since 1970.
    pub times: Vec<i64>,
    pub texts: Vec<String>,
    pub numbers: Vec<f64>,
    interval_start: NaiveDateTime,
}

impl Row {
    pub fn interval_start(&self) -> NaiveDateTime {
        self.interval_start
    }

    /// Whether a measure is larger than usage can be.
    pub fn is_anomalous(&self) -> bool {
        self.numbers.iter().any(|number| *number > ANOMALOUS)
    }
}

/// What the file holds, by its first line.
///
/// # Errors
/// If it cannot be read or its header is unknown.
pub fn content(source: &Source) -> Result<Content, ConvertError> {
    let (mut csv, budget, _) = open(source)?;
    let header = read_header(&mut csv, &budget, &source.name)?;
    let names: Vec<_> = header.iter().map(String::from_utf8_lossy).collect();
    header::content(names.iter().map(AsRef::as_ref))
        .map_err(|hint| ConvertError::Header { file: source.name.clone(), hint })
}

impl CsvFile {
    /// Opens a file whose columns stand as in `mapping`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open(source: &Source, mapping: &Mapping) -> Result<Self, ConvertError> {
        let (mut csv, budget, hash) = open(source)?;
        read_header(&mut csv, &budget, &source.name)?;
        Ok(Self {
            name: source.name.clone(),
            csv,
            budget,
            hash,
            record: ByteRecord::new(),
            columns: mapping.columns.clone(),
            labels: Labels::default(),
            row: Row::default(),
        })
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// If the file cannot be read, or a line or a cell is not what it must be.
    pub fn next(&mut self) -> Result<Option<&Row>, ConvertError> {
        self.budget.set(LONGEST_LINE);
        // Where the line begins if it cannot be read to its end.
        let line = self.csv.position().line();
        let more = self
            .csv
            .read_byte_record(&mut self.record)
            .map_err(|error| failed(&self.name, line, self.budget.get(), error))?;
        if !more {
            return Ok(None);
        }
        self.row.times.clear();
        self.row.numbers.clear();
        let mut texts = 0;
        for column in &self.columns {
            let cell = Cells { file: &self.name, record: &self.record, name: column.name };
            match (column.kind, column.from) {
                (Kind::Time, From::Field(at) | From::Larger(at, _)) => {
                    let time = cell.time(at)?;
                    if column.name == "interval_start" {
                        self.row.interval_start = time;
                    }
                    self.row.times.push(time.and_utc().timestamp_millis());
                }
                (Kind::Text, From::Field(at) | From::Larger(at, _)) => {
                    if texts == self.row.texts.len() {
                        self.row.texts.push(String::new());
                    }
                    let out = &mut self.row.texts[texts];
                    texts += 1;
                    out.clear();
                    out.push_str(cell.text_or_labels(at, &mut self.labels)?);
                }
                (Kind::Number, From::Field(at)) => self.row.numbers.push(cell.number(at)?),
                (Kind::Number, From::Larger(one, other)) => {
                    self.row.numbers.push(cell.number(one)?.max(cell.number(other)?));
                }
            }
        }
        Ok(Some(&self.row))
    }

    /// Hash of the bytes read so far: of the whole file after its last row.
    pub fn digest(&self) -> u128 {
        self.hash.borrow().digest128()
    }
}

/// The cells of one column of a record.
struct Cells<'a> {
    file: &'a str,
    record: &'a ByteRecord,
    name: &'a str,
}

impl<'a> Cells<'a> {
    fn text(&self, at: usize) -> Result<&'a str, ConvertError> {
        // Records shorter than the header were refused, and so was the header without the field.
        let bytes = self.record.get(at).unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|_| self.fault(at, "UTF-8 text"))
    }

    fn text_or_labels<'l>(&self, at: usize, labels: &'l mut Labels) -> Result<&'l str, ConvertError>
    where
        'a: 'l,
    {
        let text = self.text(at)?;
        if text.contains(['\n', '\r']) {
            return Err(self.fault(at, "a text without line breaks; is a quote not closed?"));
        }
        if !self.name.ends_with("_labels") {
            return Ok(text);
        }
        labels
            .json(text)
            .ok_or_else(|| self.fault(at, "labels like label_app:web|label_env:test, not JSON"))
    }

    fn number(&self, at: usize) -> Result<f64, ConvertError> {
        clean::number(self.text(at)?).ok_or_else(|| self.fault(at, "a number"))
    }

    fn time(&self, at: usize) -> Result<NaiveDateTime, ConvertError> {
        clean::time(self.text(at)?)
            .ok_or_else(|| self.fault(at, "a time in UTC like 2025-10-01 00:00:00 +0000 UTC"))
    }

    fn fault(&self, at: usize, must_be: &'static str) -> ConvertError {
        let text = String::from_utf8_lossy(self.record.get(at).unwrap_or_default()).into_owned();
        let mut value: String = text.chars().take(80).collect();
        if value.len() < text.len() {
            value.push('…');
        }
        ConvertError::Cell {
            file: self.file.to_owned(),
            line: self.record.position().map_or(0, csv::Position::line),
            column: self.name.to_owned(),
            value,
            must_be,
        }
    }
}

type Opened = (csv::Reader<Guard>, Rc<Cell<usize>>, Rc<RefCell<Xxh3>>);

fn open(source: &Source) -> Result<Opened, ConvertError> {
    let file = File::open(&source.path)
        .map_err(|error| ConvertError::Open { path: source.path.clone(), source: error })?;
    let budget = Rc::new(Cell::new(LONGEST_LINE));
    let hash = Rc::new(RefCell::new(Xxh3::new()));
    let guard = Guard { file, budget: Rc::clone(&budget), hash: Rc::clone(&hash) };
    let csv = csv::ReaderBuilder::new().buffer_capacity(1 << 16).from_reader(guard);
    Ok((csv, budget, hash))
}

fn read_header(
    csv: &mut csv::Reader<Guard>,
    budget: &Cell<usize>,
    file: &str,
) -> Result<ByteRecord, ConvertError> {
    csv.byte_headers().cloned().map_err(|error| failed(file, 1, budget.get(), error))
}

fn failed(file: &str, line: u64, budget: usize, error: csv::Error) -> ConvertError {
    let file = file.to_owned();
    if let csv::ErrorKind::UnequalLengths { pos, expected_len, len } = error.kind() {
        return ConvertError::Fields {
            file,
            line: pos.as_ref().map_or(line, csv::Position::line),
            fields: *len,
            expected: *expected_len,
        };
    }
    if budget == 0 {
        return ConvertError::LongLine { file, line, limit: LONGEST_LINE };
    }
    ConvertError::Read { file, source: error }
}

/// A file that is read for one line only so far: the CSV reader would take a line of any length
/// into memory, and a quote that is not closed makes one of the rest of the file.
struct Guard {
    file: File,
    /// Bytes that may still be read for the line.
    budget: Rc<Cell<usize>>,
    hash: Rc<RefCell<Xxh3>>,
}

impl Read for Guard {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let budget = self.budget.get();
        if budget == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the line is too long"));
        }
        let bytes = self.file.read(buffer)?;
        self.budget.set(budget.saturating_sub(bytes));
        self.hash.borrow_mut().update(&buffer[..bytes]);
        Ok(bytes)
    }
}
