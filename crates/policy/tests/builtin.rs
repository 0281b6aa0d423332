//! The built-in policies through the whole path: jail, cache, fresh instances.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "these are tests, and so are their helpers"
)]

mod support;

use foreshard_decide::contract::{Action, Quality, Verdict};
use foreshard_policy::{Host, HostConfig, Tier};
use support::{context, jail};

fn load(host: &Host, name: &str) -> std::sync::Arc<foreshard_policy::Module> {
    host.load(foreshard_builtin::component(name).unwrap(), Tier::Standard)
        .unwrap()
}

#[test]
fn target_tracking_scales_with_demand() {
    let host = Host::new(HostConfig::new(jail())).unwrap();
    let module = load(&host, "target-tracking");
    assert_eq!(module.descriptor().name, "target-tracking");
    let needs = module.configure("", "Scale").unwrap();
    assert_eq!(needs.signals[0].name, "demand");

    let mut context = context(1, 2016);
    let answers: Vec<_> = (0..3).map(|_| host.evaluate(&module, &context)).collect();
    let Verdict::Decide(decision) = &answers[0].verdict else {
        panic!("{:?}", answers[0]);
    };
    assert_eq!(decision.proposals.len(), 1);
    assert!(matches!(decision.proposals[0].action, Action::Replicas(count) if count > 1));
    for answer in &answers {
        assert_eq!(answer.finding, None);
        assert_eq!(answer.verdict, answers[0].verdict);
        assert_eq!(answer.fuel_used, answers[0].fuel_used);
    }

    context.signals[0].quality = Quality::Stale;
    assert!(matches!(
        host.evaluate(&module, &context).verdict,
        Verdict::Abstain(_)
    ));
}

#[test]
fn a_config_is_checked_by_its_policy() {
    let host = Host::new(HostConfig::new(jail())).unwrap();
    let module = load(&host, "target-tracking");
    let issues = module
        .configure(r#"{"targetUtilization": 2}"#, "Scale")
        .unwrap_err();
    assert_eq!(issues[0].path, "/targetUtilization");
    let issues = module.configure(r#"{"target": 2}"#, "Scale").unwrap_err();
    assert!(
        issues[0].message.contains("unknown field `target`"),
        "{issues:?}"
    );
    let issues = module.configure("{", "Scale").unwrap_err();
    assert!(issues[0].message.contains("not JSON"), "{issues:?}");
}

#[test]
fn every_built_in_policy_loads_without_wasi() {
    let host = Host::new(HostConfig::new(jail())).unwrap();
    for name in foreshard_builtin::names() {
        let module = load(&host, name);
        assert_eq!(module.descriptor().name, name);
        let imports = &module.about().inspection.imports;
        assert!(
            imports
                .iter()
                .all(|import| import.name.starts_with("foreshard:policy/")),
            "{imports:?}"
        );
    }
}
