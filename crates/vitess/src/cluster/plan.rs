//! What is recorded in the topology before any tablet comes, and when nothing is: decided from what is wanted, what
//! vtctld says, and what was begun before. Nothing is asked here.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::wanted::Wanted;

/// What the topology says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Names of cells.
    pub cells: BTreeSet<String>,
    /// Durability policies of keyspaces.
    pub keyspaces: BTreeMap<String, String>,
}

/// What is to be recorded, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Why nothing is: the topology is not the one that it was.
    pub lost: Option<String>,
    /// Cells that are missing.
    pub cells: Vec<String>,
    /// Keyspaces that are missing, with the names of their policies.
    pub keyspaces: Vec<(String, String)>,
    /// Keyspaces whose policy is another one.
    pub policies: Vec<(String, String)>,
}

/// Decides. `ending` are keyspaces that are being forgotten: nothing is asked of them. `begun` are the keyspaces whose shards were made once: a topology that lacks one of them has lost its data, or
/// is another one, and bootstrapping it would put an empty cluster beside tablets that hold data.
#[must_use]
pub fn plan(wanted: &Wanted, recorded: &Recorded, begun: &[String], ending: &[String]) -> Plan {
    let mut lasting = begun.iter().filter(|name| !ending.contains(name));
    let gone = lasting.find(|name| !recorded.keyspaces.contains_key(*name));
    if let Some(gone) = gone {
        return Plan {
            lost: Some(format!(
                "The topology does not know keyspace {gone}, which was recorded in it. Nothing is made anew: bring the \
                 topology's data back."
            )),
            ..Plan::default()
        };
    }
    let spec = &wanted.spec;
    let cells = spec.cells.iter().map(|it| it.name.clone());
    let cells: Vec<_> = cells.filter(|it| !recorded.cells.contains(it)).collect();
    let mut plan = Plan::default();
    let lasting = spec.keyspaces.iter();
    for keyspace in lasting.filter(|it| !ending.contains(&it.name)) {
        let policy = keyspace.durability.vitess_name();
        let named = (keyspace.name.clone(), policy.to_owned());
        match recorded.keyspaces.get(&keyspace.name) {
            None => plan.keyspaces.push(named),
            Some(known) if known != policy => plan.policies.push(named),
            Some(_) => {}
        }
    }
    Plan { cells, ..plan }
}

#[cfg(test)]
mod tests {
    use foreshard_api::v1alpha1::Vitess;

    use super::*;

    fn wanted() -> Wanted {
        let text = include_str!("../../../../examples/vitess/sharded.yaml");
        let object: Vitess = serde_saphyr::from_str(text).unwrap();
        Wanted::parse(&object).unwrap()
    }

    fn recorded(cells: &[&str], keyspaces: &[(&str, &str)]) -> Recorded {
        let keyspaces = keyspaces.iter();
        Recorded {
            cells: cells.iter().map(|it| (*it).to_owned()).collect(),
            keyspaces: keyspaces
                .map(|(name, policy)| ((*name).to_owned(), (*policy).to_owned()))
                .collect(),
        }
    }

    #[test]
    fn what_is_missing_is_recorded_and_what_is_there_is_left() {
        let wanted = wanted();
        let first = plan(&wanted, &Recorded::default(), &[], &[]);
        assert_eq!(first.cells, ["a", "b", "c"]);
        assert_eq!(first.keyspaces.len(), 2);
        assert_eq!(first.keyspaces[1].1, "cross_cell");
        let all = [("lookup", "semi_sync"), ("customer", "cross_cell")];
        let begun = ["lookup".to_owned(), "customer".to_owned()];
        let settled = recorded(&["a", "b", "c", "other"], &all);
        assert_eq!(plan(&wanted, &settled, &begun, &[]), Plan::default());
        let weaker = recorded(&["a", "b", "c"], &[("lookup", "none"), all[1]]);
        let said = plan(&wanted, &weaker, &begun, &[]);
        let policy = ("lookup".to_owned(), "semi_sync".to_owned());
        assert_eq!(said.policies, [policy]);
        let said = plan(&wanted, &recorded(&["a", "b"], &all), &begun, &[]);
        assert_eq!(said.cells, ["c"]);
    }

    #[test]
    fn of_a_keyspace_that_ends_nothing_is_missed_and_nothing_is_made() {
        let all = [("customer", "cross_cell")];
        let known = recorded(&["a", "b", "c"], &all);
        let begun = ["lookup".to_owned(), "customer".to_owned()];
        let said = plan(&wanted(), &known, &begun, &begun[..1]);
        assert_eq!(said, Plan::default());
        // Once it has ended it begins anew.
        let said = plan(&wanted(), &known, &begun[1..], &[]);
        assert_eq!(said.keyspaces.len(), 1);
    }

    #[test]
    fn a_topology_that_has_lost_a_keyspace_is_held() {
        let begun = ["lookup".to_owned()];
        for known in [
            recorded(&[], &[]),
            recorded(&["a"], &[("customer", "none")]),
        ] {
            let held = plan(&wanted(), &known, &begun, &[]);
            let lost = held.lost.clone().unwrap();
            assert!(lost.contains("lookup"), "{lost}");
            assert_eq!(Plan { lost: None, ..held }, Plan::default());
        }
    }
}
