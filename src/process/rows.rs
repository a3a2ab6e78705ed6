//! The rows of a day as bytes, in pieces.
//!
//! A piece is whether a table of texts begins anew with it, the texts that its rows need and the table has not yet,
//! then the rows. Texts are counted over the pieces of a table, from 1; 0 is null. So most texts are
//! sent once, and who takes rows in piece by piece need not hold those of the whole day.

use std::sync::Arc;

use crate::aggregate::interner::Interner;
use crate::spill::bytes::{Cursor, Malformed, put_varint};
use crate::spill::values::{put_row, take_row};
use crate::summary::order::{ORDERED_TEXTS, of_ordered_texts, ordered_texts};
use crate::summary::row::{DayMeta, RowBatch, SummaryRow, TextId};

/// A piece is given away when its rows and texts are this long.
const PIECE: usize = 256 * 1024;

/// A table of texts ends when they and the rows that need them are this long.
const TABLE: usize = 4 * 1024 * 1024;

/// Gives all rows of a batch away, piece by piece; the first begins a table.
///
/// # Errors
/// Those of `give`.
pub fn encode<E>(
    batch: &RowBatch,
    give: &mut dyn FnMut(Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let mut table = SentTexts::new(batch);
    let mut rows = Vec::new();
    for row in &batch.rows {
        put_row(&mut rows, row);
        for id in ordered_texts(row) {
            rows.extend_from_slice(&table.number(id).to_le_bytes());
        }
        if rows.len() + table.new.len() >= PIECE {
            give(table.piece(&mut rows))?;
        }
    }
    if rows.is_empty() { Ok(()) } else { give(table.piece(&mut rows)) }
}

/// The texts of a batch as they are sent.
struct SentTexts<'b> {
    batch: &'b RowBatch,
    /// By id in the batch: the number of a text in the table, or 0.
    numbers: Vec<u32>,
    count: u32,
    /// Bytes of the pieces of the table.
    bytes: usize,
    /// Lengths and bytes of those that no piece had.
    lengths: Vec<u8>,
    new: Vec<u8>,
    new_count: u64,
    begins: bool,
}

impl<'b> SentTexts<'b> {
    fn new(batch: &'b RowBatch) -> Self {
        SentTexts {
            batch,
            numbers: vec![0; batch.texts.len()],
            count: 0,
            bytes: 0,
            lengths: Vec::new(),
            new: Vec::new(),
            new_count: 0,
            begins: true,
        }
    }

    fn number(&mut self, id: TextId) -> u32 {
        if id.is_null() {
            return 0;
        }
        let number = &mut self.numbers[id.0 as usize];
        if *number == 0 {
            self.count += 1;
            *number = self.count;
            let text = self.batch.texts.bytes(id);
            put_varint(&mut self.lengths, text.len() as u64);
            self.new.extend_from_slice(text);
            self.new_count += 1;
        }
        *number
    }

    /// A piece of `rows`, which are emptied, and the new texts.
    fn piece(&mut self, rows: &mut Vec<u8>) -> Vec<u8> {
        let length = rows.len() + self.new.len() + self.lengths.len() + 12;
        let mut piece = Vec::with_capacity(length);
        piece.push(u8::from(self.begins));
        put_varint(&mut piece, self.new_count);
        for part in [&mut self.lengths, &mut self.new, rows] {
            piece.append(part);
        }
        self.new_count = 0;
        self.bytes += piece.len();
        self.begins = self.bytes >= TABLE;
        if self.begins {
            self.numbers.fill(0);
            (self.count, self.bytes) = (0, 0);
        }
        piece
    }
}

/// Rows of a day that are taken in.
pub struct Taken {
    day: Arc<DayMeta>,
    texts: Interner,
    rows: Vec<SummaryRow>,
    table: Vec<TextId>,
}

impl Taken {
    /// `seed` keeps an attacker who chooses the texts from choosing their hashes.
    pub fn new(day: Arc<DayMeta>, seed: u64) -> Self {
        Taken { day, texts: Interner::new(seed), rows: Vec::new(), table: Vec::new() }
    }

    /// Whether what was taken in before `piece` is not needed for it.
    pub fn begins_anew(piece: &[u8]) -> bool {
        piece.first() == Some(&1)
    }

    /// Takes in a piece: they come in the order in which they were made.
    ///
    /// # Errors
    /// Bytes that [`encode`] did not make, or not in this place.
    pub fn take(&mut self, piece: &[u8]) -> Result<(), Malformed> {
        let mut cursor = Cursor::new(piece);
        match cursor.array()? {
            [0] => {}
            [1] => self.table.clear(),
            _ => return Err(Malformed),
        }
        let lengths: Vec<usize> = (0..cursor.varint()?)
            .map(|_| cursor.varint().map(|length| length as usize))
            .collect::<Result<_, Malformed>>()?;
        let total = lengths.iter().try_fold(0, |sum: usize, &length| sum.checked_add(length));
        let texts = cursor.take(total.ok_or(Malformed)?)?;
        let mut rest = std::str::from_utf8(texts).map_err(|_| Malformed)?;
        for length in lengths {
            let (text, after) = rest.split_at_checked(length).ok_or(Malformed)?;
            self.table.push(self.texts.intern(text));
            rest = after;
        }
        while !cursor.is_at_end() {
            self.rows.push(row(&mut cursor, &self.table)?);
        }
        Ok(())
    }

    /// All that was taken in since the last batch.
    pub fn batch(&mut self) -> RowBatch {
        let empty = Taken::new(self.day.clone(), self.texts.seed());
        let Taken { day, texts, mut rows, .. } = std::mem::replace(self, empty);
        rows.shrink_to_fit();
        RowBatch { day, texts: texts.into_texts(), rows }
    }
}

fn row(cursor: &mut Cursor<'_>, table: &[TextId]) -> Result<SummaryRow, Malformed> {
    let row = take_row(cursor)?;
    let mut ids = [TextId::NULL; ORDERED_TEXTS];
    for id in &mut ids {
        *id = match u32::from_le_bytes(cursor.array()?) {
            0 => TextId::NULL,
            number => *table.get(number as usize - 1).ok_or(Malformed)?,
        };
    }
    Ok(of_ordered_texts(row, ids))
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::summary::row::{Measures, RowKind, Texts};

    fn day() -> Arc<DayMeta> {
        Arc::new(DayMeta {
            date: NaiveDate::default(),
            source_uuid: Uuid::nil(),
            report_period_id: None,
            cluster_id: None,
            cluster_alias: None,
        })
    }

    /// Rows of any kind, whose texts are some of the numbered ones or null.
    fn batch(rows: &[(u8, Option<i32>, [usize; ORDERED_TEXTS])], texts: usize) -> RowBatch {
        let mut all = Texts::default();
        let ids: Vec<TextId> = (0..texts).map(|text| all.push(&format!("ü{text}"))).collect();
        let row = |&(kind, cost_category_id, of): &(u8, Option<i32>, [usize; ORDERED_TEXTS])| {
            let (kind, measures) = match kind % 3 {
                0 => (RowKind::Pod, Measures::Pod([f64::from(kind); 14])),
                1 => (RowKind::Storage, Measures::Storage([f64::from(kind); 4])),
                _ => (RowKind::Unallocated, Measures::Pod([-0.0; 14])),
            };
            let null = TextId::NULL;
            let row = SummaryRow {
                kind,
                cost_category_id,
                namespace: null,
                node: null,
                resource_id: null,
                pod_labels: null,
                persistentvolumeclaim: null,
                persistentvolume: null,
                storageclass: null,
                csi_volume_handle: null,
                volume_labels: null,
                measures,
            };
            of_ordered_texts(row, of.map(|text| ids.get(text).copied().unwrap_or(null)))
        };
        RowBatch { day: day(), rows: rows.iter().map(row).collect(), texts: all }
    }

    fn lines(batch: &RowBatch) -> Vec<String> {
        let line = |row: &SummaryRow| {
            let texts = ordered_texts(row).map(|id| batch.text(id));
            format!("{:?} {:?} {texts:?} {:?}", row.kind, row.cost_category_id, row.measures)
        };
        batch.rows.iter().map(line).collect()
    }

    fn pieces(batch: &RowBatch) -> Vec<Vec<u8>> {
        let mut pieces = Vec::new();
        encode::<()>(batch, &mut |piece| {
            pieces.push(piece);
            Ok(())
        })
        .unwrap();
        pieces
    }

    proptest! {
        #[test]
        fn rows_arrive_as_they_were_sent(
            rows in prop::collection::vec(
                (any::<u8>(), any::<Option<i32>>(), any::<[prop::sample::Index; 9]>()), 0..40),
            cut in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte: u8,
        ) {
            let rows: Vec<_> =
                rows.into_iter().map(|(kind, id, of)| (kind, id, of.map(|i| i.index(9)))).collect();
            let (first, second) = rows.split_at(rows.len() / 2);
            let batches = [batch(first, 7), batch(second, 8)];
            let mut taken = Taken::new(day(), 7);
            let sent: Vec<Vec<u8>> = batches.iter().flat_map(pieces).collect();
            sent.iter().for_each(|piece| taken.take(piece).unwrap());
            prop_assert_eq!(lines(&taken.batch()), batches.iter().flat_map(lines).collect::<Vec<_>>());
            // Whatever happens to a piece, it is taken or refused.
            for mut piece in sent {
                let place = at.index(piece.len());
                piece[place] = byte;
                piece.truncate(cut.index(piece.len() + 1));
                let _ = Taken::new(day(), 7).take(&piece);
            }
        }
    }

    #[test]
    fn a_text_that_the_table_has_not_is_refused() {
        let [piece] = &pieces(&batch(&[(0, None, [0; ORDERED_TEXTS])], 1))[..] else {
            panic!("one piece")
        };
        let mut taken = Taken::new(day(), 7);
        taken.take(piece).unwrap();
        // The same row, but of a piece that brings no text, after the table and without it.
        let row = &piece[piece.len() - (1 + 1 + 14 * 8 + ORDERED_TEXTS * 4)..];
        taken.take(&[&[0, 0], row].concat()).unwrap();
        assert_eq!(taken.batch().rows.len(), 2);
        assert_eq!(Taken::new(day(), 7).take(&[&[0, 0], row].concat()), Err(Malformed));
        assert_eq!(taken.take(&[&[1, 0], row].concat()), Err(Malformed));
    }

    #[test]
    fn a_large_day_comes_in_tables_that_need_nothing_before_them() {
        let rows: Vec<_> = (0..40_000).map(|row| (0, None, [row; ORDERED_TEXTS])).collect();
        let batch = batch(&rows, rows.len());
        let (mut taken, mut seen, mut most) = (Taken::new(day(), 7), Vec::new(), 0);
        for piece in pieces(&batch) {
            assert!(piece.len() < 2 * PIECE);
            if Taken::begins_anew(&piece) {
                let batch = taken.batch();
                most = most.max(batch.texts.len());
                seen.extend(lines(&batch));
            }
            taken.take(&piece).unwrap();
        }
        seen.extend(lines(&taken.batch()));
        assert!((1..rows.len()).contains(&most), "{most} texts at once");
        assert_eq!(seen, lines(&batch));
    }
}
