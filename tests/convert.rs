//! `convert`, by what it leaves on disk.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod common;

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use common::payload::{
    Member, ORG, PROVIDER, Place, Value, archive, claim, file, hour, manifest, namespaces, nodes,
    pod, pods, program, rows, storage, sum,
};
use ocp_rollup::convert::{self, ConvertError, MAX_UNPACKED, Plan};
use parquet::basic::{Compression, LogicalType, Repetition};
use parquet::file::reader::{FileReader, SerializedFileReader};

const GIB: f64 = (1_u64 << 30) as f64;
/// 2025-10-01T00:00:00Z.
const OCTOBER: i64 = 1_759_276_800_000;
const NOVEMBER: i64 = 1_761_955_200_000;
const DAY: i64 = 86_400_000;

/// Two days of one pod with a claim: all of the 1st, ten hours of the 2nd.
fn two_days() -> [(&'static str, String); 4] {
    let hours = || (0..24).map(|hour| (1, hour)).chain((0..10).map(|hour| (2, hour)));
    [
        (
            "a_openshift_report.0.csv",
            pods(hours().map(|(d, h)| pod(d, h, "web-1", "label_app:web"))),
        ),
        ("a_openshift_report.1.csv", storage(hours().map(|(d, h)| claim(d, h, "web-1")))),
        (
            "a_openshift_report.2.csv",
            nodes(hours().map(|(d, h)| format!("{},node-1,label_zone:a", hour(d, h)))),
        ),
        (
            "a_openshift_report.3.csv",
            namespaces(hours().map(|(d, h)| format!("{},shop,label_team:x|bad", hour(d, h)))),
        ),
    ]
}

fn two_days_archive(place: &Place, name: &str, uuid: &str) -> std::path::PathBuf {
    let files = two_days();
    let manifest = manifest(uuid, &files.each_ref().map(|(name, _)| *name));
    let mut members: Vec<_> = files.iter().map(|(name, content)| file(name, content)).collect();
    // The operator writes it last.
    members.push(file("manifest.json", &manifest));
    place.write(name, archive(&members))
}

#[test]
fn an_archive_becomes_hourly_and_daily_files_of_each_day() {
    let place = Place::new();
    let input = two_days_archive(&place, "payload.tar.gz", "4e009161-4f40");
    let said = place.convert(&[&input], &[]).done();

    for expected in [
        "payload    20251002T000000-4e009161-4f40\n",
        "cluster    cluster-1, operator 3.3.0\n",
        "days       2025-10-01 to 2025-10-02, 2 with rows\n",
        "rows       pod_usage: 34 hourly, 2 daily\n",
        "rows       storage_usage: 34 hourly, 2 daily\n",
        "files      16, ",
    ] {
        assert!(said.contains(expected), "{expected:?} not in {said}");
    }
    let names: Vec<_> = place.files().into_keys().collect();
    assert_eq!(names.len(), 32, "{names:?}");
    let pods = format!("{ORG}/OCP/pod_usage/source={PROVIDER}/year=2025/month=10/pod_usage");
    for (name, start, hours) in [
        (
            format!("data/parquet/{pods}.2025-10-01.20251002T000000-4e009161-4f40.0_0.parquet"),
            "2025-10-01",
            "24",
        ),
        (
            format!("data/parquet/{pods}.2025-10-02.20251002T000000-4e009161-4f40.0_0.parquet"),
            "2025-10-02",
            "10",
        ),
        (
            format!(
                "data/parquet/daily/{pods}.2025-10-02.20251002T000000-4e009161-4f40.0_daily_0.parquet"
            ),
            "2025-10-02",
            "10",
        ),
    ] {
        assert!(names.contains(&name), "{name} not in {names:?}");
        let sidecar = &place.files()[&format!("{name}.metadata.json")];
        let expected = serde_json::json!({
            "manifestid": "20251002T000000-4e009161-4f40", "reportdatestart": start, "reportnumhours": hours,
        });
        assert_eq!(serde_json::from_slice::<serde_json::Value>(sidecar).unwrap(), expected);
    }
}

#[test]
fn rows_are_cleaned_as_koku_cleans_them() {
    let place = Place::new();
    let input = two_days_archive(&place, "payload.tar.gz", "a");
    place.convert(&[&input], &[]).done();

    let hourly = place.hourly("pod_usage");
    assert_eq!(hourly.len(), 34);
    let row = &hourly[1];
    for (column, expected) in [
        ("report_period_start", Value::Time(OCTOBER)),
        ("report_period_end", Value::Time(NOVEMBER)),
        ("interval_start", Value::Time(OCTOBER + 3_600_000)),
        ("interval_end", Value::Time(OCTOBER + 7_199_000)),
        ("pod_labels", r#"{"app": "web"}"#.into()),
        ("node_role", "worker".into()),
        ("pod_limit_cpu_core_seconds", 0.0.into()),
        ("pod_effective_usage_cpu_core_seconds", 7200.0.into()),
        ("pod_effective_usage_memory_byte_seconds", (2.0 * 3600.0 * GIB).into()),
    ] {
        assert_eq!(row[column], expected, "{column}");
    }

    let daily = place.daily("pod_usage");
    assert_eq!(daily.len(), 2);
    for (column, expected) in [
        ("interval_start", Value::Time(OCTOBER + DAY)),
        ("report_period_start", Value::Time(OCTOBER)),
        ("resource_id", "i-1".into()),
        ("node_role", "worker".into()),
        ("pod_usage_cpu_core_seconds", 36_000.0.into()),
        ("pod_effective_usage_cpu_core_seconds", 72_000.0.into()),
        ("node_capacity_cpu_cores", 4.0.into()),
        ("node_capacity_cpu_core_seconds", 144_000.0.into()),
        ("node_capacity_memory_bytes", (16.0 * GIB).into()),
    ] {
        assert_eq!(daily[1][column], expected, "{column}");
    }
    let storage = &place.daily("storage_usage")[0];
    assert_eq!(storage["persistentvolumeclaim_capacity_bytes"], (10.0 * GIB).into());
    assert_eq!(
        storage["persistentvolumeclaim_usage_byte_seconds"],
        (24.0 * 4.0 * 3600.0 * GIB).into()
    );
    assert_eq!(storage["persistentvolume_labels"], r#"{"disk": "fast"}"#.into());
    assert_eq!(storage["persistentvolumeclaim_labels"], "{}".into());
    assert_eq!(place.daily("namespace_labels")[0]["namespace_labels"], r#"{"team": "x"}"#.into());
}

#[test]
fn columns_are_stored_as_koku_stores_them() {
    let place = Place::new();
    let input = two_days_archive(&place, "payload.tar.gz", "a");
    place.convert(&[&input], &[]).done();
    for path in place.tables("data/parquet", "pod_usage") {
        let reader = SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap();
        let metadata = reader.metadata();
        assert_eq!(metadata.num_row_groups(), 1);
        for column in metadata.row_group(0).columns() {
            let described = column.column_descr();
            let info = described.self_type().get_basic_info();
            assert_eq!(info.repetition(), Repetition::OPTIONAL);
            assert_eq!(column.compression(), Compression::SNAPPY);
            if described.name().starts_with("interval") {
                let time = described.logical_type_ref().expect("a time has a logical type");
                let LogicalType::Timestamp(time) = time else { panic!("{time:?}") };
                assert!(!time.is_adjusted_to_u_t_c);
            }
        }
    }
}

#[test]
fn the_summary_of_what_was_converted_has_the_known_totals() {
    let place = Place::new();
    let input = two_days_archive(&place, "payload.tar.gz", "a");
    place.convert(&[&input], &[]).done();
    place.write(
        "lookups/enabled_tag_keys.csv",
        "key,enabled,provider_type\napp,true,OCP\ndisk,true,OCP\n",
    );
    place.write("lookups/cost_category_namespace.csv", "namespace,cost_category_id\n");
    place.write("lookups/nodes.csv", "node,resource_id,node_role\nnode-1,i-1,worker\n");

    let summaries = ["hourly", "daily"].map(|pod_source| {
        let sink = place.path(&format!("{pod_source}.csv"));
        let output = program()
            .args(["run", "--org-id", ORG, "--provider-uuid", PROVIDER])
            .args(["--from", "2025-10-01", "--to", "2025-10-02", "--pod-source", pod_source])
            .arg("--source")
            .arg(place.out())
            .arg("--lookups")
            .arg(place.path("lookups"))
            .arg("--sink")
            .arg(format!("csv:{}", sink.display()))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::read_to_string(sink).unwrap()
    });
    assert_eq!(summaries[0], summaries[1]);

    let mut reader = csv::Reader::from_reader(summaries[0].as_bytes());
    let rows: Vec<std::collections::HashMap<String, String>> =
        reader.deserialize().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 6);
    let total = |namespace: &str, kind: &str, column: &str| -> f64 {
        rows.iter()
            .filter(|row| row["namespace"] == namespace && row["data_source"] == kind)
            .map(|row| row[column].parse::<f64>().unwrap())
            .sum()
    };
    for (namespace, kind, column, expected) in [
        ("shop", "Pod", "pod_usage_cpu_core_hours", 34.0),
        ("shop", "Pod", "pod_request_cpu_core_hours", 68.0),
        ("shop", "Pod", "pod_effective_usage_cpu_core_hours", 68.0),
        ("shop", "Pod", "pod_effective_usage_memory_gigabyte_hours", 68.0),
        ("shop", "Pod", "pod_limit_cpu_core_hours", 0.0),
        ("Worker unallocated", "Pod", "pod_usage_cpu_core_hours", 4.0 * 34.0 - 34.0),
        ("Worker unallocated", "Pod", "pod_request_memory_gigabyte_hours", 16.0 * 34.0 - 34.0),
        ("shop", "Storage", "persistentvolumeclaim_usage_gigabyte_months", 4.0 * 34.0 / 744.0),
        ("shop", "Storage", "volume_request_storage_gigabyte_months", 20.0 * 34.0 / 744.0),
    ] {
        let found = total(namespace, kind, column);
        assert!((found - expected).abs() <= 1e-12 * expected.abs(), "{column}: {found} {expected}");
    }
    let labels = |kind: &str, column: &str| {
        let of_kind =
            rows.iter().find(|row| row["namespace"] == "shop" && row["data_source"] == kind);
        of_kind.unwrap()[column].clone()
    };
    assert_eq!(labels("Pod", "pod_labels"), r#"{"app":"web"}"#);
    assert_eq!(labels("Storage", "volume_labels"), r#"{"disk":"fast"}"#);
}

#[test]
fn a_row_with_an_impossible_value_is_dropped_and_counted() {
    let place = Place::new();
    let good = pod(1, 0, "web-1", "");
    let bad = good.replace(",3600,7200,", ",1.1e18,7200,").replace("web-1", "web-2");
    let infinite = good.replace(",3600,7200,", ",3600,+Inf,").replace("web-1", "web-3");
    let large = good.replace(",3600,7200,", ",1e18,7200,").replace("web-1", "web-4");
    let input = place.write("in/pods.csv", pods([good, bad, infinite, large]));
    let said = place.convert(&[&input], &[]).done();
    assert!(said.contains("pod_usage: 4 hourly, 2 daily; 2 DROPPED"), "{said}");
    let names: Vec<_> = place.hourly("pod_usage").iter().map(|row| row["pod"].clone()).collect();
    assert_eq!(names, ["web-1".into(), "web-4".into()]);
}

#[test]
fn a_folder_needs_no_manifest_and_other_reports_are_named() {
    let place = Place::new();
    place.write("in/pods.csv", pods([pod(1, 0, "web-1", "")]));
    place.write("in/vm.csv", "interval_start,vm_name\n");
    place.write("in/gpu.csv", "interval_start,gpu_uuid\n");
    place.write("in/ros.csv", "interval_start,container_name\n");
    place.write("in/notes.txt", "no CSV");
    let said = place.convert(&[&place.path("in")], &[]).done();
    assert!(said.contains("(no manifest)"), "{said}");
    for (name, why) in [
        ("vm.csv", "VM report"),
        ("gpu.csv", "GPU report"),
        ("ros.csv", "resource optimization report"),
    ] {
        assert!(said.contains(&format!("{name}: {why}\n")), "{said}");
    }
    assert_eq!(place.hourly("pod_usage").len(), 1);
    assert_eq!(place.files().len(), 4);
}

#[test]
fn what_the_manifest_does_not_list_is_left_out() {
    let place = Place::new();
    let listed = pods([pod(1, 0, "listed", "")]);
    let other = pods([pod(1, 0, "other", "")]);
    let mut manifest: serde_json::Value =
        serde_json::from_str(&manifest("a", &["listed.csv"])).unwrap();
    manifest["resource_optimization_files"] = serde_json::json!(["ros.csv"]);
    let input = place.write(
        "payload.tar.gz",
        archive(&[
            Member { name: "./", kind: tar::EntryType::Directory, content: b"" },
            file("./other.csv", &other),
            file("./ros.csv", "a,b\n"),
            file("./listed.csv", &listed),
            file("./manifest.json", &manifest.to_string()),
            file("./notes.txt", "no CSV"),
        ]),
    );
    let said = place.convert(&[&input], &[]).done();
    assert!(said.contains("other.csv: not in the manifest\n"), "{said}");
    assert!(said.contains("ros.csv: resource optimization report\n"), "{said}");
    assert_eq!(place.hourly("pod_usage").len(), 1);
    assert_eq!(place.hourly("pod_usage")[0]["pod"], "listed".into());
}

#[test]
fn a_payload_in_several_archives_is_one() {
    let place = Place::new();
    let manifest = manifest("a", &["0.csv", "1.csv"]);
    let part = |name: &str, hour| {
        let content = pods([pod(1, hour, "web-1", "")]);
        let bytes = archive(&[file(name, &content), file("manifest.json", &manifest)]);
        place.write(&format!("{name}.tar.gz"), bytes)
    };
    let (one, other) = (part("0.csv", 0), part("1.csv", 1));
    place.convert(&[&one, &other], &[]).done();
    let together = place.files();
    assert_eq!(place.hourly("pod_usage").len(), 2);
    assert_eq!(sum(&place.daily("pod_usage"), "pod_usage_cpu_core_seconds"), 7200.0);
    // The order does not matter.
    place.convert(&[&other, &one], &[]).done();
    assert_eq!(place.files(), together);
}

#[test]
fn again_replaces_its_own_files_and_no_others() {
    let place = Place::new();
    let input = two_days_archive(&place, "payload.tar.gz", "a");
    place.convert(&[&input], &[]).done();
    let first = place.files();
    place.convert(&[&input], &[]).done();
    assert_eq!(place.files(), first);

    // Another payload stands beside it.
    let other = two_days_archive(&place, "other.tar.gz", "b");
    place.convert(&[&other], &[]).done();
    assert_eq!(place.files().len(), 2 * first.len());

    // What the payload has no longer goes, sidecars too.
    let content = pods([pod(1, 0, "web-1", "")]);
    let manifest = manifest("a", &["0.csv"]);
    let shorter = place.write(
        "shorter.tar.gz",
        archive(&[file("0.csv", &content), file("manifest.json", &manifest)]),
    );
    place.convert(&[&shorter], &[]).done();
    let names = place.files().into_keys();
    let (own, others): (Vec<_>, Vec<_>) = names.partition(|name| name.contains("-a."));
    assert_eq!(own.len(), 4, "{own:?}");
    assert_eq!(others.len(), first.len());
}

#[test]
fn without_a_manifest_the_content_tells_uploads_apart() {
    let place = Place::new();
    let input = place.write("in/pods.csv", pods([pod(1, 0, "web-1", "")]));
    place.convert(&[&input], &[]).done();
    place.convert(&[&input], &[]).done();
    assert_eq!(place.tables("data/parquet", "pod_usage").len(), 1);
    place.write("in/pods.csv", pods([pod(1, 0, "web-1", ""), pod(1, 1, "web-1", "")]));
    place.convert(&[&input], &[]).done();
    assert_eq!(place.tables("data/parquet", "pod_usage").len(), 2);
    // An id that is given beats both.
    place.convert(&[&input], &["--manifest-id", "17"]).done();
    let names: Vec<_> = place.files().into_keys().collect();
    assert!(names.iter().any(|name| name.ends_with("pod_usage.2025-10-01.17.0_0.parquet")));
}

#[test]
fn files_of_an_operator_without_daily_reports_are_additive() {
    let place = Place::new();
    let content = pods([pod(1, 0, "web-1", "")]);
    let manifest =
        manifest("a", &["0.csv"]).replace("\"daily_reports\":true", "\"daily_reports\":false");
    let bytes = archive(&[file("0.csv", &content), file("manifest.json", &manifest)]);
    let input = place.write("payload.tar.gz", bytes);
    let said = place.convert(&[&input], &[]).done();
    assert!(said.contains("payload    20251002T000000-a (adds to others)\n"), "{said}");
    let sidecars: Vec<_> =
        place.files().into_iter().filter(|(name, _)| name.ends_with(".json")).collect();
    assert_eq!(sidecars.len(), 2);
    for (_, text) in sidecars {
        assert!(String::from_utf8(text).unwrap().contains(r#""reportnumhours":"0""#));
    }
}

#[test]
fn the_hours_of_a_day_are_those_of_all_reports() {
    let place = Place::new();
    // The claim is there for two hours, the pod for five: an upload of the same day with six hours
    // of pods has no more of the claim, and is to win for it all the same.
    place.write("in/pods.csv", pods((0..5).map(|hour| pod(1, hour, "web-1", ""))));
    place.write("in/storage.csv", storage((0..2).map(|hour| claim(1, hour, "web-1"))));
    place.convert(&[&place.path("in")], &[]).done();
    for (name, text) in place.files().into_iter().filter(|(name, _)| name.ends_with(".json")) {
        assert!(String::from_utf8(text).unwrap().contains(r#""reportnumhours":"5""#), "{name}");
    }
}

#[test]
fn days_in_any_order_lie_in_their_own_files() {
    let place = Place::new();
    let usage = (0..24).flat_map(|hour| (1..=31).rev().map(move |day| pod(day, hour, "web-1", "")));
    let input = place.write("in/pods.csv", pods(usage));
    place.convert(&[&input], &[]).done();
    let tables = place.tables("data/parquet", "pod_usage");
    assert_eq!(tables.len(), 31);
    for (index, table) in tables.iter().enumerate() {
        let start = OCTOBER + index as i64 * DAY;
        let hours = rows(std::slice::from_ref(table));
        assert_eq!(hours.len(), 24);
        for row in hours {
            let Value::Time(time) = row["interval_start"] else { panic!() };
            assert!((start..start + DAY).contains(&time));
        }
    }
    assert_eq!(sum(&place.daily("pod_usage"), "pod_usage_cpu_core_seconds"), 31.0 * 86_400.0);
}

#[test]
fn more_days_than_files_may_be_open() {
    let place = Place::new();
    let start = chrono::NaiveDate::from_ymd_opt(2025, 1, 1).unwrap();
    let days = || start.iter_days().take(230);
    let usage = [0, 1].into_iter().flat_map(|hour| {
        days().map(move |day| pod(1, hour, "web-1", "").replace("2025-10-01", &day.to_string()))
    });
    let input = place.write("in/pods.csv", pods(usage));
    let said = place.convert(&[&input], &[]).done();
    assert!(said.contains("days       2025-01-01 to 2025-08-18, 230 with rows\n"), "{said}");
    let mut found = std::collections::BTreeMap::<_, usize>::new();
    for row in place.hourly("pod_usage") {
        let Value::Time(time) = row["interval_start"] else { panic!() };
        *found.entry(time.div_euclid(DAY)).or_default() += 1;
    }
    assert_eq!(found.len(), 230);
    assert!(found.values().all(|hours| *hours == 2));
}

#[test]
fn a_long_day_is_cut_into_files_that_add_up() {
    let place = Place::new();
    let count = 200_001;
    let usage = (0..count).map(|number| pod(1, number % 24, &format!("web-{}", number % 1000), ""));
    let input = place.write("in/pods.csv", pods(usage));
    let said = place.convert(&[&input], &["--manifest-id", "m"]).done();
    assert!(said.contains("pod_usage: 200001 hourly, 1001 daily\n"), "{said}");
    let tables = place.tables("data/parquet", "pod_usage");
    let rows_of = tables.iter().map(|table| rows(std::slice::from_ref(table)).len());
    assert_eq!(rows_of.collect::<Vec<_>>(), [200_000, 1]);
    assert!(tables[1].ends_with("pod_usage.2025-10-01.m.0_1.parquet"));
    assert_eq!(sum(&place.daily("pod_usage"), "pod_usage_cpu_core_seconds"), 3600.0 * 200_001.0);
}

#[test]
fn older_storage_reports_lack_columns_and_newer_ones_have_more() {
    let place = Place::new();
    let columns = "report_period_start,report_period_end,interval_start,interval_end,namespace,pod,\
        persistentvolumeclaim,persistentvolume,storageclass,extra,persistentvolumeclaim_capacity_bytes,\
        persistentvolumeclaim_capacity_byte_seconds,volume_request_storage_byte_seconds,\
        persistentvolumeclaim_usage_byte_seconds,persistentvolume_labels,persistentvolumeclaim_labels";
    let row = format!("{},shop,web-1,data,pv-1,gp3,?,1,2,3,4,,", hour(1, 0));
    place.write("in/old.csv", format!("{columns}\n{row}\n"));
    place.write("in/new.csv", storage([claim(1, 1, "web-1")]));
    let output = place.convert(&[&place.path("in")], &[]);
    assert!(output.stderr().contains("extra"), "{}", output.stderr());
    output.done();
    let tables = place.tables("data/parquet", "storage_usage");
    assert_eq!(tables.len(), 2);
    let all = place.hourly("storage_usage");
    assert_eq!(all[0]["csi_volume_handle"], "vol-1".into());
    assert!(!all[1].contains_key("csi_volume_handle") && !all[1].contains_key("extra"));
    let daily = place.daily("storage_usage");
    assert_eq!(daily[1]["persistentvolumeclaim_usage_byte_seconds"], 4.0.into());
    assert!(!daily[1].contains_key("node"));
}

#[test]
fn the_daily_roll_up_keeps_what_differs_apart() {
    let place = Place::new();
    let node_2 = |row: String| row.replace("node-1", "node-2").replace("i-1", "i-2");
    let rows = [
        pod(1, 0, "web-1", "label_app:web"),
        pod(1, 1, "web-1", "label_app:web"),
        pod(1, 2, "web-1", "label_app:shop"),
        node_2(pod(1, 3, "web-1", "label_app:web")),
        pod(1, 4, "web-1", "label_app:web").replace("i-1", "i-3"),
        pod(1, 5, "web-1", "label_app:web").replace(",4,14400,", ",8,28800,"),
    ];
    let input = place.write("in/pods.csv", pods(rows));
    place.convert(&[&input], &[]).done();
    let daily = place.daily("pod_usage");
    let found: Vec<_> = daily
        .iter()
        .map(|row| {
            let text = |column: &str| row[column].clone();
            (text("node"), text("pod_labels"), text("pod_usage_cpu_core_seconds"))
        })
        .collect();
    let [shop, web] = [r#"{"app": "shop"}"#, r#"{"app": "web"}"#];
    assert_eq!(
        found,
        [
            ("node-1".into(), shop.into(), 3600.0.into()),
            ("node-1".into(), web.into(), (4.0 * 3600.0).into()),
            ("node-2".into(), web.into(), 3600.0.into()),
        ]
    );
    // The largest counts, of names and of sizes.
    assert_eq!(daily[1]["resource_id"], "i-3".into());
    assert_eq!(daily[1]["node_capacity_cpu_cores"], 8.0.into());
    assert_eq!(daily[1]["node_capacity_cpu_core_seconds"], (3.0 * 14400.0 + 28800.0).into());
}

#[test]
fn an_interrupted_conversion_leaves_nothing() {
    let place = Place::new();
    let input = two_days_archive(&place, "payload.tar.gz", "a");
    let plan = Plan {
        inputs: vec![input],
        out: place.out(),
        org_id: ORG.to_owned(),
        provider_uuid: PROVIDER.parse().unwrap(),
        manifest_id: None,
        max_unpacked: MAX_UNPACKED,
    };
    let stopped = convert::run(&plan, &AtomicBool::new(true));
    assert!(matches!(stopped, Err(ConvertError::Interrupted)), "{stopped:?}");
    assert!(!Path::exists(&place.out()));
}
