//! How far a signal can be trusted. Absent is not zero: a gap is never read as "no load".

use crate::contract::{Quality, Seconds, Timestamp};

/// What makes data not ok.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QualityLimits {
    /// Seconds since the end of the newest real sample, above which it is stale.
    pub stale_after: Seconds,
    /// Seconds without any movement, above which a signal that used to move is frozen.
    pub frozen_after: Seconds,
    /// A sample above this multiple of the most of the last day cannot be true, until a complete bin confirms it.
    pub implausible_factor: f64,
}

impl Default for QualityLimits {
    fn default() -> Self {
        Self {
            stale_after: 180.0,
            frozen_after: 3600.0,
            implausible_factor: 20.0,
        }
    }
}

/// The data of one signal as it is known at `now`.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// When it is looked at.
    pub now: Timestamp,
    /// When the first bin begins.
    pub start: Timestamp,
    /// Seconds of a bin.
    pub step: Seconds,
    /// Means of complete bins, NaN where missing.
    pub bins: &'a [f64],
    /// A live sample newer than the bins: when and what.
    pub latest: Option<(Timestamp, f64)>,
}

/// What was found out about a signal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assessment {
    /// How far it can be trusted.
    pub quality: Quality,
    /// Seconds since the end of the newest real sample; NaN: there never was one.
    pub age: Seconds,
    /// Share of the bins that have a real sample, 0..1; 0 without bins.
    pub coverage: f64,
    /// The newest real value, unless it is too old or cannot be true.
    pub seen: Option<f64>,
}

const DAY_SECONDS: f64 = 86_400.0;
/// A run of equal values shorter than this many bins proves nothing.
const FROZEN_BINS: usize = 6;

/// Judges a signal by its newest day and live sample.
#[must_use]
pub fn assess(known: &Known<'_>, limits: &QualityLimits) -> Assessment {
    let real = known.bins.iter().filter(|value| !value.is_nan()).count();
    let newest = newest(known);
    let age = newest.map_or(f64::NAN, |(at, _)| (known.now - at).max(0.0));
    let quality = match newest {
        None => Quality::Missing,
        Some(_) if age > limits.stale_after => Quality::Stale,
        Some((_, value)) if implausible(known, value, limits) => Quality::Implausible,
        Some((_, value)) if frozen(known, value, limits) => Quality::Frozen,
        Some(_) => Quality::Ok,
    };
    Assessment {
        quality,
        age,
        coverage: if known.bins.is_empty() {
            0.0
        } else {
            real as f64 / known.bins.len() as f64
        },
        seen: match quality {
            Quality::Ok | Quality::Frozen => newest.map(|(_, value)| value),
            _ => None,
        },
    }
}

/// The newest real sample: the live one, else the last bin that is there, stamped with its end.
fn newest(known: &Known<'_>) -> Option<(Timestamp, f64)> {
    if known.latest.is_some() {
        return known.latest;
    }
    let index = known.bins.iter().rposition(|value| !value.is_nan())?;
    Some((
        known.start + known.step * (index + 1) as f64,
        known.bins[index],
    ))
}

/// The bins of the day before the newest.
fn last_day<'a>(known: &Known<'a>) -> &'a [f64] {
    let bins = (DAY_SECONDS / known.step.max(1.0)).ceil().max(1.0) as usize;
    &known.bins[known.bins.len().saturating_sub(bins)..]
}

fn implausible(known: &Known<'_>, value: f64, limits: &QualityLimits) -> bool {
    if !value.is_finite() {
        return true;
    }
    let mut past = last_day(known).iter().filter(|bin| !bin.is_nan());
    let Some(&first) = past.next() else {
        return false;
    };
    let (least, most) = past.fold((first, first), |(least, most), &bin| {
        (least.min(bin), most.max(bin))
    });
    let negative = value < 0.0 && least >= 0.0;
    // A signal that is never zero does not fall to exactly zero; its source does.
    let vanished = value == 0.0 && least > 0.0;
    let exploded = most > 0.0 && value > limits.implausible_factor * most;
    negative || vanished || exploded
}

/// Whether the signal has stood still for longer than it ever did in its history. A gap is no movement.
fn frozen(known: &Known<'_>, value: f64, limits: &QualityLimits) -> bool {
    let real = || known.bins.iter().filter(|bin| !bin.is_nan());
    let run = real().rev().take_while(|bin| same(**bin, value)).count();
    if run < FROZEN_BINS || (run as f64) * known.step < limits.frozen_after {
        return false;
    }
    let before = real().count() - run;
    before > 0 && longest_run(real().take(before)) < run
}

/// As far as can be told: bins are stored in single precision, and the newest sample is not.
fn same(a: f64, b: f64) -> bool {
    a as f32 == b as f32
}

fn longest_run<'a>(bins: impl Iterator<Item = &'a f64>) -> usize {
    let (mut longest, mut run, mut last) = (0, 0, f64::NAN);
    for &bin in bins {
        run = if same(bin, last) { run + 1 } else { 1 };
        last = bin;
        longest = longest.max(run);
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: usize = 288;

    fn assessed(
        bins: &[f64],
        latest: Option<(f64, f64)>,
        now_after_end: f64,
    ) -> (Quality, Option<f64>) {
        let known = Known {
            now: bins.len() as f64 * 300.0 + now_after_end,
            start: 0.0,
            step: 300.0,
            bins,
            latest,
        };
        let assessment = assess(&known, &QualityLimits::default());
        (assessment.quality, assessment.seen)
    }

    fn waves() -> Vec<f64> {
        let wave = |bin: usize| 100.0 + 50.0 * (bin as f64 * std::f64::consts::TAU / 288.0).sin();
        (0..2 * DAY).map(wave).collect()
    }

    #[test]
    fn qualities() {
        let end = 2.0 * DAY as f64 * 300.0;
        let live = |value| Some((end, value));
        assert_eq!(
            assessed(&waves(), live(110.0), 60.0),
            (Quality::Ok, Some(110.0))
        );
        assert_eq!(assessed(&[], None, 60.0), (Quality::Missing, None));
        assert_eq!(
            assessed(&[f64::NAN; 9], None, 60.0),
            (Quality::Missing, None)
        );
        assert_eq!(assessed(&waves(), None, 200.0), (Quality::Stale, None));
        assert_eq!(
            assessed(&waves(), live(f64::INFINITY), 60.0).0,
            Quality::Implausible
        );
        assert_eq!(assessed(&waves(), live(-1.0), 60.0).0, Quality::Implausible);
        assert_eq!(
            assessed(&waves(), live(0.0), 60.0).0,
            Quality::Implausible,
            "absent is not zero"
        );
        assert_eq!(
            assessed(&waves(), live(5000.0), 60.0).0,
            Quality::Implausible
        );
        assert_eq!(
            assessed(&waves(), live(500.0), 60.0).0,
            Quality::Ok,
            "a flash crowd is"
        );
    }

    #[test]
    fn standing_still_is_frozen_unless_it_is_usual() {
        let mut stuck = waves();
        stuck.extend([123.0; 12]);
        assert_eq!(
            assessed(&stuck, Some((0.0, 123.0)), -1e9).0,
            Quality::Frozen
        );
        assert_eq!(assessed(&stuck, Some((0.0, 124.0)), -1e9).0, Quality::Ok);
        let mut stored = waves();
        stored.extend([f64::from(123.4_f32); 12]);
        let live = Some((0.0, 123.4));
        assert_eq!(assessed(&stored, live, -1e9).0, Quality::Frozen);
        let gap = [f64::NAN; 2];
        let restarted = [&stuck, &gap[..], &[123.0; 2], &gap].concat();
        assert_eq!(
            assessed(&restarted, Some((0.0, 123.0)), -1e9).0,
            Quality::Frozen,
            "a gap is no movement"
        );
        let nightly: Vec<f64> = [vec![0.0; 100], vec![5.0; 40], vec![0.0; 90]].concat();
        assert_eq!(assessed(&nightly, Some((0.0, 0.0)), -1e9).0, Quality::Ok);
        assert_eq!(
            assessed(&[7.0; 500], Some((0.0, 7.0)), -1e9).0,
            Quality::Ok,
            "a constant"
        );
        let patchy = [[7.0; 40], [f64::NAN; 40], [7.0; 40]].concat();
        assert_eq!(
            assessed(&patchy, Some((0.0, 7.0)), -1e9).0,
            Quality::Ok,
            "nor is it one before a constant"
        );
    }
}
