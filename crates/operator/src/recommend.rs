//! `ScalingRecommendation` objects: made, marked, and kept to a number.

use std::sync::Arc;

use foreshard_api::annotation;
use foreshard_api::time::unix;
use foreshard_api::v1alpha1::{ScalingPolicy, ScalingRecommendation, ScalingRecommendationSpec};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::{Resource as _, ResourceExt as _};

use crate::recommendation::KEPT_MAX;
use crate::shared::Shared;
use foreshard_controller::call::in_time;
use foreshard_controller::error::chain;

/// How the names of a policy's recommendations begin; those of others may as well.
pub(crate) fn prefix(policy_name: &str) -> String {
    format!("{policy_name}-")
}

/// Makes the object, and hands it out if it could be made. The oldest beyond [`KEPT_MAX`] go.
pub(crate) async fn create(
    shared: &Shared,
    policy: &ScalingPolicy,
    spec: ScalingRecommendationSpec,
) -> Option<Arc<ScalingRecommendation>> {
    let namespace = policy.namespace()?;
    let api: Api<ScalingRecommendation> = Api::namespaced(shared.client.clone(), &namespace);
    let prefix = prefix(&spec.policy_name);
    let name = format!("{prefix}{:x}", unix(&spec.issued_time));
    let policy_name = spec.policy_name.clone();
    let mut object = ScalingRecommendation::new(&name, spec);
    object.metadata.labels = Some([(annotation::POLICY.to_owned(), policy_name.clone())].into());
    object.metadata.owner_references = policy.controller_owner_ref(&()).map(|owner| vec![owner]);
    let parameters = PostParams {
        field_manager: Some(crate::FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    };
    let made = match in_time(api.create(&parameters, &object)).await {
        Ok(made) => made,
        // Made before a restart within the same second.
        Err(kube::Error::Api(status)) if status.code == 409 => object,
        Err(error) => {
            tracing::warn!(
                namespace,
                name,
                error = chain(&error),
                "recommendation not written"
            );
            return None;
        }
    };
    let mut known: Vec<_> = shared
        .indexes
        .recommendations
        .begin_with(&namespace, &prefix)
        .into_iter()
        .filter(|it| it.spec.policy_name == policy_name && it.name_any() != name)
        .collect();
    known.sort_by_key(|it| unix(&it.spec.issued_time));
    let excess = (known.len() + 1).saturating_sub(KEPT_MAX);
    for old in known.iter().take(excess) {
        let name = old.name_any();
        if let Err(error) = in_time(api.delete(&name, &DeleteParams::default())).await {
            tracing::debug!(
                namespace,
                name,
                error = chain(&error),
                "old recommendation not deleted"
            );
        }
    }
    Some(Arc::new(made))
}

/// Says what became of a recommendation.
pub(crate) async fn state(shared: &Shared, object: &Arc<ScalingRecommendation>, state: &str) {
    let known = object
        .status
        .as_ref()
        .and_then(|status| status.state.as_deref());
    if known == Some(state) || !shared.claim.holds() {
        return;
    }
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let api: Api<ScalingRecommendation> = Api::namespaced(shared.client.clone(), &namespace);
    let patch = serde_json::json!({
        "apiVersion": ScalingRecommendation::api_version(&()),
        "kind": ScalingRecommendation::kind(&()),
        "metadata": {"name": name},
        "status": {"observedGeneration": object.metadata.generation, "state": state},
    });
    let parameters = PatchParams::apply(crate::FIELD_MANAGER).force();
    if let Err(error) = in_time(api.patch_status(&name, &parameters, &Patch::Apply(patch))).await {
        tracing::warn!(
            namespace,
            name,
            error = chain(&error),
            "state of the recommendation not written"
        );
    }
}
