//! The reader thread's work: fetch the bytes of chunks, in order.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use parquet::file::metadata::ParquetMetaData;

use super::bytes::ColumnBytes;
use super::window;
use crate::decode::row_group::{InputFile, Segment};
use crate::memory::permits::Permit;
use crate::plan::chunks::{Chunk, Cut};
use crate::plan::footers::{self, RowGroup};
use crate::plan::{Plan, PlanError, PlannedGroup, ranges};
use crate::store::{PendingFetch, Store, StoreError};

/// A chunk with its bytes, ready to be aggregated.
#[derive(Debug)]
pub struct FetchedChunk {
    /// With the source that each belongs to.
    pub segments: Vec<(usize, Segment)>,
    pub units: (usize, usize),
    pub rows: usize,
    /// The memory that the bytes take.
    _permits: Vec<Arc<Permit>>,
}

/// A chunk whose bytes are on their way.
pub struct PendingChunk {
    cuts: Vec<(Cut, Rc<GroupCell>)>,
    units: (usize, usize),
    rows: usize,
}

/// Reads row groups of a plan.
pub struct Reader<'p> {
    plan: &'p Plan,
    store: &'p Store,
    all_columns: bool,
    /// Row groups with more bytes than this are read page by page instead of at once.
    most_bytes: u64,
    /// Row groups of which more chunks are to come: large ones are cut into several.
    kept: Vec<Rc<GroupCell>>,
    /// Those of the files read last; files of several row groups come again.
    footers: Vec<Rc<FooterCell>>,
}

/// How many footers are kept: more than days are read side by side.
const FOOTERS: usize = 32;

/// A row group, its bytes on their way or there.
struct GroupCell {
    index: usize,
    footer: Rc<FooterCell>,
    permit: Arc<Permit>,
    state: RefCell<State>,
}

enum State {
    /// `with_footer`: after the ranges of the group comes the footer of its file.
    Pending {
        fetch: Option<PendingFetch>,
        with_footer: bool,
    },
    There(ColumnBytes),
}

/// The footer of a file, once the first of its row groups is there.
struct FooterCell {
    file: Arc<InputFile>,
    metadata: RefCell<Option<Arc<ParquetMetaData>>>,
}

impl<'p> Reader<'p> {
    pub fn new(plan: &'p Plan, store: &'p Store, all_columns: bool, most_bytes: u64) -> Self {
        Reader { plan, store, all_columns, most_bytes, kept: Vec::new(), footers: Vec::new() }
    }

    /// Compressed bytes that fetching a chunk puts into memory.
    pub fn bytes_of(&self, chunk: &Chunk) -> u64 {
        let new = chunk.cuts.iter().filter(|cut| self.kept(cut.group).is_none());
        new.map(|cut| self.bytes_of_group(&self.plan.groups[cut.group])).sum()
    }

    fn bytes_of_group(&self, group: &PlannedGroup) -> u64 {
        let all = group.group.bytes;
        match self.store {
            _ if all <= self.most_bytes => all,
            // Read page by page: what that takes is counted with decoding.
            Store::Local(_) => 0,
            Store::S3(_) => {
                let columns = group.group.columns.max(1);
                columns * window::bytes_of_column(all / columns)
            }
        }
    }

    /// Lets go of row groups that more chunks will need, to make room; they are fetched again.
    pub fn let_go(&mut self) {
        self.kept.clear();
    }

    fn kept(&self, group: usize) -> Option<&Rc<GroupCell>> {
        self.kept.iter().find(|kept| kept.index == group)
    }

    /// Starts to fetch a chunk, whose new bytes `permit` stands for. Local disk is only read in
    /// [`Reader::finish`].
    pub fn start(&mut self, chunk: Chunk, permit: Permit) -> PendingChunk {
        let permit = Arc::new(permit);
        let (units, rows) = (chunk.units, chunk.rows());
        let mut cuts = Vec::with_capacity(chunk.cuts.len());
        for cut in chunk.cuts {
            let kept = self.kept(cut.group).cloned();
            let group = kept.unwrap_or_else(|| self.start_group(cut.group, &permit));
            let is_last = cut.rows.end >= self.plan.groups[cut.group].group.rows;
            self.kept.retain(|kept| kept.index != cut.group);
            if !is_last {
                self.kept.push(group.clone());
            }
            cuts.push((cut, group));
        }
        PendingChunk { cuts, units, rows }
    }

    fn start_group(&mut self, index: usize, permit: &Arc<Permit>) -> Rc<GroupCell> {
        let group = &self.plan.groups[index];
        let known = self.footers.iter().find(|footer| Arc::ptr_eq(&footer.file, &group.file));
        let (footer, with_footer) = match known {
            Some(footer) => (footer.clone(), false),
            None => {
                if self.footers.len() == FOOTERS {
                    self.footers.remove(0);
                }
                let file = group.file.clone();
                let footer = Rc::new(FooterCell { file, metadata: RefCell::new(None) });
                self.footers.push(footer.clone());
                (footer, true)
            }
        };
        let mut ranges = Vec::new();
        if group.group.bytes <= self.most_bytes {
            ranges.extend_from_slice(&group.ranges);
        }
        if with_footer {
            ranges.push(group.file.footer());
        }
        let fetch = (!ranges.is_empty()).then(|| self.store.fetch(&group.file.stored, ranges));
        let state = RefCell::new(State::Pending { fetch, with_footer });
        Rc::new(GroupCell { index, footer, permit: permit.clone(), state })
    }

    /// Waits for a chunk; chunks are finished in the order in which they were started.
    ///
    /// # Errors
    /// An object that cannot be read, or that is no longer what was planned.
    pub fn finish(&self, chunk: PendingChunk) -> Result<FetchedChunk, PlanError> {
        let mut segments = Vec::with_capacity(chunk.cuts.len());
        let mut permits: Vec<Arc<Permit>> = Vec::new();
        for (cut, cell) in chunk.cuts {
            let group = &self.plan.groups[cut.group];
            let (bytes, metadata) = self.finish_group(group, &cell)?;
            let segment = Segment {
                file: group.file.clone(),
                metadata,
                row_group: group.row_group,
                rows: cut.rows,
                bytes,
                promised_days: group.group.promised_days,
            };
            segments.push((group.source, segment));
            if !permits.iter().any(|permit| Arc::ptr_eq(permit, &cell.permit)) {
                permits.push(cell.permit.clone());
            }
        }
        let (units, rows) = (chunk.units, chunk.rows);
        Ok(FetchedChunk { segments, units, rows, _permits: permits })
    }

    fn finish_group(
        &self,
        group: &PlannedGroup,
        cell: &GroupCell,
    ) -> Result<(ColumnBytes, Arc<ParquetMetaData>), PlanError> {
        let state = &mut *cell.state.borrow_mut();
        let (fetch, with_footer) = match state {
            State::There(bytes) => {
                return Ok((bytes.clone(), cell.metadata(group, self.all_columns)?));
            }
            State::Pending { fetch, with_footer } => (fetch.take(), *with_footer),
        };
        let mut fetched = match fetch {
            Some(fetch) => fetch.wait()?,
            None => Vec::new(),
        };
        if with_footer {
            let footer = fetched.pop().unwrap_or_default();
            let metadata = footers::parse(&group.file, &footer)?;
            cell.footer.metadata.replace(Some(Arc::new(metadata)));
        }
        let metadata = cell.metadata(group, self.all_columns)?;
        let bytes = if group.group.bytes > self.most_bytes {
            let row_group = metadata.row_group(group.row_group);
            let columns = ranges::each_column(row_group, &group.file.columns, self.all_columns);
            ColumnBytes::paged(self.store, &group.file.stored, columns)?
        } else {
            let starts = group.ranges.iter().map(|range| range.start);
            let ranges = Arc::new(starts.zip(fetched).collect());
            ColumnBytes::Fetched { size: group.file.stored.size, ranges }
        };
        *state = State::There(bytes.clone());
        Ok((bytes, metadata))
    }
}

impl GroupCell {
    /// The footer of its file, which must still promise what it did when it was planned.
    fn metadata(
        &self,
        group: &PlannedGroup,
        all_columns: bool,
    ) -> Result<Arc<ParquetMetaData>, StoreError> {
        let metadata = self.footer.metadata.borrow().clone();
        metadata
            .filter(|metadata| {
                let now = metadata.row_groups().get(group.row_group);
                now.is_some_and(|now| {
                    RowGroup::of(now, &group.file.columns, all_columns) == group.group
                })
            })
            .ok_or_else(|| StoreError::Changed { path: group.file.object.clone() })
    }
}
