//! What the rows of a day follow from, in few bytes.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::Xxh3;

use crate::decode::schema::Part;
use crate::lookups::Lookups;
use crate::plan::Plan;
use crate::settings::{Aggregation, FanOut, NullRules, PodSource, Settings};
use crate::store::Object;
use crate::summary::row::DayMeta;

/// To be raised when what is hashed changes, so that no old fingerprint equals a new one.
const FORMAT: u32 = 1;

/// What the rows of a day follow from. Where two are equal, so are the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// Hash of path, size and version of every object that may hold rows of the day.
    pub objects: String,
    /// How many those are.
    pub object_count: u32,
    /// Hash of enabled keys, category patterns and node roles.
    pub lookups: String,
    /// Hash of the rules, of where the objects lie, and of what all rows of the day carry.
    pub settings: String,
    /// The program's version.
    pub program: String,
}

/// The fingerprints of the units of `plan`, in their order.
pub fn of_plan(plan: &Plan, settings: &Settings, lookups: &Lookups) -> Vec<Fingerprint> {
    let mut objects: Vec<BTreeMap<(Part, &str), &Object>> = vec![BTreeMap::new(); plan.units.len()];
    for group in &plan.groups {
        let (first, last) = group.units;
        for objects in &mut objects[first..=last] {
            objects.insert((group.file.part, &group.file.stored.path), &group.file.stored);
        }
    }
    let lookups = of_lookups(lookups);
    plan.units
        .iter()
        .zip(objects)
        .map(|(unit, objects)| Fingerprint {
            object_count: u32::try_from(objects.len()).unwrap_or(u32::MAX),
            objects: of_objects(objects.iter().map(|(&(part, _), &object)| (part, object))),
            lookups: lookups.clone(),
            settings: of_settings(settings, &unit.meta),
            program: env!("CARGO_PKG_VERSION").to_owned(),
        })
        .collect()
}

fn of_objects<'a>(objects: impl Iterator<Item = (Part, &'a Object)>) -> String {
    let mut hash = Hash::new();
    for (part, object) in objects {
        hash.text(match part {
            Part::NodeLabels => "node labels",
            Part::NamespaceLabels => "namespace labels",
            Part::Storage => "storage",
            Part::Pods => "pods",
            Part::Capacity => "capacity",
            Part::DailyPods => "daily pods",
        });
        hash.text(&object.path);
        hash.number(object.size);
        // A store's tag is of the content; only where there is none does the time stand in.
        match (&object.e_tag, object.modified) {
            (Some(tag), _) => hash.text(tag),
            (None, Some(time)) => hash.text(&time.to_rfc3339()),
            (None, None) => hash.text(""),
        }
    }
    hash.end()
}

fn of_lookups(lookups: &Lookups) -> String {
    let mut keys: Vec<&str> = lookups.enabled_keys.iter().map(String::as_str).collect();
    let mut categories: Vec<(&str, i32)> =
        lookups.categories.iter().map(|c| (c.pattern.as_str(), c.cost_category_id)).collect();
    let mut nodes: Vec<[Option<&str>; 3]> = lookups
        .nodes
        .iter()
        .map(|n| [Some(n.node.as_str()), n.resource_id.as_deref(), n.role.as_deref()])
        .collect();
    keys.sort_unstable();
    categories.sort_unstable();
    nodes.sort_unstable();
    let mut hash = Hash::new();
    hash.number(keys.len() as u64);
    keys.iter().for_each(|key| hash.text(key));
    hash.number(categories.len() as u64);
    for (pattern, id) in categories {
        hash.text(pattern);
        hash.number(u64::from(id as u32));
    }
    for text in nodes.into_iter().flatten() {
        hash.nullable(text);
    }
    hash.end()
}

fn of_settings(settings: &Settings, day: &DayMeta) -> String {
    let Aggregation { pod_source, fan_out, null_rules } = settings.aggregation;
    let mut hash = Hash::new();
    hash.text(match pod_source {
        PodSource::Hourly => "hourly",
        PodSource::Daily => "daily",
    });
    hash.text(match fan_out {
        FanOut::Koku => "koku",
        FanOut::Collapse => "collapse",
    });
    hash.text(match null_rules {
        NullRules::SelfHosted => "self_hosted",
        NullRules::Trino => "trino",
    });
    hash.text(&settings.input.source);
    hash.nullable(day.report_period_id.map(|id| id.to_string()).as_deref());
    hash.nullable(day.cluster_id.as_deref());
    hash.nullable(day.cluster_alias.as_deref());
    hash.end()
}

/// Fields one after the other, each with its length, so that no two lists look alike.
struct Hash(Xxh3);

impl Hash {
    fn new() -> Self {
        let mut hash = Hash(Xxh3::new());
        hash.number(u64::from(FORMAT));
        hash
    }

    fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.update(text.as_bytes());
    }

    fn nullable(&mut self, text: Option<&str>) {
        self.number(u64::from(text.is_some()));
        self.text(text.unwrap_or_default());
    }

    /// 32 hexadecimal digits.
    fn end(self) -> String {
        format!("{:032x}", self.0.digest128())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookups::{CategoryPattern, NodeRole};

    fn object(path: &str, size: u64, e_tag: Option<&str>, seconds: i64) -> Object {
        Object {
            path: path.into(),
            size,
            modified: chrono::DateTime::from_timestamp(seconds, 0),
            e_tag: e_tag.map(Into::into),
        }
    }

    fn hash(objects: &[(Part, Object)]) -> String {
        of_objects(objects.iter().map(|(part, object)| (*part, object)))
    }

    #[test]
    fn anything_that_tells_versions_apart_counts() {
        let base = hash(&[(Part::Pods, object("a", 1, None, 5))]);
        for other in [
            vec![],
            vec![(Part::Storage, object("a", 1, None, 5))],
            vec![(Part::Pods, object("b", 1, None, 5))],
            vec![(Part::Pods, object("a", 2, None, 5))],
            vec![(Part::Pods, object("a", 1, None, 6))],
            vec![(Part::Pods, object("a", 1, Some("\"t\""), 5))],
            vec![(Part::Pods, object("a", 1, None, 5)), (Part::Pods, object("b", 0, None, 5))],
        ] {
            assert_ne!(hash(&other), base, "{other:?}");
        }
        assert_eq!(hash(&[(Part::Pods, object("a", 1, None, 5))]), base);
    }

    #[test]
    fn a_copy_of_the_same_content_in_a_store_is_the_same() {
        let tagged = |seconds| hash(&[(Part::Pods, object("a", 1, Some("\"t\""), seconds))]);
        assert_eq!(tagged(5), tagged(6));
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        let keys = |keys: &[&str]| {
            let enabled_keys = keys.iter().map(|&key| key.to_owned()).collect();
            of_lookups(&Lookups { enabled_keys, ..Lookups::default() })
        };
        assert_ne!(keys(&["ab", "c"]), keys(&["a", "bc"]));
        assert_ne!(keys(&["a", ""]), keys(&["a"]));
        let node = |resource_id: Option<&str>, role: Option<&str>| {
            let text = |text: Option<&str>| text.map(str::to_owned);
            let node =
                NodeRole { node: "n".to_owned(), resource_id: text(resource_id), role: text(role) };
            of_lookups(&Lookups { nodes: vec![node], ..Lookups::default() })
        };
        assert_ne!(node(None, Some("x")), node(Some("x"), None));
        assert_ne!(node(None, None), node(Some(""), None));
    }

    #[test]
    fn the_order_of_lookups_is_irrelevant() {
        let category = |pattern: &str, cost_category_id| CategoryPattern {
            pattern: pattern.to_owned(),
            cost_category_id,
        };
        let of = |categories: [CategoryPattern; 2]| {
            of_lookups(&Lookups { categories: categories.into(), ..Lookups::default() })
        };
        let (a, b) = (category("a%", 1), category("b%", 2));
        assert_eq!(of([a.clone(), b.clone()]), of([b, a.clone()]));
        assert_ne!(of([a.clone(), category("b%", 2)]), of([a, category("b%", 3)]));
    }
}
