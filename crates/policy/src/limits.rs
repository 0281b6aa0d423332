//! Every limit that a policy meets, with its default.

use std::fmt;

use serde::{Deserialize, Serialize};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// How much room a component gets: what a compiled language needs, or what an interpreter that is packed with its
/// script needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// Rust, C, C++, Zig and the like.
    #[default]
    Standard,
    /// JavaScript, Python, Go.
    Interpreter,
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Standard => "standard",
            Self::Interpreter => "interpreter",
        })
    }
}

/// All limits; [`Limits::default`] is what the documentation promises.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// For [`Tier::Standard`].
    pub standard: TierLimits,
    /// For [`Tier::Interpreter`].
    pub interpreter: TierLimits,
    /// What one call may use.
    pub call: CallLimits,
    /// What an answer may hold.
    pub answer: AnswerLimits,
}

impl Limits {
    /// The limits of a tier.
    #[must_use]
    pub fn of(&self, tier: Tier) -> &TierLimits {
        match tier {
            Tier::Standard => &self.standard,
            Tier::Interpreter => &self.interpreter,
        }
    }
}

/// What a component may be, take to compile, and hold while it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TierLimits {
    /// Size of the uploaded component.
    pub component_bytes: u64,
    /// Size of one function's body: compile time grows faster than linearly with it.
    pub function_body_bytes: u64,
    /// Functions of all core modules together.
    pub functions: u64,
    /// Core modules inside the component.
    pub core_modules: u64,
    /// Core module instances, components' own ones included.
    pub instances: u64,
    /// All linear memories together.
    pub memory_bytes: u64,
    /// Linear memories.
    pub memories: u64,
    /// Tables.
    pub tables: u64,
    /// Elements of one table.
    pub table_elements: u64,
    /// Processor time of the compiling process.
    pub compile_cpu_seconds: u64,
    /// Wall time of the compiling process.
    pub compile_wall_seconds: u64,
    /// Address space of the compiling process.
    pub compile_address_space_bytes: u64,
    /// Size of the machine code with its tables.
    pub artifact_bytes: u64,
}

/// What one call may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallLimits {
    /// Fuel (about one unit an instruction) of `evaluate`.
    pub evaluate_fuel: u64,
    /// Fuel of instantiation, and of `describe` and `configure` each.
    pub check_fuel: u64,
    /// Wall time of any call: a guard against what fuel does not measure. Long enough for fuel to run out first on a
    /// busy machine, because fuel is the same in every run and time is not.
    pub deadline_ms: u64,
    /// The guest's stack.
    pub stack_bytes: u64,
    /// What one call may make the host copy out of the guest.
    pub copied_out_bytes: u64,
    /// Lines that are kept of the log; more are counted and dropped.
    pub log_lines: u64,
    /// Bytes that are kept of a line.
    pub log_line_bytes: u64,
    /// Fuel that a log line costs, beside one unit a byte.
    pub log_line_fuel: u64,
}

/// What an answer may hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AnswerLimits {
    /// Proposals of one decision.
    pub proposals: u64,
    /// Measures of one decision.
    pub measures: u64,
    /// A sentence: reasons, messages, summaries.
    pub sentence_bytes: u64,
    /// A name: parts, actions, signals, measures.
    pub name_bytes: u64,
    /// The body of a custom action, and the config's JSON Schema.
    pub document_bytes: u64,
    /// Elements of the lists inside an action.
    pub action_elements: u64,
    /// The memory that is given back at the next evaluation.
    pub memory_bytes: u64,
    /// A config.
    pub config_bytes: u64,
    /// Declared signals, forecasts, peaks, levels, kinds; each.
    pub needs: u64,
    /// Seconds that a declared look-back or horizon may reach.
    pub reach_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            standard: TierLimits {
                component_bytes: 4 * MIB,
                function_body_bytes: 64 * KIB,
                functions: 20_000,
                core_modules: 16,
                instances: 32,
                memory_bytes: 64 * MIB,
                memories: 4,
                tables: 8,
                table_elements: 10_000,
                compile_cpu_seconds: 5,
                compile_wall_seconds: 15,
                compile_address_space_bytes: 512 * MIB,
                artifact_bytes: 32 * MIB,
            },
            interpreter: TierLimits {
                component_bytes: 32 * MIB,
                function_body_bytes: 512 * KIB,
                functions: 100_000,
                core_modules: 64,
                instances: 96,
                memory_bytes: 256 * MIB,
                memories: 4,
                tables: 16,
                table_elements: 100_000,
                compile_cpu_seconds: 60,
                compile_wall_seconds: 120,
                compile_address_space_bytes: 1024 * MIB,
                artifact_bytes: 128 * MIB,
            },
            call: CallLimits {
                evaluate_fuel: 200_000_000,
                check_fuel: 50_000_000,
                deadline_ms: 1_000,
                stack_bytes: 512 * KIB,
                copied_out_bytes: 4 * MIB,
                log_lines: 100,
                log_line_bytes: 500,
                log_line_fuel: 10_000,
            },
            answer: AnswerLimits {
                proposals: 1_000,
                measures: 64,
                sentence_bytes: 1024,
                name_bytes: 256,
                document_bytes: 64 * KIB,
                action_elements: 256,
                memory_bytes: 4 * KIB,
                config_bytes: 64 * KIB,
                needs: 64,
                reach_seconds: 400 * 86_400,
            },
        }
    }
}

impl Limits {
    /// All of them as rows: group, name with unit, value.
    #[must_use]
    pub fn rows(&self) -> Vec<(String, String, u64)> {
        let groups = match serde_json::to_value(self) {
            Ok(serde_json::Value::Object(groups)) => groups,
            _ => return Vec::new(),
        };
        let mut rows = Vec::new();
        for (group, limits) in groups {
            for (name, value) in limits.as_object().into_iter().flatten() {
                rows.push((group.clone(), name.clone(), value.as_u64().unwrap_or(0)));
            }
        }
        rows
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (group, name, value) in self.rows() {
            writeln!(f, "{group}.{name} = {value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_defaults_name_every_limit() {
        let text = Limits::default().to_string();
        for line in [
            "standard.component_bytes = 4194304",
            "standard.function_body_bytes = 65536",
            "standard.memory_bytes = 67108864",
            "interpreter.component_bytes = 33554432",
            "interpreter.function_body_bytes = 524288",
            "interpreter.memory_bytes = 268435456",
            "call.deadline_ms = 1000",
            "answer.memory_bytes = 4096",
        ] {
            assert!(
                text.lines().any(|have| have == line),
                "{line} is not in\n{text}"
            );
        }
    }
}
