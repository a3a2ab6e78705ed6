//! What comes out, and how two tables are compared.

use std::collections::{BTreeMap, BTreeSet};

use super::json::{Json, quoted};
use super::labels::Labels;

/// Nothing of this relative size is a difference: rounding after the sums may be done in any order.
const TOLERANCE: f64 = 1e-12;

#[derive(Clone, PartialEq)]
pub enum Cell {
    Text(String),
    Labels(Labels),
    /// `scale` is the largest magnitude that went into `value` after the sums were rounded:
    /// a difference of two large numbers is only as precise as they are.
    Number {
        value: f64,
        scale: f64,
    },
}

/// Column to value; what is null has no entry.
#[derive(Clone, Default)]
pub struct Row(pub BTreeMap<&'static str, Cell>);

/// Value and scale by column.
type Numbers = BTreeMap<&'static str, (f64, f64)>;

impl Row {
    pub fn text(&mut self, column: &'static str, text: Option<&str>) {
        self.0.extend(text.map(|text| (column, Cell::Text(text.to_owned()))));
    }

    pub fn labels(&mut self, column: &'static str, labels: Option<&Labels>) {
        self.0.extend(labels.map(|labels| (column, Cell::Labels(labels.clone()))));
    }

    pub fn number(&mut self, column: &'static str, value: Option<f64>) {
        self.scaled(column, value, 0.0);
    }

    pub fn scaled(&mut self, column: &'static str, value: Option<f64>, scale: f64) {
        self.0.extend(value.map(|value| (column, Cell::Number { value, scale })));
    }

    pub fn get_text(&self, column: &str) -> Option<&str> {
        match self.0.get(column) {
            Some(Cell::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub fn get_number(&self, column: &str) -> Option<f64> {
        match self.0.get(column) {
            Some(Cell::Number { value, .. }) => Some(*value),
            _ => None,
        }
    }

    /// All but the numbers, spelled.
    fn key(&self) -> String {
        let mut key = String::new();
        for (column, cell) in &self.0 {
            match cell {
                Cell::Text(text) => key += &format!("{column}={text:?} "),
                Cell::Labels(labels) => key += &format!("{column}={} ", spelled(labels)),
                Cell::Number { .. } => {}
            }
        }
        key
    }

    fn numbers(&self) -> Numbers {
        let number = |(column, cell): (&&'static str, &Cell)| match cell {
            Cell::Number { value, scale } => Some((*column, (*value, *scale))),
            _ => None,
        };
        self.0.iter().filter_map(number).collect()
    }
}

/// Compact JSON.
pub fn spelled(labels: &Labels) -> String {
    let value = |v: &Option<String>| v.as_deref().map_or("null".into(), quoted);
    let pairs: Vec<String> = labels.iter().map(|(k, v)| quoted(k) + ":" + &value(v)).collect();
    format!("{{{}}}", pairs.join(","))
}

/// A CSV file as the CSV sink and the golden data spell it.
pub struct Table {
    pub columns: BTreeSet<String>,
    pub rows: Vec<Row>,
}

impl Table {
    pub fn parse(text: &str, is_number: impl Fn(&str) -> bool) -> Table {
        let mut lines = records(text).into_iter();
        let header: Vec<&'static str> = lines
            .next()
            .expect("a header")
            .into_iter()
            // Leaked: a test reads a few headers, and rows name their columns by reference.
            .map(|name| &*name.expect("a name").leak())
            .collect();
        let row = |fields: Vec<Option<String>>| {
            assert_eq!(fields.len(), header.len(), "fields of {fields:?}");
            let mut row = Row::default();
            for (&column, field) in header.iter().zip(fields) {
                let Some(text) = field else { continue };
                let cell = match column {
                    "pod_labels" | "volume_labels" | "all_labels" => Cell::Labels(object(&text)),
                    "infrastructure_usage_cost" => Cell::Text(cost(&text)),
                    _ if is_number(column) => {
                        Cell::Number { value: text.parse().expect("a number"), scale: 0.0 }
                    }
                    _ => Cell::Text(text),
                };
                row.0.insert(column, cell);
            }
            row
        };
        Table {
            rows: lines.map(row).collect(),
            columns: header.iter().map(|c| (*c).into()).collect(),
        }
    }
}

fn object(text: &str) -> Labels {
    let Json::Object(pairs) = Json::parse(text) else { panic!("not an object: {text}") };
    let value = |value| match value {
        Json::Null => None,
        Json::Text(text) => Some(text),
        other => panic!("a label that is no text: {other:?}"),
    };
    let labels: Labels = pairs.iter().cloned().map(|(k, v)| (k, value(v))).collect();
    assert_eq!(labels.len(), pairs.len(), "a key twice in {text}");
    assert!(pairs.is_sorted_by(|a, b| a.0 < b.0), "keys out of order in {text}");
    labels
}

/// The object with its zeros as plain numbers.
fn cost(text: &str) -> String {
    let Json::Object(pairs) = Json::parse(text) else { panic!("not an object: {text}") };
    let number = |value: &Json| value.spelled().parse::<f64>().expect("a number");
    pairs.iter().map(|(k, v)| format!("{k}:{} ", number(v))).collect()
}

/// What a row that carries one says of its usage cost, after [`cost`].
pub const NO_COST: &str = "cpu:0 memory:0 storage:0 ";

/// Fields are null where they are a bare `\N`.
fn records(text: &str) -> Vec<Vec<Option<String>>> {
    let mut records = Vec::new();
    let mut record = Vec::new();
    let mut chars = text.chars().peekable();
    while chars.peek().is_some() {
        let mut field = String::new();
        let quoted = chars.next_if_eq(&'"').is_some();
        loop {
            match chars.next() {
                Some('"') if quoted => {
                    if chars.next_if_eq(&'"').is_none() {
                        break;
                    }
                    field.push('"');
                }
                Some(c) => field.push(c),
                None => panic!("an unfinished field"),
            }
            if !quoted && chars.peek().is_none_or(|c| *c == ',' || *c == '\n') {
                break;
            }
            if !quoted && field.ends_with([',', '\n']) {
                break;
            }
        }
        // An empty field has taken its own separator.
        let taken =
            if quoted { None } else { field.chars().last().filter(|c| [',', '\n'].contains(c)) };
        if taken.is_some() {
            field.pop();
        }
        let null = !quoted && field == "\\N";
        record.push((!null).then_some(field));
        match taken.or_else(|| chars.next()) {
            Some(',') => {}
            Some('\n') => records.push(std::mem::take(&mut record)),
            other => panic!("{other:?} after a field"),
        }
    }
    records
}

/// Every way in which `actual` is not `expected`, as text; empty if they are the same.
pub fn differences(expected: &[Row], actual: &[Row], tolerance: Option<f64>) -> Vec<String> {
    let tolerance = tolerance.unwrap_or(TOLERANCE);
    let grouped = |rows: &[Row]| {
        let mut groups: BTreeMap<String, Vec<Numbers>> = BTreeMap::new();
        for row in rows {
            groups.entry(row.key()).or_default().push(row.numbers());
        }
        for group in groups.values_mut() {
            group.sort_by(|a, b| a.partial_cmp(b).expect("no NaN"));
        }
        groups
    };
    let (expected, actual) = (grouped(expected), grouped(actual));
    let mut found = Vec::new();
    for key in expected.keys().chain(actual.keys()).collect::<BTreeSet<_>>() {
        let none = Vec::new();
        let (e, a) = (expected.get(key).unwrap_or(&none), actual.get(key).unwrap_or(&none));
        if e.len() != a.len() {
            found.push(format!(
                "{} rows expected, {} found: {key}\n  {e:?}\n  {a:?}",
                e.len(),
                a.len()
            ));
            continue;
        }
        for (e, a) in e.iter().zip(a) {
            for column in e.keys().chain(a.keys()).collect::<BTreeSet<_>>() {
                let same = match (e.get(column), a.get(column)) {
                    (Some((e, scale)), Some((a, _))) => {
                        (e - a).abs() <= tolerance * e.abs().max(a.abs()).max(*scale)
                    }
                    (e, a) => e.is_none() && a.is_none(),
                };
                if !same {
                    let (e, a) = (e.get(column).map(|v| v.0), a.get(column).map(|v| v.0));
                    found.push(format!("{column}: {e:?} expected, {a:?} found: {key}"));
                }
            }
        }
    }
    found
}

#[test]
fn csv_keeps_null_and_empty_apart() {
    let some = |t: &str| Some(t.to_owned());
    assert_eq!(
        records("a,\\N,,\"\\N\",\"x\"\"y\n\"\n,b\nc,\n"),
        [
            vec![some("a"), None, some(""), some("\\N"), some("x\"y\n")],
            vec![some(""), some("b")],
            vec![some("c"), some("")],
        ]
    );
}
