//! The WebAssembly policy host: check, compile in a jail, limit, evaluate, store by digest.
//!
//! A component is walked before anything is compiled ([`inspect()`]), compiled in a process of its own ([`jail`]), kept
//! as machine code by its digest, and asked in a fresh instance for every call ([`Host::evaluate`]). Whatever a policy
//! does, the answer is a [`Verdict`](foreshard_decide::contract::Verdict): *abstain*, with a [`Failure`] that says why,
//! when it trapped, overran a [limit](Limits) or answered nonsense.

#[allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::all,
    clippy::use_self,
    reason = "generated from wit/policy/policy.wit, where the documentation is"
)]
mod bindings;
mod cache;
mod check;
mod digest;
mod engine;
mod failure;
mod gate;
mod guest;
mod host;
mod inspect;
pub mod jail;
mod lift;
mod limits;
mod lower;
mod module;
#[cfg(feature = "raw")]
pub mod raw;
mod refusal;
mod wasi;

pub use failure::{Failure, FailureKind};
pub use guest::{Log, LogLevel, LogLine};
pub use host::{Evaluation, Host, HostConfig, HostError};
pub use inspect::{Given, Import, Inspection, inspect};
pub use jail::Compiler;
pub use limits::{AnswerLimits, CallLimits, Limits, Tier, TierLimits};
pub use module::{About, Module};
pub use refusal::Refusal;
pub use wasi::INERT as INERT_WASI;
