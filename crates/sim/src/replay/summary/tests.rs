use super::*;
use crate::replay::{Peers, Report, Scaler, View, play};
use crate::replay_testing::scripted;

struct Always(u32);

impl Scaler for Always {
    fn decide(&mut self, _: &View<'_>) -> Option<u32> {
        Some(self.0)
    }
}

fn report(count: u32, peak: f64) -> Report {
    let mut script = vec![2.0; 480];
    script[200..300].fill(peak);
    let world = scripted(120, 2.0, &script);
    let run = play(&world, &mut Always(count));
    Report::new("trace", "always", &world, &run, &Peers::new(&world))
}

#[test]
fn a_report_lists_yours_first_and_then_every_peer() {
    let report = report(5, 4.0);
    let names: Vec<&str> = report
        .policies
        .iter()
        .map(|entry| entry.policy.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "always",
            "static",
            "hpa",
            "hpa-hold",
            "hpa+15%",
            "reactive at equal cost",
            "seasonal",
            "crane",
            "foresight",
            "bound"
        ]
    );
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["model"], "replay/1");
    assert_eq!(json["run_from"], "1970-01-01T10:01:00Z");
    assert_eq!(json["policies"][5]["rule"], "hpa");
    assert!(json["policies"][5]["headroom"].is_f64());
    assert!(json["policies"][0].get("headroom").is_none());
    assert_eq!(serde_json::from_value::<Report>(json).unwrap(), report);
}

#[test]
fn several_traces_are_joined() {
    let reports = [report(5, 4.0), report(4, 4.0), report(3, 6.0)];
    let summary = Summary::new(&reports).unwrap();
    assert_eq!((summary.traces, summary.judged), (3, 3));
    let yours = &summary.policies[0];
    let shares = reports
        .each_ref()
        .map(|report| report.yours().figures.over_capacity_share);
    assert_eq!(shares[..2], [0.0, 0.0], "enough instances");
    assert_eq!(yours.mean.over_capacity_share, shares[2] / 3.0);
    assert_eq!(yours.median.over_capacity_share, 0.0);
    assert!(yours.yours_over_this.is_none());

    let equal = &summary.policies[5];
    let theirs = reports
        .each_ref()
        .map(|report| report.policies[5].figures.over_capacity_share);
    let log = |i: usize| ((shares[i] + 0.0005) / (theirs[i] + 0.0005)).ln();
    let ratio = equal.yours_over_this.unwrap().over_capacity;
    assert!((ratio.geometric_mean.ln() - (log(0) + log(1) + log(2)) / 3.0).abs() < 1e-12);
    let pairs = [
        (log(0) + log(1)) / 2.0,
        (log(0) + log(2)) / 2.0,
        (log(1) + log(2)) / 2.0,
    ];
    let lowest = pairs.iter().copied().fold(f64::INFINITY, f64::min);
    assert!((ratio.lowest_without_one.ln() - lowest).abs() < 1e-12);
    assert!(ratio.highest_without_one >= ratio.lowest_without_one);
    let of_means = shares.iter().sum::<f64>() / theirs.iter().sum::<f64>();
    assert!((ratio.of_means.unwrap() - of_means).abs() < 1e-12);
    assert_eq!(Summary::new(&[]), None);
}

#[test]
fn one_trace_and_no_harm_are_fine() {
    let summary = Summary::new(&[report(20, 4.0)]).unwrap();
    let ratio = summary.policies[5].yours_over_this.unwrap().lost;
    assert_eq!(ratio.of_means, None);
    assert_eq!(ratio.lowest_without_one, ratio.geometric_mean);
}
