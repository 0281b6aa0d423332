//! Why a component is not taken.

use foreshard_decide::contract::ConfigIssue;
use serde::Serialize;

use crate::limits::Tier;

/// Why a component is not taken; [`Refusal::code`] is stable, the text says what is wrong and [`Refusal::fix`] what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is larger than its tier allows.
    #[error("the component has {bytes} bytes, and {limit} is the limit of the {tier} tier")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The tier's limit.
        limit: u64,
        /// The tier.
        tier: Tier,
    },
    /// It does not start like WebAssembly at all.
    #[error("this is not WebAssembly: {found}")]
    NotWasm {
        /// What it looks like.
        found: String,
    },
    /// A core module.
    #[error("this is a core WebAssembly module, not a component")]
    CoreModule,
    /// Machine code that some wasmtime made.
    #[error("this is machine code that was compiled before, which is never taken from outside")]
    Precompiled,
    /// It does not export the policy interface.
    #[error("this component does not export foreshard:policy/scaling: {found}")]
    OtherWorld {
        /// What it exports.
        found: String,
    },
    /// It was built for another version of the interface.
    #[error(
        "this component was built for foreshard:policy {version}, and this server speaks 0.1.x"
    )]
    OtherVersion {
        /// Its version.
        version: String,
    },
    /// It wants something that policies do not get.
    #[error("this component imports {import}, which policies do not get")]
    Import {
        /// The name of the import.
        import: String,
    },
    /// It holds more of something than its tier allows.
    #[error("{what} is {value}, and {limit} is the limit of the {tier} tier")]
    TooComplex {
        /// Of what there is too much.
        what: String,
        /// How much there is.
        value: u64,
        /// The tier's limit.
        limit: u64,
        /// The tier.
        tier: Tier,
    },
    /// It uses a WebAssembly feature that is off.
    #[error("the component is not valid here: {reason}")]
    Invalid {
        /// The validator's words.
        reason: String,
    },
    /// The compiler ran into its limits.
    #[error("compiling the component was stopped: {reason}")]
    CompileLimit {
        /// Which limit.
        reason: String,
    },
    /// The compiler refused it.
    #[error("the component does not compile: {reason}")]
    Compile {
        /// The compiler's words.
        reason: String,
    },
    /// `describe` failed or answered nonsense.
    #[error("the policy can't say what it is: {reason}")]
    Describe {
        /// What went wrong.
        reason: String,
    },
    /// The host could not check it; not the component's fault.
    #[error("the component could not be checked: {reason}")]
    Unavailable {
        /// What went wrong.
        reason: String,
    },
}

impl Refusal {
    /// Stable, kebab-case.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too-large",
            Self::NotWasm { .. } => "not-wasm",
            Self::CoreModule => "core-module",
            Self::Precompiled => "precompiled",
            Self::OtherWorld { .. } => "other-world",
            Self::OtherVersion { .. } => "other-version",
            Self::Import { .. } => "import-refused",
            Self::TooComplex { .. } => "too-complex",
            Self::Invalid { .. } => "invalid",
            Self::CompileLimit { .. } => "compile-limit",
            Self::Compile { .. } => "compile-failed",
            Self::Describe { .. } => "describe-failed",
            Self::Unavailable { .. } => "unavailable",
        }
    }

    /// What its author can do about it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } | Self::TooComplex { .. } => {
                "build it optimised and without debug sections (`wasm-tools strip`), or load it in the interpreter tier"
            }
            Self::NotWasm { .. } => "upload the .wasm file of a component",
            Self::CoreModule => {
                "make a component of it with `wasm-tools component new MODULE.wasm -o POLICY.wasm`, \
                 from a module that was built with the bindings of foreshard:policy"
            }
            Self::Precompiled => "upload the component that it was compiled from",
            Self::OtherWorld { .. } => {
                "build it for the world foreshard:policy/scaling-policy@0.1.0"
            }
            Self::OtherVersion { .. } => "build it against wit/policy of this server's version",
            Self::Import { .. } => {
                "remove what needs it: a policy sees its context and nothing else; sockets, http, files and threads \
                 are refused"
            }
            Self::Invalid { .. } => {
                "build it without threads, 64-bit memories, garbage collection, exceptions and multiple memories"
            }
            Self::CompileLimit { .. } => {
                "split its largest functions, or build it with less inlining"
            }
            Self::Compile { .. } => "check it with `wasm-tools validate`",
            Self::Describe { .. } => "try it with `foreshard policy check`",
            Self::Unavailable { .. } => "try again; if it stays, the server's log says more",
        }
    }

    /// Whether the fault is the component's and not the host's.
    #[must_use]
    pub fn is_fault_of_the_component(&self) -> bool {
        !matches!(self, Self::Unavailable { .. })
    }
}

impl Serialize for Refusal {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut fields = to.serialize_struct("Refusal", 3)?;
        fields.serialize_field("code", self.code())?;
        fields.serialize_field("detail", &self.to_string())?;
        fields.serialize_field("fix", self.fix())?;
        fields.end()
    }
}

/// Turns what a policy could not even answer into an issue of the whole config.
pub(crate) fn whole_config(message: impl Into<String>) -> Vec<ConfigIssue> {
    vec![ConfigIssue {
        path: String::new(),
        message: message.into(),
    }]
}
