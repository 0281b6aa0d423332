//! Policies from files and from inside the binary, bound to a target.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use foreshard_decide::PolicyAnswer;
use foreshard_decide::contract::Context;
use foreshard_engine::{Binding, Policies};
use foreshard_policy::{Compiler, Host, HostConfig, Module, Refusal, Tier};

/// Before the name of a built-in policy.
pub(crate) const BUILTIN: &str = "builtin:";

/// A host that compiles components in a child of this program.
pub(crate) fn host() -> anyhow::Result<Arc<Host>> {
    let compiler = Compiler::this_program().context("finding this program's own file")?;
    Ok(Arc::new(Host::new(
        HostConfig::new(compiler).with_user_cache(),
    )?))
}

/// Loads `builtin:NAME` or a component's file, in the tier that it fits.
pub(crate) fn load(host: &Host, policy: &str) -> anyhow::Result<Arc<Module>> {
    let loaded = match policy.strip_prefix(BUILTIN) {
        Some(name) => load_bytes(host, builtin(name)?),
        None => {
            let bytes = std::fs::read(policy).with_context(|| {
                format!("reading the policy {policy} (a component's file, or {BUILTIN} and a name)")
            })?;
            load_bytes(host, &bytes)
        }
    };
    loaded.map_err(|refusal| anyhow!("{policy}: {refusal}; {}", refusal.fix()))
}

pub(crate) fn load_bytes(host: &Host, component: &[u8]) -> Result<Arc<Module>, Refusal> {
    match host.load(component, Tier::Standard) {
        Err(Refusal::TooLarge { .. } | Refusal::TooComplex { .. }) => {
            host.load(component, Tier::Interpreter)
        }
        other => other,
    }
}

pub(crate) fn builtin(name: &str) -> anyhow::Result<&'static [u8]> {
    let Some(component) = foreshard_builtin::component(name) else {
        let names: Vec<&str> = foreshard_builtin::names().collect();
        bail!(
            "{BUILTIN}{name}: no such built-in policy; there are {}",
            names.join(", ")
        );
    };
    Ok(component)
}

/// The name of a policy in reports: a built-in one's own, or its file's without `.wasm`.
pub(crate) fn name(policy: &str) -> String {
    match policy.strip_prefix(BUILTIN) {
        Some(name) => name.to_owned(),
        None => Path::new(policy).file_stem().map_or_else(
            || policy.to_owned(),
            |stem| stem.to_string_lossy().into_owned(),
        ),
    }
}

/// One policy with its configuration, asked by the engine. A copy asks the same module.
#[derive(Clone)]
pub(crate) struct Bound {
    host: Arc<Host>,
    module: Arc<Module>,
    bindings: [Binding; 1],
}

impl Bound {
    /// Binds `module` under `name` to a target of the kind `target_kind`.
    pub(crate) fn new(
        host: &Arc<Host>,
        module: Arc<Module>,
        name: &str,
        config: &str,
        target_kind: &str,
    ) -> anyhow::Result<Self> {
        let needs = module.configure(config, target_kind).map_err(|issues| {
            let issues = issues.iter().map(|issue| match issue.path.as_str() {
                "" => issue.message.clone(),
                path => format!("{path}: {}", issue.message),
            });
            let issues: Vec<String> = issues.collect();
            anyhow!("the configuration of {name}: {}", issues.join("; "))
        })?;
        let bindings = [Binding {
            name: name.to_owned(),
            digest: module.digest().to_owned(),
            config: config.to_owned(),
            memory_version: module.descriptor().memory_version,
            needs: needs.as_ref().clone(),
        }];
        Ok(Self {
            host: Arc::clone(host),
            module,
            bindings,
        })
    }
}

impl Policies for Bound {
    fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    fn evaluate(&mut self, _: usize, context: &Arc<Context>) -> PolicyAnswer {
        let [binding] = &self.bindings;
        let evaluation = self.host.evaluate(&self.module, context);
        PolicyAnswer {
            policy: binding.name.clone(),
            digest: binding.digest.clone(),
            uses_forecast: !binding.needs.forecasts.is_empty(),
            verdict: evaluation.verdict,
            findings: evaluation
                .finding
                .iter()
                .map(|failure| failure.to_finding(&binding.name))
                .collect(),
        }
    }
}
