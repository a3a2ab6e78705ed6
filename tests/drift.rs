//! The same line items as many programs write them: the same summary, or a refusal by name.
//!
//! `tests/drift/generate.py` made the files, with pyarrow, fastparquet and DuckDB; those of
//! parquet-rs are written here.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{WriterProperties, WriterVersion};
use rayon::prelude::*;
use serde::Deserialize;
use tempfile::TempDir;

const TYPES: [&str; 5] =
    ["pod_usage", "daily_pod_usage", "storage_usage", "node_labels", "namespace_labels"];

const SWITCHES: [[&str; 2]; 2] = [["--categorical", "on"], ["--categorical", "off"]];

/// A file and what must come of it.
#[derive(Debug, Clone, Deserialize)]
struct Case {
    file: String,
    /// The type whose plain file it stands for.
    r#type: String,
    /// The plain file that says the same, if it is not that of the type.
    plain: Option<String>,
    /// It is there besides the plain file and changes nothing.
    #[serde(default)]
    beside: bool,
    #[serde(default)]
    flags: Vec<String>,
    /// What the message says if it is refused.
    refused: Option<String>,
}

/// The corpus, unpacked.
struct Corpus {
    folder: TempDir,
    cases: Vec<Case>,
}

impl Corpus {
    fn open() -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drift");
        let folder = tempfile::tempdir().unwrap();
        let packed = File::open(here.join("corpus.tar.gz")).unwrap();
        tar::Archive::new(flate2::read::GzDecoder::new(packed)).unpack(folder.path()).unwrap();
        let cases = fs::read_to_string(here.join("cases.json")).unwrap();
        Corpus { folder, cases: serde_json::from_str(&cases).unwrap() }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn plain(&self, name: &str) -> PathBuf {
        self.path(&format!("plain/{name}.parquet"))
    }
}

/// A tree in which every case is a source of its own, and the lookups beside it.
struct Tree(TempDir);

impl Tree {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lookups = folder.path().join("lookups");
        fs::create_dir(&lookups).unwrap();
        for (name, text) in [
            ("enabled_tag_keys", "key,enabled,provider_type\napp,true,OCP\nenv,true,OCP\n"),
            ("cost_category_namespace", "namespace,cost_category_id\nkube-%,1\n"),
            ("nodes", "node,resource_id,node_role\nnode-0,i-0,master\nnode-1,i-1,worker\n"),
        ] {
            fs::write(lookups.join(name).with_extension("csv"), text).unwrap();
        }
        Tree(folder)
    }

    /// A source with the plain file of each type, but what `instead` names in the place of one.
    fn add(&self, corpus: &Corpus, source: &str, r#type: &str, instead: &[PathBuf]) {
        for of in TYPES {
            let (daily, name) = match of.strip_prefix("daily_") {
                Some(name) => ("daily/", name),
                None => ("", of),
            };
            let folder = format!("data/parquet/{daily}org1/OCP/{name}/source={source}");
            let folder = self.0.path().join(folder).join("year=2025/month=10");
            fs::create_dir_all(&folder).unwrap();
            let plain = [corpus.plain(of)];
            let files = if of == r#type { instead } else { &plain };
            for (number, file) in files.iter().enumerate() {
                fs::copy(file, folder.join(format!("{number}.parquet"))).unwrap();
            }
        }
    }

    /// The rows of each source, without its id, or what the program said.
    fn run(&self, sources: &[String], flags: &[&str]) -> Result<BTreeMap<String, String>, String> {
        let out = tempfile::tempdir().unwrap();
        let csv = out.path().join("out.csv");
        let done = Command::new(env!("CARGO_BIN_EXE_ocp-rollup"))
            .env_clear()
            .args(["run", "--org-id", "org1", "--from", "2025-10-01", "--to", "2025-10-02"])
            .arg("--source")
            .arg(self.0.path())
            .arg("--lookups")
            .arg(self.0.path().join("lookups"))
            .arg(format!("--provider-uuid={}", sources.join(",")))
            .arg(format!("--sink=csv:{}", csv.display()))
            .args(flags)
            .output()
            .unwrap();
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(!said.contains("panicked"), "{said}");
        match done.status.code() {
            Some(0) => {}
            Some(3) => return Err(said),
            code => panic!("{code:?}: {said}"),
        }
        let rows = fs::read_to_string(csv).unwrap();
        let of = |source: &String| {
            let own = rows.lines().filter(|row| row.contains(source.as_str()));
            let own: Vec<String> = own.map(|row| row.replace(source.as_str(), "")).collect();
            (source.clone(), own.join("\n"))
        };
        Ok(sources.iter().map(of).collect())
    }
}

fn source(number: usize) -> String {
    format!("00000000-0000-0000-0000-{number:012}")
}

/// Runs each of `cases` and its plain equivalent, all at once, and names those that differ.
fn compare(corpus: &Corpus, cases: &[(Case, PathBuf)], flags: &[&str]) -> Vec<String> {
    let tree = Tree::new();
    let mut sources = Vec::new();
    for (number, (case, file)) in cases.iter().enumerate() {
        let plain = corpus.plain(case.plain.as_ref().unwrap_or(&case.r#type));
        let both = [plain.clone(), file.clone()];
        let instead = if case.beside { &both[..] } else { &both[1..] };
        let pair = [source(2 * number), source(2 * number + 1)];
        tree.add(corpus, &pair[0], &case.r#type, &[plain]);
        tree.add(corpus, &pair[1], &case.r#type, instead);
        sources.extend(pair);
    }
    let rows = tree.run(&sources, flags).unwrap_or_else(|said| panic!("{flags:?}: {said}"));
    let differ = |pair: &[String]| {
        let (expected, found) = (&rows[&pair[0]], &rows[&pair[1]]);
        assert!(expected.lines().count() > 20, "{expected}");
        expected != found
    };
    let pairs = cases.iter().zip(sources.chunks(2)).filter(|(_, pair)| differ(pair));
    pairs.map(|((case, _), _)| format!("{} {flags:?}: other rows", case.file)).collect()
}

#[test]
fn files_of_any_writer_give_the_rows_of_plain_ones() {
    let corpus = Corpus::open();
    let mut by_flags: BTreeMap<Vec<String>, Vec<(Case, PathBuf)>> = BTreeMap::new();
    for case in corpus.cases.iter().filter(|case| case.refused.is_none()) {
        let file = corpus.path(&case.file);
        by_flags.entry(case.flags.clone()).or_default().push((case.clone(), file));
    }
    let failures: Vec<String> = by_flags
        .iter()
        .flat_map(|(flags, cases)| {
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            SWITCHES.map(|switch| compare(&corpus, cases, &[&flags[..], &switch].concat()))
        })
        .flatten()
        .collect();
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn what_cannot_be_read_is_refused_by_name() {
    let corpus = Corpus::open();
    let refused: Vec<&Case> = corpus.cases.iter().filter(|case| case.refused.is_some()).collect();
    assert!(refused.len() > 30);
    let failures: Vec<String> = refused
        .par_iter()
        .flat_map_iter(|case| SWITCHES.map(|switch| (case, switch)))
        .filter_map(|(case, switch)| {
            let tree = Tree::new();
            tree.add(&corpus, &source(0), &case.r#type, &[corpus.path(&case.file)]);
            let why = case.refused.as_ref().unwrap();
            match tree.run(&[source(0)], &switch) {
                Ok(_) => Some(format!("{} {switch:?}: read", case.file)),
                Err(said) if said.contains(why) && said.contains("0.parquet") => None,
                Err(said) => Some(format!("{} {switch:?}: no {why:?} in {said}", case.file)),
            }
        })
        .collect();
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn files_of_parquet_rs_too() {
    let corpus = Corpus::open();
    let batches = |file: &Path| -> Vec<RecordBatch> {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap();
        reader.build().unwrap().map(Result::unwrap).collect()
    };
    let out = tempfile::tempdir().unwrap();
    let mut cases = Vec::new();
    for r#type in ["pod_usage", "storage_usage"] {
        let items = batches(&corpus.plain(r#type));
        for (name, properties) in of_parquet_rs() {
            let file = format!("parquet-rs/{type}_{name}");
            let path = out.path().join(file.replace('/', "_"));
            let to = File::create(&path).unwrap();
            let mut writer = ArrowWriter::try_new(to, items[0].schema(), Some(properties)).unwrap();
            items.iter().for_each(|batch| writer.write(batch).unwrap());
            writer.close().unwrap();
            let r#type = r#type.to_owned();
            let case =
                Case { file, r#type, plain: None, beside: false, flags: vec![], refused: None };
            cases.push((case, path));
        }
    }
    let failures = SWITCHES.map(|switch| compare(&corpus, &cases, &switch)).concat();
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Every codec in both versions of pages, with and without dictionaries, and each encoding.
fn of_parquet_rs() -> Vec<(String, WriterProperties)> {
    let mut all = Vec::new();
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        let builder = || WriterProperties::builder().set_writer_version(version);
        for codec in [
            Compression::UNCOMPRESSED,
            Compression::SNAPPY,
            Compression::GZIP(Default::default()),
            Compression::ZSTD(Default::default()),
            Compression::LZ4,
            Compression::LZ4_RAW,
            Compression::BROTLI(Default::default()),
        ] {
            for dictionary in [true, false] {
                let properties =
                    builder().set_compression(codec).set_dictionary_enabled(dictionary).build();
                all.push((format!("{version:?}_{codec}_{dictionary}"), properties));
            }
        }
        let small = builder()
            .set_data_page_row_count_limit(5)
            .set_write_batch_size(5)
            .set_dictionary_page_size_limit(20)
            .set_max_row_group_row_count(Some(13));
        all.push((format!("{version:?}_small"), small.build()));
        for encoding in [Encoding::DELTA_BYTE_ARRAY, Encoding::DELTA_LENGTH_BYTE_ARRAY] {
            let columns = ["namespace", "node", "pod", "pod_labels", "persistentvolume"];
            let properties = columns.iter().fold(builder(), |builder, column| {
                let builder = builder.set_column_encoding((*column).into(), encoding);
                builder.set_column_dictionary_enabled((*column).into(), false)
            });
            all.push((format!("{version:?}_{encoding}"), properties.build()));
        }
    }
    all
}
