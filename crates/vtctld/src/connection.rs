//! One connection, and what all calls have in common.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tonic::{
    Code, Request, Response, Status,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use crate::{Call, Error, error::tame};

/// By what a server is known, and we to it. All of it PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Tls {
    /// The authority that signed the server's certificate.
    pub ca: String,
    /// Our certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// A way to one server. Clones share the connection.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    endpoint: Endpoint,
    /// Made by the first call: it needs the runtime that the call is made on.
    channel: Arc<OnceLock<Channel>>,
    address: String,
}

/// A server that is there answers a connection at once; a host that is not must not use up a call's deadline.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// How often a silent server is asked whether it is there, during a call. Vitess refuses more than one in 10 s.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);

impl Connection {
    /// To `HOST:PORT` or `http://HOST:PORT`; made with the first call, and again whenever it was lost.
    pub(crate) fn new(address: &str) -> Result<Self, Error> {
        let host_and_port = address.strip_prefix("http://").unwrap_or(address);
        if host_and_port.contains("://") {
            return Err(wrong(address, "has a scheme other than http"));
        }
        Self::to("http", host_and_port, Ok)
    }

    /// To `HOST:PORT` with TLS, where the server has to show a certificate for `server_name`.
    pub(crate) fn with_tls(address: &str, server_name: &str, tls: &Tls) -> Result<Self, Error> {
        let config = ClientTlsConfig::new()
            .domain_name(server_name)
            .ca_certificate(Certificate::from_pem(&tls.ca))
            .identity(Identity::from_pem(&tls.certificate, &tls.key));
        Self::to("https", address, |endpoint| endpoint.tls_config(config))
    }

    fn to(
        scheme: &str,
        address: &str,
        secure: impl FnOnce(Endpoint) -> Result<Endpoint, tonic::transport::Error>,
    ) -> Result<Self, Error> {
        let said = |error: tonic::transport::Error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            wrong(address, &cause.unwrap_or_else(|| error.to_string()))
        };
        let endpoint = Endpoint::from_shared(format!("{scheme}://{address}")).map_err(said)?;
        if endpoint.uri().port_u16().is_none() {
            return Err(wrong(address, "has no port"));
        }
        let endpoint = endpoint
            .connect_timeout(CONNECT_DEADLINE)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_INTERVAL);
        Ok(Self {
            endpoint: secure(endpoint).map_err(said)?,
            channel: Arc::default(),
            address: address.to_owned(),
        })
    }

    /// Where the server is, as `HOST:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Makes one call and waits for its answer, no longer than the call's deadline.
    pub(crate) async fn ask<Asked, Answer>(
        &self,
        call: Call,
        message: Asked,
        make: impl AsyncFnOnce(Channel, Request<Asked>) -> Result<Response<Answer>, Status>,
    ) -> Result<Answer, Error> {
        let channel = self.channel.get_or_init(|| self.endpoint.connect_lazy());
        let mut request = Request::new(message);
        // The server gives up at the same time. tonic watches it up to the answer's headers only.
        request.set_timeout(call.deadline);
        let answer = tokio::time::timeout(call.deadline, make(channel.clone(), request)).await;
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

fn wrong(address: &str, reason: &str) -> Error {
    Error::Address {
        address: tame(address),
        reason: reason.to_owned(),
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

/// tonic says `Cancelled` of its own timer, servers `DeadlineExceeded` of theirs. What says more is an answer: vtctld has that
/// code also for somebody else who did not answer it, such as a store of backups.
fn is_deadline(status: &Status) -> bool {
    match status.code() {
        Code::DeadlineExceeded => matches!(status.message(), "" | "context deadline exceeded"),
        Code::Cancelled => status.message() == "Timeout expired",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_that_is_not_ours_keeps_its_words() {
        let table = [
            (Code::Cancelled, "Timeout expired", true),
            (Code::Cancelled, "context canceled", false),
            (Code::DeadlineExceeded, "context deadline exceeded", true),
            (
                Code::DeadlineExceeded,
                "operation error S3: HeadBucket, get identity: get credentials: context deadline exceeded",
                false,
            ),
            (Code::Unknown, "context deadline exceeded", false),
        ];
        for (code, said, expected) in table {
            let status = Status::new(code, said);
            assert_eq!(is_deadline(&status), expected, "{status}");
        }
    }
}
