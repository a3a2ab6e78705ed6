//! The generator, by what it leaves on disk.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod common;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, TimeUnit, TimestampMillisecondType};
use chrono::NaiveDate;
use common::files;
use ocp_rollup::generate::{self, GenerateError, Plan};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding, Repetition};
use parquet::file::reader::{FileReader, SerializedFileReader};
use uuid::Uuid;

fn small(out: &Path) -> Plan {
    Plan {
        days: 2,
        nodes: 12,
        namespaces: 30,
        pods: Some(400),
        threads: Some(2),
        ..Plan::new(out.to_owned())
    }
}

fn hashes(folder: &Path) -> BTreeMap<String, u64> {
    let hash = |path: &Path| xxhash_rust::xxh3::xxh3_64(&fs::read(path).unwrap());
    files::below(folder).into_iter().map(|(name, path)| (name, hash(&path))).collect()
}

/// Files of a type, hourly (`""`) or `daily`.
fn tables(folder: &Path, grain: &str, report: &str) -> Vec<PathBuf> {
    let daily = grain == "daily";
    files::below(&folder.join("data/parquet"))
        .into_iter()
        .filter(|(name, _)| {
            name.starts_with("daily/") == daily && name.contains(&format!("/OCP/{report}/"))
        })
        .map(|(_, path)| path)
        .collect()
}

fn batches(paths: &[PathBuf]) -> Vec<RecordBatch> {
    let read = |path: &PathBuf| {
        let file = fs::File::open(path).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        reader.map(Result::unwrap).collect::<Vec<_>>()
    };
    paths.iter().flat_map(read).collect()
}

fn text(batch: &RecordBatch, column: &str, row: usize) -> String {
    batch.column_by_name(column).unwrap().as_string::<i32>().value(row).to_owned()
}

fn number(batch: &RecordBatch, column: &str, row: usize) -> Option<f64> {
    let array = batch.column_by_name(column).unwrap().as_primitive::<Float64Type>();
    array.is_valid(row).then(|| array.value(row))
}

fn millis(batch: &RecordBatch, column: &str, row: usize) -> i64 {
    let array = batch.column_by_name(column).unwrap();
    array.as_primitive::<TimestampMillisecondType>().value(row)
}

fn rows(batches: &[RecordBatch]) -> impl Iterator<Item = (&RecordBatch, usize)> {
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row)))
}

#[test]
fn the_same_plan_makes_the_same_bytes_whatever_the_threads() {
    let (one, four, other) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let summary = generate::run(&Plan { threads: Some(1), ..small(one.path()) }).unwrap();
    let again = generate::run(&Plan { threads: Some(4), ..small(four.path()) }).unwrap();
    generate::run(&Plan { seed: 2, ..small(other.path()) }).unwrap();

    assert_eq!(summary, again);
    let hashes_of_one = hashes(one.path());
    assert_eq!(hashes_of_one, hashes(four.path()));
    assert_ne!(hashes_of_one, hashes(other.path()));
    // 2 days, 4 files a day, 4 types, hourly and daily; 3 lookups; nothing partial.
    assert_eq!(hashes_of_one.len(), 64 + 3);
    assert_eq!(summary.files, 64);
}

#[test]
fn a_day_is_the_same_in_every_range_and_lies_in_its_month() {
    let (two_months, one_day) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let date = |day| NaiveDate::from_ymd_opt(2025, 9, day).unwrap();
    let plan = |folder: &tempfile::TempDir, from, days| Plan {
        from,
        days,
        nodes: 6,
        pods: Some(60),
        ..small(folder.path())
    };
    generate::run(&plan(&two_months, date(29), 4)).unwrap();
    generate::run(&plan(&one_day, date(30), 1)).unwrap();

    let all = hashes(two_months.path());
    for (name, hash) in hashes(one_day.path()) {
        assert_eq!(all.get(&name), Some(&hash), "{name}");
    }
    let source = generate::PROVIDER_UUID;
    for report in ["pod_usage", "storage_usage", "node_labels", "namespace_labels"] {
        for (month, day) in [("09", "2025-09-30"), ("10", "2025-10-01")] {
            for (grain, mark) in [("", ""), ("daily/", "daily_")] {
                let name = format!(
                    "data/parquet/{grain}org1234567/OCP/{report}/source={source}/year=2025/month={month}/{report}.{day}.1.2_{mark}0.parquet"
                );
                assert!(all.contains_key(&name), "{name}");
            }
        }
    }
    for (batch, row) in rows(&batches(&tables(two_months.path(), "", "pod_usage"))) {
        let start = millis(batch, "interval_start", row);
        assert!(
            (millis(batch, "report_period_start", row)..millis(batch, "report_period_end", row))
                .contains(&start)
        );
        assert_eq!(millis(batch, "interval_end", row), start + 3_599_000);
        assert_eq!(start % 3_600_000, 0);
    }
}

#[test]
fn the_size_and_the_shape_are_as_asked() {
    let folder = tempfile::tempdir().unwrap();
    let summary = generate::run(&small(folder.path())).unwrap();
    let pods = batches(&tables(folder.path(), "", "pod_usage"));
    assert_eq!(rows(&pods).count() as u64, summary.pod_rows);
    let an_hour = summary.pod_rows as f64 / 48.0;
    assert!((390.0..430.0).contains(&an_hour), "{an_hour}");
    assert_eq!(summary.node_label_rows, 12 * 48);
    assert_eq!(summary.namespace_label_rows, 30 * 48);
    assert!(summary.storage_rows > 48 * 10);

    let (mut pending, mut bytes, mut nulls, mut unlimited, mut whole) = (0, 0, 0, 0, 0);
    let mut names = HashSet::new();
    for (batch, row) in rows(&pods) {
        let labels = text(batch, "pod_labels", row);
        bytes += labels.len();
        let parsed: HashMap<String, String> = serde_json::from_str(&labels).unwrap();
        assert!(parsed.len() <= 13, "{labels}");
        let node = text(batch, "node", row);
        pending += usize::from(node.is_empty());
        assert_eq!(node.is_empty(), text(batch, "resource_id", row).is_empty());
        assert_eq!(node.is_empty(), number(batch, "node_capacity_cpu_cores", row) == Some(0.0));
        let usage = number(batch, "pod_usage_cpu_core_seconds", row);
        let request = number(batch, "pod_request_cpu_core_seconds", row);
        let limit = number(batch, "pod_limit_cpu_core_seconds", row);
        let effective = number(batch, "pod_effective_usage_cpu_core_seconds", row);
        nulls += usize::from(usage.is_none() || limit.is_none());
        unlimited += usize::from(limit == Some(0.0));
        whole += usize::from(usage.is_some_and(|usage| usage.fract() == 0.0));
        assert_eq!(effective, usage.into_iter().chain(request).reduce(f64::max));
        names.insert(text(batch, "pod", row));
    }
    let rows = summary.pod_rows as usize;
    let share = pending as f64 / rows as f64;
    assert!((0.001..0.004).contains(&share), "{share}");
    let length = bytes / rows;
    assert!((220..300).contains(&length), "{length}");
    assert!(nulls > 0 && nulls < rows / 500, "{nulls}");
    assert!(unlimited > rows / 10 && unlimited < rows / 2, "{unlimited}");
    assert!(whole < rows / 1000, "{whole}");
    // More pods than live at a time: they come and go.
    assert!(names.len() > 600, "{}", names.len());
}

#[test]
fn columns_encodings_and_statistics_are_those_of_koku() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan {
        days: 1,
        nodes: 40,
        pods: Some(10_000),
        files_per_day: 12,
        rows_per_group: 15_000,
        daily: false,
        ..small(folder.path())
    };
    generate::run(&plan).unwrap();
    assert!(tables(folder.path(), "daily", "pod_usage").is_empty());
    let path = tables(folder.path(), "", "pod_usage").remove(0);
    let file = SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap();
    let metadata = file.metadata();
    // 2 hours of 10,000 rows, cut at 15,000.
    assert_eq!(metadata.num_row_groups(), 2);
    assert_eq!(metadata.row_group(0).num_rows(), 15_000);
    for column in metadata.row_group(0).columns() {
        let name = column.column_path().string();
        let plain = |column: &Encoding| *column == Encoding::PLAIN;
        let statistics = column.statistics().unwrap();
        assert!(statistics.min_bytes_opt().is_some() && statistics.max_bytes_opt().is_some());
        assert!(statistics.null_count_opt().is_some(), "{name}");
        assert_eq!(column.compression(), Compression::SNAPPY);
        assert_eq!(
            column.column_descr().self_type().get_basic_info().repetition(),
            Repetition::OPTIONAL
        );
        assert!(column.dictionary_page_offset().is_some(), "{name}");
        assert!(column.encodings().any(|encoding| plain(&encoding)), "{name}");
    }
    // The dictionary of labels overflows, so that some of its pages are plain; that of the nodes
    // does not.
    let data_pages = |name: &str| {
        let index = metadata
            .row_group(0)
            .columns()
            .iter()
            .position(|column| column.column_path().string() == name)
            .unwrap();
        let group = file.get_row_group(0).unwrap();
        let pages = group.get_column_page_reader(index).unwrap();
        let encodings: HashSet<String> = pages
            .map(Result::unwrap)
            .filter(|page| page.page_type() != parquet::basic::PageType::DICTIONARY_PAGE)
            .map(|page| format!("{:?}", page.encoding()))
            .collect();
        encodings
    };
    assert!(data_pages("pod_labels").contains("PLAIN"), "{:?}", data_pages("pod_labels"));
    assert_eq!(data_pages("node"), HashSet::from(["RLE_DICTIONARY".to_owned()]));

    let batch = &batches(&[path])[0];
    let types: HashSet<_> = batch.schema().fields().iter().map(|f| f.data_type().clone()).collect();
    let time = DataType::Timestamp(TimeUnit::Millisecond, None);
    assert_eq!(types, HashSet::from([time, DataType::Utf8, DataType::Float64]));
    // Hour by hour, shuffled in the hour: the first rows are not of one namespace.
    let first: HashSet<String> = (0..50).map(|row| text(batch, "namespace", row)).collect();
    assert!(first.len() > 10, "{}", first.len());
}

#[test]
fn daily_files_are_the_roll_up_of_the_hourly_ones() {
    let folder = tempfile::tempdir().unwrap();
    generate::run(&small(folder.path())).unwrap();
    let check = |report: &str, keys: &[&str], sums: &[&str], highest: &[&str]| {
        for (hourly, daily) in
            tables(folder.path(), "", report).iter().zip(tables(folder.path(), "daily", report))
        {
            let mut expected: HashMap<Vec<String>, Vec<Option<f64>>> = HashMap::new();
            for (batch, row) in rows(&batches(std::slice::from_ref(hourly))) {
                let key = keys.iter().map(|key| text(batch, key, row)).collect();
                let all = expected.entry(key).or_insert_with(|| vec![None; 16]);
                for (place, column) in sums.iter().chain(highest).enumerate() {
                    let value = number(batch, column, row);
                    let joined = |(a, b): (f64, f64)| {
                        if place < sums.len() { a + b } else { a.max(b) }
                    };
                    all[place] = all[place].zip(value).map(joined).or(all[place]).or(value);
                }
            }
            let mut found = 0;
            for (batch, row) in rows(&batches(&[daily])) {
                found += 1;
                let key: Vec<String> = keys.iter().map(|key| text(batch, key, row)).collect();
                let expected = &expected[&key];
                for (place, column) in sums.iter().chain(highest).enumerate() {
                    let (value, wanted) = (number(batch, column, row), expected[place]);
                    let close = match (value, wanted) {
                        (Some(a), Some(b)) => (a - b).abs() <= 1e-12 * b.abs(),
                        (a, b) => a == b,
                    };
                    assert!(close, "{key:?} {column}: {value:?}, not {wanted:?}");
                }
                assert_eq!(millis(batch, "interval_start", row) % 86_400_000, 0);
            }
            assert_eq!(found, expected.len(), "a group is one row of {report}");
        }
    };
    check(
        "pod_usage",
        &["namespace", "node", "pod", "pod_labels", "resource_id"],
        &[
            "pod_usage_cpu_core_seconds",
            "pod_request_cpu_core_seconds",
            "pod_limit_cpu_core_seconds",
            "pod_effective_usage_cpu_core_seconds",
            "pod_usage_memory_byte_seconds",
            "pod_request_memory_byte_seconds",
            "pod_limit_memory_byte_seconds",
            "pod_effective_usage_memory_byte_seconds",
            "node_capacity_cpu_core_seconds",
            "node_capacity_memory_byte_seconds",
        ],
        &["node_capacity_cpu_cores", "node_capacity_memory_bytes"],
    );
    check(
        "storage_usage",
        &[
            "namespace",
            "node",
            "pod",
            "persistentvolumeclaim",
            "persistentvolume",
            "storageclass",
            "csi_driver",
            "csi_volume_handle",
            "persistentvolume_labels",
            "persistentvolumeclaim_labels",
        ],
        &[
            "persistentvolumeclaim_capacity_byte_seconds",
            "volume_request_storage_byte_seconds",
            "persistentvolumeclaim_usage_byte_seconds",
        ],
        &["persistentvolumeclaim_capacity_bytes"],
    );
    check("node_labels", &["node", "node_labels"], &[], &[]);
    check("namespace_labels", &["namespace", "namespace_labels"], &[], &[]);
}

#[test]
fn storage_rows_belong_to_pods_or_to_nobody() {
    let folder = tempfile::tempdir().unwrap();
    generate::run(&Plan { pods: Some(2000), days: 1, ..small(folder.path()) }).unwrap();
    let pods = batches(&tables(folder.path(), "", "pod_usage"));
    let pods: HashSet<(String, String)> = rows(&pods)
        .map(|(batch, row)| (text(batch, "namespace", row), text(batch, "pod", row)))
        .collect();
    let mut nodes_of_claims: HashMap<String, HashSet<String>> = HashMap::new();
    let (mut orphans, mut unclaimed) = (0, 0);
    let storage = batches(&tables(folder.path(), "", "storage_usage"));
    for (batch, row) in rows(&storage) {
        let pod = text(batch, "pod", row);
        if pod.is_empty() {
            orphans += 1;
            unclaimed += usize::from(text(batch, "persistentvolumeclaim", row).is_empty());
            assert_eq!(text(batch, "node", row), "");
            continue;
        }
        assert!(pods.contains(&(text(batch, "namespace", row), pod)));
        let nodes = nodes_of_claims.entry(text(batch, "persistentvolume", row)).or_default();
        nodes.insert(text(batch, "node", row));
    }
    assert!(orphans > unclaimed && unclaimed > 0, "{orphans}, {unclaimed}");
    assert!(nodes_of_claims.values().any(|nodes| nodes.len() > 1), "no volume of two nodes");
}

#[test]
fn unique_groups_are_unique_and_their_key_is_enabled() {
    let folder = tempfile::tempdir().unwrap();
    generate::run(&Plan { unique_groups: true, ..small(folder.path()) }).unwrap();
    let pods = batches(&tables(folder.path(), "", "pod_usage"));
    let mut seen = HashSet::new();
    for (batch, row) in rows(&pods) {
        let labels: HashMap<String, String> =
            serde_json::from_str(&text(batch, "pod_labels", row)).unwrap();
        assert!(seen.insert(labels["checkpoint"].clone()));
    }
    let daily = batches(&tables(folder.path(), "daily", "pod_usage"));
    assert_eq!(rows(&daily).count(), seen.len());
    let keys = fs::read_to_string(folder.path().join("lookups/enabled_tag_keys.csv")).unwrap();
    assert!(keys.contains("checkpoint,true,OCP\n"));
}

#[test]
fn some_labels_change_within_a_day_and_most_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let plan =
        Plan { days: 3, nodes: 100, namespaces: 200, pods: Some(10), ..small(folder.path()) };
    generate::run(&plan).unwrap();
    for (report, name, key) in
        [("node_labels", "node", "tier"), ("namespace_labels", "namespace", "environment")]
    {
        let mut values: HashMap<(i64, String), HashSet<String>> = HashMap::new();
        for (batch, row) in rows(&batches(&tables(folder.path(), "", report))) {
            let labels: HashMap<String, String> =
                serde_json::from_str(&text(batch, &report.replace('-', "_"), row)).unwrap();
            let day = millis(batch, "interval_start", row) / 86_400_000;
            let seen = values.entry((day, text(batch, name, row))).or_default();
            seen.insert(labels.get(key).cloned().unwrap_or_default());
        }
        let changed = values.values().filter(|seen| seen.len() > 1).count();
        assert!(changed > 0 && changed * 10 < values.len(), "{report}: {changed}");
    }
}

#[test]
fn old_data_is_refused_replaced_or_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan { days: 2, pods: Some(40), nodes: 3, ..small(folder.path()) };
    generate::run(&plan).unwrap();
    let before = hashes(folder.path());

    let error = generate::run(&plan).unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("--overwrite"), "{error}");
    assert_eq!(before, hashes(folder.path()));

    let other = Plan { provider_uuid: Uuid::from_u128(7), ..plan.clone() };
    generate::run(&other).unwrap();
    let nodes = fs::read_to_string(folder.path().join("lookups/nodes.csv")).unwrap();
    assert_eq!(nodes.lines().count(), 1 + 2 * 3, "the nodes of both clusters");
    assert!(nodes.contains(&plan.cluster_id()) && nodes.contains(&other.cluster_id()));

    generate::run(&Plan { days: 1, overwrite: true, ..plan.clone() }).unwrap();
    let after = hashes(folder.path());
    let of = |source: Uuid, hashes: &BTreeMap<String, u64>| -> Vec<(String, u64)> {
        let mark = format!("source={source}");
        let some = hashes.iter().filter(|(name, _)| name.contains(&mark));
        some.map(|(name, hash)| (name.clone(), *hash)).collect()
    };
    assert_eq!(of(plan.provider_uuid, &after).len() * 2, of(plan.provider_uuid, &before).len());
    assert_eq!(of(other.provider_uuid, &after).len(), of(plan.provider_uuid, &before).len());
}

#[test]
fn options_out_of_range_are_named() {
    let plan = small(Path::new("unused"));
    for (wrong, option) in [
        (Plan { days: 0, ..plan.clone() }, "--days"),
        (Plan { days: u32::MAX, ..plan.clone() }, "--days"),
        (Plan { files_per_day: 25, ..plan.clone() }, "--files-per-day"),
        (Plan { nodes: 0, ..plan.clone() }, "--nodes"),
        (Plan { namespaces: 1, ..plan.clone() }, "--namespaces"),
        (Plan { pods: Some(0), ..plan.clone() }, "--pods"),
        (Plan { rows_per_group: 0, ..plan.clone() }, "--rows-per-group"),
        (Plan { org_id: "a/b".to_owned(), ..plan.clone() }, "--org-id"),
    ] {
        let error = generate::run(&wrong).unwrap_err();
        assert!(matches!(error, GenerateError::Option { .. }) && error.is_usage());
        assert!(error.to_string().starts_with(option), "{error}");
    }
    assert!(!Path::new("unused").exists());
}

#[test]
fn the_smallest_cluster_and_an_hour_a_file_work() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan {
        days: 1,
        nodes: 1,
        namespaces: 2,
        pods: Some(1),
        files_per_day: 24,
        ..small(folder.path())
    };
    let summary = generate::run(&plan).unwrap();
    assert!(summary.pod_rows >= 24, "{summary}");
    assert_eq!(tables(folder.path(), "", "node_labels").len(), 24);
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("taken");
    fs::write(&file, "not a folder").unwrap();
    let error = generate::run(&small(&file)).unwrap_err();
    assert!(!error.is_usage());
    assert!(error.to_string().contains("taken"), "{error}");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(!error.to_string().contains(&source), "the cause is told once: {error}");
}
