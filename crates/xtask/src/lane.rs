//! Tests that need real parts: built first, then run by themselves.

use foreshard_testbed::all_is_required;
use foreshard_testbed::parts::PartError;

use crate::report::Report;
use crate::{shell, testbed};

/// Tests of one kind of bed.
pub(crate) struct Group {
    /// In words, for the report.
    pub(crate) what: &'static str,
    /// The kinds of bed, whose parts are built.
    pub(crate) beds: &'static [&'static str],
    /// The test binary.
    pub(crate) test: &'static str,
}

/// The control-plane lane; what is there soonest comes first.
const CONTROL_PLANE: &[Group] = &[
    Group {
        what: "real Prometheus",
        beds: &["prometheus"],
        test: "real_prometheus",
    },
    Group {
        what: "control plane",
        beds: &["control-plane", "kwok"],
        test: "control_plane",
    },
    Group {
        what: "the Prometheus collector",
        beds: &["prometheus"],
        test: "prometheus_collector",
    },
    Group {
        what: "Prometheus behind TLS",
        beds: &["prometheus"],
        test: "prometheus_tls",
    },
    Group {
        what: "definitions of a cluster's kinds",
        beds: &["control-plane"],
        test: "definitions",
    },
    Group {
        what: "what is deployed",
        beds: &["control-plane"],
        test: "deploy",
    },
    Group {
        what: "the HTTP API's ports on a cluster",
        beds: &["control-plane"],
        test: "kube_ports",
    },
    Group {
        what: "the scaling controllers",
        beds: &["control-plane", "prometheus"],
        test: "cluster",
    },
    Group {
        what: "hostile uploads to a running operator",
        beds: &["control-plane", "prometheus"],
        test: "hostile_uploads",
    },
    Group {
        what: "the controller of etcd clusters",
        beds: &["control-plane"],
        test: "topo_servers",
    },
    Group {
        what: "the plugin of kubectl",
        beds: &["control-plane", "prometheus"],
        test: "kubectl_foreshard",
    },
];

/// The control-plane lane as a part of all tests.
pub(crate) fn control_plane(report: &mut Report, fast: bool) {
    const NAME: &str = "control-plane lane";
    if fast {
        return report.leave_out(NAME, "--fast");
    }
    run(report, NAME, CONTROL_PLANE.iter());
}

/// Builds what the tests need and runs them. What cannot be had here is left out, unless `REQUIRE_ALL=1`.
fn run<'a>(report: &mut Report, name: &str, groups: impl Iterator<Item = &'a Group>) {
    let mut tests = shell::cargo(["test", "--workspace", "--locked", "--no-fail-fast"]);
    let mut any = false;
    for group in groups {
        if ensure(report, group) {
            // Of the whole workspace, so that nothing is compiled again with other features.
            tests.args(["--test", group.test]);
            any = true;
        }
    }
    // Most of them wait for a control plane, not for a processor.
    tests.env("RUST_TEST_THREADS", "4");
    if any {
        report.tests(name, &mut tests);
    }
}

/// Builds the parts of a group; whether they are there now.
pub(crate) fn ensure(report: &mut Report, group: &Group) -> bool {
    let beds: Vec<String> = group.beds.iter().map(|bed| (*bed).to_owned()).collect();
    let mut cannot_be_had = None;
    let passed = report.check(
        &format!("parts for: {}", group.what),
        || match testbed::build(&beds) {
            Err(error) if !all_is_required() && is_of_this_machine(&error) => {
                cannot_be_had = Some(format!("{error:#}"));
                Ok(())
            }
            other => other,
        },
    );
    match cannot_be_had {
        Some(reason) => {
            report.leave_out(group.what, &reason);
            false
        }
        None => passed,
    }
}

/// Whether the reason lies in this machine or its network, and not in what we pinned or wrote.
fn is_of_this_machine(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref(),
        Some(
            PartError::GoMissing(_)
                | PartError::ProgramMissing { .. }
                | PartError::DiskLow { .. }
                | PartError::DiskFull { .. }
                | PartError::NeedsRoot { .. }
                | PartError::NoNetwork { .. }
                | PartError::Refused { .. }
        )
    )
}

#[cfg(test)]
mod tests {
    use foreshard_testbed::parts;

    use super::*;

    #[test]
    fn only_what_a_machine_lacks_may_be_left_out() {
        let missing = anyhow::Error::from(PartError::GoMissing("no pip".to_owned()));
        assert!(is_of_this_machine(&missing));
        let unknown = parts::select(&["nonsense".to_owned()]).unwrap_err();
        assert!(!is_of_this_machine(&unknown.into()));
        assert!(!is_of_this_machine(&anyhow::anyhow!("a bug")));
    }

    #[test]
    fn every_group_has_its_parts_and_its_tests() {
        for group in CONTROL_PLANE {
            for bed in group.beds {
                assert!(parts::select(&[(*bed).to_owned()]).is_ok(), "{bed}");
            }
            let test = group.test;
            let files = [format!("tests/{test}.rs"), format!("tests/{test}/main.rs")];
            let crates = [
                "crates/testbed",
                "crates/api",
                "crates/history",
                "crates/operator",
                "crates/foreshard",
                "crates/kubectl-foreshard",
                "crates/vitess",
            ];
            let found = crates.iter().any(|folder| {
                let folder = shell::root().join(folder);
                files.iter().any(|file| folder.join(file).is_file())
            });
            assert!(found, "{test}");
        }
    }
}
