//! What there is to say about a policy: the port to whoever decides.

use tokio::sync::watch;

/// A recommendation that may be acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advised {
    /// Replicas that the target should have.
    pub replicas: u32,
    /// When that was decided, in Unix seconds.
    pub decided_at: i64,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// There is no such policy, or none that is valid.
    NoPolicy,
    /// Not everything was read yet that decisions rest on, or nothing was decided yet.
    Starting,
    /// The kill switch stops all.
    KillSwitch,
    /// The policy or its target is paused.
    Paused,
    /// The policy's mode lets it act by itself.
    ActsItself,
    /// What the policy needs is not there, such as fresh samples.
    NotReady,
    /// The newest decision is too old.
    Stale,
}

impl Reason {
    /// As metrics name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoPolicy => "NoPolicy",
            Self::Starting => "Starting",
            Self::KillSwitch => "KillSwitch",
            Self::Paused => "Paused",
            Self::ActsItself => "ActsItself",
            Self::NotReady => "NotReady",
            Self::Stale => "Stale",
        }
    }
}

/// There is no recommendation to act on; who asks leaves the target as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("scalingpolicy {namespace}/{policy}: {detail}")]
pub struct Withheld {
    /// The policy's namespace.
    pub namespace: String,
    /// Its name.
    pub policy: String,
    /// Why, for programs.
    pub reason: Reason,
    /// Why, and what helps, for people.
    pub detail: String,
}

/// Whoever decides. Answers come from memory: they neither wait nor write.
pub trait Advice: Send + Sync + 'static {
    /// What a policy recommends at this moment.
    ///
    /// # Errors
    /// [`Withheld`]: nothing should be changed on behalf of this policy.
    fn advise(&self, namespace: &str, policy: &str) -> Result<Advised, Withheld>;

    /// Is told when a recommendation of any policy has changed.
    fn changes(&self) -> watch::Receiver<u64>;
}
