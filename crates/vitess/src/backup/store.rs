//! How a program reaches the place where backups are.

use foreshard_api::v1alpha1::vitess::backup::{BackupBucket, BackupLocation};
use k8s_openapi::api::core::v1::{
    Container, EnvVar, PersistentVolumeClaimVolumeSource, PodSpec, Volume,
};

use crate::workload;

/// Where a volume with backups is.
const VOLUME: &str = "/backups";
/// Where the credentials of a bucket are.
const CREDENTIALS: &str = "/etc/foreshard/backups";
/// The volume's name in a pod.
const NAME: &str = "backups";

/// What a program does there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Reads,
    Writes,
    /// It writes, and it runs without credentials as well: nothing of a cluster is done without vtctld.
    RunsWithout,
}

/// One cluster's folder in the place where backups are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store<'a> {
    /// The place.
    pub location: &'a BackupLocation,
    /// The folder, such as `NAMESPACE/NAME`.
    pub path: String,
}

impl Store<'_> {
    /// By which vtctld, vttablet and vtbackup know the place.
    #[must_use]
    pub fn flags(&self) -> Vec<String> {
        match &self.location.s3 {
            Some(bucket) => self.of_bucket(bucket),
            None => vec![
                "--backup-storage-implementation=file".to_owned(),
                format!("--file-backup-storage-root={VOLUME}/{}", self.path),
            ],
        }
    }

    fn of_bucket(&self, bucket: &BackupBucket) -> Vec<String> {
        let prefix = bucket.prefix.as_deref().map(|it| it.trim_matches('/'));
        let root = match prefix {
            Some(prefix) => format!("{prefix}/{}", self.path),
            None => self.path.clone(),
        };
        let mut flags = vec![
            "--backup-storage-implementation=s3".to_owned(),
            format!("--s3-backup-aws-region={}", bucket.region),
            format!("--s3-backup-storage-bucket={}", bucket.bucket),
            format!("--s3-backup-storage-root={root}"),
        ];
        if let Some(endpoint) = &bucket.endpoint {
            flags.push(format!("--s3-backup-aws-endpoint={endpoint}"));
            // Stores other than Amazon's have no name of their own for each bucket.
            flags.push("--s3-backup-force-path-style".to_owned());
        }
        flags
    }

    /// Has the container of this name reach the place.
    pub(crate) fn attach(&self, pod: &mut PodSpec, container: &str, access: Access) {
        let Some(container) = pod.containers.iter_mut().find(|it| it.name == container) else {
            return;
        };
        container.args.get_or_insert_default().extend(self.flags());
        let (volume, path) = match (&self.location.volume, &self.location.s3) {
            (Some(volume), _) => {
                let claim = PersistentVolumeClaimVolumeSource {
                    claim_name: volume.claim_name.clone(),
                    ..PersistentVolumeClaimVolumeSource::default()
                };
                let volume = Volume {
                    name: NAME.to_owned(),
                    persistent_volume_claim: Some(claim),
                    ..Volume::default()
                };
                (volume, VOLUME)
            }
            (None, Some(bucket)) => {
                let Some(credentials) = &bucket.credentials else {
                    return;
                };
                let file = format!("{CREDENTIALS}/{}", credentials.key);
                set(container, "AWS_SHARED_CREDENTIALS_FILE", &file);
                let mut volume = workload::secret(NAME, &credentials.name);
                if let Some(secret) = &mut volume.secret {
                    secret.optional = (access == Access::RunsWithout).then_some(true);
                }
                (volume, CREDENTIALS)
            }
            (None, None) => return,
        };
        let mounts = container.volume_mounts.get_or_insert_default();
        mounts.push(match access {
            Access::Reads => workload::read_only(NAME, path),
            Access::Writes | Access::RunsWithout => workload::mount(NAME, path),
        });
        pod.volumes.get_or_insert_default().push(volume);
    }
}

fn set(container: &mut Container, name: &str, value: &str) {
    container.env.get_or_insert_default().push(EnvVar {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        value_from: None,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(location: &str) -> (Vec<String>, PodSpec) {
        let location: BackupLocation = serde_saphyr::from_str(location).unwrap();
        let store = Store {
            location: &location,
            path: "shop/example".to_owned(),
        };
        let mut pod = PodSpec {
            containers: vec![workload::confined("vtctld", "lite", "Always")],
            ..PodSpec::default()
        };
        store.attach(&mut pod, "vtctld", Access::RunsWithout);
        (store.flags(), pod)
    }

    #[test]
    fn a_volume_is_mounted_and_a_bucket_is_named() {
        let (named, pod) = flags("{volume: {claimName: backups}}");
        assert_eq!(named[1], "--file-backup-storage-root=/backups/shop/example");
        let mounts = pod.containers[0].volume_mounts.as_ref().unwrap();
        assert_eq!(mounts[0].mount_path, "/backups");
        let (named, pod) = flags(
            "{s3: {bucket: all, region: eu-1, endpoint: 'http://store:9000', prefix: of/us/, credentials: {name: s3, key: \
             credentials}}}",
        );
        insta::assert_yaml_snapshot!((named, &pod.containers[0], &pod.volumes));
        let (named, pod) = flags("{s3: {bucket: all, region: eu-1}}");
        assert_eq!(named[3], "--s3-backup-storage-root=shop/example");
        assert_eq!(named.len(), 4, "Amazon's own is reached by its names");
        assert!(pod.volumes.is_none());
    }
}
