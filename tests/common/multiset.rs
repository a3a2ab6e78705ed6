//! Sets of summary rows compared without any code of the program.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Numbers closer than this, relative to the larger or absolutely, are the same.
const RELATIVE: f64 = 1e-9;
const ABSOLUTE: f64 = 1e-12;
const NULL: &str = "\\N";
const JSON: [&str; 4] = ["pod_labels", "volume_labels", "all_labels", "infrastructure_usage_cost"];
const SHOWN: usize = 8;

/// Rows as text, NULL as `\N`.
#[derive(Debug, Clone)]
pub struct Rows {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Rows {
    pub fn parse(csv: &[u8]) -> Rows {
        let mut reader = csv::Reader::from_reader(csv);
        let columns = reader.headers().unwrap().iter().map(str::to_owned).collect();
        let rows = reader.records().map(|r| r.unwrap().iter().map(str::to_owned).collect());
        Rows { columns, rows: rows.collect() }
    }

    /// Where the column `name` is.
    pub fn position(&self, name: &str) -> usize {
        let at = self.columns.iter().position(|column| column == name);
        at.unwrap_or_else(|| panic!("there is a column {name}"))
    }

    /// Changes every value of a column.
    pub fn map(&mut self, column: &str, change: impl Fn(&str) -> String) {
        let at = self.position(column);
        for row in &mut self.rows {
            row[at] = change(&row[at]);
        }
    }

    /// The values of a column that are not null, each once.
    pub fn distinct(&self, column: &str) -> BTreeSet<&str> {
        let at = self.position(column);
        self.rows.iter().map(|row| row[at].as_str()).filter(|value| *value != NULL).collect()
    }
}

/// Whether `actual` holds the rows of `expected`, on the columns of `expected`, as often.
///
/// Rows pair up where all that is no number is equal and all numbers are close.
pub fn compare(expected: &Rows, actual: &Rows) -> Result<(), String> {
    let (left, right) = (groups(expected, expected)?, groups(actual, expected)?);
    let mut differences = Vec::new();
    let keys: BTreeSet<&Key> = left.keys().chain(right.keys()).collect();
    for key in keys {
        let none = Vec::new();
        let wanted = left.get(key).unwrap_or(&none);
        let mut unused = right.get(key).unwrap_or(&none).clone();
        for row in wanted {
            match unused.iter().position(|other| close(row, other)) {
                Some(at) => drop(unused.swap_remove(at)),
                None => differences.push(format!("expected {key:?} {row:?}")),
            }
        }
        differences.extend(unused.iter().map(|row| format!("found    {key:?} {row:?}")));
    }
    if expected.rows.len() != actual.rows.len() {
        let (wanted, found) = (expected.rows.len(), actual.rows.len());
        differences.insert(0, format!("{wanted} rows expected, {found} found"));
    }
    if differences.is_empty() {
        return Ok(());
    }
    let all = differences.len();
    differences.truncate(SHOWN);
    Err(format!("{all} differences\n  {}", differences.join("\n  ")))
}

type Key = Vec<(String, String)>;
/// The numbers of a row; `None` is null.
type Numbers = Vec<Option<f64>>;

fn groups(rows: &Rows, columns: &Rows) -> Result<BTreeMap<Key, Vec<Numbers>>, String> {
    let positions: Vec<(&String, usize)> =
        columns.columns.iter().map(|name| (name, rows.position(name))).collect();
    let mut groups: BTreeMap<Key, Vec<Numbers>> = BTreeMap::new();
    for row in &rows.rows {
        let (mut key, mut numbers) = (Key::new(), Numbers::new());
        for &(name, at) in &positions {
            let value = &row[at];
            if is_number(name) {
                numbers.push(number(name, value)?);
            } else if value != NULL {
                key.push((name.clone(), canonical(name, value)?));
            }
        }
        groups.entry(key).or_default().push(numbers);
    }
    Ok(groups)
}

fn is_number(column: &str) -> bool {
    let measure = ["_hours", "_cores", "_gigabytes", "_gigabyte", "_months", "_cost"];
    measure.iter().any(|end| column.ends_with(end)) && !JSON.contains(&column)
}

fn number(column: &str, value: &str) -> Result<Option<f64>, String> {
    if value == NULL {
        return Ok(None);
    }
    match value.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Some(number)),
        _ => Err(format!("{column} holds {value:?}, no number")),
    }
}

fn canonical(column: &str, value: &str) -> Result<String, String> {
    if !JSON.contains(&column) {
        return Ok(value.to_owned());
    }
    let json: Value =
        serde_json::from_str(value).map_err(|e| format!("{column} holds {value:?}: {e}"))?;
    Ok(json.to_string())
}

fn close(left: &Numbers, right: &Numbers) -> bool {
    left.iter().zip(right).all(|pair| match pair {
        (None, None) => true,
        (Some(a), Some(b)) => {
            let difference = (a - b).abs();
            difference <= ABSOLUTE || difference <= RELATIVE * a.abs().max(b.abs())
        }
        _ => false,
    })
}
