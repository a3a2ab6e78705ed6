//! The enabled label keys of a tenant, as numbers.

use rustc_hash::FxHashMap;

use crate::lookups::Lookups;
use crate::settings::NullRules;

/// Always enabled, whatever the tenant's table says.
pub const VIRTUAL_MACHINE_NAME: &str = "vm_kubevirt_io_name";

/// A key's rank in text order: sets sorted by it are sorted by key.
pub type KeyId = u32;

/// The enabled keys, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnabledKeys {
    sorted: Vec<Box<str>>,
    ids: FxHashMap<Box<str>, KeyId>,
}

impl EnabledKeys {
    pub fn new(lookups: &Lookups, null_rules: NullRules) -> Self {
        let mut sorted: Vec<Box<str>> =
            lookups.enabled_keys.iter().map(|k| k.as_str().into()).collect();
        // Under Trino's null rules an empty list of keys is null and takes this one with it.
        if !(null_rules == NullRules::Trino && sorted.is_empty()) {
            sorted.push(VIRTUAL_MACHINE_NAME.into());
        }
        sorted.sort_unstable();
        sorted.dedup();
        let ids = sorted.iter().cloned().zip(0..).collect();
        EnabledKeys { sorted, ids }
    }

    pub fn id(&self, key: &str) -> Option<KeyId> {
        self.ids.get(key).copied()
    }

    pub fn key(&self, id: KeyId) -> &str {
        &self.sorted[id as usize]
    }

    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }
}
