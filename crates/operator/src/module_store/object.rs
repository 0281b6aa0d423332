//! The objects that an upload becomes, and their names.

use std::collections::BTreeMap;

use bytes::Bytes;
use foreshard_api::{
    annotation, condition,
    v1alpha1::{ModuleSource, PolicyModule, PolicyModuleSpec, Stored, Uploaded},
};
use foreshard_server::{
    Upload,
    view::{self, Acceptance},
};
use k8s_openapi::jiff::Timestamp;
use k8s_openapi::{
    ByteString, api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Resource as _, ResourceExt as _};
use serde_json::{Value, json};

/// What fits into a ConfigMap: the API server takes 1 MiB of `data` and `binaryData`, and etcd's limit on a request is
/// 1.5 MiB with the bytes in base64 on its way.
pub const CONFIG_MAP_BYTES_MAX: usize = 1_000_000;

/// Names that users can't take.
pub(super) const BUILTIN_PREFIX: &str = "builtin-";
/// The key of the bytes.
pub(super) const COMPONENT_KEY: &str = "component.wasm";
/// Who uploaded what is there now.
const UPLOADED_BY: &str = "foreshard.dev/uploaded-by";
/// When an upload found the bytes there already.
const USED_AT: &str = "foreshard.dev/used-at";
/// Digits of the digest in a ConfigMap's name; the whole digest is checked when it is read.
const DIGITS_IN_NAME: usize = 16;

fn hex(digest: &str) -> &str {
    digest.strip_prefix("sha256:").unwrap_or(digest)
}

/// Where the large store has the bytes.
pub(super) fn path(namespace: &str, name: &str, digest: &str) -> String {
    format!("{namespace}/{name}/{}.wasm", hex(digest))
}

/// Whether a path of the large store is one of the namespace's own.
pub(super) fn is_of_namespace(path: &str, namespace: &str) -> bool {
    let below = path.strip_prefix(namespace);
    let below = below.and_then(|rest| rest.strip_prefix('/'));
    below.is_some_and(|rest| rest.split('/').all(|step| !matches!(step, "" | "." | "..")))
}

pub(super) fn stored(path: String) -> ModuleSource {
    ModuleSource {
        stored: Some(Stored { path }),
        ..ModuleSource::default()
    }
}

pub(super) fn uploaded(config_map_name: String) -> ModuleSource {
    ModuleSource {
        uploaded: Some(Uploaded { config_map_name }),
        ..ModuleSource::default()
    }
}

/// The bytes as an object; it has no owner yet.
pub(super) fn config_map(name: &str, digest: &str, component: &Bytes) -> ConfigMap {
    let digits = hex(digest).get(..DIGITS_IN_NAME).unwrap_or_default();
    let bytes = ByteString(component.to_vec());
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(format!("policymodule-{name}-{digits}")),
            labels: Some(BTreeMap::from([(
                annotation::MODULE.to_owned(),
                name.to_owned(),
            )])),
            ..ObjectMeta::default()
        },
        binary_data: Some(BTreeMap::from([(COMPONENT_KEY.to_owned(), bytes)])),
        immutable: Some(true),
        ..ConfigMap::default()
    }
}

pub(super) fn component(map: &ConfigMap) -> Option<&[u8]> {
    let bytes = map.binary_data.as_ref()?.get(COMPONENT_KEY)?;
    Some(&bytes.0)
}

pub(super) fn into_component(map: ConfigMap) -> Option<Bytes> {
    let bytes = map.binary_data?.remove(COMPONENT_KEY)?;
    Some(bytes.0.into())
}

/// A patch that says that the bytes are wanted now. They lose their owner for a moment: it may be one that was just
/// deleted, and they would go with it.
pub(super) fn used_now() -> Value {
    let annotations = json!({ USED_AT: Timestamp::now().to_string() });
    json!({ "metadata": { "annotations": annotations, "ownerReferences": null } })
}

/// When the bytes were last wanted, as far as they say so.
pub(super) fn last_used(metadata: &ObjectMeta) -> Timestamp {
    let created = metadata.creation_timestamp.as_ref().map(|time| time.0);
    let used = metadata.annotations.as_ref();
    let used = used.and_then(|all| all.get(USED_AT)?.parse().ok());
    created.max(used).unwrap_or(Timestamp::MAX)
}

/// A patch that makes a module the owner of its bytes.
pub(super) fn ownership(module: &PolicyModule) -> Value {
    let owner = module.controller_owner_ref(&());
    json!({ "metadata": { "ownerReferences": owner.into_iter().collect::<Vec<_>>() } })
}

/// The module as it is to be, in the place of the old one.
pub(super) fn module(
    name: &str,
    upload: &Upload,
    source: ModuleSource,
    old: Option<PolicyModule>,
) -> PolicyModule {
    let spec = PolicyModuleSpec {
        digest: upload.policy.digest().to_owned(),
        source,
        size_bytes: i64::try_from(upload.component.len()).unwrap_or(i64::MAX),
    };
    let mut module = match old {
        Some(old) => PolicyModule { spec, ..old },
        None => PolicyModule::new(name, spec),
    };
    module
        .annotations_mut()
        .insert(UPLOADED_BY.to_owned(), upload.user.clone());
    module
}

/// The module as the API shows it.
pub(super) fn view(module: &PolicyModule) -> view::PolicyModule {
    let status = module.status.clone().unwrap_or_default();
    let accepted = status
        .conditions
        .iter()
        .find(|it| it.type_ == condition::kind::ACCEPTED);
    view::PolicyModule {
        name: module.name_any(),
        digest: module.spec.digest.clone(),
        bytes: usize::try_from(module.spec.size_bytes).unwrap_or_default(),
        builtin: false,
        descriptor: view::Descriptor {
            name: status.name.unwrap_or_default(),
            version: status.version.unwrap_or_default(),
            summary: status.summary.unwrap_or_default(),
            actions: status.actions,
            ..view::Descriptor::default()
        },
        acceptance: accepted.map(|it| Acceptance {
            accepted: match it.status.as_str() {
                "True" => Some(true),
                "False" => Some(false),
                _ => None,
            },
            reason: it.reason.clone(),
            message: it.message.clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_in_its_namespace() {
        let own = path("shop", "mine", "sha256:ab");
        assert_eq!(own, "shop/mine/ab.wasm");
        assert!(is_of_namespace(&own, "shop"));
        for foreign in [
            "shop",
            "shop/",
            "shop2/mine/ab.wasm",
            "other/mine/ab.wasm",
            "shop/../other/ab.wasm",
            "shop//ab.wasm",
            "/shop/ab.wasm",
        ] {
            assert!(!is_of_namespace(foreign, "shop"), "{foreign}");
        }
    }
}
