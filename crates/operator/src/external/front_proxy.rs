//! How the API server's aggregation layer shows itself, read from where it publishes that.

use std::sync::Arc;
use std::time::Duration;

use foreshard_external::FrontProxy;
use foreshard_listener::ClientAuthority;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use foreshard_controller::call::in_time;
use foreshard_controller::error::chain;

const NAMESPACE: &str = "kube-system";
const NAME: &str = "extension-apiserver-authentication";
/// Between two looks. An authority is changed long before the certificates that it has signed.
const EVERY: Duration = Duration::from_secs(60);
/// The same while nothing is known.
const SOON: Duration = Duration::from_secs(3);

/// Keeps both true until `stop`. What cannot be read changes nothing.
pub(super) async fn keep(
    client: Client,
    authority: Arc<ClientAuthority>,
    known: watch::Sender<Option<Arc<FrontProxy>>>,
    stop: CancellationToken,
) {
    let api: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
    let mut trouble = None;
    loop {
        match look(&api, &authority, &known).await {
            Ok(()) => trouble = None,
            // Once for each kind of trouble is enough.
            Err(now) if trouble.as_ref() == Some(&now) => {}
            Err(now) => {
                tracing::warn!(
                    error = now,
                    "it cannot be read from configmap {NAMESPACE}/{NAME} how the API server shows itself"
                );
                trouble = Some(now);
            }
        }
        let pause = if known.borrow().is_some() {
            EVERY
        } else {
            SOON
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn look(
    api: &Api<ConfigMap>,
    authority: &ClientAuthority,
    known: &watch::Sender<Option<Arc<FrontProxy>>>,
) -> Result<(), String> {
    let found = in_time(api.get(NAME))
        .await
        .map_err(|error| chain(&error).to_string())?;
    let read =
        FrontProxy::read(&found.data.unwrap_or_default()).map_err(|error| error.to_string())?;
    if known.borrow().as_deref() == Some(&read) {
        return Ok(());
    }
    authority
        .trust(read.authority_pem.as_bytes())
        .map_err(|error| chain(&error).to_string())?;
    known.send_replace(Some(Arc::new(read)));
    tracing::info!("it is known how the API server shows itself");
    Ok(())
}
