//! The authority of a cluster, its certificates, and its users are there.

use foreshard_api::condition::{Finding, kind};
use foreshard_controller::error::chain;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::apply::trouble;
use crate::cluster::build;
use crate::cluster::users;
use crate::cluster::wanted::Wanted;
use crate::pki::{Authority, Content};
use crate::shared::Shared;

/// What has to be there before any program starts.
pub(crate) struct Secrets<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) wanted: &'a Wanted,
    pub(crate) owner: &'a OwnerReference,
    /// Whether any shard has data already: what was made with it cannot be made anew.
    pub(crate) has_data: bool,
}

impl Secrets<'_> {
    /// Makes what is missing or ends soon. None: the authority is waited for.
    pub(crate) async fn ensure(&self) -> Result<Option<()>, Finding> {
        let Some(authority) = self.authority().await? else {
            return Ok(None);
        };
        let now = Timestamp::now();
        for (name, subject) in build::subjects(self.wanted) {
            let there = self.get(&name).await?;
            if there.is_some_and(|it| authority.is_current(&it, &subject, now)) {
                continue;
            }
            let made = authority.sign(&subject, now);
            let made = made.map_err(|error| unusable(chain(&error)))?;
            self.put(name, &made, Outlives::No).await?;
        }
        let names = &self.wanted.names;
        if self.get(&names.mysql_users()).await?.is_none() {
            if self.has_data {
                return Err(credentials_lost(&names.mysql_users()));
            }
            if let Some(keyspace) = self.restores() {
                return Err(credentials_of_backup(&names.mysql_users(), keyspace));
            }
            let made = users::mysql().map_err(|error| unusable(error.to_string()))?;
            self.put(names.mysql_users(), &made, Outlives::Yes).await?;
        }
        if self.wanted.spec.access.users.is_none() && self.get(&names.app()).await?.is_none() {
            let made = users::app().map_err(|error| unusable(error.to_string()))?;
            self.put(names.app(), &made, Outlives::Yes).await?;
        }
        Ok(Some(()))
    }

    /// A keyspace that begins with a backup of another cluster.
    fn restores(&self) -> Option<&str> {
        let mut all = self.wanted.spec.keyspaces.iter();
        let restores = all.find(|it| it.restore_from.is_some())?;
        Some(&restores.name)
    }

    /// That of the TopoServer of the same name, or one of our own where there is none. It is made once.
    async fn authority(&self) -> Result<Option<Authority>, Finding> {
        let name = self.wanted.names.authority();
        let usable = |error: &crate::pki::PkiError| unusable(chain(error));
        if let Some(there) = self.get(&name).await? {
            let authority = Authority::read(&name, &there).map_err(|error| usable(&error))?;
            return Ok(Some(authority));
        }
        if self.wanted.topology.is_own {
            return Ok(None);
        }
        if self.has_data {
            let said = format!(
                "Secret {name} is gone: certificates do until they end. Bring it back from a copy."
            );
            return Err(Finding::no(kind::PROGRESSING, "AuthorityLost", said));
        }
        let content = Authority::make(&name, Timestamp::now()).map_err(|error| usable(&error))?;
        let made = self.put(name.clone(), &content, Outlives::Yes).await?;
        let authority = Authority::read(&name, &made).map_err(|error| usable(&error))?;
        Ok(Some(authority))
    }

    async fn get(&self, name: &str) -> Result<Option<Secret>, Finding> {
        let found = self.shared.secret(&self.wanted.names.namespace, name).await;
        found.map_err(|said| Finding::no(kind::PROGRESSING, "SecretUnreadable", said))
    }

    async fn put(
        &self,
        name: String,
        content: &Content,
        outlives: Outlives,
    ) -> Result<Secret, Finding> {
        let names = &self.wanted.names;
        tracing::info!(
            namespace = names.namespace,
            secret = name,
            "a Secret is made"
        );
        let data = content.data.iter();
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(name),
                namespace: Some(names.namespace.clone()),
                labels: Some(names.labels()),
                annotations: Some(content.annotations.clone()),
                owner_references: match outlives {
                    Outlives::Yes => None,
                    Outlives::No => Some(vec![self.owner.clone()]),
                },
                ..ObjectMeta::default()
            },
            data: Some(
                data.map(|(key, value)| (key.clone(), ByteString(value.clone().into_bytes())))
                    .collect(),
            ),
            type_: Some("Opaque".to_owned()),
            ..Secret::default()
        };
        let written = self.shared.writers.cluster.apply(&secret, None).await;
        written.map_err(|error| trouble(&error))?;
        Ok(secret)
    }
}

/// Whether a Secret stays when its cluster is deleted: data that it opens stays as well.
#[derive(Clone, Copy)]
enum Outlives {
    Yes,
    No,
}

fn unusable(said: String) -> Finding {
    Finding::no(kind::PROGRESSING, "CertificatesUnusable", said)
}

fn credentials_of_backup(name: &str, keyspace: &str) -> Finding {
    let said = format!(
        "Keyspace {keyspace} begins with a backup, in which MySQL's users have the passwords of their own cluster. Copy \
         that cluster's Secret, CLUSTER-mysql-users, to Secret {name}."
    );
    Finding::no(kind::PROGRESSING, "CredentialsMissing", said)
}

fn credentials_lost(name: &str) -> Finding {
    let said = format!(
        "Secret {name} is gone, and every mysqld knows the passwords that were in it: others would open nothing. Bring it \
         back from a copy; tablets that run go on until they start again."
    );
    Finding::no(kind::PROGRESSING, "CredentialsLost", said)
}
