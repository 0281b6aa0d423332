//! VTAdmin, as a browser in the cluster's namespace would ask it.

use foreshard_testbed::{Api, Node};
use serde_json::{Value, json};

use crate::stage::*;

/// The name that the default of a spec leads to.
pub(crate) const IMAGE: &str = "docker.io/vitess/vtadmin:v24.0.0";

/// It knows the whole cluster, through vtctld and its own gateway, and refuses to change anything of it.
pub(crate) fn shows_and_changes_nothing(node: &Node) {
    let page = eventually("VTAdmin answers", LIMIT, || {
        let service = get(node, &format!("{CORE}/services/example-vtadmin"));
        let address = service["spec"]["clusterIP"].as_str().ok_or("no service")?;
        let page = Api::plain(format!("http://{address}:14201"));
        let health = page.text("/health").map_err(|_| "not yet")?;
        drop(health);
        Ok::<_, &str>(page)
    });
    let all = |path: &str, of: &str| -> Vec<Value> {
        let said = page.get(path).unwrap();
        // One without any names no list.
        said["result"][of].as_array().cloned().unwrap_or_default()
    };
    assert_eq!(all("/api/clusters", "clusters").len(), 1);
    assert_eq!(all("/api/keyspaces", "keyspaces").len(), 2);
    assert_eq!(all("/api/vtctlds", "vtctlds").len(), 1);
    let tablets = eventually("tablets are seen", LIMIT, || {
        let tablets = all("/api/tablets", "tablets");
        (tablets.len() == 7).then(|| tablets.clone()).ok_or(tablets)
    });
    let serving = tablets.iter().filter(|it| it["state"] == 1);
    assert_eq!(serving.count(), 7, "{tablets:#?}");
    let made = page.post("/api/keyspace/example", &json!({"name": "more"}));
    let status = made
        .as_ref()
        .err()
        .and_then(foreshard_testbed::ApiError::status);
    assert!(status.is_some() || made.is_ok_and(|it| it["ok"] == false));
    assert_eq!(all("/api/keyspaces", "keyspaces").len(), 2);
    let told = page.text("/config/config.js").unwrap();
    assert!(told.contains(r#""VITE_READONLY_MODE":"true""#), "{told}");
    assert!(page.text("/any/page").unwrap().contains("VTAdmin's page"));
}
