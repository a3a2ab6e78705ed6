//! Which of the hosts that share a run does which units.

use super::Plan;
use super::units::Unit;
use crate::decode::times::day_number;
use crate::settings::Settings;

/// What one shard reads and replaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShardWork {
    /// Days of sources.
    pub days: usize,
    /// Rows and bytes of the row groups that can hold them.
    pub rows: u64,
    pub bytes: u64,
}

/// Days of sources dealt out like cards: source by source in the order of their ids, day by day.
///
/// A unit's shard depends on the sources, the days and the number of shards that were asked for, and
/// on nothing that is read. Were it to follow the sizes of files, then an upload between the starts of two
/// shards, or before one of them is tried again, could move a day to a shard that is done already, and no
/// one would do it. The days of a source weigh about the same, so that shards do too.
#[derive(Debug, Clone)]
pub struct Dealer {
    count: usize,
    /// Of each source: where its days begin in the deal.
    offsets: Vec<i64>,
    first_day: i64,
}

impl Dealer {
    /// `count` is not zero.
    pub fn new(settings: &Settings, count: usize) -> Self {
        let days = (settings.to - settings.from).num_days() + 1;
        let mut sorted = settings.provider_uuids.clone();
        sorted.sort_unstable();
        let rank = |provider| sorted.binary_search(provider).unwrap_or(0) as i64;
        let offsets = settings.provider_uuids.iter().map(|p| rank(p) * days).collect();
        Dealer { count: count.max(1), offsets, first_day: day_number(settings.from) }
    }

    /// The shard of a unit, from 0.
    pub fn shard(&self, unit: &Unit) -> usize {
        let day = day_number(unit.meta.date) - self.first_day;
        (self.offsets[unit.source] + day) as usize % self.count
    }

    /// What each shard of a whole plan would do.
    pub fn balance(&self, plan: &Plan) -> Vec<ShardWork> {
        let mut work = vec![ShardWork::default(); self.count];
        let shards: Vec<usize> = plan.units.iter().map(|unit| self.shard(unit)).collect();
        for &shard in &shards {
            work[shard].days += 1;
        }
        for group in &plan.groups {
            let mut reading = shards[group.units.0..=group.units.1].to_vec();
            reading.sort_unstable();
            reading.dedup();
            for shard in reading {
                work[shard].rows += group.group.rows as u64;
                work[shard].bytes += group.group.bytes;
            }
        }
        work
    }

    /// Takes all that is not of shard `index` out of a plan. A row group of several days is read by each
    /// shard that does one of them.
    pub fn keep(&self, plan: &mut Plan, index: usize) {
        let others: Vec<bool> = plan.units.iter().map(|unit| self.shard(unit) != index).collect();
        plan.drop_units(&others);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use chrono::NaiveDate;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::summary::row::DayMeta;

    fn dealer(sources: usize, days: i64, count: usize) -> Dealer {
        let offsets = (0..sources as i64).map(|source| source * days).collect();
        Dealer { count, offsets, first_day: 20_000 }
    }

    fn units(sources: usize, days: i64) -> Vec<Unit> {
        let unit = |source: usize, day: i64| {
            let meta = DayMeta {
                date: NaiveDate::from_epoch_days(20_000 + day as i32).unwrap(),
                source_uuid: Uuid::from_u128(source as u128),
                report_period_id: None,
                cluster_id: None,
                cluster_alias: None,
            };
            Unit { source, meta: Arc::new(meta) }
        };
        (0..sources).flat_map(|source| (0..days).map(move |day| unit(source, day))).collect()
    }

    proptest! {
        #[test]
        fn each_unit_has_one_shard_and_no_shard_two_more_than_another(
            sources in 1usize..6, days in 1i64..40, count in 1usize..9,
        ) {
            let dealer = dealer(sources, days, count);
            let mut held = vec![0; count];
            for unit in units(sources, days) {
                held[dealer.shard(&unit)] += 1;
            }
            let (least, most) = (held.iter().min().unwrap(), held.iter().max().unwrap());
            prop_assert!(most - least <= 1, "{held:?}");
        }
    }

    #[test]
    fn what_one_shard_keeps_is_what_the_others_drop() {
        let dealer = dealer(3, 5, 4);
        let mut seen = BTreeSet::new();
        for index in 0..4 {
            let mut plan = Plan { units: units(3, 5), ..Plan::default() };
            let work = dealer.balance(&plan);
            dealer.keep(&mut plan, index);
            assert_eq!(plan.units.len(), work[index].days);
            for unit in plan.units {
                assert!(seen.insert((unit.source, unit.meta.date)));
            }
        }
        assert_eq!(seen.len(), 15);
    }
}
