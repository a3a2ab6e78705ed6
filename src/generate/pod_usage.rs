//! The pod rows of some hours of a day, and their daily roll-up.

use std::ops::Range;

use super::calendar::Day;
use super::cluster::Cluster;
use super::pods::Pod;
use super::random::{Stream, mix};
use super::usage::{self, Usage};
use super::{GenerateError, labels};
use crate::line_items::table_file::{TableFile, Written};

/// Names and label objects of pods, in one text.
pub struct Texts {
    text: String,
    ends: Vec<(usize, usize)>,
}

impl Texts {
    pub fn of(cluster: &Cluster, pods: &[Pod]) -> Self {
        let mut texts = Self { text: String::new(), ends: Vec::with_capacity(pods.len()) };
        for pod in pods {
            let workload = &cluster.workloads[pod.workload as usize];
            labels::pod_name(&mut texts.text, workload, pod);
            let name = texts.text.len();
            labels::pod_labels(&mut texts.text, cluster, workload, pod);
            texts.ends.push((name, texts.text.len()));
        }
        texts
    }

    pub fn name(&self, pod: usize) -> &str {
        &self.text[self.start(pod)..self.ends[pod].0]
    }

    pub fn labels(&self, pod: usize) -> &str {
        &self.text[self.ends[pod].0..self.ends[pod].1]
    }

    fn start(&self, pod: usize) -> usize {
        pod.checked_sub(1).map_or(0, |before| self.ends[before].1)
    }
}

/// What the pod rows of a file are made from.
pub struct PodUsage<'a> {
    pub cluster: &'a Cluster,
    pub day: &'a Day,
    pub hours: Range<u32>,
    pub pods: &'a [Pod],
    pub texts: &'a Texts,
    /// Give every row a label of its own.
    pub unique: bool,
}

/// Sums of the rows of a (namespace, node, pod, pod_labels), in the order of the daily columns.
struct Rolled {
    pod: usize,
    pending: bool,
    unique: u64,
    measures: [Option<f64>; 8],
    capacity: [f64; 4],
}

impl PodUsage<'_> {
    /// Writes the rows hour by hour, shuffled in each, and the roll-up if a file for it is given.
    ///
    /// The roll-up sums over the rows of this file, as upstream's does: a day in several files
    /// has several rows of a pod. A sum of nulls alone stays null, so that hourly and daily files
    /// have the same sums.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(
        &self,
        mut hourly: TableFile,
        daily: Option<TableFile>,
    ) -> Result<[Option<Written>; 2], GenerateError> {
        let mut rolled: Vec<Rolled> = Vec::new();
        // Where the sums of a pod are, with a node and without one.
        let mut found = vec![[None::<usize>; 2]; self.pods.len()];
        let mut label_text = String::new();
        let mut order: Vec<usize> = Vec::new();
        for hour in self.hours.clone() {
            order.clear();
            order.extend((0..self.pods.len()).filter(|pod| self.pods[*pod].seconds_in(hour) > 0));
            Stream::of(self.cluster.seed, &[40, self.moment(hour)]).shuffle(&mut order);
            for (place, index) in order.iter().copied().enumerate() {
                let usage = self.usage(index, hour);
                let capacity = self.capacity(index, hour, &usage);
                // Distinct for every row of every day: a bijection of day, hour and place.
                let unique = mix(self.moment(hour) << 32 | place as u64);
                self.push(&mut hourly, index, hour, &usage, capacity, unique, &mut label_text)?;
                if daily.is_some() {
                    let slot = &mut found[index][usize::from(usage.pending)];
                    let at = match *slot {
                        Some(at) if !self.unique => at,
                        _ => {
                            let unique = if self.unique { unique } else { 0 };
                            rolled.push(Rolled::new(index, &usage, unique));
                            rolled.len() - 1
                        }
                    };
                    *slot = Some(at);
                    rolled[at].add(&usage, capacity);
                }
            }
        }
        let daily = match daily {
            Some(file) => self.write_daily(file, rolled)?,
            None => None,
        };
        Ok([hourly.finish()?, daily])
    }

    /// The hour's number in the calendar.
    fn moment(&self, hour: u32) -> u64 {
        u64::from(self.day.number().cast_unsigned()) * 24 + u64::from(hour)
    }

    fn usage(&self, index: usize, hour: u32) -> Usage {
        let pod = &self.pods[index];
        let workload = &self.cluster.workloads[pod.workload as usize];
        usage::of(workload, pod, self.day, hour, pod.seconds_in(hour))
    }

    fn capacity(&self, index: usize, hour: u32, usage: &Usage) -> [f64; 4] {
        if usage.pending {
            return [0.0; 4];
        }
        let node = self.pods[index].node as usize;
        let seconds = usage::seconds_up(self.cluster.seed, node, self.day, hour);
        usage::capacity(&self.cluster.nodes[node], seconds)
    }

    /// Namespace, node and resource id.
    fn place(&self, index: usize, pending: bool) -> [&str; 3] {
        let pod = &self.pods[index];
        let workload = &self.cluster.workloads[pod.workload as usize];
        let namespace = self.cluster.namespaces[workload.namespace as usize].name.as_str();
        if pending {
            return [namespace, "", ""];
        }
        let node = &self.cluster.nodes[pod.node as usize];
        [namespace, &node.name, &node.resource_id]
    }

    fn label_text<'t>(&'t self, index: usize, unique: u64, scratch: &'t mut String) -> &'t str {
        if !self.unique {
            return self.texts.labels(index);
        }
        scratch.clear();
        labels::with_unique(scratch, self.texts.labels(index), unique);
        scratch
    }

    #[expect(clippy::too_many_arguments, reason = "what a row is made of, in one call a row")]
    fn push(
        &self,
        file: &mut TableFile,
        index: usize,
        hour: u32,
        usage: &Usage,
        [cores, core_seconds, bytes, byte_seconds]: [f64; 4],
        unique: u64,
        scratch: &mut String,
    ) -> Result<(), GenerateError> {
        let (start, end) = self.day.interval(hour);
        let [namespace, node, resource] = self.place(index, usage.pending);
        let labels = self.label_text(index, unique, scratch);
        Ok(file.push(
            &[self.day.period_start_ms, self.day.period_end_ms, start, end],
            &[
                Some(self.texts.name(index)),
                Some(namespace),
                Some(node),
                Some(resource),
                Some(labels),
            ],
            &[
                usage.cpu_usage,
                usage.cpu_request,
                usage.cpu_limit,
                usage.memory_usage,
                usage.memory_request,
                usage.memory_limit,
                Some(cores),
                Some(core_seconds),
                Some(bytes),
                Some(byte_seconds),
                usage.cpu_effective,
                usage.memory_effective,
            ],
        )?)
    }

    fn write_daily(
        &self,
        mut file: TableFile,
        mut rolled: Vec<Rolled>,
    ) -> Result<Option<Written>, GenerateError> {
        let key = |row: &Rolled| {
            let [namespace, node, _] = self.place(row.pod, row.pending);
            (namespace, node, self.texts.name(row.pod), self.texts.labels(row.pod), row.unique)
        };
        rolled.sort_by_cached_key(key);
        // A stateful pod that was replaced on the same node is the same group again.
        rolled.dedup_by(|next, kept| key(next) == key(kept) && kept.merge(next));
        let mut scratch = String::new();
        for row in &rolled {
            let [namespace, node, resource] = self.place(row.pod, row.pending);
            let name = self.texts.name(row.pod);
            let labels = self.label_text(row.pod, row.unique, &mut scratch);
            let mut numbers = [None; 12];
            let (measures, capacity) = numbers.split_at_mut(8);
            measures.copy_from_slice(&row.measures);
            capacity.copy_from_slice(&row.capacity.map(Some));
            file.push(
                &[self.day.start_ms, self.day.period_start_ms, self.day.period_end_ms],
                &[
                    Some(namespace),
                    Some(node),
                    Some(name),
                    Some(labels),
                    Some(resource),
                    None, // node_role: upstream leaves it to the lookup
                ],
                &numbers,
            )?;
        }
        Ok(file.finish()?)
    }
}

impl Rolled {
    fn new(pod: usize, usage: &Usage, unique: u64) -> Self {
        Self { pod, pending: usage.pending, unique, measures: [None; 8], capacity: [0.0; 4] }
    }

    fn add(&mut self, usage: &Usage, capacity: [f64; 4]) {
        let measures = [
            usage.cpu_usage,
            usage.cpu_request,
            usage.cpu_effective,
            usage.cpu_limit,
            usage.memory_usage,
            usage.memory_request,
            usage.memory_effective,
            usage.memory_limit,
        ];
        self.add_all(measures, capacity);
    }

    /// Takes in the sums of another row of the same group; always true.
    fn merge(&mut self, other: &Self) -> bool {
        self.add_all(other.measures, other.capacity);
        true
    }

    fn add_all(
        &mut self,
        measures: [Option<f64>; 8],
        [cores, core_seconds, bytes, byte_seconds]: [f64; 4],
    ) {
        for (sum, value) in self.measures.iter_mut().zip(measures) {
            *sum = match (*sum, value) {
                (Some(sum), Some(value)) => Some(sum + value),
                (sum, value) => sum.or(value),
            };
        }
        // Sizes are the same all day, but a day's highest counts; seconds add up.
        self.capacity[0] = self.capacity[0].max(cores);
        self.capacity[1] += core_seconds;
        self.capacity[2] = self.capacity[2].max(bytes);
        self.capacity[3] += byte_seconds;
    }
}
