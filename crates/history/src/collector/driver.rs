//! The task that asks: what is due, in which order, and how much at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::answer::{Bounds, Form};
use super::budget::Budget;
use super::clock::Clock;
use super::config::Limits;
use super::entry::Entry;
use super::health::Health;
use super::job::{self, Done, Job};
use super::pace::Pace;
use super::plan::{Id, Unit};
use super::queue::Queue;
use super::registry::Registry;
use super::signal::RECENT_STEP_SECONDS;
use super::stats::{Counters, Purpose};
use super::transport::{Ask, Transport, When};

/// How long what comes and goes is gathered before groups are formed anew.
const GATHER: Duration = Duration::from_millis(200);

/// How long nothing new may have come before old bins are asked for: what comes together is asked for together, and its
/// newest samples matter more.
const SETTLED: Duration = Duration::from_secs(2);

/// The longest that old bins wait for that.
const SETTLED_MAX: Duration = Duration::from_secs(30);

/// When to look again where nothing is due: any change wakes the task before.
const IDLE: Duration = Duration::from_secs(60);

/// Everything that the task owns.
pub(super) struct Driver {
    lines: watch::Receiver<Line>,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) registry: Arc<Registry>,
    pub(super) counters: Arc<Counters>,
    pub(super) limits: Limits,
    pub(super) poll_every: Duration,
    pub(super) timeout: Duration,
    pub(super) clock: Clock,
    pub(super) entries: BTreeMap<Id, Entry>,
    pub(super) units: Vec<Unit>,
    /// The number of the plan that `units` are.
    pub(super) plan: u64,
    pub(super) pace: Pace,
    pub(super) live: Queue,
    pub(super) refresh: Queue,
    pub(super) backfill: Queue,
    pub(super) health: Health,
    /// Nothing but live queries before this time.
    pub(super) bins_paused_until: Instant,
    /// Seconds by which the server's clock is ahead of ours, by its newest answer.
    pub(super) skew: i64,
    budget: Budget,
    jobs: JoinSet<Done>,
    bins_running: usize,
    backfills_running: usize,
    newcomers: Newcomers,
    plan_due: Option<Instant>,
    /// When signals that stay alone may be grouped again.
    rejoin_due: Option<Instant>,
}

/// How the source is asked.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) queries_per_minute_max: u32,
}

/// When signals came.
#[derive(Clone, Copy, Debug)]
struct Newcomers {
    first: Instant,
    last: Instant,
}

impl Newcomers {
    fn came(&mut self, now: Instant) {
        if now > self.settled() {
            self.first = now;
        }
        self.last = now;
    }

    /// From when on those that came are fetched the past of.
    fn settled(self) -> Instant {
        (self.last + SETTLED).min(self.first + SETTLED_MAX)
    }
}

impl Driver {
    pub(super) fn new(
        lines: watch::Receiver<Line>,
        registry: Arc<Registry>,
        counters: Arc<Counters>,
        limits: Limits,
        (poll_every, timeout): (Duration, Duration),
        clock: Clock,
    ) -> Self {
        let now = Instant::now();
        let pace = Pace::new(0, poll_every, limits.queries_per_minute_max);
        counters.paced(0, pace.poll, pace.refresh);
        let transport = Arc::clone(&lines.borrow().transport);
        Self {
            lines,
            transport,
            registry,
            counters,
            budget: Budget::new(limits.queries_per_minute_max, now),
            limits,
            poll_every,
            timeout,
            clock,
            entries: BTreeMap::new(),
            units: Vec::new(),
            plan: 0,
            pace,
            live: Queue::default(),
            refresh: Queue::default(),
            backfill: Queue::default(),
            health: Health::default(),
            bins_paused_until: now,
            skew: 0,
            jobs: JoinSet::new(),
            bins_running: 0,
            backfills_running: 0,
            newcomers: Newcomers {
                first: now,
                last: now,
            },
            plan_due: None,
            rejoin_due: None,
        }
    }

    /// Runs until it is dropped.
    pub(super) async fn run(mut self) {
        let registry = Arc::clone(&self.registry);
        loop {
            let wake = self.dispatch();
            tokio::select! {
                () = registry.changed.notified() => self.plan_by(Instant::now() + GATHER),
                Some(done) = self.jobs.join_next() => self.finished(done),
                Ok(()) = self.lines.changed() => self.renewed(Instant::now()),
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// Another limit, or another way to the server: whoever was refused on the old one is asked for again.
    fn renewed(&mut self, now: Instant) {
        let line = self.lines.borrow_and_update().clone();
        if line.queries_per_minute_max != self.limits.queries_per_minute_max {
            self.limits.queries_per_minute_max = line.queries_per_minute_max;
            self.budget.limit(line.queries_per_minute_max, now);
        }
        if !Arc::ptr_eq(&line.transport, &self.transport) {
            self.transport = line.transport;
            self.health.answered();
            for entry in self.entries.values_mut() {
                entry.try_again(now);
            }
        }
        self.plan_by(now);
    }

    /// Signals came.
    pub(super) fn came(&mut self, now: Instant) {
        self.newcomers.came(now);
    }

    /// Forms groups anew at that time at the latest.
    pub(super) fn plan_by(&mut self, time: Instant) {
        self.plan_due = Some(self.plan_due.map_or(time, |due| due.min(time)));
    }

    /// Forms groups anew at that time as well.
    pub(super) fn plan_again_at(&mut self, time: Instant) {
        self.rejoin_due = Some(self.rejoin_due.map_or(time, |due| due.min(time)));
    }

    /// The end of the newest complete bin, in Unix seconds, by the slower of both clocks.
    pub(super) fn newest_bin(&self) -> i64 {
        let now = self.clock.unix() + self.skew.min(0);
        now.div_euclid(RECENT_STEP_SECONDS) * RECENT_STEP_SECONDS
    }

    fn finished(&mut self, done: Result<Done, tokio::task::JoinError>) {
        // A job neither panics nor is it cancelled before the task itself is.
        let Ok(done) = done else { return };
        match done.job.task.purpose() {
            Purpose::Live => {}
            Purpose::Refresh => self.bins_running -= 1,
            Purpose::Backfill => {
                self.bins_running -= 1;
                self.backfills_running -= 1;
            }
        }
        self.apply(done);
    }

    /// Sends what is due and may be sent; returns when to look again.
    fn dispatch(&mut self) -> Instant {
        loop {
            let now = Instant::now();
            let dues = [self.plan_due, self.rejoin_due].into_iter().flatten();
            let idle = dues.min().unwrap_or(now + IDLE).min(now + IDLE);
            if idle <= now {
                self.plan_due = None;
                self.rejoin_due = self.rejoin_due.filter(|due| *due > now);
                self.replan(now);
                continue;
            }
            let next = self.next(now);
            let next = next.and_then(|purpose| self.budget.ready(now).map(|()| purpose));
            let job = match next {
                Err(when) => return when.min(idle),
                Ok(Purpose::Live) => self.live_job(now),
                Ok(Purpose::Refresh) => self.refresh_job(now),
                Ok(Purpose::Backfill) => self.backfill_job(now),
            };
            if let Some((job, when)) = job {
                self.send(job, when);
            }
        }
    }

    /// What to send now: live samples before new bins before old ones. Otherwise when to look again.
    fn next(&self, now: Instant) -> Result<Purpose, Instant> {
        let idle = now + IDLE;
        let parallel_max = self.limits.parallel_requests_max.max(1);
        if self.jobs.len() >= parallel_max {
            return Err(idle);
        }
        let due = |queue: &Queue| queue.due().unwrap_or(idle);
        let live = due(&self.live);
        if let Some((probe, _)) = self.health.down() {
            // One at a time, and nothing but live queries.
            let free = if self.jobs.is_empty() {
                live.max(probe)
            } else {
                idle
            };
            return if free <= now {
                Ok(Purpose::Live)
            } else {
                Err(free)
            };
        }
        if live <= now {
            return Ok(Purpose::Live);
        }
        // A place stays free for live queries, which come first only if there is one.
        if self.bins_running >= (parallel_max - 1).max(1) {
            return Err(live);
        }
        let refresh = due(&self.refresh).max(self.bins_paused_until);
        if refresh <= now {
            return Ok(Purpose::Refresh);
        }
        if self.backfills_running >= (parallel_max / 2).max(1) {
            return Err(live.min(refresh));
        }
        let backfill = due(&self.backfill)
            .max(self.bins_paused_until)
            .max(self.newcomers.settled());
        if backfill <= now {
            return Ok(Purpose::Backfill);
        }
        Err(live.min(refresh).min(backfill))
    }

    fn send(&mut self, job: Job, when: When) {
        self.budget.take();
        let (promql, series_max) = self.question(&job);
        let samples_max = self.limits.samples_per_answer_max;
        let ask = Ask {
            promql,
            when,
            series_max,
        };
        match job.task.purpose() {
            Purpose::Live => {}
            Purpose::Refresh => self.bins_running += 1,
            Purpose::Backfill => {
                self.bins_running += 1;
                self.backfills_running += 1;
            }
        }
        let bounds = Bounds {
            form: if when == When::Now {
                Form::Instant
            } else {
                Form::Range
            },
            series_max,
            samples_max,
        };
        let transport = Arc::clone(&self.transport);
        let counters = Arc::clone(&self.counters);
        self.jobs.spawn(job::run(
            job,
            ask,
            bounds,
            transport,
            self.timeout,
            counters,
        ));
    }
}
