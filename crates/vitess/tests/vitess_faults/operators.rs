//! Operators that are killed half way, and others that go on from what they find.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use foreshard_testbed::Node;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::stage::*;
use crate::writer::Writer;

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases/foreshard-cluster";

/// The operators of the cluster: the one that works first.
pub(crate) struct Operators {
    node: Arc<Node>,
    running: Vec<(String, Runtime)>,
    made: u32,
}

/// Looks so often that hardly anything happens in between.
fn as_soon_as<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(begun.elapsed() < LIMIT, "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn vitess(node: &Node) -> Value {
    get(node, &format!("{GROUP}/vitesses/example"))
}

/// A condition of the cluster.
pub(crate) fn condition(object: &Value, kind: &str) -> Value {
    let all = object["status"]["conditions"].as_array();
    let found = all.and_then(|all| all.iter().find(|it| it["type"] == kind));
    found.cloned().unwrap_or_default()
}

fn holder(node: &Node) -> Option<String> {
    let holder = get(node, LEASE)["spec"]["holderIdentity"].clone();
    holder.as_str().map(str::to_owned)
}

impl Operators {
    pub(crate) fn new(node: &Arc<Node>) -> Self {
        Self {
            node: Arc::clone(node),
            running: Vec::new(),
            made: 0,
        }
    }

    /// Starts another one beside those that run.
    pub(crate) fn start(&mut self) {
        self.made += 1;
        let identity = format!("operator-{}", self.made);
        let runtime = operate_as(&self.node, &identity);
        self.running.push((identity, runtime));
    }

    /// Ends the first one as if its process was killed.
    pub(crate) fn kill(&mut self) {
        let (_, runtime) = self.running.remove(0);
        runtime.shutdown_background();
    }

    /// Waits until the first one that runs may write.
    #[track_caller]
    fn expect_the_first_leads(&self) {
        let first = &self.running[0].0;
        eventually(&format!("{first} leads"), LIMIT, || {
            let holder = holder(&self.node);
            (holder.as_ref() == Some(first)).then_some(()).ok_or(holder)
        });
    }

    /// Kills the first one, and has another one go on.
    #[track_caller]
    pub(crate) fn replace(&mut self, when: &str) {
        self.kill();
        self.go_on(when);
    }

    /// Starts another one in the place of one that was killed.
    #[track_caller]
    fn go_on(&mut self, when: &str) {
        let begun = Instant::now();
        self.start();
        self.expect_the_first_leads();
        let took = begun.elapsed().as_secs();
        eprintln!("killed {when}; the next one leads after {took} s");
    }

    /// Makes the cluster with operators that are killed three times on its way.
    pub(crate) fn killed_as_it_comes_up(&mut self, object: &Value) {
        let node = Arc::clone(&self.node);
        let begun = Instant::now();
        self.start();
        let vitesses = format!("{GROUP}/vitesses");
        node.plane().api().post(&vitesses, object).unwrap();
        as_soon_as("the topology holds", || {
            is_true(&vitess(&node), "TopologyReady").then_some(())
        });
        let serve = || tablets_that_serve(&node);
        assert_eq!(serve(), 0, "before any tablet serves");
        let count = tablets(&node).len();
        self.replace(&format!("with a topology and {count} tablets"));

        let count = as_soon_as("a tablet is made", || {
            Some(tablets(&node).len()).filter(|it| *it > 0)
        });
        assert_eq!(serve(), 0, "before any tablet serves");
        self.replace(&format!("with {count} tablets"));

        let gates = format!("{GROUP}/vtgatepools");
        as_soon_as("a primary is elected", || primary(&node));
        assert!(!is_true(&vitess(&node), "Ready"), "before gateways answer");
        let count = get(&node, &gates)["items"].as_array().map_or(0, Vec::len);
        self.replace(&format!("with a primary and {count} pools of gateways"));
        let ready = expect_ready(&node, "the cluster serves");
        assert_eq!(ready["status"]["tabletsReady"], "3/3");
        assert_eq!(tablets(&node).len(), 3);
        eprintln!(
            "ready after {} s, with three operators killed",
            begun.elapsed().as_secs()
        );
    }

    /// Another one stands by, writes nothing, and takes over while nobody notices.
    pub(crate) fn two_at_once(&mut self, writer: &Writer) {
        let node = Arc::clone(&self.node);
        self.start();
        let second = self.running[1].0.clone();
        let before = condition(&vitess(&node), "Ready");
        assert_eq!(before["status"], "True");
        let lease = get(&node, LEASE)["spec"].clone();
        // A renewal of the first one comes each 5 s.
        eventually("the first one renews its claim", LIMIT, || {
            let now = get(&node, LEASE)["spec"].clone();
            assert_eq!(now["holderIdentity"], self.running[0].0, "only one leads");
            let renewed = now["renewTime"] != lease["renewTime"];
            renewed.then_some(()).ok_or(now)
        });
        let begun = Instant::now();
        self.kill();
        self.expect_the_first_leads();
        assert_eq!(self.running[0].0, second);
        let taken = get(&node, LEASE)["spec"].clone();
        let transitions = |lease: &Value| lease["leaseTransitions"].as_u64();
        assert_eq!(
            transitions(&taken),
            transitions(&lease).map(|it| it + 1),
            "once"
        );
        let took = begun.elapsed().as_secs();
        eprintln!("the one that stood by leads after {took} s");
        // It works: what somebody takes away is back.
        put_back(&node, begun);
        let after = condition(&vitess(&node), "Ready");
        assert_eq!(
            before["lastTransitionTime"], after["lastTransitionTime"],
            "Ready was true all the while: {after}"
        );
        writer.expect_pauses_below("an operator takes over", Duration::from_secs(15));
    }

    /// Killed once the pod of a tablet that leaves is being deleted: the next one has its record go.
    pub(crate) fn killed_as_a_tablet_leaves(&mut self, writer: &Writer) {
        let node = Arc::clone(&self.node);
        let before = tablets(&node);
        scale(&node, 4);
        expect_tablets(&node, "4/4");
        let all = tablets(&node);
        let new = all.iter().find(|it| !before.contains(it)).unwrap().clone();
        let begun = Instant::now();
        scale(&node, 3);
        // The highest index leaves: the one that came last.
        let path = format!("{CORE}/pods/{new}");
        as_soon_as("its pod is being deleted", || {
            let pod = get(&node, &path);
            let ends = !pod["metadata"]["deletionTimestamp"].is_null();
            (ends || pod["metadata"].is_null()).then_some(())
        });
        self.kill();
        let known = || {
            let known = query(&node, &before[0], "show vitess_tablets");
            known.map(|it| it.lines().count())
        };
        assert_eq!(known(), Ok(4), "its record is there");
        self.go_on("as a tablet's pod is being deleted");
        eventually("its record is gone", LIMIT, || {
            let claim = get(&node, &format!("{CORE}/persistentvolumeclaims/{new}"));
            let mark = claim["metadata"]["annotations"]["foreshard.dev/leaves"].clone();
            let (pods, known) = (tablets(&node), known());
            let is_over = pods.len() == 3 && known == Ok(3) && mark.is_null();
            is_over.then_some(()).ok_or((pods, known, mark))
        });
        let ready = expect_ready(&node, "three are what is wanted");
        assert_eq!(ready["status"]["tabletsReady"], "3/3");
        let took = begun.elapsed().as_secs();
        eprintln!("left after {took} s, with an operator killed");
        writer.expect_pauses_below("a tablet leaves", Duration::from_secs(20));
    }
}

fn tablets_that_serve(node: &Node) -> usize {
    let pods = get(node, &format!("{CORE}/pods"));
    let pods = pods["items"].as_array().cloned().unwrap_or_default();
    let tablet = |pod: &Value| {
        let name = pod["metadata"]["name"].as_str();
        name.is_some_and(|it| it.starts_with("example-tablet-"))
    };
    pods.iter()
        .filter(|it| tablet(it) && is_true(it, "Ready"))
        .count()
}

/// A disruption budget that is deleted by hand is made again.
fn put_back(node: &Node, begun: Instant) {
    let budget = "/apis/policy/v1/namespaces/default/poddisruptionbudgets/example-commerce-x-x";
    node.plane().api().delete(budget).unwrap();
    eventually("a budget is back", LIMIT, || {
        let budget = get(node, budget);
        budget["metadata"]["uid"]
            .is_string()
            .then_some(())
            .ok_or(budget)
    });
    let took = begun.elapsed().as_secs();
    eprintln!("what was deleted is back {took} s after the first one was killed");
}
