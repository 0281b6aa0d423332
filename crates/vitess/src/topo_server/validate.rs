//! What a `TopoServer` means once it is checked.

use foreshard_api::v1alpha1::TopoServer;
use foreshard_api::v1alpha1::topo_server::TopoServerSpec;
use kube::ResourceExt as _;

use crate::bytes;
use crate::names::{MEMBERS_MAX, Names};

/// A `TopoServer` that can be built.
#[derive(Clone, Debug, PartialEq)]
pub struct Validated {
    /// Its names.
    pub names: Names,
    /// Identity of the object.
    pub uid: String,
    /// Generation of its spec.
    pub generation: i64,
    /// Members that are wanted.
    pub members: u32,
    /// Size at which etcd takes no more writes.
    pub quota_bytes: u64,
    /// The rest, as it was given.
    pub spec: TopoServerSpec,
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct Invalid {
    /// The field.
    pub path: &'static str,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Validated {
    /// Checks an object.
    ///
    /// # Errors
    /// The first thing that is wrong, with its field and the fix.
    pub fn parse(object: &TopoServer) -> Result<Self, Invalid> {
        let spec = object.spec.clone();
        let invalid = |path, message| Invalid { path, message };
        let members = u32::try_from(spec.members).unwrap_or(0);
        if members.is_multiple_of(2) || members > MEMBERS_MAX {
            let message = format!("{} is neither 1, 3 nor 5", spec.members);
            return Err(invalid("spec.members", message));
        }
        let quota_bytes = u64::try_from(spec.quota_mebibytes).unwrap_or(0) << 20;
        let size = &spec.storage.size;
        let volume_bytes = bytes::parse(size).ok_or_else(|| {
            invalid(
                "spec.storage.size",
                format!("{size:?} is no size such as 5Gi"),
            )
        })?;
        // Defragmentation writes a second copy beside the first; snapshots and the log need a little as well.
        if volume_bytes < quota_bytes * 2 {
            let message = format!(
                "{size} is less than twice spec.quotaMebibytes, which is {}: defragmentation would fill the volume",
                spec.quota_mebibytes
            );
            return Err(invalid("spec.storage.size", message));
        }
        Ok(Self {
            names: Names::new(&object.namespace().unwrap_or_default(), &object.name_any()),
            uid: object.uid().unwrap_or_default(),
            generation: object.metadata.generation.unwrap_or(0),
            members,
            quota_bytes,
            spec,
        })
    }
}

#[cfg(test)]
mod tests {
    use foreshard_api::v1alpha1::compute::Storage;

    use super::*;

    #[test]
    fn volumes_hold_the_quota_twice() {
        let parse = |members, size: &str| {
            let mut spec = TopoServerSpec::new(members);
            spec.storage = Storage::new(size);
            Validated::parse(&TopoServer::new("example", spec)).map_err(|error| error.to_string())
        };
        assert_eq!(parse(3, "5Gi").unwrap().quota_bytes, 2 << 30);
        let said = parse(3, "4095Mi").unwrap_err();
        insta::assert_snapshot!(said, @"spec.storage.size: 4095Mi is less than twice spec.quotaMebibytes, which is 2048: defragmentation would fill the volume");
        for members in [-1, 0, 2, 4, 7] {
            assert!(parse(members, "5Gi").is_err(), "{members}");
        }
    }
}
