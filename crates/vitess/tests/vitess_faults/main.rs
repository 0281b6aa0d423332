//! A cluster of Vitess on a real node while everything around its tablets breaks: operators that are killed, etcd, a Secret, a
//! volume, vtctld, and at last the whole topology. Rows are written all the while, and none that was acknowledged is lost.
//! Needs root, and the parts of beds `node` and `vitess`.
#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::panic,
    reason = "helpers of tests, which clippy does not see as such"
)]

use serde_json::Value;

use crate::operators::Operators;
use crate::stage::*;
use crate::writer::Writer;

mod members;
mod operators;
#[path = "../vitess_node/processes.rs"]
mod processes;
mod secrets;
#[path = "../vitess_node/stage.rs"]
#[allow(dead_code, reason = "what other tests on a node need as well")]
mod stage;
mod volumes;
mod vtctlds;
mod writer;

const SMALL: &str = r#"
apiVersion: foreshard.dev/v1alpha1
kind: Vitess
metadata: {name: example}
spec:
  cells:
  - name: zone1
    vtgate: {initialReplicas: 2, resources: &few {requests: {cpu: 10m, memory: 64Mi}}}
  topology: {etcd: {members: 3, resources: *few}}
  vtctld: {replicas: 1, resources: *few}
  vtorc: {replicas: 1, resources: *few}
  keyspaces:
  - name: commerce
    tabletPools:
    - {cell: zone1, type: Replica, initialReplicas: 3, vttablet: *few, mysqld: *few, storage: {size: 1Gi}}
"#;

#[test]
fn a_cluster_outlives_its_operators_and_what_it_rests_on_and_loses_no_row() {
    let Some(node) = node() else { return };
    let mut operators = Operators::new(&node);
    let vitess: Value = serde_saphyr::from_str(SMALL).unwrap();
    operators.killed_as_it_comes_up(&vitess);
    let writer = Writer::start(&node);
    operators.two_at_once(&writer);
    members::one_crashes(&node, &writer);
    members::all_crash(&node, &writer);
    members::one_loses_its_volume(&node, &writer);
    operators.killed_as_a_tablet_leaves(&writer);
    vtctlds::stand_still(&node, &writer);
    volumes::none_is_bound(&node, &writer);
    volumes::nobody_provides(&node, &writer);
    secrets::a_password_is_wrong(&node, &writer);
    secrets::passwords_are_deleted(&node, &writer);
    secrets::certificates_are_deleted(&node, &writer);
    writer.expect_all_rows(&node);
    members::all_lose_their_volumes(&node, &mut operators, &writer);
    writer.end(&node);
    operators.kill();
}
