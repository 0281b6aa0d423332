//! Between an operator and the real API server: one that fails, is silent, or is somebody else's.

use std::convert::Infallible;
use std::future::pending;
use std::sync::{Arc, Mutex};

use http::{HeaderValue, Method, Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use serde_json::json;
use tower::service_fn;

/// What goes wrong.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Fault {
    #[default]
    None,
    /// All but watches are answered with this.
    Status(u16),
    /// Nothing but watches is answered.
    Silence,
    /// So many writes of `/scale` are refused because somebody else was faster.
    Conflicts(u32),
    /// What is written to `/scale` never arrives.
    ScaleLost,
    /// So many watches end at once: what they begin at is forgotten.
    Expired(u32),
    /// Everything is asked for in this user's name.
    As(String),
}

/// Handles of one operator's way to the API server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(Arc<Mutex<(Fault, u32)>>);

impl Faults {
    /// From now on.
    pub(crate) fn set(&self, fault: Fault) {
        *self.0.lock().unwrap() = (fault, 0);
    }

    /// Calls that went wrong since.
    pub(crate) fn met(&self) -> u32 {
        self.0.lock().unwrap().1
    }

    /// The client that goes this way.
    pub(crate) fn client(&self, real: Client) -> Client {
        let namespace = real.default_namespace().to_owned();
        let faults = self.clone();
        let service = service_fn(move |request: Request<Body>| {
            let (real, faults) = (real.clone(), faults.clone());
            async move { Ok::<_, Infallible>(faults.pass(real, request).await) }
        });
        Client::new(service, namespace)
    }

    async fn pass(&self, real: Client, mut request: Request<Body>) -> Response<Body> {
        let answer = match self.fault(&request) {
            Fault::Silence | Fault::ScaleLost => return pending().await,
            Fault::Status(status) => Some(refusal(status, "a fault was asked for")),
            Fault::Conflicts(_) => Some(refusal(409, "the object has been modified")),
            Fault::Expired(_) => Some(expired()),
            Fault::As(user) => {
                let user = HeaderValue::from_str(&user).unwrap();
                request.headers_mut().insert("impersonate-user", user);
                None
            }
            Fault::None => None,
        };
        match answer {
            Some(answer) => answer,
            None => match real.send(request).await {
                Ok(answer) => answer,
                Err(error) => refusal(502, &error.to_string()),
            },
        }
    }

    /// What happens to this request.
    fn fault(&self, request: &Request<Body>) -> Fault {
        let watch = request
            .uri()
            .query()
            .is_some_and(|it| it.contains("watch="));
        let scale = request.method() != Method::GET && request.uri().path().ends_with("/scale");
        let mut state = self.0.lock().unwrap();
        let meets = match &mut state.0 {
            Fault::None => false,
            Fault::As(_) => true,
            Fault::Status(_) | Fault::Silence => !watch,
            Fault::ScaleLost => scale,
            Fault::Conflicts(left) if scale => take_one(left),
            Fault::Expired(left) if watch => take_one(left),
            Fault::Conflicts(_) | Fault::Expired(_) => false,
        };
        if !meets {
            return Fault::None;
        }
        state.1 += 1;
        state.0.clone()
    }
}

fn take_one(left: &mut u32) -> bool {
    let any = *left > 0;
    *left = left.saturating_sub(1);
    any
}

fn refusal(status: u16, message: &str) -> Response<Body> {
    let reason = match status {
        409 => "Conflict",
        429 => "TooManyRequests",
        _ => "InternalError",
    };
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": status
    });
    answer(status, body.to_string())
}

/// As the API server says it: within a watch that began well.
fn expired() -> Response<Body> {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "too old resource version", "reason": "Expired", "code": 410
    });
    answer(
        200,
        format!("{}\n", json!({"type": "ERROR", "object": status})),
    )
}

fn answer(status: u16, body: String) -> Response<Body> {
    let mut answer = Response::new(Body::from(body.into_bytes()));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    let kind = HeaderValue::from_static("application/json");
    answer.headers_mut().insert("content-type", kind);
    answer
}
