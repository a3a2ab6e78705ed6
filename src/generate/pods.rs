//! Which pods live in some hours of a day.
//!
//! A pod is a function of the workload, its slot and the day: nothing is remembered from one day
//! to the next. What a day starts with is found by looking back for the last rollout or
//! replacement, so that a pod keeps its name over midnight and over the files of a day.

use super::calendar::{DAY, Day, HOUR};
use super::cluster::Cluster;
use super::random::{Stream, derive};
use super::workloads::{Kind, Place, Workload};

/// Days after which at the latest every workload gets a new revision, so that this is as far as
/// one has to look back.
const CYCLE: i32 = 45;
/// Seconds an outgoing pod goes on after its successor has started.
const HANDOVER: i32 = 30;
/// Day number of 1970-01-01.
const UNIX_EPOCH: i32 = 719_163;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    pub workload: u32,
    pub node: u32,
    /// Ordinal in the workload; the node for daemon sets.
    pub slot: u32,
    /// Seed of all that is the pod's own.
    pub id: u64,
    /// Seed of all that the pods of one revision share, and its ordinal.
    pub revision: u64,
    pub release: u32,
    /// Life in seconds of the day; it may begin before and end after it.
    pub start: i32,
    pub end: i32,
    /// For jobs: the minute since 1970 for which the run was scheduled.
    pub scheduled: i64,
}

impl Pod {
    /// Seconds of the hour of the day in which the pod lives.
    pub fn seconds_in(&self, hour: u32) -> i32 {
        let from = hour as i32 * HOUR;
        (self.end.min(from + HOUR) - self.start.max(from)).max(0)
    }
}

/// The pods that live in hours `from..to` of a day, in the order of the workloads.
pub fn living(cluster: &Cluster, day: &Day, from: u32, to: u32) -> Vec<Pod> {
    let mut found = Vec::new();
    for (index, workload) in (0u32..).zip(&cluster.workloads) {
        let mut finder = Finder {
            cluster,
            workload,
            index,
            day: day.number(),
            from: from as i32 * HOUR,
            to: to as i32 * HOUR,
            found: &mut found,
        };
        match workload.kind {
            Kind::CronJob { every, offset, longest } => finder.runs(every, offset, longest),
            _ => finder.standing(),
        }
    }
    found
}

/// The state of a slot: days of the last rollout and of the last replacement since.
#[derive(Debug, Clone, Copy)]
struct State {
    rollout: i32,
    restart: Option<i32>,
}

struct Finder<'a> {
    cluster: &'a Cluster,
    workload: &'a Workload,
    index: u32,
    day: i32,
    from: i32,
    to: i32,
    found: &'a mut Vec<Pod>,
}

impl Finder<'_> {
    fn standing(&mut self) {
        let before = (1..=CYCLE)
            .map(|back| self.day - back)
            .find_map(|day| Some((day, rollout(self.workload, day)?)))
            .unwrap_or((self.day - CYCLE, 0));
        let today = rollout(self.workload, self.day);
        for slot in 0..self.workload.replicas {
            self.slot(slot, before, today);
        }
        for slot in self.workload.replicas..self.workload.replicas + self.workload.extra {
            let mut random = Stream::of(self.workload.id, &[12, u64::from(slot), key(self.day)]);
            let start = random.between(7.0, 9.0) * f64::from(HOUR);
            let end = random.between(17.0, 19.0) * f64::from(HOUR);
            let revision = match today {
                Some(at) if at < start as i32 => self.day,
                _ => before.0,
            };
            let state = State { rollout: revision, restart: Some(self.day) };
            self.add(slot, state, start as i32, end as i32);
        }
    }

    fn slot(&mut self, slot: u32, (rolled, second): (i32, i32), today: Option<i32>) {
        let restarted = (rolled..self.day).rev().find(|day| {
            restart(self.workload, slot, *day)
                .is_some_and(|at| *day > rolled || at > turn(second, slot))
        });
        let mut state = State { rollout: rolled, restart: restarted };
        let mut start = i32::MIN;
        let rolled_at = today.map(|second| turn(second, slot));
        let restarted_at = restart(self.workload, slot, self.day);
        if let Some(at) = restarted_at.filter(|at| rolled_at.is_none_or(|rolled| *at <= rolled)) {
            self.add(slot, state, start, at + HANDOVER);
            (state.restart, start) = (Some(self.day), at);
        }
        if let Some(at) = rolled_at {
            self.add(slot, state, start, at + HANDOVER);
            (state, start) = (State { rollout: self.day, restart: None }, at);
            if let Some(at) = restarted_at.filter(|restarted| *restarted > at) {
                self.add(slot, state, start, at + HANDOVER);
                (state.restart, start) = (Some(self.day), at);
            }
        }
        self.add(slot, state, start, i32::MAX);
    }

    fn add(&mut self, slot: u32, state: State, start: i32, end: i32) {
        let id = derive(
            self.workload.id,
            &[11, u64::from(slot), key(state.rollout), state.restart.map_or(u64::MAX, key)],
        );
        let revision = derive(self.workload.id, &[14, key(state.rollout)]);
        let release = state.rollout.rem_euclid(400) as u32 + 1;
        self.push(Pod {
            workload: self.index,
            node: self.node(id, slot),
            slot,
            id,
            revision,
            release,
            start,
            end,
            scheduled: 0,
        });
    }

    fn runs(&mut self, every: i32, offset: i32, longest: i32) {
        // Only the last run of yesterday can still be going on: runs are shorter than their gap.
        let yesterday = (self.day - 1, -DAY, DAY / every - 1);
        let today = (self.day, 0, 0);
        for (day, shift, first) in [yesterday, today] {
            for run in first..DAY / every {
                let parts = [13, key(day), run as u64];
                let mut random = Stream::of(self.workload.id, &parts);
                let second = offset + run * every;
                let start = second + shift + random.below(20) as i32;
                let end = start + 30 + random.below(longest.max(31) as usize - 30) as i32;
                let id = derive(self.workload.id, &parts);
                self.push(Pod {
                    workload: self.index,
                    node: self.node(id, 0),
                    slot: 0,
                    id,
                    revision: derive(self.workload.id, &[14]),
                    release: 0,
                    start,
                    end,
                    scheduled: i64::from(day - UNIX_EPOCH) * 1440 + i64::from(second / 60),
                });
            }
        }
    }

    fn node(&self, id: u64, slot: u32) -> u32 {
        match self.workload.place {
            Place::EveryNode => slot,
            Place::Workers => Stream::of(id, &[1]).pick(&self.cluster.placement.workers),
            Place::Control => Stream::of(id, &[1]).pick(&self.cluster.placement.control),
        }
    }

    fn push(&mut self, pod: Pod) {
        if pod.start < self.to && pod.end > self.from {
            self.found.push(pod);
        }
    }
}

/// Second of the day at which a new revision begins to roll out, if one does.
fn rollout(workload: &Workload, day: i32) -> Option<i32> {
    let mut random = Stream::of(workload.id, &[10, key(day)]);
    let due = (i64::from(day) + (workload.id >> 32) as i64) % i64::from(CYCLE) == 0;
    (random.chance(workload.rollout) || due).then(|| {
        let office = random.chance(0.8);
        let (low, high) = if office { (8.0, 18.0) } else { (0.0, 23.9) };
        (random.between(low, high) * f64::from(HOUR)) as i32
    })
}

/// Second of the day at which a slot's pod is replaced, if it is.
fn restart(workload: &Workload, slot: u32, day: i32) -> Option<i32> {
    let mut random = Stream::of(workload.id, &[15, u64::from(slot), key(day)]);
    random.chance(workload.restart).then(|| random.below(DAY as usize) as i32)
}

/// When a rollout that began at `second` reaches a slot: one after the other, all the same day.
fn turn(second: i32, slot: u32) -> i32 {
    let pace = i32::try_from(slot).unwrap_or(i32::MAX).saturating_mul(20);
    second.saturating_add(pace).min(DAY - 1)
}

fn key(day: i32) -> u64 {
    u64::from(day.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use chrono::NaiveDate;

    use super::*;
    use crate::generate::cluster::Size;

    fn cluster() -> Cluster {
        Cluster::new(5, Size { nodes: 20, namespaces: 30, pods: 1000 })
    }

    fn days() -> Vec<Day> {
        Day::range(NaiveDate::from_ymd_opt(2025, 10, 1).unwrap(), 8).unwrap()
    }

    #[test]
    fn a_pod_goes_on_over_midnight_as_the_same_pod() {
        let cluster = cluster();
        for pair in days().windows(2) {
            let evening: HashSet<(u64, u32)> = living(&cluster, &pair[0], 23, 24)
                .into_iter()
                .filter(|pod| pod.end > DAY)
                .map(|pod| (pod.id, pod.node))
                .collect();
            let morning: HashSet<(u64, u32)> = living(&cluster, &pair[1], 0, 1)
                .into_iter()
                .filter(|pod| pod.start < 0)
                .map(|pod| (pod.id, pod.node))
                .collect();
            // A handover may end after midnight; nothing else may differ.
            let lost = evening.symmetric_difference(&morning).count();
            assert!(lost <= 1, "{lost} of {} changed at midnight", evening.len());
        }
    }

    #[test]
    fn the_files_of_a_day_are_its_hours() {
        let cluster = cluster();
        for day in days() {
            let whole = living(&cluster, &day, 0, 24);
            for (from, to) in [(0, 6), (6, 12), (12, 18), (18, 24)] {
                let part = living(&cluster, &day, from, to);
                let expected: Vec<Pod> = whole
                    .iter()
                    .filter(|pod| pod.start < to as i32 * HOUR && pod.end > from as i32 * HOUR)
                    .cloned()
                    .collect();
                assert_eq!(part, expected);
            }
        }
    }

    #[test]
    fn revisions_and_jobs_come_and_go_and_the_size_is_as_asked() {
        let cluster = cluster();
        let (mut partial, mut seconds) = (0, 0i64);
        for day in days() {
            for pod in living(&cluster, &day, 0, 24) {
                partial += u32::from(pod.start > 0 || pod.end < DAY);
                seconds += (0..24).map(|hour| i64::from(pod.seconds_in(hour))).sum::<i64>();
            }
        }
        assert!(partial > 1000, "{partial}");
        let average = seconds as f64 / (8.0 * f64::from(DAY));
        assert!((960.0..1030.0).contains(&average), "{average}");
    }
}
