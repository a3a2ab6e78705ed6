//! Snappy streams, unpacked without guessing what the next element is.
//!
//! The elements of compressed label texts are short, 14 bytes on average, and neither their kind nor their length
//! can be foreseen: a decoder that branches on them waits for wrong guesses for most of its time. Here an
//! element is always 64 bytes copied, from one of two places, of which the next one overwrites what was too
//! many. Only what is rare or long goes another way.
//!
//! The format: <https://github.com/google/snappy/blob/main/format_description.txt>.

/// Bytes that are written beyond the end of what a stream holds, at most; they mean nothing.
pub const SLACK: usize = COPIED;

/// No element makes more than 64 bytes beyond those it brings along, and those that do take three.
const MOST_EXPANSION: usize = 22;

/// What is wrong with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    #[error("a snappy stream of {packed} bytes promises {length}")]
    Promise { packed: usize, length: usize },
    #[error("a snappy stream does not say how long it is")]
    Length,
    #[error(
        "an element of a snappy stream lies outside of it, or more or fewer bytes come out than promised"
    )]
    Element,
}

/// How many bytes a stream holds, and where its elements begin.
///
/// # Errors
/// A length that is cut off, beyond 32 bits, or more than the stream can hold.
pub fn header(packed: &[u8]) -> Result<(usize, usize), Damage> {
    let mut length = 0u64;
    for (at, &byte) in packed.iter().take(5).enumerate() {
        length |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            let length = u32::try_from(length).map_err(|_| Damage::Length)? as usize;
            if length > packed.len().saturating_mul(MOST_EXPANSION) {
                return Err(Damage::Promise { packed: packed.len(), length });
            }
            return Ok((length, at + 1));
        }
    }
    Err(Damage::Length)
}

/// Unpacks the elements of a stream of `length` bytes, which begin at `start`, into `out`: see [`header`].
/// `out` has room for [`SLACK`] bytes more.
///
/// # Errors
/// Elements that are cut off, refer to what is not there, or make more or fewer bytes than `length`.
pub fn unpack(packed: &[u8], start: usize, length: usize, out: &mut [u8]) -> Result<(), Damage> {
    let unpacked = out.get_mut(..length + SLACK).and_then(|out| elements(packed, start, out));
    if unpacked == Some(length) { Ok(()) } else { Err(Damage::Element) }
}

/// How far the stream and what came out of it were read and written.
#[derive(Clone, Copy)]
struct At {
    packed: usize,
    out: usize,
}

/// From any place further than this from the end, an element can be read without looking where the
/// stream ends: its first bytes, and [`COPIED`] bytes after the first.
const REACH: usize = 96;

const _: () = assert!(REACH > COPIED);

/// How many bytes came out of the elements; `None` if they are damaged.
///
/// Each element makes at least one byte, so what goes beyond the promised length never comes back
/// to it; and what reads beyond the end of the stream ends beyond it, or has failed.
fn elements(packed: &[u8], start: usize, out: &mut [u8]) -> Option<usize> {
    let mut at = At { packed: start, out: 0 };
    let until = packed.len().saturating_sub(REACH);
    while at.packed < until {
        at = element(packed, out, at)?;
    }
    // The last ones once more by themselves, where there is something to read beyond them.
    let rest = packed.get(at.packed..)?;
    let mut last = [0; 2 * REACH];
    last.get_mut(..rest.len())?.copy_from_slice(rest);
    at.packed = 0;
    while at.packed < rest.len() {
        at = element(&last, out, at)?;
    }
    (at.packed == rest.len()).then_some(at.out)
}

/// An element by its first byte.
#[derive(Clone, Copy)]
struct Tag {
    /// Bytes that it makes; 0 for one that [`rare_element`] knows more of.
    length: u8,
    /// Copies from nearer than this repeat what they make themselves.
    nearest: u8,
    /// What the first byte says of the distance.
    distance: u16,
}

const TAGS: [Tag; 256] = {
    let mut tags = [Tag { length: 0, nearest: 0, distance: 0 }; 256];
    let mut byte = 0;
    while byte < 256 {
        let upper = (byte >> 2) as u8;
        tags[byte] = match byte & 3 {
            0 if upper < 60 => Tag { length: upper + 1, nearest: 0, distance: 0 },
            1 => copy((upper & 7) + 4, (byte >> 5 << 8) as u16),
            2 => copy(upper + 1, 0),
            _ => Tag { length: 0, nearest: 0, distance: 0 },
        };
        byte += 1;
    }
    tags
};

const fn copy(length: u8, distance: u16) -> Tag {
    Tag { length, nearest: length, distance }
}

/// By kind: which of the two bytes after the first say how far back a copy begins.
const DISTANCES: [u32; 4] = [0, 0xff, 0xffff, 0];

/// Bytes copied for an element, whatever its length.
const COPIED: usize = 64;

/// Any element. One copied here begins so far back that it ends before `at.out`: of what an
/// earlier one wrote too much, nothing is ever read.
#[inline(always)]
fn element(packed: &[u8], out: &mut [u8], at: At) -> Option<At> {
    let word = u32::from_le_bytes(*packed.get(at.packed..)?.first_chunk()?);
    let first = (word & 0xff) as usize;
    let kind = first & 3;
    let tag = TAGS[first];
    let distance = usize::from(tag.distance) + (word >> 8 & DISTANCES[kind]) as usize;
    if distance < usize::from(tag.nearest) || tag.length == 0 {
        return rare_element(packed, out, at);
    }
    let is_literal = kind == 0;
    let from = if is_literal { at.packed + 1 } else { at.out.wrapping_sub(distance) };
    let source = if is_literal { packed } else { &*out };
    let bytes: [u8; COPIED] = *source.get(from..)?.first_chunk()?;
    *out.get_mut(at.out..)?.first_chunk_mut()? = bytes;
    let length = usize::from(tag.length);
    let taken = if is_literal { (first >> 2) + 2 } else { kind + 1 };
    Some(At { packed: at.packed + taken, out: at.out + length })
}

/// Any element: what repeats itself, long literals, far copies.
#[cold]
#[inline(never)]
fn rare_element(packed: &[u8], out: &mut [u8], at: At) -> Option<At> {
    let first = usize::from(*packed.get(at.packed)?);
    // The number in the bytes after the first.
    let number = |bytes: usize| {
        let bytes = packed.get(at.packed + 1..)?.get(..bytes)?;
        Some(bytes.iter().rev().fold(0, |number, &byte| number << 8 | usize::from(byte)))
    };
    let upper = first >> 2;
    let (length, distance, taken) = match first & 3 {
        0 => {
            let bytes = upper.saturating_sub(59);
            let length = if bytes == 0 { upper } else { number(bytes)? } + 1;
            let from = at.packed + 1 + bytes;
            let literal = packed.get(from..)?.get(..length)?;
            out.get_mut(at.out..)?.get_mut(..length)?.copy_from_slice(literal);
            return Some(At { packed: from + length, out: at.out + length });
        }
        1 => ((upper & 7) + 4, (first >> 5) << 8 | number(1)?, 2),
        2 => (upper + 1, number(2)?, 3),
        _ => (upper + 1, number(4)?, 5),
    };
    let from = at.out.checked_sub(distance).filter(|_| distance > 0)?;
    let end = at.out + length;
    if end > out.len() {
        return None;
    }
    if distance == 1 {
        let byte = out[from];
        out[at.out..end].fill(byte);
    } else {
        // What there is of the repeated bytes, again and again twice as much.
        let mut made = 0;
        while made < length {
            let bytes = (distance + made).min(length - made);
            out.copy_within(from..from + bytes, at.out + made);
            made += bytes;
        }
    }
    Some(At { packed: at.packed + taken, out: end })
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn unpacked(packed: &[u8]) -> Result<Vec<u8>, Damage> {
        let (length, start) = header(packed)?;
        let mut out = vec![0xee; length + SLACK];
        unpack(packed, start, length, &mut out)?;
        out.truncate(length);
        Ok(out)
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        snap::raw::Encoder::new().compress_vec(bytes).unwrap()
    }

    /// Bytes of the kinds that pages are made of: texts with much in common, runs, noise.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            4 => (0usize..40, 0usize..12).prop_map(|(a, b)| {
                format!(r#"{{"label_app":"shop-{a}","label_tier":"web","label_pod":"p{b}"}}"#).into_bytes()
            }),
            2 => (any::<u8>(), 1usize..200).prop_map(|(byte, times)| vec![byte; times]),
            2 => (vec(any::<u8>(), 1..40), 1usize..20).prop_map(|(unit, times)| unit.repeat(times)),
            1 => vec(any::<u8>(), 0..3000),
        ];
        vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    /// An element to be.
    #[derive(Debug, Clone)]
    enum Element {
        /// And in how many bytes its length is said, at least.
        Literal(Vec<u8>, usize),
        /// Of the kinds 1 to 3; how far back, as a place among the bytes before it or as it is.
        Copy(u8, u8, Result<prop::sample::Index, u32>),
    }

    impl Element {
        /// Appends it where `made` bytes come before it; returns how many it makes.
        fn append(&self, made: usize, stream: &mut Vec<u8>) -> usize {
            match self {
                Element::Literal(bytes, sizes) => {
                    literal(bytes, *sizes, stream);
                    bytes.len()
                }
                Element::Copy(kind, length, back) => {
                    let most = [1 << 11, 1 << 16, usize::MAX][usize::from(*kind) - 1] - 1;
                    let distance = match back {
                        Ok(place) if made > 0 => 1 + place.index(made.min(most)),
                        Ok(_) => 1,
                        Err(distance) => *distance as usize & most,
                    };
                    match kind {
                        1 => stream.extend([
                            1 | (length % 8) << 2 | ((distance >> 8) as u8) << 5,
                            distance as u8,
                        ]),
                        _ => {
                            stream.push(kind | (length % 64) << 2);
                            let bytes = if *kind == 2 { 2 } else { 4 };
                            stream.extend(&(distance as u32).to_le_bytes()[..bytes]);
                        }
                    }
                    usize::from(if *kind == 1 { 4 + length % 8 } else { 1 + length % 64 })
                }
            }
        }
    }

    /// Appends a literal whose length is said in at least `sizes` bytes after the first.
    fn literal(bytes: &[u8], sizes: usize, stream: &mut Vec<u8>) {
        let last = (bytes.len() - 1) as u32;
        if sizes == 0 && last < 60 {
            stream.push((last << 2) as u8);
        } else {
            let needed = (u32::BITS - last.leading_zeros()).div_ceil(8) as usize;
            let sizes = sizes.max(needed).max(1);
            stream.push(((59 + sizes) << 2) as u8);
            stream.extend(&last.to_le_bytes()[..sizes]);
        }
        stream.extend(bytes);
    }

    /// Elements of every kind, mostly right, near and far.
    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let back = prop_oneof![
            60 => any::<prop::sample::Index>().prop_map(Ok),
            1 => (0u32..300).prop_map(Err),
            1 => any::<u32>().prop_map(Err),
        ];
        let element = prop_oneof![
            4 => (vec(any::<u8>(), 1..70), 0usize..5).prop_map(|(b, s)| Element::Literal(b, s)),
            1 => (vec(any::<u8>(), 250..400), 0usize..5).prop_map(|(b, s)| Element::Literal(b, s)),
            8 => (1u8..=3, any::<u8>(), back).prop_map(|(k, l, back)| Element::Copy(k, l, back)),
        ];
        let wrong = prop_oneof![4 => Just(None), 1 => (0usize..4000).prop_map(Some)];
        (vec(element, 0..60), wrong).prop_map(|(elements, wrong)| {
            let (mut stream, mut made) = (vec![0; 2], 0);
            for element in elements {
                made += element.append(made, &mut stream);
            }
            promising(&stream, wrong.unwrap_or(made))
        })
    }

    /// A stream of which the first two bytes are its length, with another one.
    fn promising(stream: &[u8], length: usize) -> Vec<u8> {
        let mut stream = stream.to_vec();
        (stream[0], stream[1]) = (length as u8 | 0x80, (length >> 7) as u8);
        stream
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_out(bytes in bytes()) {
            prop_assert_eq!(unpacked(&packed(&bytes)).unwrap(), bytes);
        }

        /// Each stream means what it means to another decoder, or is refused by both.
        #[test]
        fn streams_are_read_as_others_read_them(stream in stream()) {
            let theirs = snap::raw::Decoder::new().decompress_vec(&stream);
            prop_assert_eq!(unpacked(&stream).ok(), theirs.ok());
        }

        /// Damage is found, or does not change what another decoder makes of it.
        #[test]
        fn damage_is_found(bytes in bytes(), at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
            let mut stream = packed(&bytes);
            *at.get_mut(&mut stream[..]) = byte;
            let cut = 1 + cut.index(stream.len());
            for stream in [&stream[..], &stream[..cut]] {
                let theirs = snap::raw::decompress_len(stream)
                    .ok()
                    .filter(|&length| length <= stream.len() * MOST_EXPANSION)
                    .and_then(|_| snap::raw::Decoder::new().decompress_vec(stream).ok());
                prop_assert_eq!(unpacked(stream).ok(), theirs);
            }
        }
    }

    #[test]
    fn lengths() {
        assert_eq!(header(&[]), Err(Damage::Length));
        assert_eq!(header(&[0x80]), Err(Damage::Length));
        assert_eq!(header(&[0xff, 0xff, 0xff, 0xff, 0x1f, 0]), Err(Damage::Length));
        assert_eq!(header(&[5, 0]), Ok((5, 1)));
        assert_eq!(header(&[0x80, 0x80, 0x80, 0x80, 0]), Ok((0, 5)));
        assert_eq!(header(&[0x80, 0x80, 0x80, 0x80, 0x80, 0]), Err(Damage::Length));
        // 2^28 - 1 of four bytes.
        let length = (1 << 28) - 1;
        let promise = Damage::Promise { packed: 5, length };
        assert_eq!(header(&[0xff, 0xff, 0xff, 0x7f, 0]), Err(promise));
        assert!(unpacked(&[0]).unwrap().is_empty());
    }

    #[test]
    fn the_most_that_a_stream_can_hold_is_unpacked() {
        let zeros = vec![0; 1 << 16];
        assert_eq!(unpacked(&packed(&zeros)).unwrap(), zeros);
    }

    /// As no encoder that works in blocks of 64 KiB makes them.
    #[test]
    fn long_literals_and_far_copies() {
        let bytes: Vec<u8> = (0..100_000u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
        for sizes in [3, 4] {
            let mut stream = vec![0xa0 | 0x80, 0x8d, 6];
            literal(&bytes, sizes, &mut stream);
            assert_eq!(unpacked(&stream).unwrap(), bytes, "{sizes}");
        }
        let mut stream = vec![0xe0, 0x8d, 6];
        literal(&bytes, 3, &mut stream);
        stream.push(3 | 63 << 2);
        stream.extend(99_999u32.to_le_bytes());
        assert_eq!(unpacked(&stream).unwrap(), [&bytes[..], &bytes[1..65]].concat());
        // One byte before it, but not 65,537.
        let mut stream = vec![5];
        literal(b"a", 0, &mut stream);
        stream.push(3 | 3 << 2);
        stream.extend(0x0001_0001u32.to_le_bytes());
        assert_eq!(unpacked(&stream), Err(Damage::Element));
    }
}
