//! What the file sinks write is what `verify` reads.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type};
use ocp_rollup::aggregate::interner::Interner;
use ocp_rollup::sink::csv::CsvSink;
use ocp_rollup::sink::file::FileError;
use ocp_rollup::sink::parquet::{ParquetSink, ROW_GROUP_ROWS, VERSION_KEY};
use ocp_rollup::sink::{Sink, SinkError};
use ocp_rollup::summary::columns::COLUMNS;
use ocp_rollup::summary::row::{
    DayMeta, Measures, RowBatch, RowKind, STREAMED_ROWS, SummaryRow, TextId, Texts,
};
use ocp_rollup::verify::{Filter, Options, Table, compare, load};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;

const NAMES: [&str; 9] = [
    "plain",
    "Zürich 東京 🦀",
    "say \"hi\"",
    "two\nlines\r\nand more",
    "a,b",
    "\\N",
    "",
    " padded ",
    "\"",
];

fn day(date: &str) -> Arc<DayMeta> {
    Arc::new(DayMeta {
        date: date.parse().unwrap(),
        source_uuid: "bc531e7b-f319-5bbf-b686-40d15291920d".parse().unwrap(),
        report_period_id: Some(7),
        cluster_id: Some("cluster".to_owned()),
        cluster_alias: None,
    })
}

fn row(kind: RowKind, namespace: TextId, labels: TextId, measures: Measures) -> SummaryRow {
    SummaryRow {
        kind,
        cost_category_id: None,
        namespace,
        node: namespace,
        resource_id: TextId::NULL,
        pod_labels: if kind == RowKind::Pod { labels } else { TextId::NULL },
        persistentvolumeclaim: TextId::NULL,
        persistentvolume: TextId::NULL,
        storageclass: TextId::NULL,
        csi_volume_handle: TextId::NULL,
        volume_labels: if kind == RowKind::Storage { labels } else { TextId::NULL },
        measures,
    }
}

/// Every awkward name with every awkward number.
fn awkward(date: &str) -> RowBatch {
    let mut texts = Texts::default();
    let labels = texts.push(r#"{"app":"a \"quoted\" \\ value","ключ":"значение"}"#);
    let names: Vec<TextId> = NAMES.iter().map(|name| texts.push(name)).collect();
    let mut rows = Vec::new();
    for (i, &name) in names.iter().chain([&TextId::NULL]).enumerate() {
        let mut pod = [f64::NAN; 14];
        pod[0] = -0.0;
        pod[1] = 1e300;
        pod[2] = 1e-300;
        pod[3] = 0.1 + 0.2;
        pod[4] = 72.0;
        pod[5] = i as f64;
        pod[6] = -385.650_000_000_000_03;
        pod[7] = 9_007_199_254_740_993.0;
        rows.push(row(RowKind::Pod, name, labels, Measures::Pod(pod)));
        rows.push(row(RowKind::Unallocated, name, labels, Measures::Pod(pod)));
        let storage = [f64::NAN, 1.0 / 3.0, f64::MIN_POSITIVE, f64::MAX];
        rows.push(row(RowKind::Storage, name, labels, Measures::Storage(storage)));
    }
    RowBatch { day: day(date), texts, rows }
}

fn write(mut sink: Box<dyn Sink>, batches: &[RowBatch]) -> Result<(), SinkError> {
    for batch in batches {
        sink.begin_day(&batch.day)?;
        sink.write(batch)?;
        sink.end_day()?;
    }
    sink.finish()
}

fn read_parquet(path: &Path) -> Vec<RecordBatch> {
    let file = fs::File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    reader.map(Result::unwrap).collect()
}

#[test]
fn csv_and_parquet_hold_the_same_values() {
    let folder = tempfile::tempdir().unwrap();
    let (csv, parquet) = (folder.path().join("rows.csv"), folder.path().join("rows.parquet"));
    let batches = [awkward("2025-10-01"), awkward("2025-10-31")];
    write(Box::new(CsvSink::create(&csv).unwrap()), &batches).unwrap();
    write(Box::new(ParquetSink::create(&parquet).unwrap()), &batches).unwrap();

    let filter = Filter::default();
    let left = load(&Table::Csv(csv), &filter, None).unwrap();
    let right = load(&Table::Parquet(parquet.clone()), &filter, None).unwrap();
    // With no tolerance at all: every double reads back as itself.
    let exact = Options { relative: 0.0, absolute: 0.0, ..Options::default() };
    let report = compare(&left, &right, &exact);
    assert!(report.is_equal(), "{}\n{:#?}", report.summary(), report.differences);
    assert_eq!(report.equal_rows, 60);
    assert_eq!(report.columns.len(), COLUMNS.len());

    // And they are the values that went in, seen by a reader that shares nothing with `verify`.
    let read = read_parquet(&parquet);
    let batch = &read[0];
    let numbers = |name: &str| batch.column_by_name(name).unwrap().as_primitive::<Float64Type>();
    assert_eq!(numbers("pod_usage_cpu_core_hours").value(0).to_bits(), (-0.0_f64).to_bits());
    assert_eq!(numbers("pod_request_cpu_core_hours").value(0), 1e300);
    assert_eq!(numbers("pod_effective_usage_cpu_core_hours").value(0), 1e-300);
    let unset = batch.column_by_name("node_capacity_cpu_cores").unwrap();
    assert_eq!(unset.null_count(), unset.len());
    let namespaces = batch.column_by_name("namespace").unwrap().as_string::<i32>();
    for (i, name) in NAMES.iter().enumerate() {
        assert_eq!(namespaces.value(3 * i), *name);
    }
    assert!(namespaces.is_null(27));
}

#[test]
fn null_and_its_spelling_stay_apart_in_csv() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = Vec::new();
    for null in [true, false] {
        let path = folder.path().join(format!("{null}.csv"));
        let mut texts = Texts::default();
        let name = if null { TextId::NULL } else { texts.push("\\N") };
        let measures = Measures::Pod([1.0; 14]);
        let batch = RowBatch {
            day: day("2025-10-01"),
            texts,
            rows: vec![row(RowKind::Unallocated, name, TextId::NULL, measures)],
        };
        write(Box::new(CsvSink::create(&path).unwrap()), &[batch]).unwrap();
        rows.push(load(&Table::Csv(path), &Filter::default(), None).unwrap());
    }
    assert!(!compare(&rows[0], &rows[1], &Options::default()).is_equal());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_and_number_survives(
        values in prop::collection::vec(
            (prop::option::of("[\\PC\n\r\",\\\\N]{0,6}"), prop::num::f64::ANY), 1..8)
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (csv, parquet) = (folder.path().join("rows.csv"), folder.path().join("rows.parquet"));
        let mut texts = Texts::default();
        let mut rows = Vec::new();
        for (name, number) in &values {
            let id = name.as_ref().map_or(TextId::NULL, |name| texts.push(name));
            rows.push(row(RowKind::Pod, id, TextId::NULL, Measures::Pod([*number; 14])));
        }
        let batch = [RowBatch { day: day("2025-10-01"), texts, rows }];
        write(Box::new(CsvSink::create(&csv).unwrap()), &batch).unwrap();
        write(Box::new(ParquetSink::create(&parquet).unwrap()), &batch).unwrap();

        let mut reader = csv::Reader::from_path(&csv).unwrap();
        let headers = reader.headers().unwrap().clone();
        let at = |name: &str| headers.iter().position(|h| h == name).unwrap();
        let (namespace, usage) = (at("namespace"), at("pod_usage_cpu_core_hours"));
        for (record, (name, number)) in reader.records().zip(&values) {
            let record = record.unwrap();
            prop_assert_eq!(&record[namespace], name.as_deref().unwrap_or("\\N"));
            if number.is_nan() {
                prop_assert_eq!(&record[usage], "\\N");
            } else {
                let read: f64 = record[usage].parse().unwrap();
                prop_assert_eq!(read.to_bits(), number.to_bits());
            }
        }
        let filter = Filter::default();
        let left = load(&Table::Csv(csv), &filter, None).unwrap();
        let right = load(&Table::Parquet(parquet), &filter, None).unwrap();
        prop_assert_eq!(left.len(), values.len());
        let exact = Options { relative: 0.0, absolute: 0.0, ..Options::default() };
        prop_assert!(compare(&left, &right, &exact).is_equal());
    }
}

/// The rows of `batch` as a day comes back from disk: in pieces that share no ids.
fn streamed(batch: &RowBatch) -> Vec<RowBatch> {
    let pieces = batch.rows.chunks(STREAMED_ROWS).map(|rows| {
        let mut texts = Interner::new(1);
        let mut id = |id| batch.text(id).map_or(TextId::NULL, |text| texts.intern(text));
        let rows = rows
            .iter()
            .map(|row| SummaryRow {
                namespace: id(row.namespace),
                node: id(row.node),
                resource_id: id(row.resource_id),
                pod_labels: id(row.pod_labels),
                volume_labels: id(row.volume_labels),
                ..row.clone()
            })
            .collect();
        RowBatch { day: batch.day.clone(), rows, texts: texts.into_texts() }
    });
    pieces.collect()
}

#[test]
fn a_parquet_file_does_not_tell_which_way_its_days_came() {
    let folder = tempfile::tempdir().unwrap();
    let mut days = Vec::new();
    for (date, count) in [("2025-10-01", 30), ("2025-10-02", 40_000), ("2025-10-03", 4096)] {
        let mut batch = awkward(date);
        let names: Vec<TextId> = batch.rows.iter().map(|row| row.namespace).collect();
        let labels: Vec<TextId> =
            (0..count).map(|i| batch.texts.push(&format!(r#"{{"app":"{}"}}"#, i * i))).collect();
        let empty = batch.texts.push("{}");
        let kinds = [RowKind::Pod, RowKind::Storage, RowKind::Pod, RowKind::Unallocated];
        batch.rows = (0..count)
            .map(|i| {
                let labels = if i % 7 == 5 { empty } else { labels[i / 2] };
                let kind = kinds[i % kinds.len()];
                let number = |k| if k == i % 14 { f64::NAN } else { (i % (k + 2)) as f64 };
                let measures = match kind {
                    RowKind::Storage => Measures::Storage([i as f64, f64::NAN, 0.5, -0.0]),
                    _ => Measures::Pod(std::array::from_fn(number)),
                };
                row(kind, names[i % names.len()], labels, measures)
            })
            .collect();
        days.push(batch);
    }
    let path = |name: &str| folder.path().join(name);
    write(Box::new(ParquetSink::create(&path("whole")).unwrap()), &days).unwrap();

    let mut sink = Box::new(ParquetSink::create(&path("streamed")).unwrap());
    for day in &days {
        sink.begin_day(&day.day).unwrap();
        streamed(day).iter().for_each(|piece| sink.write(piece).unwrap());
        sink.end_day().unwrap();
    }
    sink.finish().unwrap();

    let mut sink = Box::new(ParquetSink::create(&path("encoded")).unwrap());
    let encoder = sink.encoder().unwrap();
    for day in &days {
        sink.begin_day(&day.day).unwrap();
        match encoder.encode(day).unwrap() {
            Some(encoded) => sink.write_encoded(&encoded).unwrap(),
            None => sink.write(day).unwrap(),
        }
        sink.end_day().unwrap();
    }
    sink.finish().unwrap();

    let whole = fs::read(path("whole")).unwrap();
    assert!(whole == fs::read(path("streamed")).unwrap(), "streamed");
    assert!(whole == fs::read(path("encoded")).unwrap(), "encoded");
    let rows: usize = read_parquet(&path("whole")).iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, 30 + 40_000 + 4096);
    let csv = path("rows.csv");
    write(Box::new(CsvSink::create(&csv).unwrap()), &days).unwrap();
    let filter = Filter::default();
    let left = load(&Table::Csv(csv), &filter, None).unwrap();
    let right = load(&Table::Parquet(path("whole")), &filter, None).unwrap();
    let exact = Options { relative: 0.0, absolute: 0.0, ..Options::default() };
    assert!(compare(&left, &right, &exact).is_equal());
}

#[test]
fn parquet_columns_are_typed_and_row_groups_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.parquet");
    let mut batch = awkward("2025-10-01");
    let one = batch.rows[0].clone();
    let days = [3, ROW_GROUP_ROWS + 2, 4, 5].map(|rows| {
        batch.rows = vec![one.clone(); rows];
        batch.clone()
    });
    write(Box::new(ParquetSink::create(&path).unwrap()), &days).unwrap();

    let file = fs::File::open(&path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let groups: Vec<i64> = reader.metadata().row_groups().iter().map(|g| g.num_rows()).collect();
    // A large day has its own; small ones share them.
    assert_eq!(groups, [3, ROW_GROUP_ROWS as i64, 2, 9]);
    let schema = reader.schema();
    for (name, expected) in [
        ("report_period_id", DataType::Int32),
        ("usage_start", DataType::Date32),
        ("pod_labels", DataType::Utf8),
        ("source_uuid", DataType::Utf8),
        ("distributed_cost", DataType::Float64),
        ("day", DataType::Utf8),
    ] {
        assert_eq!(schema.field_with_name(name).unwrap().data_type(), &expected, "{name}");
    }
    let metadata = reader.metadata().file_metadata().key_value_metadata().unwrap();
    let version = metadata.iter().find(|kv| kv.key == VERSION_KEY).unwrap();
    assert_eq!(version.value.as_deref(), Some(env!("CARGO_PKG_VERSION")));
}

#[test]
fn an_abandoned_sink_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for kind in ["csv", "parquet"] {
        let path = folder.path().join(format!("rows.{kind}"));
        let mut sink: Box<dyn Sink> = match kind {
            "csv" => Box::new(CsvSink::create(&path).unwrap()),
            _ => Box::new(ParquetSink::create(&path).unwrap()),
        };
        sink.write(&awkward("2025-10-01")).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        drop(sink);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn no_rows_make_a_readable_file() {
    let folder = tempfile::tempdir().unwrap();
    let (csv, parquet) = (folder.path().join("rows.csv"), folder.path().join("rows.parquet"));
    write(Box::new(CsvSink::create(&csv).unwrap()), &[]).unwrap();
    write(Box::new(ParquetSink::create(&parquet).unwrap()), &[]).unwrap();
    let filter = Filter::default();
    assert!(load(&Table::Csv(csv), &filter, None).unwrap().is_empty());
    assert!(load(&Table::Parquet(parquet), &filter, None).unwrap().is_empty());
}

/// A file system of 64 KiB, unmounted on drop; `None` where this user may not mount.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
            .arg(folder.path())
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then_some(SmallDisk(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_named_and_cleaned_up() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("SKIPPED: a full disk cannot be tried, mounting a tmpfs is not permitted");
        return;
    };
    // Differing values, so that Parquet cannot fold them.
    let batch = {
        let mut batch = awkward("2025-10-01");
        let one = batch.rows[0].clone();
        batch.rows = (0..20_000_u32)
            .map(|i| {
                let values = std::array::from_fn(|k| f64::from(i * 14 + k as u32).sin());
                SummaryRow { measures: Measures::Pod(values), ..one.clone() }
            })
            .collect();
        batch
    };
    for kind in ["csv", "parquet"] {
        let path = disk.0.path().join(format!("rows.{kind}"));
        fs::write(&path, "old").unwrap();
        let sink: Box<dyn Sink> = match kind {
            "csv" => Box::new(CsvSink::create(&path).unwrap()),
            _ => Box::new(ParquetSink::create(&path).unwrap()),
        };
        let error = write(sink, std::slice::from_ref(&batch)).unwrap_err();
        let message = error.to_string();
        assert!(matches!(error, SinkError::File(FileError::Full { .. })), "{error:?}");
        assert!(message.starts_with("no space left for the output file"), "{message}");
        assert!(message.contains(&format!("rows.{kind}")), "{message}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(disk.0.path()).unwrap().count(), 1, "temporary file left");
        fs::remove_file(&path).unwrap();
    }
}
