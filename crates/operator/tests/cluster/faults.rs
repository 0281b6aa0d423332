//! Between an operator and the real API server: one that fails, is slow or silent, or is somebody else's.

use std::convert::Infallible;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

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
    /// What is written to `/scale` is answered with this.
    ScaleRefused(u16),
    /// Watches that begin are not answered as long as this is set.
    WatchesHang,
    /// So many watches end at once: what they begin at is forgotten.
    Expired(u32),
    /// Everything is asked for in this user's name.
    As(String),
    /// Every answer takes so much longer.
    Slow(Duration),
    /// What ends with this path cannot be read.
    Unreadable(&'static str),
    /// So many times, who asks for what ends with this path runs into a bug.
    Bug(&'static str, u32),
}

#[derive(Debug, Default)]
struct State {
    fault: Fault,
    met: u32,
    open: usize,
    most_open: usize,
}

/// Handles of one operator's way to the API server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(Arc<Mutex<State>>);

/// A call that is under way.
struct Open(Faults);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.state().open -= 1;
    }
}

impl Faults {
    /// From now on.
    pub(crate) fn set(&self, fault: Fault) {
        let mut state = self.state();
        (state.fault, state.met, state.most_open) = (fault, 0, state.open);
    }

    /// Calls that went wrong since.
    pub(crate) fn met(&self) -> u32 {
        self.state().met
    }

    /// The most calls since that were open at one time, apart from watches.
    pub(crate) fn most_open(&self) -> usize {
        self.state().most_open
    }

    /// A bug that was asked for breaks nothing of ours.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
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
        let _open = self.open(&request);
        let answer = match self.fault(&request) {
            Fault::Silence | Fault::ScaleLost => return pending().await,
            Fault::WatchesHang => {
                while self.state().fault == Fault::WatchesHang {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                None
            }
            Fault::Status(status) | Fault::ScaleRefused(status) => {
                Some(refusal(status, "a fault was asked for"))
            }
            Fault::Unreadable(_) => Some(refusal(500, "a fault was asked for")),
            Fault::Bug(path, _) => panic!("a bug at {path} was asked for"),
            Fault::Slow(delay) => {
                tokio::time::sleep(delay).await;
                None
            }
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

    /// Counts a call until it is answered or given up.
    fn open(&self, request: &Request<Body>) -> Option<Open> {
        if is_watch(request) {
            return None;
        }
        let mut state = self.state();
        state.open += 1;
        state.most_open = state.most_open.max(state.open);
        Some(Open(self.clone()))
    }

    /// What happens to this request.
    fn fault(&self, request: &Request<Body>) -> Fault {
        let watch = is_watch(request);
        let path = request.uri().path();
        let scale = request.method() != Method::GET && path.ends_with("/scale");
        let mut state = self.state();
        let meets = match &mut state.fault {
            Fault::None => false,
            Fault::As(_) | Fault::Slow(_) => true,
            Fault::Unreadable(end) => path.ends_with(*end),
            Fault::Bug(end, left) if path.ends_with(*end) => take_one(left),
            Fault::Status(_) | Fault::Silence => !watch,
            Fault::ScaleLost | Fault::ScaleRefused(_) => scale,
            Fault::WatchesHang => watch,
            Fault::Conflicts(left) if scale => take_one(left),
            Fault::Expired(left) if watch => take_one(left),
            Fault::Conflicts(_) | Fault::Expired(_) | Fault::Bug(..) => false,
        };
        if !meets {
            return Fault::None;
        }
        state.met += 1;
        state.fault.clone()
    }
}

fn is_watch(request: &Request<Body>) -> bool {
    let query = request.uri().query();
    query.is_some_and(|it| it.contains("watch="))
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
