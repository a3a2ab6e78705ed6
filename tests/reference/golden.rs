//! A golden scenario: its tree read with the row reader of `parquet`, its lookups, its rows.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::file::reader::SerializedFileReader;
use parquet::record::Field;

use super::input::{Item, Items, Lookups, ReportType, Run, TYPES};

/// Folders that hold a scenario, below `dir`.
pub fn scenarios(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        if dir.join("params.json").exists() {
            found.push(dir);
        } else {
            open.extend(entries(&dir).into_iter().filter(|path| path.is_dir()));
        }
    }
    found.sort();
    found
}

/// The runs of a scenario, each with the rows of its month's folder.
pub fn runs(scenario: &Path) -> Vec<(Run, Items)> {
    let text = std::fs::read_to_string(scenario.join("params.json")).expect("params.json");
    let params: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let word = |name: &str| params[name].as_str().expect(name).to_owned();
    let account = word("schema").trim_start_matches("acct").to_owned();
    let hourly = scenario.join("parquet/data/parquet").join(account).join("OCP");
    let run = |run: &serde_json::Value| {
        let date = |name: &str| run[name].as_str().expect(name).parse().expect("a date");
        let month = format!("month={}", run["month"].as_str().expect("a month"));
        let year = format!("year={}", run["year"].as_str().expect("a year"));
        let source = format!("source={}", word("source_uuid"));
        let rows = |report: &'static ReportType| {
            let folder = hourly.join(report.name).join(&source).join(&year).join(&month);
            (report.name, entries(&folder).iter().flat_map(|file| read(report, file)).collect())
        };
        let described = Run {
            source: word("source_uuid"),
            report_period_id: run["report_period_id"].as_i64().expect("an id") as i32,
            cluster_id: Some(word("cluster_id")),
            cluster_alias: Some(word("cluster_alias")),
            days: (date("start_date"), date("end_date")),
        };
        (described, Items(TYPES.into_iter().map(rows).collect()))
    };
    params["runs"].as_array().expect("runs").iter().map(run).collect()
}

pub fn lookups(scenario: &Path) -> Lookups {
    let table = |name: &str, columns: [&str; 3]| {
        let mut reader = csv::Reader::from_path(scenario.join(name)).expect(name);
        let header = reader.headers().expect("a header").clone();
        let places =
            columns.map(|column| header.iter().position(|name| name == column).expect(column));
        let rows = reader.records().map(move |record| {
            let record = record.expect("a record");
            places.map(|place| record[place].to_owned())
        });
        rows.collect::<Vec<_>>()
    };
    let keys = table("enabled_tag_keys.csv", ["key", "enabled", "provider_type"]);
    let enabled = |row: &[String; 3]| (row[1] == "true" && row[2] == "OCP").then(|| row[0].clone());
    let categories =
        table("cost_category_namespace.csv", ["namespace", "cost_category_id", "namespace"]);
    let nodes = table("nodes.csv", ["node", "resource_id", "node_role"]);
    let optional = |text: String| (text != "\\N" && !text.is_empty()).then_some(text);
    Lookups {
        enabled_keys: keys.iter().filter_map(enabled).collect::<BTreeSet<_>>(),
        categories: categories
            .into_iter()
            .map(|[pattern, id, _]| (pattern, id.parse().expect("an id")))
            .collect(),
        nodes: nodes
            .into_iter()
            .map(|[node, id, role]| (node, optional(id), optional(role)))
            .collect(),
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

fn read(report: &'static ReportType, file: &Path) -> Vec<Item> {
    let reader = SerializedFileReader::new(File::open(file).expect("a file")).expect("Parquet");
    let item = |row: parquet::record::Row| {
        let mut item = Item { at: i64::MIN, texts: [].into(), measures: [].into() };
        for (name, field) in row.get_column_iter() {
            let text = report.texts.iter().find(|column| *column == name);
            let measure = report.measures.iter().find(|column| *column == name);
            match (field, text, measure) {
                (Field::TimestampMillis(at), ..) if name == "interval_start" => item.at = *at,
                (Field::Str(value), Some(column), _) => {
                    item.texts.insert(column, value.clone());
                }
                (Field::Double(value), _, Some(column)) => {
                    item.measures.insert(column, *value);
                }
                (Field::Null, ..) | (_, None, None) => {}
                (other, ..) => panic!("{name} is {other}"),
            }
        }
        assert_ne!(item.at, i64::MIN, "no interval_start in {}", file.display());
        item
    };
    reader.into_iter().map(|row| item(row.expect("a row"))).collect()
}
