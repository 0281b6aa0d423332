use super::*;
use crate::replay::World;
use crate::replay_testing::{daily, options, scripted};

/// Wanted, ready, pending.
type Shown = (u32, u32, Vec<(u32, i64)>);

/// Follows a script and remembers what it was shown.
struct Scripted<'a> {
    counts: &'a [Option<u32>],
    shown: Vec<Shown>,
}

impl Scaler for Scripted<'_> {
    fn decide(&mut self, view: &View<'_>) -> Option<u32> {
        let tick = self.shown.len();
        self.shown
            .push((view.wanted, view.ready, view.pending.to_vec()));
        self.counts.get(tick).copied().flatten()
    }
}

#[test]
fn orders_are_shown_pending_and_then_ready() {
    let world = scripted(120, 1.4, &[1.4]);
    let mut scaler = Scripted {
        counts: &[None, Some(5), Some(1000), Some(0)],
        shown: vec![],
    };
    let run = play(&world, &mut scaler);
    assert_eq!(run.wanted[..6], [2, 5, 80, 2, 2, 2]);
    assert_eq!(run.ready[..6], [2, 2, 2, 2, 2, 2]);
    let at = |tick: usize| world.time(world.run_start() + tick);
    assert_eq!(scaler.shown[1], (2, 2, vec![]));
    assert_eq!(scaler.shown[2], (5, 2, vec![(3, at(3))]));
    // The first order is due, the second one not yet.
    assert_eq!(scaler.shown[3], (80, 5, vec![(75, at(4))]));
    assert_eq!(scaler.shown[4], (2, 2, vec![]));
}

#[test]
fn without_a_lag_what_is_wanted_is_ready() {
    let world = scripted(0, 1.4, &[1.4]);
    let run = play(
        &world,
        &mut Scripted {
            counts: &[Some(9), Some(4)],
            shown: vec![],
        },
    );
    assert_eq!(run.ready[..3], [9, 4, 4]);
}

/// Decides by everything that it is shown.
struct Curious;

impl Scaler for Curious {
    fn decide(&mut self, view: &View<'_>) -> Option<u32> {
        let bits = view.history.values.iter().map(|value| value.to_bits());
        let mixed = bits
            .chain(view.seen.map(|seen| seen.value.to_bits()))
            .fold(view.history.end() as u64, |sum, bits| {
                sum.rotate_left(5) ^ bits
            });
        Some((mixed % 79 + 2) as u32)
    }
}

#[test]
fn a_decision_does_not_change_when_the_future_does() {
    // At steps of a minute nothing leaks; at longer ones a live sample knows the bin that follows its own.
    for (step, leak) in [(60, 0), (300, 300)] {
        let trace = Series {
            start: 0,
            step,
            values: daily(step, (2 * 86_400 / step) as usize, 3),
        };
        let world = World::new(&trace, &options(600)).unwrap();
        let run = play(&world, &mut Curious);
        for now in [
            world.run_start() + 1,
            world.run_start() + 333,
            world.end() - 20,
        ] {
            let mut altered = trace.clone();
            let first = ((world.time(now) + leak - trace.start) / step) as usize;
            for value in &mut altered.values[first..] {
                *value = 3.0 * *value + 1.0;
            }
            let other = play(&World::new(&altered, &options(600)).unwrap(), &mut Curious);
            let until = now - world.run_start() + 1;
            assert_eq!(run.wanted[..until], other.wanted[..until], "step {step}");
            assert_ne!(
                run.wanted, other.wanted,
                "the altered part is not seen at all"
            );
        }
    }
}
