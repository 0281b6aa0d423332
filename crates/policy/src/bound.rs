//! The engine's port for policies, on the host.

use std::sync::Arc;

use foreshard_decide::{
    PolicyAnswer,
    contract::{ConfigIssue, Context},
};
use foreshard_engine::{Binding, Policies};

use crate::{host::Host, module::Module};

/// The policies that are bound to one target.
#[derive(Debug)]
pub struct BoundPolicies {
    host: Arc<Host>,
    modules: Vec<Arc<Module>>,
    bindings: Vec<Binding>,
}

impl BoundPolicies {
    /// No policies yet.
    #[must_use]
    pub fn new(host: Arc<Host>) -> Self {
        Self {
            host,
            modules: Vec::new(),
            bindings: Vec::new(),
        }
    }

    /// Binds one more policy under a name.
    ///
    /// # Errors
    /// What the policy has against the config.
    pub fn bind(
        &mut self,
        name: &str,
        module: Arc<Module>,
        config: &str,
        target_kind: &str,
    ) -> Result<(), Vec<ConfigIssue>> {
        let needs = module.configure(config, target_kind)?;
        self.bindings.push(Binding {
            name: name.to_owned(),
            digest: module.digest().to_owned(),
            config: config.to_owned(),
            memory_version: module.descriptor().memory_version,
            needs: Arc::unwrap_or_clone(needs),
        });
        self.modules.push(module);
        Ok(())
    }
}

impl Policies for BoundPolicies {
    fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    fn evaluate(&mut self, binding: usize, context: &Arc<Context>) -> PolicyAnswer {
        let (module, bound) = (&self.modules[binding], &self.bindings[binding]);
        let evaluation = self.host.evaluate(module, context);
        for line in &evaluation.log.lines {
            tracing::debug!(policy = bound.name, digest = bound.digest, level = ?line.level, "{}", line.message);
        }
        PolicyAnswer {
            policy: bound.name.clone(),
            digest: bound.digest.clone(),
            uses_forecast: !bound.needs.forecasts.is_empty(),
            verdict: evaluation.verdict,
            findings: evaluation
                .finding
                .iter()
                .map(|failure| failure.to_finding(&bound.name))
                .collect(),
        }
    }
}
