//! Payloads made by hand, and what the program makes of them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, TimestampMillisecondType};
use flate2::Compression;
use flate2::write::GzEncoder;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

pub const PROVIDER: &str = "8612bb28-b45e-565b-b1a0-10915ebf9c5b";
pub const ORG: &str = "org1234567";

const TIMES: &str = "report_period_start,report_period_end,interval_start,interval_end";
/// The columns in the order of the operator.
const PODS: &str = "node,namespace,pod,pod_usage_cpu_core_seconds,pod_request_cpu_core_seconds,\
    pod_limit_cpu_core_seconds,pod_usage_memory_byte_seconds,pod_request_memory_byte_seconds,\
    pod_limit_memory_byte_seconds,node_capacity_cpu_cores,node_capacity_cpu_core_seconds,\
    node_capacity_memory_bytes,node_capacity_memory_byte_seconds,node_role,resource_id,pod_labels";
const STORAGE: &str = "namespace,pod,node,persistentvolumeclaim,persistentvolume,storageclass,\
    csi_driver,csi_volume_handle,persistentvolumeclaim_capacity_bytes,\
    persistentvolumeclaim_capacity_byte_seconds,volume_request_storage_byte_seconds,\
    persistentvolumeclaim_usage_byte_seconds,persistentvolume_labels,persistentvolumeclaim_labels";

/// The four times of an hour of October 2025.
pub fn hour(day: u32, hour: u32) -> String {
    format!(
        "2025-10-01 00:00:00 +0000 UTC,2025-11-01 00:00:00 +0000 UTC,\
         2025-10-{day:02} {hour:02}:00:00 +0000 UTC,2025-10-{day:02} {hour:02}:59:59 +0000 UTC"
    )
}

/// A pod that uses one core and requests two, uses 2 GiB and requests 1, on `node-1` of 4 cores
/// and 16 GiB, for an hour.
pub fn pod(day: u32, at: u32, pod: &str, labels: &str) -> String {
    let gib_hour = 3600_u64 << 30;
    format!(
        "{},node-1,shop,{pod},3600,7200,,{},{},,4,14400,17179869184,{},worker,i-1,{labels}",
        hour(day, at),
        2 * gib_hour,
        gib_hour,
        16 * gib_hour
    )
}

pub fn pods(rows: impl IntoIterator<Item = String>) -> String {
    csv(PODS, rows)
}

/// A claim of 10 GiB of which 4 are used.
pub fn claim(day: u32, at: u32, pod: &str) -> String {
    let gib = 1_u64 << 30;
    format!(
        "{},shop,{pod},node-1,data,pv-1,gp3,ebs.csi.aws.com,vol-1,{},{},{},{},label_disk:fast,",
        hour(day, at),
        10 * gib,
        10 * gib * 3600,
        20 * gib * 3600,
        4 * gib * 3600
    )
}

pub fn storage(rows: impl IntoIterator<Item = String>) -> String {
    csv(STORAGE, rows)
}

pub fn nodes(rows: impl IntoIterator<Item = String>) -> String {
    csv("node,node_labels", rows)
}

pub fn namespaces(rows: impl IntoIterator<Item = String>) -> String {
    csv("namespace,namespace_labels", rows)
}

fn csv(columns: &str, rows: impl IntoIterator<Item = String>) -> String {
    let mut text = format!("{TIMES},{columns}\n");
    for row in rows {
        text.push_str(&row);
        text.push('\n');
    }
    text
}

/// A manifest of an operator that sends days whole.
pub fn manifest(uuid: &str, files: &[&str]) -> String {
    serde_json::json!({
        "uuid": uuid,
        "cluster_id": "cluster-1",
        "version": "3.3.0",
        "date": "2025-10-02T00:00:00Z",
        "files": files,
        "resource_optimization_files": null,
        "start": "2025-10-01T00:00:00Z",
        "end": "2025-10-01T23:59:59Z",
        "daily_reports": true,
        "cr_status": {"reports": {}},
    })
    .to_string()
}

/// A member of an archive.
pub struct Member<'a> {
    pub name: &'a str,
    pub kind: tar::EntryType,
    pub content: &'a [u8],
}

pub fn file<'a>(name: &'a str, content: &'a str) -> Member<'a> {
    Member { name, kind: tar::EntryType::Regular, content: content.as_bytes() }
}

/// An archive of members with any name.
pub fn archive(members: &[Member<'_>]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for member in members {
        let mut header = tar::Header::new_ustar();
        header.set_size(member.content.len() as u64);
        header.set_mode(0o644);
        header.set_entry_type(member.kind);
        // By hand, for the library refuses the names that are to be tested.
        header.as_mut_bytes()[..member.name.len()].copy_from_slice(member.name.as_bytes());
        header.set_cksum();
        tar.append(&header, member.content).unwrap();
    }
    gzip(&tar.into_inner().unwrap())
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// A place for inputs and for what becomes of them.
pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file and gives its path; folders come into being.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub fn out(&self) -> PathBuf {
        self.path("out")
    }

    pub fn convert(&self, inputs: &[&Path], more: &[&str]) -> Converted {
        let mut command = program();
        command.arg("convert");
        for input in inputs {
            command.arg("--input").arg(input);
        }
        command.arg("--out").arg(self.out()).args(["--org-id", ORG, "--provider-uuid", PROVIDER]);
        Converted(command.args(more).output().unwrap())
    }

    /// Files below the output folder, by their path relative to it.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let found = super::files::below(&self.out()).into_iter();
        found.map(|(name, path)| (name, fs::read(path).unwrap())).collect()
    }

    /// The Parquet files of a type, `data/parquet` or `data/parquet/daily`.
    pub fn tables(&self, root: &str, report: &str) -> Vec<PathBuf> {
        let start = format!("{root}/{ORG}/OCP/{report}/source={PROVIDER}/");
        let names = self.files().into_keys();
        let of_report = names.filter(|name| name.starts_with(&start) && name.ends_with(".parquet"));
        of_report.map(|name| self.out().join(name)).collect()
    }

    pub fn hourly(&self, report: &str) -> Vec<Row> {
        rows(&self.tables("data/parquet", report))
    }

    pub fn daily(&self, report: &str) -> Vec<Row> {
        rows(&self.tables("data/parquet/daily", report))
    }
}

pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ocp-rollup"));
    command.env_clear();
    command
}

/// What the program said.
pub struct Converted(pub Output);

impl Converted {
    pub fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }

    #[track_caller]
    pub fn done(self) -> String {
        assert_eq!(self.0.status.code(), Some(0), "{}", self.stderr());
        self.stdout()
    }
}

/// Values of a row by column; times in milliseconds.
pub type Row = BTreeMap<String, Value>;

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Text(String),
    Number(f64),
    Time(i64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

/// The sum of a column.
pub fn sum(rows: &[Row], column: &str) -> f64 {
    let number = |row: &Row| match row[column] {
        Value::Number(number) => number,
        ref other => panic!("{column} is {other:?}"),
    };
    rows.iter().map(number).sum()
}

pub fn rows(paths: &[PathBuf]) -> Vec<Row> {
    let mut rows = Vec::new();
    for path in paths {
        let file = fs::File::open(path).unwrap();
        let batches = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        for batch in batches {
            let batch = batch.unwrap();
            rows.extend((0..batch.num_rows()).map(|row| values(&batch, row)));
        }
    }
    rows
}

fn values(batch: &RecordBatch, row: usize) -> Row {
    let value = |array: &dyn Array| {
        if array.is_null(row) {
            Value::Null
        } else if let Some(texts) = array.as_string_opt::<i32>() {
            Value::Text(texts.value(row).to_owned())
        } else if let Some(numbers) = array.as_primitive_opt::<Float64Type>() {
            Value::Number(numbers.value(row))
        } else {
            Value::Time(array.as_primitive::<TimestampMillisecondType>().value(row))
        }
    };
    let schema = batch.schema();
    let names = schema.fields().iter().map(|field| field.name().clone());
    names.zip(batch.columns().iter().map(|array| value(array))).collect()
}
