//! Summary rows as they leave the aggregation, before any sink gives them a form.

use std::ops::Range;
use std::sync::Arc;

use chrono::NaiveDate;
use uuid::Uuid;

use crate::aggregate::groups::vec_growth;

/// What all rows of one day of one source share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayMeta {
    pub date: NaiveDate,
    pub source_uuid: Uuid,
    pub report_period_id: Option<i32>,
    pub cluster_id: Option<String>,
    pub cluster_alias: Option<String>,
}

/// Rows of each batch of a day that comes in several, but of the last.
pub const STREAMED_ROWS: usize = 4096;

/// Rows of one day, in the sort order of the file sinks. A day is one batch, or several of
/// [`STREAMED_ROWS`] rows.
#[derive(Debug, Clone)]
pub struct RowBatch {
    pub day: Arc<DayMeta>,
    pub texts: Texts,
    pub rows: Vec<SummaryRow>,
}

impl RowBatch {
    /// Bytes held, capacity included.
    pub fn heap_bytes(&self) -> usize {
        self.texts.heap_bytes() + self.rows.capacity() * size_of::<SummaryRow>()
    }

    /// The text behind `id`; `None` is SQL NULL.
    pub fn text(&self, id: TextId) -> Option<&str> {
        self.texts.get(id)
    }
}

/// An index into [`Texts`], or null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TextId(pub u32);

impl TextId {
    pub const NULL: TextId = TextId(u32::MAX);

    pub fn is_null(self) -> bool {
        self == TextId::NULL
    }
}

/// The distinct texts of a batch: names as they are, labels as compact JSON with sorted keys.
#[derive(Debug, Clone, Default)]
pub struct Texts {
    ends: Vec<usize>,
    bytes: String,
}

impl Texts {
    pub fn push(&mut self, text: &str) -> TextId {
        let id = TextId(self.ends.len() as u32);
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len());
        id
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub fn get(&self, id: TextId) -> Option<&str> {
        if id.is_null() {
            return None;
        }
        Some(&self.bytes[self.bounds(id)])
    }

    /// Where text `id` lies; nowhere if it is null.
    #[inline]
    pub fn bounds(&self, id: TextId) -> Range<usize> {
        if id.is_null() {
            return 0..0;
        }
        let i = id.0 as usize;
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        start..self.ends[i]
    }

    /// The bytes of a text, none of the null one: for comparing, which needs no characters.
    #[inline]
    pub fn bytes(&self, id: TextId) -> &[u8] {
        &self.bytes.as_bytes()[self.bounds(id)]
    }

    /// Bytes held, capacity included.
    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * size_of::<usize>()
    }

    /// Bytes that `more` texts of usual length may take at once: what is full doubles.
    pub fn growth_bytes(&self, more: usize) -> usize {
        const USUAL: usize = 64;
        let bytes = match self.bytes.len() + more * USUAL > self.bytes.capacity() {
            true => self.bytes.capacity(),
            false => 0,
        };
        bytes + vec_growth(&self.ends, more)
    }
}

/// Which rule made a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RowKind {
    Pod,
    Storage,
    Unallocated,
}

impl RowKind {
    /// The value of the `data_source` column.
    pub fn data_source(self) -> &'static str {
        match self {
            RowKind::Pod | RowKind::Unallocated => "Pod",
            RowKind::Storage => "Storage",
        }
    }
}

/// One summary row. Texts are ids into the batch; a NaN measure is null.
#[derive(Debug, Clone)]
pub struct SummaryRow {
    pub kind: RowKind,
    pub cost_category_id: Option<i32>,
    pub namespace: TextId,
    pub node: TextId,
    pub resource_id: TextId,
    /// Canonical JSON; null on storage and unallocated rows.
    pub pod_labels: TextId,
    pub persistentvolumeclaim: TextId,
    pub persistentvolume: TextId,
    pub storageclass: TextId,
    pub csi_volume_handle: TextId,
    /// Canonical JSON; null on pod and unallocated rows.
    pub volume_labels: TextId,
    pub measures: Measures,
}

/// Measures in the order of the constants in [`super::columns`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Measures {
    /// Fourteen values: see [`super::columns::POD_MEASURES`].
    Pod([f64; 14]),
    /// Four values: see [`super::columns::STORAGE_MEASURES`].
    Storage([f64; 4]),
}
