//! What the written rows add up to, by day and by namespace.

use std::collections::HashMap;
use std::time::Duration;

use chrono::NaiveDate;
use rustc_hash::FxHashMap;
use serde::Serialize;
use uuid::Uuid;

use crate::summary::row::{Measures, RowBatch, RowKind, TextId};

/// Namespaces that are told apart; rows of further ones count as "others".
const MOST_NAMESPACES: usize = 20_000;

/// Sums of rows, as doubles: good for reading, not for billing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Sums {
    pub pod_rows: u64,
    pub storage_rows: u64,
    pub unallocated_rows: u64,
    /// Of pod rows; so are the next five.
    pub cpu_core_hours_used: f64,
    pub cpu_core_hours_requested: f64,
    pub cpu_core_hours_effective: f64,
    pub memory_gigabyte_hours_used: f64,
    pub memory_gigabyte_hours_requested: f64,
    pub memory_gigabyte_hours_effective: f64,
    /// Of storage rows; so are the next two.
    pub storage_gigabyte_months_capacity: f64,
    pub storage_gigabyte_months_requested: f64,
    pub storage_gigabyte_months_used: f64,
    /// Effective usage of unallocated rows: capacity that no pod took.
    pub unallocated_cpu_core_hours: f64,
    pub unallocated_memory_gigabyte_hours: f64,
}

/// A day that was written.
#[derive(Debug, Clone, PartialEq)]
pub struct DayTotals {
    pub source: Uuid,
    pub date: NaiveDate,
    pub sums: Sums,
    /// In the sink.
    pub time: Duration,
}

/// Everything that was written.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    pub days: Vec<DayTotals>,
    namespaces: HashMap<Box<str>, Sums>,
    others: Sums,
}

/// The rows of a day that is not yet written for good.
#[derive(Debug, Default)]
pub struct DayInProgress {
    pub sums: Sums,
    namespaces: HashMap<Box<str>, Sums>,
}

impl Sums {
    pub fn add(&mut self, other: &Sums) {
        self.pod_rows += other.pod_rows;
        self.storage_rows += other.storage_rows;
        self.unallocated_rows += other.unallocated_rows;
        self.cpu_core_hours_used += other.cpu_core_hours_used;
        self.cpu_core_hours_requested += other.cpu_core_hours_requested;
        self.cpu_core_hours_effective += other.cpu_core_hours_effective;
        self.memory_gigabyte_hours_used += other.memory_gigabyte_hours_used;
        self.memory_gigabyte_hours_requested += other.memory_gigabyte_hours_requested;
        self.memory_gigabyte_hours_effective += other.memory_gigabyte_hours_effective;
        self.storage_gigabyte_months_capacity += other.storage_gigabyte_months_capacity;
        self.storage_gigabyte_months_requested += other.storage_gigabyte_months_requested;
        self.storage_gigabyte_months_used += other.storage_gigabyte_months_used;
        self.unallocated_cpu_core_hours += other.unallocated_cpu_core_hours;
        self.unallocated_memory_gigabyte_hours += other.unallocated_memory_gigabyte_hours;
    }

    pub fn rows(&self) -> u64 {
        self.pod_rows + self.storage_rows + self.unallocated_rows
    }

    fn count(&mut self, kind: RowKind, measures: &Measures) {
        // NaN is null.
        let add = |sum: &mut f64, value: f64| *sum += if value.is_nan() { 0.0 } else { value };
        match (kind, measures) {
            (RowKind::Pod, Measures::Pod(values)) => {
                self.pod_rows += 1;
                add(&mut self.cpu_core_hours_used, values[0]);
                add(&mut self.cpu_core_hours_requested, values[1]);
                add(&mut self.cpu_core_hours_effective, values[2]);
                add(&mut self.memory_gigabyte_hours_used, values[4]);
                add(&mut self.memory_gigabyte_hours_requested, values[5]);
                add(&mut self.memory_gigabyte_hours_effective, values[6]);
            }
            (_, Measures::Pod(values)) => {
                self.unallocated_rows += 1;
                add(&mut self.unallocated_cpu_core_hours, values[2]);
                add(&mut self.unallocated_memory_gigabyte_hours, values[6]);
            }
            (_, Measures::Storage(values)) => {
                self.storage_rows += 1;
                add(&mut self.storage_gigabyte_months_capacity, values[1]);
                add(&mut self.storage_gigabyte_months_requested, values[2]);
                add(&mut self.storage_gigabyte_months_used, values[3]);
            }
        }
    }
}

impl DayInProgress {
    pub fn add(&mut self, rows: &RowBatch) {
        let mut namespaces: FxHashMap<TextId, Sums> = FxHashMap::default();
        for row in &rows.rows {
            self.sums.count(row.kind, &row.measures);
            // What no pod took belongs to no namespace, whatever its rows are called.
            if row.kind != RowKind::Unallocated {
                namespaces.entry(row.namespace).or_default().count(row.kind, &row.measures);
            }
        }
        for (id, sums) in namespaces {
            let name = rows.text(id).unwrap_or_default();
            match self.namespaces.get_mut(name) {
                Some(all) => all.add(&sums),
                None => _ = self.namespaces.insert(name.into(), sums),
            }
        }
    }
}

impl Totals {
    /// Takes in a day that was written for good.
    pub fn add(&mut self, source: Uuid, date: NaiveDate, day: DayInProgress, time: Duration) {
        self.days.push(DayTotals { source, date, sums: day.sums, time });
        // In order, so that sums of doubles are the same in every run.
        let mut names: Vec<_> = day.namespaces.into_iter().collect();
        names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for (name, sums) in names {
            let room = self.namespaces.len() < MOST_NAMESPACES;
            match self.namespaces.get_mut(&name) {
                Some(all) => all.add(&sums),
                None if room => _ = self.namespaces.insert(name, sums),
                None => self.others.add(&sums),
            }
        }
    }

    /// The namespaces with the most effective CPU usage (of equal ones, those first in the
    /// alphabet), how many more there are, and what those add up to.
    pub fn top(&self, most: usize) -> (Vec<(&str, Sums)>, usize, Sums) {
        let mut all: Vec<_> = self.namespaces.iter().map(|(name, sums)| (&**name, *sums)).collect();
        let cpu = |sums: &Sums| sums.cpu_core_hours_effective;
        all.sort_unstable_by(|a, b| cpu(&b.1).total_cmp(&cpu(&a.1)).then(a.0.cmp(b.0)));
        let rest = all.split_off(most.min(all.len()));
        let mut others = self.others;
        rest.iter().for_each(|(_, sums)| others.add(sums));
        (all, rest.len(), others)
    }
}
