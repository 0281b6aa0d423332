//! Tests of the client against a false vtctld, in this process, over real connections.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

use crate::{
    Client, Error, Reshard, Retry, SwitchTraffic, TabletAlias, TabletType, VdiffState, call,
    wire::{
        query, tabletmanagerdata, topodata,
        vtctldata::{
            GetShardRequest, GetShardResponse, ReshardCreateRequest, Shard, VDiffShowRequest,
            VDiffShowResponse, WorkflowStatusResponse, WorkflowSwitchTrafficRequest,
            WorkflowSwitchTrafficResponse,
        },
        vtctlservice::vtctld_server::{Vtctld, VtctldServer},
    },
};

/// Knows the shard `commerce/-80` and a comparison of it, and remembers what it was asked.
#[derive(Clone, Default)]
struct FakeVtctld {
    reshard: Arc<Mutex<Option<ReshardCreateRequest>>>,
    timeout_header: Arc<Mutex<Option<String>>>,
}

#[tonic::async_trait]
impl Vtctld for FakeVtctld {
    async fn get_shard(
        &self,
        request: Request<GetShardRequest>,
    ) -> Result<Response<GetShardResponse>, Status> {
        let asked = request.into_inner();
        let shard = match asked.shard_name.as_str() {
            "-80" => Some(topodata::Shard {
                primary_alias: Some(topodata::TabletAlias {
                    cell: "zone1".to_owned(),
                    uid: 201,
                }),
                key_range: Some(topodata::KeyRange {
                    start: Vec::new(),
                    end: vec![0x80],
                }),
                is_primary_serving: true,
                primary_term_start_time: None,
            }),
            "without-record" => None,
            "never" => std::future::pending().await,
            name => {
                return Err(Status::unknown(format!(
                    "node doesn't exist: /vitess/global/keyspaces/commerce/shards/{name}/Shard"
                )));
            }
        };
        Ok(Response::new(GetShardResponse {
            shard: Some(Shard {
                keyspace: asked.keyspace,
                name: asked.shard_name,
                shard,
            }),
        }))
    }

    async fn reshard_create(
        &self,
        request: Request<ReshardCreateRequest>,
    ) -> Result<Response<WorkflowStatusResponse>, Status> {
        *self.reshard.lock().unwrap() = Some(request.into_inner());
        Ok(Response::new(WorkflowStatusResponse::default()))
    }

    async fn workflow_switch_traffic(
        &self,
        request: Request<WorkflowSwitchTrafficRequest>,
    ) -> Result<Response<WorkflowSwitchTrafficResponse>, Status> {
        let header = request.metadata().get("grpc-timeout");
        *self.timeout_header.lock().unwrap() =
            header.map(|value| value.to_str().unwrap().to_owned());
        Ok(Response::new(WorkflowSwitchTrafficResponse::default()))
    }

    async fn v_diff_show(
        &self,
        request: Request<VDiffShowRequest>,
    ) -> Result<Response<VDiffShowResponse>, Status> {
        let cells: &[(&str, Option<&str>)] = &[
            ("vdiff_state", Some("started")),
            ("last_error", None),
            ("table_name", Some("customer")),
            ("table_state", Some("completed")),
            ("table_rows", Some("99000")),
            (
                "rows_compared",
                Some(if request.get_ref().arg == "odd" {
                    "many"
                } else {
                    "101124"
                }),
            ),
            ("has_mismatch", Some("1")),
        ];
        let output = query::QueryResult {
            fields: cells
                .iter()
                .map(|(name, _)| query::Field {
                    name: (*name).to_owned(),
                })
                .collect(),
            rows: vec![query::Row {
                lengths: cells
                    .iter()
                    .map(|(_, cell)| cell.map_or(-1, |cell| i64::try_from(cell.len()).unwrap()))
                    .collect(),
                values: cells
                    .iter()
                    .flat_map(|(_, cell)| cell.unwrap_or_default().bytes())
                    .collect(),
            }],
        };
        let tablet = tabletmanagerdata::VDiffResponse {
            output: Some(output),
            vdiff_uuid: "22b241be-6dcb-4920-9867-e8794b41d4fc".to_owned(),
        };
        Ok(Response::new(VDiffShowResponse {
            tablet_responses: BTreeMap::from([("-80".to_owned(), tablet)]),
        }))
    }
}

async fn serve(fake: FakeVtctld) -> Client {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(
        Server::builder()
            .add_service(VtctldServer::new(fake))
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );
    Client::new(&address.to_string()).unwrap()
}

#[test]
fn takes_addresses_of_servers_only() {
    for good in [
        "127.0.0.1:15999",
        "http://vtctld.vitess:15999",
        "[::1]:15999",
    ] {
        let client = Client::new(good).unwrap();
        assert_eq!(client.address(), good.trim_start_matches("http://"));
    }
    for wrong in [
        "",
        "vtctld",
        "vtctld:",
        "vtctld:99999",
        "ftp://vtctld:1",
        "a b:1",
    ] {
        let error = Client::new(wrong).unwrap_err();
        assert!(matches!(error, Error::Address { .. }), "{wrong}: {error}");
        assert_eq!(error.retry(), Retry::Futile);
    }
}

#[tokio::test]
async fn reads_a_shard() {
    let vtctld = serve(FakeVtctld::default()).await;
    let shard = vtctld.shard("commerce", "-80").await.unwrap();
    assert_eq!(shard.key_range.to_string(), "-80");
    assert!(shard.is_primary_serving);
    let primary = TabletAlias {
        cell: "zone1".to_owned(),
        uid: 201,
    };
    assert_eq!(shard.primary, Some(primary));
    assert_eq!(shard.primary_since_seconds, None);
}

#[tokio::test]
async fn says_what_the_server_said() {
    let vtctld = serve(FakeVtctld::default()).await;
    let error = vtctld.shard("commerce", "c0-").await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert_eq!(error.retry(), Retry::Futile);

    let error = vtctld
        .shard("commerce", "without-record")
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Answer { field: "shard", .. }),
        "{error}"
    );

    // The false server does not have this call.
    let error = vtctld.keyspaces().await.unwrap_err();
    assert!(error.to_string().contains("Unimplemented"), "{error}");
    assert_eq!(error.retry(), Retry::Futile);
}

#[tokio::test]
async fn does_not_wait_for_ever() {
    let vtctld = serve(FakeVtctld::default()).await;
    let call = call::GET_SHARD.with_deadline(Duration::from_millis(50));
    let message = GetShardRequest {
        keyspace: "commerce".to_owned(),
        shard_name: "never".to_owned(),
    };
    let error = vtctld
        .ask(call, message, async |mut service, request| {
            service.get_shard(request).await
        })
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Deadline { .. }), "{error}");
    assert_eq!(error.retry(), Retry::Sane);
}

#[tokio::test]
async fn says_that_nobody_is_there() {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let vtctld = Client::new(&address.to_string()).unwrap();
    let error = vtctld.shard("commerce", "-80").await.unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
    assert_eq!(error.retry(), Retry::Sane);
    let reshard = Reshard::new("commerce", "split", &["-"], &["-80", "80-"]);
    let error = vtctld.create_reshard(&reshard).await.unwrap_err();
    assert_eq!(error.retry(), Retry::LookFirst);
}

#[tokio::test]
async fn starts_what_it_creates() {
    let fake = FakeVtctld::default();
    let vtctld = serve(fake.clone()).await;
    let reshard = Reshard::new("commerce", "split", &["-"], &["-80", "80-"]);
    vtctld.create_reshard(&reshard).await.unwrap();
    let asked = fake.reshard.lock().unwrap().take().unwrap();
    assert!(asked.auto_start);
    assert_eq!(asked.target_shards, ["-80", "80-"]);
    assert_eq!(asked.on_ddl, "IGNORE");
    assert_eq!(asked.tablet_types, [2, 1]);
}

#[tokio::test]
async fn gives_a_switch_more_time_than_it_may_hold_writes() {
    let fake = FakeVtctld::default();
    let vtctld = serve(fake.clone()).await;
    let mut switch = SwitchTraffic::forward("commerce", "split", &[TabletType::Primary]);
    vtctld.switch_traffic(&switch).await.unwrap();
    let header = fake.timeout_header.lock().unwrap().take().unwrap();
    let (number, unit) = header.split_at(header.len() - 1);
    let per_second = match unit {
        "S" => 1,
        "m" => 1_000,
        "u" => 1_000_000,
        _ => panic!("unit of {header}"),
    };
    assert!(
        number.parse::<u64>().unwrap() > 2 * switch.timeout.as_secs() * per_second,
        "{header}"
    );

    switch.timeout = Duration::from_millis(999);
    let error = vtctld.switch_traffic(&switch).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Request {
                field: "timeout",
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn reads_a_comparison() {
    let vtctld = serve(FakeVtctld::default()).await;
    let vdiff = vtctld.vdiff("commerce", "split", "last").await.unwrap();
    assert_eq!(vdiff.state(), VdiffState::Started);
    assert_eq!(vdiff.rows_compared(), 101_124);
    assert!(vdiff.has_mismatch());
    assert_eq!(vdiff.errors().count(), 0);

    let error = vtctld.vdiff("commerce", "split", "odd").await.unwrap_err();
    assert!(error.to_string().contains("rows_compared"), "{error}");
}
