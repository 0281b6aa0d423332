//! The newest bins of a signal in little memory.

use foreshard_forecast::Series;

/// A window of bins that moves with time. What is not known is NaN; nothing is allocated before something is known.
///
/// Values are kept in single precision: seven digits, of which no load has more.
#[derive(Debug)]
pub(super) struct Ring {
    step: i64,
    bins: usize,
    /// Unix seconds at which the newest bin ends, a multiple of the step.
    end: i64,
    values: Box<[f32]>,
}

impl Ring {
    /// An empty window of `bins` bins of `step` seconds.
    pub(super) fn new(step: i64, bins: usize) -> Self {
        Self {
            step,
            bins,
            end: i64::MIN / 4 / step * step,
            values: Box::default(),
        }
    }

    pub(super) fn stored_bytes(&self) -> usize {
        self.values.len() * size_of::<f32>()
    }

    /// Stores the value of the bin that ends at `time`. One that is not a multiple of the step, or older than the
    /// window, is passed over; one that single precision cannot hold is a gap.
    pub(super) fn set(&mut self, time: i64, value: f32) {
        if time % self.step != 0 || time <= self.end - self.span() {
            return;
        }
        if self.values.is_empty() {
            if !value.is_finite() {
                return;
            }
            self.values = vec![f32::NAN; self.bins].into_boxed_slice();
        }
        self.advance(time);
        let slot = self.slot(time);
        if let Some(place) = self.values.get_mut(slot) {
            *place = if value.is_finite() { value } else { f32::NAN };
        }
    }

    /// The bins before `end`, from the first one known on.
    pub(super) fn until(&self, end: i64) -> Series {
        let end = end.div_euclid(self.step) * self.step;
        let oldest = (end - self.span()).max(self.end - self.span()) + self.step;
        let times = || (0..).map(|i| oldest + i * self.step);
        let times = || times().take_while(|time| *time <= end);
        let first = times().find(|time| self.get(*time).is_finite());
        let Some(first) = first.filter(|_| !self.values.is_empty()) else {
            return Series {
                start: end,
                step: self.step,
                values: Vec::new(),
            };
        };
        let mut values = Vec::with_capacity(((end - first) / self.step + 1) as usize);
        values.extend((0..values.capacity() as i64).map(|i| self.get(first + i * self.step)));
        Series {
            start: first - self.step,
            step: self.step,
            values,
        }
    }

    fn get(&self, time: i64) -> f64 {
        if time > self.end || time <= self.end - self.span() {
            return f64::NAN;
        }
        self.values
            .get(self.slot(time))
            .map_or(f64::NAN, |value| f64::from(*value))
    }

    fn advance(&mut self, time: i64) {
        if time <= self.end {
            return;
        }
        if time - self.end >= self.span() {
            self.values.fill(f32::NAN);
        } else {
            let mut bin = self.end + self.step;
            while bin <= time {
                let slot = self.slot(bin);
                if let Some(place) = self.values.get_mut(slot) {
                    *place = f32::NAN;
                }
                bin += self.step;
            }
        }
        self.end = time;
    }

    fn span(&self) -> i64 {
        self.step * self.bins as i64
    }

    fn slot(&self, time: i64) -> usize {
        (time / self.step).rem_euclid(self.bins as i64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(ring: &Ring, end: i64) -> String {
        let series = ring.until(end);
        format!("{} {:?}", series.start, series.values)
    }

    #[test]
    fn the_window_moves_and_forgets() {
        let mut ring = Ring::new(60, 4);
        assert_eq!(
            (shown(&ring, 600), ring.stored_bytes()),
            ("600 []".into(), 0)
        );
        ring.set(600, 1.0);
        ring.set(720, 3.0);
        // Not on the grid, and not a number: gaps.
        ring.set(661, 9.0);
        ring.set(780, f32::INFINITY);
        assert_eq!(shown(&ring, 780), "540 [1.0, NaN, 3.0, NaN]");
        assert_eq!(ring.stored_bytes(), 16);
        // Late, but inside the window.
        ring.set(660, 2.0);
        assert_eq!(shown(&ring, 799), "540 [1.0, 2.0, 3.0, NaN]");
        ring.set(840, 5.0);
        ring.set(600, 9.0);
        assert_eq!(shown(&ring, 840), "600 [2.0, 3.0, NaN, 5.0]");
        // What is asked for beyond the end is a gap, which is how old it is.
        assert_eq!(shown(&ring, 960), "780 [5.0, NaN, NaN]");
        assert_eq!(shown(&ring, 720), "600 [2.0, 3.0]");
        ring.set(84_000, 7.0);
        assert_eq!(shown(&ring, 84_000), "83940 [7.0]");
    }
}
