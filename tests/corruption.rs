//! A byte that went bad anywhere in a file: an error that names the file, or the same rows, and
//! where the format cannot tell, at least no panic and no row lost.
//!
//! Parquet demands no checksum. Koku's files have none, and snappy has none of its own, so a bad
//! byte in the middle of a value decodes to another value: no reader can know. gzip does carry a
//! checksum, so with it every byte of a page is accounted for.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod common;

use std::path::Path;

use common::line_items::{Row, pod, storage};
use common::program::{Done, Scene};
use common::rows::SOURCE;
use common::tree::{MONTH, Table};
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterVersion;
use parquet::file::reader::{FileReader, SerializedFileReader};

/// Rows whose columns use dictionaries, runs, nulls and plain values.
fn pods() -> Vec<Row> {
    (0..48)
        .map(|i| {
            let row = pod()
                .at(&format!("2025-10-{:02} {:02}:00", 1 + i / 24, i % 24))
                .with("node", if i % 3 == 0 { "node-1" } else { "node-2" })
                .with("pod_usage_cpu_core_seconds", 100.0 + f64::from(i));
            let labels = format!(r#"{{"app": "web-{}", "other": "{i}"}}"#, i % 5);
            if i % 7 == 0 { row } else { row.with("pod_labels", labels.as_str()) }
        })
        .collect()
}

/// Runs over a file of `report_type` for each bad byte; returns how the runs ended.
struct Damage {
    scene: Scene,
    whole: Vec<u8>,
    report_type: &'static str,
    expected: String,
    rows_read: String,
}

impl Damage {
    fn of(scene: Scene, report_type: &'static str, whole: Vec<u8>) -> Self {
        let path = scene.tree.add_bytes(SOURCE, MONTH, report_type, &whole);
        let done = scene.run().done();
        done.succeeds();
        let expected = std::fs::read_to_string(scene.csv()).unwrap();
        std::fs::remove_file(path).unwrap();
        Damage { scene, whole, report_type, expected, rows_read: rows_read(&done) }
    }

    /// One bad byte at `offset`.
    #[track_caller]
    fn at(&self, offset: usize, flip: u8) -> Ending {
        let mut bytes = self.whole.clone();
        bytes[offset] ^= flip;
        let path = self.scene.tree.add_bytes(SOURCE, MONTH, self.report_type, &bytes);
        let _ = std::fs::remove_file(self.scene.csv());
        let done = self.scene.run().done();
        done.does_not_panic();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        std::fs::remove_file(path).unwrap();
        match done.code {
            Some(3) => {
                done.fails(3, &[&name]);
                self.scene.wrote_nothing();
                Ending::Refused
            }
            Some(0) if std::fs::read_to_string(self.scene.csv()).unwrap() == self.expected => {
                Ending::Same
            }
            Some(0) => {
                assert_eq!(rows_read(&done), self.rows_read, "offset {offset} ^ {flip:#x}");
                assert!(no_row_strayed(&done), "offset {offset} ^ {flip:#x}: {done:#?}");
                Ending::Other
            }
            _ => panic!("offset {offset} ^ {flip:#x}: {done:#?}"),
        }
    }

    /// Bad bytes all over `offsets`, `count` of them, each with a flip of its own.
    fn over(&self, offsets: std::ops::Range<usize>, count: usize) -> Vec<(usize, Ending)> {
        let step = (offsets.len() / count).max(1);
        offsets
            .step_by(step)
            .enumerate()
            .map(|(i, offset)| (offset, self.at(offset, [0x01, 0x80, 0xff, 0x10][i % 4])))
            .collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Refused,
    Same,
    /// As many rows, but not the same.
    Other,
}

fn count(endings: &[(usize, Ending)], ending: Ending) -> usize {
    endings.iter().filter(|(_, e)| *e == ending).count()
}

fn rows_read(done: &Done) -> String {
    done.stdout.lines().find(|line| line.starts_with("read ")).unwrap_or_default().to_owned()
}

/// Whether every row has a time, of an asked day, as the statistics promise.
fn no_row_strayed(done: &Done) -> bool {
    let unused = done.stdout.lines().find(|line| line.starts_with("not used "));
    unused.is_none_or(|line| line.contains("  0 rows of other") && line.contains(" 0 rows without"))
}

/// Where the pages end and the footer begins.
fn footer_start(file: &[u8]) -> usize {
    let length = u32::from_le_bytes(file[file.len() - 8..file.len() - 4].try_into().unwrap());
    file.len() - 8 - length as usize
}

#[test]
fn a_bad_byte_in_a_snappy_file_is_no_panic_and_loses_no_row() {
    let damage = Damage::of(Scene::new(), "pod_usage", Table::pods(pods()).bytes());
    let endings = damage.over(4..footer_start(&damage.whole), 200);
    let refused = count(&endings, Ending::Refused);
    assert!(refused > endings.len() / 10, "{refused} of {} refused", endings.len());
}

#[test]
fn a_bad_byte_in_the_footer_is_no_panic_and_loses_no_row() {
    let damage = Damage::of(Scene::new(), "pod_usage", Table::pods(pods()).bytes());
    let endings = damage.over(footer_start(&damage.whole)..damage.whole.len(), 200);
    assert!(count(&endings, Ending::Refused) > 20, "{endings:?}");
}

#[test]
fn a_bad_byte_in_pages_of_the_second_version_is_no_panic_and_loses_no_row() {
    let scene = Scene::new();
    scene.tree.add(&Table::pods(pods()));
    let rows = (0..60).map(|i| storage().at(&format!("2025-10-01 {:02}:00", i % 24)));
    let table = Table::storage(rows).written(|properties| {
        properties
            .set_writer_version(WriterVersion::PARQUET_2_0)
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
    });
    let damage = Damage::of(scene, "storage_usage", table.bytes());
    damage.over(4..damage.whole.len(), 200);
}

#[test]
fn no_bad_byte_in_a_checksummed_page_changes_a_row() {
    let scene = Scene::new();
    let table =
        Table::pods(pods()).written(|p| p.set_compression(Compression::GZIP(GzipLevel::default())));
    let whole = table.bytes();
    let path = scene.tree.add_bytes(SOURCE, MONTH, "pod_usage", &whole);
    let bodies = page_bodies(&path);
    std::fs::remove_file(path).unwrap();
    let damage = Damage::of(scene, "pod_usage", whole);
    for body in bodies {
        for (offset, ending) in damage.over(body, 8) {
            assert_ne!(ending, Ending::Other, "offset {offset}");
        }
    }
}

/// The byte ranges of the compressed data of the pages, which begin with gzip's signature.
fn page_bodies(path: &Path) -> Vec<std::ops::Range<usize>> {
    let file = std::fs::read(path).unwrap();
    let reader = SerializedFileReader::try_from(path).unwrap();
    let signature = |window: &[u8]| window == [0x1f, 0x8b, 0x08];
    let mut bodies = Vec::new();
    for column in reader.metadata().row_group(0).columns() {
        let (start, length) = column.byte_range();
        let (mut at, end) = (start as usize, (start + length) as usize);
        let mut starts = Vec::new();
        while let Some(found) = file[at..end].windows(3).position(signature) {
            starts.push(at + found);
            at += found + 3;
        }
        // A page's data reaches to the header of the next; the last, to the end of the column.
        bodies.extend(starts.last().map(|&last| last..end));
    }
    bodies
}
