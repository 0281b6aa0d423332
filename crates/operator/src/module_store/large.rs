//! The configured store for components that do not fit into a ConfigMap.

use std::{fmt, future::Future, path::Path as FilePath, sync::Arc};

use bytes::Bytes;
use foreshard_server::StoreError;
use futures::TryStreamExt as _;
use k8s_openapi::jiff::Timestamp;
use object_store::{
    ObjectStore, ObjectStoreExt as _, aws::AmazonS3Builder, local::LocalFileSystem, path::Path,
    prefix::PrefixStore,
};
use tokio::time::timeout;

use super::STEP_TIMEOUT;

/// A bucket or a shared folder.
#[derive(Clone)]
pub struct LargeStore {
    store: Arc<dyn ObjectStore>,
    url: String,
}

/// Why a store can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LargeStoreError {
    /// Neither kind of store.
    #[error("--module-store {0:?} is neither s3://BUCKET/PREFIX nor file:///FOLDER")]
    Scheme(String),
    /// The settings are not right.
    #[error("--module-store {url:?}")]
    Settings {
        /// The URL.
        url: String,
        /// What the library says.
        source: object_store::Error,
    },
}

impl LargeStore {
    /// The store at `s3://BUCKET/PREFIX` or `file:///FOLDER`. A folder must be there, and shared by all replicas.
    ///
    /// For S3 the environment has the settings: `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` or a web
    /// identity, and for other makers' stores `AWS_ENDPOINT` (and `AWS_ALLOW_HTTP=true` where it has no TLS).
    ///
    /// # Errors
    /// [`LargeStoreError`].
    pub fn open(url: &str) -> Result<Self, LargeStoreError> {
        let settings = |source| LargeStoreError::Settings {
            url: url.to_owned(),
            source,
        };
        if let Some(folder) = url.strip_prefix("file://").filter(|it| it.starts_with('/')) {
            let store =
                LocalFileSystem::new_with_prefix(FilePath::new(folder)).map_err(settings)?;
            return Ok(Self::new(store.with_fsync(true), url));
        }
        let Some(place) = url.strip_prefix("s3://") else {
            return Err(LargeStoreError::Scheme(url.to_owned()));
        };
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let store = AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            .build()
            .map_err(settings)?;
        let prefix = Path::parse(prefix.trim_matches('/'));
        let prefix = prefix.map_err(|error| settings(error.into()))?;
        Ok(Self::new(PrefixStore::new(store, prefix), url))
    }

    pub(super) fn new(store: impl ObjectStore, url: &str) -> Self {
        Self {
            store: Arc::new(store),
            url: url.to_owned(),
        }
    }

    /// Writes, also over what is there: the same path holds the same bytes, and is then new for the collection.
    pub(super) async fn put(&self, path: &str, component: Bytes) -> Result<(), StoreError> {
        let path = self.path(path)?;
        self.within(self.store.put(&path, component.into())).await?;
        Ok(())
    }

    /// None: nothing is there.
    pub(super) async fn get(&self, path: &str) -> Result<Option<Bytes>, StoreError> {
        let path = self.path(path)?;
        let reading = async { self.store.get(&path).await?.bytes().await };
        self.within(found(reading)).await
    }

    pub(super) async fn has(&self, path: &str) -> Result<bool, StoreError> {
        let path = self.path(path)?;
        let head = self.within(found(self.store.head(&path))).await?;
        Ok(head.is_some())
    }

    pub(super) async fn delete(&self, path: &str) -> Result<(), StoreError> {
        let path = self.path(path)?;
        self.within(found(self.store.delete(&path))).await?;
        Ok(())
    }

    /// Paths below a folder, and when they were written.
    pub(super) async fn list(&self, folder: &str) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let folder = self.path(folder)?;
        let all: Vec<_> = self
            .within(self.store.list(Some(&folder)).try_collect())
            .await?;
        let shown = all.into_iter().map(|it| {
            let written = it.last_modified.timestamp();
            let written = Timestamp::from_second(written).unwrap_or(Timestamp::MAX);
            (it.location.to_string(), written)
        });
        Ok(shown.collect())
    }

    /// The topmost folders.
    pub(super) async fn folders(&self) -> Result<Vec<String>, StoreError> {
        let listed = self.within(self.store.list_with_delimiter(None)).await?;
        let folders = listed.common_prefixes.into_iter();
        Ok(folders.map(|it| it.to_string()).collect())
    }

    fn path(&self, path: &str) -> Result<Path, StoreError> {
        Path::parse(path).map_err(|error| StoreError::Refused(error.to_string()))
    }

    async fn within<T>(
        &self,
        step: impl Future<Output = Result<T, object_store::Error>>,
    ) -> Result<T, StoreError> {
        let done = timeout(STEP_TIMEOUT, step).await;
        let detail = match done {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => {
                tracing::warn!(store = self.url, %error, "The module store does not do it.");
                format!(
                    "the module store {} fails; the operator's log says how",
                    self.url
                )
            }
            Err(_) => format!("the module store {} does not answer in time", self.url),
        };
        Err(StoreError::Unavailable(detail))
    }
}

impl fmt::Debug for LargeStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LargeStore").field(&self.url).finish()
    }
}

/// What is not there is no error here.
async fn found<T>(
    step: impl Future<Output = Result<T, object_store::Error>>,
) -> Result<Option<T>, object_store::Error> {
    match step.await {
        Ok(value) => Ok(Some(value)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_buckets_and_folders_are_stores() {
        for url in ["", "/folder", "file://folder", "http://a/b", "s4://a"] {
            let error = LargeStore::open(url).unwrap_err();
            assert!(matches!(error, LargeStoreError::Scheme(_)), "{url}");
        }
        let error = LargeStore::open("file:///there/is/no/such/folder").unwrap_err();
        assert!(matches!(error, LargeStoreError::Settings { .. }));
    }

    #[tokio::test]
    async fn a_shared_folder_keeps_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let store = LargeStore::open(&format!("file://{}", folder.path().display())).unwrap();
        assert_eq!(store.get("shop/a/1.wasm").await, Ok(None));
        store.put("shop/a/1.wasm", "one".into()).await.unwrap();
        store.put("shop/a/1.wasm", "one".into()).await.unwrap();
        store.put("other/a/1.wasm", "two".into()).await.unwrap();
        assert_eq!(store.get("shop/a/1.wasm").await, Ok(Some("one".into())));
        let listed = store.list("shop").await.unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].0, "shop/a/1.wasm");
        let mut folders = store.folders().await.unwrap();
        folders.sort();
        assert_eq!(folders, ["other", "shop"]);
        assert!(store.get("../outside").await.is_err());
        store.delete("shop/a/1.wasm").await.unwrap();
        store.delete("shop/a/1.wasm").await.unwrap();
        assert_eq!(store.has("shop/a/1.wasm").await, Ok(false));
    }
}
