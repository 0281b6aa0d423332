//! Tuning scoreboard (native rule).
use foreshard_decide::PolicyAnswer;
use foreshard_decide::contract::*;
use foreshard_engine::*;
use foreshard_sim::replay::*;
use foreshard_sim::{Trust, User};
use std::sync::Arc;

#[path = "../../../policies/forecast-headroom/src/rule.rs"]
#[allow(dead_code)]
mod rule;

struct Native {
    bindings: Vec<Binding>,
    knobs: rule::Knobs,
}
impl Native {
    fn new() -> Self {
        let needs = Needs {
            signals: vec![],
            forecasts: vec![ForecastNeed {
                signal: "demand".into(),
                horizon: 0.0,
                levels: rule::LEVELS.to_vec(),
                peaks: vec![PeakNeed {
                    action: "replicas".into(),
                    lead: None,
                    window: std::env::var("WIN")
                        .ok()
                        .and_then(|v| v.parse().ok())
                        .unwrap_or(rule::WINDOW_SECONDS),
                }],
            }],
            part_kinds: vec![],
            recent_changes: 0,
        };
        Self {
            bindings: vec![Binding {
                name: "forecast-headroom".into(),
                digest: String::new(),
                config: "{}".into(),
                memory_version: 1,
                needs,
            }],
            knobs: rule::Knobs::default(),
        }
    }
}
impl Policies for Native {
    fn bindings(&self) -> &[Binding] {
        &self.bindings
    }
    fn evaluate(&mut self, _: usize, context: &Arc<Context>) -> PolicyAnswer {
        let f = &context.forecasts[0];
        let at = |p: &Peak, level: f64| {
            f.levels
                .iter()
                .position(|&l| (l - level).abs() < 1e-12)
                .map_or(f64::NAN, |i| p.values[i])
        };
        let q = |p: &Peak| rule::Quantiles {
            median: at(p, 0.5),
            budget: at(p, context.objective.level),
            high: at(p, 0.99),
        };
        let r = context.parts[0].replicas.as_ref().unwrap();
        let loads = [rule::Load {
            per_replica: r.capacities[0].per_replica,
            seen: context.signals[0].latest.as_ref().map(|s| s.value),
            until: q(&f.peaks[1]),
            beyond: q(&f.peaks[0]),
        }];
        let wanted = rule::rule(
            &loads,
            rule::Count {
                wanted: r.wanted,
                min: r.min,
                max: r.max,
            },
            rule::Aims {
                target_utilization: context.objective.target_utilization,
                max_utilization: context.objective.max_utilization,
                violation_budget: context.objective.violation_budget,
            },
            &self.knobs,
        );
        let verdict = match wanted {
            Some(w) if f.reliable => Verdict::Decide(Decide {
                proposals: vec![Proposal {
                    part: String::new(),
                    action: Action::Replicas(w.count),
                    not_before: None,
                    reason: w.reason,
                }],
                reason: String::new(),
                measures: vec![],
                memory: None,
            }),
            _ => Verdict::Abstain("unreliable".into()),
        };
        PolicyAnswer {
            policy: "forecast-headroom".into(),
            digest: String::new(),
            uses_forecast: true,
            verdict,
            findings: vec![],
        }
    }
}

fn main() {
    let lags: Vec<i64> = std::env::var("LAGS")
        .unwrap_or("120,600,3600".into())
        .split(',')
        .map(|l| l.parse().unwrap())
        .collect();
    let budget: f64 = std::env::var("BUDGET")
        .ok()
        .map_or(0.01, |b| b.parse().unwrap());
    let only = std::env::var("ONLY").unwrap_or_default();
    let verbose = std::env::var("V").is_ok();
    let root = std::env::var("TRACES").unwrap_or("examples/traces".into());
    for lag in lags {
        let dir = if lag < 600 {
            format!("{root}/1min")
        } else {
            root.clone()
        };
        let mut paths: Vec<_> = std::fs::read_dir(&dir)
            .unwrap()
            .map(|e| e.unwrap().path())
            .filter(|p| {
                p.to_string_lossy().ends_with(".csv.gz") && p.to_string_lossy().contains(&only)
            })
            .collect();
        paths.sort();
        let mut reports = vec![];
        let mut trusts: Vec<Trust> = vec![];
        for path in paths {
            let series =
                foreshard_history::trace::read(&path, &Default::default(), &mut |_| {}).unwrap();
            let world = match World::new(
                &series,
                &Options {
                    lag_seconds: lag,
                    capacity: None,
                    seed: 1,
                },
            ) {
                Ok(w) => w,
                Err(e) => {
                    println!("{} {e}", path.display());
                    continue;
                }
            };
            if !world.judged() {
                continue;
            }
            let peers = Peers::new(&world);
            let mut native = Native::new();
            let settings = Settings {
                aims: Aims {
                    violation_budget: budget,
                    ..Aims::default()
                },
                ..Settings::default()
            };
            let start = std::time::Instant::now();
            let mut user = User::new(settings, &mut native);
            let run = play(&world, &mut user);
            let took = start.elapsed().as_secs_f64();
            let trust = user.trust();
            let name = foreshard_history::trace::name(&path);
            let report = Report::new(&name, "ours", &world, &run, &peers);
            let o = report.yours().figures;
            let e = report.peer("reactive at equal cost").unwrap().figures;
            let h = report.peer("hpa").unwrap().figures;
            let hh = report.peer("hpa-hold").unwrap().figures;
            if verbose {
                println!(
                    "{lag:5} {name:16} acted {:.2} | over {:6.3}% eq {:6.3}% hpa {:6.3}% hold {:6.3}% | lost {:6.3}% eq {:6.3}% | cvf {:.3} hold {:.3} | hot {:5.2}% | chg {:5.1} eq {:5.1} | {:.1}s{}",
                    trust.share(),
                    o.over_capacity_share * 100.,
                    e.over_capacity_share * 100.,
                    h.over_capacity_share * 100.,
                    hh.over_capacity_share * 100.,
                    o.lost_share * 100.,
                    e.lost_share * 100.,
                    o.cost_vs_foresight,
                    hh.cost_vs_foresight,
                    o.hot_share * 100.,
                    o.changes_per_day,
                    e.changes_per_day,
                    took,
                    if o.over_capacity_share > h.over_capacity_share + 0.005 {
                        " WORSE THAN HPA"
                    } else {
                        ""
                    }
                );
            }
            reports.push(report);
            trusts.push(trust);
        }
        let s = Summary::new(&reports).unwrap();
        let us = &s.policies[0];
        let eq = s
            .policies
            .iter()
            .find(|p| p.policy == "reactive at equal cost")
            .unwrap();
        let r = eq.yours_over_this.as_ref().unwrap();
        let worse = reports
            .iter()
            .map(|r| {
                r.yours().figures.over_capacity_share
                    - r.peer("hpa").unwrap().figures.over_capacity_share
            })
            .fold(-1.0f64, f64::max);
        let pred: Vec<_> = reports
            .iter()
            .zip(&trusts)
            .filter(|(_, t)| t.predictable())
            .collect();
        let ok = pred
            .iter()
            .filter(|(r, _)| r.yours().figures.over_capacity_share <= 2.0 * budget)
            .count();
        println!(
            "lag {lag:5} n {:2} over {:.3} lost {:.3} (geo {:.2}/{:.2}) cvf {:.3} chg {:.2}x ({:.0}/{:.0}) hot mean {:.2}% max {:.2}% worst-vs-hpa {:+.2}pt over mean {:.3}% budget<=2x {ok}/{} of predictable, no worse {}/{}",
            s.traces,
            r.over_capacity.of_means.unwrap_or(0.),
            r.lost.of_means.unwrap_or(0.),
            r.over_capacity.geometric_mean,
            r.lost.geometric_mean,
            us.mean.cost_vs_foresight,
            us.mean.changes_per_day / eq.mean.changes_per_day,
            us.mean.changes_per_day,
            eq.mean.changes_per_day,
            us.mean.hot_share * 100.,
            reports
                .iter()
                .map(|r| r.yours().figures.hot_share)
                .fold(0., f64::max)
                * 100.,
            worse * 100.,
            us.mean.over_capacity_share * 100.,
            pred.len(),
            us.no_worse_traces,
            s.traces
        );
    }
}
