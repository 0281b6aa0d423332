//! How readiness is asked for. Each gives an objection while it is not there.

use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, OptsBuilder};

/// How long one question may take.
const ASK_LIMIT: Duration = Duration::from_secs(5);

pub(super) fn listens(port: u16) -> Result<(), String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpStream::connect_timeout(&address, ASK_LIMIT)
        .map(drop)
        .map_err(|error| error.to_string())
}

pub(super) fn exists(path: &Path) -> Result<(), String> {
    if path.exists() {
        Ok(())
    } else {
        Err(format!("{} is not there", path.display()))
    }
}

pub(super) fn answers<T, E: Display>(answer: Result<T, E>) -> Result<(), String> {
    answer.map(drop).map_err(|error| error.to_string())
}

/// Whether a query of this target, such as `commerce:-80@replica`, is answered.
pub(super) async fn queries(address: SocketAddr, target: &str) -> Result<(), String> {
    let options = OptsBuilder::default()
        .ip_or_hostname(address.ip().to_string())
        .tcp_port(address.port())
        .user(Some("ready"))
        .db_name(Some(target))
        .prefer_socket(false);
    let ask = async {
        let mut conn = Conn::new(options).await?;
        conn.query_drop("select 1").await?;
        conn.disconnect().await
    };
    match tokio::time::timeout(ASK_LIMIT, ask).await {
        Ok(answer) => answer.map_err(|error| format!("{target}: {error}")),
        Err(_) => Err(format!(
            "{target}: no answer within {} s",
            ASK_LIMIT.as_secs()
        )),
    }
}
