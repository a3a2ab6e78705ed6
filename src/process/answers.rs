//! What a worker tells the coordinator: an Arrow IPC stream, whose schema is the greeting.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read, Write};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray, RecordBatch, UInt8Array, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use serde::{Deserialize, Serialize};

use crate::contained::contained;
use crate::pipeline::DayCounts;

/// Changes whenever [`Answer`], [`super::orders`], [`super::states`] or [`super::rows`] do.
const PROTOCOL: &str = concat!("ocp-rollup ", env!("CARGO_PKG_VERSION"), " protocol 2");

/// One answer.
#[derive(Debug, PartialEq)]
pub enum Answer {
    /// A sign of life.
    Alive,
    /// A piece of the state of a unit, which counts from the first of the task: see
    /// [`super::states`].
    State { unit: usize, piece: Vec<u8> },
    /// Some rows of a unit that the task has all of, in order: see [`super::rows`].
    Rows { unit: usize, piece: Vec<u8> },
    /// All of the task was sent.
    Done(Report),
    /// The task cannot be done, here or elsewhere.
    Failed(Failure),
}

/// What a worker did for a task.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub rows: u64,
    pub rows_outside: u64,
    pub rows_without_time: u64,
    pub odd_values: BTreeMap<String, u64>,
    pub chunks: u64,
    pub shrunk: u32,
    pub grown: u32,
    pub least_rows: usize,
    /// Compressed bytes and groups that went to disk.
    pub spilled: (u64, u64),
    pub aggregate_micros: u64,
    pub finish_micros: u64,
    /// Units whose rows were sent, which may be none, instead of their states.
    pub finished: Vec<(usize, DayCounts)>,
    /// Requests, bytes of bodies, and failed tries in the order of `Fault::ALL`, since the last
    /// report.
    pub requests: u64,
    pub fetched: u64,
    pub faults: Vec<u64>,
    /// The most memory that was resident at once so far, in bytes.
    pub peak: u64,
}

/// Why a task cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub message: String,
    /// The exit code that goes with it.
    pub code: u8,
    /// The object that was replaced or removed while it was read, and whether it was removed.
    pub moved: Option<(String, bool)>,
}

const ALIVE: u8 = 0;
const STATE: u8 = 1;
const DONE: u8 = 2;
const FAILED: u8 = 3;
const ROWS: u8 = 4;

fn schema() -> Schema {
    let fields = vec![
        Field::new("kind", DataType::UInt8, false),
        Field::new("unit", DataType::UInt32, false),
        Field::new("body", DataType::Binary, false),
    ];
    let facts = [("protocol".to_owned(), PROTOCOL.to_owned())];
    Schema::new_with_metadata(fields, HashMap::from(facts))
}

/// Writes answers.
pub struct AnswerWriter<W: Write> {
    stream: StreamWriter<W>,
    schema: Arc<Schema>,
}

impl<W: Write> AnswerWriter<W> {
    /// Greets.
    ///
    /// # Errors
    /// The coordinator is gone.
    pub fn new(out: W) -> io::Result<Self> {
        let schema = Arc::new(schema());
        let mut stream = StreamWriter::try_new(out, &schema).map_err(io_error)?;
        stream.flush().map_err(io_error)?;
        Ok(AnswerWriter { stream, schema })
    }

    /// # Errors
    /// The coordinator is gone.
    pub fn send(&mut self, answer: &Answer) -> io::Result<()> {
        let json;
        let (kind, unit, body) = match answer {
            Answer::Alive => (ALIVE, 0, &[][..]),
            Answer::State { unit, piece } => (STATE, *unit as u32, &piece[..]),
            Answer::Rows { unit, piece } => (ROWS, *unit as u32, &piece[..]),
            Answer::Done(report) => {
                json = serde_json::to_vec(report)?;
                (DONE, 0, &json[..])
            }
            Answer::Failed(failure) => {
                json = serde_json::to_vec(failure)?;
                (FAILED, 0, &json[..])
            }
        };
        let columns: Vec<ArrayRef> = vec![
            Arc::new(UInt8Array::from(vec![kind])),
            Arc::new(UInt32Array::from(vec![unit])),
            Arc::new(BinaryArray::from(vec![body])),
        ];
        let batch = RecordBatch::try_new(self.schema.clone(), columns).map_err(io_error)?;
        self.stream.write(&batch).map_err(io_error)?;
        self.stream.flush().map_err(io_error)
    }
}

fn io_error(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, source) => source,
        error => io::Error::other(error),
    }
}

/// Reads answers.
pub struct AnswerReader<R: Read> {
    stream: StreamReader<R>,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAnswer {
    /// The stream ended or broke off.
    End,
    Garbled,
    Version,
}

impl<R: Read> AnswerReader<R> {
    /// Waits for the greeting.
    ///
    /// # Errors
    /// None, or one of another version.
    pub fn new(input: R) -> Result<Self, NoAnswer> {
        let stream = contained(|| StreamReader::try_new(input, None));
        let stream = stream.map_err(|_| NoAnswer::Garbled)?.map_err(no_answer)?;
        if stream.schema().as_ref() != &schema() {
            return Err(NoAnswer::Version);
        }
        Ok(AnswerReader { stream })
    }

    /// Waits for an answer.
    ///
    /// # Errors
    /// The stream ended, or does not hold one.
    pub fn receive(&mut self) -> Result<Answer, NoAnswer> {
        let batch = contained(|| self.stream.next()).map_err(|_| NoAnswer::Garbled)?;
        let batch = batch.ok_or(NoAnswer::End)?.map_err(no_answer)?;
        answer(&batch).ok_or(NoAnswer::Garbled)
    }
}

fn no_answer(error: ArrowError) -> NoAnswer {
    match error {
        // A stream that ends within a message is one that ends.
        ArrowError::IoError(..) => NoAnswer::End,
        _ => NoAnswer::Garbled,
    }
}

fn answer(batch: &RecordBatch) -> Option<Answer> {
    let column = |index: usize| batch.column(index).as_any();
    let kinds = column(0).downcast_ref::<UInt8Array>()?;
    let units = column(1).downcast_ref::<UInt32Array>()?;
    let bodies = column(2).downcast_ref::<BinaryArray>()?;
    if batch.num_rows() != 1 {
        return None;
    }
    let body = bodies.value(0);
    Some(match kinds.value(0) {
        ALIVE => Answer::Alive,
        STATE => Answer::State { unit: units.value(0) as usize, piece: body.to_vec() },
        ROWS => Answer::Rows { unit: units.value(0) as usize, piece: body.to_vec() },
        DONE => Answer::Done(serde_json::from_slice(body).ok()?),
        FAILED => Answer::Failed(serde_json::from_slice(body).ok()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers() -> Vec<Answer> {
        let finished = vec![(2, DayCounts { groups: 5, ..DayCounts::default() })];
        let (spilled, faults) = ((1, 2), vec![0, 3]);
        let report = Report { rows: 7, spilled, faults, finished, ..Report::default() };
        let moved = Some(("data/x.parquet".to_owned(), true));
        vec![
            Answer::Alive,
            Answer::State { unit: 3, piece: (0..=255).collect() },
            Answer::State { unit: 0, piece: Vec::new() },
            Answer::Rows { unit: 2, piece: vec![7; 9] },
            Answer::Done(report),
            Answer::Failed(Failure { message: "bad\nfile".to_owned(), code: 3, moved }),
        ]
    }

    fn stream() -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = AnswerWriter::new(&mut bytes).unwrap();
        answers().iter().for_each(|answer| writer.send(answer).unwrap());
        drop(writer);
        bytes
    }

    #[test]
    fn answers_arrive_as_they_were_sent() {
        let bytes = stream();
        let mut reader = AnswerReader::new(&bytes[..]).unwrap();
        for expected in answers() {
            assert_eq!(reader.receive().unwrap(), expected);
        }
        assert!(matches!(reader.receive(), Err(NoAnswer::End)));
    }

    /// A worker may die at any byte: no answer may be made up of what it left.
    #[test]
    fn what_breaks_off_is_no_answer() {
        let bytes = stream();
        for end in 0..bytes.len() {
            let Ok(mut reader) = AnswerReader::new(&bytes[..end]) else { continue };
            let mut whole = answers().into_iter();
            while let Ok(answer) = reader.receive() {
                assert_eq!(Some(answer), whole.next(), "cut at {end}");
            }
            assert!(whole.next().is_some(), "all answers in the first {end} bytes");
        }
    }

    #[test]
    fn another_version_is_refused() {
        let bytes = stream();
        let at = bytes.windows(10).position(|part| part == b"protocol 2").unwrap();
        let mut other = bytes.clone();
        other[at + 9] = b'1';
        assert!(matches!(AnswerReader::new(&other[..]), Err(NoAnswer::Version)));
        assert!(AnswerReader::new(&b"ocp-rollup 0.0.1\n"[..]).is_err());
    }
}
