//! Enabled label keys, cost categories, node roles and report periods.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub mod csv;
mod error;
pub mod periods;
pub mod postgres;

pub use error::LookupsError;

/// What a run needs to know of the tenant besides the line items.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookups {
    /// The enabled keys of provider type `OCP` as listed; `vm_kubevirt_io_name` is always enabled,
    /// whether it is listed or not.
    pub enabled_keys: Vec<String>,
    pub categories: Vec<CategoryPattern>,
    pub nodes: Vec<NodeRole>,
}

/// A row of `reporting_ocp_cost_category_namespace`: a LIKE pattern and its category.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CategoryPattern {
    pub pattern: String,
    pub cost_category_id: i32,
}

/// A row of `reporting_ocp_nodes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRole {
    pub node: String,
    pub resource_id: Option<String>,
    pub role: Option<String>,
}

/// A row of `reporting_ocpusagereportperiod`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportPeriod {
    pub id: i32,
    pub cluster_id: String,
    pub cluster_alias: Option<String>,
    /// First day of the month.
    pub start: NaiveDate,
    pub provider_id: Uuid,
}
