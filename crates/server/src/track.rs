//! The recent points of one part.

use std::collections::VecDeque;

use crate::view::{Columns, Point, finite};

/// Points in time order, the oldest dropped.
#[derive(Debug)]
pub(crate) struct Track {
    points: VecDeque<Point>,
    points_max: usize,
}

impl Track {
    pub(crate) fn new(points_max: usize) -> Self {
        Self {
            points: VecDeque::new(),
            points_max,
        }
    }

    /// Adds a point; one that is not newer than the last is not kept.
    pub(crate) fn push(&mut self, point: Point) {
        if self.points.back().is_some_and(|last| point.at <= last.at) {
            return;
        }
        if self.points.len() == self.points_max {
            self.points.pop_front();
        }
        self.points.push_back(point);
    }

    /// When, and how much load, wherever that is known.
    pub(crate) fn load(&self) -> Vec<(i64, f64)> {
        let points = self.points.iter();
        points.map(|it| (it.at as i64, it.demand)).collect()
    }

    /// The points in `[since, until)`, those of one step merged so that nothing bad is hidden; step 0: as they are.
    /// `past` is the load that was measured elsewhere: of it the rows before the first point are.
    pub(crate) fn columns(
        &self,
        part: &str,
        past: &[(i64, f64)],
        since: f64,
        until: f64,
        step: f64,
    ) -> Columns {
        let begun = self.points.front().map_or(until, |point| point.at);
        let row_of = |at: f64| {
            if step > 0.0 {
                (at / step).floor() * step
            } else {
                at
            }
        };
        let mut columns = Columns {
            part: part.to_owned(),
            step_seconds: step,
            ..Columns::default()
        };
        for (at, load) in past {
            let at = *at as f64;
            if at >= since && at < until && row_of(at) < row_of(begun) {
                columns.remember(row_of(at), *load);
            }
        }
        let first = self.points.partition_point(|point| point.at < since);
        let inside = self
            .points
            .range(first..)
            .take_while(|point| point.at < until);
        let mut row: Option<Point> = None;
        for point in inside {
            let at = row_of(point.at);
            let point = Point { at, ..*point };
            row = Some(match row {
                Some(open) if open.at == at => merged(open, point),
                Some(done) => {
                    columns.push(done);
                    point
                }
                None => point,
            });
        }
        if let Some(last) = row {
            columns.push(last);
        }
        columns
    }
}

impl Columns {
    fn push(&mut self, point: Point) {
        self.at.push(point.at);
        self.demand.push(finite(point.demand));
        self.capacity.push(finite(point.capacity));
        self.wanted.push(Some(point.wanted));
        self.ready.push(Some(point.ready));
        self.expected_middle.push(finite(point.expected.middle));
        self.expected_high.push(finite(point.expected.high));
    }

    /// A moment of which nothing but the load is known.
    fn remember(&mut self, at: f64, load: f64) {
        if self.at.last() != Some(&at) {
            self.at.push(at);
            self.demand.push(finite(load));
            self.capacity.push(None);
            self.wanted.push(None);
            self.ready.push(None);
            self.expected_middle.push(None);
            self.expected_high.push(None);
        } else if let Some(known) = self.demand.last_mut() {
            *known = finite(known.unwrap_or(f64::NAN).max(load));
        }
    }
}

/// `f64::max` and `f64::min` pass over NaN.
fn merged(a: Point, b: Point) -> Point {
    Point {
        at: a.at,
        demand: a.demand.max(b.demand),
        capacity: a.capacity.min(b.capacity),
        wanted: b.wanted,
        ready: a.ready.min(b.ready),
        expected: crate::view::Band {
            middle: a.expected.middle.max(b.expected.middle),
            high: a.expected.high.max(b.expected.high),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Band;

    fn point(at: f64, demand: f64, ready: u32) -> Point {
        let capacity = f64::from(ready) * 10.0;
        Point {
            at,
            demand,
            capacity,
            wanted: ready + 1,
            ready,
            expected: Band::NONE,
        }
    }

    #[test]
    fn merging_keeps_the_highest_load_and_the_lowest_capacity() {
        let mut track = Track::new(10);
        for p in [
            point(0.0, 5.0, 3),
            point(60.0, f64::NAN, 2),
            point(120.0, 9.0, 4),
            point(300.0, 1.0, 1),
        ] {
            track.push(p);
        }
        let columns = track.columns("p", &[], 0.0, 1e9, 300.0);
        assert_eq!(columns.at, [0.0, 300.0]);
        assert_eq!(columns.demand, [Some(9.0), Some(1.0)]);
        assert_eq!(columns.capacity, [Some(20.0), Some(10.0)]);
        assert_eq!(columns.ready, [Some(2), Some(1)]);
        assert_eq!(columns.wanted, [Some(5), Some(2)]);
        assert_eq!(columns.expected_high, [None, None]);
    }

    #[test]
    fn a_window_is_half_open_and_old_points_go() {
        let mut track = Track::new(3);
        for minute in 0..5 {
            track.push(point(f64::from(minute) * 60.0, f64::NAN, 1));
        }
        track.push(point(60.0, 7.0, 1));
        let columns = |since, until| track.columns("p", &[], since, until, 0.0);
        assert_eq!(columns(0.0, 1e9).at, [120.0, 180.0, 240.0]);
        assert_eq!(columns(180.0, 240.0).at, [180.0]);
        assert_eq!(columns(180.0, 240.0).demand, [None]);
    }

    #[test]
    fn what_was_measured_before_the_first_point_comes_before_it() {
        let mut track = Track::new(10);
        let past = [
            (0, 1.0),
            (300, 2.0),
            (600, f64::NAN),
            (900, 4.0),
            (1200, 9.0),
        ];
        let columns = |track: &Track, since, until, step| {
            let columns = track.columns("p", &past, since, until, step);
            assert_eq!(columns.at.len(), columns.ready.len());
            (columns.at, columns.demand, columns.ready)
        };
        let (at, _, ready) = columns(&track, 300.0, 1200.0, 0.0);
        assert_eq!(at, [300.0, 600.0, 900.0], "no point yet");
        assert_eq!(ready, [None; 3]);
        track.push(point(1000.0, 5.0, 3));
        let (at, demand, ready) = columns(&track, 0.0, 1e9, 0.0);
        assert_eq!(at, [0.0, 300.0, 600.0, 900.0, 1000.0]);
        assert_eq!(demand, [Some(1.0), Some(2.0), None, Some(4.0), Some(5.0)]);
        assert_eq!(ready, [None, None, None, None, Some(3)]);
        let (at, demand, _) = columns(&track, 0.0, 1e9, 600.0);
        assert_eq!(at, [0.0, 600.0], "one row for a step");
        assert_eq!(demand, [Some(2.0), Some(5.0)]);
    }
}
