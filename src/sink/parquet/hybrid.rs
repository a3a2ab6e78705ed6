//! Parquet's hybrid of run-length and bit-packed integers, written.

/// Bits that hold every number up to `most`.
pub fn width_of(most: u32) -> u32 {
    u32::BITS - most.leading_zeros()
}

/// Runs shorter than this are packed.
const SHORTEST_RUN: usize = 8;

/// Appends `values`, none of which needs more than `width` bits.
///
/// Bit-packed values go in groups of eight: a run gives up its first values to fill a group.
pub fn encode(values: &[u32], width: u32, out: &mut Vec<u8>) {
    let mut packed_from = 0;
    let mut at = 0;
    while at < values.len() {
        let value = values[at];
        let run = values[at..].iter().take_while(|&&v| v == value).count();
        let filling = (at - packed_from).next_multiple_of(8) - (at - packed_from);
        if run >= SHORTEST_RUN + filling {
            pack(&values[packed_from..at + filling], width, out);
            repeat(value, run - filling, width, out);
            packed_from = at + run;
        }
        at += run;
    }
    pack(&values[packed_from..], width, out);
}

/// Appends `count` times `value`.
pub fn repeat(value: u32, count: usize, width: u32, out: &mut Vec<u8>) {
    if count > 0 {
        varint((count as u64) << 1, out);
        out.extend_from_slice(&value.to_le_bytes()[..width.div_ceil(8) as usize]);
    }
}

/// The last group is filled up with zeros: only the end of a page can have one.
fn pack(values: &[u32], width: u32, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let groups = values.len().div_ceil(8);
    varint((groups as u64) << 1 | 1, out);
    let end = out.len() + groups * width as usize;
    let (mut word, mut bits) = (0u64, 0);
    for &value in values {
        word |= u64::from(value) << bits;
        bits += width;
        while bits >= 8 {
            out.push(word as u8);
            word >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 {
        out.push(word as u8);
    }
    out.resize(end, 0);
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decode::rle::Rle;

    proptest! {
        #[test]
        fn is_read_back(
            runs in prop::collection::vec((any::<u32>(), 1usize..40), 0..40),
            width in 1u32..=32,
        ) {
            let mask = ((1u64 << width) - 1) as u32;
            let values: Vec<u32> =
                runs.iter().flat_map(|&(value, count)| vec![value & mask; count]).collect();
            let mut bytes = Vec::new();
            encode(&values, width, &mut bytes);
            let mut read = Vec::new();
            Rle::new(bytes.into(), width).unwrap().read(values.len(), &mut read).unwrap();
            prop_assert_eq!(read, values);
        }
    }

    #[test]
    fn a_run_is_short() {
        let mut bytes = Vec::new();
        encode(&[3; 1000], 2, &mut bytes);
        assert_eq!(bytes, [0xd0, 0x0f, 3]);
        assert_eq!((width_of(0), width_of(1), width_of(255), width_of(256)), (0, 1, 8, 9));
    }
}
