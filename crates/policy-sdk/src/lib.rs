//! What the author of a Rust policy depends on: the contract's types, the [`Policy`] trait, look-ups, and the
//! [`export_policy!`] macro that turns an implementation into a component.
//!
//! A policy is a function of its context alone: it has no clock, no files and no randomness, and a fresh instance
//! answers every call. `wit/policy/policy.wit` is the reference of every field.
//!
//! ```ignore
//! struct Constant;
//! impl foreshard_policy_sdk::Policy for Constant { /* describe, configure, evaluate */ }
//! foreshard_policy_sdk::export_policy!(Constant);
//! ```
//!
//! Build it as a `cdylib` for `wasm32-unknown-unknown` and encode the module as a component; `cargo xtask policies` does
//! both for the policies in this repository. The same crate builds natively, so its rules have ordinary unit tests.

#[allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    clippy::use_self,
    clippy::allow_attributes_without_reason,
    reason = "generated from wit/policy/policy.wit, where the documentation is"
)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/policy",
        world: "scaling-policy",
        pub_export_macro: true,
        export_macro_name: "export_component",
        default_bindings_module: "foreshard_policy_sdk::bindings",
        additional_derives: [PartialEq],
    });
}

#[cfg(all(target_arch = "wasm32", feature = "one-call-heap"))]
mod heap;
mod lookup;
mod policy;

pub use bindings::exports::foreshard::policy::scaling::{
    Descriptor, ForecastNeed, Needs, PeakNeed, SignalNeed,
};
pub use bindings::foreshard::policy::types::*;
pub use lookup::{ContextExt, ForecastExt, PartExt, SignalExt};
pub use policy::{Policy, decide, log_debug, log_info, log_warn};
#[doc(hidden)]
pub use policy::{configure_with, evaluate_with};
