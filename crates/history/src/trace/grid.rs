//! From rows to a regular grid, without keeping a time for every row.

use std::collections::BTreeMap;

use foreshard_forecast::Series;

use super::error::TraceProblem;

/// Rows at equal distances: `time`, `time + step`, … `count` of them.
#[derive(Clone, Copy, Debug)]
struct Run {
    time: i64,
    /// Seconds between the rows; meaningless while there is one.
    step: i64,
    count: usize,
    /// Line of the first row in the file.
    line: u64,
}

impl Run {
    /// Seconds by which each row is farther off a grid of `step` than the one before it.
    fn drift(&self, step: i64) -> i64 {
        if self.count > 1 {
            self.step.rem_euclid(step)
        } else {
            0
        }
    }
}

/// Collects rows in ascending time and lays them on the grid that most of them share.
pub(super) struct Grid {
    bins_max: usize,
    values: Vec<f64>,
    /// Run-length encoded times of `values`: one entry while the file is regular.
    runs: Vec<Run>,
    last: i64,
    /// How often each difference between neighbouring rows was seen.
    differences: BTreeMap<i64, u64>,
}

impl Grid {
    pub(super) fn new(bins_max: usize) -> Self {
        Self {
            bins_max,
            values: Vec::new(),
            runs: Vec::new(),
            last: 0,
            differences: BTreeMap::new(),
        }
    }

    /// Takes the next row; `line` is where it stands.
    pub(super) fn push(
        &mut self,
        (time, value): (i64, f64),
        line: u64,
    ) -> Result<(), TraceProblem> {
        if self.values.len() == self.bins_max {
            return Err(self.too_long(self.bins_max as u64 + 1));
        }
        if let Some(run) = self.runs.last_mut() {
            let difference = time - self.last;
            match difference {
                0 => return Err(TraceProblem::Duplicate),
                ..0 => {
                    return Err(TraceProblem::Unsorted {
                        seconds: -difference,
                    });
                }
                1.. => *self.differences.entry(difference).or_default() += 1,
            }
            if run.count == 1 {
                run.step = difference;
            }
            if run.step == difference {
                run.count += 1;
            } else {
                self.runs.push(Run {
                    time,
                    step: 0,
                    count: 1,
                    line,
                });
            }
        } else {
            self.runs.push(Run {
                time,
                step: 0,
                count: 1,
                line,
            });
        }
        self.last = time;
        self.values.push(value);
        Ok(())
    }

    /// The series, or what is wrong and on which line.
    pub(super) fn finish(self) -> Result<Series, (Option<u64>, TraceProblem)> {
        let rows = self.values.len() as u64;
        // The most common difference; of two equally common ones the finer, on which the other's rows may lie too.
        let step = self
            .differences
            .iter()
            .max_by_key(|&(&step, &count)| (count, -step));
        let Some((&step, _)) = step else {
            return Err((None, TraceProblem::TooShort { rows }));
        };
        if self.values.iter().all(|value| value.is_nan()) {
            return Err((None, TraceProblem::NoValues));
        }
        self.check_grid(step)?;
        let start = self.runs[0].time;
        let bins = (self.last - start) / step + 1;
        if bins as u64 > self.bins_max as u64 {
            return Err((None, self.too_long(bins as u64)));
        }
        if bins as u64 == rows {
            return Ok(Series {
                start,
                step,
                values: self.values,
            });
        }
        let mut values = vec![f64::NAN; bins as usize];
        let mut rest = self.values.as_slice();
        for run in &self.runs {
            let (taken, after) = rest.split_at(run.count);
            let first = ((run.time - start) / step) as usize;
            for (i, value) in taken.iter().enumerate() {
                values[first + i * (run.step / step) as usize] = *value;
            }
            rest = after;
        }
        Ok(Series {
            start,
            step,
            values,
        })
    }

    /// Refuses the first row that is not on the grid; the grid is where most rows are, not where the first one is.
    fn check_grid(&self, step: i64) -> Result<(), (Option<u64>, TraceProblem)> {
        let mut phases: BTreeMap<i64, usize> = BTreeMap::new();
        for run in &self.runs {
            let in_phase = if run.drift(step) == 0 { run.count } else { 1 };
            *phases.entry(run.time.rem_euclid(step)).or_default() += in_phase;
        }
        let phase = phases.iter().max_by_key(|&(_, count)| count);
        let phase = phase.map_or(0, |(&phase, _)| phase);
        for run in &self.runs {
            let off = (run.time - phase).rem_euclid(step);
            // A drifting run is off the grid from its second row on at the latest.
            let (line, seconds) = if off != 0 {
                (run.line, off)
            } else {
                (run.line + 1, run.drift(step))
            };
            if seconds != 0 {
                return Err((Some(line), TraceProblem::OffGrid { seconds, step }));
            }
        }
        Ok(())
    }

    fn too_long(&self, bins: u64) -> TraceProblem {
        TraceProblem::TooLong {
            bins,
            bins_max: self.bins_max,
        }
    }
}
