//! vtgate: whether queries are answered through it.

use crate::{
    Error, Tls, call,
    connection::Connection,
    error::tame,
    wire::{query, vtgate, vtgateservice::vitess_client::VitessClient},
};

/// A client of one vtgate, or of a service in front of several. Cheap to clone; clones share the connection.
#[derive(Clone, Debug)]
pub struct Gate {
    connection: Connection,
}

impl Gate {
    /// A client of the vtgate at `HOST:PORT`, which has to show a certificate for `server_name`.
    ///
    /// # Errors
    ///
    /// [`Error::Address`], also when certificate or key cannot be read.
    pub fn with_tls(address: &str, server_name: &str, tls: &Tls) -> Result<Self, Error> {
        let connection = Connection::with_tls(address, server_name, tls)?;
        Ok(Self { connection })
    }

    /// Has a shard's primary answer a query that reads no table.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`Error::Answer`] with vtgate's own words when it cannot reach the primary.
    pub async fn ping_primary(&self, keyspace: &str, shard: &str) -> Result<(), Error> {
        let message = vtgate::ExecuteRequest {
            session: Some(vtgate::Session {
                autocommit: true,
                target_string: format!("{keyspace}:{shard}@primary"),
            }),
            query: Some(query::BoundQuery {
                sql: "select 1".to_owned(),
            }),
        };
        let answer = self
            .connection
            .ask(call::EXECUTE, message, async |channel, request| {
                VitessClient::new(channel).execute(request).await
            })
            .await?;
        match answer.error {
            Some(error) => {
                let said = tame(&error.message);
                Err(self.connection.unusable(call::EXECUTE, "result", &said))
            }
            None => Ok(()),
        }
    }
}
