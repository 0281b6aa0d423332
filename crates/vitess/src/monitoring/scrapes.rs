//! What a cluster's Prometheus scrapes, and which labels it attaches.

use crate::cluster::names::{CELL, ClusterNames, KEYSPACE, POOL, SHARD, TABLET_TYPE, VITESS};
use crate::names::{COMPONENT, TOPO_SERVER};

/// Labels of pods, and as what samples have them.
const LABELS: [(&str, &str); 6] = [
    (COMPONENT, "component"),
    (CELL, "cell"),
    (KEYSPACE, "keyspace"),
    (SHARD, "shard"),
    (TABLET_TYPE, "tablet_type"),
    (POOL, "pool"),
];

/// The configuration. Labels that Vitess itself gives are kept: on a tablet they say the same.
pub(super) fn configuration(names: &ClusterNames) -> String {
    let mut text =
        "# What is scraped follows from the labels of pods.\nglobal:\n  scrape_interval: 15s\n"
            .to_owned();
    text.push_str("scrape_configs:\n");
    job(&mut text, names, ("vitess", VITESS, "web"));
    job(&mut text, names, ("etcd", TOPO_SERVER, "metrics"));
    text
}

fn job(text: &mut String, names: &ClusterNames, (job, label, port): (&str, &str, &str)) {
    let ClusterNames { namespace, name } = names;
    *text += &format!(
        "- job_name: {job}
  honor_labels: true
  kubernetes_sd_configs:
  - role: pod
    namespaces:
      names: [\"{namespace}\"]
    selectors:
    - role: pod
      label: \"{label}={name}\"
  relabel_configs:
  - source_labels: [__meta_kubernetes_pod_container_port_name]
    regex: {port}
    action: keep
  - source_labels: [__meta_kubernetes_pod_phase]
    regex: Succeeded|Failed
    action: drop
  - source_labels: [__meta_kubernetes_pod_name]
    target_label: pod
  - target_label: vitess
    replacement: \"{name}\"
"
    );
    for (of_pod, of_sample) in LABELS {
        let of_pod = of_pod.replace(['.', '/', '-'], "_");
        *text += &format!(
            "  - source_labels: [__meta_kubernetes_pod_label_{of_pod}]\n    target_label: {of_sample}\n"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_are_found_by_labels_and_samples_have_them() {
        let names = ClusterNames::new("shop", "example");
        insta::assert_snapshot!(configuration(&names));
    }
}
