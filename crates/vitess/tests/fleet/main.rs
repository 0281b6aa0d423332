//! Two hundred clusters under one operator: a real API server, the real program with the rights that it is given, and
//! stand-ins for what runs in pods. Their vtctlds and gateways answer over real connections, with the certificates that
//! were made for them, at addresses that the program finds by their names: it has a `/etc/hosts` of its own.
//!
//! Needs root for that, and the part of beds `control-plane`: `sudo -E cargo xtask e2e fleet`.
#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::panic,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod metrics;
mod program;
mod world;

use std::thread;
use std::time::{Duration, Instant};

use foreshard_testbed::{ControlPlane, guard, home, or_left_out};
use serde_json::{Value, json};

use metrics::Metrics;
use program::Program;
use world::World;

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const VITESSES: &str = "/apis/foreshard.dev/v1alpha1/namespaces/default/vitesses";
/// Clusters.
pub(crate) const CLUSTERS: usize = 200;
/// How long nothing is to be written: more than two looks at everything.
const REST: Duration = Duration::from_secs(70);
/// What is wanted of it.
const RSS_MIB_MAX: u64 = 300;
const PASS_P99_SECONDS_MAX: f64 = 0.05;
const OBSERVED_AGAIN_MAX: Duration = Duration::from_secs(60);
/// Kinds with an object for each cluster.
const KINDS: [&str; 4] = ["Vitess", "KeyspaceShard", "TabletPool", "VTGatePool"];

pub(crate) fn name(number: usize) -> String {
    format!("c{number:03}")
}

fn vitess(number: usize) -> Value {
    json!({
        "apiVersion": "foreshard.dev/v1alpha1", "kind": "Vitess", "metadata": {"name": name(number)},
        "spec": {
            "cells": [{"name": "zone1", "vtgate": {"initialReplicas": 1}}],
            "topology": {"external": {"addresses": ["http://127.0.0.1:1"], "rootPath": format!("/{}", name(number))}},
            "vtctld": {"replicas": 1},
            "vtorc": {"replicas": 1},
            "keyspaces": [{"name": "commerce", "tabletPools": [
                {"cell": "zone1", "type": "Replica", "initialReplicas": 3, "storage": {"size": "1Gi"}}
            ]}],
        }
    })
}

#[track_caller]
fn eventually<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if begun.elapsed() > limit => panic!("{what}: after {limit:?} still {seen}"),
            Err(_) => thread::sleep(Duration::from_millis(500)),
        }
    }
}

fn install(plane: &ControlPlane) {
    for definition in foreshard_api::crds() {
        let name = definition.metadata.name.clone().unwrap();
        let definition = serde_json::to_value(definition).unwrap();
        plane.api().post(DEFINITIONS, &definition).unwrap();
        eventually(&name, Duration::from_secs(60), || {
            let known = plane.api().get(&format!("{DEFINITIONS}/{name}")).unwrap();
            let conditions = known["status"]["conditions"].to_string();
            conditions
                .contains("Established")
                .then_some(())
                .ok_or(conditions)
        });
    }
}

/// How many clusters serve.
fn serving(plane: &ControlPlane) -> usize {
    let all = plane.api().get(VITESSES).unwrap_or_default();
    let all = all["items"].as_array().cloned().unwrap_or_default();
    let is_true = |object: &Value, kind: &str| {
        let conditions = object["status"]["conditions"].as_array().cloned();
        let mut conditions = conditions.unwrap_or_default().into_iter();
        conditions.any(|it| it["type"] == kind && it["status"] == "True")
    };
    all.iter()
        .filter(|it| is_true(it, "Ready") && is_true(it, "ShardsReady"))
        .count()
}

/// Waits until every object of every kind was looked at, by a program that was just started.
fn observed(program: &Program) -> Metrics {
    eventually("all are observed", Duration::from_secs(240), || {
        let metrics = program.metrics()?;
        let looks = KINDS.map(|kind| metrics.passes(kind));
        let all = looks.iter().all(|it| *it >= CLUSTERS as u64);
        all.then_some(metrics).ok_or(format!("{looks:?}"))
    })
}

#[test]
fn two_hundred_clusters_are_looked_after_by_one_operator() {
    if !home::is_root() {
        assert!(!foreshard_testbed::all_is_required(), "needs root");
        return;
    }
    let Some(plane) = or_left_out("control plane", ControlPlane::start()) else {
        return;
    };
    guard::watch(plane.bed().unwrap()).unwrap();
    install(&plane);
    let world = World::start(&plane);
    let begun = Instant::now();
    for number in 0..CLUSTERS {
        plane.api().post(VITESSES, &vitess(number)).unwrap();
    }
    println!(
        "{CLUSTERS} were made in {:.0} s",
        begun.elapsed().as_secs_f64()
    );
    let program = Program::start(&plane);
    let begun = Instant::now();
    let mut told = Instant::now();
    eventually("all serve", Duration::from_secs(900), || {
        let serving = serving(&plane);
        if told.elapsed() > Duration::from_secs(15) {
            told = Instant::now();
            println!(
                "{serving} serve after {:.0} s",
                begun.elapsed().as_secs_f64()
            );
        }
        (serving == CLUSTERS)
            .then_some(())
            .ok_or(serving.to_string())
    });
    let came_up = begun.elapsed();
    rest(&program);
    let before = program.metrics().unwrap();
    thread::sleep(REST);
    let after = program.metrics().unwrap();
    let (writes, rss) = (after.writes() - before.writes(), program.rss_mib());
    let p99 = KINDS.map(|kind| after.p99_since(&before, kind));
    let looks = KINDS.map(|kind| after.passes(kind) - before.passes(kind));

    let begun = Instant::now();
    let program = program.restart();
    let again = observed(&program);
    let observed_again = begun.elapsed();
    rest(&program);
    let settled = program.metrics().unwrap();
    println!("all served after {:.0} s", came_up.as_secs_f64());
    println!(
        "in {} s: {writes} writes, looks {looks:?}, p99 {p99:?} s by {KINDS:?}",
        REST.as_secs()
    );
    println!(
        "resident: {rss} MiB; after the restart {} MiB",
        program.rss_mib()
    );
    println!(
        "observed again {:.0} s after the restart",
        observed_again.as_secs_f64()
    );
    println!(
        "writes after the restart: {} and {}",
        again.writes(),
        settled.writes()
    );
    drop(world);

    assert_eq!(writes, 0, "steady state writes nothing");
    assert_eq!(settled.writes(), 0, "nor does a restart");
    assert!(looks.iter().all(|it| *it >= CLUSTERS as u64), "{looks:?}");
    assert!(rss <= RSS_MIB_MAX, "{rss} MiB");
    assert!(p99.iter().all(|it| *it <= PASS_P99_SECONDS_MAX), "{p99:?}");
    assert!(observed_again <= OBSERVED_AGAIN_MAX, "{observed_again:?}");
}

/// Waits until nothing was written for ten seconds.
fn rest(program: &Program) {
    let mut last = (program.metrics().unwrap().writes(), Instant::now());
    eventually("it comes to rest", Duration::from_secs(300), || {
        let now = program.metrics()?.writes();
        if now != last.0 {
            last = (now, Instant::now());
        }
        let is_at_rest = last.1.elapsed() > Duration::from_secs(10);
        is_at_rest.then_some(()).ok_or(format!("{now} writes"))
    });
}
