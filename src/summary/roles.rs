//! Node roles.

use rustc_hash::FxHashMap;

use crate::lookups::NodeRole;

/// The greatest role of each (node, resource id), over all clusters of the tenant.
#[derive(Debug, Clone, Default)]
pub struct Roles {
    roles: FxHashMap<String, FxHashMap<String, String>>,
}

impl Roles {
    pub fn new(nodes: &[NodeRole]) -> Self {
        let mut roles: FxHashMap<String, FxHashMap<String, String>> = FxHashMap::default();
        for node in nodes {
            // Null joins with nothing, and is no role.
            let (Some(resource_id), Some(role)) = (&node.resource_id, &node.role) else {
                continue;
            };
            let known =
                roles.entry(node.node.clone()).or_default().entry(resource_id.clone()).or_default();
            if role > known {
                known.clone_from(role);
            }
        }
        Roles { roles }
    }

    pub fn role(&self, node: &str, resource_id: Option<&str>) -> Option<&str> {
        self.roles.get(node)?.get(resource_id?).map(String::as_str)
    }
}
