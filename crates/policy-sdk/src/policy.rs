//! The trait that a policy implements and the macro that exports it.

use serde::de::DeserializeOwned;

use crate::{ConfigIssue, Context, Decision, Descriptor, Needs, Proposal, Verdict};

/// A scaling policy.
pub trait Policy {
    /// Read from the JSON that the user gave; give fields defaults with serde and deny unknown ones.
    type Config: DeserializeOwned;

    /// Name, version, actions and the JSON Schema of the config.
    fn describe() -> Descriptor;

    /// What data the configured policy needs.
    ///
    /// # Errors
    /// What is wrong with the config, and where.
    fn configure(config: &Self::Config, target_kind: &str) -> Result<Needs, Vec<ConfigIssue>>;

    /// What should change now.
    ///
    /// # Errors
    /// One sentence; the platform reports it as a finding and goes on as if the policy had abstained.
    fn evaluate(config: &Self::Config, context: &Context) -> Result<Verdict, String>;
}

/// A decision with these proposals; every part without one is held as it is.
#[must_use]
pub fn decide(proposals: Vec<Proposal>, reason: impl Into<String>) -> Decision {
    Decision {
        proposals,
        reason: reason.into(),
        measures: Vec::new(),
        memory: None,
    }
}

/// Sends the text of a panic to the platform's log: on this target it would go nowhere.
pub(crate) fn report_panics() {
    #[cfg(target_arch = "wasm32")]
    std::panic::set_hook(Box::new(|panic| log_warn(&panic.to_string())));
}

fn parse<T: DeserializeOwned>(config: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(if config.trim().is_empty() {
        "{}"
    } else {
        config
    })
}

/// `configure` of the contract.
#[doc(hidden)]
pub fn configure_with<P: Policy>(
    config: &str,
    target_kind: &str,
) -> Result<Needs, Vec<ConfigIssue>> {
    report_panics();
    let config = parse::<P::Config>(config).map_err(|error| {
        vec![ConfigIssue {
            path: String::new(),
            message: error.to_string(),
        }]
    })?;
    P::configure(&config, target_kind)
}

/// `evaluate` of the contract.
#[doc(hidden)]
pub fn evaluate_with<P: Policy>(context: &Context) -> Result<Verdict, String> {
    report_panics();
    let config = parse::<P::Config>(&context.config).map_err(|error| format!("config: {error}"))?;
    P::evaluate(&config, context)
}

macro_rules! loggers {
    ($($(#[$meta:meta])* $name:ident => $level:ident)*) => {$(
        $(#[$meta])*
        pub fn $name(message: &str) {
            #[cfg(target_arch = "wasm32")]
            crate::bindings::foreshard::policy::logging::log(
                crate::bindings::foreshard::policy::logging::Level::$level,
                message,
            );
            #[cfg(not(target_arch = "wasm32"))]
            eprintln!("{}: {message}", stringify!($level));
        }
    )*};
}

loggers! {
    /// A line for whoever develops the policy. Natively, in unit tests, it goes to standard error.
    log_debug => Debug
    /// A line for the platform's log.
    log_info => Info
    /// A line that somebody should read.
    log_warn => Warn
}

/// Exports a [`Policy`] as the component's `foreshard:policy/scaling`. Does nothing natively.
#[macro_export]
macro_rules! export_policy {
    ($policy:ty) => {
        #[cfg(target_arch = "wasm32")]
        mod foreshard_component {
            use $crate::bindings::exports::foreshard::policy::scaling as contract;

            use super::*;

            struct Component;

            impl contract::Guest for Component {
                fn describe() -> $crate::Descriptor {
                    <$policy as $crate::Policy>::describe()
                }
                fn configure(
                    config: String,
                    target_kind: String,
                ) -> Result<$crate::Needs, Vec<$crate::ConfigIssue>> {
                    $crate::configure_with::<$policy>(&config, &target_kind)
                }
                fn evaluate(context: $crate::Context) -> Result<$crate::Verdict, String> {
                    $crate::evaluate_with::<$policy>(&context)
                }
            }

            #[allow(unsafe_code, reason = "the canonical ABI's entry points are generated")]
            mod exports {
                use super::Component;
                $crate::bindings::export_component!(Component);
            }
        }
    };
}
