use foreshard_decide::contract::{
    Action, Capacity, Decide, ForecastNeed, LeadTime, Needs, Offer, PeakNeed, Proposal,
    ReplicaState,
};
use foreshard_decide::replay;
use foreshard_forecast::Sample;

use super::*;

pub(super) const STEP: i64 = 300;
pub(super) const DAY: i64 = 86_400;
pub(super) const FROM: i64 = 6 * DAY;

/// Ten days that go up and down by day, a little different each time.
pub(super) fn load() -> Series {
    let bin = |i: i64| {
        let day = (i * STEP) as f64 / DAY as f64;
        let noise = ((i * 7919) % 101) as f64 / 101.0;
        200.0 + 120.0 * (day * std::f64::consts::TAU).sin() + 12.0 * noise
    };
    Series {
        start: 0,
        step: STEP,
        values: (0..10 * DAY / STEP).map(bin).collect(),
    }
}

fn part(id: &str, lead: f64, wanted: u32) -> Part {
    Part {
        id: id.to_owned(),
        parent: String::new(),
        kind: "scale".to_owned(),
        labels: vec![],
        busy: false,
        last_change: None,
        offers: vec![Offer {
            action: "replicas".to_owned(),
            lead: LeadTime {
                p50: lead,
                p90: lead,
                p99: lead,
                observations: 0,
            },
            cost_per_change: 0.0,
            reversible: true,
            blocked_until: None,
            blocked_by: String::new(),
        }],
        replicas: Some(ReplicaState {
            wanted,
            ready: wanted,
            pending: vec![],
            min: 2,
            max: 80,
            floor: 0,
            capacities: vec![Capacity {
                signal: "demand".to_owned(),
                per_replica: 10.0,
                uncertainty: 0.0,
                source: "declared".to_owned(),
            }],
            cost_per_hour: 0.0,
        }),
        containers: vec![],
        volumes: vec![],
        shard: None,
    }
}

/// Asks for the median peak at 80 %, counts its evaluations in its memory, and keeps what it was told.
pub(super) struct Median {
    bindings: Vec<Binding>,
    told: Vec<Arc<Context>>,
    pub(super) memory_bytes: usize,
}

impl Median {
    pub(super) fn new() -> Self {
        let needs = Needs {
            signals: vec![],
            forecasts: vec![ForecastNeed {
                signal: "demand".to_owned(),
                horizon: 0.0,
                levels: vec![0.5, 0.9],
                peaks: vec![PeakNeed {
                    action: "replicas".to_owned(),
                    lead: None,
                    window: 900.0,
                }],
            }],
            part_kinds: vec![],
            recent_changes: 0,
        };
        Self {
            bindings: vec![Binding {
                name: "median".to_owned(),
                digest: "sha256:00".to_owned(),
                config: "{\"share\":0.8}".to_owned(),
                memory_version: 1,
                needs,
            }],
            told: vec![],
            memory_bytes: 1,
        }
    }
}

impl Policies for Median {
    fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    fn evaluate(&mut self, _binding: usize, context: &Arc<Context>) -> PolicyAnswer {
        self.told.push(Arc::clone(context));
        let propose = |forecast: &contract::Forecast| Proposal {
            part: forecast.part.clone(),
            action: Action::Replicas((forecast.peaks[1].values[0] / 8.0).ceil() as u32),
            not_before: None,
            reason: "the median peak at 80 %".to_owned(),
        };
        PolicyAnswer {
            policy: "median".to_owned(),
            digest: "sha256:00".to_owned(),
            uses_forecast: true,
            verdict: Verdict::Decide(Decide {
                proposals: context.forecasts.iter().map(propose).collect(),
                reason: "a test".to_owned(),
                measures: vec![],
                memory: Some(vec![context.memory.len() as u8 + 1; self.memory_bytes]),
            }),
            findings: vec![],
        }
    }
}

pub(super) fn observation<'a>(
    load: &'a Series,
    now: i64,
    parts: &[(&'a str, f64, u32)],
) -> Observation<'a> {
    let seen = |&(id, _, _): &(&'a str, f64, u32)| SignalSeen {
        name: "demand",
        part: id,
        unit: "1/s",
        history: load,
        latest: Some(Sample {
            at: now - 60,
            value: load.values[((now - 60) / STEP) as usize],
        }),
        censored: false,
    };
    Observation {
        now,
        next: now + 60,
        parts: parts
            .iter()
            .map(|&(id, lead, wanted)| part(id, lead, wanted))
            .collect(),
        signals: parts.iter().map(seen).collect(),
        recent: vec![],
    }
}

/// Lives through `load` every five minutes until `to`; the last outcome and the engine.
fn live(load: &Series, to: i64) -> (Outcome, Engine) {
    let mut engine = Engine::new(Settings::default());
    let mut policies = Median::new();
    let mut wanted = 20;
    let mut last = None;
    for now in (FROM..=to).step_by(STEP as usize) {
        let observation = observation(load, now, &[("", 600.0, wanted)]);
        let outcome = engine.step(&observation, &mut policies);
        wanted = outcome.count("").unwrap();
        last = Some(outcome);
    }
    (last.unwrap(), engine)
}

#[test]
fn what_comes_after_changes_nothing() {
    let to = FROM + DAY;
    let (outcome, engine) = live(&load(), to);
    let mut altered = load();
    for value in &mut altered.values[(to / STEP) as usize..] {
        *value = *value * 7.0 + 1000.0;
    }
    let (again, other) = live(&altered, to);
    assert_eq!(outcome.record, again.record);
    let learned = engine.calibration("", "demand").unwrap();
    assert_eq!(Some(learned), other.calibration("", "demand"));
    assert_ne!(*learned, Calibration::default(), "it has learned something");
    // And what came before does.
    altered.values[(to / STEP - 30) as usize..].fill(900.0);
    assert_ne!(live(&altered, to).0.record.context, outcome.record.context);
}

#[test]
fn a_forecast_acts_before_the_load_comes() {
    let (outcome, _) = live(&load(), FROM + DAY);
    let part = &outcome.record.explanation.parts[0];
    assert!(part.forecasts[0].acted, "{:?}", part.forecasts[0].reasons);
    assert_eq!(part.floors.rule, "live");
    assert_eq!(replay(&outcome.record), *outcome.record);
    let context = &outcome.record.context;
    let windows: Vec<_> = context.forecasts[0]
        .peaks
        .iter()
        .map(|peak| (peak.action.as_str(), peak.lead, peak.window))
        .collect();
    assert_eq!(
        windows,
        [("replicas", 600.0, 900.0), ("replicas", 0.0, 660.0)]
    );
    assert!(
        context.forecasts[0]
            .levels
            .contains(&context.objective.level)
    );
}

#[test]
fn the_outlook_shows_the_day_and_is_told_to_nobody() {
    let (load, now) = (load(), FROM + DAY);
    let (outcome, engine) = live(&load, now);
    let before = engine.snapshot();
    let seen = observation(&load, now, &[("", 600.0, 20)]);
    let outlook = engine.outlook(&seen, &outcome, DAY, &[0.25]);
    let [drawn] = &outlook[..] else {
        panic!("{outlook:?}")
    };
    let made = &outcome.record.context.forecasts[0];
    assert!(made.paths.iter().all(Vec::is_empty) && made.levels[0] > 0.25);
    assert_eq!(drawn.levels[1..], made.levels);
    assert_eq!(drawn.levels[0], 0.25);
    assert_eq!(drawn.paths.len(), drawn.levels.len());
    assert_eq!(drawn.paths[0].len() as i64, DAY / STEP);
    assert!(drawn.paths[1..].iter().all(Vec::is_empty), "nobody asked");
    // What both say, they say alike.
    for (drawn, made) in drawn.peaks.iter().zip(&made.peaks) {
        assert_eq!(drawn.values[1..], made.values);
        assert_eq!((&drawn.action, drawn.lead), (&made.action, made.lead));
    }
    assert_eq!(engine.snapshot(), before);
    let never_fitted = Engine::new(Settings::default());
    let as_it_was = &outcome.record.context.forecasts;
    assert_eq!(never_fitted.outlook(&seen, &outcome, DAY, &[]), **as_it_was);
}

#[test]
fn memory_is_kept_by_steps_only_and_bounded() {
    let load = load();
    let mut engine = Engine::new(Settings::default());
    let mut policies = Median::new();
    let at = |now| observation(&load, now, &[("", 600.0, 20)]);
    let _ = engine.step(&at(FROM), &mut policies);
    let _ = engine.preview(&at(FROM + 60), &mut policies);
    let _ = engine.preview(&at(FROM + 60), &mut policies);
    policies.memory_bytes = MEMORY_BYTES_MAX + 1;
    let outcome = engine.step(&at(FROM + 60), &mut policies);
    let _ = engine.step(&at(FROM + 120), &mut policies);
    let memories: Vec<_> = policies.told.iter().map(|told| told.memory.len()).collect();
    assert_eq!(memories, [0, 1, 1, 1, 1]);
    let codes: Vec<_> = outcome
        .record
        .explanation
        .findings
        .iter()
        .map(|f| f.code)
        .collect();
    assert!(codes.contains(&FindingCode::MemoryTooLarge), "{codes:?}");
    assert_eq!(policies.told[0].config, "{\"share\":0.8}");
}

#[test]
fn each_part_has_its_own_lead() {
    let load = load();
    let mut engine = Engine::new(Settings::default());
    let parts = [("gate", 120.0, 30), ("replica", 3600.0, 30)];
    let outcome = engine.step(&observation(&load, FROM, &parts), &mut Median::new());
    let leads: Vec<_> = outcome
        .record
        .context
        .forecasts
        .iter()
        .map(|forecast| (forecast.part.as_str(), forecast.peaks[0].lead))
        .collect();
    assert_eq!(leads, [("gate", 120.0), ("replica", 3600.0)]);
    let counted: Vec<_> = outcome.counts.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(counted, ["gate", "replica"]);
}

#[test]
fn without_history_plain_hpa_decides() {
    let short = Series {
        values: load().values[..40].to_vec(),
        ..load()
    };
    let mut engine = Engine::new(Settings::default());
    let now = short.end();
    let outcome = engine.step(
        &observation(&short, now, &[("", 600.0, 2)]),
        &mut Median::new(),
    );
    let part = &outcome.record.explanation.parts[0];
    assert!(!part.forecasts[0].acted);
    assert_eq!(part.wanted, part.without_forecast);
}

#[test]
fn wider_bands_for_missing_history_are_told() {
    let reasons = |gappy: bool| {
        let mut load = load();
        if gappy {
            for bin in (0..load.values.len() - 12).filter(|bin| bin % 10 < 3) {
                load.values[bin] = f64::NAN;
            }
        }
        let now = load.end();
        let mut engine = Engine::new(Settings::default());
        let observation = observation(&load, now, &[("", 600.0, 20)]);
        let outcome = engine.step(&observation, &mut Median::new());
        outcome.record.context.forecasts[0].reasons.join("; ")
    };
    assert!(!reasons(false).contains("wider"), "{}", reasons(false));
    assert!(
        reasons(true).contains("bands are one level wider"),
        "{}",
        reasons(true)
    );
}

#[test]
fn what_is_put_off_is_owed_and_made_up_for() {
    let load = load();
    let step = |engine: &mut Engine, now: i64| {
        let observation = observation(&load, now, &[("", 600.0, 20)]);
        let outcome = engine.step(&observation, &mut Median::new());
        outcome.record.context.forecasts.clone()
    };
    let mut prompt = Engine::new(Settings::default());
    let mut patient = prompt.clone();
    patient.put_off_fits(true);
    let blind = step(&mut patient, FROM);
    assert!(patient.owes_fits() && !patient.is_fitted());
    assert!(!blind[0].reliable, "{:?}", blind[0]);
    patient.put_off_fits(false);
    assert_eq!(step(&mut patient, FROM), step(&mut prompt, FROM));
    assert!(patient.is_fitted() && !patient.owes_fits());
    // What is due again only later is owed as well, and the old model is used meanwhile.
    patient.put_off_fits(true);
    let later = FROM + Settings::default().refit_every + STEP;
    let old = step(&mut patient, later);
    assert!(patient.owes_fits() && patient.is_fitted() && old[0].reliable);
}

#[test]
fn history_that_comes_a_moment_late_is_fitted_to() {
    let load = load();
    let since = |start: i64| {
        let skipped = ((start - load.start) / STEP) as usize;
        Series {
            start,
            step: STEP,
            values: load.values[skipped..].to_vec(),
        }
    };
    let mut engine = Engine::new(Settings::default());
    let mut reliable = |young: &Series, now: i64| {
        let mut observation = observation(&load, now, &[("", 600.0, 20)]);
        observation.signals[0].history = young;
        let outcome = engine.step(&observation, &mut Median::new());
        outcome.record.context.forecasts[0].reliable
    };
    assert!(
        !reliable(&since(FROM - 7_200), FROM),
        "two hours teach little"
    );
    assert!(
        reliable(&since(load.start), FROM + STEP),
        "the rest came a moment later"
    );
}
