//! Random small worlds: few names, so that joins meet; every oddity that rows may have.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::input::{Item, Items, Lookups, NAMESPACE_LABELS, NODE_LABELS, POD_USAGE, ReportType};
use super::input::{Rules, STORAGE_USAGE};

/// 2025-10-29, two days before the range begins.
const FIRST_DAY: i64 = 1_761_696_000_000;
const DAY: i64 = 86_400_000;

pub struct Case {
    /// Rows in the folder of their month, by source. Only the first `asked` are rolled up.
    pub sources: Vec<Items>,
    /// Rows of the first source in the folder of another month.
    pub strays: Items,
    pub asked: usize,
    pub lookups: Lookups,
    pub rules: Rules,
    /// Days of the range, inclusive, counted from 2025-10-29.
    pub days: (u64, u64),
    /// How rows are dealt into files, and settings that must not matter.
    pub seed: u64,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Case { asked, rules, days, lookups, seed, .. } = self;
        writeln!(f, "Case: {asked} asked, {rules:?}, days {days:?}, seed {seed}")?;
        writeln!(f, "  keys {:?}", lookups.enabled_keys)?;
        writeln!(f, "  categories {:?}", lookups.categories)?;
        writeln!(f, "  nodes {:?}", lookups.nodes)?;
        for (i, items) in self.sources.iter().enumerate() {
            writeln!(f, "  source {i}:{items:?}")?;
        }
        write!(f, "  strays:{:?}", self.strays)
    }
}

pub fn case() -> impl Strategy<Value = Case> {
    let rules =
        (any::<bool>(), any::<bool>()).prop_map(|(fan_out, trino)| Rules { fan_out, trino });
    let days = (0u64..5, 0u64..5).prop_map(|(a, b)| (a.min(b), a.max(b)));
    (
        prop::collection::vec(items(14), 1..3),
        prop_oneof![3 => Just(Items::default()), 1 => items(3)],
        1usize..3,
        lookups(),
        rules,
        days,
        any::<u32>(),
        prop::collection::vec(any::<Index>(), 0..4),
    )
        .prop_map(|(sources, strays, asked, lookups, rules, days, seed, dropped)| {
            let mut case = Case {
                asked: asked.min(sources.len()),
                sources,
                strays,
                lookups,
                rules,
                days,
                seed: u64::from(seed),
            };
            drop_columns(&mut case.sources, &dropped);
            case
        })
}

/// Columns that no file of an older operator has.
fn drop_columns(sources: &mut [Items], dropped: &[Index]) {
    let all = [POD_USAGE, STORAGE_USAGE];
    let optional: Vec<&str> =
        all.iter().flat_map(|r| r.measures.iter().chain(r.texts)).copied().collect();
    for column in dropped.iter().map(|index| *index.get(&optional)) {
        // What rows are told apart by is dropped less: nothing would be left to compare.
        if ["namespace", "node", "pod", "persistentvolumeclaim"].contains(&column) {
            continue;
        }
        for item in sources.iter_mut().flat_map(|items| items.0.values_mut()).flatten() {
            item.texts.remove(column);
            item.measures.remove(column);
        }
    }
}

fn items(most: usize) -> impl Strategy<Value = Items> {
    let rows = |report: &'static ReportType, most| {
        prop::collection::vec(item(report), 0..most).prop_map(|rows| (report.name, rows))
    };
    (
        rows(&POD_USAGE, most),
        rows(&STORAGE_USAGE, most / 2),
        rows(&NODE_LABELS, most / 3),
        rows(&NAMESPACE_LABELS, most / 3),
    )
        .prop_map(|(a, b, c, d)| Items([a, b, c, d].into()))
}

fn item(report: &'static ReportType) -> impl Strategy<Value = Item> {
    let texts: Vec<_> = report.texts.iter().map(|column| text(column)).collect();
    let measures: Vec<_> = report.measures.iter().map(|_| measure()).collect();
    (time(), texts, measures).prop_map(|(at, texts, measures)| {
        let texts = report.texts.iter().zip(texts);
        let measures = report.measures.iter().zip(measures);
        Item {
            at,
            texts: texts.filter_map(|(name, text)| Some((*name, text?))).collect(),
            measures: measures.filter_map(|(name, value)| Some((*name, value?))).collect(),
        }
    })
}

fn time() -> impl Strategy<Value = i64> {
    let hour = 3_600_000;
    let of_day = prop_oneof![
        4 => (0..3i64).prop_map(move |h| h * hour),
        1 => Just(DAY - 1),
        1 => Just(1),
        1 => Just(23 * hour),
    ];
    // Most rows share two days on either side of the end of the month.
    (prop_oneof![4 => 2..4i64, 1 => 0..6i64], of_day).prop_map(|(d, t)| FIRST_DAY + d * DAY + t)
}

fn text(column: &str) -> BoxedStrategy<Option<String>> {
    if column.ends_with("_labels") {
        return labels().boxed();
    }
    let names: &'static [&'static str] = match column {
        "namespace" => &NAMESPACES,
        "node" => &NODES,
        "resource_id" => &["i-1", "i-2", "I-2", "ï", ""],
        "pod" => &["p", "q", "p,\"😀\"", ""],
        "persistentvolumeclaim" => &["c", "d", "\\N", ""],
        "persistentvolume" => &["v", "w", "x\ny", ""],
        _ => &["s", "t", ""],
    };
    prop_oneof![
        // The first is the one that a failing case shrinks to.
        6 => select(&names[..2]).prop_map(|name| Some(name.to_owned())),
        2 => select(names).prop_map(|name| Some(name.to_owned())),
        1 => Just(None),
    ]
    .boxed()
}

const NAMESPACES: [&str; 9] = [
    "shop",
    "kube-a",
    "kube_a",
    "50%\\",
    "Ünï 😀\"",
    "",
    "Platform unallocated",
    "Worker unallocated",
    "Storage unattributed",
];
const NODES: [&str; 4] = ["n1", "n2", "", "nœud"];
const KEYS: [&str; 6] = ["a", "b", "größe", "vm_kubevirt_io_name", "off", "a\"\\"];
/// Text order and JSON order of these differ: `!` stands before `"`, `~` after `}`.
const VALUES: [&str; 7] = ["x", "y", "", "!", "~", "\"\\/\n😀", "\u{1}ẞ"];

fn labels() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        2 => Just(None),
        1 => Just(Some(String::new())),
        1 => Just(Some("{}".to_owned())),
        6 => json_labels().prop_map(Some),
        1 => pipe_labels().prop_map(Some),
    ]
}

fn json_labels() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        8 => select(&VALUES[..2]).prop_map(super::json::quoted),
        2 => select(&VALUES[..]).prop_map(super::json::quoted),
        1 => select(&VALUES[..]).prop_map(escaped),
        1 => select(&["null", "true", "7", "-0.5", "[1, null]", "{\"z\": {\"bb\": [], \"c\": 1}}"][..])
            .prop_map(str::to_owned),
    ];
    let key = prop_oneof![3 => select(&KEYS[..2]), 1 => select(&KEYS[..])];
    (prop::collection::vec((key, value), 1..4), any::<bool>()).prop_map(|(pairs, spaced)| {
        let (colon, comma) = if spaced { (" : ", " , ") } else { (":", ",") };
        let pairs: Vec<String> =
            pairs.iter().map(|(key, value)| super::json::quoted(key) + colon + value).collect();
        format!("{{{}}}", pairs.join(comma))
    })
}

/// The same text in `\u` escapes.
fn escaped(text: &str) -> String {
    let units: Vec<String> = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    format!("\"{}\"", units.concat())
}

fn pipe_labels() -> impl Strategy<Value = String> {
    let element = prop_oneof![
        4 => (select(&KEYS[..2]), select(&["x", "y", "", "ü"][..])).prop_map(|(k, v)| format!("label_{k}:{v}")),
        1 => select(&["label_a", "b:1:2", "label_label_b:z", "a:x", ""][..]).prop_map(str::to_owned),
    ];
    // The first makes the syntax plain.
    prop::collection::vec(element, 0..4)
        .prop_map(|elements| format!("label_q:r|{}", elements.join("|")))
}

fn measure() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        3 => Just(None),
        4 => (1..100i32).prop_map(|v| Some(f64::from(v))),
        4 => (0.0..1e6f64).prop_map(Some),
        2 => (1e9..1e14f64).prop_map(Some),
        1 => select(&[
            f64::NAN, 0.0, -0.0, -1.5, 1e-30, -1e-12, 1e19, -3e25, 1e200, 5e-324, 0.1,
            9007199254740993.0,
        ][..]).prop_map(Some),
    ]
}

fn lookups() -> impl Strategy<Value = Lookups> {
    let keys = prop_oneof![
        4 => prop::collection::btree_set(select(&["a", "b", "größe", "a\"\\"][..]), 0..4),
        1 => Just(BTreeSet::from(["a", "b"])),
    ];
    let patterns = [
        "shop",
        "kube%",
        "kube_a",
        "kube\\_%",
        "50\\%\\\\",
        "%",
        "_%",
        "Platform%",
        "%unallocated",
        "Ünï _\"",
        "Shop",
    ];
    let categories = prop::collection::btree_map(select(patterns.to_vec()), 1..9i32, 0..5);
    let role = select(&["worker", "master", "infra", "other", ""][..]);
    let id = prop_oneof![4 => select(&["i-1", "i-2", "I-2"][..]).prop_map(Some), 1 => Just(None)];
    let node = (select(&["n1", "n2", "nœud"][..]), id, prop::option::weighted(0.9, role));
    let nodes = prop::collection::vec(node, 0..6);
    (keys, categories, nodes).prop_map(|(keys, categories, nodes): (_, BTreeMap<_, _>, Vec<_>)| {
        let owned = |text: Option<&str>| text.filter(|t| !t.is_empty()).map(str::to_owned);
        Lookups {
            enabled_keys: keys.into_iter().map(str::to_owned).collect(),
            categories: categories.into_iter().map(|(p, id)| (p.to_owned(), id)).collect(),
            nodes: nodes
                .into_iter()
                .map(|(node, id, role)| (node.to_owned(), owned(id), owned(role)))
                .collect(),
        }
    })
}
