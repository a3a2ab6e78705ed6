//! Odd but readable rows: counted or left out, and either way said.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod common;

use common::line_items::{Row, Value, node_labels, pod, storage};
use common::postgres::{Partitions, client_of, database};
use common::program::{Run, Scene, read_csv};
use common::rows::SOURCE;
use common::tree::{MONTH, Table, Type};
use uuid::Uuid;

/// Σ of a measure over the pod rows of the namespace `shop`.
#[track_caller]
fn cores_of(scene: &Scene, run: &Run) -> f64 {
    run.done().succeeds();
    let rows = read_csv(&scene.csv());
    let shop = rows.iter().filter(|row| row["namespace"] == "shop" && row["data_source"] == "Pod");
    shop.map(|row| row["pod_usage_cpu_core_hours"].parse::<f64>().unwrap()).sum()
}

fn used(seconds: f64) -> Row {
    pod().with("pod_usage_cpu_core_seconds", seconds)
}

#[test]
fn values_out_of_reason_are_counted_and_warned_of() {
    let scene = Scene::new();
    scene.tree.add(&Table::pods([used(3.6e21), used(-3600.0), used(7200.0)]));
    let done = scene.run().done();
    done.succeeds();
    done.warns(&[
        "2 values of pod_usage_cpu_core_seconds",
        "negative or above 1e18",
        "as they are",
    ]);
    assert_eq!(cores_of(&scene, &scene.run()), 1e18 + 1.0);

    let scene = Scene::new();
    scene.tree.add(&Table::pods([used(-3600.0), used(7200.0)]));
    assert_eq!(cores_of(&scene, &scene.run()), 1.0);
}

#[test]
fn a_sum_that_the_table_cannot_hold_names_its_row_and_leaves_the_day() {
    let scene = Scene::new();
    scene.tree.add(&Table::pods([used(3.6e21)]));
    let tenant = database().tenant("org1234567", Partitions::Registry);
    let done = scene.run_into(&tenant).done();
    let parts = ["1e18", "pod_usage_cpu_core_hours", "2025-10-01", "`node-1`", "18 digits"];
    done.fails(4, &parts);
    let count = "SELECT count(*) FROM reporting_ocpusagelineitem_daily_summary";
    assert_eq!(client_of(&tenant).query_one(count, &[]).unwrap().get::<_, i64>(0), 0);
}

#[test]
fn rows_of_another_month_than_their_folder_are_not_counted() {
    let scene = Scene::new();
    let strayed =
        [used(3600.0), used(3600.0).at("2025-11-01 00:00"), used(3600.0).at("2025-09-30 23:00")];
    scene.tree.add(&Table::pods(strayed));
    scene.tree.add_to(SOURCE, "2025-11", &Table::pods([used(3600.0).at("2025-11-01 01:00")]));
    let run = scene.run().with("from", "2025-09-01").with("to", "2025-11-30");
    let done = run.done();
    done.succeeds();
    assert!(done.stdout.contains("2 rows of other days"), "{done:?}");
    assert!(done.stdout.contains("nothing to do for"), "September has no folder: {done:?}");
    assert_eq!(cores_of(&scene, &run), 2.0);
}

#[test]
fn rows_without_a_time_are_warned_of() {
    let scene = Scene::new();
    scene.tree.add(&Table::pods([used(3600.0), used(3600.0).with("interval_start", Value::Null)]));
    let done = scene.run().done();
    done.succeeds();
    done.warns(&["1 rows have no interval_start", "not counted"]);
    assert!(done.stdout.contains("1 rows without a time"), "{done:?}");
    assert_eq!(cores_of(&scene, &scene.run()), 1.0);
}

#[test]
fn pods_without_a_node_are_counted_in_the_summary() {
    let scene = Scene::new();
    let rows = [used(3600.0), used(1.0).with("node", ""), used(1.0).with("node", Value::Null)];
    scene.tree.add(&Table::pods(rows));
    let done = scene.run().done();
    done.succeeds();
    assert!(done.stdout.contains("2 pod rows without a node"), "{done:?}");
    assert_eq!(cores_of(&scene, &scene.run()), 1.0);
}

#[test]
fn absent_values_are_no_zeros() {
    let scene = Scene::new();
    let rows = [used(f64::NAN), pod().with("pod_usage_cpu_core_seconds", Value::Null)];
    scene.tree.add(&Table::pods(rows));
    let rows = scene.rows();
    let shop = rows.iter().find(|row| row["namespace"] == "shop").unwrap();
    assert_eq!(shop["pod_usage_cpu_core_hours"], "\\N");
    assert_eq!(shop["pod_request_cpu_core_hours"], "1");
}

#[test]
fn types_that_drifted_mean_the_same() {
    let whole = |table: Table| {
        let scene = Scene::new();
        scene.tree.add(&table);
        scene.tree.add(&Table::storage([storage()]));
        scene.tree.add(&Table::node_labels([node_labels()]));
        scene.run().done().succeeds();
        std::fs::read_to_string(scene.csv()).unwrap()
    };
    let table = || Table::pods([pod(), used(1800.0).at("2025-10-02 00:00")]);
    let expected = whole(table());
    for time in [Type::Micros, Type::Nanos] {
        assert_eq!(whole(table().typed("interval_start", time)), expected, "{time:?}");
    }
    for text in [Type::LargeText, Type::Bytes] {
        let drifted = table().typed("namespace", text).typed("pod_labels", text).typed("pod", text);
        assert_eq!(whole(drifted), expected, "{text:?}");
    }
    for number in [Type::Integer, Type::Float] {
        let drifted = table()
            .typed("pod_usage_cpu_core_seconds", number)
            .typed("node_capacity_cpu_cores", number);
        assert_eq!(whole(drifted), expected, "{number:?}");
    }
    let text = Table::pods([pod(), used(1800.0).at("2025-10-02 00:00")]);
    assert_eq!(whole(text.typed("interval_start", Type::Text)), expected);
}

#[test]
fn an_unknown_provider_is_told_who_is_there() {
    let scene = Scene::new();
    scene.tree.add(&Table::pods([pod()]));
    let other = Uuid::from_u128(0x2222);
    let done = scene.run().with("provider-uuid", other).done();
    let parts =
        [&other.to_string(), &format!("source={SOURCE}"), "--provider-uuid", "OCP/pod_usage"];
    done.fails(3, &parts);
    scene.wrote_nothing();
}

#[test]
fn a_month_without_pod_files_is_left_alone() {
    let scene = Scene::new();
    let nothing = format!("nothing to do for {SOURCE} in 2025-10: no pod files");
    // A folder without a file, and one with files that are no pods.
    scene.tree.folder(SOURCE, MONTH, "pod_usage");
    for others in [0, 1] {
        let done = scene.run().done();
        done.succeeds();
        done.warns(&[&nothing, "--allow-empty"]);
        assert!(done.stdout.starts_with(&nothing), "{done:?}");
        assert_eq!(done.stdout.contains("(1 files of other types)"), others == 1, "{done:?}");
        scene.wrote_nothing();
        scene.tree.add(&Table::storage([storage()]));
    }
}

#[test]
fn a_month_without_pod_files_is_replaced_if_asked() {
    let scene = Scene::new();
    scene.tree.folder(SOURCE, MONTH, "pod_usage");
    scene.run().with("allow-empty", "on").done().succeeds();
    assert_eq!(read_csv(&scene.csv()).len(), 0);

    scene.tree.add(&Table::storage([storage()]));
    scene.run().with("allow-empty", "on").done().succeeds();
    let rows = read_csv(&scene.csv());
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["persistentvolumeclaim"], "data");
}

#[test]
fn claims_of_several_volumes_are_warned_of() {
    let scene = Scene::new();
    scene.tree.add(&Table::pods([pod()]));
    scene.tree.add(&Table::storage([storage(), storage().with("persistentvolume", "pv-2")]));
    let said =
        "2 rows count more than once, as in upstream, because their claim has several volumes";
    for run in [scene.run(), scene.run().with("force-spill", 1)] {
        let done = run.done();
        done.succeeds();
        done.warns(&[said]);
        let done = run.with("fan-out", "collapse").done();
        done.succeeds();
        assert!(!done.stderr.contains("more than once"), "{done:?}");
    }
}

#[test]
fn nodes_without_capacity_are_warned_of() {
    let scene = Scene::new();
    let without = |row: Row| row.with("node_capacity_cpu_core_seconds", Value::Null);
    let known = pod().with("node", "node-2");
    // One row that shows it is enough.
    let rows = [without(pod()), without(pod()), without(known.clone()), known];
    scene.tree.add(&Table::pods(rows));
    for run in [scene.run(), scene.run().with("force-spill", 1)] {
        let done = run.done();
        done.succeeds();
        done.warns(&["2 pod rows are of nodes that show no capacity on their day"]);
    }
}

#[test]
fn days_without_pods_are_warned_of() {
    let scene = Scene::new();
    scene.tree.add(&Table::pods([pod()]));
    let next = |row: Row| row.at("2025-10-02 00:00");
    scene.tree.add(&Table::storage([storage(), next(storage())]));
    for run in [scene.run(), scene.run().with("force-spill", 1)] {
        let done = run.done();
        done.succeeds();
        done.warns(&["1 days have storage or capacity but no pods"]);
    }
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    let scene = Scene::new();
    let file = scene.tree.add(&Table::pods([pod()]));
    scene.run().done().succeeds();
    let before = read_csv(&scene.csv());
    let pipe = file.with_file_name("pipe.parquet");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let done = scene.run().done();
    done.succeeds();
    done.warns(&["pipe.parquet", "no regular file"]);
    assert_eq!(read_csv(&scene.csv()), before);
}

#[test]
fn files_that_only_look_as_if_they_were_read_are_named() {
    let scene = Scene::new();
    let file = scene.tree.add(&Table::pods([used(3600.0)]));
    assert!(!scene.run().done().stderr.contains("look like Parquet"));
    std::fs::copy(&file, file.with_file_name("9.PARQUET")).unwrap();
    let folder = file.with_file_name("sub.parquet");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(&file, folder.join("part-0.parquet")).unwrap();
    std::fs::write(file.with_file_name(".8.parquet.tmp"), "").unwrap();
    let done = scene.run().done();
    done.warns(&["2 files look like Parquet", "9.PARQUET", "--layout"]);
    assert_eq!(cores_of(&scene, &scene.run()), 1.0);
    let plan = scene.run().subcommand("plan").done();
    assert!(plan.stdout.contains("sub.parquet/part-0.parquet: matches no template"), "{plan:#?}");
}
