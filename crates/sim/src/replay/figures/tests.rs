//! Every figure recomputed from nothing but the timeline file and the capacity.

use std::collections::BTreeMap;

use foreshard_forecast::Series;

use super::*;
use crate::replay::{Options, Peers, Run, Scaler, Timeline, View, World, play};
use crate::replay_testing::{daily, scripted};

/// Too few at times, too many at others.
struct Sloppy(u32);

impl Scaler for Sloppy {
    fn decide(&mut self, view: &View<'_>) -> Option<u32> {
        self.0 += 1;
        let load = view.seen?.value / view.capacity;
        self.0
            .is_multiple_of(97)
            .then(|| (load * f64::from(self.0 % 5 + 5) / 5.0) as u32)
    }
}

struct Read {
    time: i64,
    demand: f64,
    wanted: u32,
    ready: u32,
    paid: u32,
}

fn read(csv: &str) -> Vec<Read> {
    let mut lines = csv.lines();
    assert_eq!(
        lines.next(),
        Some("timestamp,demand,seen,wanted,ready,paid")
    );
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            let time: jiff::Timestamp = fields[0].parse().unwrap();
            Read {
                time: time.as_second(),
                demand: fields[1].parse().unwrap(),
                wanted: fields[3].parse().unwrap(),
                ready: fields[4].parse().unwrap(),
                paid: fields[5].parse().unwrap(),
            }
        })
        .collect()
}

/// What an oracle pays over the scored ticks: the greatest need over `[t - back, t + ahead]`.
fn oracle_paid(needs: &[f64], back: usize, ahead: usize) -> f64 {
    (120..needs.len())
        .map(|t| {
            let window = &needs[t.saturating_sub(back)..(t + ahead + 1).min(needs.len())];
            window.iter().copied().fold(2.0, f64::max).min(80.0)
        })
        .sum()
}

fn recompute(rows: &[Read], c: f64, lag: usize) -> Figures {
    let need = |row: &Read| (row.demand / (0.7 * c) - 1e-9).ceil().max(2.0);
    let scored = &rows[120..];
    let n = scored.len() as f64;
    let mean = |value: &dyn Fn(&Read) -> f64| scored.iter().map(value).sum::<f64>() / n;
    let is_over = |row: &Read| row.demand > f64::from(row.ready) * c + 1e-9 * c;
    let share = |test: &dyn Fn(&Read) -> bool| mean(&|row| f64::from(u8::from(test(row))));
    let gap = |row: &Read| (f64::from(row.ready) - need(row)) / need(row);
    let mut days: BTreeMap<i64, Vec<bool>> = BTreeMap::new();
    let (mut longest, mut spell) = (0, 0);
    for row in scored {
        days.entry(row.time.div_euclid(86_400))
            .or_default()
            .push(is_over(row));
        spell = if is_over(row) { spell + 60 } else { 0 };
        longest = longest.max(spell);
    }
    let day_share =
        |day: &Vec<bool>| day.iter().filter(|over| **over).count() as f64 / day.len() as f64;
    let paid: f64 = scored.iter().map(|row| f64::from(row.paid)).sum();
    let needs: Vec<f64> = rows.iter().map(need).collect();
    let least: Vec<f64> = rows
        .iter()
        .map(|row| (row.demand / c - 1e-9).ceil().max(2.0))
        .collect();
    let changes = rows[119..]
        .windows(2)
        .filter(|pair| pair[0].wanted != pair[1].wanted)
        .count();
    Figures {
        over_capacity_share: share(&is_over),
        lost_share: mean(&|row| (row.demand - f64::from(row.ready) * c).max(0.0))
            / mean(&|row| row.demand),
        under_share: share(&|row| f64::from(row.ready) < need(row)),
        under_depth: mean(&|row| (-gap(row)).max(0.0)),
        excess_depth: mean(&|row| gap(row).max(0.0)),
        hot_share: share(&|row| row.demand > 0.9 * f64::from(row.ready) * c + 1e-9 * c),
        cost: paid / scored.iter().map(need).sum::<f64>(),
        cost_vs_foresight: paid / oracle_paid(&needs, 5, lag),
        cost_vs_bound: paid / oracle_paid(&least, 0, lag),
        changes_per_day: changes as f64 / (n / 1440.0),
        worst_day_over_capacity_share: days.values().map(day_share).fold(0.0, f64::max),
        longest_over_capacity_seconds: f64::from(longest),
    }
}

#[test]
fn the_timeline_alone_gives_every_figure() {
    for (step, lag, seed) in [(60, 120, 1), (300, 600, 2), (300, 3600, 3)] {
        let mut values = daily(step, (5 * 86_400 / step) as usize, seed);
        values[700] = f64::NAN;
        let trace = Series {
            start: 1_600_000_200,
            step,
            values,
        };
        let options = Options {
            lag_seconds: lag,
            capacity: None,
            seed: 1,
        };
        let world = World::new(&trace, &options).unwrap();
        let run = play(&world, &mut Sloppy(0));
        let mut csv = Vec::new();
        Timeline::new(&world, &run).write_csv(&mut csv).unwrap();
        let rows = read(std::str::from_utf8(&csv).unwrap());
        for row in &rows {
            assert_eq!(row.paid, row.wanted);
        }
        let again = recompute(&rows, world.capacity(), (lag / 60) as usize);
        let figures = Peers::new(&world).figures(&world, &run);
        for (name, (ours, theirs)) in fields(&figures).into_iter().zip(fields(&again)).enumerate() {
            assert!(
                (ours - theirs).abs() < 1e-9,
                "figure {name}: {ours} {theirs}"
            );
            assert!(ours > 0.0, "figure {name} tests nothing");
        }
    }
}

fn fields(figures: &Figures) -> Vec<f64> {
    let value = serde_json::to_value(figures).unwrap();
    value
        .as_object()
        .unwrap()
        .values()
        .map(|value| value.as_f64().unwrap())
        .collect()
}

#[test]
fn a_small_case_by_hand() {
    // Ten scored ticks matter: two over capacity (3 of 2 served, 2.5 of 2), one hot, the rest calm.
    let mut script = vec![1.0; 480];
    script[3] = 3.0;
    script[4] = 2.5;
    script[8] = 1.9;
    let world = scripted(120, 1.0, &script);
    let ticks = world.end() - world.run_start();
    let run = Run {
        wanted: vec![2; ticks],
        ready: vec![2; ticks],
    };
    let figures = Peers::new(&world).figures(&world, &run);
    let load = 477.0 + 3.0 + 2.5 + 1.9;
    assert_eq!(figures.over_capacity_share, 2.0 / 480.0);
    assert!((figures.lost_share - 1.5 / load).abs() < 1e-12);
    assert_eq!(figures.hot_share, 3.0 / 480.0);
    // r* is 5, 4 and 3 at those ticks.
    assert_eq!(figures.under_share, 3.0 / 480.0);
    assert!((figures.under_depth - (3.0 / 5.0 + 2.0 / 4.0 + 1.0 / 3.0) / 480.0).abs() < 1e-12);
    assert_eq!(figures.excess_depth, 0.0);
    assert!((figures.cost - 960.0 / 966.0).abs() < 1e-12);
    // Bound wants 3 from two ticks before until the second of the two.
    assert!((figures.cost_vs_bound - 960.0 / 964.0).abs() < 1e-12);
    // Foresight: 5 from tick 1 on, held to tick 8; then 3 to tick 13 (asked for at 6 to 8).
    assert!(
        (figures.cost_vs_foresight - 960.0 / (960.0 + 3.0 * 8.0 + 2.0 + 1.0 * 4.0)).abs() < 0.01
    );
    assert_eq!(figures.changes_per_day, 0.0);
    assert_eq!(figures.longest_over_capacity_seconds, 120.0);
}
