//! What happened at each tick, enough to recompute every figure of the policy.

use std::io;

use jiff::Timestamp;

use super::play::Run;
use super::report::timestamp;
use super::world::World;

/// One tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// The tick's time.
    pub timestamp: Timestamp,
    /// Demand, in the trace's unit.
    pub demand: f64,
    /// The newest live sample that the policy saw, in the trace's unit; none where it was missing.
    pub seen: Option<f64>,
    /// Instances wanted.
    pub wanted: u32,
    /// Instances that served.
    pub ready: u32,
    /// Instances paid for.
    pub paid: u32,
}

/// The ticks of one run.
#[derive(Clone, Copy)]
pub struct Timeline<'a> {
    world: &'a World,
    run: &'a Run,
}

impl<'a> Timeline<'a> {
    /// The ticks of `run` in `world`.
    #[must_use]
    pub fn new(world: &'a World, run: &'a Run) -> Self {
        Self { world, run }
    }

    /// One row for each tick of the run, those before the scored ones included.
    pub fn rows(self) -> impl Iterator<Item = Row> + 'a {
        let ticks = self.world.run_start()..self.world.end();
        ticks.zip(self.run.wanted.iter().zip(&self.run.ready)).map(
            move |(tick, (&wanted, &ready))| Row {
                timestamp: timestamp(self.world.time(tick)),
                demand: self.world.demand(tick),
                seen: self.world.seen(tick).map(|sample| sample.value),
                wanted,
                ready,
                paid: wanted,
            },
        )
    }

    /// Writes the rows as CSV with a header, numbers in full precision, `seen` empty where it is missing.
    ///
    /// # Errors
    /// When `out` does.
    pub fn write_csv(self, mut out: impl io::Write) -> io::Result<()> {
        writeln!(out, "timestamp,demand,seen,wanted,ready,paid")?;
        for Row {
            timestamp,
            demand,
            seen,
            wanted,
            ready,
            paid,
        } in self.rows()
        {
            write!(out, "{timestamp},{demand},")?;
            if let Some(seen) = seen {
                write!(out, "{seen}")?;
            }
            writeln!(out, ",{wanted},{ready},{paid}")?;
        }
        out.flush()
    }
}
