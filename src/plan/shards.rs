//! Which of the hosts that share a run does which units.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Plan;
use super::units::{self, Unit};
use super::weights::{Weights, WeightsError};
use crate::decode::times::day_number;
use crate::settings::{Settings, Sharding};

/// What one shard reads and replaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShardWork {
    /// Days of sources.
    pub days: usize,
    /// Rows and bytes of the row groups that can hold them.
    pub rows: u64,
    pub bytes: u64,
}

/// The days of sources, dealt out to shards.
///
/// A unit's shard depends on the sources, the days and the number of shards that were asked for, and on the
/// weights that were given, if any: on nothing that is read of the input. Were it to follow the sizes of
/// files as each shard finds them, then an upload between the starts of two shards, or before one of them is
/// tried again, could move a day to a shard that is done already, and no one would do it.
#[derive(Debug, Clone)]
pub struct Dealer {
    count: usize,
    /// Of each source: where its days begin in the deal.
    offsets: Vec<i64>,
    first_day: i64,
    /// By position in the deal.
    shards: Vec<usize>,
}

impl Dealer {
    /// For the days of a run that is shared.
    ///
    /// # Errors
    /// Weights that cannot be read, or that are of other days.
    pub fn new(settings: &Settings, sharding: &Sharding) -> Result<Self, WeightsError> {
        let dates: Vec<_> = units::days(settings.from, settings.to).collect();
        let mut sorted = settings.provider_uuids.clone();
        sorted.sort_unstable();
        let rank = |provider| sorted.binary_search(provider).unwrap_or(0) * dates.len();
        let offsets = settings.provider_uuids.iter().map(|p| rank(p) as i64).collect();
        let count = sharding.count.max(1);
        let positions = sorted.len() * dates.len();
        let shards = match &sharding.weights {
            None => in_turn(positions, count),
            Some(path) => {
                let weights = Weights::read(path)?;
                let days =
                    sorted.iter().flat_map(|&source| dates.iter().map(move |d| (source, *d)));
                let rows: Vec<_> = days.map(|(source, date)| weights.rows(source, date)).collect();
                // Where there was no input at all, there may be none now.
                if !weights.is_empty() && rows.iter().all(Option::is_none) {
                    return Err(WeightsError::OtherDays { path: path.clone() });
                }
                by_weight(&rows.iter().map(|rows| rows.unwrap_or(0)).collect::<Vec<_>>(), count)
            }
        };
        Ok(Dealer { count, offsets, first_day: day_number(settings.from), shards })
    }

    /// The shard of a unit, from 0.
    pub fn shard(&self, unit: &Unit) -> usize {
        let day = day_number(unit.meta.date) - self.first_day;
        self.shards[(self.offsets[unit.source] + day) as usize]
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

/// Source by source in the order of their ids, day by day: the days of one source weigh about the same, so
/// that shards do too.
fn in_turn(positions: usize, count: usize) -> Vec<usize> {
    (0..positions).map(|position| position % count).collect()
}

/// The heaviest first, each to the shard that has the least so far.
fn by_weight(rows: &[u64], count: usize) -> Vec<usize> {
    let mut heaviest_first: Vec<usize> = (0..rows.len()).collect();
    heaviest_first.sort_by_key(|&position| Reverse(rows[position]));
    // Days that weigh nothing are shared evenly too.
    let mut least: BinaryHeap<_> = (0..count).map(|shard| Reverse((0u64, 0, shard))).collect();
    let mut shards = vec![0; rows.len()];
    for position in heaviest_first {
        let Some(mut top) = least.peek_mut() else { continue };
        let Reverse((held, days, shard)) = &mut *top;
        shards[position] = *shard;
        *held = held.saturating_add(rows[position]);
        *days += 1;
    }
    shards
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
        let shards = in_turn(sources * days as usize, count);
        Dealer { count, offsets, first_day: 20_000, shards }
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

    proptest! {
        /// No shard has more than the mean and one day, which no deal of whole days can promise to beat by much.
        #[test]
        fn heavy_days_are_spread(rows in prop::collection::vec(0u64..1000, 1..80), count in 1usize..9) {
            let shards = by_weight(&rows, count);
            let mut held = vec![0; count];
            for (&rows, &shard) in rows.iter().zip(&shards) {
                held[shard] += rows;
            }
            let heaviest = rows.iter().max().unwrap();
            let mean = rows.iter().sum::<u64>() / count as u64;
            prop_assert!(*held.iter().max().unwrap() <= mean + heaviest, "{held:?}");
            prop_assert_eq!(shards, by_weight(&rows, count));
        }
    }

    #[test]
    fn days_that_weigh_nothing_are_shared_evenly() {
        assert_eq!(by_weight(&[0, 9, 0, 0, 9, 0], 2), [0, 0, 1, 0, 1, 1]);
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
