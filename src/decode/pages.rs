//! Flat columns straight from their pages.

use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Encoding, Type as Physical};
use parquet::column::page::{Page, PageReader};
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::serialized_reader::SerializedPageReader;

use super::column::Resolve;
use super::contained::contained;
use super::dictionary::{TextDictionary, plain_text};
use super::error::{InputError, Place};
use super::levels::{LevelFault, Levels, Presence};
use super::rle::{Ended, Rle};
use super::times::{NO_TIME, TimeUnit};
use super::unpack::{Spare, Unpacker};
use crate::aggregate::partial::StateId;
use crate::read::bytes::ColumnBytes;

/// Whether a column chunk can be read here: flat, of a type with a direct meaning, and in one of
/// the encodings that nearly all writers use.
pub fn can_read(chunk: &ColumnChunkMetaData) -> bool {
    let column = chunk.column_descr();
    let flat = column.max_rep_level() == 0 && column.max_def_level() <= 1;
    let usual = chunk.encodings().all(|e| {
        matches!(
            e,
            Encoding::PLAIN | Encoding::RLE | Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY
        )
    });
    flat && usual
}

/// A forward reader of one column chunk.
pub struct PageColumn {
    reader: SerializedPageReader<ColumnBytes>,
    /// Where pages are handed out as they lie in the file.
    unpacker: Option<Unpacker>,
    place: Place,
    physical: Physical,
    optional: bool,
    texts: Option<TextDictionary>,
    /// A dictionary of 64-bit values, as bits.
    words: Vec<u64>,
    rows_left: usize,
    levels: Levels,
    values: Values,
    codes: Vec<u32>,
    /// Bytes of all pages so far, of the dictionary, and of the page at hand.
    decoded: u64,
    dictionary: u64,
    page: u64,
}

enum Values {
    Plain { bytes: Bytes, at: usize },
    Codes(Rle),
}

impl PageColumn {
    /// Of a row group of `rows` rows. `spare` is memory for its pages: see [`PageColumn::into_spare`].
    ///
    /// # Errors
    /// A column chunk whose pages cannot be found.
    pub fn new(
        bytes: ColumnBytes,
        chunk: &ColumnChunkMetaData,
        rows: usize,
        place: Place,
        spare: &mut Spare,
    ) -> Result<Self, InputError> {
        let (unpacker, raw) = Unpacker::of(chunk, spare).unzip();
        let described = raw.as_ref().unwrap_or(chunk);
        let reader =
            contained(|| SerializedPageReader::new(Arc::new(bytes), described, rows, None))
                .map_err(|e| place.damaged(e))?;
        Ok(PageColumn {
            reader,
            unpacker,
            place,
            physical: chunk.column_type(),
            optional: chunk.column_descr().max_def_level() == 1,
            texts: None,
            words: Vec::new(),
            rows_left: 0,
            levels: Levels::required(),
            values: Values::Plain { bytes: Bytes::new(), at: 0 },
            codes: Vec::new(),
            decoded: 0,
            dictionary: 0,
            page: 0,
        })
    }

    /// Bytes of all pages so far, and those that are held for them.
    pub fn decoded(&self) -> (u64, u64) {
        let unpacked = self.unpacker.as_ref().map_or(0, Unpacker::held);
        (self.decoded, unpacked.max(self.dictionary + self.page))
    }

    /// The memory of its dictionary and last page, for those of another column chunk.
    pub fn into_spare(self) -> Spare {
        drop((self.texts, self.levels, self.values));
        self.unpacker.map_or_else(Spare::new, Unpacker::into_spare)
    }

    /// Rows that can be read from the page at hand, which is the next one if that was used up.
    pub fn available(&mut self) -> Result<usize, InputError> {
        while self.rows_left == 0 {
            // The page that was used up no longer needs its memory.
            self.levels = Levels::required();
            self.values = Values::Plain { bytes: Bytes::new(), at: 0 };
            let page =
                contained(|| self.reader.get_next_page()).map_err(|e| self.place.damaged(e))?;
            let Some(page) = page else {
                return Err(self.place.value("the column ends before the row group does"));
            };
            self.open(page)?;
        }
        Ok(self.rows_left)
    }

    /// Passes rows, whole pages unread where that is possible.
    pub fn skip(&mut self, mut count: usize) -> Result<(), InputError> {
        while count > 0 {
            if self.rows_left == 0 {
                let next = contained(|| self.reader.peek_next_page())
                    .map_err(|e| self.place.damaged(e))?;
                let whole = next
                    .filter(|page| !page.is_dict)
                    .and_then(|page| page.num_rows.or(page.num_levels))
                    .filter(|&rows| rows <= count);
                if let Some(rows) = whole {
                    contained(|| self.reader.skip_next_page())
                        .map_err(|e| self.place.damaged(e))?;
                    count -= rows;
                    continue;
                }
            }
            // A page may claim any number of rows.
            let step = self.available()?.min(count).min(PASSED);
            let (present, _) = self.presence(step)?;
            self.pass_values(present)?;
            count -= step;
        }
        Ok(())
    }

    fn open(&mut self, page: Page) -> Result<(), InputError> {
        match page {
            Page::DictionaryPage { buf, num_values, .. } => {
                let buf = self.unpacked(buf)?;
                self.dictionary = buf.len() as u64;
                self.decoded += self.dictionary;
                self.open_dictionary(buf, num_values as usize)
            }
            Page::DataPage { buf, num_values, encoding, def_level_encoding, .. } => {
                let buf = self.unpacked(buf)?;
                let (levels, values) = if self.optional {
                    if def_level_encoding != Encoding::RLE {
                        return Err(self.place.value(format!(
                            "definition levels in encoding {def_level_encoding} are not supported"
                        )));
                    }
                    let (start, end) = plain_text(&buf, 0).ok_or_else(|| self.ended(Ended))?;
                    (Levels::optional(buf.slice(start..end)), buf.slice(end..))
                } else {
                    (Levels::required(), buf)
                };
                self.open_data(levels, values, num_values as usize, encoding)
            }
            Page::DataPageV2 {
                buf,
                num_rows,
                num_values,
                encoding,
                def_levels_byte_len,
                rep_levels_byte_len,
                is_compressed,
                ..
            } => {
                if num_rows != num_values {
                    return Err(self.place.value("a flat column has more values than rows"));
                }
                let start = rep_levels_byte_len as usize;
                let end = start.saturating_add(def_levels_byte_len as usize);
                if end > buf.len() {
                    return Err(self.ended(Ended));
                }
                let levels = if self.optional {
                    Levels::optional(buf.slice(start..end))
                } else {
                    Levels::required()
                };
                let mut values = buf.slice(end..);
                if is_compressed {
                    values = self.unpacked(values)?;
                }
                self.open_data(levels, values, num_rows as usize, encoding)
            }
        }
    }

    /// A page, or its values, as they were before compression.
    fn unpacked(&mut self, bytes: Bytes) -> Result<Bytes, InputError> {
        match &mut self.unpacker {
            Some(unpacker) => unpacker
                .unpack(&bytes)
                .map_err(|damage| self.place.damaged(ParquetError::General(damage.to_string()))),
            None => Ok(bytes),
        }
    }

    fn open_data(
        &mut self,
        levels: Levels,
        values: Bytes,
        rows: usize,
        encoding: Encoding,
    ) -> Result<(), InputError> {
        self.page = values.len() as u64;
        self.values = match encoding {
            Encoding::PLAIN => Values::Plain { bytes: values, at: 0 },
            // A page of nulls only may be empty. Without a width there is no code, not even that of the
            // first entry.
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY if values.is_empty() => {
                Values::Plain { bytes: values, at: 0 }
            }
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => {
                let width = values[0];
                let rle = Rle::new(values.slice(1..), u32::from(width));
                Values::Codes(rle.ok_or_else(|| {
                    self.place.value(format!("dictionary codes of {width} bits are not possible"))
                })?)
            }
            other => {
                let problem = format!("pages in encoding {other} are not promised by the footer");
                return Err(self.place.value(problem));
            }
        };
        self.levels = levels;
        self.rows_left = rows;
        self.decoded += self.page;
        Ok(())
    }

    fn open_dictionary(&mut self, bytes: Bytes, count: usize) -> Result<(), InputError> {
        if self.physical == Physical::BYTE_ARRAY {
            let texts = TextDictionary::new(bytes, count).ok_or_else(|| self.ended(Ended))?;
            self.texts = Some(texts);
        } else {
            let (words, _) = bytes.as_chunks::<8>();
            let words = words.get(..count).ok_or_else(|| self.ended(Ended))?;
            self.words = words.iter().map(|w| u64::from_le_bytes(*w)).collect();
        }
        Ok(())
    }

    fn ended(&self, _: Ended) -> InputError {
        self.place.damaged(ParquetError::EOF("a page ends before its values do".to_owned()))
    }

    /// How many of the next `count` rows hold a value, and the levels if not all do. Rows counted
    /// are gone.
    fn presence(&mut self, count: usize) -> Result<(usize, Option<Vec<u32>>), InputError> {
        self.rows_left -= count;
        match self.levels.read(count) {
            Ok(Presence::All) => Ok((count, None)),
            Ok(Presence::Some { levels, present }) => Ok((present, Some(levels.to_vec()))),
            Err(LevelFault::Ended(ended)) => Err(self.ended(ended)),
            Err(LevelFault::TooHigh(level)) => {
                Err(self.place.value(format!("definition level {level}, but 1 is the highest")))
            }
        }
    }

    fn pass_values(&mut self, count: usize) -> Result<(), InputError> {
        match &mut self.values {
            Values::Codes(rle) => {
                self.codes.clear();
                let passed = rle.read(count, &mut self.codes);
                passed.map_err(|e| self.ended(e))
            }
            Values::Plain { bytes, at } if self.physical == Physical::BYTE_ARRAY => {
                for _ in 0..count {
                    let Some((_, end)) = plain_text(bytes, *at) else {
                        return Err(self.ended(Ended));
                    };
                    *at = end;
                }
                Ok(())
            }
            Values::Plain { at, .. } => {
                *at += 8 * count;
                Ok(())
            }
        }
    }

    /// Appends `count` 64-bit values made of their bits by `of`, `absent` for null.
    fn words<T: Copy>(
        &mut self,
        count: usize,
        absent: T,
        of: impl Fn(u64) -> T,
        out: &mut Vec<T>,
    ) -> Result<(), InputError> {
        let (present, levels) = self.presence(count)?;
        let start = out.len();
        match &mut self.values {
            Values::Plain { bytes, at } => {
                let raw = bytes.get(*at..).unwrap_or_default();
                let Some(words) = raw.as_chunks::<8>().0.get(..present) else {
                    return Err(self.ended(Ended));
                };
                out.extend(words.iter().map(|w| of(u64::from_le_bytes(*w))));
                *at += 8 * present;
            }
            Values::Codes(rle) => {
                self.codes.clear();
                if let Err(ended) = rle.read(present, &mut self.codes) {
                    return Err(self.ended(ended));
                }
                let words = &self.words[..];
                let mut bad = None;
                out.extend(self.codes.iter().map(|&code| match words.get(code as usize) {
                    Some(&word) => of(word),
                    None => {
                        bad = Some(code);
                        absent
                    }
                }));
                if let Some(code) = bad {
                    return Err(self.bad_code(code));
                }
            }
        }
        if let Some(levels) = levels {
            spread(out, start, &levels, absent);
        }
        Ok(())
    }

    fn bad_code(&self, code: u32) -> InputError {
        self.place.value(format!("dictionary code {code} has no entry"))
    }

    /// Appends doubles, NaN for null.
    pub fn numbers(&mut self, count: usize, out: &mut Vec<f64>) -> Result<(), InputError> {
        self.words(count, f64::NAN, f64::from_bits, out)
    }

    /// Appends microseconds, [`NO_TIME`] for null.
    pub fn times(
        &mut self,
        count: usize,
        unit: TimeUnit,
        out: &mut Vec<i64>,
    ) -> Result<(), InputError> {
        self.words(count, NO_TIME, |w| unit.micros(w as i64).unwrap_or(i64::MAX), out)
    }

    /// Appends what `resolve` makes of each text for the partial state `state`; `null` for null.
    pub fn texts<R: Resolve>(
        &mut self,
        count: usize,
        state: StateId,
        null: R::Id,
        resolve: &mut R,
        out: &mut Vec<R::Id>,
    ) -> Result<(), InputError> {
        let (present, levels) = self.presence(count)?;
        let start = out.len();
        match &mut self.values {
            Values::Plain { bytes, at } => {
                let mut texts = PlainTexts { bytes, at: *at };
                resolve.ids(texts.by_ref().take(present), &self.place, out)?;
                *at = texts.at;
                if out.len() - start < present {
                    return Err(self.ended(Ended));
                }
            }
            Values::Codes(rle) => {
                self.codes.clear();
                if let Err(ended) = rle.read(present, &mut self.codes) {
                    return Err(self.ended(ended));
                }
                let Some(dictionary) = &mut self.texts else {
                    if present == 0 {
                        out.resize(start + count, null);
                        return Ok(());
                    }
                    return Err(self.place.value("dictionary codes come before a dictionary"));
                };
                if !dictionary.known_ids(&self.codes, state, out) {
                    out.truncate(start);
                    if let Some(code) = beyond(&self.codes, dictionary.len()) {
                        return Err(self.bad_code(code));
                    }
                    dictionary.resolve(&self.codes, state, resolve, &self.place)?;
                    dictionary.known_ids(&self.codes, state, out);
                }
            }
        }
        if let Some(levels) = levels {
            spread(out, start, &levels, null);
        }
        Ok(())
    }
}

/// Rows that are passed at a time.
const PASSED: usize = 4096;

/// A code that a dictionary of `length` entries does not have, if there is one.
fn beyond(codes: &[u32], length: usize) -> Option<u32> {
    codes.iter().copied().max().filter(|&code| code as usize >= length)
}

/// Length-prefixed texts, until they end or one is cut off.
struct PlainTexts<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for PlainTexts<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let (start, end) = plain_text(self.bytes, self.at)?;
        self.at = end;
        Some(&self.bytes[start..end])
    }
}

/// Moves the values from `start` on to the rows whose level is 1, and puts `absent` in the others.
fn spread<T: Copy>(out: &mut Vec<T>, start: usize, levels: &[u32], absent: T) {
    let mut from = out.len();
    out.resize(start + levels.len(), absent);
    for (row, &level) in levels.iter().enumerate().rev() {
        let to = start + row;
        if level == 1 {
            from -= 1;
            out[to] = out[from];
        } else {
            out[to] = absent;
        }
    }
}

#[cfg(test)]
mod tests {
    use parquet::column::page::{CompressedPage, PageWriter};
    use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
    use parquet::schema::parser::parse_message_type;
    use parquet::schema::types::SchemaDescriptor;

    use super::*;

    #[test]
    fn values_are_spread_over_nulls() {
        let mut out = vec![9, 1, 2, 3];
        spread(&mut out, 1, &[0, 1, 0, 0, 1, 1, 0], 0);
        assert_eq!(out, [9, 0, 1, 0, 0, 2, 3, 0]);
    }

    /// A column of doubles by the name of `v`, `optional` or `required`: a dictionary and one page of `rows` rows.
    fn doubles(repetition: &str, dictionary: &[f64], page: Vec<u8>, rows: usize) -> PageColumn {
        let schema = format!("message m {{ {repetition} double v; }}");
        let schema = SchemaDescriptor::new(Arc::new(parse_message_type(&schema).unwrap()));
        let mut file = TrackedWrite::new(Vec::new());
        let mut data_at = 0;
        let entries: Vec<u8> = dictionary.iter().flat_map(|value| value.to_le_bytes()).collect();
        let pages = [
            Page::DictionaryPage {
                buf: entries.into(),
                num_values: dictionary.len() as u32,
                encoding: Encoding::PLAIN,
                is_sorted: false,
            },
            Page::DataPage {
                buf: page.into(),
                num_values: rows as u32,
                encoding: Encoding::RLE_DICTIONARY,
                def_level_encoding: Encoding::RLE,
                rep_level_encoding: Encoding::RLE,
                statistics: None,
            },
        ];
        for page in pages {
            data_at = file.bytes_written();
            let length = page.buffer().len();
            let page = CompressedPage::new(page, length);
            SerializedPageWriter::new(&mut file).write_page(page).unwrap();
        }
        let file = Bytes::from(file.into_inner().unwrap());
        let chunk = ColumnChunkMetaData::builder(schema.column(0))
            .set_encodings(vec![Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY])
            .set_num_values(rows as i64)
            .set_total_compressed_size(file.len() as i64)
            .set_total_uncompressed_size(file.len() as i64)
            .set_dictionary_page_offset(Some(0))
            .set_data_page_offset(data_at as i64)
            .build()
            .unwrap();
        let size = file.len() as u64;
        let bytes = ColumnBytes::Fetched { size, ranges: Arc::new(vec![(0, file)]) };
        let place = Place { object: "a file".into(), row_group: 0, column: "v" };
        PageColumn::new(bytes, &chunk, rows, place, &mut Spare::new()).unwrap()
    }

    /// Codes or levels as bit-packed groups of eight, of one byte each value at `width` 8.
    fn packed(values: &[u8], width: u8) -> Vec<u8> {
        let groups = values.len().div_ceil(8);
        let mut out = vec![(groups << 1 | 1) as u8 | 0x80, (groups >> 6) as u8];
        match width {
            8 => out.extend(values),
            _ => out.extend(
                values
                    .chunks(8)
                    .map(|bits| bits.iter().rev().fold(0, |byte, &bit| byte << 1 | bit)),
            ),
        }
        out
    }

    /// More rows than are passed at a time, with nulls among them and without.
    #[test]
    fn rows_are_passed_within_a_page() {
        let rows = 10_000;
        let dictionary: Vec<f64> = (0..256).map(f64::from).collect();
        let code = |row: usize| (row * 7 % 251) as u8;
        let is_present = |row: usize| !row.is_multiple_of(3);
        for optional in [false, true] {
            let present = |&row: &usize| !optional || is_present(row);
            let codes: Vec<u8> = (0..rows).filter(present).map(code).collect();
            let mut page = Vec::new();
            if optional {
                let levels: Vec<u8> = (0..rows).map(|row| u8::from(is_present(row))).collect();
                let levels = packed(&levels, 1);
                page.extend((levels.len() as u32).to_le_bytes());
                page.extend(levels);
            }
            page.push(8);
            page.extend(packed(&codes, 8));
            let repetition = if optional { "optional" } else { "required" };
            for passed in [1, PASSED - 1, PASSED, PASSED + 1, 2 * PASSED + 100, rows - 1] {
                let mut column = doubles(repetition, &dictionary, page.clone(), rows);
                column.skip(passed).unwrap();
                let count = (rows - passed).min(50);
                let mut found = Vec::new();
                column.available().unwrap();
                column.numbers(count, &mut found).unwrap();
                let expected = (passed..passed + count).map(|row| match present(&row) {
                    true => Some(f64::from(code(row))),
                    false => None,
                });
                let found = found.into_iter().map(|value| Some(value).filter(|v| !v.is_nan()));
                assert!(found.eq(expected), "{repetition}, after {passed}");
                assert!(column.codes.capacity() <= 2 * PASSED);
            }
        }
    }

    /// An empty page of codes has no values, not the dictionary's first for each row.
    #[test]
    fn codes_that_are_not_there_are_no_first_entry() {
        let mut out = Vec::new();
        let mut column = doubles("required", &[7.5], Vec::new(), 9);
        column.available().unwrap();
        let error = column.numbers(9, &mut out).unwrap_err().to_string();
        assert!(error.contains("a file") && error.contains('v'), "{error}");
        // All null, and all present.
        for level in [0, 1] {
            let mut column = doubles("optional", &[7.5], vec![2, 0, 0, 0, 9 << 1, level], 9);
            column.available().unwrap();
            out.clear();
            let read = column.numbers(9, &mut out);
            assert_eq!(read.is_ok(), level == 0);
            assert!(out.iter().all(|value| value.is_nan()));
        }
        // A dictionary of one entry needs no bits for its codes, but says so.
        let mut column = doubles("required", &[7.5], vec![0], 9);
        column.available().unwrap();
        out.clear();
        column.numbers(9, &mut out).unwrap();
        assert_eq!(out, [7.5; 9]);
    }
}
