//! Annotations that people set, and labels that we set.

/// `"true"`: the object is left alone; it is still observed and recommended for. Honoured within 10 s.
pub const PAUSED: &str = "foreshard.dev/paused";
/// On a recommendation: the policy that it is for.
pub const POLICY: &str = "foreshard.dev/policy";
/// On what holds a module's bytes: the module.
pub const MODULE: &str = "foreshard.dev/policy-module";
/// On what people have ordered, such as an override: who it was.
pub const ORDERED_BY: &str = "foreshard.dev/ordered-by";
/// On what people have ordered and has no field for it: why.
pub const REASON: &str = "foreshard.dev/reason";
/// Name of the ConfigMap in the operator's namespace that stops all acting while its key `paused` is `"true"`.
pub const KILL_SWITCH: &str = "foreshard-kill-switch";

/// Whether the object asks to be left alone.
#[must_use]
pub fn is_paused(annotations: Option<&std::collections::BTreeMap<String, String>>) -> bool {
    annotations.is_some_and(|all| all.get(PAUSED).is_some_and(|value| value == "true"))
}
