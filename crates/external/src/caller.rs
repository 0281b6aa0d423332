//! Who asks, and the port to whoever judges what they may see.

use std::collections::BTreeMap;

use futures::future::BoxFuture;

/// Who asks, as the API server knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Caller {
    /// Their name.
    pub user: String,
    /// Their groups.
    pub groups: Vec<String>,
    /// What else is known of them.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Why something is not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// They may not see it.
    Forbidden(String),
    /// It cannot be known now whether they may.
    Unavailable(String),
}

/// Says who may see what.
pub trait Judge: Send + Sync + 'static {
    /// Whether they may read this metric in this namespace.
    fn may_read<'a>(
        &'a self,
        who: &'a Caller,
        namespace: &'a str,
        metric: &'a str,
    ) -> BoxFuture<'a, Result<(), Denied>>;
}
