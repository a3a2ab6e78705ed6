//! Decoded rows of one day as the aggregation takes them: columns of equal length, texts and
//! label objects as ids of the partial state they go to, absent numbers as NaN.

use crate::labels::sets::SetId;
use crate::summary::row::TextId;

/// Columns of doubles of `pod_usage`, in the order of [`PodRows::numbers`].
pub const POD_NUMBERS: [&str; 12] = [
    "pod_usage_cpu_core_seconds",
    "pod_request_cpu_core_seconds",
    "pod_limit_cpu_core_seconds",
    "pod_effective_usage_cpu_core_seconds",
    "pod_usage_memory_byte_seconds",
    "pod_request_memory_byte_seconds",
    "pod_limit_memory_byte_seconds",
    "pod_effective_usage_memory_byte_seconds",
    "node_capacity_cpu_cores",
    "node_capacity_memory_bytes",
    "node_capacity_cpu_core_seconds",
    "node_capacity_memory_byte_seconds",
];

/// The first eight of [`POD_NUMBERS`] are summed; then two maxima; then two of the capacity.
pub const POD_SUMS: usize = 8;
pub const NODE_CORES: usize = 8;
pub const NODE_BYTES: usize = 9;
pub const CAPACITY_CORE_SECONDS: usize = 10;
pub const CAPACITY_BYTE_SECONDS: usize = 11;

/// Columns of doubles of `storage_usage`, in the order of [`StorageRows::numbers`].
pub const STORAGE_NUMBERS: [&str; 4] = [
    "persistentvolumeclaim_capacity_bytes",
    "persistentvolumeclaim_capacity_byte_seconds",
    "volume_request_storage_byte_seconds",
    "persistentvolumeclaim_usage_byte_seconds",
];

/// Rows of `pod_usage`. `pod` and `labels` are empty where the run does not need them.
#[derive(Debug, Default)]
pub struct PodRows {
    /// Microseconds since midnight.
    pub interval: Vec<i64>,
    pub namespace: Vec<TextId>,
    pub node: Vec<TextId>,
    pub resource_id: Vec<TextId>,
    pub pod: Vec<TextId>,
    pub labels: Vec<SetId>,
    pub numbers: [Vec<f64>; 12],
}

/// Rows of `storage_usage`.
#[derive(Debug, Default)]
pub struct StorageRows {
    pub namespace: Vec<TextId>,
    pub pod: Vec<TextId>,
    pub claim: Vec<TextId>,
    pub volume: Vec<TextId>,
    pub storageclass: Vec<TextId>,
    pub csi_volume_handle: Vec<TextId>,
    pub volume_labels: Vec<SetId>,
    pub claim_labels: Vec<SetId>,
    pub numbers: [Vec<f64>; 4],
}

/// Rows of `node_labels` or `namespace_labels`.
#[derive(Debug, Default)]
pub struct LabelRows {
    /// Microseconds since midnight.
    pub interval: Vec<i64>,
    /// The node or the namespace.
    pub owner: Vec<TextId>,
    pub labels: Vec<SetId>,
}

/// What a column of texts is decoded to.
pub trait Id: Copy {
    fn from_raw(raw: u32) -> Self;
    fn raw(self) -> u32;
}

impl Id for TextId {
    fn from_raw(raw: u32) -> Self {
        TextId(raw)
    }

    fn raw(self) -> u32 {
        self.0
    }
}

impl Id for SetId {
    fn from_raw(raw: u32) -> Self {
        SetId(raw)
    }

    fn raw(self) -> u32 {
        self.0
    }
}
