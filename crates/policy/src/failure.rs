//! What went wrong in one call of a policy.

use std::fmt;

use foreshard_decide::{Finding, FindingCode};
use serde::Serialize;
use wasmtime::{Trap, WasmBacktrace};

use crate::check;

/// What went wrong in one call of a policy: the verdict is then *abstain*.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What kind of failure.
    pub kind: FailureKind,
    /// The part that it is about, or "".
    pub part: String,
    /// One sentence for people.
    pub message: String,
}

/// The kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The guest trapped: a panic, an access out of bounds, a division by zero.
    Trap,
    /// The guest ran deeper than its stack.
    StackOverflow,
    /// The guest used up its fuel.
    OutOfFuel,
    /// The guest ran longer than its deadline.
    Deadline,
    /// The guest wanted more memory or larger tables than its tier has.
    OutOfMemory,
    /// The guest called a WASI function that policies do not get.
    RefusedCall,
    /// The answer is larger than allowed.
    AnswerTooLarge,
    /// A number of the answer is not finite, or out of its range.
    NotANumber,
    /// The answer names a part that the target does not have.
    UnknownPart,
    /// The answer has an action that the policy did not declare.
    UndeclaredAction,
    /// The policy itself reported an error.
    Reported,
    /// The host could not run it.
    Host,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            part: String::new(),
            message: message.into(),
        }
    }

    pub(crate) fn of_part(kind: FailureKind, part: &str, message: impl Into<String>) -> Self {
        Self {
            part: part.to_owned(),
            ..Self::new(kind, message)
        }
    }

    /// The same as the decision core has it, about the policy with this name.
    #[must_use]
    pub fn to_finding(&self, policy: &str) -> Finding {
        let code = match self.kind {
            FailureKind::UnknownPart => FindingCode::UnknownPart,
            FailureKind::UndeclaredAction => FindingCode::UnsupportedAction,
            _ => FindingCode::PolicyFailed,
        };
        Finding::new(code, &self.part, policy, self.message.clone())
    }

    /// Reads what wasmtime says of a failed call.
    pub(crate) fn of_call(error: &wasmtime::Error) -> Self {
        if let Some(stopped) = error.downcast_ref::<Stopped>() {
            return Self::new(stopped.kind(), format!("{stopped}{}", place(error)));
        }
        let kind = match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => FailureKind::OutOfFuel,
            Some(Trap::Interrupt) => FailureKind::Deadline,
            Some(Trap::StackOverflow) => FailureKind::StackOverflow,
            Some(_) => FailureKind::Trap,
            None => FailureKind::AnswerTooLarge,
        };
        let message = match (kind, error.downcast_ref::<Trap>()) {
            (FailureKind::OutOfFuel, _) => "the policy used up its fuel".to_owned(),
            (FailureKind::Deadline, _) => "the policy ran longer than its deadline".to_owned(),
            (FailureKind::StackOverflow, _) => "the policy ran deeper than its stack".to_owned(),
            (_, Some(trap)) => format!(
                "the policy trapped: {}",
                trap.to_string().trim_start_matches("wasm trap: ")
            ),
            (_, None) => format!("the policy's answer can't be read: {}", error.root_cause()),
        };
        Self::new(kind, format!("{message}{}", place(error)))
    }
}

/// The innermost functions that have a name.
fn place(error: &wasmtime::Error) -> String {
    let Some(trace) = error.downcast_ref::<WasmBacktrace>() else {
        return String::new();
    };
    let name = |name: &str| {
        let mut name = format!("{:#}", rustc_demangle::demangle(name));
        check::cut(&mut name, NAME_BYTES_MAX);
        name
    };
    let frames = trace.frames().iter();
    let names: Vec<String> = frames
        .filter_map(|frame| frame.func_name())
        .take(3)
        .map(name)
        .collect();
    if names.is_empty() {
        String::new()
    } else {
        format!(", in {}", names.join(" < "))
    }
}

/// Generic functions have names that nobody reads to their end.
const NAME_BYTES_MAX: u64 = 80;

/// Why the host stopped a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    Memory { wanted: usize, limit: usize },
    Table { wanted: usize, limit: usize },
    Call { name: String },
}

impl Stopped {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Memory { .. } | Self::Table { .. } => FailureKind::OutOfMemory,
            Self::Call { .. } => FailureKind::RefusedCall,
        }
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory { wanted, limit } => {
                write!(
                    f,
                    "the policy wanted {wanted} bytes of memory, and {limit} is the limit"
                )
            }
            Self::Table { wanted, limit } => {
                write!(
                    f,
                    "the policy wanted a table of {wanted} elements, and {limit} is the limit"
                )
            }
            Self::Call { name } => write!(f, "the policy called {name}, which policies do not get"),
        }
    }
}

impl std::error::Error for Stopped {}
