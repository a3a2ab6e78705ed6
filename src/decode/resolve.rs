//! Texts of a column to ids of a partial state.

use super::column::Resolve;
use super::error::{InputError, Place};
use crate::aggregate::interner::Interner;
use crate::aggregate::partial::{LabelFault, Partial};
use crate::labels::sets::SetId;
use crate::summary::finish::Tenant;
use crate::summary::row::TextId;

/// Names of nodes, pods and the like.
pub struct Names<'a>(pub &'a mut Interner);

impl Resolve for Names<'_> {
    type Id = TextId;

    fn ids<'t>(
        &mut self,
        texts: impl Iterator<Item = &'t [u8]>,
        place: &Place,
        out: &mut Vec<TextId>,
    ) -> Result<(), InputError> {
        let utf8 = |text| std::str::from_utf8(text).map_err(|_| place.value("a text is not UTF-8"));
        self.0.intern_all(texts, utf8, out)
    }
}

/// Label objects, filtered to the tenant's keys.
pub struct Labels<'a> {
    pub state: &'a mut Partial,
    pub tenant: &'a Tenant,
}

impl Resolve for Labels<'_> {
    type Id = SetId;

    fn ids<'t>(
        &mut self,
        texts: impl Iterator<Item = &'t [u8]>,
        place: &Place,
        out: &mut Vec<SetId>,
    ) -> Result<(), InputError> {
        let Tenant { keys, null_rules, .. } = self.tenant;
        self.state.label_sets(texts, keys, *null_rules, out).map_err(|(text, fault)| match fault {
            LabelFault::NotUtf8 => place.value("a label text is not UTF-8"),
            LabelFault::Label(e) => place.label(&String::from_utf8_lossy(text), e),
        })
    }
}
