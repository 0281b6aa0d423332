//! The connection, and what all calls have in common.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tonic::{
    Code, Request, Response, Status,
    transport::{Channel, Endpoint},
};

use crate::{Call, Error, error::tame, wire::vtctlservice::vtctld_client::VtctldClient};

/// A client of one vtctld. Cheap to clone; clones share the connection.
///
/// The calls are listed by their nouns in the same order as Vitess's documentation has them: topology, schema,
/// workflows, traffic, comparisons.
#[derive(Clone, Debug)]
pub struct Client {
    endpoint: Endpoint,
    /// Made by the first call: it needs the runtime that the call is made on.
    channel: Arc<OnceLock<Channel>>,
    address: String,
}

/// What one answer may weigh: Vitess's own limit.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// A server that is there answers a connection at once; a host that is not must not use up a call's deadline.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// How often a silent server is asked whether it is there, during a call. Vitess refuses more than one in 10 s.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);

impl Client {
    /// A client of the vtctld at `HOST:PORT` or `http://HOST:PORT`. It connects with the first call, and again
    /// whenever the connection was lost; the runtime of the first call drives the connection.
    ///
    /// # Errors
    ///
    /// [`Error::Address`].
    pub fn new(address: &str) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Address {
            address: tame(address),
            reason,
        };
        let host_and_port = address.strip_prefix("http://").unwrap_or(address);
        if host_and_port.contains("://") {
            return Err(wrong("has a scheme other than http".to_owned()));
        }
        let endpoint = Endpoint::from_shared(format!("http://{host_and_port}"))
            .map_err(|error| wrong(error.to_string()))?;
        if endpoint.uri().port_u16().is_none() {
            return Err(wrong("has no port".to_owned()));
        }
        let endpoint = endpoint
            .connect_timeout(CONNECT_DEADLINE)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_INTERVAL);
        Ok(Self {
            endpoint,
            channel: Arc::default(),
            address: host_and_port.to_owned(),
        })
    }

    /// Where the server is, as `HOST:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Makes one call and waits for its answer, no longer than the call's deadline.
    pub(crate) async fn ask<Asked, Answer>(
        &self,
        call: Call,
        message: Asked,
        make: impl AsyncFnOnce(
            VtctldClient<Channel>,
            Request<Asked>,
        ) -> Result<Response<Answer>, Status>,
    ) -> Result<Answer, Error> {
        let channel = self.channel.get_or_init(|| self.endpoint.connect_lazy());
        let service =
            VtctldClient::new(channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES);
        let mut request = Request::new(message);
        // The server gives up at the same time. tonic watches it up to the answer's headers only.
        request.set_timeout(call.deadline);
        let answer = tokio::time::timeout(call.deadline, make(service, request)).await;
        match answer {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) if !is_deadline(&status) => Err(Error::Status {
                call,
                address: self.address.clone(),
                code: status.code(),
                message: said(&status),
            }),
            Ok(Err(_)) | Err(_) => Err(Error::Deadline {
                call,
                address: self.address.clone(),
                deadline: call.deadline,
            }),
        }
    }

    /// The error for an answer that lacks, or has wrong, what every answer has.
    pub(crate) fn unusable(&self, call: Call, field: &'static str, reason: &str) -> Error {
        Error::Answer {
            call,
            address: self.address.clone(),
            field,
            reason: tame(reason),
        }
    }
}

/// The server's words; when the call did not reach it, the last cause, which says what is wrong with the way.
fn said(status: &Status) -> String {
    let mut cause: &dyn std::error::Error = status;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    match std::error::Error::source(status) {
        Some(_) => tame(&format!("{}: {cause}", status.message())),
        None => tame(status.message()),
    }
}

/// tonic says `Cancelled` of its own timer, servers `DeadlineExceeded` of theirs.
fn is_deadline(status: &Status) -> bool {
    status.code() == Code::DeadlineExceeded
        || (status.code() == Code::Cancelled && status.message() == "Timeout expired")
}
