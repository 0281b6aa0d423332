//! The gateways of a cell, from what is wanted. Nothing is asked here.

use foreshard_api::v1alpha1::VTGatePool;

use crate::cluster::flags::{self, TLS};
use crate::cluster::names::{CELL, GRPC_PORT, MYSQL_PORT, VTGATE};
use crate::cluster::program::Program;
use crate::cluster::users::GATE_USERS;
use crate::cluster::wanted::Wanted;
use crate::workload;

/// Where a gateway finds whom it knows.
const USERS: &str = "/etc/foreshard/users";
/// Where it finds the certificate that MySQL clients are shown, when it is not its own.
const CLIENT_TLS: &str = "/etc/foreshard/client-tls";
/// Seconds between two looks at which tablets there are.
const REFRESH_SECONDS: u32 = 5;

/// vtgate of a cell.
pub(crate) fn vtgate<'a>(wanted: &'a Wanted, pool: &'a VTGatePool, replicas: i32) -> Program<'a> {
    let (names, cell) = (&wanted.names, &pool.spec.cell);
    let access = &wanted.spec.access;
    let (users, file) = match &access.users {
        Some(users) => (users.name.clone(), users.key.clone()),
        None => (names.app(), GATE_USERS.to_owned()),
    };
    let mut secrets = vec![("users", users, USERS)];
    let mut certificate = TLS;
    if let Some(secret) = &access.tls_secret_name {
        secrets.push(("client-tls", secret.clone(), CLIENT_TLS));
        certificate = CLIENT_TLS;
    }
    let cells: Vec<&str> = wanted.spec.cells.iter().map(|it| &*it.name).collect();
    let args = [
        flags::common(),
        flags::topology(wanted),
        flags::serves_grpc(),
        flags::asks_tablets(),
        vec![
            "--service-map=grpc-vtgateservice".to_owned(),
            format!("--cell={cell}"),
            // A primary may be in any cell.
            format!("--cells-to-watch={}", cells.join(",")),
            "--tablet-types-to-wait=PRIMARY".to_owned(),
            format!("--tablet-refresh-interval={REFRESH_SECONDS}s"),
            format!("--mysql-server-port={MYSQL_PORT}"),
            "--mysql-auth-server-impl=static".to_owned(),
            format!("--mysql-auth-server-static-file={USERS}/{file}"),
            "--mysql-auth-static-reload-interval=30s".to_owned(),
            format!("--mysql-server-ssl-cert={certificate}/tls.crt"),
            format!("--mysql-server-ssl-key={certificate}/tls.key"),
            // Off by default; without it each change of a primary is an outage. A switch of traffic takes up to 20 s.
            "--enable-buffer".to_owned(),
            "--buffer-window=20s".to_owned(),
            "--buffer-max-failover-duration=20s".to_owned(),
            "--buffer-size=1000".to_owned(),
            "--buffer-drain-concurrency=4".to_owned(),
            // Clients end what they do; new ones go elsewhere.
            "--mysql-server-drain-onterm".to_owned(),
            "--onterm-timeout=20s".to_owned(),
        ],
    ];
    let mut selector = names.selector(VTGATE);
    selector.insert(CELL.to_owned(), cell.clone());
    Program {
        program: VTGATE,
        name: names.gateways(cell),
        selector,
        labels: [(CELL.to_owned(), cell.clone())].into(),
        args: args.concat(),
        ports: vec![
            workload::port("mysql", MYSQL_PORT),
            workload::port("grpc", GRPC_PORT),
        ],
        replicas,
        resources: &pool.spec.template.resources,
        placement: &pool.spec.template.placement,
        zone: wanted.zone(cell),
        secrets,
        store: None,
        grace_seconds: 30,
    }
}
