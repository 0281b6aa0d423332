//! Calls of the API server that end in time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{Semaphore, SemaphorePermit};

/// One request to the API server.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Calls of this process to the API server at once, apart from watches and the lease.
static CALLS: Semaphore = Semaphore::const_new(16);

/// A turn to call the API server.
#[derive(Debug)]
pub struct Turn {
    /// None could only be when turns were no longer given, and they always are.
    _permit: Option<SemaphorePermit<'static>>,
}

impl Turn {
    /// Waits for one. An API server that has become slow is asked less instead of more.
    pub async fn wait() -> Self {
        let _permit = CALLS.acquire().await.ok();
        Self { _permit }
    }

    /// A call that ends in time.
    ///
    /// # Errors
    /// The call's own, or that there was no answer in time.
    pub async fn in_time<T>(&self, call: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
        match tokio::time::timeout(REQUEST_TIMEOUT, call).await {
            Ok(result) => result,
            Err(_) => Err(kube::Error::Service(
                format!("no answer within {} s", REQUEST_TIMEOUT.as_secs()).into(),
            )),
        }
    }
}

/// A call that waits for its turn, and ends in time from then on.
///
/// # Errors
/// The call's own, or that there was no answer in time.
pub async fn in_time<T>(call: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
    Turn::wait().await.in_time(call).await
}

/// Unix seconds now.
#[must_use]
pub fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}
