//! Whether the server answers at all.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::fault::{Fault, FaultKind, Scope};

/// First wait before a server that failed is asked again; doubled each time.
const PROBE_FIRST: Duration = Duration::from_secs(1);

/// Longest wait of our own choosing.
const PROBE_MAX: Duration = Duration::from_secs(30);

/// Longest wait that a server may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// So many queries in a row that come to nothing mean that it is not the queries.
const SILENT_MAX: u32 = 3;

/// While a server is down, one query at a time looks whether it is back; nothing else is sent.
#[derive(Debug, Default)]
pub(super) struct Health {
    down: Option<Down>,
    silent: u32,
}

#[derive(Debug)]
struct Down {
    fault: Arc<Fault>,
    probe: Instant,
    noticed: Instant,
    failures: u32,
}

impl Health {
    /// When the next query may be sent to a server that is down, and why it is.
    pub(super) fn down(&self) -> Option<(Instant, &Arc<Fault>)> {
        self.down.as_ref().map(|down| (down.probe, &down.fault))
    }

    /// The server answered, whatever it said.
    pub(super) fn answered(&mut self) {
        *self = Self::default();
    }

    /// A query that was sent at `sent` failed. Returns whether that concerns all.
    pub(super) fn failed(&mut self, fault: &Arc<Fault>, sent: Instant, now: Instant) -> bool {
        let silent = matches!(fault.kind(), FaultKind::TimedOut | FaultKind::Interrupted);
        if fault.scope() == Scope::Query && !silent {
            self.answered();
            return false;
        }
        self.silent += 1;
        if silent && self.silent < SILENT_MAX && self.down.is_none() {
            return false;
        }
        let failures = match &self.down {
            // Sent before the last failure was known: one outage, not several.
            Some(down) if sent < down.noticed => down.failures,
            Some(down) => down.failures + 1,
            None => 0,
        };
        let own = (PROBE_FIRST * 2_u32.pow(failures.min(5))).min(PROBE_MAX);
        let asked = fault.retry_after().unwrap_or_default().min(RETRY_AFTER_MAX);
        self.down = Some(Down {
            fault: Arc::clone(fault),
            probe: now + own.max(asked),
            noticed: now,
            failures,
        });
        true
    }
}
