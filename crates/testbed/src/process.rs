//! Processes by identity: a number that was given to another process meanwhile is not the same process.

use std::fs;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// One process: its number and when it was started.
///
/// The kernel gives a number again once its process is gone; number and start together are unique until a reboot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// The process's number.
    pub pid: u32,
    /// When it was started, in clock ticks since the boot.
    pub start_ticks: u64,
}

impl Identity {
    /// The process that has this number now; `None` if there is none or it has ended and only waits to be reaped.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (state, start_ticks) = parse_stat(&stat)?;
        (!matches!(state, 'Z' | 'X')).then_some(Self { pid, start_ticks })
    }

    /// The process that calls this.
    #[must_use]
    pub fn own() -> Option<Self> {
        Self::of(std::process::id())
    }

    /// A child that was not waited for yet: its number cannot have been given away, even if it has ended.
    pub(crate) fn of_child(child: &Child) -> Self {
        let pid = child.id();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let start_ticks = parse_stat(&stat).map_or(0, |(_, start_ticks)| start_ticks);
        Self { pid, start_ticks }
    }

    /// Whether this very process still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid) == Some(*self)
    }

    /// Sends a signal to this very process; whether it was there to take it.
    pub(crate) fn signal(&self, signal: Signal) -> bool {
        self.handle()
            .is_some_and(|handle| pidfd_send_signal(handle, signal).is_ok())
    }

    /// Waits for its end; whether it ended in time.
    pub(crate) fn wait_end(&self, limit: Duration) -> bool {
        let Some(handle) = self.handle() else {
            return true;
        };
        let limit = Timespec::try_from(limit).ok();
        // The handle can be read from once its process has ended.
        let _ = poll(&mut [PollFd::new(&handle, PollFlags::IN)], limit.as_ref());
        !self.is_alive()
    }

    /// Asks it to end, waits for as long as it is granted, then ends it.
    pub(crate) fn end(&self, grace: Duration) {
        /// How long the kernel may take to end what was killed.
        const KILL_SECONDS: u64 = 10;
        if !grace.is_zero() && self.signal(Signal::TERM) {
            // What was paused cannot hear the request.
            self.signal(Signal::CONT);
            self.wait_end(grace);
        }
        if self.signal(Signal::KILL) {
            self.wait_end(Duration::from_secs(KILL_SECONDS));
        }
    }

    /// A handle on this very process, if it runs. It pins the number: what is asked after this is asked of it.
    fn handle(&self) -> Option<OwnedFd> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw)?;
        let handle = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        self.is_alive().then_some(handle)
    }
}

/// State and start of `/proc/PID/stat`. The second field is the program's name in brackets and may hold anything.
fn parse_stat(stat: &str) -> Option<(char, u64)> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    // State is the third field of the file, the start its twenty-second.
    let start_ticks = fields.nth(18)?.parse().ok()?;
    Some((state, start_ticks))
}

/// Every live process whose environment holds the assignment, such as `NAME=value`.
///
/// Children inherit their environment, so this finds what a part started by itself and never told anyone about.
pub(crate) fn with_environment(assignment: &str) -> Vec<Identity> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| {
            let identity = Identity::of(pid)?;
            let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
            let found = environment
                .split(|byte| *byte == 0)
                .any(|variable| variable == assignment.as_bytes());
            (found && identity.is_alive()).then_some(identity)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_brackets_and_spaces_do_not_shift_the_fields() {
        let numbers: Vec<String> = (4..=30).map(|field| field.to_string()).collect();
        let stat = format!("17 (a) b) (c) S {}", numbers.join(" "));
        assert_eq!(parse_stat(&stat), Some(('S', 22)));
        assert_eq!(parse_stat("17 (a"), None);
    }

    #[test]
    fn a_recycled_number_is_another_process() {
        let own = Identity::own().unwrap();
        assert!(own.is_alive());
        let before = Identity {
            start_ticks: own.start_ticks - 1,
            ..own
        };
        assert!(!before.is_alive());
        assert!(!before.signal(Signal::TERM), "this test would have ended");
    }
}
