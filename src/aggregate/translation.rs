//! Ids of one partial state in terms of another, translated when they are first met.

use super::interner::Interner;
use super::partial::Partial;
use crate::labels::keys::KeyId;
use crate::labels::sets::{LabelSets, SetId};
use crate::summary::row::TextId;

/// Translates from a state into the tables of another.
pub struct Translation<'a> {
    from_texts: &'a Interner,
    from_sets: &'a LabelSets,
    texts: &'a mut Interner,
    sets: &'a mut LabelSets,
    known_texts: Vec<TextId>,
    known_sets: Vec<SetId>,
    pairs: Vec<(KeyId, u32)>,
}

impl<'a> Translation<'a> {
    pub fn new(from: &'a Partial, texts: &'a mut Interner, sets: &'a mut LabelSets) -> Self {
        Translation {
            known_texts: vec![TextId::NULL; from.texts.len()],
            known_sets: vec![SetId::NULL; from.sets.len()],
            from_texts: &from.texts,
            from_sets: &from.sets,
            texts,
            sets,
            pairs: Vec::new(),
        }
    }

    pub fn text(&mut self, id: TextId) -> TextId {
        let Some(text) = self.from_texts.get(id) else {
            return TextId::NULL;
        };
        let known = &mut self.known_texts[id.0 as usize];
        if known.is_null() {
            *known = self.texts.intern(text);
        }
        *known
    }

    pub fn set(&mut self, id: SetId) -> SetId {
        if id == SetId::NULL {
            return id;
        }
        if self.known_sets[id.0 as usize] == SetId::NULL {
            let mut pairs = std::mem::take(&mut self.pairs);
            pairs.clear();
            for &(key, value) in self.from_sets.pairs(id) {
                pairs.push((key, self.text(TextId(value)).0));
            }
            self.known_sets[id.0 as usize] = self.sets.intern_ids(&pairs);
            self.pairs = pairs;
        }
        self.known_sets[id.0 as usize]
    }

    /// The texts translated into.
    pub fn texts(&self) -> &Interner {
        self.texts
    }
}
