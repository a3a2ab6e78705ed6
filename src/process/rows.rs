//! The rows of a day as bytes, in pieces.
//!
//! A piece is the texts that its rows need and none before it had, then the rows. Texts are counted over the
//! whole day, from 1; 0 is null. So every text is sent, and taken in, once.

use crate::spill::bytes::{Cursor, Malformed, put_varint};
use crate::spill::values::{put_row, take_row};
use crate::summary::order::{ORDERED_TEXTS, of_ordered_texts, ordered_texts};
use crate::summary::row::{RowBatch, SummaryRow, TextId, Texts};

/// A piece is given away when its rows are this long.
const PIECE: usize = 256 * 1024;

/// Gives all rows of a day away, piece by piece.
///
/// # Errors
/// Those of `give`.
pub fn encode<E>(
    batch: &RowBatch,
    give: &mut dyn FnMut(Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    // By id in the batch: the number of a text that was sent, or 0.
    let mut sent = vec![0; batch.texts.len()];
    let mut count = 0;
    let (mut lengths, mut texts, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    let mut give_piece = |lengths: &mut Vec<u32>, texts: &mut Vec<u8>, rows: &mut Vec<u8>| {
        let mut piece = Vec::with_capacity(rows.len() + texts.len() + lengths.len() * 2 + 10);
        put_varint(&mut piece, lengths.len() as u64);
        lengths.iter().for_each(|&length| put_varint(&mut piece, u64::from(length)));
        piece.extend_from_slice(texts);
        piece.extend_from_slice(rows);
        lengths.clear();
        texts.clear();
        rows.clear();
        give(piece)
    };
    for row in &batch.rows {
        put_row(&mut rows, row);
        for id in ordered_texts(row) {
            let mut number = 0u32;
            if !id.is_null() {
                let known = &mut sent[id.0 as usize];
                if *known == 0 {
                    count += 1;
                    *known = count;
                    let text = batch.texts.bytes(id);
                    lengths.push(text.len() as u32);
                    texts.extend_from_slice(text);
                }
                number = *known;
            }
            rows.extend_from_slice(&number.to_le_bytes());
        }
        if rows.len() + texts.len() >= PIECE {
            give_piece(&mut lengths, &mut texts, &mut rows)?;
        }
    }
    if rows.is_empty() { Ok(()) } else { give_piece(&mut lengths, &mut texts, &mut rows) }
}

/// Appends the rows of a piece to `rows`, and the texts that it brings to `texts`, which has those of all
/// pieces before it.
///
/// # Errors
/// Bytes that [`encode`] did not make, or not in this place.
pub fn decode(
    piece: &[u8],
    texts: &mut Texts,
    rows: &mut Vec<SummaryRow>,
) -> Result<(), Malformed> {
    let mut cursor = Cursor::new(piece);
    let lengths: Vec<usize> = (0..cursor.varint()?)
        .map(|_| cursor.varint().map(|length| length as usize))
        .collect::<Result<_, Malformed>>()?;
    let total = lengths.iter().try_fold(0usize, |sum, &l| sum.checked_add(l)).ok_or(Malformed)?;
    let mut rest = std::str::from_utf8(cursor.take(total)?).map_err(|_| Malformed)?;
    for length in lengths {
        let (text, after) = rest.split_at_checked(length).ok_or(Malformed)?;
        texts.push(text);
        rest = after;
    }
    let known = texts.len() as u32;
    while !cursor.is_at_end() {
        rows.push(row(&mut cursor, known)?);
    }
    Ok(())
}

fn row(cursor: &mut Cursor<'_>, known: u32) -> Result<SummaryRow, Malformed> {
    let row = take_row(cursor)?;
    let mut ids = [TextId::NULL; ORDERED_TEXTS];
    for id in &mut ids {
        *id = match u32::from_le_bytes(cursor.array()?) {
            0 => TextId::NULL,
            number if number <= known => TextId(number - 1),
            _ => return Err(Malformed),
        };
    }
    Ok(of_ordered_texts(row, ids))
}
