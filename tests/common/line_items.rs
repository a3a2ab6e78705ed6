//! Line items as a test gives them, column by column.

use std::collections::BTreeMap;

use chrono::NaiveDateTime;

/// A value of any column; a text stands for a time too, like `2025-10-01 05:00`.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Text(String),
    Bytes(Vec<u8>),
    Number(f64),
}

impl Value {
    pub fn text(&self) -> Option<String> {
        match self {
            Value::Null => None,
            Value::Text(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bytes(bytes) => panic!("{bytes:?} need a column of bytes"),
        }
    }

    pub fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Value::Bytes(bytes) => Some(bytes.clone()),
            other => other.text().map(String::into_bytes),
        }
    }

    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Null => None,
            Value::Number(number) => Some(*number),
            other => panic!("{other:?} is no number"),
        }
    }

    /// Microseconds since 1970.
    pub fn micros(&self) -> Option<i64> {
        let text = self.text()?;
        let time = NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M").unwrap();
        Some(time.and_utc().timestamp_micros())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Value::Number(number)
    }
}

/// One line item: what a row does not name is null.
#[derive(Debug, Clone, Default)]
pub struct Row(BTreeMap<&'static str, Value>);

impl Row {
    pub fn with(mut self, column: &'static str, value: impl Into<Value>) -> Self {
        self.0.insert(column, value.into());
        self
    }

    pub fn get(&self, column: &str) -> &Value {
        self.0.get(column).unwrap_or(&Value::Null)
    }

    pub fn columns(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    pub fn at(self, time: &str) -> Self {
        self.with("interval_start", time)
    }

    fn of<const N: usize>(texts: [(&'static str, &str); N]) -> Self {
        let row = Row::default().at("2025-10-01 00:00");
        texts.into_iter().fold(row, |row, (column, text)| row.with(column, text))
    }
}

/// A pod that used one core for the first hour of October, on a node of four.
pub fn pod() -> Row {
    Row::of([("namespace", "shop"), ("node", "node-1"), ("pod", "web-1"), ("resource_id", "i-1")])
        .with("pod_labels", r#"{"app": "web"}"#)
        .with("pod_usage_cpu_core_seconds", 3600.0)
        .with("pod_request_cpu_core_seconds", 1800.0)
        .with("pod_limit_cpu_core_seconds", 7200.0)
        .with("node_capacity_cpu_cores", 4.0)
        .with("node_capacity_cpu_core_seconds", 14400.0)
}

/// A claim of one GiB that the pod of [`pod`] mounts.
pub fn storage() -> Row {
    const GIB: f64 = 1_073_741_824.0;
    Row::of([
        ("namespace", "shop"),
        ("pod", "web-1"),
        ("persistentvolumeclaim", "data"),
        ("persistentvolume", "pv-1"),
        ("storageclass", "fast"),
        ("csi_volume_handle", "vol-1"),
        ("persistentvolume_labels", "{}"),
        ("persistentvolumeclaim_labels", r#"{"app": "db"}"#),
    ])
    .with("persistentvolumeclaim_capacity_bytes", GIB)
    .with("persistentvolumeclaim_capacity_byte_seconds", 3600.0 * GIB)
}

pub fn node_labels() -> Row {
    Row::of([("node", "node-1"), ("node_labels", r#"{"zone": "a"}"#)])
}

pub fn namespace_labels() -> Row {
    Row::of([("namespace", "shop"), ("namespace_labels", r#"{"team": "red"}"#)])
}
