//! `verify` on rows that upstream's own SQL wrote, and on small changes to them.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

use std::fs;
use std::path::{Path, PathBuf};

use ocp_rollup::verify::{
    Cell, Filter, LoadError, Options, Report, RowDifferenceKind, Table, compare, load, render,
};

const LABELS: &str = "adv_a_label_changes";
const STORAGE: &str = "02-storage-volume";

fn data(scenario: &str, file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/verify").join(scenario).join(file)
}

fn compared(left: &Path, right: &Path) -> Report {
    let filter = Filter::default();
    let left = load(&Table::Csv(left.to_owned()), &filter, None).unwrap();
    let right = load(&Table::Csv(right.to_owned()), &filter, None).unwrap();
    compare(&left, &right, &Options::default())
}

/// Compares a scenario's rows with the same rows after `change`.
fn changed(scenario: &str, change: impl FnOnce(&mut Sheet)) -> Report {
    let left = data(scenario, "expected.csv");
    let mut sheet = Sheet::read(&left);
    change(&mut sheet);
    let folder = tempfile::tempdir().unwrap();
    let right = folder.path().join("changed.csv");
    sheet.write(&right);
    compared(&left, &right)
}

/// A CSV file as fields. The data holds no text that is `\N`.
struct Sheet {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Sheet {
    fn read(path: &Path) -> Self {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(path).unwrap();
        let mut rows: Vec<Vec<String>> =
            reader.records().map(|r| r.unwrap().iter().map(str::to_owned).collect()).collect();
        Sheet { header: rows.remove(0), rows }
    }

    fn write(&self, path: &Path) {
        let mut writer = csv::Writer::from_path(path).unwrap();
        writer.write_record(&self.header).unwrap();
        for row in &self.rows {
            writer.write_record(row).unwrap();
        }
        writer.flush().unwrap();
    }

    fn at(&self, column: &str) -> usize {
        self.header.iter().position(|h| h == column).unwrap()
    }

    /// The first row of a namespace that has labels.
    fn pod_row(&self) -> usize {
        let labels = self.at("pod_labels");
        self.rows.iter().position(|r| r[labels].len() > 4).unwrap()
    }

    fn scale(&mut self, row: usize, column: &str, factor: f64) {
        let at = self.at(column);
        let value: f64 = self.rows[row][at].parse().unwrap();
        self.rows[row][at] = format!("{:?}", value * factor);
    }
}

#[test]
fn every_expectation_equals_itself_and_its_doubles() {
    for (scenario, rows) in [(LABELS, 40), (STORAGE, 3)] {
        let expected = data(scenario, "expected.csv");
        let report = compared(&expected, &expected);
        assert!(report.is_equal());
        assert_eq!(report.summary(), format!("equal: {rows} rows"));
        assert_eq!(report.largest_relative_difference, Some(0.0));
        assert_eq!(report.columns.len(), 57);
        assert!(report.only_left.is_empty() && report.only_right.is_empty());

        let report = compared(&expected, &data(scenario, "expected_f64.csv"));
        assert!(report.is_equal(), "{}", report.summary());
        assert_eq!(report.equal_rows, rows);
        let names: Vec<_> = report.only_right.iter().map(|c| c.column.as_str()).collect();
        assert_eq!(names, ["csi_volume_handle"]);
        assert!(report.only_left.iter().any(|c| c.column == "all_labels" && c.filled > 0));
        assert!(report.only_left.iter().any(|c| c.column == "raw_currency" && c.filled == 0));
        assert!(report.largest_relative_difference.unwrap() < 1e-13);
    }
}

#[test]
fn the_order_of_rows_and_columns_is_nothing() {
    let report = changed(LABELS, |sheet| {
        sheet.rows.reverse();
        sheet.header.rotate_left(7);
        sheet.rows.iter_mut().for_each(|r| r.rotate_left(7));
    });
    assert!(report.is_equal(), "{}", report.summary());
    assert_eq!(report.columns.len(), 57);
}

#[test]
fn one_number_off_by_a_millionth() {
    let report = changed(LABELS, |sheet| {
        let row = sheet.pod_row();
        sheet.scale(row, "pod_usage_cpu_core_hours", 1.0 + 1e-6);
    });
    assert!(!report.is_equal());
    assert_eq!((report.differing_rows, report.rows_only_left, report.rows_only_right), (1, 0, 0));
    assert_eq!(
        report.summary(),
        "DIFFERENT: 1 of 40 rows differ, largest relative difference 1.0e-6"
    );
    let [difference] = &report.differences[..] else { panic!("{:?}", report.differences) };
    assert_eq!(difference.kind, RowDifferenceKind::Differs);
    let [cell] = &difference.cells[..] else { panic!("{difference:?}") };
    assert_eq!(cell.column, "pod_usage_cpu_core_hours");
    assert!((cell.relative.unwrap() - 1e-6).abs() < 1e-9);
    for totals in &report.totals {
        let differ = totals.groups.iter().filter(|g| g.measures.iter().any(|m| !m.equal)).count();
        assert_eq!(differ, 1, "by {}", totals.by);
    }

    let report = changed(LABELS, |sheet| {
        let row = sheet.pod_row();
        sheet.scale(row, "pod_usage_cpu_core_hours", 1.0 + 1e-10);
    });
    assert!(report.is_equal());
}

#[test]
fn a_lost_and_a_doubled_row() {
    let report = changed(LABELS, |sheet| {
        let row = sheet.pod_row();
        sheet.rows.remove(row);
    });
    assert_eq!((report.equal_rows, report.rows_only_left, report.unequal()), (39, 1, 1));
    assert_eq!(report.summary(), "DIFFERENT: 1 of 40 rows differ, 1 of them only left");

    let report = changed(LABELS, |sheet| {
        let row = sheet.pod_row();
        sheet.rows.push(sheet.rows[row].clone());
    });
    assert_eq!((report.equal_rows, report.rows_only_right, report.unequal()), (40, 1, 1));
    let [difference] = &report.differences[..] else { panic!("{:?}", report.differences) };
    assert_eq!(difference.kind, RowDifferenceKind::OnlyRight);
    assert!(difference.row.iter().any(|n| n.column == "namespace"));
    assert!(difference.cells.iter().all(|c| c.left == Cell::Null));
}

#[test]
fn swapped_labels_are_two_differing_rows() {
    let mut values = (0, 0);
    let report = changed(LABELS, |sheet| {
        let (pod, all) = (sheet.at("pod_labels"), sheet.at("all_labels"));
        let usage = sheet.at("pod_usage_cpu_core_hours");
        let a = sheet.pod_row();
        let b = (a + 1..sheet.rows.len())
            .find(|&b| {
                let differs = |i: usize| sheet.rows[a][i] != sheet.rows[b][i];
                sheet.rows[b][pod].len() > 4 && differs(pod) && differs(usage)
            })
            .unwrap();
        for column in [pod, all] {
            let label = sheet.rows[a][column].clone();
            sheet.rows[a][column] = std::mem::replace(&mut sheet.rows[b][column], label);
        }
        values = (a, b);
    });
    assert_ne!(values.0, values.1);
    assert_eq!((report.equal_rows, report.unequal()), (38, 2), "{}", report.summary());
}

#[test]
fn one_wrong_label_is_shown_as_that() {
    let report = changed(LABELS, |sheet| {
        let (row, labels) = (sheet.pod_row(), sheet.at("pod_labels"));
        sheet.rows[row][labels] = r#"{"wrong":"label"}"#.to_owned();
    });
    assert_eq!((report.differing_rows, report.unequal()), (1, 1));
    let cells = &report.differences[0].cells;
    assert_eq!(cells.len(), 1);
    assert_eq!(cells[0].right, Cell::Text(r#"{"wrong":"label"}"#.to_owned()));
}

#[test]
fn a_category_that_became_null_is_a_difference() {
    let report = changed(LABELS, |sheet| {
        let category = sheet.at("cost_category_id");
        let row = sheet.rows.iter().position(|r| r[category] != "\\N").unwrap();
        sheet.rows[row][category] = "\\N".to_owned();
    });
    assert_eq!((report.differing_rows, report.unequal()), (1, 1));
    assert_eq!(report.differences[0].cells[0].column, "cost_category_id");
    assert_eq!(report.differences[0].cells[0].right, Cell::Null);
}

#[test]
fn a_measure_that_became_null_is_a_difference() {
    let report = changed(STORAGE, |sheet| {
        let usage = sheet.at("persistentvolumeclaim_usage_gigabyte_months");
        let row = sheet.rows.iter().position(|r| r[usage] != "\\N").unwrap();
        sheet.rows[row][usage] = "\\N".to_owned();
    });
    assert_eq!((report.equal_rows, report.differing_rows), (2, 1));
    assert_eq!(report.summary(), "DIFFERENT: 1 of 3 rows differ");
}

#[test]
fn how_json_and_numbers_are_spelled_is_nothing() {
    let report = changed(LABELS, |sheet| {
        let cost = sheet.at("infrastructure_usage_cost");
        for row in &mut sheet.rows {
            if row[cost] != "\\N" {
                row[cost] = r#"{"storage": 0.000000000, "cpu": 0, "memory": 0.0}"#.to_owned();
            }
            let usage = sheet.header.iter().position(|h| h == "pod_usage_cpu_core_hours").unwrap();
            if let Ok(value) = row[usage].parse::<f64>() {
                row[usage] = format!("{value:.15}");
            }
        }
    });
    assert!(report.is_equal(), "{}", report.summary());
}

#[test]
fn emptied_side_is_different() {
    let report = changed(STORAGE, |sheet| sheet.rows.clear());
    assert!(!report.is_equal());
    assert_eq!(report.rows_only_left, 3);
}

#[test]
fn sides_without_a_common_column_are_not_equal() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.csv"), folder.path().join("b.csv"));
    fs::write(&a, "node\n").unwrap();
    fs::write(&b, "namespace\n").unwrap();
    assert!(!compared(&a, &b).is_equal());
    let report = compared(&a, &a);
    assert!(report.is_equal());
    assert!(report.summary().contains("both sides are empty"));
}

#[test]
fn text_ends_with_the_verdict_and_shows_the_differences() {
    let report = changed(LABELS, |sheet| {
        let row = sheet.pod_row();
        sheet.scale(row, "pod_usage_cpu_core_hours", 1.5);
        sheet.rows.pop();
    });
    let mut text = Vec::new();
    render::text(&report, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("Totals by namespace"), "{text}");
    assert!(text.contains("Differing rows (2 of 2 shown)"), "{text}");
    assert!(text.contains("only left: "), "{text}");
    assert_eq!(text.lines().last().unwrap(), report.summary());

    let mut json = Vec::new();
    render::json(&report, &mut json).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["equal"], false);
    assert_eq!(json["summary"], report.summary().as_str());
    assert_eq!(json["equal_rows"], 38);
    assert_eq!(json["differences"][0]["cells"].as_array().unwrap().len(), 1);
}

#[test]
fn max_rows_bounds_what_is_shown_not_what_is_counted() {
    let left = data(LABELS, "expected.csv");
    let mut sheet = Sheet::read(&left);
    let usage = sheet.at("pod_usage_cpu_core_hours");
    for row in 0..sheet.rows.len() {
        if sheet.rows[row][usage] != "\\N" {
            sheet.scale(row, "pod_usage_cpu_core_hours", 2.0);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let right = folder.path().join("changed.csv");
    sheet.write(&right);
    let rows = |path: &Path| load(&Table::Csv(path.to_owned()), &Filter::default(), None).unwrap();
    let options = Options { max_rows: 3, ..Options::default() };
    let report = compare(&rows(&left), &rows(&right), &options);
    assert_eq!(report.differences.len(), 3);
    assert!(report.unequal() > 10);
    assert_eq!(report.largest_relative_difference, Some(0.5));
}

#[test]
fn totals_that_cancel_do_not_differ_by_rounding() {
    let folder = tempfile::tempdir().unwrap();
    let side = |name: &str, extra: f64| {
        let path = folder.path().join(name);
        let (a, b) = (1e6 * (1.0 + extra), -1e6);
        let text = format!("node,namespace,pod_usage_cpu_core_hours\nn,a,{a:?}\nn,b,{b:?}\n");
        fs::write(&path, text).unwrap();
        path
    };
    let report = compared(&side("a.csv", 0.0), &side("b.csv", 1e-12));
    assert!(report.is_equal());
    let by_node = &report.totals[0];
    assert_eq!(by_node.by, "node");
    assert!(by_node.groups[0].measures[0].equal);
    let report = compared(&side("a.csv", 0.0), &side("b.csv", 1e-7));
    assert!(!report.totals[0].groups[0].measures[0].equal);
}

#[test]
fn unreadable_sides_say_what_and_where() {
    let folder = tempfile::tempdir().unwrap();
    let error = |table: Table| load(&table, &Filter::default(), None).unwrap_err();
    let missing = folder.path().join("missing.csv");
    let message = error(Table::Csv(missing.clone())).to_string();
    assert!(message.contains("missing.csv") && message.contains("check the path"), "{message}");
    assert!(matches!(error(Table::Parquet(missing)), LoadError::Open { .. }));

    let text = folder.path().join("text.parquet");
    fs::write(&text, "not parquet at all").unwrap();
    let message = error(Table::Parquet(text)).to_string();
    assert!(message.ends_with("text.parquet is not a readable Parquet file"), "{message}");

    let empty = folder.path().join("folder");
    fs::create_dir(&empty).unwrap();
    assert!(matches!(error(Table::Parquet(empty)), LoadError::NoParquet { .. }));
    assert!(error(Table::Postgres).is_database());
}
