//! Where pods ran: what storage rows are joined with.

use super::groups::{Groups, vec_growth};
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
    /// By pod id: the place where a row last showed it. Pods rarely move, so that most rows need
    /// no look-up in `places`.
    last: Vec<Place>,
}

const NOWHERE: Place = Place {
    namespace: TextId::NULL,
    pod: TextId::NULL,
    node: TextId::NULL,
    resource_id: TextId::NULL,
};

impl Places {
    /// Adds the rows that have a namespace and a pod: SQL's null joins with nothing.
    pub fn add(&mut self, rows: &PodRows) {
        for (row, &pod) in rows.pod.iter().enumerate() {
            let namespace = rows.namespace[row];
            if pod.is_null() || namespace.is_null() {
                continue;
            }
            let place =
                Place { namespace, pod, node: rows.node[row], resource_id: rows.resource_id[row] };
            let slot = pod.0 as usize;
            if slot >= self.last.len() {
                self.last.resize(slot + 1, NOWHERE);
            }
            if self.last[slot] != place {
                self.last[slot] = place;
                self.places.entry(place);
            }
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
        self.places.heap_bytes() + self.last.capacity() * size_of::<Place>()
    }

    /// Bytes that `rows` more rows may take at once, whose texts are the first of `texts`.
    pub fn growth_bytes(&self, rows: usize, texts: usize) -> usize {
        if self.last.is_empty() {
            return 0;
        }
        self.places.growth_bytes(rows)
            + vec_growth(&self.last, texts.saturating_sub(self.last.len()))
    }
}
