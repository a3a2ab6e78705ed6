//! What a worker has sent of a task that is not done yet: it counts for nothing until it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::error::WorkerError;
use super::rows::Taken;
use crate::memory::heap::Heap;
use crate::pipeline::{DayCounts, DayRows, RunError};
use crate::spill::rows::{RunWriter, RunsOfDay};
use crate::spill::spiller::Spiller;
use crate::spill::{Block, SpillError, SpillFile};
use crate::summary::row::DayMeta;

/// What rows take in memory in terms of the bytes that they came as: storage rows, of which half the fields
/// are not sent, take the most.
const GROWTH: u64 = 3;

/// Pieces of states, and of the rows of days that are finished, in the order in which they came.
pub struct Staged<'a> {
    heap: &'a Heap,
    spiller: &'a Spiller,
    states: Vec<(usize, Piece)>,
    rows: BTreeMap<usize, Vec<Piece>>,
    /// Bytes held in memory.
    bytes: u64,
}

enum Piece {
    Held(Vec<u8>),
    OnDisk(Arc<SpillFile>, Block),
}

impl<'a> Staged<'a> {
    pub fn new(heap: &'a Heap, spiller: &'a Spiller) -> Self {
        Staged { heap, spiller, states: Vec::new(), rows: BTreeMap::new(), bytes: 0 }
    }

    /// Keeps a piece of the state of `unit`.
    ///
    /// # Errors
    /// The temporary file cannot be made or written.
    pub fn push_state(&mut self, unit: usize, piece: Vec<u8>) -> Result<(), SpillError> {
        let piece = self.keep(piece)?;
        self.states.push((unit, piece));
        Ok(())
    }

    /// Keeps some rows of `unit`.
    ///
    /// # Errors
    /// The temporary file cannot be made or written.
    pub fn push_rows(&mut self, unit: usize, piece: Vec<u8>) -> Result<(), SpillError> {
        let piece = self.keep(piece)?;
        self.rows.entry(unit).or_default().push(piece);
        Ok(())
    }

    /// Whether `finished`, counted from the first of `units`, are some of these, none of them twice, and
    /// those of which rows came; of others, states.
    pub fn agrees(&self, units: (usize, usize), finished: &[(usize, DayCounts)]) -> bool {
        let (first, last) = units;
        let days: BTreeSet<usize> =
            finished.iter().map(|day| first.saturating_add(day.0)).collect();
        days.len() == finished.len()
            && days.last().is_none_or(|&unit| unit <= last)
            && self.rows.keys().all(|unit| days.contains(unit))
            && !self.states.iter().any(|(unit, _)| days.contains(unit))
    }

    /// In memory while there is room, else on disk.
    fn keep(&mut self, piece: Vec<u8>) -> Result<Piece, SpillError> {
        let bytes = piece.len() as u64;
        // The same bytes are needed again as a state or as rows, and more for what is made of those.
        let is_full = self.heap.used() + bytes > self.heap.limit() / 2;
        if is_full || self.spiller.is_forced(usize::MAX) {
            let file = self.spiller.file()?;
            let block = file.write(&piece)?;
            return Ok(Piece::OnDisk(file, block));
        }
        self.heap.change(0, bytes);
        self.bytes += bytes;
        Ok(Piece::Held(piece))
    }

    /// Hands the pieces of states over, one by one, and lets go of them.
    ///
    /// # Errors
    /// Those of `take`, or a temporary file that cannot be read.
    pub fn take_in_states(
        &mut self,
        mut take: impl FnMut(usize, &[u8]) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        for (unit, piece) in std::mem::take(&mut self.states) {
            self.read(piece, |bytes| take(unit, bytes))?;
        }
        Ok(())
    }

    fn read(
        &mut self,
        piece: Piece,
        take: impl FnOnce(&[u8]) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        match piece {
            Piece::Held(bytes) => {
                take(&bytes)?;
                self.let_go(bytes);
                Ok(())
            }
            Piece::OnDisk(file, block) => take(&file.read(block)?),
        }
    }

    /// The rows that came of `unit`, counted in the heap: in memory if there is room, else as a run on
    /// disk.
    ///
    /// # Errors
    /// Pieces that are no rows, or a temporary file that cannot be used.
    pub fn day(
        &mut self,
        unit: usize,
        meta: &Arc<DayMeta>,
        seed: u64,
    ) -> Result<DayRows, RunError> {
        let pieces = self.rows.remove(&unit).unwrap_or_default();
        let held: Option<u64> = pieces.iter().map(Piece::held).sum();
        // A row takes more than it does in its piece, and its text the same; the pieces go as rows come.
        let room = held.and_then(|bytes| self.heap.try_hold(bytes * GROWTH));
        let mut run = match room {
            Some(_) => None,
            None => Some(RunWriter::new(self.spiller.file()?)),
        };
        let mut taken = Taken::new(meta.clone(), seed);
        for piece in pieces {
            self.read(piece, |bytes| {
                if let Some(run) = run.as_mut().filter(|_| Taken::begins_anew(bytes)) {
                    run.write(&taken.batch())?;
                }
                Ok(taken.take(bytes).map_err(|_| WorkerError::Garbled)?)
            })?;
        }
        let batch = taken.batch();
        let rows = match run {
            None => {
                let bytes = batch.heap_bytes() as u64;
                DayRows::InMemory(batch, bytes)
            }
            Some(mut run) => {
                run.write(&batch)?;
                let runs = RunsOfDay { day: meta.clone(), runs: vec![run.finish()?], seed };
                let bytes = runs.heap_bytes();
                DayRows::OnDisk(runs, bytes)
            }
        };
        self.heap.change(0, rows.bytes());
        Ok(rows)
    }

    fn let_go(&mut self, piece: Vec<u8>) {
        let bytes = piece.len() as u64;
        drop(piece);
        self.heap.change(bytes, 0);
        self.bytes -= bytes;
    }
}

impl Piece {
    /// Its bytes, if it is in memory.
    fn held(&self) -> Option<u64> {
        match self {
            Piece::Held(bytes) => Some(bytes.len() as u64),
            Piece::OnDisk(..) => None,
        }
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        self.heap.change(self.bytes, 0);
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;
    use uuid::Uuid;

    use super::super::rows;
    use super::*;
    use crate::summary::row::{Measures, RowBatch, RowKind, SummaryRow, TextId, Texts};

    fn meta() -> Arc<DayMeta> {
        Arc::new(DayMeta {
            date: NaiveDate::default(),
            source_uuid: Uuid::nil(),
            report_period_id: Some(3),
            cluster_id: None,
            cluster_alias: None,
        })
    }

    /// Rows in the order of a day, of which neighbours share texts.
    fn batch() -> RowBatch {
        let mut texts = Texts::default();
        let mut namespace = TextId::NULL;
        let mut row = |at: u32| {
            if at.is_multiple_of(7) {
                namespace = texts.push(&format!("namespace-{at:05}"));
            }
            SummaryRow {
                kind: RowKind::Pod,
                cost_category_id: (!at.is_multiple_of(3)).then_some(at as i32 % 5),
                namespace,
                node: namespace,
                resource_id: TextId::NULL,
                pod_labels: texts.push(&format!(r#"{{"app": "{at:05}"}}"#)),
                persistentvolumeclaim: TextId::NULL,
                persistentvolume: TextId::NULL,
                storageclass: TextId::NULL,
                csi_volume_handle: TextId::NULL,
                volume_labels: TextId::NULL,
                measures: Measures::Pod([f64::from(at); 14]),
            }
        };
        let rows = (0..4000).map(&mut row).collect();
        RowBatch { day: meta(), texts, rows }
    }

    fn lines(batch: &RowBatch) -> Vec<String> {
        let line = |row: &SummaryRow| {
            let texts = [row.namespace, row.node, row.pod_labels].map(|id| batch.text(id));
            format!("{texts:?} {:?} {:?}", row.cost_category_id, row.measures)
        };
        batch.rows.iter().map(line).collect()
    }

    /// The rows of unit 5, through a heap of `limit` bytes of which others take `others` meanwhile, and
    /// whether they are in memory.
    fn taken_in(limit: u64, others: u64, forced: Option<usize>) -> (bool, Vec<String>) {
        let heap = Heap::new(limit);
        let spiller = Spiller::new(std::env::temp_dir(), forced);
        let mut staged = Staged::new(&heap, &spiller);
        rows::encode(&batch(), &mut |piece| staged.push_rows(5, piece)).unwrap();
        let pieces = staged.rows[&5].len();
        assert!(pieces > 1, "{pieces}");
        let held = heap.hold(others);
        let day = staged.day(5, &meta(), 7).unwrap();
        drop((staged, held));
        assert_eq!(heap.used(), day.bytes(), "no more is counted than is there");
        match day {
            DayRows::InMemory(batch, _) => {
                assert_eq!(batch.day, meta());
                let distinct: BTreeSet<_> =
                    (0..batch.texts.len() as u32).map(|id| batch.text(TextId(id))).collect();
                assert_eq!(distinct.len(), batch.texts.len(), "a text is there twice");
                (true, lines(&batch))
            }
            DayRows::OnDisk(runs, _) => {
                let (mut merged, mut all) = (runs.merge().unwrap(), Vec::new());
                while let Some(batch) = merged.next_batch().unwrap() {
                    all.extend(lines(&batch));
                }
                (false, all)
            }
        }
    }

    #[test]
    fn rows_arrive_as_they_were_sent_in_memory_and_on_disk() {
        let wanted = lines(&batch());
        const MANY: u64 = 1 << 40;
        assert_eq!(taken_in(MANY, 0, None), (true, wanted.clone()));
        assert_eq!(taken_in(MANY, 0, Some(1)), (false, wanted.clone()));
        // Room for some of the pieces, and for all of them but not for rows.
        assert_eq!(taken_in(1_000_000, 0, None), (false, wanted.clone()));
        assert_eq!(taken_in(MANY, MANY, None), (false, wanted));
    }

    #[test]
    fn a_unit_of_which_no_rows_came_has_none() {
        let heap = Heap::new(u64::MAX);
        let spiller = Spiller::new(std::env::temp_dir(), None);
        let day = Staged::new(&heap, &spiller).day(0, &meta(), 7).unwrap();
        assert!(matches!(day, DayRows::InMemory(batch, _) if batch.rows.is_empty()));
    }

    #[test]
    fn pieces_that_are_no_rows_are_refused() {
        let heap = Heap::new(u64::MAX);
        let spiller = Spiller::new(std::env::temp_dir(), None);
        let mut staged = Staged::new(&heap, &spiller);
        staged.push_rows(0, vec![9]).unwrap();
        assert!(matches!(staged.day(0, &meta(), 7), Err(RunError::Worker(WorkerError::Garbled))));
    }

    #[test]
    fn what_is_said_to_be_finished_must_be_what_came() {
        let heap = Heap::new(u64::MAX);
        let spiller = Spiller::new(std::env::temp_dir(), None);
        let mut staged = Staged::new(&heap, &spiller);
        staged.push_rows(4, vec![1]).unwrap();
        staged.push_state(6, vec![1]).unwrap();
        let agrees = |finished: &[usize]| {
            let counts = |&unit: &usize| (unit, DayCounts::default());
            staged.agrees((3, 6), &finished.iter().map(counts).collect::<Vec<_>>())
        };
        assert!(agrees(&[1]) && agrees(&[1, 0, 2]));
        assert!(!agrees(&[]), "rows of a day that is not finished");
        assert!(!agrees(&[1, 1]), "a day twice");
        assert!(!agrees(&[1, 3]), "a day of which states came");
        assert!(!agrees(&[1, 4]) && !agrees(&[1, usize::MAX]), "days of another task");
    }

    /// A temporary file that is full is left for another one.
    #[test]
    fn each_piece_is_read_from_the_file_that_it_was_written_to() {
        const LENGTH: usize = 1024 * 1024;
        const PIECES: usize = 130;
        // Nothing that could be compressed.
        let piece = |at: usize| -> Vec<u8> {
            let word = |word: u64| xxhash_rust::xxh3::xxh3_64_with_seed(&[at as u8], word);
            (0..LENGTH as u64 / 8).flat_map(|at| word(at).to_le_bytes()).collect()
        };
        let heap = Heap::new(u64::MAX);
        let spiller = Spiller::new(std::env::temp_dir(), Some(1));
        let mut staged = Staged::new(&heap, &spiller);
        let first = spiller.file().unwrap();
        (0..PIECES).for_each(|at| staged.push_state(at, piece(at)).unwrap());
        assert!(!Arc::ptr_eq(&first, &spiller.file().unwrap()), "it is still the first file");
        let mut read = 0;
        staged
            .take_in_states(|at, bytes| {
                assert!(bytes == piece(at), "piece {at}");
                read += 1;
                Ok(())
            })
            .unwrap();
        assert_eq!(read, PIECES);
    }
}
