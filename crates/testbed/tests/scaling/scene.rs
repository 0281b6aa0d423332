//! The load: a recorded one, moved in time so that one of its rises is minutes ahead.

use std::path::Path;

use foreshard_history::trace::{self, ReadOptions};
use foreshard_testbed::HistorySeries;

/// CPU of an auto-scaling group over 62 days at 5 min, from the Numenta Anomaly Benchmark.
pub(crate) const TRACE: &str = "examples/traces/nab_asg_cpu.csv.gz";
/// 2014-07-10 13:03:18 UTC: here the load goes beyond what [`REPLICAS`] can serve, on its way from 31 to 100 percent.
/// It was chosen as one that the replay's policy is ahead of: what is asserted is order and safety where there is
/// something to foresee. How often there is, the replay says over all 62 days.
const RISE: i64 = 1_404_997_398;
/// A percent of the trace stands for this many requests a second.
const FACTOR: f64 = 10.0;

/// Requests a second for each replica that everybody steers to: 70 % of [`CAPACITY`].
pub(crate) const TARGET: f64 = 125.0;
/// Requests a second that a replica can serve.
pub(crate) const CAPACITY: f64 = TARGET / 0.7;
/// Replicas at the beginning: what the load takes before the rise.
pub(crate) const REPLICAS: u32 = 3;
/// Most replicas.
pub(crate) const REPLICAS_MAX: u32 = 10;

const DAY: i64 = 86_400;
/// History that Prometheus has.
pub(crate) const HISTORY_DAYS: i64 = 28;
/// Between two samples of it: as often as a real one might scrape.
const SAMPLE_SECONDS: i64 = 30;

/// A load over time. Times are Unix seconds.
#[derive(Clone)]
pub(crate) struct Scene {
    /// What is added to the trace's times.
    shift: i64,
    start: i64,
    step: i64,
    values: Vec<f64>,
    /// Requests up to the middle of each bin.
    sums: Vec<f64>,
}

impl Scene {
    /// The load that rises at `earliest` or soon after. It is moved so that the trace's values, which are reached in the
    /// middle of its bins, are reached where the history is sampled: at whole steps. Sampled in between, the peak that is
    /// to be foreseen would be another one in every run.
    pub(crate) fn rising_from(root: &Path, earliest: i64) -> Self {
        let path = root.join(TRACE);
        let series = trace::read(&path, &ReadOptions::default(), &mut |_| {}).unwrap();
        let first = (RISE - (HISTORY_DAYS + 1) * DAY - series.start) / series.step;
        let last = (RISE + DAY - series.start) / series.step;
        let values: Vec<f64> = series.values[first as usize..last as usize]
            .iter()
            .map(|value| value * FACTOR)
            .collect();
        assert!(values.iter().all(|value| value.is_finite()), "a gap");
        let step = series.step;
        let mut sum = 0.0;
        let mut sums = vec![sum];
        for pair in values.windows(2) {
            sum += (pair[0] + pair[1]) / 2.0 * step as f64;
            sums.push(sum);
        }
        Self {
            shift: (earliest - RISE + step - 1).div_euclid(step) * step + step / 2,
            start: series.start + first * step,
            step,
            values,
            sums,
        }
    }

    /// When the load goes beyond what [`REPLICAS`] can serve.
    pub(crate) fn rise(&self) -> i64 {
        RISE + self.shift
    }

    /// A time of the trace for one of now.
    pub(crate) fn in_trace(&self, at: i64) -> i64 {
        at - self.shift
    }

    /// Requests a second: linear between the middles of bins, as in the replay model.
    pub(crate) fn load(&self, at: f64) -> f64 {
        let (bin, share) = self.place(at);
        self.values[bin] + (self.values[bin + 1] - self.values[bin]) * share
    }

    /// Requests since the beginning.
    pub(crate) fn requests(&self, at: f64) -> f64 {
        let (bin, share) = self.place(at);
        let mean = (self.values[bin] + self.load(at)) / 2.0;
        self.sums[bin] + mean * share * self.step as f64
    }

    /// The highest load from one time to another.
    pub(crate) fn peak(&self, from: i64, to: i64) -> f64 {
        (from..=to)
            .map(|at| self.load(at as f64))
            .fold(0.0, f64::max)
    }

    /// The counter as a Prometheus would have it that scraped it until now.
    pub(crate) fn history(&self, labels: Vec<(String, String)>, now: i64) -> HistorySeries {
        let first = now - HISTORY_DAYS * DAY;
        let times = (first..now).step_by(SAMPLE_SECONDS as usize);
        HistorySeries {
            name: "requests_total".to_owned(),
            labels,
            samples: times.map(|at| (at, self.requests(at as f64))).collect(),
        }
    }

    /// The bin whose middle is before `at`, and how far `at` is on the way to the next one.
    fn place(&self, at: f64) -> (usize, f64) {
        let middle = (self.start + self.shift) as f64 + self.step as f64 / 2.0;
        let bins = (at - middle) / self.step as f64;
        assert!(bins >= 0.0, "before the trace");
        (bins as usize, bins.fract())
    }
}

#[test]
fn the_rise_is_where_it_is_said_to_be() {
    let scene = Scene::rising_from(&crate::root(), 2_000_000_000);
    let most = f64::from(REPLICAS) * CAPACITY;
    assert!(scene.load((scene.rise() - 2) as f64) < most);
    assert!(scene.load((scene.rise() + 2) as f64) > most);
    // The counter's slope is the load.
    let at = scene.rise() as f64;
    let slope = (scene.requests(at + 1.0) - scene.requests(at - 1.0)) / 2.0;
    assert!((slope - scene.load(at)).abs() < 1.0, "{slope}");
}
