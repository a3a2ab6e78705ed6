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

    /// Bytes of all pages so far, and of those that are held.
    pub fn decoded(&self) -> (u64, u64) {
        (self.decoded, self.dictionary + self.page)
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
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => {
                // A page of nulls only may be empty.
                let width = values.first().copied().unwrap_or(0);
                let rle = Rle::new(values.slice(values.len().min(1)..), u32::from(width));
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
    use super::*;

    #[test]
    fn values_are_spread_over_nulls() {
        let mut out = vec![9, 1, 2, 3];
        spread(&mut out, 1, &[0, 1, 0, 0, 1, 1, 0], 0);
        assert_eq!(out, [9, 0, 1, 0, 0, 2, 3, 0]);
    }
}
