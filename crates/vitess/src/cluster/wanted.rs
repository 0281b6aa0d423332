//! What a `Vitess` means once it is checked.

use foreshard_api::v1alpha1::Vitess;
use foreshard_api::v1alpha1::vitess::VitessSpec;
use foreshard_api::v1alpha1::vitess::components::UpdateStrategy;
use foreshard_api::v1alpha1::vitess::keyspace::Keyspace;
use kube::ResourceExt as _;

use crate::backup::store::Store;
use crate::cluster::names::ClusterNames;
use crate::names::{CLIENT_PORT, Names};
use crate::topo_server::validate::Invalid;

/// Path below which everything is that a cluster records in an etcd of its own.
const OWN_ROOT: &str = "/vitess";

/// A `Vitess` that can be built.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Its names.
    pub names: ClusterNames,
    /// Identity of the object.
    pub uid: String,
    /// Generation of its spec.
    pub generation: i64,
    /// Where its topology is.
    pub topology: Topology,
    /// The rest, as it was given.
    pub spec: VitessSpec,
}

/// Where a topology is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// Addresses of members, with commas between them, as Vitess takes them.
    pub addresses: String,
    /// Path below which everything is.
    pub root: String,
    /// Secret by which members are known, and clients to them; none: there is no TLS.
    pub secret_name: Option<String>,
    /// Whether a TopoServer is made for it.
    pub is_own: bool,
}

impl Topology {
    /// Path of what all cells share.
    #[must_use]
    pub fn global_root(&self) -> String {
        format!("{}/global", self.root)
    }

    /// Path of what is a cell's own.
    #[must_use]
    pub fn cell_root(&self, cell: &str) -> String {
        format!("{}/cells/{cell}", self.root)
    }
}

impl Wanted {
    /// Checks an object.
    ///
    /// # Errors
    /// The first thing that is wrong, with its field and the fix.
    pub fn parse(object: &Vitess) -> Result<Self, Invalid> {
        let spec = object.spec.clone();
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let topology = topology(&namespace, &name, &spec)?;
        Ok(Self {
            names: ClusterNames::new(&namespace, &name),
            uid: object.uid().unwrap_or_default(),
            generation: object.metadata.generation.unwrap_or(0),
            topology,
            spec,
        })
    }

    /// The image that holds Vitess's programs.
    #[must_use]
    pub fn vitess_image(&self) -> String {
        let usual = || format!("docker.io/vitess/lite:v{}", self.spec.version);
        self.spec.images.vitess.clone().unwrap_or_else(usual)
    }

    /// The image that holds VTAdmin and its page.
    #[must_use]
    pub fn vtadmin_image(&self) -> String {
        let usual = || format!("docker.io/vitess/vtadmin:v{}", self.spec.version);
        self.spec.images.vtadmin.clone().unwrap_or_else(usual)
    }

    /// Name of a keyspace's database in MySQL.
    #[must_use]
    pub fn database(keyspace: &Keyspace) -> String {
        let usual = || format!("vt_{}", keyspace.name);
        keyspace.database_name.clone().unwrap_or_else(usual)
    }

    /// The value of the label of zones where a cell's pods run.
    #[must_use]
    pub fn zone(&self, cell: &str) -> Option<&str> {
        let cell = self.spec.cells.iter().find(|it| it.name == cell)?;
        cell.zone.as_deref()
    }

    /// Where its own backups are.
    #[must_use]
    pub fn store(&self) -> Option<Store<'_>> {
        self.store_of(&format!("{}/{}", self.names.namespace, self.names.name))
    }

    /// Where the backups of a cluster are, by its folder.
    #[must_use]
    pub fn store_of(&self, path: &str) -> Option<Store<'_>> {
        let backups = self.spec.backups.as_ref()?;
        Some(Store {
            location: &backups.location,
            path: path.to_owned(),
        })
    }

    /// What the spec names and this version does not carry out.
    #[must_use]
    pub fn unsupported(&self) -> Vec<&'static str> {
        let rollouts = self.spec.update_strategy != UpdateStrategy::default();
        let all = [("spec.updateStrategy", rollouts)];
        let named = all.into_iter().filter(|(_, is_named)| *is_named);
        named.map(|(field, _)| field).collect()
    }
}

fn topology(namespace: &str, name: &str, spec: &VitessSpec) -> Result<Topology, Invalid> {
    let Some(external) = &spec.topology.external else {
        let names = Names::new(namespace, name);
        return Ok(Topology {
            addresses: format!("https://{}.{namespace}.svc:{CLIENT_PORT}", names.service()),
            root: OWN_ROOT.to_owned(),
            secret_name: Some(names.client_certificate()),
            is_own: true,
        });
    };
    let secure = external
        .addresses
        .iter()
        .filter(|it| it.starts_with("https:"));
    let (secure, all) = (secure.count(), external.addresses.len());
    let invalid = |message: &str| Invalid {
        path: "spec.topology.external",
        message: message.to_owned(),
    };
    if secure != 0 && secure != all {
        return Err(invalid("addresses are all with https, or all with http"));
    }
    if external.tls.is_some() != (secure == all) {
        return Err(invalid(
            "tls is named for addresses with https, and for no others",
        ));
    }
    Ok(Topology {
        addresses: external.addresses.join(","),
        root: external.root_path.clone(),
        secret_name: external.tls.as_ref().map(|it| it.secret_name.clone()),
        is_own: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_external_topology_has_tls_for_https_and_for_nothing_else() {
        let parse = |topology: &str| {
            let text = format!(
                "{{apiVersion: foreshard.dev/v1alpha1, kind: Vitess, metadata: {{name: example, namespace: shop}}, \
                 spec: {{cells: [{{name: a}}], keyspaces: [], topology: {topology}}}}}"
            );
            let object: Vitess = serde_saphyr::from_str(&text).unwrap();
            Wanted::parse(&object)
                .map(|it| it.topology)
                .map_err(|it| it.to_string())
        };
        let own = parse("{etcd: {members: 1}}").unwrap();
        assert_eq!(own.addresses, "https://example-etcd.shop.svc:2379");
        assert_eq!(own.cell_root("a"), "/vitess/cells/a");
        let plain = "{external: {addresses: ['http://a:1', 'http://b:1'], rootPath: /x/y}}";
        let plain = parse(plain).unwrap();
        assert_eq!(
            (&*plain.addresses, plain.secret_name),
            ("http://a:1,http://b:1", None)
        );
        for wrong in [
            "{external: {addresses: ['http://a:1', 'https://b:1'], rootPath: /x}}",
            "{external: {addresses: ['https://b:1'], rootPath: /x}}",
            "{external: {addresses: ['http://b:1'], rootPath: /x, tls: {secretName: s}}}",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
