//! Addresses of services of the cluster.

/// An address `http://NAME.NAMESPACE[.svc…][:PORT][/PATH]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServiceUrl {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) port: u16,
    /// With its first slash, or empty.
    path: String,
    /// It says `.svc`; otherwise it may be any host of two labels.
    pub(super) certain: bool,
}

impl ServiceUrl {
    /// None: the address is of something else.
    pub(super) fn parse(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("http://")?;
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (authority, 80),
        };
        let labels: Vec<&str> = host.trim_end_matches('.').split('.').collect();
        let (name, namespace, certain) = match labels[..] {
            [name, namespace] => (name, namespace, false),
            [name, namespace, "svc", ..] => (name, namespace, true),
            _ => return None,
        };
        // 10.0.0.1 has four labels, and no service begins with a digit.
        let is_label = |it: &str| it.starts_with(|c: char| c.is_ascii_alphabetic());
        (is_label(name) && is_label(namespace)).then(|| Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            port,
            path: path.trim_end_matches('/').to_owned(),
            certain,
        })
    }

    /// The same behind a port of this machine.
    pub(super) fn local(&self, port: u16) -> String {
        format!("http://127.0.0.1:{port}{}", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_known_by_their_names() {
        let read = |url: &str| {
            let it = ServiceUrl::parse(url)?;
            Some(format!(
                "{} {} {} {} {}",
                it.name,
                it.namespace,
                it.port,
                it.local(1),
                it.certain
            ))
        };
        for (url, expected) in [
            (
                "http://prometheus.monitoring.svc:9090",
                Some("prometheus monitoring 9090 http://127.0.0.1:1 true"),
            ),
            (
                "http://p.m.svc.cluster.local/prom/",
                Some("p m 80 http://127.0.0.1:1/prom true"),
            ),
            (
                "http://p.m.svc.cluster.local.:80",
                Some("p m 80 http://127.0.0.1:1 true"),
            ),
            (
                "http://prometheus.monitoring:9090",
                Some("prometheus monitoring 9090 http://127.0.0.1:1 false"),
            ),
            ("https://prometheus.monitoring.svc", None),
            ("http://prometheus.example.com", None),
            ("http://127.0.0.1:9090", None),
            ("http://localhost:9090", None),
        ] {
            assert_eq!(read(url).as_deref(), expected, "{url}");
        }
    }
}
