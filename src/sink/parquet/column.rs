//! One column of a row group as it grows, and its encoding: levels, and codes of a dictionary or
//! plain doubles.

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::ByteArray;
use parquet::errors::Result;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use uuid::fmt::Hyphenated;
use zstd::bulk::Compressor;

use super::dictionary::{Numbers, Texts};
use super::hybrid;
use crate::summary::columns::{Cell, Column, ColumnType, DayTexts, Value};
use crate::summary::row::{RowBatch, SummaryRow};

/// The values of one column of the row group that grows.
pub struct ColumnBuilder {
    column: &'static Column,
    /// Runs of rows with a value, or without.
    levels: Vec<(bool, usize)>,
    values: Values,
}

enum Values {
    /// All rows are null.
    None,
    Texts(Texts),
    /// Integers and days.
    Integers(Numbers),
    /// Doubles that rows share.
    Shared(Numbers),
    /// Doubles that are hardly ever the same.
    Plain(Vec<f64>),
}

/// An encoded column chunk, with offsets counted from its start.
pub type Chunk = (Bytes, ColumnCloseResult);

/// Texts longer than this are not worth their place in the statistics.
const LONGEST_BOUND: usize = 64;

impl ColumnBuilder {
    pub fn new(column: &'static Column) -> Self {
        let values = match column.column_type {
            _ if !column.is_computed() => Values::None,
            ColumnType::Text | ColumnType::Json | ColumnType::Uuid => {
                Values::Texts(Texts::default())
            }
            ColumnType::Integer | ColumnType::Date => Values::Integers(Numbers::default()),
            ColumnType::Numeric if column.is_shared() => Values::Shared(Numbers::default()),
            ColumnType::Numeric => Values::Plain(Vec::new()),
        };
        ColumnBuilder { column, levels: Vec::new(), values }
    }

    /// What follows is of another batch, of `texts` texts; the next `rows` rows are of this row group.
    pub fn begin_batch(&mut self, texts: usize, rows: usize) {
        match &mut self.values {
            Values::None => {}
            Values::Texts(values) => {
                values.begin_batch(texts);
                values.codes.reserve(rows);
            }
            Values::Integers(numbers) | Values::Shared(numbers) => numbers.codes.reserve(rows),
            Values::Plain(values) => values.reserve(rows),
        }
    }

    /// Appends the column's values of `rows`, which are of `batch`.
    pub fn append(&mut self, batch: &RowBatch, day: &DayTexts, rows: &[SummaryRow]) {
        if matches!(self.values, Values::None) {
            self.level(false, rows.len());
        } else if self.column.is_of_day() {
            let value = self.column.of_day(&batch.day, day);
            self.push(value, rows.len());
        } else {
            for row in rows {
                let present = self.values.push(self.column.cell(row), batch);
                self.level(present, 1);
            }
        }
    }

    /// `rows` rows with the same value.
    fn push(&mut self, value: Value<'_>, rows: usize) {
        match (&mut self.values, value) {
            (Values::Texts(texts), Value::Text(text) | Value::Json(text)) => {
                texts.push_fixed(text, rows);
            }
            (Values::Texts(texts), Value::Uuid(uuid)) => {
                let mut buffer = [0; Hyphenated::LENGTH];
                texts.push_fixed(uuid.hyphenated().encode_lower(&mut buffer), rows);
            }
            (Values::Integers(numbers), Value::Integer(integer)) => {
                numbers.push(u64::from(integer as u32), rows);
            }
            (Values::Integers(numbers), Value::Date(date)) => {
                numbers.push(u64::from(date.to_epoch_days() as u32), rows);
            }
            (_, value) => {
                debug_assert!(value == Value::Null, "{value:?}");
                return self.level(false, rows);
            }
        }
        self.level(true, rows);
    }

    #[inline]
    fn level(&mut self, present: bool, rows: usize) {
        match self.levels.last_mut() {
            Some((last, run)) if *last == present => *run += rows,
            _ => self.levels.push((present, rows)),
        }
    }

    /// Bytes of its values, about.
    pub fn bytes(&self) -> usize {
        match &self.values {
            Values::None => 0,
            Values::Texts(texts) => texts.page().len() + texts.codes.len() * 4,
            Values::Integers(numbers) | Values::Shared(numbers) => {
                numbers.codes.len() * 4 + numbers.entries().len() * 8
            }
            Values::Plain(values) => values.len() * 8,
        }
    }

    /// Encodes what it holds, `rows` rows, and empties it.
    ///
    /// # Errors
    /// More bytes than a page can have.
    pub fn finish(
        &mut self,
        descriptor: ColumnDescPtr,
        rows: usize,
        zstd: &mut Compressor<'_>,
    ) -> Result<Chunk> {
        let mut page = Vec::new();
        encode_levels(&self.levels, &mut page);
        let missing = self.levels.iter().filter(|run| !run.0).map(|run| run.1 as u64).sum();
        let mut writer = ChunkWriter::new(zstd);
        match &self.values {
            Values::None => {}
            Values::Texts(texts) => {
                writer.dictionary(texts.page(), texts.len())?;
                encode_codes(&texts.codes, texts.len(), &mut page);
            }
            Values::Integers(numbers) => {
                let entries = numbers.entries().iter();
                let bytes: Vec<u8> =
                    entries.flat_map(|&bits| (bits as u32).to_le_bytes()).collect();
                writer.dictionary(&bytes, numbers.entries().len())?;
                encode_codes(&numbers.codes, numbers.entries().len(), &mut page);
            }
            Values::Shared(numbers) => {
                let entries = numbers.entries().iter();
                let bytes: Vec<u8> = entries.flat_map(|bits| bits.to_le_bytes()).collect();
                writer.dictionary(&bytes, numbers.entries().len())?;
                encode_codes(&numbers.codes, numbers.entries().len(), &mut page);
            }
            Values::Plain(values) => page.extend(values.iter().flat_map(|v| v.to_le_bytes())),
        }
        writer.data(&page, rows)?;
        let statistics = self.values.statistics(self.column.column_type, missing);
        let chunk = writer.close(descriptor, rows, statistics)?;
        self.levels.clear();
        self.values.clear();
        Ok(chunk)
    }
}

impl Values {
    /// Appends a row's value; false if it is null.
    #[inline]
    fn push(&mut self, cell: Cell, batch: &RowBatch) -> bool {
        match (self, cell) {
            (Values::Texts(texts), Cell::Text(id)) => {
                texts.push(id, || batch.text(id).unwrap_or_default());
            }
            (Values::Texts(texts), Cell::Fixed(text)) => texts.push_fixed(text, 1),
            (Values::Integers(numbers), Cell::Integer(integer)) => {
                numbers.push(u64::from(integer as u32), 1);
            }
            (Values::Shared(numbers), Cell::Number(number)) => numbers.push(number.to_bits(), 1),
            (Values::Plain(numbers), Cell::Number(number)) => numbers.push(number),
            (_, cell) => {
                debug_assert!(cell == Cell::Null, "{cell:?}");
                return false;
            }
        }
        true
    }

    fn clear(&mut self) {
        match self {
            Values::None => {}
            Values::Texts(texts) => texts.clear(),
            Values::Integers(numbers) | Values::Shared(numbers) => numbers.clear(),
            Values::Plain(values) => values.clear(),
        }
    }

    /// The least and the greatest value, where they are short, and how many are `missing`.
    fn statistics(&self, column_type: ColumnType, missing: u64) -> Statistics {
        let missing = Some(missing);
        let integers = |numbers: &Numbers| {
            let values = numbers.entries().iter().map(|&bits| bits as u32 as i32);
            Statistics::int32(values.clone().min(), values.max(), None, missing, false)
        };
        match self {
            Values::Integers(numbers) => integers(numbers),
            Values::Shared(numbers) => {
                doubles(numbers.entries().iter().map(|&bits| f64::from_bits(bits)), missing)
            }
            Values::Plain(values) => doubles(values.iter().copied(), missing),
            Values::Texts(texts) if column_type != ColumnType::Json => {
                let (least, greatest) = (texts.iter().min(), texts.iter().max());
                let short = |text: &&[u8]| text.len() <= LONGEST_BOUND;
                let bounds = least.filter(short).zip(greatest.filter(short));
                let (least, greatest) = bounds.unzip();
                let bound = |text: Option<&[u8]>| text.map(|t| ByteArray::from(t.to_vec()));
                Statistics::byte_array(bound(least), bound(greatest), None, missing, false)
            }
            Values::Texts(_) => Statistics::byte_array(None, None, None, missing, false),
            Values::None => match column_type {
                ColumnType::Integer | ColumnType::Date => {
                    Statistics::int32(None, None, None, missing, false)
                }
                ColumnType::Numeric => Statistics::double(None, None, None, missing, false),
                ColumnType::Text | ColumnType::Json | ColumnType::Uuid => {
                    Statistics::byte_array(None, None, None, missing, false)
                }
            },
        }
    }
}

/// Zeros as the format wants them: the least has a sign, the greatest has none.
fn doubles(values: impl Iterator<Item = f64> + Clone, missing: Option<u64>) -> Statistics {
    let least = values.clone().reduce(f64::min).map(|v| if v == 0.0 { -0.0 } else { v });
    let greatest = values.reduce(f64::max).map(|v| if v == 0.0 { 0.0 } else { v });
    Statistics::double(least, greatest, None, missing, false)
}

/// Definition levels, after their length.
fn encode_levels(runs: &[(bool, usize)], page: &mut Vec<u8>) {
    page.extend_from_slice(&[0; 4]);
    match runs {
        [(present, rows)] => hybrid::repeat(u32::from(*present), *rows, 1, page),
        _ => {
            let mut levels = Vec::with_capacity(runs.iter().map(|run| run.1).sum());
            for &(present, rows) in runs {
                levels.resize(levels.len() + rows, u32::from(present));
            }
            hybrid::encode(&levels, 1, page);
        }
    }
    let length = (page.len() - 4) as u32;
    page[..4].copy_from_slice(&length.to_le_bytes());
}

/// Codes of a dictionary of `entries` entries, after their width.
fn encode_codes(codes: &[u32], entries: usize, page: &mut Vec<u8>) {
    if entries > 0 {
        let width = hybrid::width_of(entries as u32 - 1).max(1);
        page.push(width as u8);
        hybrid::encode(codes, width, page);
    }
}

/// Writes the pages of one column chunk.
struct ChunkWriter<'z, 'd> {
    zstd: &'z mut Compressor<'d>,
    sink: TrackedWrite<Vec<u8>>,
    has_dictionary: bool,
    /// Where the data page begins.
    data_at: usize,
    compressed: usize,
    uncompressed: usize,
}

impl<'z, 'd> ChunkWriter<'z, 'd> {
    fn new(zstd: &'z mut Compressor<'d>) -> Self {
        ChunkWriter {
            zstd,
            sink: TrackedWrite::new(Vec::new()),
            has_dictionary: false,
            data_at: 0,
            compressed: 0,
            uncompressed: 0,
        }
    }

    /// Without entries there is no page: all rows are null.
    fn dictionary(&mut self, bytes: &[u8], entries: usize) -> Result<()> {
        if entries == 0 {
            return Ok(());
        }
        self.has_dictionary = true;
        self.page(bytes, |buf| Page::DictionaryPage {
            buf,
            num_values: entries as u32,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        })
    }

    fn data(&mut self, bytes: &[u8], rows: usize) -> Result<()> {
        self.data_at = self.sink.bytes_written();
        let encoding = if self.has_dictionary { Encoding::RLE_DICTIONARY } else { Encoding::PLAIN };
        self.page(bytes, |buf| Page::DataPage {
            buf,
            num_values: rows as u32,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        })
    }

    fn page(&mut self, bytes: &[u8], page: impl FnOnce(Bytes) -> Page) -> Result<()> {
        let packed = self.zstd.compress(bytes)?;
        let page = CompressedPage::new(page(packed.into()), bytes.len());
        let spec = SerializedPageWriter::new(&mut self.sink).write_page(page)?;
        self.compressed += spec.compressed_size;
        self.uncompressed += spec.uncompressed_size;
        Ok(())
    }

    fn close(
        self,
        descriptor: ColumnDescPtr,
        rows: usize,
        statistics: Statistics,
    ) -> Result<Chunk> {
        let mut encodings = vec![Encoding::PLAIN, Encoding::RLE];
        if self.has_dictionary {
            encodings.push(Encoding::RLE_DICTIONARY);
        }
        let metadata = ColumnChunkMetaData::builder(descriptor)
            .set_encodings(encodings)
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_num_values(rows as i64)
            .set_total_compressed_size(self.compressed as i64)
            .set_total_uncompressed_size(self.uncompressed as i64)
            .set_dictionary_page_offset(self.has_dictionary.then_some(0))
            .set_data_page_offset(self.data_at as i64)
            .set_statistics(statistics)
            .build()?;
        let bytes = Bytes::from(self.sink.into_inner()?);
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: rows as u64,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        Ok((bytes, close))
    }
}
