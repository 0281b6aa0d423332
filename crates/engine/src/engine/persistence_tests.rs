//! What outlives the process, and what does not depend on how many targets there are.

use proptest::prelude::*;

use super::tests::{DAY, FROM, Median, STEP, load, observation};
use super::*;
use crate::settings::Crowd;

/// A snapshot of version 2: when what is stored changes, so must the version.
const OF_VERSION_2: &[u8] = include_bytes!("snapshot_2.bin");

fn settings() -> Settings {
    Settings {
        name: "shop".to_owned(),
        ..Settings::default()
    }
}

/// Lives through the load every five minutes from `from` on, and tells every decision.
fn live(
    engine: &mut Engine,
    policies: &mut Median,
    from: i64,
    to: i64,
    wanted: &mut u32,
) -> Vec<DecisionRecord> {
    let load = load();
    let mut records = Vec::new();
    for now in (from..to).step_by(STEP as usize) {
        let observation = observation(&load, now, &[("", 600.0, *wanted)]);
        let outcome = engine.step(&observation, policies);
        *wanted = outcome.count("").unwrap();
        records.push((*outcome.record).clone());
    }
    records
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn a_restored_engine_decides_the_same(fits in 1_i64..8, budget in 0.001..0.05, memory in 0_usize..99) {
        let mut settings = settings();
        settings.aims.violation_budget = budget;
        // Where the next step fits anew, so does one that was restored.
        let restart = FROM + fits * settings.refit_every;
        let mut engine = Engine::new(settings.clone());
        let mut policies = Median::new();
        policies.memory_bytes = memory;
        let mut wanted = 20;
        live(&mut engine, &mut policies, FROM, restart, &mut wanted);
        let bytes = engine.snapshot();
        let mut restored = Engine::restore(settings, &bytes).unwrap();
        prop_assert_eq!(restored.snapshot(), bytes);
        let until = restart + DAY / 2;
        let expected = live(&mut engine, &mut policies, restart, until, &mut wanted.clone());
        let found = live(&mut restored, &mut policies, restart, until, &mut wanted);
        prop_assert_eq!(expected, found);
        prop_assert_eq!(engine.snapshot(), restored.snapshot());
    }

    #[test]
    fn no_bytes_are_taken_for_a_snapshot_that_they_are_not(cut in 0.0..1.0, more in any::<u8>(), bytes: Vec<u8>) {
        let at = (cut * OF_VERSION_2.len() as f64) as usize;
        prop_assert!(Engine::restore(settings(), &OF_VERSION_2[..at]).is_err());
        prop_assert!(Engine::restore(settings(), &[OF_VERSION_2, &[more]].concat()).is_err());
        // Whatever comes, it does not panic.
        let _ = Engine::restore(settings(), &[&2_u16.to_le_bytes(), &bytes[..]].concat());
        let mut altered = OF_VERSION_2.to_vec();
        altered[at.max(2)] = more;
        if let Ok(mut engine) = Engine::restore(settings(), &altered) {
            live(&mut engine, &mut Median::new(), FROM + DAY, FROM + DAY + 2 * STEP, &mut 20);
        }
    }
}

#[test]
fn snapshots_of_version_2_are_read() {
    let engine = Engine::restore(settings(), OF_VERSION_2).unwrap();
    let learned = engine.calibration("", "demand").unwrap();
    assert_ne!(*learned, Calibration::default());
    assert_eq!(engine.snapshot(), OF_VERSION_2);
}

#[test]
fn other_versions_are_refused() {
    let mut bytes = OF_VERSION_2.to_vec();
    bytes[0] = 3;
    let error = Engine::restore(settings(), &bytes).unwrap_err();
    let told = "the snapshot has version 3 and this program reads 2: discard it and start fresh";
    assert_eq!(error.to_string(), told);
    let error = Engine::restore(settings(), &[]).unwrap_err();
    assert!(error.to_string().contains("no version"), "{error}");
}

#[test]
fn many_targets_decide_as_one_does() {
    let decisions = |crowd| {
        let settings = Settings {
            crowd,
            // One fit only: when the others are made depends on the crowd.
            refit_every: 1_000_000_000,
            ..settings()
        };
        let mut engine = Engine::new(settings);
        live(&mut engine, &mut Median::new(), FROM, FROM + DAY, &mut 20)
    };
    let (few, many) = (decisions(Crowd::Few), decisions(Crowd::Many));
    let wanted = |records: &[DecisionRecord]| -> Vec<u32> {
        let parts = records
            .iter()
            .map(|record| record.explanation.parts[0].wanted);
        parts.collect()
    };
    assert_eq!(wanted(&few), wanted(&many));
    assert_eq!(few, many);
}
