//! What is wrong with files, and what the user is told: exit code, message, nothing written.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod common;

use common::line_items::{Value, pod, storage};
use common::program::Scene;
use common::rows::SOURCE;
use common::tree::{MONTH, Table, Type};

/// Asserts that the run fails as one that cannot read its input, with nothing written.
#[track_caller]
fn refused(scene: &Scene, parts: &[&str]) {
    scene.run().done().fails(3, parts);
    scene.wrote_nothing();
}

#[test]
fn a_tree_without_a_fault_is_rolled_up() {
    let scene = Scene::new();
    scene.tree.add(&Table::pods([pod(), pod().at("2025-10-01 01:00")]));
    scene.tree.add(&Table::storage([storage()]));
    let rows = scene.rows();
    let cores = |namespace: &str| {
        let row = rows.iter().find(|r| r["namespace"] == namespace && r["data_source"] == "Pod");
        row.unwrap()["pod_usage_cpu_core_hours"].clone()
    };
    assert_eq!(cores("shop"), "2");
    assert_eq!(cores("Worker unallocated"), "6");
    assert_eq!(rows.len(), 3);
    assert_eq!(std::fs::read_dir(scene.output()).unwrap().count(), 1);
}

#[test]
fn an_empty_tree_names_what_decides_where_to_look() {
    let scene = Scene::new();
    refused(&scene, &[&SOURCE.to_string(), "no source at all", "--source", "--org-id", "--layout"]);
}

#[test]
fn a_truncated_file_is_named() {
    let scene = Scene::new();
    let whole = Table::pods([pod()]).bytes();
    for length in [1, 3, 4, 7, 8, 11, whole.len() / 2, whole.len() - 1] {
        let path = scene.tree.add_bytes(SOURCE, MONTH, "pod_usage", &whole[..length]);
        let name = path.file_name().unwrap().to_str().unwrap();
        refused(&scene, &[name, "not a readable Parquet file", "upload it again"]);
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn an_empty_file_is_named() {
    let scene = Scene::new();
    scene.tree.add(&Table::pods([pod()]));
    scene.tree.add_bytes(SOURCE, MONTH, "node_labels", b"");
    refused(&scene, &["node_labels/", "1.parquet is empty (0 bytes)", "upload it again"]);
}

#[test]
fn a_file_that_is_not_parquet_is_named() {
    let scene = Scene::new();
    scene.tree.add_bytes(SOURCE, MONTH, "pod_usage", b"namespace,node\nshop,node-1\n");
    refused(&scene, &["pod_usage/", "0.parquet is not a readable Parquet file"]);
}

#[test]
fn a_column_of_the_wrong_type_is_named() {
    let cases = [
        ("pod_usage_cpu_core_seconds", Type::Text, "BYTE_ARRAY", "a number"),
        ("pod_usage_cpu_core_seconds", Type::Boolean, "BOOLEAN", "a number"),
        ("interval_start", Type::Double, "DOUBLE", "a date and time"),
        ("node", Type::Double, "DOUBLE", "text"),
        ("pod_labels", Type::Integer, "INT64", "text"),
    ];
    for (column, r#type, found, wanted) in cases {
        let scene = Scene::new();
        let row = if r#type == Type::Text { pod() } else { pod().with(column, 1.0) };
        scene.tree.add(&Table::pods([row]).typed(column, r#type));
        refused(&scene, &["0.parquet", column, found, wanted]);
    }
}

#[test]
fn a_missing_column_is_named_with_those_that_are_there() {
    for column in ["interval_start", "namespace", "node"] {
        let scene = Scene::new();
        scene.tree.add(&Table::pods([pod()]).without(column));
        refused(&scene, &["0.parquet", &format!("no column {column}"), "it has: ", "resource_id"]);
    }
    for column in ["pod", "persistentvolumeclaim", "persistentvolume", "namespace"] {
        let scene = Scene::new();
        scene.tree.add(&Table::pods([pod()]));
        scene.tree.add(&Table::storage([storage()]).without(column));
        refused(&scene, &["1.parquet", &format!("no column {column}"), "csi_volume_handle"]);
    }
}

#[test]
fn an_optional_column_that_is_missing_is_warned_of() {
    let scene = Scene::new();
    scene.tree.add(&Table::pods([pod()]).without("pod_limit_cpu_core_seconds"));
    let done = scene.run().done();
    done.succeeds();
    done.warns(&["pod_usage.pod_limit_cpu_core_seconds", "missing in 1 files"]);
}

#[test]
fn columns_that_differ_in_case_only_are_ambiguous() {
    let scene = Scene::new();
    let row = pod().with("Node", "node-2").with("NODE", "node-3");
    let table = Table::pods([row]).and("Node", Type::Text).and("NODE", Type::Text);
    scene.tree.add(&table.without("node"));
    refused(
        &scene,
        &["0.parquet", "several columns that differ from node in case only", "Node, NODE"],
    );
}

#[test]
fn labels_that_are_no_object_are_shown() {
    let cases = [
        (r#""app""#, "it is a list or a text"),
        (r#"{"app": "#, "not a JSON object"),
        (r#"["app"]"#, "it is a list or a text"),
        (r#"{"app": "web"} trailing"#, "not a JSON object"),
    ];
    for (text, problem) in cases {
        let scene = Scene::new();
        scene.tree.add(&Table::pods([pod(), pod().with("pod_labels", text)]));
        let shown = format!("{text:?}");
        refused(&scene, &["0.parquet", "row group 0", "column pod_labels", &shown, problem]);
    }
}

#[test]
fn an_infinite_value_is_refused() {
    for value in [f64::INFINITY, f64::NEG_INFINITY] {
        for column in ["pod_usage_cpu_core_seconds", "node_capacity_cpu_cores"] {
            let scene = Scene::new();
            scene.tree.add(&Table::pods([pod(), pod().with(column, value)]));
            refused(&scene, &["0.parquet", "row group 0", column, "infinite"]);
        }
    }
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let latin1 = || Value::Bytes(b"caf\xe9".to_vec());
    for column in ["namespace", "node", "resource_id", "pod_labels"] {
        let scene = Scene::new();
        scene.tree.add(&Table::pods([pod().with(column, latin1())]).typed(column, Type::Bytes));
        for categorical in ["on", "off"] {
            let run = scene.run().with("categorical", categorical).done();
            run.fails(3, &["0.parquet", "row group 0", column, "UTF-8"]);
            scene.wrote_nothing();
        }
    }
}

#[test]
fn statistics_that_lie_are_found_out() {
    let scene = Scene::new();
    let table = Table::pods([pod(), pod().at("2025-10-03 05:00")]);
    // The footer says the first day only; the rows say the third too.
    let lie =
        replaced_in_footer(table.bytes(), millis("2025-10-03 05:00"), millis("2025-10-01 07:00"));
    scene.tree.add_bytes(SOURCE, MONTH, "pod_usage", &lie);
    refused(
        &scene,
        &["0.parquet", "row group 0", "statistics", "2025-10-01 to 2025-10-01", "2025-10-03"],
    );
}

fn millis(time: &str) -> [u8; 8] {
    (Value::from(time).micros().unwrap() / 1000).to_le_bytes()
}

/// The file with other statistics: every `from` behind the pages becomes `to`.
fn replaced_in_footer(mut file: Vec<u8>, from: [u8; 8], to: [u8; 8]) -> Vec<u8> {
    let length = u32::from_le_bytes(file[file.len() - 8..file.len() - 4].try_into().unwrap());
    let mut at = file.len() - 8 - length as usize;
    let mut replaced = 0;
    while let Some(found) = file[at..].windows(8).position(|window| window == from) {
        at += found;
        file[at..at + 8].copy_from_slice(&to);
        replaced += 1;
    }
    assert!(replaced > 0, "the footer has statistics");
    file
}
