//! Label objects of nodes and namespaces over a day.

use super::groups::Groups;
use super::rows::LabelRows;
use super::translation::Translation;
use crate::labels::sets::SetId;
use crate::summary::row::TextId;

/// A node or namespace with one of its label objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owned {
    pub owner: TextId,
    pub labels: SetId,
}

/// When an object was last seen, in microseconds since midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LastSeen(pub i64);

impl Default for LastSeen {
    fn default() -> Self {
        LastSeen(i64::MIN)
    }
}

#[derive(Debug, Default)]
pub struct OwnerLabels {
    objects: Groups<Owned, LastSeen>,
}

impl OwnerLabels {
    pub fn add(&mut self, rows: &LabelRows) {
        for ((&owner, &labels), &interval) in
            rows.owner.iter().zip(&rows.labels).zip(&rows.interval)
        {
            let seen = self.objects.entry(Owned { owner, labels });
            *seen = (*seen).max(LastSeen(interval));
        }
    }

    /// Takes over another state's objects.
    pub fn merge(&mut self, other: &OwnerLabels, ids: &mut Translation<'_>) {
        self.merge_of(other, ids, |_| true);
    }

    /// The same, of the owners alone that `holds` accepts: by their ids in the other state.
    pub fn merge_of(
        &mut self,
        other: &OwnerLabels,
        ids: &mut Translation<'_>,
        holds: impl Fn(TextId) -> bool,
    ) {
        for (key, &theirs) in other.objects.iter().filter(|(key, _)| holds(key.owner)) {
            let seen = self
                .objects
                .entry(Owned { owner: ids.text(key.owner), labels: ids.set(key.labels) });
            *seen = (*seen).max(theirs);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (Owned, LastSeen)> {
        self.objects.iter().map(|(key, &seen)| (key, seen))
    }

    /// Bytes held, capacity included.
    pub fn heap_bytes(&self) -> usize {
        self.objects.heap_bytes()
    }
}
