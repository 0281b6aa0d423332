//! The built-in policies, as the components that users could have written.
#![forbid(unsafe_code)]

mod policies {
    include!(concat!(env!("OUT_DIR"), "/policies.rs"));
}

/// The policy that is in force where the user names none.
pub const DEFAULT: &str = "forecast-headroom";

/// The names of all built-in policies, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    policies::ALL.iter().map(|(name, _)| *name)
}

/// The component of a built-in policy.
#[must_use]
pub fn component(name: &str) -> Option<&'static [u8]> {
    policies::ALL
        .iter()
        .find(|(have, _)| *have == name)
        .map(|(_, component)| *component)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_issued_policies_are_there() {
        assert_eq!(
            names().collect::<Vec<_>>(),
            ["forecast-headroom", "schedule", "target-tracking"]
        );
        assert!(component(DEFAULT).is_some());
        assert!(component("nothing").is_none());
    }
}
