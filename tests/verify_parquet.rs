//! Parquet by other writers: other types for the same columns, folders of files.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int32Array, Int64Array,
    LargeStringArray, ListArray, NullArray, RecordBatch, StringArray, TimestampMillisecondArray,
    TimestampNanosecondArray,
};
use arrow::datatypes::{Int32Type, Int64Type};
use ocp_rollup::verify::{Filter, LoadError, Options, Report, Rows, Table, compare, load};
use parquet::arrow::ArrowWriter;

const CSV: &str = "report_period_id,cost_category_id,namespace,usage_start,usage_end,pod_labels,\
                   pod_usage_cpu_core_hours,pod_request_cpu_core_hours,\
                   pod_limit_cpu_core_hours,node,source_uuid,year\n\
                   7,3,a,2025-10-01,2025-10-01,\"{\"\"x\"\":\"\"1\"\"}\",1.5,2,\\N,n,\
                   bc531e7b-f319-5bbf-b686-40d15291920d,2025\n\
                   7,\\N,b,2025-10-02,2025-10-02,{},0.25,3,\\N,\\N,\
                   bc531e7b-f319-5bbf-b686-40d15291920d,2025\n";

fn write(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true)))
            .unwrap();
    let file = fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn rows(table: Table) -> Result<Rows, LoadError> {
    load(&table, &Filter::default(), None)
}

fn against_csv(parquet: &Path) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("rows.csv");
    fs::write(&csv, CSV).unwrap();
    let left = rows(Table::Csv(csv)).unwrap();
    let right = rows(Table::Parquet(parquet.to_owned())).unwrap();
    compare(&left, &right, &Options::default())
}

const DAY: i64 = 20_362;
const SOURCE: &str = "BC531E7B-F319-5BBF-B686-40D15291920D";

#[test]
fn types_of_other_writers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.parquet");
    let millis = DAY * 86_400_000;
    let labels: DictionaryArray<Int32Type> = vec![r#"{ "x": "1" }"#, "{}"].into_iter().collect();
    let decimals = Decimal128Array::from(vec![1_500_000_000_000_000, 250_000_000_000_000])
        .with_precision_and_scale(33, 15)
        .unwrap();
    let zoned =
        TimestampNanosecondArray::from(vec![millis * 1_000_000, (millis + 86_400_000) * 1_000_000])
            .with_timezone("+02:00");
    write(
        &path,
        vec![
            ("report_period_id", Arc::new(Int64Array::from(vec![7, 7])) as ArrayRef),
            ("cost_category_id", Arc::new(Float64Array::from(vec![Some(3.0), None]))),
            ("namespace", Arc::new(LargeStringArray::from(vec!["a", "b"]))),
            (
                "usage_start",
                Arc::new(TimestampMillisecondArray::from(vec![millis, millis + 86_400_000])),
            ),
            ("usage_end", Arc::new(zoned)),
            ("pod_labels", Arc::new(labels)),
            ("pod_usage_cpu_core_hours", Arc::new(decimals)),
            ("pod_request_cpu_core_hours", Arc::new(StringArray::from(vec!["2.0", "3"]))),
            ("pod_limit_cpu_core_hours", Arc::new(NullArray::new(2))),
            ("node", Arc::new(StringArray::from(vec![Some("n"), None]))),
            ("source_uuid", Arc::new(StringArray::from(vec![SOURCE, SOURCE]))),
            ("year", Arc::new(Int32Array::from(vec![2025, 2025]))),
        ],
    );
    let report = against_csv(&path);
    assert!(report.is_equal(), "{:#?}", report.differences);
    assert_eq!((report.equal_rows, report.columns.len()), (2, 12));
}

#[test]
fn a_folder_of_partitions_is_one_table() {
    let folder = tempfile::tempdir().unwrap();
    for (day, namespace, usage) in [(0, "a", 1.5), (1, "b", 0.25)] {
        let part: PathBuf = folder.path().join(format!("year=2025/part={day}"));
        fs::create_dir_all(&part).unwrap();
        fs::write(part.join("_SUCCESS"), "").unwrap();
        write(
            &part.join("20251001_data"),
            vec![
                ("namespace", Arc::new(StringArray::from(vec![namespace])) as ArrayRef),
                ("usage_start", Arc::new(Date32Array::from(vec![DAY as i32 + day]))),
                ("pod_usage_cpu_core_hours", Arc::new(Float64Array::from(vec![usage]))),
            ],
        );
    }
    let report = against_csv(folder.path());
    assert!(report.is_equal(), "{:#?}", report.differences);
    assert_eq!(report.columns, ["namespace", "usage_start", "pod_usage_cpu_core_hours", "year"]);
    assert_eq!(report.only_right[0].column, "part");

    let filter = Filter { from: "2025-10-02".parse().ok(), ..Filter::default() };
    let table = Table::Parquet(folder.path().to_owned());
    assert_eq!(load(&table, &filter, None).unwrap().len(), 1);
}

#[test]
fn what_cannot_be_compared_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.parquet");
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1)])]);
    write(&path, vec![("node", Arc::new(list) as ArrayRef)]);
    let error = rows(Table::Parquet(path.clone())).unwrap_err();
    assert!(matches!(error, LoadError::ColumnType { .. }), "{error:?}");
    assert!(error.to_string().contains("column node: values of type List"), "{error}");

    let texts = StringArray::from(vec![Some("1"), None, Some("1,5")]);
    write(&path, vec![("pod_usage_cpu_core_hours", Arc::new(texts) as ArrayRef)]);
    let error = rows(Table::Parquet(path)).unwrap_err().to_string();
    assert!(
        error.ends_with("row 3, column pod_usage_cpu_core_hours: \"1,5\" is not a number"),
        "{error}"
    );
}
