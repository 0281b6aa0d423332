//! The WebAssembly policy host behind the server's port.

use std::{fmt, sync::Arc};

use foreshard_decide::contract;
use foreshard_policy::{Host, Module, Refusal, Tier};

use crate::policies::{Policies, Policy, Refused};

/// The policy host as the server sees it.
pub struct Hosted(pub Arc<Host>);

/// A module of the policy host.
pub struct HostedPolicy(pub Arc<Module>);

impl Policies for Hosted {
    fn admit(&self, component: &[u8]) -> Result<Arc<dyn Policy>, Refused> {
        let loaded = match self.0.load(component, Tier::Standard) {
            // What is too much for a compiled language may be an interpreter with its program.
            Err(Refusal::TooLarge { .. } | Refusal::TooComplex { .. }) => {
                self.0.load(component, Tier::Interpreter)
            }
            other => other,
        };
        let module = loaded.map_err(|refusal| {
            if refusal.is_fault_of_the_component() {
                Refused::Bad {
                    kind: refusal.code().to_owned(),
                    detail: refusal.to_string(),
                    fix: refusal.fix().to_owned(),
                }
            } else {
                Refused::Unavailable(refusal.to_string())
            }
        })?;
        Ok(Arc::new(HostedPolicy(module)))
    }
}

impl Policy for HostedPolicy {
    fn digest(&self) -> &str {
        self.0.digest()
    }

    fn descriptor(&self) -> &contract::Descriptor {
        self.0.descriptor()
    }

    fn configure(&self, config: &str, target_kind: &str) -> Result<(), Vec<contract::ConfigIssue>> {
        self.0.configure(config, target_kind).map(drop)
    }
}

impl fmt::Debug for HostedPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HostedPolicy")
            .field(&self.0.digest())
            .finish()
    }
}
