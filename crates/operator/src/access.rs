//! Who calls the HTTP API, and what they may do: asked of the API server by TokenReview and SubjectAccessReview.

pub(crate) mod cache;

use std::time::Duration;

use foreshard_server::{Access, Action, Caller, Denied, Identity};
use futures::future::BoxFuture;
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus, UserInfo},
    authorization::v1::{
        NonResourceAttributes, ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
    },
};
use kube::{Api, Client, api::PostParams};
use sha2::{Digest as _, Sha256};
use tokio::{sync::Semaphore, time::timeout};

use cache::Cache;

/// How the API server is asked.
#[derive(Clone, Debug)]
pub struct AccessSettings {
    /// The audience that a token must be made for. Tokens for the API server itself are not taken: whoever is shown one
    /// could act with it there.
    pub audience: String,
    /// For one question, with the wait for its turn.
    pub timeout: Duration,
    /// How long a positive answer holds; a revoked right or token goes on for so long.
    pub kept: Duration,
    /// How long a refused token, and a refused right, is refused without a question, so that whoever comes again and
    /// again costs the API server little. A right that was just given holds after so long.
    pub refused_kept: Duration,
    /// Answers of each kind that are kept.
    pub answers_max: usize,
    /// Questions at one time about who somebody is; and as many about what they may. Strangers, who can ask only the
    /// first, hold up nobody who is known.
    pub questions_max: usize,
}

impl Default for AccessSettings {
    fn default() -> Self {
        Self {
            audience: "foreshard".to_owned(),
            timeout: Duration::from_secs(5),
            kept: Duration::from_secs(10),
            refused_kept: Duration::from_secs(2),
            answers_max: 4096,
            questions_max: 16,
        }
    }
}

/// Nothing longer is a token that an API server made.
const TOKEN_BYTES_MAX: usize = 16 << 10;

/// The API server as the judge of callers.
pub struct KubeAccess {
    client: Client,
    settings: AccessSettings,
    about_tokens: Semaphore,
    about_rights: Semaphore,
    /// By the token's hash, so that no token lies in memory for longer than its request.
    identities: Cache<[u8; 32], Identity>,
    /// Tokens that are none, and why not.
    unknown: Cache<[u8; 32], Denied>,
    allowed: Cache<(Identity, Action), ()>,
    forbidden: Cache<(Identity, Action), Denied>,
}

impl KubeAccess {
    /// Asks with this client, which may create TokenReviews and SubjectAccessReviews.
    #[must_use]
    pub fn new(client: Client, settings: AccessSettings) -> Self {
        Self {
            client,
            about_tokens: Semaphore::new(settings.questions_max),
            about_rights: Semaphore::new(settings.questions_max),
            identities: Cache::new(settings.answers_max, settings.kept),
            unknown: Cache::new(settings.answers_max, settings.refused_kept),
            allowed: Cache::new(settings.answers_max, settings.kept),
            forbidden: Cache::new(settings.answers_max, settings.refused_kept),
            settings,
        }
    }

    async fn identity_of(&self, token: Option<&str>) -> Result<Identity, Denied> {
        let Some(token) = token else {
            return Err(Denied::Unknown(
                "the request has no bearer token".to_owned(),
            ));
        };
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Denied::Unknown(
                "the token is too long to be one".to_owned(),
            ));
        }
        let key = key_of(token);
        if let Some(known) = self.identities.get(&key) {
            return Ok(known);
        }
        if let Some(denied) = self.unknown.get(&key) {
            return Err(denied);
        }
        let review = TokenReview {
            spec: TokenReviewSpec {
                audiences: Some(vec![self.settings.audience.clone()]),
                token: Some(token.to_owned()),
            },
            ..TokenReview::default()
        };
        let review = self
            .ask(
                &self.about_tokens,
                review,
                "tokenreviews.authentication.k8s.io",
            )
            .await?;
        let identity = judged(review.status.unwrap_or_default(), &self.settings.audience)
            .inspect_err(|denied| self.unknown.put(key, denied.clone()))?;
        self.identities.put(key, identity.clone());
        Ok(identity)
    }

    async fn require(&self, who: &Identity, action: &Action) -> Result<(), Denied> {
        let key = (who.clone(), action.clone());
        if self.allowed.get(&key).is_some() {
            return Ok(());
        }
        if let Some(denied) = self.forbidden.get(&key) {
            return Err(denied);
        }
        match self.review(question(who, action)).await {
            Ok(()) => self.allowed.put(key, ()),
            Err(denied @ Denied::Forbidden(_)) => {
                self.forbidden.put(key, denied.clone());
                return Err(denied);
            }
            Err(other) => return Err(other),
        }
        Ok(())
    }

    /// Whether the API server allows it; asked anew each time.
    pub(crate) async fn review(&self, spec: SubjectAccessReviewSpec) -> Result<(), Denied> {
        let review = SubjectAccessReview {
            spec,
            ..SubjectAccessReview::default()
        };
        let review = self
            .ask(
                &self.about_rights,
                review,
                "subjectaccessreviews.authorization.k8s.io",
            )
            .await?;
        let status = review.status.unwrap_or_default();
        if !status.allowed {
            return Err(Denied::Forbidden(status.reason.unwrap_or_default()));
        }
        Ok(())
    }

    /// Has the API server fill in a review; `resource` is its name in RBAC.
    async fn ask<K>(&self, turns: &Semaphore, review: K, resource: &str) -> Result<K, Denied>
    where
        K: kube::Resource<Scope = kube::core::ClusterResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + serde::Serialize
            + serde::de::DeserializeOwned,
    {
        let api: Api<K> = Api::all(self.client.clone());
        let asking = async {
            // The semaphore is never closed.
            let _turn = turns.acquire().await;
            api.create(&PostParams::default(), &review).await
        };
        match timeout(self.settings.timeout, asking).await {
            Ok(Ok(review)) => Ok(review),
            Ok(Err(kube::Error::Api(status))) if status.is_forbidden() => {
                tracing::error!(resource, message = %status.message, "Callers can't be judged.");
                let detail =
                    format!("the operator may not create {resource}: its role lacks the rule");
                Err(Denied::Unavailable(detail))
            }
            Ok(Err(error)) => {
                tracing::warn!(resource, %error, "The API server does not judge a caller.");
                let detail = "the API server does not answer as it should";
                Err(Denied::Unavailable(detail.to_owned()))
            }
            Err(_) => {
                tracing::warn!(resource, "The API server does not judge a caller in time.");
                let detail = "the API server does not answer in time";
                Err(Denied::Unavailable(detail.to_owned()))
            }
        }
    }
}

impl Access for KubeAccess {
    fn identify<'a>(&'a self, caller: Caller<'a>) -> BoxFuture<'a, Result<Identity, Denied>> {
        Box::pin(self.identity_of(caller.token))
    }

    fn knows(&self, caller: Caller<'_>) -> bool {
        let token = caller.token.filter(|token| token.len() <= TOKEN_BYTES_MAX);
        token.is_some_and(|token| self.identities.get(&key_of(token)).is_some())
    }

    fn allow<'a>(
        &'a self,
        who: &'a Identity,
        action: &'a Action,
    ) -> BoxFuture<'a, Result<(), Denied>> {
        Box::pin(self.require(who, action))
    }
}

fn key_of(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// Who the API server says it is.
fn judged(status: TokenReviewStatus, audience: &str) -> Result<Identity, Denied> {
    if status.authenticated != Some(true) {
        let refused = format!(
            "the token is not valid for the audience {audience:?}: wrong, expired, revoked, or made for another"
        );
        return Err(Denied::Unknown(refused));
    }
    // An API server that knows no audiences says none, and has then only checked that it is its own token.
    let audiences = status.audiences.unwrap_or_default();
    if !audiences.iter().any(|it| it == audience) {
        let refused = format!("the token is not made for the audience {audience:?}");
        return Err(Denied::Unknown(refused));
    }
    Ok(identity(status.user.unwrap_or_default()))
}

fn identity(user: UserInfo) -> Identity {
    Identity {
        user: user.username.unwrap_or_default(),
        uid: user.uid,
        groups: user.groups.unwrap_or_default(),
        extra: user.extra.unwrap_or_default(),
    }
}

fn question(who: &Identity, action: &Action) -> SubjectAccessReviewSpec {
    let (on_resource, on_path) = match action {
        Action::OnResource {
            verb,
            resource,
            namespace,
            name,
        } => {
            let attributes = ResourceAttributes {
                group: Some(foreshard_api::GROUP.to_owned()),
                resource: Some((*resource).to_owned()),
                verb: Some((*verb).to_owned()),
                namespace: namespace.clone(),
                name: name.clone(),
                ..ResourceAttributes::default()
            };
            (Some(attributes), None)
        }
        Action::OnPath { verb, path } => {
            let attributes = NonResourceAttributes {
                path: Some((*path).to_owned()),
                verb: Some((*verb).to_owned()),
            };
            (None, Some(attributes))
        }
    };
    SubjectAccessReviewSpec {
        user: Some(who.user.clone()),
        uid: who.uid.clone(),
        groups: Some(who.groups.clone()),
        extra: Some(who.extra.clone()),
        resource_attributes: on_resource,
        non_resource_attributes: on_path,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use k8s_openapi::api::authorization::v1::SubjectAccessReviewStatus;

    use super::*;

    /// An API server that always gives this answer, and how often it did.
    fn always<R: serde::Serialize>(review: &R) -> (KubeAccess, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let body = serde_json::to_vec(review).unwrap();
        let server = tower::service_fn(move |_: http::Request<kube::client::Body>| {
            counted.fetch_add(1, Ordering::Relaxed);
            let answer = http::Response::new(kube::client::Body::from(body.clone()));
            std::future::ready(Ok::<_, std::convert::Infallible>(answer))
        });
        let client = Client::new(server, "default");
        (KubeAccess::new(client, AccessSettings::default()), asked)
    }

    fn caller(token: &str) -> Caller<'_> {
        Caller {
            token: Some(token),
            peer: None,
        }
    }

    #[tokio::test]
    async fn a_refused_right_is_asked_about_once() {
        let (access, asked) = always(&SubjectAccessReview {
            status: Some(SubjectAccessReviewStatus::default()),
            ..SubjectAccessReview::default()
        });
        let action = |path| Action::OnPath { verb: "get", path };
        for _ in 0..3 {
            let refused = access.require(&Identity::default(), &action("/a")).await;
            assert!(matches!(refused, Err(Denied::Forbidden(_))), "{refused:?}");
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        let other = access.require(&Identity::default(), &action("/b")).await;
        assert!(other.is_err());
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn only_who_was_let_in_is_known() {
        let audiences = Some(vec!["foreshard".to_owned()]);
        let (access, asked) = always(&TokenReview {
            status: Some(status(true, audiences)),
            ..TokenReview::default()
        });
        assert!(!access.knows(caller("good")));
        access.identify(caller("good")).await.unwrap();
        assert!(access.knows(caller("good")) && !access.knows(caller("another")));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_refused_token_is_asked_about_once() {
        let (access, asked) = always(&TokenReview {
            status: Some(TokenReviewStatus::default()),
            ..TokenReview::default()
        });
        for _ in 0..3 {
            let refused = access.identity_of(Some("wrong")).await;
            assert!(matches!(refused, Err(Denied::Unknown(_))), "{refused:?}");
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert!(access.identity_of(Some("another")).await.is_err());
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    fn status(authenticated: bool, audiences: Option<Vec<String>>) -> TokenReviewStatus {
        TokenReviewStatus {
            authenticated: Some(authenticated),
            audiences,
            user: Some(UserInfo {
                username: Some("ci".to_owned()),
                ..UserInfo::default()
            }),
            error: None,
        }
    }

    #[test]
    fn only_a_token_for_our_audience_is_taken() {
        let ours = || Some(vec!["foreshard".to_owned()]);
        let judged = |status| judged(status, "foreshard").map(|it| it.user);
        assert_eq!(judged(status(true, ours())), Ok("ci".to_owned()));
        assert!(judged(status(false, ours())).is_err());
        assert!(judged(status(true, None)).is_err());
        assert!(judged(status(true, Some(vec!["other".to_owned()]))).is_err());
        assert!(judged(TokenReviewStatus::default()).is_err());
    }
}
