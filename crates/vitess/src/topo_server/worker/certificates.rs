//! The authority of a cluster and its certificates are there and current.

use std::time::Duration;

use foreshard_api::condition::{Finding, kind};
use foreshard_controller::error::chain;
use foreshard_etcd::Tls;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::reflector::Lookup as _;
use tokio::time::Instant;

use super::Worker;
use crate::apply::trouble;
use crate::pki::{Authority, CA, CERTIFICATE, KEY, PkiError, Subject, text};
use crate::topo_server::build;
use crate::topo_server::validate::Validated;

/// Secrets are not watched; they are looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(600);
/// The same while a member is away: its pod may wait for one that was deleted.
const LOOK_SOON: Duration = Duration::from_secs(20);

impl Worker {
    /// By what members are known, and we to them. What is missing or ends soon is made.
    pub(super) async fn certificates(&mut self, wanted: &Validated) -> Result<Tls, Finding> {
        if let Some((tls, looked)) = &self.tls
            && looked.elapsed() < LOOK_EVERY
        {
            return Ok(tls.clone());
        }
        let (client, warning) = match self.client_without_authority(wanted).await? {
            Some(client) => (client, Some(authority_lost(wanted))),
            None => (self.signed(wanted, Timestamp::now()).await?, None),
        };
        let of = |key: &'static str| {
            text(&client, key).ok_or_else(|| {
                unusable(&PkiError::Unusable {
                    name: wanted.names.client_certificate(),
                    key,
                })
            })
        };
        let tls = Tls {
            ca: of(CA)?,
            certificate: of(CERTIFICATE)?,
            key: of(KEY)?,
        };
        self.warning = warning;
        self.tls = Some((tls.clone(), Instant::now()));
        Ok(tls)
    }

    /// Our certificate, when the authority is gone and certificates that it signed are there. Another authority would cut
    /// off members that run: each knows the one that it started with.
    async fn client_without_authority(
        &self,
        wanted: &Validated,
    ) -> Result<Option<Secret>, Finding> {
        let names = &wanted.names;
        if self.secret(wanted, &names.authority()).await?.is_some()
            || self
                .secret(wanted, &names.member_certificate())
                .await?
                .is_none()
        {
            return Ok(None);
        }
        self.secret(wanted, &names.client_certificate()).await
    }

    /// Authority and certificates are made where they are missing or end soon; answers our own.
    async fn signed(&self, wanted: &Validated, now: Timestamp) -> Result<Secret, Finding> {
        let names = &wanted.names;
        let authority = self.authority(wanted, now).await?;
        let member = build::member_subject(wanted);
        self.certificate(wanted, names.member_certificate(), &authority, &member, now)
            .await?;
        let client = build::client_subject();
        self.certificate(wanted, names.client_certificate(), &authority, &client, now)
            .await
    }

    /// Forgets what was read, after members did not answer: a Secret may have been made anew.
    pub(super) fn read_certificates_again(&mut self) {
        self.tls = None;
    }

    /// The same, unless they were read just now.
    pub(super) fn read_certificates_soon(&mut self) {
        self.tls
            .take_if(|(_, looked)| looked.elapsed() >= LOOK_SOON);
    }

    async fn authority(&self, wanted: &Validated, now: Timestamp) -> Result<Authority, Finding> {
        let name = wanted.names.authority();
        let found = self.secret(wanted, &name).await?;
        let there = match found {
            Some(there) => there,
            None => {
                let content = Authority::make(&name, now).map_err(|error| unusable(&error))?;
                let made = build::secret(wanted, name.clone(), &content, true);
                self.put(&made).await?;
                made
            }
        };
        Authority::read(&name, &there).map_err(|error| unusable(&error))
    }

    async fn certificate(
        &self,
        wanted: &Validated,
        name: String,
        authority: &Authority,
        subject: &Subject,
        now: Timestamp,
    ) -> Result<Secret, Finding> {
        if let Some(there) = self.secret(wanted, &name).await?
            && authority.is_current(&there, subject, now)
        {
            return Ok(there);
        }
        let content = authority
            .sign(subject, now)
            .map_err(|error| unusable(&error))?;
        let made = build::secret(wanted, name, &content, false);
        self.put(&made).await?;
        Ok(made)
    }

    async fn secret(&self, wanted: &Validated, name: &str) -> Result<Option<Secret>, Finding> {
        self.shared
            .secret(&wanted.names.namespace, name)
            .await
            .map_err(|said| Finding::no(kind::PROGRESSING, "SecretUnreadable", said))
    }

    async fn put(&self, secret: &Secret) -> Result<(), Finding> {
        tracing::info!(secret = ?secret.name(), "a Secret is made");
        let applied = self.shared.writer.apply(secret, None).await;
        applied.map_err(|error| trouble(&error))
    }
}

fn unusable(error: &PkiError) -> Finding {
    Finding::no(kind::PROGRESSING, "CertificatesUnusable", chain(error))
}

fn authority_lost(wanted: &Validated) -> Finding {
    let names = &wanted.names;
    let message = format!(
        "Secret {} is gone. Certificates do until they end, and then none can be made. Bring it back from a copy; without \
         one, delete Secrets {} and {} as well and then all pods of members at once: another authority is made, and \
         clients have to start again.",
        names.authority(),
        names.member_certificate(),
        names.client_certificate()
    );
    Finding::no(kind::PROGRESSING, "AuthorityLost", message)
}
