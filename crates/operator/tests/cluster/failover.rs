//! Two operators: one acts, and the other as soon as the first is gone.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::stage::{Stage, eventually};

#[test]
fn the_other_takes_over_within_20_s() {
    let Some(mut stage) = Stage::empty("failover") else {
        return;
    };
    let url = crate::stage::prometheus().unwrap().url().to_owned();
    stage.source("main", &url);
    stage.operate(true);
    let holder = |stage: &Stage| {
        let all = stage.list("apis/coordination.k8s.io/v1", "leases");
        all.first().map(|it| it["spec"]["holderIdentity"].clone())
    };
    eventually("the first holds the lease", || {
        let seen = holder(&stage);
        (seen == Some(json!("operator-0")))
            .then_some(())
            .ok_or(seen)
    });
    stage.operate(true);
    stage.deployment("web", 3);
    stage.policy("web", "vector(900)", "Auto");
    stage.expect_replicas("web", 9);
    stage.kill(0);
    let killed = Instant::now();
    stage.deployment("late", 3);
    stage.policy("late", "vector(900)", "Auto");
    stage.expect_replicas("late", 9);
    let took = killed.elapsed();
    assert_eq!(holder(&stage), Some(json!("operator-1")));
    assert!(took < Duration::from_secs(20), "{took:?}");
}
