//! Words and name fragments as an OpenShift cluster shows them.

use std::fmt::Write;

use super::random::mix;

/// Platform namespaces, the busiest first.
pub const SYSTEM_NAMESPACES: &[&str] = &[
    "openshift-monitoring",
    "kube-system",
    "openshift-dns",
    "openshift-ingress",
    "openshift-image-registry",
    "openshift-ovn-kubernetes",
    "openshift-multus",
    "openshift-machine-config-operator",
    "openshift-logging",
    "openshift-etcd",
    "openshift-kube-apiserver",
    "openshift-kube-scheduler",
    "openshift-kube-controller-manager",
    "openshift-apiserver",
    "openshift-authentication",
    "openshift-cluster-csi-drivers",
    "openshift-cluster-node-tuning-operator",
    "openshift-cluster-storage-operator",
    "openshift-cluster-version",
    "openshift-console",
    "openshift-controller-manager",
    "openshift-gitops",
    "openshift-insights",
    "openshift-machine-api",
    "openshift-marketplace",
    "openshift-network-diagnostics",
    "openshift-operator-lifecycle-manager",
    "openshift-operators",
    "openshift-pipelines",
    "openshift-serverless",
    "openshift-service-ca",
    "openshift-storage",
    "openshift-user-workload-monitoring",
    "openshift-vm-guest",
    "kube-public",
    "kube-node-lease",
    "openshift",
];

pub const TEAMS: &[&str] = &[
    "payments",
    "logistics",
    "identity",
    "search",
    "data-platform",
    "mobile",
    "risk",
    "pricing",
    "catalog",
    "crm",
    "billing",
    "fulfilment",
    "analytics",
    "messaging",
    "media",
    "partners",
    "fraud",
    "hr-systems",
    "iot",
    "web",
];

pub const PRODUCTS: &[&str] = &[
    "checkout", "ledger", "wallet", "router", "orders", "stock", "profile", "session", "feed",
    "index", "loader", "reports", "invoices", "quotes", "tickets", "events", "alerts", "assets",
    "images", "gateway", "scoring", "rules", "rates", "sync",
];

/// Suffix of the namespace and value of the `environment` label.
pub const ENVIRONMENTS: &[(&str, &str)] = &[
    ("prod", "production"),
    ("stage", "staging"),
    ("test", "test"),
    ("dev", "development"),
    ("sandbox", "sandbox"),
];

pub const PARTS: &[&str] = &[
    "api",
    "worker",
    "frontend",
    "backend",
    "cache",
    "proxy",
    "consumer",
    "producer",
    "scheduler",
    "adapter",
    "importer",
    "exporter",
    "notifier",
    "indexer",
    "renderer",
    "auth",
];

/// The like, of the platform's own deployments.
pub const SYSTEM_PARTS: &[&str] =
    &["operator", "controller", "webhook", "manager", "server", "proxy"];

pub const AGENTS: &[&str] = &[
    "node-exporter",
    "dns-default",
    "ovnkube-node",
    "multus",
    "machine-config-daemon",
    "collector",
    "tuned",
    "csi-node",
    "network-metrics-daemon",
    "node-ca",
    "ingress-canary",
    "node-resolver",
    "image-pruner-agent",
    "security-agent",
    "backup-agent",
];

pub const STORES: &[&str] =
    &["postgresql", "kafka", "redis", "mongodb", "elasticsearch", "rabbitmq", "minio", "cassandra"];

pub const JOBS: &[&str] =
    &["cleanup", "report", "backup", "export", "reindex", "reconcile", "snapshot", "rotate"];

/// What random parts of pod names are made of: no vowels, nothing that reads as another letter.
const SUFFIX: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Appends `length` (at most 12) random letters.
pub fn push_suffix(out: &mut String, seed: u64, length: usize) {
    let mut rest = mix(seed ^ 0x5f);
    for _ in 0..length {
        out.push(char::from(SUFFIX[(rest % SUFFIX.len() as u64) as usize]));
        rest /= SUFFIX.len() as u64;
    }
}

/// Appends `length` (at most 32) hexadecimal digits.
pub fn push_hex(out: &mut String, seed: u64, length: usize) {
    let digits = u128::from(mix(seed ^ 0x10)) << 64 | u128::from(mix(seed ^ 0x11));
    for place in 0..length.min(32) {
        let digit = (digits >> (124 - 4 * place)) as u32 & 15;
        out.extend(char::from_digit(digit, 16));
    }
}

/// Appends a version-4 UUID.
pub fn push_uuid(out: &mut String, seed: u64) {
    let id = uuid::Builder::from_random_bytes(
        (u128::from(mix(seed ^ 0x20)) << 64 | u128::from(mix(seed ^ 0x21))).to_be_bytes(),
    )
    .into_uuid();
    // Writing to a string cannot fail.
    let _ = write!(out, "{id}");
}

/// A string made by one of the functions above.
pub fn made(write: impl FnOnce(&mut String)) -> String {
    let mut out = String::new();
    write(&mut out);
    out
}
