//! What the HTTP API writes into the cluster.

mod orders;

pub use orders::KubeOrders;
