//! Snappy streams: what comes out, or that they are damaged, as another decoder has it.

use ocp_rollup::decode::snappy::{SLACK, header, unpack};

/// No stream of bytes holds more than this many times as many.
const MOST_EXPANSION: usize = 22;

pub fn run(data: &[u8]) {
    let length = header(data).ok().map(|(length, _)| length);
    let theirs = snap::raw::decompress_len(data).ok();
    let possible = |&length: &usize| !data.is_empty() && length <= data.len() * MOST_EXPANSION;
    assert_eq!(length, theirs.filter(possible));
    if let Ok((length, start)) = header(data) {
        let mut out = vec![0; length + SLACK];
        let ours = unpack(data, start, length, &mut out).map(|()| &out[..length]);
        let theirs = snap::raw::Decoder::new().decompress_vec(data);
        assert_eq!(ours.ok(), theirs.as_deref().ok());
    }
    let packed = snap::raw::Encoder::new().compress_vec(data).unwrap_or_else(|e| panic!("{e}"));
    let (length, start) = header(&packed).unwrap_or_else(|e| panic!("{e}"));
    let mut out = vec![0; length + SLACK];
    unpack(&packed, start, length, &mut out).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(&out[..length], data);
}
