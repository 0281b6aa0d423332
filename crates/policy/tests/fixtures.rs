//! The built-in policies' own fixtures: recorded contexts with the verdicts that they should give.
//!
//! `foreshard policy test builtin:NAME --fixture policies/NAME/fixtures` shows the same with every difference, and
//! writes new verdicts with `--bless`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "these are tests, and so are their helpers"
)]

use std::{fs, path::Path};

use foreshard_decide::contract::{Context, Verdict};
use foreshard_policy::{Compiler, Host, HostConfig, Tier};

#[test]
fn built_in_policies_decide_as_recorded() {
    let host = Host::new(HostConfig::new(Compiler::InProcess)).unwrap();
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    for name in foreshard_builtin::names() {
        let module = host
            .load(foreshard_builtin::component(name).unwrap(), Tier::Standard)
            .unwrap();
        let mut seen = 0;
        for entry in fs::read_dir(policies.join(name).join("fixtures")).unwrap() {
            let directory = entry.unwrap().path();
            let read = |file: &str| fs::read_to_string(directory.join(file)).unwrap();
            let context: Context = serde_json::from_str(&read("context.json")).unwrap();
            let expected: Verdict = serde_json::from_str(&read("verdict.json")).unwrap();
            module.configure(&context.config, &context.kind).unwrap();
            let evaluation = host.evaluate(&module, &context);
            assert_eq!(evaluation.finding, None, "{}", directory.display());
            assert_eq!(evaluation.verdict, expected, "{}", directory.display());
            seen += 1;
        }
        assert!(seen >= 3, "{name} has {seen} fixtures");
    }
}
