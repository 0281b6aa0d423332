//! The policies that are bound to one target, asked by the engine.

use std::sync::Arc;

use foreshard_decide::PolicyAnswer;
use foreshard_decide::contract::Context;
use foreshard_engine::{Binding, Policies};
use foreshard_policy::{Host, Module};
use foreshard_server::view::ActivePolicy;

/// Modules with their bindings, in the order of the spec. Cheap to copy.
#[derive(Clone)]
pub(crate) struct Bound {
    host: Arc<Host>,
    modules: Vec<Arc<Module>>,
    bindings: Vec<Binding>,
}

impl Bound {
    /// Nothing is bound yet.
    #[must_use]
    pub(crate) fn new(host: &Arc<Host>) -> Self {
        Self {
            host: Arc::clone(host),
            modules: Vec::new(),
            bindings: Vec::new(),
        }
    }

    /// Binds one more module. Asks it about the config: may block.
    ///
    /// # Errors
    /// What the module finds wrong with the config, in words.
    pub(crate) fn bind(
        &mut self,
        module: Arc<Module>,
        name: &str,
        config: &str,
        kind: &str,
    ) -> Result<(), String> {
        let needs = module.configure(config, kind).map_err(|issues| {
            let issues = issues.iter().map(|issue| match issue.path.as_str() {
                "" => issue.message.clone(),
                path => format!("{path}: {}", issue.message),
            });
            issues.collect::<Vec<_>>().join("; ")
        })?;
        self.bindings.push(Binding {
            name: name.to_owned(),
            digest: module.digest().to_owned(),
            config: config.to_owned(),
            memory_version: module.descriptor().memory_version,
            needs: needs.as_ref().clone(),
        });
        self.modules.push(module);
        Ok(())
    }

    /// Names of signals that a bound policy needs and `known` does not have.
    #[must_use]
    pub(crate) fn missing_signals(&self, known: &[&str]) -> Vec<String> {
        let needed = self
            .bindings
            .iter()
            .flat_map(|binding| &binding.needs.signals);
        needed
            .filter(|need| need.required && !known.contains(&need.name.as_str()))
            .map(|need| need.name.clone())
            .collect()
    }

    /// The policy that has the first word, as the API shows it.
    #[must_use]
    pub(crate) fn shown(&self) -> Option<ActivePolicy> {
        let binding = self.bindings.first()?;
        Some(ActivePolicy {
            module: binding.name.clone(),
            digest: binding.digest.clone(),
            config: serde_json::from_str(&binding.config).unwrap_or_default(),
            since: None,
        })
    }

    /// Name of the policy that has the first word.
    #[must_use]
    pub(crate) fn first(&self) -> &str {
        self.bindings
            .first()
            .map_or("none", |binding| &binding.name)
    }
}

impl Policies for Bound {
    fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    fn evaluate(&mut self, binding: usize, context: &Arc<Context>) -> PolicyAnswer {
        let (module, binding) = (&self.modules[binding], &self.bindings[binding]);
        let evaluation = self.host.evaluate(module, context);
        let findings = evaluation.finding.iter();
        PolicyAnswer {
            policy: binding.name.clone(),
            digest: binding.digest.clone(),
            uses_forecast: !binding.needs.forecasts.is_empty(),
            verdict: evaluation.verdict,
            findings: findings
                .map(|failure| failure.to_finding(&binding.name))
                .collect(),
        }
    }
}
