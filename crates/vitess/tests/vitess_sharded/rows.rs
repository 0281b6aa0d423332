//! Rows of both keyspaces, and how they are spread.

use base64::Engine as _;
use foreshard_testbed::Node;
use foreshard_vtctld::{Client, Tls, VSchema};
use serde_json::json;

use crate::SHARDS;
use crate::stage::*;

pub(crate) const ROWS: usize = 64;

/// vtctld, with the certificate that the operator has for itself.
fn vtctld(node: &Node) -> Client {
    let secret = get(node, &format!("{CORE}/secrets/example-client-tls"));
    let of = |key: &str| {
        let value = secret["data"][key].as_str().unwrap();
        let bytes = base64::engine::general_purpose::STANDARD.decode(value);
        String::from_utf8(bytes.unwrap()).unwrap()
    };
    let tls = Tls {
        ca: of("ca.crt"),
        certificate: of("tls.crt"),
        key: of("tls.key"),
    };
    let service = get(node, &format!("{CORE}/services/example-vtctld"));
    let address = service["spec"]["clusterIP"].as_str().unwrap();
    Client::with_tls(
        &format!("{address}:15999"),
        "example-vtctld.default.svc",
        &tls,
    )
    .unwrap()
}

/// Says how rows of `customer` are spread over its shards.
pub(crate) fn spread(node: &Node) {
    let vschema = json!({
        "sharded": true,
        "vindexes": {"hash": {"type": "xxhash"}},
        "tables": {"people": {"column_vindexes": [{"column": "id", "name": "hash"}]}},
    });
    let vschema: VSchema = serde_json::from_value(vschema).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = vtctld(node);
    eventually("a VSchema is applied", LIMIT, || {
        runtime.block_on(client.apply_vschema("customer", &vschema))
    });
}

pub(crate) fn count(node: &Node, at: &str) -> Result<String, String> {
    query(node, at, "select count(*) from customer.people")
}

/// Each shard has some of them.
pub(crate) fn write(node: &Node, at: &str) {
    let made = "create table kept (id bigint primary key)";
    eventually("a table is made", LIMIT, || query(node, at, made));
    spread(node);
    let made = "create table customer.people (id bigint primary key)";
    eventually("a table is made", LIMIT, || query(node, at, made));
    let all: Vec<String> = (0..ROWS).map(|it| format!("({it})")).collect();
    let insert = format!("insert into customer.people values {}", all.join(","));
    eventually("rows are written", LIMIT, || query(node, at, &insert));
    assert_eq!(count(node, at), Ok(ROWS.to_string()));
    let counts = SHARDS.map(|shard| {
        let shard = get(
            node,
            &format!("{GROUP}/keyspaceshards/example-customer-{shard}"),
        );
        let primary = shard["status"]["primary"].as_str().unwrap();
        let count = own_mysqld(node, primary, "select count(*) from vt_customer.people");
        count.unwrap().parse::<usize>().unwrap()
    });
    assert_eq!(counts[0] + counts[1], ROWS);
    assert!(counts.iter().all(|it| *it > 0), "{counts:?}");
}
