//! The tables that load works on.

use std::collections::BTreeMap;

use foreshard_vtctld::{ColumnVindex, Table, VSchema, Vindex};

/// Statements that make the tables. Both are keyed so that a customer's rows are of one shard.
pub const SCHEMA: &[&str] = &[
    "create table customer (
        customer_id bigint not null,
        writes bigint not null default 0,
        note varchar(255) not null,
        primary key (customer_id)
    ) engine=InnoDB",
    "create table event (
        customer_id bigint not null,
        event_id bigint not null,
        primary key (customer_id, event_id)
    ) engine=InnoDB",
];

/// How the tables are spread over shards: by a hash of the customer.
#[must_use]
pub fn vschema() -> VSchema {
    let hash = "xxhash";
    let table = Table {
        column_vindexes: vec![ColumnVindex {
            column: "customer_id".to_owned(),
            name: hash.to_owned(),
            columns: Vec::new(),
        }],
        ..Table::default()
    };
    let vindex = Vindex {
        kind: hash.to_owned(),
        ..Vindex::default()
    };
    VSchema {
        sharded: true,
        vindexes: BTreeMap::from([(hash.to_owned(), vindex)]),
        tables: BTreeMap::from([
            ("customer".to_owned(), table.clone()),
            ("event".to_owned(), table),
        ]),
        require_explicit_routing: false,
    }
}

/// What a customer's `note` holds from the start and for ever: about 100 bytes that depend on the customer.
#[must_use]
pub fn note_of(customer: u32) -> String {
    format!("{customer:010}-").repeat(9)
}
