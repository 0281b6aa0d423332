//! Why an upload got no answer, and what to do about it.

use std::error::Error;

use anyhow::anyhow;
use foreshard_cli::text::{chain, short};

/// How the server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By `--server`.
    Direct,
    /// Through the Kubernetes API server.
    Proxied,
}

/// There was no answer from the server.
pub(super) fn unanswered(error: &dyn Error, server: &str, way: Way) -> anyhow::Error {
    let said = chain(error);
    let fix = fix(&said, server, way);
    anyhow!("{server} gives no answer: {said}; {fix}")
}

fn fix(said: &str, server: &str, way: Way) -> &'static str {
    let says = |words: &[&str]| words.iter().any(|it| said.contains(it));
    let is_plain = way == Way::Direct && server.starts_with("http://");
    let ended = says(&["Broken pipe", "broken pipe", "reset", "closed"]);
    match way {
        Way::Proxied if says(&["certificate", "UnknownIssuer", "CaUsedAsEndEntity"]) => {
            "see certificate-authority-data of the kubeconfig's cluster, or go to Foreshard directly with --server"
        }
        _ if says(&["UnknownIssuer"]) => {
            "name the certificate of the authority that the server's is from with --ca-file"
        }
        _ if says(&["CaUsedAsEndEntity"]) => {
            "the server shows an authority's certificate as its own: give it one from that authority, and name the \
             authority's with --ca-file"
        }
        _ if says(&["NotValidForName", "not valid for name"]) => {
            "reach the server by a name that its certificate has"
        }
        _ if says(&["InvalidContentType"]) => {
            "no TLS is spoken there: if the server has none, --server begins with http://"
        }
        _ if says(&["Connection refused", "dns error", "timed out"]) => {
            "is it there, and can it be reached from here?"
        }
        _ if is_plain && ended => {
            "it ended the connection: is the component larger than it takes (`foreshard policy limits`), or does it \
             speak TLS, so that --server begins with https://?"
        }
        _ if is_plain => "if it speaks TLS, --server begins with https://",
        _ if ended => {
            "it ended the connection: is the component larger than it takes (`foreshard policy limits`)?"
        }
        Way::Direct => {
            "is it there, and does it speak TLS with a certificate that you trust (--ca-file)?"
        }
        Way::Proxied => "is the Kubernetes API server of the kubeconfig there?",
    }
}

/// The cluster made no token for the service account.
pub(super) fn no_token(error: &kube::Error, account: &str, namespace: &str) -> anyhow::Error {
    let kube::Error::Api(status) = error else {
        return anyhow!(
            "having a token made for service account {account}: {}",
            chain(error)
        );
    };
    let said = short(&status.message);
    match status.code {
        404 => anyhow!(
            "there is no service account {account} in namespace {namespace}, or no such namespace: `kubectl get \
             serviceaccounts -n {namespace}` shows which there are; name one with --service-account and --namespace"
        ),
        403 => anyhow!(
            "you may not have a token made for service account {account} of namespace {namespace}: {said}; it needs \
             `create` on `serviceaccounts/token` there, or give a token that you have with --token-file"
        ),
        code => anyhow!(
            "the cluster makes no token for service account {account} of namespace {namespace} ({code}): {said}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_connection_has_a_fix() {
        let https = "https://foreshard.example.com";
        for (said, server, way, fix) in [
            (
                "invalid peer certificate: UnknownIssuer",
                https,
                Way::Direct,
                "with --ca-file",
            ),
            (
                "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))",
                https,
                Way::Direct,
                "authority's with --ca-file",
            ),
            (
                "invalid peer certificate: UnknownIssuer",
                "service a/b",
                Way::Proxied,
                "kubeconfig",
            ),
            (
                "received corrupt message of type InvalidContentType",
                https,
                Way::Direct,
                "begins with http://",
            ),
            (
                "invalid HTTP version parsed",
                "http://foreshard.example.com",
                Way::Direct,
                "begins with https://",
            ),
            (
                "Connection refused (os error 111)",
                https,
                Way::Direct,
                "reached from here",
            ),
            (
                "Broken pipe (os error 32)",
                https,
                Way::Direct,
                "larger than it takes",
            ),
        ] {
            let error = std::io::Error::other(said);
            let told = unanswered(&error, server, way).to_string();
            assert!(told.contains(said) && told.contains(fix), "{told}");
        }
    }

    #[test]
    fn a_service_account_that_is_not_there_is_named() {
        let error = |code: u16, message: &str| {
            let status = kube::core::Status {
                code,
                message: message.to_owned(),
                ..kube::core::Status::default()
            };
            no_token(&kube::Error::Api(Box::new(status)), "ci", "shop").to_string()
        };
        let missing = error(404, "serviceaccounts \"ci\" not found");
        assert!(
            missing.starts_with("there is no service account ci in namespace shop"),
            "{missing}"
        );
        let forbidden = error(403, "User \"ann\" cannot create");
        assert!(forbidden.contains("serviceaccounts/token"), "{forbidden}");
        for told in [missing, forbidden] {
            assert!(!told.contains("Status {"), "{told}");
        }
    }
}
