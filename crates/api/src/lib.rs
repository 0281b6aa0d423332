//! The custom resources of `foreshard.dev/v1alpha1`: schema, CEL rules, conditions, and what a spec means once it is
//! checked.
//!
//! No client: nothing here talks to a cluster. Every field's documentation is what `kubectl explain` shows.
//! [`crds`] gives all definitions; `cargo xtask generate` writes them to `deploy/crds`.
#![forbid(unsafe_code)]
#![allow(
    clippy::duplicated_attributes,
    reason = "it takes CEL rules and reasons of different fields for one another"
)]

pub mod adopt;
pub mod annotation;
pub mod condition;
mod definitions;
mod digest;
mod quantity;
mod reference;
mod schema;
pub mod time;
pub mod v1alpha1;
pub mod validated;

pub use definitions::crds;
pub use digest::{DIGEST_PATTERN, sha256};
pub use quantity::{Quantity, QuantityError};

/// The API group.
pub const GROUP: &str = "foreshard.dev";
/// The category under which `kubectl get foreshard` lists every kind.
pub const CATEGORY: &str = "foreshard";
