//! A thousand policies at once: what they cost, and how soon they act.
//!
//! Real API server, controller-manager, scheduler and etcd; pods of kwok; a real Prometheus that remembers 28 days and
//! scrapes every 5 s; two replicas of the operator, of which one leads.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail, ensure};
use foreshard_testbed::{Api, Exporter, HistorySeries, Prometheus};
use serde_json::{Value, json};

use crate::shell;

mod cluster;
mod process;

use cluster::{Cluster, NAMESPACE};
use process::Usage;

const POLICIES: usize = 1_000;
/// Each metric is a multiple of the first: three signals a policy, which ask for the same replicas.
const METRICS: &[(&str, f64)] = &[("load", 1.0), ("queries", 2.0), ("connections", 3.0)];
/// For one replica, of the first metric.
const TARGET: f64 = 100.0;
const SCRAPE_EVERY: Duration = Duration::from_secs(5);
const DAYS: i64 = 28;
const STEP_SECONDS: i64 = 300;
const STEPS: usize = 20;
/// How much a step multiplies the load with.
const STEP: f64 = 4.0;
const STEADY: Duration = Duration::from_secs(180);
/// Nothing needs changing when so long no more is written than so much.
const QUIET: Duration = Duration::from_secs(20);
const QUIET_WRITES: f64 = 5.0;
const LIMIT: Duration = Duration::from_secs(900);

/// One line of the result.
struct Measured {
    what: &'static str,
    value: String,
    wanted: &'static str,
}

/// What was measured, told at once and again at the end.
#[derive(Default)]
struct Results(Vec<Measured>);

impl Results {
    fn add(&mut self, measured: Measured) {
        say(&format!("= {}: {}", measured.what, measured.value));
        self.0.push(measured);
    }

    fn print(&self) {
        println!("\n| what | measured | wanted |\n|---|---|---|");
        for line in &self.0 {
            println!("| {} | {} | {} |", line.what, line.value, line.wanted);
        }
        println!();
    }
}

/// Measures, with this binary, and prints the table.
pub(super) fn run(foreshard: &Path) -> anyhow::Result<()> {
    let raised: Raised = Arc::default();
    let seen = Arc::clone(&raised);
    let exporter = Exporter::serve(move |_| page(&seen))?;
    say("28 days of 3,000 series for Prometheus");
    let mut prometheus = Prometheus::with_history(&history())?;
    prometheus.scrape(&[exporter.address()], SCRAPE_EVERY)?;
    say("a control plane, 1,000 Deployments and their pods");
    let mut cluster = Cluster::start(POLICIES)?;
    let mut results = Results::default();
    let folder = shell::root();
    cluster.operate(foreshard, &["one", "two"])?;
    cluster.create_source(prometheus.url())?;

    say("1,000 ScalingPolicies");
    let begun = Instant::now();
    cluster.create_policies(POLICIES, policy)?;
    let created = begun.elapsed();
    wait("all Ready", || {
        cluster.ready().map(|ready| {
            (ready == POLICIES)
                .then_some(())
                .ok_or(format!("{ready} are"))
        })
    })?;
    let all = begun.elapsed().as_secs_f64();
    results.add(Measured {
        what: "from creating all to all Ready",
        value: format!(
            "{all:.1} s, of which creating {:.1} s",
            created.as_secs_f64()
        ),
        wanted: "60 s",
    });
    wait("all histories read", || {
        cluster.backfilled(POLICIES * METRICS.len())
    })?;
    results.add(Measured {
        what: "to the last of 28 days read",
        value: format!("{:.0} s", begun.elapsed().as_secs_f64()),
        wanted: "",
    });
    wait("first fits done", || cluster.fitted(POLICIES))?;
    // What was learned first may change something; that is no steady state.
    wait("nothing left to change", || {
        let before = cluster.writes()?;
        thread::sleep(QUIET);
        let more = cluster.writes()? - before;
        Ok((more <= QUIET_WRITES)
            .then_some(())
            .ok_or(format!("{more} writes in {} s", QUIET.as_secs())))
    })?;
    say("a steady state of three minutes");
    for measured in steady(&cluster, &prometheus)? {
        results.add(measured);
    }
    say("20 steps of the load, one policy at a time");
    results.add(steps(&cluster, &raised)?);
    say("an upload");
    results.add(push(&cluster, foreshard, &folder)?);
    say("the leader is killed");
    results.add(failover(&mut cluster, &raised)?);
    results.print();
    cluster.down()
}

type Raised = Arc<Mutex<BTreeMap<usize, f64>>>;

fn say(what: &str) {
    println!("    {what}");
}

/// What the policy asks for moves all the time and stays within two replicas.
fn load(policy: usize, seconds: f64) -> f64 {
    let day = (seconds / 86_400.0 + policy as f64 / 1_000.0) * std::f64::consts::TAU;
    let minute = (seconds / 60.0 + policy as f64) * std::f64::consts::TAU / 7.0;
    (145.0 + 15.0 * day.sin() + 5.0 * minute.sin()).round()
}

fn page(raised: &Raised) -> String {
    let now = now_seconds() as f64;
    let raised = raised
        .lock()
        .map_or_else(|_| BTreeMap::new(), |it| it.clone());
    let mut page = String::with_capacity(200_000);
    for (metric, times) in METRICS {
        page.push_str(&format!("# TYPE {metric} gauge\n"));
        for policy in 0..POLICIES {
            let value = load(policy, now) * times * raised.get(&policy).unwrap_or(&1.0);
            page.push_str(&format!("{metric}{{app=\"a{policy}\"}} {value}\n"));
        }
    }
    page
}

fn history() -> Vec<HistorySeries> {
    let end = now_seconds() / STEP_SECONDS * STEP_SECONDS;
    let series = |metric: &str, times: f64, policy: usize| HistorySeries {
        name: metric.to_owned(),
        labels: vec![("app".to_owned(), format!("a{policy}"))],
        samples: (0..DAYS * 86_400 / STEP_SECONDS)
            .rev()
            .map(|back| end - back * STEP_SECONDS)
            .map(|time| (time, load(policy, time as f64) * times))
            .collect(),
    };
    METRICS
        .iter()
        .flat_map(|(metric, times)| (0..POLICIES).map(move |policy| series(metric, *times, policy)))
        .collect()
}

fn now_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() as i64)
}

fn policy(number: usize) -> Value {
    let name = format!("a{number}");
    let signal = |(metric, times): &(&str, f64)| {
        json!({
            "name": metric,
            "query": format!("sum({metric}{{app=\"{name}\"}})"),
            "sourceRef": {"name": "main"},
            "targetAverageValue": (TARGET * times).to_string(),
        })
    };
    json!({
        "apiVersion": "foreshard.dev/v1alpha1",
        "kind": "ScalingPolicy",
        "metadata": {"name": name},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "signals": METRICS.iter().map(signal).collect::<Vec<_>>(),
            "actions": [{"type": "Replicas", "mode": "Auto", "min": 1, "max": 50}],
        },
    })
}

fn steady(cluster: &Cluster, prometheus: &Prometheus) -> anyhow::Result<Vec<Measured>> {
    let leader = cluster.leader()?;
    let before = (
        cluster.usages()?,
        cluster.writes()?,
        queries(prometheus.api())?,
    );
    let begun = Instant::now();
    let renewals = cluster.lease_writes(STEADY)?;
    let minutes = begun.elapsed().as_secs_f64() / 60.0;
    let after = cluster.usages()?;
    let writes = (cluster.writes()? - before.1 + renewals as f64) / minutes;
    let queries = (queries(prometheus.api())? - before.2) / minutes;
    let mut lines = Vec::new();
    for ((name, before), (_, after)) in before.0.iter().zip(&after) {
        let role = if *name == leader { "leader" } else { "standby" };
        lines.push(Measured {
            what: if role == "leader" {
                "RSS and CPU of the leader"
            } else {
                "RSS and CPU of the standby"
            },
            value: format!(
                "{:.0} MiB (peak {:.0}), {:.3} core",
                after.rss_mib,
                after.peak_mib,
                after.cores_since(before, minutes * 60.0)
            ),
            wanted: "350 MiB, 0.35 core",
        });
    }
    lines.push(Measured {
        what: "API writes a minute, renewals of the lease among them",
        value: format!(
            "{writes:.1}, of which {:.1} renew the lease",
            renewals as f64 / minutes
        ),
        wanted: "20",
    });
    lines.push(Measured {
        what: "Prometheus queries a minute, of both replicas",
        value: format!("{queries:.0}"),
        wanted: "3,000",
    });
    Ok(lines)
}

/// Answered by Prometheus so far.
fn queries(prometheus: &Api) -> anyhow::Result<f64> {
    let text = prometheus.text("/metrics")?;
    Ok(process::sum(
        &text,
        "prometheus_http_requests_total",
        |labels| labels.contains("/api/v1/query"),
    ))
}

fn steps(cluster: &Cluster, raised: &Raised) -> anyhow::Result<Measured> {
    let mut taken = Vec::new();
    for step in 0..STEPS {
        let policy = (37 * step + 5) % POLICIES;
        taken.push(raise(cluster, raised, policy)?);
    }
    taken.sort_by(f64::total_cmp);
    let (median, worst) = (taken[STEPS / 2], taken[STEPS - 1]);
    Ok(Measured {
        what: "a step of the load to spec.replicas",
        value: format!("median {median:.1} s, worst of {STEPS} {worst:.1} s"),
        wanted: "10 s; 20 s",
    })
}

/// Seconds from the step to more replicas.
fn raise(cluster: &Cluster, raised: &Raised, policy: usize) -> anyhow::Result<f64> {
    let before = cluster.replicas(policy)?;
    if let Ok(mut raised) = raised.lock() {
        raised.insert(policy, STEP);
    }
    let begun = Instant::now();
    wait("more replicas", || {
        let now = cluster.replicas(policy)?;
        Ok((now > before).then_some(()).ok_or(format!("{now}")))
    })?;
    Ok(begun.elapsed().as_secs_f64())
}

fn push(cluster: &Cluster, foreshard: &Path, folder: &Path) -> anyhow::Result<Measured> {
    let component = folder.join("target/policies/schedule.wasm");
    let begun = Instant::now();
    let mut command = shell::program(foreshard, ["policy", "push"]);
    command
        .arg(component)
        .args(["--name", "spring-sale", "--namespace", NAMESPACE]);
    command
        .args(["--server", &cluster.server()?])
        .env("FORESHARD_TOKEN", cluster.token()?);
    let output = command.output().context("failed to run the binary")?;
    ensure!(
        output.status.success(),
        "policy push: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    wait("Accepted", || cluster.accepted("spring-sale"))?;
    Ok(Measured {
        what: "upload of a Rust component to Accepted",
        value: format!("{:.2} s", begun.elapsed().as_secs_f64()),
        wanted: "0.5 s",
    })
}

fn failover(cluster: &mut Cluster, raised: &Raised) -> anyhow::Result<Measured> {
    let leader = cluster.leader()?;
    cluster.kill(&leader)?;
    let taken = raise(cluster, raised, POLICIES - 1)?;
    Ok(Measured {
        what: "leader killed and a step at once, to spec.replicas",
        value: format!("{taken:.1} s"),
        wanted: "20 s",
    })
}

/// Asks until it is so; says now and then what it waits for.
fn wait(
    what: &str,
    mut look: impl FnMut() -> anyhow::Result<Result<(), String>>,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut said = Instant::now();
    loop {
        // A busy server that did not answer is asked again.
        let seen = match look() {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(seen)) => seen,
            Err(error) => format!("{error:#}"),
        };
        if begun.elapsed() > LIMIT {
            bail!("after {} s still not {what}: {seen}", LIMIT.as_secs());
        }
        if said.elapsed() > Duration::from_secs(10) {
            said = Instant::now();
            say(&format!("... {what}: {seen}"));
        }
        thread::sleep(Duration::from_millis(100));
    }
}
