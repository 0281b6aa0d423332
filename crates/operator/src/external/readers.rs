//! Who may read which metric: asked of the API server.

use foreshard_external::{Caller, Denied, GROUP, Judge, VERSION};
use foreshard_server::Denied as AccessDenied;
use futures::future::BoxFuture;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReviewSpec};
use kube::Client;

use crate::access::cache::Cache;
use crate::access::{AccessSettings, KubeAccess};

/// The API server as the judge of readers.
pub(super) struct KubeReaders {
    access: KubeAccess,
    allowed: Cache<(Caller, String, String), ()>,
}

impl KubeReaders {
    /// Asks with this client, which may create SubjectAccessReviews.
    #[must_use]
    pub(super) fn new(client: Client) -> Self {
        let settings = AccessSettings::default();
        Self {
            allowed: Cache::new(settings.answers_max, settings.kept),
            access: KubeAccess::new(client, settings),
        }
    }

    async fn require(&self, who: &Caller, namespace: &str, metric: &str) -> Result<(), Denied> {
        let key = (who.clone(), namespace.to_owned(), metric.to_owned());
        if self.allowed.get(&key).is_some() {
            return Ok(());
        }
        let review = self.access.review(question(who, namespace, metric));
        review.await.map_err(|denied| match denied {
            AccessDenied::Forbidden(why) => Denied::Forbidden(format!(
                "{} may not list {metric}.{GROUP} in the namespace {namespace}: {why}",
                who.user
            )),
            AccessDenied::Unknown(why) | AccessDenied::Unavailable(why) => Denied::Unavailable(why),
        })?;
        self.allowed.put(key, ());
        Ok(())
    }
}

impl Judge for KubeReaders {
    fn may_read<'a>(
        &'a self,
        who: &'a Caller,
        namespace: &'a str,
        metric: &'a str,
    ) -> BoxFuture<'a, Result<(), Denied>> {
        Box::pin(self.require(who, namespace, metric))
    }
}

/// A metric is a resource, and reading its values is listing it.
fn question(who: &Caller, namespace: &str, metric: &str) -> SubjectAccessReviewSpec {
    let attributes = ResourceAttributes {
        group: Some(GROUP.to_owned()),
        version: Some(VERSION.to_owned()),
        resource: Some(metric.to_owned()),
        verb: Some("list".to_owned()),
        namespace: Some(namespace.to_owned()),
        ..ResourceAttributes::default()
    };
    SubjectAccessReviewSpec {
        user: Some(who.user.clone()),
        groups: Some(who.groups.clone()),
        extra: Some(who.extra.clone()),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    }
}
