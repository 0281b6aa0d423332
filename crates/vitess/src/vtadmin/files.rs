//! Files that the programs of VTAdmin read.

use std::collections::BTreeMap;

use serde_json::json;

use super::PAGE_PORT;
use crate::cluster::names::{ClusterNames, GRPC_PORT, WEB_PORT};

/// Where vtctld and the pod's gateway are.
pub(super) const DISCOVERY: &str = "discovery.json";
/// What people may do.
pub(super) const RULES: &str = "rbac.yaml";
/// How the page is served.
pub(super) const SERVER: &str = "nginx.conf";
/// What the page is told.
const PAGE: &str = "config.js";

/// What may be looked at: all that VTAdmin knows but `VExplain`, which runs the queries that it explains.
const RESOURCES: [&str; 19] = [
    "Backup",
    "CellInfo",
    "CellsAlias",
    "Cluster",
    "Keyspace",
    "Schema",
    "SchemaMigration",
    "Shard",
    "ShardReplicationPosition",
    "SrvKeyspace",
    "SrvVSchema",
    "Tablet",
    "TabletFullStatus",
    "Topology",
    "VSchema",
    "VTExplain",
    "VTGate",
    "Vtctld",
    "Workflow",
];

/// All of them, by name.
pub(super) fn all(names: &ClusterNames) -> BTreeMap<String, String> {
    let files = [
        (DISCOVERY, discovery(names)),
        (RULES, rules()),
        (SERVER, server()),
        (PAGE, page(names)),
    ];
    files.map(|(name, text)| (name.to_owned(), text)).into()
}

fn discovery(names: &ClusterNames) -> String {
    let vtctld = format!("{}:{GRPC_PORT}", names.host(&names.vtctld()));
    let gate = format!("127.0.0.1:{GRPC_PORT}");
    let all = json!({
        "vtctlds": [{"host": {"hostname": vtctld}}],
        "vtgates": [{"host": {"hostname": gate}}],
    });
    all.to_string()
}

/// Nobody who comes is known, so everybody may look, and nobody may change anything.
fn rules() -> String {
    let rule = |resource: &str| {
        format!(
            "- resource: {resource}\n  actions: [get]\n  subjects: [\"*\"]\n  clusters: [\"*\"]\n"
        )
    };
    let rules: String = RESOURCES.map(rule).concat();
    format!("rules:\n{rules}")
}

/// The page of VTAdmin's image, what it asks at the same address, and nothing else.
fn server() -> String {
    format!(
        r"worker_processes 1;
pid /tmp/nginx.pid;
error_log /dev/stderr warn;
events {{}}
http {{
  include /etc/nginx/mime.types;
  access_log off;
  server_tokens off;
  gzip on;
  gzip_types application/javascript application/json text/css;
  client_body_temp_path /tmp/client;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  scgi_temp_path /tmp/scgi;
  uwsgi_temp_path /tmp/uwsgi;
  server {{
    listen {PAGE_PORT};
    root /var/www;
    # Some changes ask for no more than the right to look, and this one is a GET.
    location ~ ^/api/transaction/.*/conclude {{ return 403; }}
    location /api/ {{
      limit_except GET {{ deny all; }}
      proxy_pass http://127.0.0.1:{WEB_PORT};
    }}
    location = /health {{ proxy_pass http://127.0.0.1:{WEB_PORT}; }}
    location = /config/{PAGE} {{
      alias {}/{PAGE};
      add_header Cache-Control no-store;
    }}
    location / {{ try_files $uri /index.html; }}
  }}
}}
",
        super::FILES
    )
}

fn page(names: &ClusterNames) -> String {
    let env = json!({
        // At the address that the page has itself.
        "VITE_VTADMIN_API_ADDRESS": "",
        "VITE_FETCH_CREDENTIALS": "omit",
        "VITE_ENABLE_EXPERIMENTAL_TABLET_DEBUG_VARS": false,
        "VITE_BUGSNAG_API_KEY": "",
        "VITE_DOCUMENT_TITLE": names.name,
        "VITE_READONLY_MODE": "true",
    });
    format!("window.env = {env};\n")
}
