//! Pods repeat themselves: from hour to hour a pod stays where it is, with the labels it has.

use super::groups::vec_growth;
use crate::labels::sets::SetId;
use crate::summary::row::TextId;

/// What tells the group and the place of a pod row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    pub namespace: TextId,
    pub node: TextId,
    pub resource_id: TextId,
    pub labels: SetId,
}

/// By pod: what its last row showed, and the group that this led to.
#[derive(Debug, Default)]
pub struct LastRows {
    pods: Vec<(Shown, u32)>,
}

const NOTHING: Shown = Shown {
    namespace: TextId::NULL,
    node: TextId::NULL,
    resource_id: TextId::NULL,
    labels: SetId::NULL,
};

/// No group: that of a pod that was not seen yet.
const UNSEEN: u32 = u32::MAX - 1;

impl LastRows {
    /// The group of a row of `pod` (not null) if its last row showed the same.
    #[inline]
    pub fn group(&self, pod: TextId, shown: Shown) -> Option<u32> {
        let &(last, group) = self.pods.get(pod.0 as usize)?;
        (last == shown && group != UNSEEN).then_some(group)
    }

    /// Reads something of each of `pods`, so that all of it is on its way before the first is needed.
    #[inline]
    pub fn touch<'p>(&self, pods: impl Iterator<Item = &'p TextId>) {
        let groups = pods.filter_map(|pod| self.pods.get(pod.0 as usize)).map(|last| last.1);
        std::hint::black_box(groups.fold(0, |sum, group| sum ^ group));
    }

    /// Keeps what a row of `pod` (not null) shows.
    pub fn keep(&mut self, pod: TextId, shown: Shown, group: u32) {
        let slot = pod.0 as usize;
        if slot >= self.pods.len() {
            self.pods.resize(slot + 1, (NOTHING, UNSEEN));
        }
        self.pods[slot] = (shown, group);
    }

    /// Bytes that rows may take at once whose pods are among the first of `texts`; none where no pod
    /// was kept yet.
    pub fn growth_bytes(&self, texts: usize) -> usize {
        match self.pods.is_empty() {
            true => 0,
            false => vec_growth(&self.pods, texts.saturating_sub(self.pods.len())),
        }
    }

    /// Bytes held, capacity included.
    pub fn heap_bytes(&self) -> usize {
        self.pods.capacity() * size_of::<(Shown, u32)>()
    }
}
