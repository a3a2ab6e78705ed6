//! A row group, or a range of its rows, into the partial states of its days.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use parquet::file::metadata::ParquetMetaData;

use super::arrays::ArrayColumn;
use super::column::Column;
use super::error::{InputError, Place};
use super::pages::{self, PageColumn};
use super::resolve::{Labels, Names};
use super::schema::{Direct, Found, Kind, Part};
use super::times::{DAY_MICROS, NO_TIME, TimeUnit, day_text, split_day};
use super::unpack::Spare;
use crate::aggregate::partial::Partial;
use crate::aggregate::rows::{LabelRows, PodRows, StorageRows};
use crate::labels::sets::SetId;
use crate::memory::decoding::Decoded;
use crate::read::bytes::ColumnBytes;
use crate::store::Object;
use crate::summary::finish::Tenant;
use crate::summary::row::TextId;

/// A file whose columns were found.
#[derive(Debug)]
pub struct InputFile {
    /// The name for messages: the path below the source.
    pub object: Arc<str>,
    /// The version whose footer was read: its data must be of the same.
    pub stored: Object,
    /// How long its footer is, in bytes.
    pub footer_length: u64,
    pub part: Part,
    /// Shared by files that have them in the same places.
    pub columns: Arc<[Found]>,
    /// First and last day since 1970-01-01 that its rows may count for: asked for, and of the
    /// month that its folder names.
    pub days: (i64, i64),
}

impl InputFile {
    /// Where its footer lies.
    pub fn footer(&self) -> Range<u64> {
        self.stored.size.saturating_sub(self.footer_length)..self.stored.size
    }
}

/// Rows of one row group, with their bytes.
#[derive(Debug)]
pub struct Segment {
    pub file: Arc<InputFile>,
    pub metadata: Arc<ParquetMetaData>,
    pub row_group: usize,
    pub rows: Range<usize>,
    pub bytes: ColumnBytes,
    /// Days since 1970-01-01 that the row group can hold, by its statistics.
    pub promised_days: Option<(i64, i64)>,
}

/// How columns are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Strings as dictionary codes from raw pages; else as texts through arrays.
    pub categorical: bool,
    /// Read the columns that are not needed too, as a baseline.
    pub all_columns: bool,
}

/// The partial states of the asked days.
pub trait Days {
    /// Why a state cannot be had.
    type Error;

    /// The state of `day` (since 1970-01-01), or `None` for a day that was not asked for. Asked
    /// again for each batch of rows: it may be another one by then.
    fn state(&mut self, day: i64) -> Result<Option<&mut Partial>, Self::Error>;
}

/// Why a segment could not be added.
#[derive(Debug)]
pub enum AddError<E> {
    Input(InputError),
    State(E),
}

impl<E> From<InputError> for AddError<E> {
    fn from(error: InputError) -> Self {
        AddError::Input(error)
    }
}

/// What was read, besides what went into the partial states.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    pub rows: u64,
    /// Rows of days that were not asked for.
    pub rows_outside: u64,
    pub rows_without_time: u64,
    /// By column: negative values and values above 1e18, kept.
    pub odd_values: BTreeMap<&'static str, u64>,
}

impl Counts {
    pub fn add(&mut self, other: Counts) {
        self.rows += other.rows;
        self.rows_outside += other.rows_outside;
        self.rows_without_time += other.rows_without_time;
        for (column, count) in other.odd_values {
            *self.odd_values.entry(column).or_default() += count;
        }
    }
}

/// Rows decoded at a time: their columns stay in the cache until they are grouped.
const BATCH: usize = 4096;

/// Values above this are counted as odd.
const ODD_ABOVE: f64 = 1e18;

/// The column buffers of one task, used again for each batch.
#[derive(Debug, Default)]
pub struct Buffers {
    times: Vec<i64>,
    pods: PodRows,
    storage: StorageRows,
    labels: LabelRows,
    /// By column: memory for its pages.
    pages: Vec<Spare>,
    /// What was decoded with them.
    decoded: Decoded,
}

impl Buffers {
    /// What was decoded since this was asked for last.
    pub fn take_decoded(&mut self) -> Decoded {
        std::mem::take(&mut self.decoded)
    }
}

/// Decodes a segment and adds its rows to the states of their days.
pub fn add_rows<D: Days>(
    segment: &Segment,
    tenant: &Tenant,
    reading: Reading,
    days: &mut D,
    buffers: &mut Buffers,
) -> Result<Counts, AddError<D::Error>> {
    let mut reader = Reader::open(segment, tenant, reading, &mut buffers.pages)?;
    let mut counts = Counts { rows: segment.rows.len() as u64, ..Counts::default() };
    let (first, last) = segment.file.days;
    let counted = |day| (first..=last).contains(&day);
    let mut left = segment.rows.len();
    let mut most_held = 0;
    while left > 0 {
        let batch = reader.columns[0].available()?.min(BATCH).min(left);
        buffers.times.clear();
        reader.columns[0].times(batch, &mut buffers.times)?;
        left -= batch;
        let mut at = 0;
        while at < batch {
            let run = same_day(&buffers.times[at..]);
            // Of days that were not asked for too: a row there may have strayed from one that was.
            check_promise(segment, buffers.times[at])?;
            let mut rest = run;
            while rest > 0 {
                let mut step = rest;
                for column in &mut reader.columns[1..] {
                    step = step.min(column.available()?);
                }
                let (day, _) = split_day(buffers.times[at]);
                let state = if buffers.times[at] == NO_TIME || !counted(day) {
                    None
                } else {
                    days.state(day).map_err(AddError::State)?
                };
                match state {
                    Some(state) => {
                        let times = std::mem::take(&mut buffers.times);
                        reader.add(&times[at..at + step], state, buffers, &mut counts)?;
                        buffers.times = times;
                    }
                    None => {
                        for column in &mut reader.columns[1..] {
                            column.skip(step)?;
                        }
                        if buffers.times[at] == NO_TIME {
                            counts.rows_without_time += step as u64;
                        } else {
                            counts.rows_outside += step as u64;
                        }
                    }
                }
                at += step;
                rest -= step;
            }
        }
        most_held = most_held.max(reader.decoded().1);
    }
    let (rows, bytes) = (counts.rows, reader.decoded().0);
    buffers.decoded.add(Decoded { rows, bytes, most_held });
    for (column, spare) in reader.columns.into_iter().zip(&mut buffers.pages) {
        *spare = column.into_spare();
    }
    Ok(counts)
}

/// How many of the first times lie on one day; at least one.
fn same_day(times: &[i64]) -> usize {
    if times[0] == NO_TIME {
        return times.iter().take_while(|&&t| t == NO_TIME).count();
    }
    let start = times[0].saturating_sub(split_day(times[0]).1);
    let day = start..start.saturating_add(DAY_MICROS);
    // The first is of its own day, be it the last that 64 bits can say.
    1 + times[1..].iter().take_while(|&t| day.contains(t) && *t != NO_TIME).count()
}

/// Holds a time to the statistics of its row group, where there are any.
fn check_promise(segment: &Segment, time: i64) -> Result<(), InputError> {
    let Some((first, last)) = segment.promised_days else { return Ok(()) };
    let broken = |promised: String, found: String| {
        let object = segment.file.object.clone();
        Err(InputError::Statistics { object, row_group: segment.row_group, promised, found })
    };
    let (day, _) = split_day(time);
    if time != NO_TIME {
        return match (first..=last).contains(&day) {
            true => Ok(()),
            false => broken(format!("{} to {}", day_text(first), day_text(last)), day_text(day)),
        };
    }
    let group = segment.metadata.row_group(segment.row_group);
    let statistics = segment.file.columns[0].leaf.and_then(|leaf| group.column(leaf).statistics());
    match statistics.and_then(|statistics| statistics.null_count_opt()) {
        Some(0) => broken("no time is null".to_owned(), "no time".to_owned()),
        _ => Ok(()),
    }
}

struct Reader<'t> {
    part: Part,
    /// In the order of [`super::schema::wanted`]; then those read for nothing.
    columns: Vec<Column>,
    places: Vec<Place>,
    numbers_from: usize,
    wanted: usize,
    has_pod_names: bool,
    tenant: &'t Tenant,
}

impl<'t> Reader<'t> {
    fn open(
        segment: &Segment,
        tenant: &'t Tenant,
        reading: Reading,
        pages: &mut Vec<Spare>,
    ) -> Result<Self, InputError> {
        let file = &segment.file;
        pages.resize_with(pages.len().max(file.columns.len()), Spare::new);
        let mut columns = Vec::new();
        let mut places = Vec::new();
        for (found, spare) in file.columns.iter().zip(pages) {
            let place = Place {
                object: file.object.clone(),
                row_group: segment.row_group,
                column: found.wanted.name,
            };
            columns.push(open_column(segment, found, reading, place.clone(), spare)?);
            places.push(place);
        }
        let wanted = columns.len();
        if reading.all_columns {
            for leaf in unwanted(segment) {
                let place = Place {
                    object: file.object.clone(),
                    row_group: segment.row_group,
                    column: "(a column that is not needed)",
                };
                let column = ArrayColumn::new(
                    segment.bytes.clone(),
                    &segment.metadata,
                    leaf,
                    segment.rows.clone(),
                    BATCH,
                    place,
                )?;
                columns.push(Column::Arrays(Box::new(column)));
            }
        }
        let names = file.columns.iter();
        Ok(Reader {
            part: file.part,
            columns,
            places,
            numbers_from: names.clone().take_while(|f| f.wanted.kind != Kind::Number).count(),
            wanted,
            has_pod_names: names.clone().any(|f| f.wanted.name == "pod"),
            tenant,
        })
    }

    /// Bytes of its columns that were decoded so far, and that are held.
    fn decoded(&self) -> (u64, u64) {
        let columns = self.columns.iter().map(Column::decoded);
        columns.fold((0, 0), |(all, held), (of_all, of_held)| (all + of_all, held + of_held))
    }

    /// Decodes `times.len()` rows of one day and adds them to its state.
    fn add(
        &mut self,
        times: &[i64],
        state: &mut Partial,
        buffers: &mut Buffers,
        counts: &mut Counts,
    ) -> Result<(), InputError> {
        let count = times.len();
        let null_rules = self.tenant.null_rules;
        match self.part {
            Part::NodeLabels | Part::NamespaceLabels => {
                let rows = &mut buffers.labels;
                fill_intervals(times, &mut rows.interval);
                self.names(1, count, state, &mut rows.owner)?;
                self.labels(2, count, state, &mut rows.labels)?;
                match self.part {
                    Part::NodeLabels => state.node_labels.add(rows),
                    _ => state.namespace_labels.add(rows),
                }
            }
            Part::Storage => {
                let rows = &mut buffers.storage;
                self.names(1, count, state, &mut rows.namespace)?;
                self.names(2, count, state, &mut rows.pod)?;
                self.names(3, count, state, &mut rows.claim)?;
                self.names(4, count, state, &mut rows.volume)?;
                self.names(5, count, state, &mut rows.storageclass)?;
                self.names(6, count, state, &mut rows.csi_volume_handle)?;
                self.labels(7, count, state, &mut rows.volume_labels)?;
                self.labels(8, count, state, &mut rows.claim_labels)?;
                self.numbers(count, &mut rows.numbers, counts)?;
                state.storage.add(rows);
            }
            Part::Pods | Part::DailyPods => {
                let rows = &mut buffers.pods;
                fill_intervals(times, &mut rows.interval);
                self.names(1, count, state, &mut rows.namespace)?;
                self.names(2, count, state, &mut rows.node)?;
                self.names(3, count, state, &mut rows.resource_id)?;
                rows.pod.clear();
                let mut labels = 4;
                if self.has_pod_names {
                    self.names(4, count, state, &mut rows.pod)?;
                    labels = 5;
                }
                self.labels(labels, count, state, &mut rows.labels)?;
                let numbers = self.wanted - self.numbers_from;
                self.numbers(count, &mut rows.numbers[..numbers], counts)?;
                state.rows_without_node += state.pods.add(rows, &state.texts, null_rules);
                state.places.add(rows, state.pods.news());
                if self.part == Part::Pods {
                    state.capacity.add(rows);
                }
            }
            Part::Capacity => {
                let rows = &mut buffers.pods;
                fill_intervals(times, &mut rows.interval);
                self.names(1, count, state, &mut rows.node)?;
                self.numbers(count, &mut rows.numbers[10..], counts)?;
                state.capacity.add(rows);
            }
        }
        for column in &mut self.columns[self.wanted..] {
            column.skip(count)?;
        }
        Ok(())
    }

    fn names(
        &mut self,
        column: usize,
        count: usize,
        state: &mut Partial,
        out: &mut Vec<TextId>,
    ) -> Result<(), InputError> {
        out.clear();
        let id = state.id;
        let names = &mut Names(&mut state.texts);
        self.columns[column].texts(count, id, TextId::NULL, names, out)
    }

    fn labels(
        &mut self,
        column: usize,
        count: usize,
        state: &mut Partial,
        out: &mut Vec<SetId>,
    ) -> Result<(), InputError> {
        out.clear();
        let none = Partial::no_labels(self.tenant.null_rules);
        let id = state.id;
        let labels = &mut Labels { state, tenant: self.tenant };
        self.columns[column].texts(count, id, none, labels, out)
    }

    fn numbers(
        &mut self,
        count: usize,
        out: &mut [Vec<f64>],
        counts: &mut Counts,
    ) -> Result<(), InputError> {
        for (i, out) in out.iter_mut().enumerate() {
            let column = self.numbers_from + i;
            out.clear();
            self.columns[column].numbers(count, out)?;
            let odd = out.iter().filter(|&&v| is_odd(v)).count();
            if odd > 0 {
                if out.iter().any(|v| v.is_infinite()) {
                    return Err(self.places[column].value("a value is infinite"));
                }
                *counts.odd_values.entry(self.places[column].column).or_default() += odd as u64;
            }
        }
        Ok(())
    }
}

#[expect(clippy::manual_range_contains, reason = "NaN means absent and is not odd")]
fn is_odd(value: f64) -> bool {
    value < 0.0 || value > ODD_ABOVE
}

/// Microseconds since midnight of `times`, which are of one day.
fn fill_intervals(times: &[i64], out: &mut Vec<i64>) {
    out.clear();
    let Some(&first) = times.first() else { return };
    let midnight = first - split_day(first).1;
    out.extend(times.iter().map(|&time| time - midnight));
}

fn open_column(
    segment: &Segment,
    found: &Found,
    reading: Reading,
    place: Place,
    spare: &mut Spare,
) -> Result<Column, InputError> {
    let Some(leaf) = found.leaf else {
        return Ok(Column::Missing);
    };
    let metadata = &segment.metadata;
    let group = metadata.row_group(segment.row_group);
    let chunk = group.column(leaf);
    let direct = found.direct.filter(|_| reading.categorical && pages::can_read(chunk));
    let Some(direct) = direct else {
        let rows = segment.rows.clone();
        let bytes = segment.bytes.clone();
        let column = ArrayColumn::new(bytes, metadata, leaf, rows, BATCH, place)?;
        return Ok(Column::Arrays(Box::new(column)));
    };
    let bytes = segment.bytes.clone();
    let mut column = PageColumn::new(bytes, chunk, group.num_rows() as usize, place, spare)?;
    column.skip(segment.rows.start)?;
    let unit = match direct {
        Direct::Time(unit) => unit,
        Direct::Text | Direct::Double => TimeUnit::Micros,
    };
    Ok(Column::Pages(Box::new(column), unit))
}

/// The leaves of flat columns that the part does not use.
fn unwanted(segment: &Segment) -> Vec<usize> {
    let file = &segment.file;
    let schema = segment.metadata.file_metadata().schema_descr();
    (0..schema.num_columns())
        .filter(|&leaf| {
            schema.column(leaf).path().parts().len() == 1
                && file.columns.iter().all(|found| found.leaf != Some(leaf))
        })
        .collect()
}
