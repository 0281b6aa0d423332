//! The Prometheus servers that are asked: one collector for each source.
//!
//! A `PrometheusSource` gets nothing of ours: its credentials are those of Secrets in its own namespace. A source that
//! the administrator configured is shared by the namespaces that may use it, one collector for each, with the matcher
//! that keeps them apart put into every query.

mod configured;
mod share;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foreshard_api::sha256;
use foreshard_api::v1alpha1::{
    PrometheusSource, PrometheusSourceSpec, SecretKeyRef, SourceKind, SourceRef,
};
use foreshard_history::collector::{
    Auth, ClientCertificate, Collector, Secret, SourceConfig, Tls, Verification, Watch,
};
use k8s_openapi::api::core::v1::Secret as SecretObject;
use kube::api::Api;
use kube::{Client, ResourceExt as _};

pub use self::configured::{BasicFile, OperatorSource};
use self::share::{Asking, shares};
use crate::modules::Trouble;
use crate::shared::GRANT;
use foreshard_controller::call::in_time;
use foreshard_controller::error::refusal;
use foreshard_controller::index::Index;
use foreshard_controller::wakes::Wakes;

/// What is asked of each source to see whether it answers.
const PROBE: &str = "vector(1)";

/// The reason of a Secret that the API server could not tell now.
const UNTOLD: &str = "SecretUnavailable";

/// A collector and what it was made of.
#[derive(Clone)]
struct Entry {
    seen: Seen,
    made: Result<Arc<Made>, Trouble>,
    /// Why it still shows credentials of before, if so.
    but: Option<Trouble>,
}

/// What a collector is made of, as digests.
#[derive(Clone, Default, PartialEq)]
struct Seen {
    /// What is asked, and for whom: another one is another source.
    source: String,
    /// What is shown to it: with another one, the same source goes on.
    credentials: String,
}

/// A collector with its probe.
pub(crate) struct Made {
    /// Collects.
    pub collector: Collector,
    /// Whether it answers at all.
    pub probe: Watch,
    /// Scheme, host and port.
    origin: String,
    /// What its spec allows.
    queries_per_minute_max: u32,
}

/// Namespace, and source as its policies name it.
pub(crate) type SourceKey = (String, SourceRef);

/// All sources.
pub(crate) struct Sources {
    client: Client,
    objects: Arc<Index<PrometheusSource>>,
    configured: BTreeMap<String, OperatorSource>,
    poll_every: Duration,
    entries: Mutex<BTreeMap<SourceKey, Entry>>,
    wakes: Arc<Wakes>,
}

impl Sources {
    /// The objects of `objects`, and those that were `configured`.
    #[must_use]
    pub(crate) fn new(
        client: Client,
        objects: Arc<Index<PrometheusSource>>,
        configured: Vec<OperatorSource>,
        poll_every: Duration,
        wakes: &Arc<Wakes>,
    ) -> Arc<Self> {
        let by_name = configured
            .into_iter()
            .map(|source| (source.name.clone(), source));
        Arc::new(Self {
            client,
            objects,
            configured: by_name.collect(),
            poll_every,
            entries: Mutex::default(),
            wakes: Arc::clone(wakes),
        })
    }

    /// The collector of a source that a policy of `namespace` names.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn find(
        &self,
        namespace: &str,
        source: &SourceRef,
    ) -> Result<Arc<Made>, Trouble> {
        let key = (namespace.to_owned(), source.clone());
        let known = self.entries().get(&key).map(|entry| entry.made.clone());
        match known {
            Some(made) => made,
            None => self.make(key).await,
        }
    }

    /// Why a source goes on with credentials of before, if so.
    pub(crate) fn but(&self, namespace: &str, source: &SourceRef) -> Option<Trouble> {
        let key = (namespace.to_owned(), source.clone());
        self.entries().get(&key)?.but.clone()
    }

    /// Looks at every source anew: objects may have changed, and Secrets.
    pub(crate) async fn refresh(&self) {
        let keys: Vec<SourceKey> = self.entries().keys().cloned().collect();
        for key in keys {
            // What is wrong is told to those who ask for it.
            let _ = self.make(key).await;
        }
        // Nothing else says that a namespace which used one of the administrator's is gone.
        self.entries().retain(|(_, source), entry| {
            let is_used = |made: &Arc<Made>| Arc::strong_count(made) > 1;
            let is_object = source.kind == SourceKind::PrometheusSource;
            is_object || entry.made.as_ref().map_or(true, is_used)
        });
        self.share();
    }

    /// Divides what one server may be asked in a minute among the collectors that ask it.
    fn share(&self) {
        let all = self.all();
        let asking: Vec<_> = all
            .iter()
            .map(|(_, made)| Asking {
                origin: &made.origin,
                limit: made.queries_per_minute_max,
                queries: made.collector.queries_distinct(),
            })
            .collect();
        for ((_, made), share) in all.iter().zip(shares(&asking)) {
            made.collector.limit(share);
        }
    }

    /// The collectors that there are: for which namespace, by which source.
    #[must_use]
    pub(crate) fn all(&self) -> Vec<(SourceKey, Arc<Made>)> {
        let entries = self.entries();
        let made = entries.iter().filter_map(|(key, entry)| {
            let made = entry.made.as_ref().ok()?;
            Some((key.clone(), Arc::clone(made)))
        });
        made.collect()
    }

    async fn make(&self, key: SourceKey) -> Result<Arc<Made>, Trouble> {
        let config = match key.1.kind {
            SourceKind::PrometheusSource => self.of_object(&key.0, &key.1.name).await,
            SourceKind::OperatorSource => self.of_operator(&key.0, &key.1.name).await,
        };
        let seen = match &config {
            Ok((_, seen)) => seen.clone(),
            Err(trouble) => Seen {
                source: trouble.message.clone(),
                ..Seen::default()
            },
        };
        let mut entries = self.entries();
        if let Some(entry) = entries
            .get(&key)
            .filter(|entry| entry.seen == seen || is_still(entry, &config))
        {
            return entry.made.clone();
        }
        // Credentials that are rotated cost no history.
        let known = entries
            .get(&key)
            .filter(|entry| entry.seen.source == seen.source)
            .and_then(|entry| entry.made.clone().ok());
        let made = match (config, known) {
            (Ok((config, _)), Some(made)) => {
                let renewed = made.collector.renew(config.auth, config.tls);
                if let (Err(error), Some(entry)) = (&renewed, entries.get_mut(&key)) {
                    // A certificate and its key may have been read while they were replaced: what was made of the old ones
                    // goes on, and they are read again.
                    entry.but = Some(invalid(error));
                    return Ok(made);
                }
                Ok(made)
            }
            (Ok((config, _)), None) => build(config).map(Arc::new),
            (Err(trouble), _) => Err(trouble),
        };
        let entry = Entry {
            seen,
            made: made.clone(),
            but: None,
        };
        let namespace = key.0.clone();
        let was_known = entries.insert(key, entry).is_some();
        drop(entries);
        // Whoever asks for the first time has the answer already.
        if was_known {
            self.wakes.namespace(&namespace);
        }
        made
    }

    async fn of_object(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<(SourceConfig, Seen), Trouble> {
        let found = self.objects.get(namespace, name);
        // What is known of one may be old where we may not watch.
        let found = found.filter(|_| self.objects.refused().is_none());
        let object = found.ok_or_else(|| self.unknown(name))?;
        let spec = &object.spec;
        let mut config = SourceConfig::new(&spec.url);
        config.timeout =
            Duration::from_secs(u64::try_from(spec.timeout_seconds).unwrap_or(10).max(1));
        config.poll_every = self.poll_every;
        config.limits.queries_per_minute_max =
            u32::try_from(spec.queries_per_minute_max).unwrap_or(3000);
        let mut secrets = Secrets {
            api: Api::namespaced(self.client.clone(), namespace),
            read: BTreeMap::new(),
        };
        config.auth = auth(spec, &mut secrets).await?;
        config.tls = tls(spec, &mut secrets).await?;
        let headers = spec.headers.iter();
        config.headers = headers
            .map(|it| (it.name.clone(), Secret::new(&it.value)))
            .collect();
        let uid = object.uid().unwrap_or_default();
        let digest = |json: serde_json::Result<Vec<u8>>| sha256(&json.unwrap_or_default());
        let seen = Seen {
            source: digest(serde_json::to_vec(&(uid, spec))),
            credentials: digest(serde_json::to_vec(&secrets.read)),
        };
        Ok((config, seen))
    }

    /// Why an object is not known.
    fn unknown(&self, name: &str) -> Trouble {
        if let Some(why) = self.objects.refused() {
            return trouble("Forbidden", format!("{why}; {GRANT}"));
        }
        if !self.objects.is_synced() {
            let message = "the PrometheusSources were not read yet".to_owned();
            return trouble("Waiting", message);
        }
        let message = format!("there is no PrometheusSource {name} in this namespace");
        trouble("SourceNotFound", message)
    }

    async fn of_operator(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<(SourceConfig, Seen), Trouble> {
        // Whether it does not exist or may not be used is the administrator's to tell.
        let source = self.configured.get(name).filter(|it| it.allows(namespace)).ok_or_else(|| {
            let message = format!(
                "the operator has no source {name} for this namespace: ask its administrator, or make a PrometheusSource"
            );
            trouble("SourceNotFound", message)
        })?;
        source.config(namespace, self.poll_every).await
    }

    /// No section under this lock can panic half way.
    fn entries(&self) -> std::sync::MutexGuard<'_, BTreeMap<SourceKey, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an entry stays as it is because nothing is known: an API server that does not tell a Secret now has not
/// changed it, and a collector that is made anew has to read all histories again.
fn is_still(entry: &Entry, config: &Result<(SourceConfig, Seen), Trouble>) -> bool {
    let untold = matches!(config, Err(trouble) if trouble.reason == UNTOLD);
    untold && entry.made.is_ok()
}

fn build(config: SourceConfig) -> Result<Made, Trouble> {
    let queries_per_minute_max = config.limits.queries_per_minute_max;
    let origin: Vec<&str> = config.url.splitn(4, '/').take(3).collect();
    let origin = origin.join("/").to_lowercase();
    let collector = Collector::new(config).map_err(|error| invalid(&error))?;
    let probe = collector.watch(PROBE).map_err(|error| invalid(&error))?;
    Ok(Made {
        collector,
        probe,
        origin,
        queries_per_minute_max,
    })
}

fn invalid(error: &dyn std::error::Error) -> Trouble {
    trouble("SourceInvalid", error.to_string())
}

/// Secrets of one namespace; what was read, as digests.
struct Secrets {
    api: Api<SecretObject>,
    read: BTreeMap<String, String>,
}

impl Secrets {
    async fn get(&mut self, field: &str, wanted: &SecretKeyRef) -> Result<String, Trouble> {
        let SecretKeyRef { name, key } = wanted;
        let missing = |what: String| trouble("SecretNotFound", format!("{field}: {what}"));
        let object = in_time(self.api.get(name))
            .await
            .map_err(|error| match refusal(&error) {
                ("NotFound", _) => missing(format!("there is no Secret {name} in this namespace")),
                ("Forbidden", message) => trouble(
                    "Forbidden",
                    format!("{field}: {message}; bind the Role that docs/rbac.md describes"),
                ),
                (_, message) => trouble(UNTOLD, format!("{field}: {message}")),
            })?;
        let data = object.data.unwrap_or_default();
        let bytes = data
            .get(key)
            .ok_or_else(|| missing(format!("Secret {name} has no key {key}")))?;
        let text = String::from_utf8(bytes.0.clone())
            .map_err(|_| missing(format!("{key} of Secret {name} is not text")))?;
        self.read.insert(field.to_owned(), sha256(text.as_bytes()));
        Ok(text)
    }
}

async fn auth(spec: &PrometheusSourceSpec, secrets: &mut Secrets) -> Result<Auth, Trouble> {
    let Some(authentication) = &spec.authentication else {
        return Ok(Auth::None);
    };
    if let Some(token) = &authentication.bearer_token {
        let token = secrets
            .get("spec.authentication.bearerToken", token)
            .await?;
        return Ok(Auth::Bearer(Secret::new(token.trim())));
    }
    if let Some(basic) = &authentication.basic {
        let field = "spec.authentication.basic.password";
        let password = secrets.get(field, &basic.password).await?;
        return Ok(Auth::Basic {
            user: basic.username.clone(),
            password: Secret::new(password.trim_end_matches('\n')),
        });
    }
    Ok(Auth::None)
}

async fn tls(spec: &PrometheusSourceSpec, secrets: &mut Secrets) -> Result<Tls, Trouble> {
    let Some(tls) = &spec.tls else {
        return Ok(Tls::default());
    };
    let mut made = Tls::default();
    if let Some(ca) = &tls.ca {
        made.authorities_pem = Some(secrets.get("spec.tls.ca", ca).await?);
    }
    if let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) {
        made.client = Some(ClientCertificate {
            certificate_pem: secrets.get("spec.tls.certificate", certificate).await?,
            key_pem: Secret::new(&secrets.get("spec.tls.key", key).await?),
        });
    }
    if tls.insecure_skip_verify {
        made.verification = Verification::Skipped;
    }
    Ok(made)
}

fn trouble(reason: &'static str, message: String) -> Trouble {
    Trouble { reason, message }
}
