//! What the records of groups and rows are made of: label objects, exact sums, rows but for their texts.

use super::bytes::{Cursor, Malformed, put_text, put_varint};
use crate::aggregate::exact::Sum;
use crate::aggregate::partial::Partial;
use crate::aggregate::sums::{Outliers, Sums};
use crate::aggregate::wide::Wide;
use crate::labels::sets::SetId;
use crate::summary::row::{Measures, RowKind, SummaryRow, TextId};

/// The pairs of a label object, by key; `None` for no object at all.
pub type Labels<'a> = Option<Vec<(u32, Option<&'a str>)>>;

pub fn put_labels(out: &mut Vec<u8>, state: &Partial, labels: SetId) {
    if labels == SetId::NULL {
        out.push(0);
        return;
    }
    let pairs = state.sets.pairs(labels);
    put_varint(out, pairs.len() as u64 + 1);
    for &(key, value) in pairs {
        put_varint(out, u64::from(key));
        put_text(out, state.texts.get(TextId(value)));
    }
}

/// Reads what [`put_labels`] wrote.
pub fn take_labels<'a>(cursor: &mut Cursor<'a>) -> Result<Labels<'a>, Malformed> {
    let Some(count) = cursor.varint()?.checked_sub(1) else {
        return Ok(None);
    };
    let mut pairs = Vec::new();
    for _ in 0..count {
        let key = u32::try_from(cursor.varint()?).map_err(|_| Malformed)?;
        pairs.push((key, cursor.text()?));
    }
    Ok(Some(pairs))
}

/// The sums and the row count of group `index`, with what lies outside of their window.
pub fn put_sums<const N: usize>(
    out: &mut Vec<u8>,
    sums: &Sums<N>,
    index: usize,
    outliers: &Outliers,
) {
    let (sums, rows, present) = sums.parts();
    put_varint(out, u64::from(rows));
    out.extend(present.to_le_bytes());
    for sum in sums {
        let (high, low) = sum.parts();
        out.extend(high.to_le_bytes());
        out.extend(low.to_le_bytes());
    }
    let outliers: Vec<(usize, &Wide)> = outliers.of_group(index, N).collect();
    put_varint(out, outliers.len() as u64);
    for (measure, wide) in outliers {
        let limbs = wide.limbs();
        out.push(measure as u8);
        put_varint(out, limbs.len() as u64);
        for (limb, value) in limbs {
            out.extend(limb.to_le_bytes());
            out.extend(value.to_le_bytes());
        }
    }
}

/// Sums, and by measure what lies outside of their window.
pub type TakenSums<const N: usize> = (Sums<N>, Vec<(usize, Wide)>);

/// Reads what [`put_sums`] wrote.
pub fn take_sums<const N: usize>(cursor: &mut Cursor<'_>) -> Result<TakenSums<N>, Malformed> {
    let rows = u32::try_from(cursor.varint()?).map_err(|_| Malformed)?;
    let present = u16::from_le_bytes(cursor.array()?);
    let mut sums = [Sum::default(); N];
    for sum in &mut sums {
        let high = i64::from_le_bytes(cursor.array()?);
        *sum = Sum::from_parts(high, i64::from_le_bytes(cursor.array()?));
    }
    let mut outliers = Vec::new();
    for _ in 0..cursor.varint()? {
        let measure = usize::from(cursor.array::<1>()?[0]);
        if measure >= N {
            return Err(Malformed);
        }
        let mut wide = Wide::default();
        for _ in 0..cursor.varint()? {
            let limb = i32::from_le_bytes(cursor.array()?);
            if !wide.take_limb(limb, i128::from_le_bytes(cursor.array()?)) {
                return Err(Malformed);
            }
        }
        outliers.push((measure, wide));
    }
    Ok((Sums::from_parts(sums, rows, present), outliers))
}

/// A row but for its texts.
pub fn put_row(out: &mut Vec<u8>, row: &SummaryRow) {
    out.push(match row.kind {
        RowKind::Pod => 0,
        RowKind::Storage => 1,
        RowKind::Unallocated => 2,
    });
    put_varint(out, row.cost_category_id.map_or(0, |id| u64::from(id as u32) + 1));
    let measures: &[f64] = match &row.measures {
        Measures::Pod(values) => values,
        Measures::Storage(values) => values,
    };
    measures.iter().for_each(|value| out.extend(value.to_le_bytes()));
}

/// Reads what [`put_row`] wrote: a row without texts.
pub fn take_row(cursor: &mut Cursor<'_>) -> Result<SummaryRow, Malformed> {
    let kind = match cursor.array()? {
        [0] => RowKind::Pod,
        [1] => RowKind::Storage,
        [2] => RowKind::Unallocated,
        _ => return Err(Malformed),
    };
    let cost_category_id = match cursor.varint()? {
        0 => None,
        id => Some(u32::try_from(id - 1).map_err(|_| Malformed)? as i32),
    };
    let measures = match kind {
        RowKind::Storage => Measures::Storage(take_doubles(cursor)?),
        RowKind::Pod | RowKind::Unallocated => Measures::Pod(take_doubles(cursor)?),
    };
    Ok(SummaryRow {
        kind,
        cost_category_id,
        namespace: TextId::NULL,
        node: TextId::NULL,
        resource_id: TextId::NULL,
        pod_labels: TextId::NULL,
        persistentvolumeclaim: TextId::NULL,
        persistentvolume: TextId::NULL,
        storageclass: TextId::NULL,
        csi_volume_handle: TextId::NULL,
        volume_labels: TextId::NULL,
        measures,
    })
}

fn take_doubles<const N: usize>(cursor: &mut Cursor<'_>) -> Result<[f64; N], Malformed> {
    let mut values = [0.0; N];
    for value in &mut values {
        *value = cursor.f64()?;
    }
    Ok(values)
}

/// The id of a text in `state`.
pub fn intern(state: &mut Partial, text: Option<&str>) -> TextId {
    text.map_or(TextId::NULL, |text| state.texts.intern(text))
}

/// The id of a label object in `state`.
pub fn intern_labels(state: &mut Partial, labels: Option<&[(u32, Option<&str>)]>) -> SetId {
    let Some(labels) = labels else {
        return SetId::NULL;
    };
    let pairs: Vec<(u32, u32)> =
        labels.iter().map(|&(key, value)| (key, intern(state, value).0)).collect();
    state.sets.intern_ids(&pairs)
}
