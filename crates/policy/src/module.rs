//! A loaded policy.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use foreshard_decide::contract::{ConfigIssue, Descriptor, Needs};
use wasmtime::Store;

use crate::{
    bindings::{ScalingPolicy, ScalingPolicyPre},
    check,
    failure::{Failure, FailureKind},
    gate::TICK_MS,
    guest::{Guest, Log},
    host::Shared,
    inspect::Inspection,
    lift,
    limits::Tier,
    refusal::{Refusal, whole_config},
};

/// Configs of which the needs are remembered.
const CONFIGURED_MAX: usize = 256;

/// A policy that was checked, compiled and asked what it is. Calls never influence each other: each has an instance of
/// its own.
pub struct Module {
    shared: Arc<Shared>,
    pre: ScalingPolicyPre<Guest>,
    about: About,
    configured: Mutex<HashMap<(String, String), Arc<Needs>>>,
}

/// What is known of a module.
#[derive(Clone, Debug)]
pub struct About {
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// Its limits.
    pub tier: Tier,
    /// What is inside.
    pub inspection: Inspection,
    /// What it says of itself.
    pub descriptor: Descriptor,
    /// Fuel that `describe` took.
    pub describe_fuel: u64,
    /// What compiling took; absent when the machine code was in the cache.
    pub compile_time: Option<Duration>,
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module")
            .field("about", &self.about)
            .finish_non_exhaustive()
    }
}

/// One instance with what it may still use.
pub(crate) struct Running {
    pub(crate) store: Store<Guest>,
    pub(crate) policy: ScalingPolicy,
    budget: u64,
}

impl Running {
    pub(crate) fn fuel_used(&self) -> u64 {
        self.budget
            .saturating_sub(self.store.get_fuel().unwrap_or(0))
    }

    pub(crate) fn take_log(&mut self) -> Log {
        std::mem::take(&mut self.store.data_mut().log)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.store.data().memory_bytes()
    }
}

/// Makes a fresh instance and gives it `fuel` for its call.
pub(crate) fn start(
    shared: &Shared,
    pre: &ScalingPolicyPre<Guest>,
    tier: Tier,
    fuel: u64,
) -> Result<Running, Failure> {
    let call = &shared.limits.call;
    let mut store = Store::new(&shared.engine, Guest::new(shared.limits.of(tier), call));
    store.limiter(|guest| guest);
    store.set_hostcall_fuel(usize::try_from(call.copied_out_bytes).unwrap_or(usize::MAX));
    // One more, because the tick that runs now is not a whole one.
    store.set_epoch_deadline(call.deadline_ms.div_ceil(TICK_MS) + 1);
    // A start function is the guest's code as well.
    store
        .set_fuel(call.check_fuel)
        .map_err(|error| host_failure(&error))?;
    let policy = pre
        .instantiate(&mut store)
        .map_err(|error| Failure::of_call(&error))?;
    store.set_fuel(fuel).map_err(|error| host_failure(&error))?;
    Ok(Running {
        store,
        policy,
        budget: fuel,
    })
}

fn host_failure(error: &wasmtime::Error) -> Failure {
    Failure::new(FailureKind::Host, format!("the policy host: {error:#}"))
}

impl Module {
    /// Asks a freshly compiled policy what it is.
    pub(crate) fn describe(
        shared: Arc<Shared>,
        pre: ScalingPolicyPre<Guest>,
        digest: String,
        tier: Tier,
        inspection: Inspection,
        compile_time: Option<Duration>,
    ) -> Result<Self, Refusal> {
        let refusal = |failure: Failure| Refusal::Describe {
            reason: failure.message,
        };
        let (said, describe_fuel) = {
            let _pass = shared.gate.enter();
            let mut running =
                start(&shared, &pre, tier, shared.limits.call.check_fuel).map_err(refusal)?;
            let said = running
                .policy
                .foreshard_policy_scaling()
                .call_describe(&mut running.store);
            let said = said.map_err(|error| refusal(Failure::of_call(&error)))?;
            (lift::descriptor(said), running.fuel_used())
        };
        check::descriptor(&shared.limits.answer, &said).map_err(refusal)?;
        let about = About {
            digest,
            tier,
            inspection,
            descriptor: said,
            describe_fuel,
            compile_time,
        };
        Ok(Self {
            shared,
            pre,
            about,
            configured: Mutex::default(),
        })
    }

    /// What is known of it.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.about
    }

    /// `sha256:` and 64 hexadecimal digits.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.about.digest
    }

    /// What it says of itself.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.about.descriptor
    }

    pub(crate) fn pre(&self) -> &ScalingPolicyPre<Guest> {
        &self.pre
    }

    /// Checks a config (JSON; "" is `{}`) for a kind of target and tells what data the policy then needs. Answers are
    /// remembered: the policy is a function of its arguments.
    ///
    /// # Errors
    /// What is wrong and where; a policy that fails to answer is one issue of the whole config.
    pub fn configure(
        &self,
        config: &str,
        target_kind: &str,
    ) -> Result<Arc<Needs>, Vec<ConfigIssue>> {
        let key = (config.to_owned(), target_kind.to_owned());
        let lock = || {
            self.configured
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(known) = lock().get(&key) {
            return Ok(Arc::clone(known));
        }
        let needs = Arc::new(self.ask_configure(config, target_kind)?);
        let mut configured = lock();
        if configured.len() >= CONFIGURED_MAX {
            configured.clear();
        }
        configured.insert(key, Arc::clone(&needs));
        Ok(needs)
    }

    fn ask_configure(&self, config: &str, target_kind: &str) -> Result<Needs, Vec<ConfigIssue>> {
        let limits = &self.shared.limits;
        if config.len() as u64 > limits.answer.config_bytes {
            let text = format!(
                "the config has {} bytes, and {} is the limit",
                config.len(),
                limits.answer.config_bytes
            );
            return Err(whole_config(text));
        }
        if !config.trim().is_empty()
            && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(config)
        {
            return Err(whole_config(format!("the config is not JSON: {error}")));
        }
        let failed =
            |failure: Failure| whole_config(format!("the policy could not check it: {failure}"));
        let _pass = self.shared.gate.enter();
        let mut running = start(
            &self.shared,
            &self.pre,
            self.about.tier,
            limits.call.check_fuel,
        )
        .map_err(failed)?;
        let said = running.policy.foreshard_policy_scaling().call_configure(
            &mut running.store,
            config,
            target_kind,
        );
        match said.map_err(|error| failed(Failure::of_call(&error)))? {
            Ok(needs) => {
                let needs = lift::needs(needs);
                check::needs(&limits.answer, &needs).map_err(failed)?;
                Ok(needs)
            }
            Err(issues) if issues.is_empty() => {
                Err(whole_config("the policy refused it without saying why"))
            }
            Err(issues) => Err(check::issues(&limits.answer, lift::issues(issues))),
        }
    }
}
