//! What a run of the generator has written.

use std::fmt;

use crate::line_items::columns::Report;
use crate::line_items::table_file::Written;

/// Rows, files and bytes written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    pub pod_rows: u64,
    pub storage_rows: u64,
    pub node_label_rows: u64,
    pub namespace_label_rows: u64,
    /// Rows of the daily files of all types.
    pub daily_rows: u64,
    pub files: u64,
    pub bytes: u64,
}

impl Summary {
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            pod_rows: self.pod_rows + other.pod_rows,
            storage_rows: self.storage_rows + other.storage_rows,
            node_label_rows: self.node_label_rows + other.node_label_rows,
            namespace_label_rows: self.namespace_label_rows + other.namespace_label_rows,
            daily_rows: self.daily_rows + other.daily_rows,
            files: self.files + other.files,
            bytes: self.bytes + other.bytes,
        }
    }

    /// Counts the hourly and the daily file of a type, where there is one.
    pub(super) fn count(&mut self, report: Report, [hourly, daily]: [Option<Written>; 2]) {
        let rows = match report {
            Report::PodUsage => &mut self.pod_rows,
            Report::StorageUsage => &mut self.storage_rows,
            Report::NodeLabels => &mut self.node_label_rows,
            Report::NamespaceLabels => &mut self.namespace_label_rows,
        };
        *rows += hourly.map_or(0, |written| written.rows);
        self.daily_rows += daily.map_or(0, |written| written.rows);
        for written in [hourly, daily].into_iter().flatten() {
            self.files += 1;
            self.bytes += written.bytes;
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} pod, {} storage, {} node label and {} namespace label rows, {} daily rows, in {} files of {:.1} MiB",
            self.pod_rows,
            self.storage_rows,
            self.node_label_rows,
            self.namespace_label_rows,
            self.daily_rows,
            self.files,
            self.bytes as f64 / (1u64 << 20) as f64
        )
    }
}
