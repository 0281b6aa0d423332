//! KEDA's external scaler.
//!
//! The trigger of a ScaledObject names a policy of its own namespace. `GetMetricSpec` is always answered with the same
//! target, 1 for each replica: an HorizontalPodAutoscaler without any metric would fall back to 80 % of the CPU. What is
//! withheld is an error of `GetMetrics` and `IsActive`: KEDA then leaves the target alone, or does what its `fallback`
//! says.

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::Request, middleware::Next, response::Response as HttpResponse};
use futures::{StreamExt as _, stream, stream::BoxStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request as Asked, Response, Status, service::Routes};

use crate::{
    METRIC,
    advice::{Advice, Advised, Reason, Withheld},
    answers::Answers,
    wire::{
        GetMetricSpecResponse, GetMetricsRequest, GetMetricsResponse, IsActiveResponse, MetricSpec,
        MetricValue, ScaledObjectRef,
        external_scaler_server::{ExternalScaler, ExternalScalerServer},
    },
};

/// Of one request. KEDA sends a trigger's metadata, a few hundred bytes.
const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// Streams at one time, over all connections: one for each ScaledObject with a trigger `external-push`.
pub const STREAMS_MAX: usize = 2048;
/// From the request's head to the answer's head. Answers come from memory.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Nothing longer is a name in Kubernetes.
const NAME_BYTES_MAX: usize = 253;
/// As metrics name it.
const API: &str = "keda";

/// Answers KEDA. Cheap to copy.
#[derive(Clone)]
pub struct Scaler {
    advice: Arc<dyn Advice>,
    answers: Answers,
    streams: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Scaler {
    /// Answers with this advice; streams end with `stop`.
    #[must_use]
    pub fn new(advice: Arc<dyn Advice>, answers: Answers, stop: CancellationToken) -> Self {
        Self {
            advice,
            answers,
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            stop,
        }
    }

    pub(crate) fn router(self) -> Router {
        let service = ExternalScalerServer::new(self).max_decoding_message_size(MESSAGE_BYTES_MAX);
        Routes::new(service)
            .into_axum_router()
            .layer(axum::middleware::from_fn(in_time))
    }

    fn advised(&self, of: &ScaledObjectRef) -> Result<Advised, Status> {
        let (namespace, policy) =
            named(of).inspect_err(|_| self.answers.count(API, "BadRequest"))?;
        match self.advice.advise(namespace, policy) {
            Ok(advised) => {
                self.answers.count(API, "served");
                Ok(advised)
            }
            Err(withheld) => {
                self.answers.count(API, withheld.reason.name());
                Err(status(&withheld))
            }
        }
    }
}

/// Requests that do not come to an end are ended.
async fn in_time(request: Request, next: Next) -> HttpResponse {
    let answered = tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await;
    answered.unwrap_or_else(|_| {
        Status::deadline_exceeded("the request took too long to arrive").into_http()
    })
}

/// Namespace and name of the policy that a trigger names.
fn named(of: &ScaledObjectRef) -> Result<(&str, &str), Status> {
    let namespace = of.namespace.as_str();
    if !is_name(namespace) {
        return Err(Status::invalid_argument(
            "the ScaledObject's namespace is no name of a namespace",
        ));
    }
    let metadata = |key: &str| of.scaler_metadata.get(key).map(String::as_str);
    let Some(policy) = metadata("policy").filter(|it| is_name(it)) else {
        return Err(Status::invalid_argument(
            "the trigger's metadata `policy` must be the name of a ScalingPolicy in the ScaledObject's namespace",
        ));
    };
    match metadata("namespace") {
        Some(other) if other != namespace => Err(Status::permission_denied(
            "the trigger's metadata `namespace` is not the ScaledObject's own: policies are only told of there; leave it out",
        )),
        _ => Ok((namespace, policy)),
    }
}

/// Lower-case letters, digits, dots and dashes; so it can be shown as it is.
fn is_name(text: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'.');
    !text.is_empty() && text.len() <= NAME_BYTES_MAX && text.bytes().all(allowed)
}

fn status(withheld: &Withheld) -> Status {
    let code = match withheld.reason {
        Reason::NoPolicy => Code::NotFound,
        Reason::KillSwitch | Reason::Paused | Reason::ActsItself => Code::FailedPrecondition,
        Reason::Starting | Reason::NotReady | Reason::Stale => Code::Unavailable,
    };
    Status::new(code, withheld.to_string())
}

fn is_active(advised: Advised) -> bool {
    advised.replicas > 0
}

#[tonic::async_trait]
impl ExternalScaler for Scaler {
    async fn is_active(
        &self,
        request: Asked<ScaledObjectRef>,
    ) -> Result<Response<IsActiveResponse>, Status> {
        let advised = self.advised(request.get_ref())?;
        let result = is_active(advised);
        Ok(Response::new(IsActiveResponse { result }))
    }

    type StreamIsActiveStream = BoxStream<'static, Result<IsActiveResponse, Status>>;

    async fn stream_is_active(
        &self,
        request: Asked<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamIsActiveStream>, Status> {
        let (namespace, policy) = named(request.get_ref())?;
        let Ok(place) = Arc::clone(&self.streams).try_acquire_owned() else {
            return Err(Status::resource_exhausted(
                "as many streams are open as may be; use a trigger of the type external",
            ));
        };
        let pushed = Pushed {
            changes: self.advice.changes(),
            advice: Arc::clone(&self.advice),
            namespace: namespace.to_owned(),
            policy: policy.to_owned(),
            last: None,
            stop: self.stop.clone(),
            _place: place,
        };
        // A name that is wrong should be noticed; what is only not known yet is waited for.
        if let Err(withheld) = self.advice.advise(namespace, policy)
            && withheld.reason == Reason::NoPolicy
        {
            return Err(status(&withheld));
        }
        let stream = stream::unfold(pushed, |mut pushed| async move {
            let result = pushed.next().await?;
            Some((Ok(IsActiveResponse { result }), pushed))
        });
        Ok(Response::new(stream.boxed()))
    }

    async fn get_metric_spec(
        &self,
        _: Asked<ScaledObjectRef>,
    ) -> Result<Response<GetMetricSpecResponse>, Status> {
        let spec = MetricSpec {
            metric_name: METRIC.to_owned(),
            target_size: 1,
            target_size_float: 1.0,
        };
        Ok(Response::new(GetMetricSpecResponse {
            metric_specs: vec![spec],
        }))
    }

    async fn get_metrics(
        &self,
        request: Asked<GetMetricsRequest>,
    ) -> Result<Response<GetMetricsResponse>, Status> {
        let asked = request.get_ref();
        if asked.metric_name != METRIC {
            return Err(Status::not_found(format!("the only metric is {METRIC}")));
        }
        let Some(of) = &asked.scaled_object_ref else {
            return Err(Status::invalid_argument("no ScaledObject is named"));
        };
        let advised = self.advised(of)?;
        let value = MetricValue {
            metric_name: METRIC.to_owned(),
            metric_value: i64::from(advised.replicas),
            metric_value_float: f64::from(advised.replicas),
        };
        Ok(Response::new(GetMetricsResponse {
            metric_values: vec![value],
        }))
    }
}

/// One stream: whether a policy is active, whenever that changes. What is not known is not pushed.
struct Pushed {
    advice: Arc<dyn Advice>,
    changes: watch::Receiver<u64>,
    namespace: String,
    policy: String,
    last: Option<bool>,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Pushed {
    /// None: the server stops.
    async fn next(&mut self) -> Option<bool> {
        loop {
            self.changes.mark_unchanged();
            let advised = self.advice.advise(&self.namespace, &self.policy);
            if let Ok(active) = advised.map(is_active)
                && self.last.replace(active) != Some(active)
            {
                return Some(active);
            }
            tokio::select! {
                () = self.stop.cancelled() => return None,
                changed = self.changes.changed() => changed.ok()?,
            }
        }
    }
}
