//! The HTTP API and the console's files.
//!
//! [`Hub`] holds what is served; whoever evaluates targets feeds it through [`Hub::publish`] and asks it with
//! [`Namespace::asked_policy`] whether another policy is to be followed. What it needs of the world around it are
//! [`Ports`]: who may do what, where modules are kept, where approvals go. [`app()`] is the service, [`serve()`] puts it
//! behind a listener. Nothing here decides anything, and nothing here knows Kubernetes.
#![forbid(unsafe_code)]

mod access;
mod app;
mod audit;
mod backtests;
mod board;
mod checking;
mod console;
mod decisions;
mod events;
mod extract;
mod gate;
mod guard;
mod hosted;
mod hub;
mod ids;
mod jobs;
mod limits;
mod memory_store;
mod metrics;
mod name;
mod orders;
mod policies;
mod problem;
mod rates;
mod rights;
mod routes;
mod serve;
mod store;
mod strangers;
mod track;
pub mod view;

pub use foreshard_listener::{ListenError, PlainText, Tls, TlsError, listen, require_tls};

pub use access::{Access, Action, Caller, Denied, Everybody, Identity};
pub use app::{app, health_app};
pub use backtests::{BacktestOrder, BacktestPolicy, BacktestSettings, Backtests, Load, Progress};
pub use board::Activation;
pub use decisions::Retention;
pub use hosted::{Hosted, HostedPolicy};
pub use hub::{ActivationBy, Decision, History, Hub, Namespace, Ports, Update};
pub use jobs::BacktestLimits;
pub use limits::{Limits, Rate};
pub use memory_store::MemoryStore;
pub use name::{Name, NameError, ObjectName};
pub use orders::{Approval, ApprovalOrder, OrderError, Orders, Override, OverrideOrder, Pause};
pub use policies::{Policies, Policy, Refused};
pub use problem::{Issue, PROBLEM_JSON, Problem, ProblemDocument};
pub use serve::{serve, serve_health};
pub use store::{ModuleStore, Put, Replaces, StoreError, Upload};

#[cfg(test)]
mod tests;
