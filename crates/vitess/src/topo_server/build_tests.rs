//! The objects of an etcd cluster as people would read them.

use foreshard_api::v1alpha1::{TopoServer, TopoServerSpec};
use foreshard_etcd::Id;

use super::build::{
    self,
    pod::{pod, template_digest},
};
use super::observed::{Claim, Stamp};
use super::plan::Start;
use super::validate::Validated;
use crate::names::{Addresses as _, Dns};

fn wanted() -> Validated {
    let mut object = TopoServer::new("example", TopoServerSpec::new(3));
    object.metadata.namespace = Some("shop".to_owned());
    object.metadata.uid = Some("b0a7".to_owned());
    object.metadata.generation = Some(1);
    Validated::parse(&object).unwrap()
}

#[test]
fn the_pod_of_a_first_member() {
    insta::assert_yaml_snapshot!(pod(&wanted(), 1, &Start::New { members: 3 }, &Dns));
}

#[test]
fn services_and_the_disruption_budget() {
    let build::Objects {
        service,
        peers,
        budget,
    } = build::objects(&wanted());
    insta::assert_yaml_snapshot!((service, peers, budget));
}

#[test]
fn the_volume_of_a_member() {
    let claim = Claim {
        stamp: Some(Stamp {
            cluster: Id(0xc1),
            member: Id(0xa1),
        }),
        bootstrap: Some(3),
        lost: None,
    };
    insta::assert_yaml_snapshot!(build::claim(&wanted(), 1, &claim));
}

#[test]
fn how_a_member_starts_is_no_part_of_its_template() {
    let (wanted, names) = (wanted(), wanted().names);
    let roll = vec![(names.member(1), Dns.peer_url(&names, 1))];
    let all = [
        Start::New { members: 3 },
        Start::Existing(Vec::new()),
        Start::Existing(roll),
    ];
    for start in all {
        let pod = pod(&wanted, 1, &start, &Dns);
        let annotations = pod.metadata.annotations.unwrap();
        assert_eq!(
            annotations["foreshard.dev/template"],
            template_digest(&wanted, 1, &Dns)
        );
    }
}
