//! The storage rows of some hours of a day: claims of pods, and volumes nobody mounts.

use std::ops::Range;

use super::GenerateError;
use super::calendar::{Day, HOUR};
use super::cluster::Cluster;
use super::labels;
use super::names::{made, push_uuid};
use super::pod_usage::Texts;
use super::pods::Pod;
use super::random::{Stream, derive};
use super::workloads::Claim;
use crate::line_items::table_file::{TableFile, Written};

const GIB: f64 = (1u64 << 30) as f64;

/// What the storage rows of a file are made from; `pods` and `texts` as for the pod rows.
pub struct StorageUsage<'a> {
    pub cluster: &'a Cluster,
    pub day: &'a Day,
    pub hours: Range<u32>,
    pub pods: &'a [Pod],
    pub texts: &'a Texts,
}

/// A claim on a volume as one pod sees it, or a volume without a pod.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Mount<'a> {
    namespace: &'a str,
    node: &'a str,
    pod: &'a str,
    claim: String,
    volume: String,
    class: &'static str,
    driver: &'static str,
    handle: String,
    volume_labels: String,
    claim_labels: String,
    /// Seed of the volume and its size in bytes.
    seed: u64,
    bytes: u64,
    /// Life of the pod, in seconds of the day.
    start: i32,
    end: i32,
}

impl Mount<'_> {
    fn seconds_in(&self, hour: u32) -> i32 {
        let from = hour as i32 * HOUR;
        (self.end.min(from + HOUR) - self.start.max(from)).max(0)
    }

    /// Capacity, capacity seconds, requested and used byte seconds in an hour.
    fn measures(&self, day: &Day, hour: u32) -> [f64; 4] {
        let seconds = f64::from(self.seconds_in(hour));
        let number = u64::from(day.number().cast_unsigned());
        let level = Stream::of(self.seed, &[50]).between(0.05, 0.8);
        let wobble = Stream::of(self.seed, &[51, number, u64::from(hour)]).between(0.98, 1.02);
        // A file system takes a little of the volume for itself.
        let capacity = (self.bytes as f64 * 0.98).floor();
        [
            capacity,
            capacity * seconds,
            self.bytes as f64 * seconds,
            capacity * level * wobble * seconds,
        ]
    }
}

impl StorageUsage<'_> {
    /// Writes the rows hour by hour, and their daily roll-up if a file for it is given.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(
        &self,
        mut hourly: TableFile,
        daily: Option<TableFile>,
    ) -> Result<[Option<Written>; 2], GenerateError> {
        let mut mounts: Vec<Mount<'_>> = (0..self.pods.len())
            .filter_map(|index| {
                let pod = &self.pods[index];
                let claim = self.cluster.workloads[pod.workload as usize].claim?;
                Some(self.mount(index, pod, &claim))
            })
            .collect();
        mounts.extend(self.unmounted());
        for hour in self.hours.clone() {
            let (start, end) = self.day.interval(hour);
            for mount in mounts.iter().filter(|mount| mount.seconds_in(hour) > 0) {
                hourly.push(
                    &[self.day.period_start_ms, self.day.period_end_ms, start, end],
                    &[
                        Some(mount.namespace),
                        Some(mount.pod),
                        Some(mount.node),
                        Some(&mount.claim),
                        Some(&mount.volume),
                        Some(mount.class),
                        Some(mount.driver),
                        Some(&mount.handle),
                        Some(&mount.volume_labels),
                        Some(&mount.claim_labels),
                    ],
                    &mount.measures(self.day, hour).map(Some),
                )?;
            }
        }
        let daily = match daily {
            Some(file) => self.write_daily(file, mounts)?,
            None => None,
        };
        Ok([hourly.finish()?, daily])
    }

    fn mount(&self, index: usize, pod: &Pod, claim: &Claim) -> Mount<'_> {
        let workload = &self.cluster.workloads[pod.workload as usize];
        let node = &self.cluster.nodes[pod.node as usize];
        let own = if claim.shared { 0 } else { u64::from(pod.slot) + 1 };
        let seed = derive(workload.id, &[52, own]);
        Mount {
            namespace: &self.cluster.namespaces[workload.namespace as usize].name,
            node: &node.name,
            pod: self.texts.name(index),
            claim: match claim.shared {
                true => format!("{}-shared", workload.name),
                false => format!("data-{}-{}", workload.name, pod.slot),
            },
            volume_labels: made(|out| labels::volume_labels(out, seed, zone(seed))),
            claim_labels: made(|out| labels::claim_labels(out, workload, claim)),
            bytes: claim.bytes as u64,
            start: pod.start,
            end: pod.end,
            ..volume(seed, claim.shared)
        }
    }

    /// Claims left over after their pods, and released volumes without a claim.
    fn unmounted(&self) -> impl Iterator<Item = Mount<'_>> {
        let claims = self.cluster.workloads.iter().filter(|w| w.claim.is_some()).count();
        (0..claims as u64 / 25 + 1).map(|number| {
            let seed = derive(self.cluster.seed, &[53, number]);
            let mut random = Stream::new(seed);
            let namespace = random.below(self.cluster.namespaces.len());
            let mut mount = volume(seed, false);
            mount.bytes = (random.pick(&[1.0, 10.0, 50.0]) * GIB) as u64;
            mount.volume_labels = made(|out| labels::volume_labels(out, seed, zone(seed)));
            if number % 3 != 0 {
                mount.namespace = &self.cluster.namespaces[namespace].name;
                mount.claim = format!("old-data-{number}");
                mount.claim_labels = "{\"app\": \"retired\"}".to_owned();
            }
            mount
        })
    }

    fn write_daily(
        &self,
        mut file: TableFile,
        mut mounts: Vec<Mount<'_>>,
    ) -> Result<Option<Written>, GenerateError> {
        mounts.sort_unstable();
        // A stateful pod that was replaced on the same node is the same group twice over.
        for group in mounts.chunk_by(|a, b| a.key() == b.key()) {
            let Some(mount) = group.first() else { continue };
            let mut sums = [0.0; 4];
            for (part, hour) in
                group.iter().flat_map(|part| self.hours.clone().map(move |hour| (part, hour)))
            {
                let [capacity, rest @ ..] = part.measures(self.day, hour);
                sums[0] = capacity.max(sums[0]);
                for (sum, value) in sums[1..].iter_mut().zip(rest) {
                    *sum += value;
                }
            }
            file.push(
                &[self.day.start_ms, self.day.period_start_ms, self.day.period_end_ms],
                &mount.key().map(Some),
                &sums.map(Some),
            )?;
        }
        Ok(file.finish()?)
    }
}

impl Mount<'_> {
    /// The group of the daily roll-up, in the order of its columns.
    fn key(&self) -> [&str; 10] {
        [
            self.namespace,
            self.node,
            self.pod,
            &self.claim,
            &self.volume,
            self.class,
            self.driver,
            &self.handle,
            &self.volume_labels,
            &self.claim_labels,
        ]
    }
}

/// A volume that nothing claims.
fn volume<'a>(seed: u64, shared: bool) -> Mount<'a> {
    let (class, driver) =
        if shared { ("efs-sc", "efs.csi.aws.com") } else { ("gp3-csi", "ebs.csi.aws.com") };
    Mount {
        namespace: "",
        node: "",
        pod: "",
        claim: String::new(),
        volume: made(|out| {
            out.push_str("pvc-");
            push_uuid(out, seed);
        }),
        class,
        driver,
        handle: made(|out| labels::volume_handle(out, seed, shared)),
        volume_labels: String::new(),
        claim_labels: "{}".to_owned(),
        seed,
        bytes: 0,
        start: i32::MIN,
        end: i32::MAX,
    }
}

fn zone(seed: u64) -> char {
    Stream::of(seed, &[54]).pick(&['a', 'b', 'c'])
}
