//! What the platform got from one policy.

use serde::{Deserialize, Serialize};

use crate::contract::Verdict;
use crate::finding::Finding;

/// One policy's verdict, with what the platform knows of its author.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PolicyAnswer {
    /// The policy's name.
    pub policy: String,
    /// The digest of its component, "sha256:…".
    pub digest: String,
    /// It asked for forecasts: what it wants may not go beyond plain HPA while they are demoted.
    pub uses_forecast: bool,
    /// What it said; [`Verdict::Abstain`] when it failed.
    pub verdict: Verdict,
    /// What went wrong in asking it.
    pub findings: Vec<Finding>,
}
