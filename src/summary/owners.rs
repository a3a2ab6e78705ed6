//! The label objects that a node or a namespace lends to its rows.

use rustc_hash::FxHashMap;

use crate::aggregate::interner::Interner;
use crate::aggregate::owners::{LastSeen, OwnerLabels};
use crate::labels::keys::EnabledKeys;
use crate::labels::sets::{LabelSets, SetId};
use crate::settings::FanOut;
use crate::summary::row::TextId;

/// By owner: its distinct objects under `koku`, the latest one under `collapse`.
#[derive(Debug)]
pub struct Lent {
    objects: FxHashMap<TextId, Vec<SetId>>,
}

/// What an owner without label rows lends.
const NOTHING: &[SetId] = &[SetId::EMPTY];

impl Lent {
    pub fn new(
        seen: &OwnerLabels,
        fan_out: FanOut,
        sets: &LabelSets,
        keys: &EnabledKeys,
        texts: &Interner,
    ) -> Self {
        let mut by_owner: FxHashMap<TextId, Vec<(LastSeen, SetId)>> = FxHashMap::default();
        for (owned, last_seen) in seen.iter() {
            // Null joins with nothing.
            if !owned.owner.is_null() {
                by_owner.entry(owned.owner).or_default().push((last_seen, owned.labels));
            }
        }
        let json = |set: SetId| {
            let mut json = String::new();
            if set != SetId::NULL {
                sets.render(set, keys, texts, &mut json);
            }
            json
        };
        let objects = by_owner
            .into_iter()
            .map(|(owner, mut objects)| {
                if fan_out == FanOut::Collapse && objects.len() > 1 {
                    // Of two objects of one hour the greater text wins, so that order is no matter.
                    objects.sort_by_cached_key(|&(seen, set)| (seen, json(set)));
                    objects.drain(..objects.len() - 1);
                }
                // An absent object overlays nothing, but is an object of its own to the join.
                let sets = objects
                    .iter()
                    .map(|&(_, set)| if set == SetId::NULL { SetId::EMPTY } else { set });
                (owner, sets.collect())
            })
            .collect();
        Lent { objects }
    }

    /// At least one object; `{}` where nothing is known.
    pub fn by(&self, owner: TextId) -> &[SetId] {
        self.objects.get(&owner).map_or(NOTHING, Vec::as_slice)
    }
}
