//! Answers of a real vtctld of Vitess 24.0.0, as they came over the wire, read.
//!
//! `samples/PHASE_CALL.bin` were recorded while `commerce` was resharded from `-` to `-80` and `80-`, each with two
//! tablets: while rows were copied, when the streams ran, after a comparison, after all traffic was switched.

use prost::Message as _;

use crate::{
    Serving, Shard, StreamState, Tablet, TabletType, Vdiff, VdiffState, Workflow, WorkflowStatus,
    wire::vtctldata,
};

macro_rules! sample {
    ($name:literal as $message:ident) => {
        vtctldata::$message::decode(
            include_bytes!(concat!("../samples/", $name, ".bin")).as_slice(),
        )
        .unwrap()
    };
}

fn only_workflow(answer: vtctldata::GetWorkflowsResponse) -> Workflow {
    let mut workflows = answer.workflows.into_iter();
    let workflow = Workflow::from_wire(workflows.next().unwrap());
    assert!(workflows.next().is_none());
    workflow
}

#[test]
fn a_workflow_that_copies() {
    let workflow = only_workflow(sample!("copying_GetWorkflows" as GetWorkflowsResponse));
    assert_eq!(workflow.name, "split");
    assert_eq!(workflow.kind, "Reshard");
    assert_eq!(workflow.source.shards, ["-"]);
    assert_eq!(workflow.target.shards, ["-80", "80-"]);
    assert!(!workflow.is_running() && !workflow.is_frozen());
    assert_eq!(workflow.streams.len(), 2);
    for stream in &workflow.streams {
        assert_eq!(stream.state, StreamState::Copying);
        assert!(stream.tablet.is_some());
    }
    let copying = workflow.streams.iter().flat_map(|stream| &stream.copying);
    assert!(
        copying
            .into_iter()
            .any(|copy| copy.table == "customer" && copy.last_primary_key.contains("customer_id"))
    );
}

#[test]
fn a_workflow_whose_traffic_is_switched() {
    let workflow = only_workflow(sample!("switched_GetWorkflows" as GetWorkflowsResponse));
    assert!(workflow.is_frozen() && !workflow.is_running());
    for stream in &workflow.streams {
        assert_eq!(stream.state, StreamState::Stopped);
        assert!(!stream.position.is_empty());
        assert!(stream.updated_seconds.unwrap() > 1_700_000_000);
    }
}

#[test]
fn a_workflow_in_short() {
    let answer = sample!("copying_WorkflowStatus" as WorkflowStatusResponse);
    let status = WorkflowStatus::from_wire(answer);
    assert_eq!(status.traffic, "Reads Not Switched. Writes Not Switched");
    let shards: Vec<&str> = status.streams.keys().map(String::as_str).collect();
    assert_eq!(shards, ["commerce/-80", "commerce/80-"]);
    for streams in status.streams.values() {
        assert_eq!(streams[0].source_shard, "commerce/-");
    }
}

#[test]
fn who_serves_after_the_switch() {
    let answer = sample!("switched_GetSrvKeyspaces" as GetSrvKeyspacesResponse);
    let serving = Serving::from_wire(answer.srv_keyspaces);
    for tablet_type in [TabletType::Primary, TabletType::Replica, TabletType::Rdonly] {
        assert!(
            serving.is_everywhere(tablet_type, &["-80", "80-"]),
            "{serving:?}"
        );
    }
}

#[test]
fn a_shard_that_serves_no_more() {
    let answer = sample!("switched_GetShard" as GetShardResponse);
    let shard = Shard::from_wire(answer.shard.unwrap()).unwrap();
    assert_eq!(shard.key_range.to_string(), "-");
    assert!(!shard.is_primary_serving);
    assert_eq!(shard.primary.unwrap().to_string(), "zone1-0000000102");
}

#[test]
fn tablets_of_three_shards() {
    let answer = sample!("running_GetTablets" as GetTabletsResponse);
    let tablets: Vec<Tablet> = answer
        .tablets
        .into_iter()
        .map(|tablet| Tablet::from_wire(tablet).unwrap())
        .collect();
    assert_eq!(tablets.len(), 6);
    for shard in ["-", "-80", "80-"] {
        let of_shard = || tablets.iter().filter(|tablet| tablet.shard == shard);
        let primaries = of_shard().filter(|tablet| tablet.tablet_type == TabletType::Primary);
        assert_eq!((of_shard().count(), primaries.count()), (2, 1), "{shard}");
    }
    for tablet in &tablets {
        assert!(tablet.ports.contains_key("grpc") && tablet.mysql_port.is_some());
        let is_primary = tablet.tablet_type == TabletType::Primary;
        assert_eq!(tablet.primary_since_seconds.is_some(), is_primary);
    }
}

#[test]
fn a_comparison_on_its_way_and_done() {
    let begun = Vdiff::from_wire(&sample!("running_VDiffShow" as VDiffShowResponse)).unwrap();
    assert_ne!(begun.state(), VdiffState::Completed);
    let done = Vdiff::from_wire(&sample!("compared_VDiffShow" as VDiffShowResponse)).unwrap();
    assert_eq!(done.state(), VdiffState::Completed);
    assert!(!done.has_mismatch());
    assert_eq!(done.rows_compared(), 400_000);
    assert_eq!(done.errors().count(), 0);
    let tables: Vec<&String> = done.shards["-80"].tables.keys().collect();
    assert_eq!(tables, ["customer", "event"]);
}
