use foreshard_forecast::Series;
use foreshard_sim::replay::{Options, Peers, Scaler, View, World, play};

use super::*;

/// A native stand-in for a policy: 80 % of capacity, or nothing where nothing is seen.
struct Simple;

impl Scaler for Simple {
    fn decide(&mut self, view: &View<'_>) -> Option<u32> {
        Some((view.seen?.value / (0.8 * view.capacity)).ceil() as u32)
    }
}

fn judged(name: &str, step: i64, lag_seconds: i64) -> Judged {
    let day = (86_400 / step) as usize;
    let wave = |bin: usize| {
        let phase = (bin % day) as f64 / day as f64 * std::f64::consts::TAU;
        1000.0 - 600.0 * phase.cos() + ((bin * 37) % 101) as f64
    };
    let series = Series {
        start: 0,
        step,
        values: (0..4 * day).map(wave).collect(),
    };
    let options = Options {
        lag_seconds,
        capacity: None,
        seed: 1,
    };
    let world = World::new(&series, &options).unwrap();
    let run = play(&world, &mut Simple);
    Judged {
        report: Report::new(name, "mine", &world, &run, &Peers::new(&world)),
        acted_share: 0.9,
        predictable: true,
        advised_headroom: None,
    }
}

#[test]
fn one_trace_reads_at_a_glance() {
    let text = one(&judged("wave", 300, 600));
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("wave: lag 10 min, "), "{text}");
    assert!(lines[0].contains("(1.9 days)"), "{text}");
    let marked: Vec<&&str> = lines.iter().filter(|line| line.contains('▶')).collect();
    assert_eq!(marked.len(), 1);
    assert!(marked[0].contains("mine"));
    for peer in [
        "static",
        "hpa-hold",
        "hpa+15%",
        EQUAL_COST,
        "seasonal",
        "crane",
        "foresight",
        "bound",
    ] {
        assert!(text.contains(peer), "{peer} is missing:\n{text}");
    }
    assert!(
        text.contains("Yours over reactive at equal cost: time over capacity "),
        "{text}"
    );
    assert!(text.contains("in 90 % of the evaluations"), "{text}");
    assert!(!text.contains("warning"), "{text}");
    assert!(
        lines.iter().all(|line| line.chars().count() <= 120),
        "{text}"
    );
}

#[test]
fn a_coarse_trace_is_said_to_judge_nobody() {
    let text = one(&judged("coarse", 600, 600));
    assert!(
        text.contains("warning: a step of 10 min is more than half the lag of 10 min"),
        "{text}"
    );
}

#[test]
fn an_unpredictable_load_comes_with_an_advice() {
    let mut result = judged("wave", 300, 600);
    assert!(!one(&result).contains("unpredictable"));
    result.predictable = false;
    result.advised_headroom = Some(0.25);
    assert!(one(&result).contains("unpredictable: reactive scaling needs 25 % of head-room"));
}

#[test]
fn several_traces_are_listed_and_joined() {
    let results = [judged("first", 300, 600), judged("second", 600, 600)];
    let reports = results.each_ref().map(|result| result.report.clone());
    let text = several(&results, &Summary::new(&reports).unwrap());
    assert!(
        text.contains("first ") && text.contains("second (not judged)"),
        "{text}"
    );
    assert!(
        text.contains("Means over the traces") && text.contains("by geometric mean ("),
        "{text}"
    );
    assert!(text.contains("No worse in both on "), "{text}");
    assert!(text.contains("warning: 1 traces have a step"), "{text}");
}

#[test]
fn numbers_keep_the_digits_that_matter() {
    for (share, text) in [
        (0.0, "0"),
        (0.000_012_3, "0.001 %"),
        (0.012_34, "1.23 %"),
        (0.099_6, "10.0 %"),
        (0.5, "50.0 %"),
    ] {
        assert_eq!(percent(share), text);
    }
    assert_eq!(
        [0.1, 0.005, 0.0005].map(chosen_percent),
        ["10 %", "0.5 %", "0.05 %"]
    );
    for (span, text) in [
        (45.0, "45 s"),
        (60.0, "1 min"),
        (150.0, "2 min 30 s"),
        (7500.0, "2 h 5 min"),
    ] {
        assert_eq!(seconds(span), text);
    }
    for (load, text) in [
        (12_345.6, "12346"),
        (23.456_7, "23.46"),
        (0.000_123_46, "0.0001235"),
    ] {
        assert_eq!(significant(load), text);
    }
}
