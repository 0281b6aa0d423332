//! The way to the API server, with the options that kubectl has.

use std::error::Error;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use foreshard_cli::time;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};

use crate::trouble::{Asked, Trouble};
use foreshard_cli::text::chain;

/// Where the cluster is, and who asks.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct ClusterArgs {
    /// The namespace [default: that of the context].
    #[arg(long, short, global = true, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// The context of the kubeconfig.
    #[arg(long, global = true, value_name = "NAME")]
    context: Option<String>,
    /// The kubeconfig [default: `KUBECONFIG`, then ~/.kube/config, then the pod's service account].
    #[arg(long, global = true, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The user to be taken for.
    #[arg(long = "as", global = true, value_name = "USER")]
    impersonate: Option<String>,
    /// A group of the user to be taken for; may be given several times.
    #[arg(
        long = "as-group",
        global = true,
        value_name = "GROUP",
        requires = "impersonate"
    )]
    impersonate_groups: Vec<String>,
    /// How long one request may take; 0: as long as it likes.
    #[arg(long, global = true, value_name = "SPAN", value_parser = timeout, default_value = "10s")]
    request_timeout: i64,
}

/// As kubectl takes it: without a unit it is seconds.
fn timeout(text: &str) -> Result<i64, String> {
    match text.parse::<u32>() {
        Ok(seconds) => Ok(i64::from(seconds)),
        Err(_) => time::span(text),
    }
}

/// A cluster that can be asked.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) client: Client,
    /// Where names are looked up.
    pub(crate) namespace: String,
    address: String,
    timeout: Option<Duration>,
}

impl ClusterArgs {
    /// Reads the kubeconfig; nothing is asked yet.
    pub(crate) async fn connect(&self) -> anyhow::Result<Cluster> {
        let mut config = self.config().await?;
        if let Some(user) = &self.impersonate {
            config.auth_info.impersonate = Some(user.clone());
            let groups =
                (!self.impersonate_groups.is_empty()).then(|| self.impersonate_groups.clone());
            config.auth_info.impersonate_groups = groups;
        }
        let namespace = self.namespace.clone();
        let address = config.cluster_url.to_string();
        Ok(Cluster {
            namespace: namespace.unwrap_or_else(|| config.default_namespace.clone()),
            client: Client::try_from(config)
                .with_context(|| format!("reaching the API server at {address}"))?,
            address,
            timeout: u64::try_from(self.request_timeout)
                .ok()
                .filter(|seconds| *seconds > 0)
                .map(Duration::from_secs),
        })
    }

    async fn config(&self) -> anyhow::Result<Config> {
        let options = KubeConfigOptions {
            context: self.context.clone(),
            ..KubeConfigOptions::default()
        };
        // In one line: these errors repeat their causes.
        let said = |what: String, error: &dyn Error| anyhow!("{what}: {}", chain(error));
        let of_file = |file: &Path| format!("the kubeconfig {}", file.display());
        match &self.kubeconfig {
            Some(file) => {
                let read = Kubeconfig::read_from(file);
                let read = read.map_err(|error| said(of_file(file), &error))?;
                let hint = self.other_contexts(&read);
                let config = Config::from_custom_kubeconfig(read, &options).await;
                config.map_err(|error| anyhow!("{}{hint}", said(of_file(file), &error)))
            }
            None if self.context.is_some() => {
                let config = Config::from_kubeconfig(&options).await;
                config.map_err(|error| {
                    let read = Kubeconfig::read();
                    let hint = read.map_or_else(|_| String::new(), |it| self.other_contexts(&it));
                    anyhow!("{}{hint}", said("the kubeconfig".to_owned(), &error))
                })
            }
            None => Config::infer().await.map_err(|error| {
                let what = "there is no kubeconfig and this is no pod; name one with --kubeconfig";
                said(what.to_owned(), &error)
            }),
        }
    }

    /// The contexts that there are, where the one that is asked for is not.
    fn other_contexts(&self, read: &Kubeconfig) -> String {
        let names: Vec<&str> = read.contexts.iter().map(|it| it.name.as_str()).collect();
        match self.context.as_deref() {
            Some(wanted) if !names.contains(&wanted) => {
                format!("; its contexts are {}", names.join(", "))
            }
            _ => String::new(),
        }
    }

    /// The same options for kubectl.
    pub(crate) fn for_kubectl(&self) -> Vec<String> {
        let mut args = Vec::new();
        let mut add = |option: &str, value: &str| args.push(format!("{option}={value}"));
        if let Some(file) = &self.kubeconfig {
            add("--kubeconfig", &file.to_string_lossy());
        }
        for (option, value) in [("--context", &self.context), ("--as", &self.impersonate)] {
            if let Some(value) = value {
                add(option, value);
            }
        }
        for group in &self.impersonate_groups {
            add("--as-group", group);
        }
        args
    }
}

impl Cluster {
    /// Waits for the answer, and says in the user's words why there is none.
    pub(crate) async fn ask<T>(
        &self,
        asked: Asked<'_>,
        question: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Trouble> {
        let answer = match self.timeout {
            None => question.await,
            Some(limit) => match tokio::time::timeout(limit, question).await {
                Ok(answer) => answer,
                Err(_) => {
                    return Err(Trouble::Late {
                        address: self.address.clone(),
                        seconds: limit.as_secs(),
                    });
                }
            },
        };
        answer.map_err(|error| Trouble::of(&error, asked, &self.address))
    }

    /// Objects of the namespace that names are looked up in.
    pub(crate) fn all<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The name by which the API server knows us.
    pub(crate) async fn user(&self) -> anyhow::Result<String> {
        let reviews: Api<SelfSubjectReview> = Api::all(self.client.clone());
        let review = SelfSubjectReview::default();
        let parameters = PostParams::default();
        let asked = Asked::cluster("create", "selfsubjectreviews");
        let answer = self
            .ask(asked, reviews.create(&parameters, &review))
            .await?;
        let user = answer.status.and_then(|it| it.user_info?.username);
        user.context("the API server does not say who you are")
    }
}

/// Shows an error of the kubeconfig or the network in one line.
pub(crate) fn shown(error: &kube::Error) -> String {
    chain(error)
}
