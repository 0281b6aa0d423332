//! A source that the administrator configured: its credentials are files in the operator's pod.

use std::path::{Path, PathBuf};
use std::time::Duration;

use foreshard_api::sha256;
use foreshard_api::v1alpha1::RequestHeader;
use foreshard_history::collector::{Auth, ClientCertificate, Enforced, Secret, SourceConfig, Tls};
use serde::Deserialize;

use super::{Seen, trouble};
use crate::modules::Trouble;

/// A source that the administrator configured.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OperatorSource {
    /// By which policies name it.
    pub name: String,
    /// Its address.
    pub url: String,
    /// Namespaces whose policies may use it; `*` stands for all.
    pub allowed_namespaces: Vec<String>,
    /// Label that every query is narrowed to the policy's own namespace by, such as `namespace`. Without it, whoever may
    /// use the source can read all of it.
    #[serde(default)]
    pub enforced_namespace_label: Option<String>,
    /// File with a bearer token.
    #[serde(default)]
    pub bearer_token_file: Option<PathBuf>,
    /// User and password, instead of a token.
    #[serde(default)]
    pub basic: Option<BasicFile>,
    /// File with certificates that are trusted, PEM.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// File with our certificate, PEM.
    #[serde(default)]
    pub certificate_file: Option<PathBuf>,
    /// File with the key of our certificate, PEM.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// Headers for each request, such as `X-Scope-OrgID` for a tenant.
    #[serde(default)]
    pub headers: Vec<RequestHeader>,
    /// Seconds for an answer, 1 to 300; 10 unless told.
    #[serde(default)]
    pub timeout_seconds: Option<u32>,
    /// Most queries in a minute, for each namespace.
    #[serde(default)]
    pub queries_per_minute_max: Option<u32>,
}

/// A user and where the password is.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BasicFile {
    /// The user.
    pub username: String,
    /// File with the password.
    pub password_file: PathBuf,
}

impl OperatorSource {
    /// Whether its fields go together.
    ///
    /// # Errors
    /// The field, and what to do.
    pub fn check(&self) -> Result<(), String> {
        let name = &self.name;
        if self.bearer_token_file.is_some() && self.basic.is_some() {
            return Err(format!(
                "sources: {name}: bearerTokenFile and basic: a request shows one of them, leave out the other"
            ));
        }
        if self.certificate_file.is_some() != self.key_file.is_some() {
            return Err(format!(
                "sources: {name}: certificateFile and keyFile come together: give both"
            ));
        }
        if matches!(self.timeout_seconds, Some(seconds) if !(1..=300).contains(&seconds)) {
            return Err(format!("sources: {name}: timeoutSeconds is 1 to 300"));
        }
        Ok(())
    }

    /// Whether policies of the namespace may use it.
    pub(super) fn allows(&self, namespace: &str) -> bool {
        let mut names = self.allowed_namespaces.iter();
        names.any(|it| it == "*" || it == namespace)
    }

    /// What a collector for the namespace is made of.
    pub(super) async fn config(
        &self,
        namespace: &str,
        poll_every: Duration,
    ) -> Result<(SourceConfig, Seen), Trouble> {
        let mut config = SourceConfig::new(&self.url);
        config.poll_every = poll_every;
        if let Some(seconds) = self.timeout_seconds {
            config.timeout = Duration::from_secs(seconds.into());
        }
        config.enforced = self
            .enforced_namespace_label
            .as_ref()
            .map(|label| Enforced {
                label: label.clone(),
                value: namespace.to_owned(),
            });
        if let Some(most) = self.queries_per_minute_max {
            config.limits.queries_per_minute_max = most;
        }
        let headers = self.headers.iter();
        config.headers = headers
            .map(|it| (it.name.clone(), Secret::new(&it.value)))
            .collect();
        let mut files = Files::default();
        config.auth = self.auth(&mut files).await?;
        config.tls = self.tls(&mut files).await?;
        // What the administrator configured stays as long as the process.
        let seen = Seen {
            source: self.url.clone(),
            credentials: files.read.join(" "),
        };
        Ok((config, seen))
    }

    async fn auth(&self, files: &mut Files) -> Result<Auth, Trouble> {
        if let Some(file) = &self.bearer_token_file {
            let token = files.get(file).await?;
            return Ok(Auth::Bearer(Secret::new(token.trim())));
        }
        let Some(basic) = &self.basic else {
            return Ok(Auth::None);
        };
        let password = files.get(&basic.password_file).await?;
        Ok(Auth::Basic {
            user: basic.username.clone(),
            password: Secret::new(password.trim_end_matches('\n')),
        })
    }

    async fn tls(&self, files: &mut Files) -> Result<Tls, Trouble> {
        let mut tls = Tls::default();
        if let Some(file) = &self.ca_file {
            tls.authorities_pem = Some(files.get(file).await?);
        }
        if let (Some(certificate), Some(key)) = (&self.certificate_file, &self.key_file) {
            tls.client = Some(ClientCertificate {
                certificate_pem: files.get(certificate).await?,
                key_pem: Secret::new(&files.get(key).await?),
            });
        }
        Ok(tls)
    }
}

/// What was read, as digests.
#[derive(Default)]
struct Files {
    read: Vec<String>,
}

impl Files {
    async fn get(&mut self, file: &Path) -> Result<String, Trouble> {
        let text = tokio::fs::read_to_string(file)
            .await
            .map_err(|error| trouble("SourceInvalid", format!("{}: {error}", file.display())))?;
        self.read.push(sha256(text.as_bytes()));
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(file: &str) -> OperatorSource {
        let yaml = "name: shared\nurl: https://prometheus:9090\nallowedNamespaces: [shop]\n";
        serde_saphyr::from_str(&format!("{yaml}{file}")).unwrap()
    }

    #[test]
    fn fields_that_do_not_go_together_are_named() {
        for (file, said) in [
            ("", None),
            ("basic: {username: u, passwordFile: p}", None),
            ("certificateFile: c\nkeyFile: k", None),
            (
                "basic: {username: u, passwordFile: p}\nbearerTokenFile: t",
                Some("bearerTokenFile and basic"),
            ),
            ("keyFile: k", Some("certificateFile and keyFile")),
            ("timeoutSeconds: 0", Some("timeoutSeconds")),
        ] {
            match (source(file).check(), said) {
                (Ok(()), None) => {}
                (Err(error), Some(said)) => assert!(error.contains(said), "{file}: {error}"),
                (other, _) => panic!("{file}: {other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn a_tenant_is_let_in_by_name_and_reads_its_own_series_only() {
        let source = source("enforcedNamespaceLabel: namespace");
        assert!(source.allows("shop") && !source.allows("sho") && !source.allows("other"));
        let (config, _) = source.config("shop", Duration::ZERO).await.unwrap();
        let enforced = config.enforced.unwrap();
        assert_eq!((&*enforced.label, &*enforced.value), ("namespace", "shop"));
        let all = OperatorSource {
            allowed_namespaces: vec!["*".to_owned()],
            ..source
        };
        assert!(all.allows("other"));
    }

    #[tokio::test]
    async fn credentials_come_from_files_and_are_seen_to_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| std::fs::write(path(name), text).unwrap();
        write("password", "first\n");
        write("tls.crt", "certificate");
        write("tls.key", "key");
        let source = source(&format!(
            "basic: {{username: ann, passwordFile: {}}}\ncertificateFile: {}\nkeyFile: {}\n\
             headers: [{{name: X-Scope-OrgID, value: shop}}]\ntimeoutSeconds: 30",
            path("password").display(),
            path("tls.crt").display(),
            path("tls.key").display(),
        ));
        let every = Duration::from_secs(5);
        let (config, first) = source.config("shop", every).await.unwrap();
        let Auth::Basic { user, password } = &config.auth else {
            panic!("{:?}", config.auth);
        };
        assert_eq!((user.as_str(), password.expose()), ("ann", "first"));
        assert_eq!(config.headers[0].0, "X-Scope-OrgID");
        assert!(config.tls.client.is_some());
        assert_eq!(config.timeout, Duration::from_secs(30));
        write("password", "second\n");
        let (_, second) = source.config("shop", every).await.unwrap();
        assert!(first.source == second.source && first.credentials != second.credentials);
        std::fs::remove_file(path("password")).unwrap();
        let Err(trouble) = source.config("shop", every).await else {
            panic!("a password of nothing");
        };
        assert!(trouble.message.contains("password"), "{}", trouble.message);
    }
}
