//! The client of a vtctld.

use tonic::{Request, Response, Status, transport::Channel};

use crate::{
    Call, Error, Tls, connection::Connection, wire::vtctlservice::vtctld_client::VtctldClient,
};

/// A client of one vtctld. Cheap to clone; clones share the connection.
///
/// The calls are listed by their nouns in the same order as Vitess's documentation has them: topology, schema,
/// workflows, traffic, comparisons.
#[derive(Clone, Debug)]
pub struct Client {
    connection: Connection,
}

/// What one answer may weigh: Vitess's own limit.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

impl Client {
    /// A client of the vtctld at `HOST:PORT` or `http://HOST:PORT`. It connects with the first call, and again
    /// whenever the connection was lost; the runtime of the first call drives the connection.
    ///
    /// # Errors
    ///
    /// [`Error::Address`].
    pub fn new(address: &str) -> Result<Self, Error> {
        let connection = Connection::new(address)?;
        Ok(Self { connection })
    }

    /// The same with TLS, at `HOST:PORT`; the server has to show a certificate for `server_name`.
    ///
    /// # Errors
    ///
    /// [`Error::Address`], also when certificate or key cannot be read.
    pub fn with_tls(address: &str, server_name: &str, tls: &Tls) -> Result<Self, Error> {
        let connection = Connection::with_tls(address, server_name, tls)?;
        Ok(Self { connection })
    }

    /// Where the server is, as `HOST:PORT`.
    pub fn address(&self) -> &str {
        self.connection.address()
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
        let with_service = async move |channel, request| {
            let service = VtctldClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES);
            make(service, request).await
        };
        self.connection.ask(call, message, with_service).await
    }

    /// The error for an answer that lacks, or has wrong, what every answer has.
    pub(crate) fn unusable(&self, call: Call, field: &'static str, reason: &str) -> Error {
        self.connection.unusable(call, field, reason)
    }
}
