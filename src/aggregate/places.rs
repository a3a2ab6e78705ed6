//! Where pods ran: what storage rows are joined with.

use super::groups::Groups;
use super::rows::PodRows;
use super::translation::Translation;
use crate::summary::row::TextId;

/// A pod on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    pub namespace: TextId,
    pub pod: TextId,
    pub node: TextId,
    pub resource_id: TextId,
}

#[derive(Debug, Default)]
pub struct Places {
    places: Groups<Place, ()>,
}

impl Places {
    /// Adds those of `rows`, given by their numbers in `news`, that have a namespace and a pod:
    /// SQL's null joins with nothing. All other rows repeat one that was added before.
    pub fn add(&mut self, rows: &PodRows, news: &[u32]) {
        for row in news.iter().map(|&row| row as usize) {
            let (namespace, pod) = (rows.namespace[row], rows.pod[row]);
            if pod.is_null() || namespace.is_null() {
                continue;
            }
            let (node, resource_id) = (rows.node[row], rows.resource_id[row]);
            self.places.entry(Place { namespace, pod, node, resource_id });
        }
    }

    /// Takes over another state's places.
    pub fn merge(&mut self, other: &Places, ids: &mut Translation<'_>) {
        for (place, ()) in other.places.iter() {
            self.merge_one(Place {
                namespace: ids.text(place.namespace),
                pod: ids.text(place.pod),
                node: ids.text(place.node),
                resource_id: ids.text(place.resource_id),
            });
        }
    }

    pub fn merge_one(&mut self, place: Place) {
        self.places.entry(place);
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub fn at(&self, index: usize) -> Place {
        self.places.key(index)
    }

    pub fn iter(&self) -> impl Iterator<Item = Place> {
        self.places.iter().map(|(place, ())| place)
    }

    /// Bytes held, capacity included.
    pub fn heap_bytes(&self) -> usize {
        self.places.heap_bytes()
    }

    /// Bytes that `rows` more rows may take at once.
    pub fn growth_bytes(&self, rows: usize) -> usize {
        match self.places.is_empty() {
            true => 0,
            false => self.places.growth_bytes(rows),
        }
    }
}
