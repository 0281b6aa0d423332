//! The objects of a cluster as people would read them.

use foreshard_api::v1alpha1::vitess::keyspace::{Durability, RestoreFrom, Retention};
use foreshard_api::v1alpha1::{TabletPool, Vitess};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::ObjectMeta;

use super::build;
use super::policies::policies;
use super::wanted::Wanted;
use crate::backup::schedule::Begins;
use crate::monitoring::Parts;
use crate::shard;
use crate::tablet_pool::build::{Source, claim, copies, pod};
use crate::tablet_pool::fill::Fills;
use crate::workload;

fn object() -> Vitess {
    let text = include_str!("../../../../examples/vitess/minimal.yaml");
    let mut object: Vitess = serde_saphyr::from_str(text).unwrap();
    object.metadata = ObjectMeta {
        namespace: Some("shop".to_owned()),
        uid: Some("b0a7".to_owned()),
        generation: Some(1),
        ..object.metadata
    };
    object
}

/// The same with backups on a volume.
fn backed_up() -> Vitess {
    let mut object = object();
    let backups = "{location: {volume: {claimName: backups}}, schedule: 0 3 * * *}";
    object.spec.backups = Some(serde_saphyr::from_str(backups).unwrap());
    object
}

#[test]
fn what_all_shards_share() {
    let object = object();
    let (wanted, owner) = (Wanted::parse(&object).unwrap(), workload::owner(&object));
    insta::assert_yaml_snapshot!("topo_server", build::topo_server(&wanted, &owner));
    insta::assert_yaml_snapshot!("services", build::services(&wanted, &owner));
    let vtctld = build::vtctld(&wanted);
    insta::assert_yaml_snapshot!("vtctld", vtctld.deployment(&wanted, &owner));
    insta::assert_yaml_snapshot!("vtctld_budget", vtctld.budget(&wanted, &owner));
    insta::assert_yaml_snapshot!("policies", policies(&wanted, &owner, "foreshard-system"));
}

#[test]
fn a_keyspace_and_its_tablets() {
    let object = object();
    let (wanted, owner) = (Wanted::parse(&object).unwrap(), workload::owner(&object));
    let keyspace = &wanted.spec.keyspaces[0];
    let vtorc = build::vtorc(&wanted, keyspace);
    insta::assert_yaml_snapshot!("vtorc_budget", vtorc.budget(&wanted, &owner));
    let vtorc = vtorc.deployment(&wanted, &owner);
    let args = &vtorc
        .spec
        .as_ref()
        .unwrap()
        .template
        .spec
        .as_ref()
        .unwrap()
        .containers[0]
        .args;
    insta::assert_yaml_snapshot!("vtorc_arguments", args);
    let ranges = build::first_ranges(keyspace);
    assert_eq!(ranges.len(), 1);
    let shard = build::shard(&wanted, keyspace, &ranges[0], &owner);
    insta::assert_yaml_snapshot!("shard", shard);
    insta::assert_yaml_snapshot!(
        "shard_budget",
        shard::build::budget(&wanted.names, &shard, 3)
    );
    let fewest = |durability: Durability, tablets: i32| {
        let mut shard = shard.clone();
        shard.spec.durability = durability;
        let budget = shard::build::budget(&wanted.names, &shard, tablets);
        budget.spec.unwrap().min_available
    };
    // Of three tablets one may go, also while the volume of one is lost; a lone one may go.
    let table = [
        (Durability::SemiSync, 5, 4),
        (Durability::SemiSync, 2, 2),
        (Durability::None, 2, 1),
        (Durability::None, 1, 0),
        (Durability::None, 0, 0),
    ];
    for (durability, tablets, expected) in table {
        let fewest = fewest(durability, tablets);
        assert_eq!(fewest, Some(IntOrString::Int(expected)), "{tablets}");
    }
    let pool: TabletPool = shard::build::pool(&wanted.names, &shard, &keyspace.tablet_pools[0]);
    insta::assert_yaml_snapshot!("tablet_pool", pool);
    let of = Source {
        wanted: &wanted,
        shard: &shard,
        pool: &pool,
    };
    insta::assert_yaml_snapshot!("tablet_pod", pod(&of, 0, None));
    insta::assert_yaml_snapshot!("tablet_claim", claim(&of, 0, None));
    let mut goes = pool.clone();
    let retention = &mut goes.spec.template.persistent_volume_claim_retention;
    retention.when_deleted = Retention::Delete;
    let owned = Source { pool: &goes, ..of };
    let owners = claim(&owned, 0, None).metadata.owner_references.unwrap();
    assert_eq!((&*owners[0].kind, &*owners[0].uid), ("Vitess", "b0a7"));
    // What differs where it copies the primary first, which does not make it an outdated one later.
    let copying = pod(&of, 0, Some(Fills::Clone));
    assert!(copies(&copying) && !copies(&pod(&of, 0, None)));
    assert_eq!(
        copying.metadata.annotations,
        pod(&of, 0, None).metadata.annotations
    );
    let vttablet = &copying.spec.unwrap().containers[0];
    let args = vttablet.args.as_ref().unwrap();
    let args = &args[args.len() - 7..];
    let env = vttablet.env.as_ref().unwrap().last();
    insta::assert_yaml_snapshot!("copying_tablet", (args, env));
    let backed_up = Wanted::parse(&backed_up()).unwrap();
    let of = Source {
        wanted: &backed_up,
        ..of
    };
    let restoring = pod(&of, 0, Some(Fills::Backup));
    assert!(copies(&restoring));
    insta::assert_yaml_snapshot!(
        "restoring_tablet",
        differences(&pod(&of, 0, None), &restoring)
    );
    let mut first = shard.clone();
    first.spec.restore_from = Some(RestoreFrom {
        path: "old/cluster".to_owned(),
        taken_before: None,
    });
    let of_first = Source {
        shard: &first,
        ..of
    };
    let from_another = pod(&of_first, 0, Some(Fills::Restore));
    insta::assert_yaml_snapshot!("first_tablet", differences(&restoring, &from_another));
    insta::assert_yaml_snapshot!(
        "filling_claim",
        claim(&of, 0, Some(Fills::Clone)).metadata.annotations
    );
}

/// Arguments of vttablet that one has and the other has not.
fn differences(one: &Pod, other: &Pod) -> (Vec<String>, Option<Vec<String>>) {
    let args = |pod: &Pod| {
        pod.spec.clone().unwrap().containers[0]
            .args
            .clone()
            .unwrap()
    };
    let known = args(one);
    let new = args(other).into_iter().filter(|it| !known.contains(it));
    let mysqld = other.spec.clone().unwrap().init_containers.unwrap();
    (new.collect(), mysqld[1].command.clone())
}

#[test]
fn a_backup_is_made_by_a_job() {
    let object = backed_up();
    let wanted = Wanted::parse(&object).unwrap();
    let owner = workload::owner(&object);
    let keyspace = &wanted.spec.keyspaces[0];
    let shard = build::shard(&wanted, keyspace, &build::first_ranges(keyspace)[0], &owner);
    let of = crate::backup::job::Source {
        wanted: &wanted,
        shard: &shard,
        backups: wanted.spec.backups.as_ref().unwrap(),
    };
    insta::assert_yaml_snapshot!("backup_job", of.job(1_790_000_000, Begins::Clone));
    assert_ne!(of.name(1_790_000_000), of.name(1_790_000_060));
    let pod = of.job(1_790_000_000, Begins::Backup).spec.unwrap().template;
    let args = pod.spec.unwrap().containers[0].args.clone().unwrap();
    assert!(!args.iter().any(|it| it.contains("clone")), "{args:?}");
}

#[test]
fn a_prometheus_of_its_own() {
    let mut object = object();
    object.spec.monitoring = Some(serde_saphyr::from_str("{managed: {}}").unwrap());
    let (wanted, owner) = (Wanted::parse(&object).unwrap(), workload::owner(&object));
    let parts = Parts::of(&wanted, &owner).unwrap();
    let others = (
        parts.role(),
        parts.binding(),
        parts.claim(),
        parts.service(),
    );
    insta::assert_yaml_snapshot!("prometheus", parts.deployment());
    insta::assert_yaml_snapshot!("prometheus_others", others);
    insta::assert_yaml_snapshot!("prometheus_source", parts.source());
}

#[test]
fn the_gateways_of_a_cell() {
    let object = object();
    let (wanted, owner) = (Wanted::parse(&object).unwrap(), workload::owner(&object));
    let pool = build::gate_pool(&wanted, &wanted.spec.cells[0], &owner);
    insta::assert_yaml_snapshot!("gate_pool", pool);
    let vtgate = crate::gate_pool::build::vtgate(&wanted, &pool, 2);
    let owner = workload::owner(&pool);
    insta::assert_yaml_snapshot!("vtgate", vtgate.deployment(&wanted, &owner));
}

#[test]
fn certificates_are_for_whoever_serves() {
    let wanted = Wanted::parse(&object()).unwrap();
    let all = build::subjects(&wanted);
    let all: Vec<_> = all
        .iter()
        .map(|(name, subject)| (name, &subject.common_name, &subject.serves))
        .collect();
    insta::assert_yaml_snapshot!("subjects", all);
}
