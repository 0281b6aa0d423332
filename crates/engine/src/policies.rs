//! The port through which policies are asked.

use std::sync::Arc;

use foreshard_decide::PolicyAnswer;
use foreshard_decide::contract::{Context, Needs};

/// One policy that is bound to a target.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// The policy's name.
    pub name: String,
    /// The digest of its component, "sha256:…".
    pub digest: String,
    /// JSON, already checked by the policy.
    pub config: String,
    /// Memory written under another number is not given back.
    pub memory_version: u32,
    /// What data it needs.
    pub needs: Needs,
}

/// The policies that are bound to one target, in order.
///
/// The engine makes the context (with the policy's own config and memory in it), asks each policy in turn, and keeps
/// its memory.
pub trait Policies {
    /// What is bound. The engine looks at it at every step, so a policy can be exchanged in between.
    fn bindings(&self) -> &[Binding];

    /// Asks the policy `binding` (an index into [`Policies::bindings`]). A failure is an abstaining answer with a
    /// finding, never a panic.
    fn evaluate(&mut self, binding: usize, context: &Arc<Context>) -> PolicyAnswer;
}
