//! `cargo xtask e2e`: the node lane, tests on a real node and a real Vitess.

use std::fs;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, bail};
use foreshard_testbed::home::is_root;
use jiff::Timestamp;

use crate::lane::{self, Group};
use crate::report::Report;
use crate::{demo, image, shell};

/// One test of the lane.
struct Case {
    group: Group,
    /// Whether it is in the short part.
    smoke: bool,
    needs_root: bool,
    /// Whether it runs the operator's image, and the binary that is in there.
    needs_image: bool,
}

/// What fails soonest comes first.
const CASES: &[Case] = &[
    Case {
        group: Group {
            what: "vtctld's protocol",
            beds: &["vitess"],
            test: "vtctld_reflection",
        },
        smoke: true,
        needs_root: false,
        needs_image: false,
    },
    Case {
        group: Group {
            what: "reshard under load",
            beds: &["vitess"],
            test: "reshard",
        },
        smoke: true,
        needs_root: false,
        needs_image: false,
    },
    Case {
        group: Group {
            what: "primaries moved and crashed",
            beds: &["vitess"],
            test: "vitess",
        },
        smoke: false,
        needs_root: false,
        needs_image: false,
    },
    Case {
        group: Group {
            what: "node",
            beds: &["node"],
            test: "node",
        },
        smoke: true,
        needs_root: true,
        needs_image: false,
    },
    Case {
        group: Group {
            what: "an etcd cluster on a node",
            beds: &["node"],
            test: "topo_node",
        },
        smoke: true,
        needs_root: true,
        needs_image: false,
    },
    Case {
        group: Group {
            what: "a cluster of Vitess on a node",
            beds: &["node"],
            test: "vitess_node",
        },
        smoke: true,
        needs_root: true,
        needs_image: false,
    },
    Case {
        group: Group {
            what: "a cluster of Vitess while all around it breaks",
            beds: &["node"],
            test: "vitess_faults",
        },
        smoke: false,
        needs_root: true,
        needs_image: false,
    },
    Case {
        group: Group {
            what: "backups of a Vitess in a bucket",
            beds: &["node", "bucket"],
            test: "vitess_bucket",
        },
        smoke: false,
        needs_root: true,
        needs_image: false,
    },
    Case {
        group: Group {
            what: "shards, cells, VTAdmin, and a keyspace that goes and comes",
            beds: &["node", "vtadmin"],
            test: "vitess_sharded",
        },
        smoke: false,
        needs_root: true,
        needs_image: false,
    },
    // KEDA alone takes eleven minutes of processor time to build.
    Case {
        group: Group {
            what: "the real KEDA",
            beds: &["control-plane", "prometheus", "keda"],
            test: "keda",
        },
        smoke: false,
        needs_root: false,
        needs_image: false,
    },
    // Too long for the short part: by itself it builds an image as well.
    Case {
        group: Group {
            what: "ahead of a real load",
            beds: &["node", "prometheus"],
            test: "scaling",
        },
        smoke: false,
        needs_root: true,
        needs_image: true,
    },
    Case {
        group: Group {
            what: "two hundred clusters",
            beds: &["control-plane"],
            test: "fleet",
        },
        smoke: false,
        needs_root: true,
        needs_image: true,
    },
    Case {
        group: Group {
            what: "pools of a Vitess ahead of a real load",
            beds: &["node", "prometheus"],
            test: "vitess_scaling",
        },
        smoke: false,
        needs_root: true,
        needs_image: true,
    },
];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only the test of this name, and those that begin with it: `vitess` is `vitess_node` as well.
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(CASES.iter().map(name)))]
    name: Option<String>,
    /// Only the short part.
    #[arg(long, conflicts_with_all = ["name", "all"])]
    smoke: bool,
    /// Everything, with a dated result in `target/e2e`.
    #[arg(long, conflicts_with = "name")]
    all: bool,
}

/// Whether a test is the one of this name, or one of its kind: `vitess` is all of Vitess.
fn is_named(test: &str, wanted: &str) -> bool {
    let rest = test.strip_prefix(wanted);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

fn name(case: &Case) -> &'static str {
    case.group.test
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let chosen = |case: &&Case| match &args.name {
        Some(wanted) => is_named(name(case), wanted),
        None => case.smoke || !args.smoke,
    };
    let cases: Vec<&Case> = CASES.iter().filter(chosen).collect();
    if args.name.is_some() && cases.iter().any(|case| case.needs_root) && !is_root() {
        bail!("a real node needs root: run it with `sudo -E cargo xtask e2e`");
    }
    let mut report = Report::begin_all();
    let mut results = Vec::new();
    for case in cases {
        let what = case.group.what;
        if case.needs_root && !is_root() && !foreshard_testbed::all_is_required() {
            report.leave_out(what, "needs root: run `sudo -E cargo xtask e2e`");
            continue;
        }
        if !lane::ensure(&mut report, &case.group) {
            continue;
        }
        if case.needs_image && !report.check("the operator's image", image::run_debug) {
            continue;
        }
        let mut tests = shell::cargo(["test", "--workspace", "--locked", "--no-fail-fast"]);
        // What a test measured is part of the result.
        tests.args(["--test", case.group.test, "--", "--nocapture"]);
        if args.smoke {
            // Tests that have a short part know it by this.
            tests.env("FORESHARD_E2E_SMOKE", "1");
        }
        let begun = Instant::now();
        let passed = report.tests(what, &mut tests);
        results.push(serde_json::json!({
            "test": case.group.test,
            "passed": passed,
            "seconds": begun.elapsed().as_secs_f64(),
        }));
    }
    if args.all {
        write_result(&results)?;
    }
    Ok(report.finish())
}

/// What docs may quote, with the day and the commit that it is of.
fn write_result(results: &[serde_json::Value]) -> anyhow::Result<()> {
    let commit = shell::output_of(&mut shell::program("git", ["rev-parse", "HEAD"]));
    let at = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let folder = demo::target_folder()?.join("e2e");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let path = folder.join(format!("{}.json", at.replace(':', "-")));
    let result = serde_json::json!({"at": at, "commit": commit, "results": results});
    let text = serde_json::to_string_pretty(&result)?;
    fs::write(&path, text).with_context(|| path.display().to_string())?;
    println!("\n==> result in {}", path.display());
    Ok(())
}

/// The test binaries of all cases.
pub(crate) fn tests() -> impl Iterator<Item = &'static str> {
    CASES.iter().map(|case| case.group.test)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_all_of_its_kind() {
        let named = |wanted: &str| CASES.iter().filter(|it| is_named(name(it), wanted)).count();
        assert_eq!(
            (named("vitess"), named("vitess_node"), named("vi")),
            (6, 1, 0)
        );
    }

    #[test]
    fn every_case_has_its_test() {
        for case in CASES {
            let name = case.group.test;
            let found = ["crates/testbed", "crates/vitess", "crates/operator"]
                .iter()
                .any(|folder| {
                    let tests = shell::root().join(folder).join("tests");
                    tests.join(format!("{name}.rs")).is_file()
                        || tests.join(name).join("main.rs").is_file()
                });
            assert!(found, "{name}");
        }
    }
}
