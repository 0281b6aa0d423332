//! One attempt at one request, as a good client makes it, and what became of it.

use std::net::SocketAddr;
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Error, OptsBuilder};

use super::{Fate, Kind};

/// Connections of one worker: opened when needed, dropped when in doubt.
pub(super) struct Client {
    address: SocketAddr,
    database: String,
    primary: Option<Conn>,
    replica: Option<Conn>,
}

/// A request, with what it is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) kind: Kind,
    pub(super) customer: u32,
    /// The event that it inserts, if it does.
    pub(super) event: usize,
}

/// An attempt that failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// For counting.
    pub(super) class: String,
    /// In full.
    pub(super) text: String,
    /// What became of the write, if it was one.
    pub(super) fate: Fate,
    /// Whether another attempt is sane.
    pub(super) may_retry: bool,
}

/// How long a connection may take to be had.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

impl Client {
    pub(super) fn new(address: SocketAddr, database: &str) -> Self {
        Self {
            address,
            database: database.to_owned(),
            primary: None,
            replica: None,
        }
    }

    /// Makes one attempt. For reads, gives the count of writes that was seen.
    pub(super) async fn attempt(
        &mut self,
        request: Request,
        limit: Duration,
    ) -> Result<Option<u64>, Failure> {
        let mut conn = self.take(request.kind).await?;
        let done = tokio::time::timeout(limit, perform(&mut conn, request)).await;
        match done {
            Ok(Ok(seen)) => {
                *self.slot(request.kind) = Some(conn);
                Ok(seen)
            }
            // The connection goes: with it goes a transaction that is half done.
            Ok(Err(error)) => Err(Failure::of(&error)),
            Err(_) => Err(Failure {
                class: "no answer in time".to_owned(),
                text: format!("no answer within {} s", limit.as_secs()),
                fate: Fate::Unknown,
                may_retry: true,
            }),
        }
    }

    async fn take(&mut self, kind: Kind) -> Result<Conn, Failure> {
        if let Some(conn) = self.slot(kind).take() {
            return Ok(conn);
        }
        let database = match kind {
            Kind::ReplicaRead => format!("{}@replica", self.database),
            _ => self.database.clone(),
        };
        // Nothing was asked yet: whatever goes wrong, nothing was written.
        let refused = |class: &str, text: String| Failure {
            class: class.to_owned(),
            text,
            fate: Fate::Refused,
            may_retry: true,
        };
        let connecting = Conn::new(options(self.address, &database));
        match tokio::time::timeout(CONNECT_LIMIT, connecting).await {
            Ok(Ok(conn)) => Ok(conn),
            Ok(Err(error)) => Err(refused("no connection", error.to_string())),
            Err(_) => Err(refused("no connection", "not within 10 s".to_owned())),
        }
    }

    fn slot(&mut self, kind: Kind) -> &mut Option<Conn> {
        match kind {
            Kind::ReplicaRead => &mut self.replica,
            _ => &mut self.primary,
        }
    }
}

/// How to reach a server on this machine: without the detour over a socket that the server may name.
pub(super) fn options(address: SocketAddr, database: &str) -> OptsBuilder {
    OptsBuilder::default()
        .ip_or_hostname(address.ip().to_string())
        .tcp_port(address.port())
        .user(Some("load"))
        .db_name(Some(database))
        .prefer_socket(false)
}

async fn perform(conn: &mut Conn, request: Request) -> Result<Option<u64>, Error> {
    let Request {
        kind,
        customer,
        event,
    } = request;
    let select = format!("select writes from customer where customer_id = {customer}");
    let update = format!("update customer set writes = writes + 1 where customer_id = {customer}");
    let insert = format!("insert into event (customer_id, event_id) values ({customer}, {event})");
    match kind {
        Kind::Read | Kind::ReplicaRead => return conn.query_first(select).await,
        Kind::Update => conn.query_drop(update).await?,
        Kind::Insert => conn.query_drop(insert).await?,
        Kind::Transaction => {
            conn.query_drop("begin").await?;
            let _: Option<u64> = conn.query_first(format!("{select} for update")).await?;
            conn.query_drop(update).await?;
            conn.query_drop(insert).await?;
            conn.query_drop("commit").await?;
        }
    }
    Ok(None)
}

impl Failure {
    fn of(error: &Error) -> Self {
        let text = error.to_string();
        match error {
            Error::Server(server) => {
                let vitess = vitess_code(&server.message);
                Self {
                    class: format!("{} {}", server.code, vitess.unwrap_or(&server.state)),
                    fate: if leaves_open(&server.message) {
                        Fate::Unknown
                    } else {
                        Fate::Refused
                    },
                    may_retry: is_passing(server.code, &server.message),
                    text,
                }
            }
            _ => Self {
                class: "connection lost".to_owned(),
                text,
                fate: Fate::Unknown,
                may_retry: true,
            },
        }
    }
}

/// The code of Vitess's own, such as `VT13001`, that a message may have.
fn vitess_code(message: &str) -> Option<&str> {
    let start = message.find("VT")?;
    let code = message.get(start..start + 7)?;
    code.bytes()
        .skip(2)
        .all(|byte| byte.is_ascii_digit())
        .then_some(code)
}

/// Whether the error is about the way between vtgate and the tablet: then the tablet may have done it.
fn leaves_open(message: &str) -> bool {
    [
        "code = Unavailable",
        "code = DeadlineExceeded",
        "code = Canceled",
        "code = Unknown",
        "EOF",
        "connection reset",
        "Lost connection",
        "server has gone away",
    ]
    .iter()
    .any(|words| message.contains(words))
}

/// Whether a good client tries again: lock waits, deadlocks, a service that changes over.
fn is_passing(code: u16, message: &str) -> bool {
    matches!(
        code,
        // Lock wait, deadlock, read-only, shutting down, gone away, lost.
        1205 | 1213 | 1290 | 1053 | 2006 | 2013 |
        // Vitess: buffered autocommit write after a reshard's switch; tablets that are not there, or not yet.
        1815
    ) || leaves_open(message)
        || [
            "not serving",
            "no healthy tablet",
            "VT14",
            "VT15001",
            "VT09",
        ]
        .iter()
        .any(|words| message.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mysql_async::{DriverError, ServerError};

    fn server(code: u16, message: &str) -> Failure {
        Failure::of(&Error::Server(ServerError {
            code,
            message: message.to_owned(),
            state: "HY000".to_owned(),
        }))
    }

    #[test]
    fn tells_what_became_of_a_write() {
        let table = [
            (
                1815,
                "VT13001: [BUG] unexpected 'autocommitted' state in transaction",
                "1815 VT13001",
                Fate::Refused,
                true,
            ),
            (1213, "Deadlock found", "1213 HY000", Fate::Refused, true),
            (
                1062,
                "Duplicate entry '1'",
                "1062 HY000",
                Fate::Refused,
                false,
            ),
            (
                1105,
                "target: commerce.-.primary: vttablet: rpc error: code = Unavailable desc = error reading",
                "1105 HY000",
                Fate::Unknown,
                true,
            ),
            (
                1064,
                "VTLOVE is not a code",
                "1064 HY000",
                Fate::Refused,
                false,
            ),
        ];
        for (code, message, class, fate, may_retry) in table {
            let failure = server(code, message);
            assert_eq!(failure.class, class);
            assert_eq!(failure.fate, fate, "{message}");
            assert_eq!(failure.may_retry, may_retry, "{message}");
        }
        let lost = Failure::of(&Error::Driver(DriverError::ConnectionClosed));
        assert_eq!(lost.fate, Fate::Unknown);
    }
}
