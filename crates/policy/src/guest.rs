//! What belongs to one running instance: its limits and its log.

use serde::Serialize;
use wasmtime::ResourceLimiter;

use crate::{
    failure::Stopped,
    limits::{CallLimits, TierLimits},
};

/// A line that a policy wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// How loud.
    pub level: LogLevel,
    /// The text, cut off at the limit.
    pub message: String,
}

/// How loud a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// For whoever develops the policy.
    Debug,
    /// For the log.
    Info,
    /// Somebody should read it.
    Warn,
}

/// What a policy wrote in one call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Log {
    /// The first lines.
    pub lines: Vec<LogLine>,
    /// How many more there were.
    pub dropped: u64,
}

/// The data of a store.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) log: Log,
    pub(crate) random: u64,
    memory_bytes: usize,
    memory_bytes_max: usize,
    table_elements_max: usize,
    instances: usize,
    memories: usize,
    tables: usize,
    log_lines_max: usize,
    log_line_bytes_max: usize,
    log_line_fuel: u64,
}

impl Guest {
    pub(crate) fn new(tier: &TierLimits, call: &CallLimits) -> Self {
        Self {
            log: Log::default(),
            random: 0,
            memory_bytes: 0,
            memory_bytes_max: clamped(tier.memory_bytes),
            table_elements_max: clamped(tier.table_elements),
            instances: clamped(tier.instances),
            memories: clamped(tier.memories),
            tables: clamped(tier.tables),
            log_lines_max: clamped(call.log_lines),
            log_line_bytes_max: clamped(call.log_line_bytes),
            log_line_fuel: call.log_line_fuel,
        }
    }

    /// The highest sum of all memories so far; they never shrink.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// What writing a line of this length costs.
    pub(crate) fn log_fuel(&self, bytes: usize) -> u64 {
        self.log_line_fuel.saturating_add(bytes as u64)
    }

    pub(crate) fn log(&mut self, level: LogLevel, message: &str) {
        if self.log.lines.len() >= self.log_lines_max {
            self.log.dropped += 1;
            return;
        }
        let end = message.floor_char_boundary(self.log_line_bytes_max);
        self.log.lines.push(LogLine {
            level,
            message: message[..end].to_owned(),
        });
    }
}

fn clamped(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

impl ResourceLimiter for Guest {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let wanted = self
            .memory_bytes
            .saturating_add(desired.saturating_sub(current));
        if wanted > self.memory_bytes_max {
            return Err(Stopped::Memory {
                wanted,
                limit: self.memory_bytes_max,
            }
            .into());
        }
        self.memory_bytes = wanted;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > self.table_elements_max {
            return Err(Stopped::Table {
                wanted: desired,
                limit: self.table_elements_max,
            }
            .into());
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.tables
    }

    fn memories(&self) -> usize {
        self.memories
    }
}
