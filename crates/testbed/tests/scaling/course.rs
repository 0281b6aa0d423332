//! What happened, look by look, and what follows from it.

use serde_json::{Value, json};

use crate::scene::{CAPACITY, REPLICAS, REPLICAS_MAX, Scene};
use crate::stage::ALL;

/// One look at the four.
pub(crate) struct Look {
    /// Unix seconds.
    pub(crate) at: i64,
    /// Requests a second that there really were.
    pub(crate) load: f64,
    /// Replicas asked for and ready, in the order of [`ALL`].
    pub(crate) counts: [(u32, u32); 4],
}

/// All looks, in order.
#[derive(Default)]
pub(crate) struct Course {
    pub(crate) looks: Vec<Look>,
}

/// How one of the four did. Times are seconds after the rise, negative ones before it.
pub(crate) struct Figures {
    pub(crate) name: &'static str,
    /// When it first asked for more than at the beginning.
    pub(crate) first_step: Option<i64>,
    /// When its ready replicas could serve the highest load.
    pub(crate) ready_for_peak: Option<i64>,
    /// Seconds in which the load was more than its ready replicas can serve.
    pub(crate) under_need_seconds: i64,
    /// Share of all requests that this was too much, in percent.
    pub(crate) lost_percent: f64,
    /// Replicas asked for, times minutes.
    pub(crate) replica_minutes: f64,
    /// The most that it asked for.
    pub(crate) most: u32,
}

impl Course {
    pub(crate) fn look(&mut self, at: i64, scene: &Scene, counts: [(u32, u32); 4]) {
        let load = scene.load(at as f64);
        self.looks.push(Look { at, load, counts });
    }

    /// What one of the four asked for, where it changed: when, from, to.
    pub(crate) fn changes(&self, place: usize) -> Vec<(i64, u32, u32)> {
        let pairs = self.looks.windows(2);
        pairs
            .map(|pair| (pair[1].at, pair[0].counts[place].0, pair[1].counts[place].0))
            .filter(|(_, from, to)| from != to)
            .collect()
    }

    /// One of the four; seconds and costs are counted from `from` on.
    pub(crate) fn figures(&self, place: usize, scene: &Scene, from: i64) -> Figures {
        let peak = self.looks.iter().map(|look| look.load).fold(0.0, f64::max);
        let served = |look: &Look| f64::from(look.counts[place].1) * CAPACITY;
        let when = |wanted: &dyn Fn(&Look) -> bool| {
            let found = self.looks.iter().find(|look| wanted(look));
            found.map(|look| look.at - scene.rise())
        };
        let (mut under, mut lost, mut all, mut paid) = (0, 0.0, 0.0, 0.0);
        for pair in self.looks.windows(2).filter(|pair| pair[0].at >= from) {
            let seconds = pair[1].at - pair[0].at;
            let short = (pair[0].load - served(&pair[0])).max(0.0);
            if short > 0.0 {
                under += seconds;
            }
            lost += short * seconds as f64;
            all += pair[0].load * seconds as f64;
            paid += f64::from(pair[0].counts[place].0) * seconds as f64 / 60.0;
        }
        Figures {
            name: ALL[place],
            first_step: when(&|look| look.counts[place].0 > REPLICAS),
            ready_for_peak: when(&|look| served(look) >= peak),
            under_need_seconds: under,
            lost_percent: 100.0 * lost / all,
            replica_minutes: paid,
            most: self
                .looks
                .iter()
                .map(|look| look.counts[place].0)
                .max()
                .unwrap_or(0),
        }
    }

    /// What must hold whoever scales: never more than allowed.
    pub(crate) fn assert_within_limits(&self) {
        for look in &self.looks {
            for (name, (wanted, ready)) in ALL.iter().zip(look.counts) {
                assert!(
                    (1..=REPLICAS_MAX).contains(&wanted) && ready <= REPLICAS_MAX,
                    "{name} at {}: {wanted} wanted, {ready} ready",
                    look.at
                );
            }
        }
    }

    /// Nothing is taken away that the load needs at that time.
    pub(crate) fn assert_never_below_need(&self, place: usize, scene: &Scene) {
        for (at, from, to) in self.changes(place) {
            let load = scene.load(at as f64);
            assert!(
                to > from || f64::from(to) * CAPACITY >= load,
                "{} went from {from} to {to} at a load of {load:.0}/s",
                ALL[place]
            );
        }
    }
}

impl Figures {
    pub(crate) fn heading() -> &'static str {
        "            first step up   ready for the peak   under need   lost load   replica-minutes   most"
    }

    pub(crate) fn row(&self) -> String {
        let when = |at: Option<i64>| at.map_or("never".to_owned(), |at| format!("{at:+} s"));
        format!(
            "  {:8}  {:>13}   {:>18}   {:>8} s   {:>7.1} %   {:>15.1}   {:>4}",
            self.name,
            when(self.first_step),
            when(self.ready_for_peak),
            self.under_need_seconds,
            self.lost_percent,
            self.replica_minutes,
            self.most
        )
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "name": self.name,
            "first_step_seconds_after_rise": self.first_step,
            "ready_for_peak_seconds_after_rise": self.ready_for_peak,
            "under_need_seconds": self.under_need_seconds,
            "lost_percent": self.lost_percent,
            "replica_minutes": self.replica_minutes,
            "most_replicas": self.most,
        })
    }
}
