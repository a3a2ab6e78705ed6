//! The report of a run: what it says, against the rows; and how it looks, in a browser.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use common::browser::{Browser, Scheme};
use common::line_items::{Value as Cell, pod, storage};
use common::program::{Run, Scene, read_csv};
use common::tree::Table;
use serde_json::Value;

/// A name that HTML would take as markup.
const HOSTILE: &str = "<script>alert('x')</script>&amp;\"q\"";

/// A month with namespaces of all kinds, late rows, and rows that count twice.
fn scene() -> Scene {
    let scene = Scene::new();
    let long = "a".repeat(63);
    let names = [HOSTILE, "openshift-monitoring", "shop", long.as_str()];
    let pods = (0..2000_u32).map(|i| {
        let time = format!("2025-10-{:02} {:02}:00", 1 + i % 31, i / 31 % 24);
        let namespace = match i % 40 {
            n @ 0..4 => names[n as usize].to_owned(),
            n => format!("namespace-{n}"),
        };
        let memory = f64::from(1 + i % 7) * 1e13;
        let pod = pod().at(&time).with("namespace", namespace.as_str());
        pod.with("pod_usage_memory_byte_seconds", memory)
    });
    let odd = [pod().with("node", Cell::Null), pod().at("2025-11-02 00:00")];
    scene.tree.add(&Table::pods(pods.chain(odd)));
    scene
        .tree
        .add(&Table::storage((1..=31).map(|day| storage().at(&format!("2025-10-{day:02} 05:00")))));
    scene.lookup(
        "cost_category_namespace.csv",
        "namespace,cost_category_id\nopen%,1\nopenshift-%,2\n",
    );
    scene
}

fn reported(scene: &Scene) -> (Run, PathBuf) {
    let folder = scene.output().join("report");
    (scene.run().with("report", folder.display()), folder)
}

fn json(folder: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(folder.join("report.json")).unwrap()).unwrap()
}

fn html(folder: &Path) -> String {
    fs::read_to_string(folder.join("report.html")).unwrap()
}

/// Sums of a column of the rows that `chosen` takes, by a key of the row.
fn sums(
    rows: &[BTreeMap<String, String>],
    key: &str,
    column: &str,
    chosen: impl Fn(&BTreeMap<String, String>) -> bool,
) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for row in rows.iter().filter(|row| chosen(row)) {
        let value = if row[column] == "\\N" { 0.0 } else { row[column].parse().unwrap() };
        *sums.entry(row[key].clone()).or_default() += value;
    }
    sums
}

#[track_caller]
fn near(found: &Value, expected: f64) {
    let found = found.as_f64().unwrap();
    assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{found} for {expected}");
}

#[test]
fn the_report_says_what_the_rows_say() {
    let scene = scene();
    let (run, folder) = reported(&scene);
    scene.run().with("progress", "off").done().succeeds();
    let unwatched = fs::read(scene.csv()).unwrap();
    let done = run.environment("DATABASE_PASSWORD", "geheim").done();
    done.succeeds();
    assert!(fs::read(scene.csv()).unwrap() == unwatched, "being watched changes no row");
    let (report, html) = (json(&folder), html(&folder));
    assert_eq!((&report["state"], &report["exit_code"]), (&"done".into(), &0.into()));
    assert!(report["error"].is_null());
    assert_eq!(report["input"]["rows"], 2033);
    let counts = &report["counts"];
    assert_eq!(counts["rows_read"], 2033);
    assert_eq!(
        (&counts["rows_of_other_days"], &counts["rows_without_node"]),
        (&1.into(), &1.into())
    );
    assert!(counts["rows_multiplied_by_cost_categories"].as_u64().unwrap() > 0);

    let rows = read_csv(&scene.csv());
    let is_pod = |row: &BTreeMap<String, String>| {
        row["data_source"] == "Pod" && !row["namespace"].ends_with("unallocated")
    };
    let days = report["days"].as_array().unwrap();
    assert_eq!(days.len(), 31);
    let used = sums(&rows, "usage_start", "pod_usage_cpu_core_hours", is_pod);
    let left = sums(&rows, "usage_start", "pod_effective_usage_cpu_core_hours", |row| {
        row["namespace"].ends_with("unallocated")
    });
    let claimed =
        sums(&rows, "usage_start", "persistentvolumeclaim_capacity_gigabyte_months", |row| {
            row["data_source"] == "Storage"
        });
    let mut written = 0;
    for day in days {
        let date = day["date"].as_str().unwrap();
        assert_eq!(day["written"], true, "{date}");
        near(&day["cpu_core_hours_used"], used[date]);
        near(&day["unallocated_cpu_core_hours"], left[date]);
        near(&day["storage_gigabyte_months_capacity"], claimed[date]);
        let kinds = ["pod_rows", "storage_rows", "unallocated_rows"];
        written += kinds.iter().map(|kind| day[*kind].as_u64().unwrap()).sum::<u64>();
    }
    assert_eq!(written, rows.len() as u64);
    near(&report["totals"]["cpu_core_hours_used"], used.values().sum());

    // Those with the most first, and nothing lost between the named ones and the others.
    let memory = sums(&rows, "namespace", "pod_usage_memory_gigabyte_hours", is_pod);
    let named = report["namespaces"].as_array().unwrap();
    assert_eq!(named.len(), 20);
    let all = rows.iter().filter(|row| !row["namespace"].ends_with("unallocated"));
    let all: BTreeSet<&String> = all.map(|row| &row["namespace"]).collect();
    assert_eq!(named.len() + report["more_namespaces"].as_u64().unwrap() as usize, all.len());
    let effective = |row: &Value| row["cpu_core_hours_effective"].as_f64().unwrap();
    assert!(named.windows(2).all(|two| effective(&two[0]) >= effective(&two[1])));
    let mut all = report["other_namespaces"]["memory_gigabyte_hours_used"].as_f64().unwrap();
    for row in named {
        near(&row["memory_gigabyte_hours_used"], memory[row["namespace"].as_str().unwrap()]);
        all += row["memory_gigabyte_hours_used"].as_f64().unwrap();
    }
    near(&all.into(), memory.values().sum());

    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("cost category patterns"), "{warnings}");
    let timeline = report["timeline"].as_array().unwrap();
    assert_eq!(timeline.last().unwrap()["rows"], 2033);
    assert!(report["memory"]["peak"].as_u64().unwrap() > 0);
    assert_eq!(report["settings"]["aggregation.fan_out"], "koku");

    for text in [&html, &report.to_string()] {
        assert!(!text.contains("geheim"));
    }
    for markup in ["<script", "<link", "<img", "url(", "@import", "http:", "https:"] {
        assert!(!html.contains(markup), "the page needs nothing else: {markup}");
    }
}

#[test]
fn a_run_that_fails_is_reported_with_its_error_and_no_day_that_is_not_there() {
    let scene = scene();
    let (run, folder) = reported(&scene);
    // Days of before it are finished when this file is read.
    let file = scene.tree.add(&Table::pods((0..100).map(|_| pod().at("2025-10-31 00:00"))));
    let bytes = fs::read(&file).unwrap();
    let mut broken = bytes.clone();
    broken[8..200].fill(0xff);
    fs::write(&file, broken).unwrap();
    let done = run.done();
    done.fails(3, &[file.file_name().unwrap().to_str().unwrap()]);
    let report = json(&folder);
    assert_eq!((&report["state"], &report["exit_code"]), (&"failed".into(), &3.into()));
    let error = report["error"].as_str().unwrap();
    assert!(done.stderr.contains(&format!("error: {error}")), "{error} in {done:#?}");
    // The file is not there, so no day of it is.
    assert!(!scene.csv().exists());
    let days = report["days"].as_array().unwrap();
    assert!(days.len() == 31 && days.iter().all(|day| day["written"] == false));
    assert_eq!(report["totals"]["pod_rows"], 0);
    assert!(html(&folder).contains("not written"));

    // Before anything is planned.
    let none = run.with("lookups", "/nowhere").done();
    assert_eq!(none.code, Some(3), "{none:#?}");
    let report = json(&folder);
    assert!(report["input"].is_null() && report["state"] == "failed");
    assert!(html(&folder).contains("/nowhere"));
}

#[test]
fn a_folder_that_cannot_be_had_is_said_before_any_work() {
    let scene = scene();
    let file = scene.lookups().join("nodes.csv");
    let done = scene.run().with("report", file.join("x").display()).done();
    done.fails(4, &["--report", "nodes.csv/x"]);
    assert!(!scene.csv().exists());
}

/// What is wider than it may be, and what of a chart lies outside of it.
const LAYOUT: &str = r#"(() => {
  const wide = [...page.querySelectorAll('body *')].filter(e => !e.closest('svg, .scroll table')
    && e.scrollWidth > e.clientWidth + 1 && !e.classList.contains('scroll')
    && getComputedStyle(e).display !== 'inline').map(e => e.outerHTML.slice(0, 80));
  const outside = [...page.querySelectorAll('svg text, svg rect, svg path')].filter(e => {
    const box = e.getBoundingClientRect(), svg = e.closest('svg').getBoundingClientRect();
    return box.left < svg.left - 1 || box.right > svg.right + 1 || box.top < svg.top - 1
      || box.bottom > svg.bottom + 1 }).map(e => e.outerHTML.slice(0, 120));
  const touching = [...page.querySelectorAll('svg')].flatMap(svg => {
    const boxes = [...svg.querySelectorAll('text')].map(e => e.getBoundingClientRect());
    return boxes.flatMap((a, i) => boxes.slice(i + 1).filter(b => a.left < b.right
      && b.left < a.right && a.top < b.bottom - 3 && b.top < a.bottom - 3)) }).length;
  const luminance = color => { const [r, g, b] = color.match(/\d+/g).map(Number);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b };
  const style = view.getComputedStyle(page.body);
  return { wide, outside, touching, page: page.documentElement.scrollWidth, frame: view.innerWidth,
    ground: luminance(style.backgroundColor), text: luminance(style.color),
    charts: page.querySelectorAll('svg').length, words: page.body.innerText } })()"#;

const PRINT: &str = r#"({
  wide: [...page.querySelectorAll('table')].filter(e => e.offsetWidth > view.innerWidth)
    .map(e => e.offsetWidth + ' ' + e.outerHTML.slice(0, 80)),
  ground: view.getComputedStyle(page.body).backgroundColor })"#;

/// `OCP_ROLLUP_SCREENSHOTS=FOLDER` keeps the pictures.
#[test]
fn the_page_can_be_read_wide_and_narrow_light_and_dark() {
    let Some(browser) = Browser::find() else {
        eprintln!("SKIPPED: there is no chromium to look at the report with");
        return;
    };
    let scene = scene();
    let (run, folder) = reported(&scene);
    run.done().succeeds();
    let html = html(&folder);
    #[expect(clippy::disallowed_methods, reason = "where pictures are kept is no setting of a run")]
    let keep = std::env::var_os("OCP_ROLLUP_SCREENSHOTS").map(PathBuf::from);
    // What is printed on A4, where nothing can be scrolled, is light whatever the screen is.
    let printed =
        browser.probe(&html.replace("@media print", "@media screen"), 718, Scheme::Dark, PRINT);
    assert_eq!(printed["wide"], Value::from(vec![0; 0]), "{printed:#}");
    assert_eq!(printed["ground"], "rgb(255, 255, 255)", "{printed:#}");
    for width in [1280, 390] {
        for scheme in [Scheme::Light, Scheme::Dark] {
            let found = browser.probe(&html, width, scheme, LAYOUT);
            let at = format!("{width} {scheme:?}: {found:#}");
            assert_eq!(
                (&found["wide"], &found["outside"]),
                (&Value::from(vec![0; 0]), &Value::from(vec![0; 0])),
                "{at}"
            );
            assert_eq!(found["touching"], 0, "{at}");
            assert!(found["page"].as_u64().unwrap() <= found["frame"].as_u64().unwrap(), "{at}");
            assert_eq!(found["frame"], width, "{at}");
            let of = |name: &str| found[name].as_f64().unwrap();
            match scheme {
                Scheme::Light => assert!(of("ground") > 220.0 && of("text") < 60.0, "{at}"),
                Scheme::Dark => assert!(of("ground") < 40.0 && of("text") > 200.0, "{at}"),
            }
            assert_eq!(found["charts"], 4, "{at}");
            let words = found["words"].as_str().unwrap();
            for part in [
                "Roll-up of 2025-10-01 to 2025-10-31",
                "days written",
                "2025-10-17",
                "Memory against budget",
                HOSTILE,
                "cost category patterns",
                "aggregation.fan_out",
            ] {
                assert!(words.contains(part), "no {part:?}: {at}");
            }
            let picture = folder.join(format!("{width}-{scheme:?}.png").to_lowercase());
            browser.screenshot(&html, width, 2600, scheme, &picture);
            assert!(fs::metadata(&picture).unwrap().len() > 20_000, "an empty picture");
            if let Some(keep) = &keep {
                fs::copy(&picture, keep.join(picture.file_name().unwrap())).unwrap();
            }
        }
    }
}
