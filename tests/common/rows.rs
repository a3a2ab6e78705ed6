//! Days and rows made by hand.

use std::sync::Arc;

use chrono::NaiveDate;
use ocp_rollup::summary::row::{DayMeta, Measures, RowBatch, RowKind, SummaryRow, TextId, Texts};
use uuid::Uuid;

pub const SOURCE: Uuid = Uuid::from_u128(0x1111);

pub fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// A day of [`SOURCE`] in report period 1.
pub fn day(date: &str) -> DayMeta {
    DayMeta {
        date: self::date(date),
        source_uuid: SOURCE,
        report_period_id: Some(1),
        cluster_id: Some("cluster-1".to_owned()),
        cluster_alias: Some("Cluster One".to_owned()),
    }
}

/// Rows of `day`, built one by one.
pub struct Batch {
    day: Arc<DayMeta>,
    texts: Texts,
    rows: Vec<SummaryRow>,
}

impl Batch {
    pub fn of(day: &Arc<DayMeta>) -> Self {
        Batch { day: Arc::clone(day), texts: Texts::default(), rows: Vec::new() }
    }

    /// A pod row; the labels are compact JSON.
    pub fn pod(mut self, namespace: &str, labels: Option<&str>, measures: [f64; 14]) -> Self {
        let row = self.row(RowKind::Pod, namespace, Measures::Pod(measures));
        let pod_labels = labels.map_or(TextId::NULL, |labels| self.texts.push(labels));
        self.rows.push(SummaryRow { pod_labels, ..row });
        self
    }

    /// A storage row of the claim `claim` on no node.
    pub fn storage(mut self, namespace: &str, claim: &str, labels: &str, m: [f64; 4]) -> Self {
        let row = self.row(RowKind::Storage, namespace, Measures::Storage(m));
        let row = SummaryRow {
            node: TextId::NULL,
            persistentvolumeclaim: self.texts.push(claim),
            persistentvolume: self.texts.push("volume"),
            storageclass: self.texts.push("fast"),
            csi_volume_handle: self.texts.push("handle"),
            volume_labels: self.texts.push(labels),
            ..row
        };
        self.rows.push(row);
        self
    }

    pub fn unallocated(mut self, namespace: &str, measures: [f64; 14]) -> Self {
        let row = self.row(RowKind::Unallocated, namespace, Measures::Pod(measures));
        self.rows.push(row);
        self
    }

    /// Sets the category of the last row.
    pub fn category(mut self, id: i32) -> Self {
        self.rows.last_mut().unwrap().cost_category_id = Some(id);
        self
    }

    pub fn build(self) -> RowBatch {
        RowBatch { day: self.day, texts: self.texts, rows: self.rows }
    }

    fn row(&mut self, kind: RowKind, namespace: &str, measures: Measures) -> SummaryRow {
        SummaryRow {
            kind,
            cost_category_id: None,
            namespace: self.texts.push(namespace),
            node: self.texts.push("node-1"),
            resource_id: TextId::NULL,
            pod_labels: TextId::NULL,
            persistentvolumeclaim: TextId::NULL,
            persistentvolume: TextId::NULL,
            storageclass: TextId::NULL,
            csi_volume_handle: TextId::NULL,
            volume_labels: TextId::NULL,
            measures,
        }
    }
}

/// Measures of a pod row that are all null but the first.
pub fn first_measure(value: f64) -> [f64; 14] {
    let mut measures = [f64::NAN; 14];
    measures[0] = value;
    measures
}
