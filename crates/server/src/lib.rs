//! The HTTP API and the console's files.
//!
//! [`Hub`] holds what is served; whoever evaluates targets feeds it through [`Namespace::publish`] and asks it with
//! [`Namespace::asked_policy`] whether another policy is to be followed. [`app()`] is the service, [`serve()`] puts it
//! behind a listener. Nothing here decides anything.
#![forbid(unsafe_code)]

mod app;
mod board;
mod checking;
mod console;
mod decisions;
mod events;
mod extract;
mod guard;
mod hosted;
mod hub;
mod limits;
mod metrics;
mod name;
mod policies;
mod problem;
mod routes;
mod serve;
mod track;
pub mod view;

pub use app::app;
pub use board::Activation;
pub use decisions::Retention;
pub use hosted::{Hosted, HostedPolicy};
pub use hub::{Hub, Namespace, Update};
pub use limits::Limits;
pub use name::{Name, NameError};
pub use policies::{Policies, Policy, Refused};
pub use problem::{Issue, PROBLEM_JSON, Problem, ProblemDocument};
pub use serve::{ServeError, listen, serve};

#[cfg(test)]
mod tests;
