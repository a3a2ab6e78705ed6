//! Parquet's hybrid of run-length and bit-packed integers: levels and dictionary codes.

use bytes::Bytes;

/// The data ends before the values do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended;

/// A reader of one hybrid stream of values of up to 32 bits.
#[derive(Debug)]
pub struct Rle {
    data: Bytes,
    at: usize,
    bit_width: u32,
    run: Run,
}

#[derive(Debug, Clone, Copy)]
enum Run {
    Repeated {
        value: u32,
        left: usize,
    },
    /// Values packed from byte `start`, of which `next` comes next and `end` is past the last.
    Packed {
        start: usize,
        next: usize,
        end: usize,
    },
}

impl Rle {
    /// `bit_width` is at most 32; a greater one is refused by returning `None`.
    pub fn new(data: Bytes, bit_width: u32) -> Option<Self> {
        (bit_width <= 32).then_some(Rle {
            data,
            at: 0,
            bit_width,
            run: Run::Repeated { value: 0, left: 0 },
        })
    }

    /// Appends the next `count` values.
    pub fn read(&mut self, mut count: usize, out: &mut Vec<u32>) -> Result<(), Ended> {
        out.reserve(count);
        while count > 0 {
            match &mut self.run {
                Run::Repeated { left: 0, .. } => self.next_run()?,
                Run::Repeated { value, left } => {
                    let take = count.min(*left);
                    out.resize(out.len() + take, *value);
                    *left -= take;
                    count -= take;
                }
                Run::Packed { next, end, .. } if next == end => self.next_run()?,
                Run::Packed { start, next, end } => {
                    let take = count.min(*end - *next);
                    unpack(&self.data[*start..], self.bit_width, *next, take, out);
                    *next += take;
                    count -= take;
                }
            }
        }
        Ok(())
    }

    /// If the next `count` values are one run of `value`, passes them and says true.
    pub fn pass_run(&mut self, count: usize, value: u32) -> Result<bool, Ended> {
        if let Run::Repeated { left: 0, .. } = self.run {
            self.next_run()?;
        }
        match &mut self.run {
            Run::Repeated { value: v, left } if *v == value && *left >= count => {
                *left -= count;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn next_run(&mut self) -> Result<(), Ended> {
        if self.bit_width == 0 {
            // No bits, no data: every value is 0.
            self.run = Run::Repeated { value: 0, left: usize::MAX };
            return Ok(());
        }
        let header = self.varint()?;
        let length = (header >> 1) as usize;
        if header & 1 == 0 {
            let bytes = (self.bit_width as usize).div_ceil(8);
            let raw = self.data.get(self.at..self.at + bytes).ok_or(Ended)?;
            let mut value = [0; 4];
            value[..bytes].copy_from_slice(raw);
            self.at += bytes;
            self.run = Run::Repeated { value: u32::from_le_bytes(value), left: length };
        } else {
            let values = length.checked_mul(8).ok_or(Ended)?;
            let bytes = length.checked_mul(self.bit_width as usize).ok_or(Ended)?;
            let start = self.at;
            // Writers may cut the padding of the last group.
            let held = bytes.min(self.data.len() - start);
            let end = values.min(held * 8 / self.bit_width as usize);
            if end == 0 && values > 0 {
                return Err(Ended);
            }
            self.at += held;
            self.run = Run::Packed { start, next: 0, end };
        }
        Ok(())
    }

    fn varint(&mut self) -> Result<u64, Ended> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.data.get(self.at).ok_or(Ended)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Ended)
    }
}

/// Appends values `first..first + count` of `width` bits each, packed from the start of `data`,
/// which holds them all.
fn unpack(data: &[u8], width: u32, first: usize, count: usize, out: &mut Vec<u32>) {
    // Eight values end at a byte.
    let lead = (first.next_multiple_of(8) - first).min(count);
    unpack_one_by_one(data, width, first, lead, out);
    let groups = (count - lead) / 8;
    let start = (first + lead) / 8 * width as usize;
    out.reserve(groups * 8);
    unpack_groups(&data[start..start + groups * width as usize], width, out);
    let done = lead + groups * 8;
    unpack_one_by_one(data, width, first + done, count - done, out);
}

fn unpack_one_by_one(data: &[u8], width: u32, first: usize, count: usize, out: &mut Vec<u32>) {
    let width = width as usize;
    let mask = (1u64 << width) - 1;
    for bit in (first..first + count).map(|value| value * width) {
        let mut word = [0; 8];
        let held = &data[bit / 8..data.len().min(bit / 8 + 8)];
        word[..held.len()].copy_from_slice(held);
        out.push(((u64::from_le_bytes(word) >> (bit % 8)) & mask) as u32);
    }
}

/// Whole groups of eight: with the width known, every shift is a constant.
fn unpack_groups(data: &[u8], width: u32, out: &mut Vec<u32>) {
    macro_rules! of_width {
        ($($width:literal)*) => {
            match width {
                $($width => {
                    for group in data.as_chunks::<$width>().0 {
                        out.extend_from_slice(&group_of::<$width>(group));
                    }
                })*
                _ => {}
            }
        };
    }
    of_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32);
}

#[inline(always)]
fn group_of<const WIDTH: usize>(bytes: &[u8; WIDTH]) -> [u32; 8] {
    let mask = u64::MAX >> (64 - WIDTH);
    std::array::from_fn(|value| {
        let bit = value * WIDTH;
        // Eight bytes that hold all of it.
        let start = (bit / 8).min(WIDTH.saturating_sub(8));
        let held = &bytes[start..(start + 8).min(WIDTH)];
        let mut word = [0; 8];
        word[..held.len()].copy_from_slice(held);
        ((u64::from_le_bytes(word) >> (bit - start * 8)) & mask) as u32
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A plain encoder: runs where they are long, packed groups of eight otherwise.
    fn encode(values: &[u32], width: u32, packed: bool) -> Bytes {
        let mut out = Vec::new();
        if packed {
            let groups = values.len().div_ceil(8);
            out.push((groups as u8) << 1 | 1);
            let mut bits = vec![0u8; groups * width as usize];
            for (i, &v) in values.iter().enumerate() {
                for b in 0..width as usize {
                    let at = i * width as usize + b;
                    bits[at / 8] |= ((v >> b & 1) as u8) << (at % 8);
                }
            }
            out.extend(bits);
        } else {
            for &v in values {
                out.push(1 << 1);
                out.extend(&v.to_le_bytes()[..(width as usize).div_ceil(8)]);
            }
        }
        out.into()
    }

    proptest! {
        #[test]
        fn round_trip(width in 1u32..=32, raw in prop::collection::vec(any::<u32>(), 1..200),
                      packed: bool, step in 1usize..50) {
            let mask = ((1u64 << width) - 1) as u32;
            let values: Vec<u32> = raw.iter().map(|v| v & mask).collect();
            let mut rle = Rle::new(encode(&values, width, packed), width).unwrap();
            let mut got = Vec::new();
            while got.len() < values.len() {
                let n = step.min(values.len() - got.len());
                rle.read(n, &mut got).unwrap();
            }
            prop_assert_eq!(got, values);
        }

        #[test]
        fn any_bytes_end_or_read(data in prop::collection::vec(any::<u8>(), 0..60), width in 0u32..=33) {
            if let Some(mut rle) = Rle::new(data.into(), width) {
                let mut out = Vec::new();
                for _ in 0..20 {
                    if rle.read(13, &mut out).is_err() { break; }
                }
            }
        }
    }

    #[test]
    fn passes_runs() {
        let mut rle = Rle::new(vec![20, 1, 4, 0].into(), 1).unwrap();
        assert_eq!(rle.pass_run(6, 1), Ok(true));
        assert_eq!(rle.pass_run(6, 1), Ok(false));
        let mut out = Vec::new();
        rle.read(6, &mut out).unwrap();
        assert_eq!(out, [1, 1, 1, 1, 0, 0]);
        assert_eq!(rle.read(1, &mut out), Err(Ended));
    }
}
