//! The state of one day of one source, as far as the rows seen go.

use std::sync::atomic::{AtomicU64, Ordering};

use super::capacity::Capacity;
use super::interner::Interner;
use super::owners::OwnerLabels;
use super::places::Places;
use super::pods::Pods;
use super::storage::Storage;
use super::translation::Translation;
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
    /// Tells this state's ids from those of any other state of the process.
    pub id: StateId,
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

/// The identity of a state: what was made of ids under another one means nothing here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateId {
    line: u64,
    generation: u64,
}

impl StateId {
    fn first() -> Self {
        static LINES: AtomicU64 = AtomicU64::new(0);
        StateId { line: LINES.fetch_add(1, Ordering::Relaxed), generation: 0 }
    }

    fn next(self) -> Self {
        StateId { generation: self.generation + 1, ..self }
    }

    /// Whether one of them is the other or came in its place: then only one of them still is.
    pub fn is_of_line(self, other: StateId) -> bool {
        self.line == other.line
    }
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
            id: StateId::first(),
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
        let mut ids = Translation::new(&other, &mut self.texts, &mut self.sets);
        self.pods.merge(&other.pods, &mut ids);
        self.capacity.merge(&other.capacity, &mut ids);
        self.places.merge(&other.places, &mut ids);
        self.storage.merge(&other.storage, &mut ids);
        self.node_labels.merge(&other.node_labels, &mut ids);
        self.namespace_labels.merge(&other.namespace_labels, &mut ids);
        self.rows_without_node += other.rows_without_node;
        self
    }

    /// An empty state in the place of this one, which is gone.
    pub fn successor(&self, known_labels: KnownLabels) -> Partial {
        let id = self.id.next();
        Partial { id, ..Partial::new(known_labels, self.texts.seed()) }
    }

    /// Takes over what stays in memory when a state is spilled: label objects of nodes and
    /// namespaces, and counts.
    pub fn merge_owners(&mut self, other: &Partial) {
        let mut ids = Translation::new(other, &mut self.texts, &mut self.sets);
        self.node_labels.merge(&other.node_labels, &mut ids);
        self.namespace_labels.merge(&other.namespace_labels, &mut ids);
        self.rows_without_node += other.rows_without_node;
    }

    /// A state of the label objects of all namespaces, and of the nodes that `holds` accepts.
    pub fn owners(&self, holds: impl Fn(TextId) -> bool) -> Partial {
        let mut owners = Partial::empty(self.texts.seed());
        let mut ids = Translation::new(self, &mut owners.texts, &mut owners.sets);
        owners.node_labels.merge_of(&self.node_labels, &mut ids, holds);
        owners.namespace_labels.merge(&self.namespace_labels, &mut ids);
        owners
    }

    /// Bytes that `rows` more rows may take at once where every one of them brings new texts.
    pub fn growth_bytes(&self, rows: usize) -> usize {
        self.texts.growth_bytes(rows)
            + self.sets.growth_bytes(rows)
            + self.known_labels.growth_bytes(rows)
            + self.pods.groups.growth_bytes(rows)
            + self.capacity.growth_bytes(rows)
            + self.places.growth_bytes(rows, self.texts.len() + rows)
            + self.storage.growth_bytes(rows)
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
