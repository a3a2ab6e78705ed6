//! The state of one day of one source, as far as the rows seen go.

use super::capacity::Capacity;
use super::interner::Interner;
use super::owners::OwnerLabels;
use super::places::Places;
use super::pods::Pods;
use super::storage::Storage;
use crate::labels::keys::EnabledKeys;
use crate::labels::known::KnownLabels;
use crate::labels::parse::{self, LabelError, Pair};
use crate::labels::sets::{LabelSets, SetId};
use crate::settings::NullRules;
use crate::summary::row::TextId;

/// Everything that the day's rows come to. Self-contained: its ids mean nothing outside it, so it
/// can move between threads, and two of them merge in any order to the same day.
#[derive(Debug)]
pub struct Partial {
    pub texts: Interner,
    pub sets: LabelSets,
    known_labels: KnownLabels,
    pub pods: Pods,
    pub capacity: Capacity,
    pub places: Places,
    pub storage: Storage,
    pub node_labels: OwnerLabels,
    pub namespace_labels: OwnerLabels,
    /// Pod rows dropped because they have no node.
    pub rows_without_node: u64,
}

/// Why a label text cannot be read.
#[derive(Debug)]
pub enum LabelFault {
    NotUtf8,
    Label(LabelError),
}

impl Partial {
    /// `known_labels` is empty; `seed` keeps an attacker who chooses texts from choosing hashes.
    pub fn new(known_labels: KnownLabels, seed: u64) -> Self {
        Partial {
            texts: Interner::new(seed),
            sets: LabelSets::default(),
            known_labels,
            pods: Pods::default(),
            capacity: Capacity::default(),
            places: Places::default(),
            storage: Storage::default(),
            node_labels: OwnerLabels::default(),
            namespace_labels: OwnerLabels::default(),
            rows_without_node: 0,
        }
    }

    /// The state of a day without rows.
    pub fn empty(seed: u64) -> Self {
        Partial::new(KnownLabels::hashed(seed), seed)
    }

    /// The filtered label object of a label text's bytes; each distinct text is read once.
    pub fn label_set(&mut self, text: &[u8], keys: &EnabledKeys) -> Result<SetId, LabelFault> {
        let (sets, texts) = (&mut self.sets, &mut self.texts);
        self.known_labels.set_of(
            text,
            |bytes| std::str::from_utf8(bytes).map_err(|_| LabelFault::NotUtf8),
            |text| {
                let mut pairs: Vec<Pair<'_>> = Vec::new();
                parse::parse(text, keys, &mut pairs).map_err(LabelFault::Label)?;
                Ok(sets.intern(&pairs, texts))
            },
        )
    }

    /// What a null or empty label text stands for.
    pub fn no_labels(null_rules: NullRules) -> SetId {
        match null_rules {
            NullRules::SelfHosted => SetId::EMPTY,
            NullRules::Trino => SetId::NULL,
        }
    }

    /// The sum of two states of the same day.
    pub fn merge(mut self, other: Partial) -> Partial {
        let texts: Vec<TextId> = (0..other.texts.len())
            .filter_map(|id| other.texts.get(TextId(id as u32)))
            .map(|text| self.texts.intern(text))
            .collect();
        let text = |id: TextId| if id.is_null() { id } else { texts[id.0 as usize] };
        let sets: Vec<SetId> = (0..other.sets.len())
            .map(|id| self.sets.adopt(other.sets.pairs(SetId(id as u32)), text))
            .collect();
        let set = |id: SetId| if id == SetId::NULL { id } else { sets[id.0 as usize] };
        self.pods.merge(&other.pods, &self.texts, text, set);
        self.capacity.merge(&other.capacity, text);
        self.places.merge(&other.places, text);
        self.storage.merge(&other.storage, text, set);
        self.node_labels.merge(&other.node_labels, text, set);
        self.namespace_labels.merge(&other.namespace_labels, text, set);
        self.rows_without_node += other.rows_without_node;
        self
    }

    /// Bytes held, capacity included.
    pub fn heap_bytes(&self) -> usize {
        self.texts.heap_bytes()
            + self.sets.heap_bytes()
            + self.known_labels.heap_bytes()
            + self.pods.heap_bytes()
            + self.capacity.heap_bytes()
            + self.places.heap_bytes()
            + self.storage.heap_bytes()
            + self.node_labels.heap_bytes()
            + self.namespace_labels.heap_bytes()
    }
}
