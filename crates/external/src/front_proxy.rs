//! The API server's aggregation layer: it passes on requests of callers whom it has authenticated, with their names in
//! headers, and is itself known by its client certificate. How, it publishes in the ConfigMap
//! `extension-apiserver-authentication` of `kube-system`.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use foreshard_listener::ClientCertificate;
use percent_encoding::percent_decode_str;

use crate::caller::Caller;

/// How the aggregation layer shows itself and those whom it speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontProxy {
    /// Who signs its certificate, in PEM.
    pub authority_pem: String,
    /// Common names that its certificate may have; empty: any.
    allowed_names: Vec<String>,
    user_headers: Vec<HeaderName>,
    group_headers: Vec<HeaderName>,
    extra_prefixes: Vec<String>,
}

/// What is wrong with the ConfigMap.
#[derive(Debug, thiserror::Error)]
pub enum FrontProxyError {
    /// The API server has no aggregation layer, or does not say how it shows itself.
    #[error(
        "{0} is missing: the API server runs without its --requestheader flags, and cannot pass requests on"
    )]
    Missing(&'static str),
    /// A list that is none.
    #[error("{key} is no list of {what} in JSON")]
    Malformed {
        /// In the ConfigMap.
        key: &'static str,
        /// What it should list.
        what: &'static str,
    },
}

const AUTHORITY: &str = "requestheader-client-ca-file";
const NAMES: &str = "requestheader-allowed-names";
const USER: &str = "requestheader-username-headers";
const GROUP: &str = "requestheader-group-headers";
const EXTRA: &str = "requestheader-extra-headers-prefix";

impl FrontProxy {
    /// What the ConfigMap's data says.
    ///
    /// # Errors
    /// [`FrontProxyError`].
    pub fn read(data: &BTreeMap<String, String>) -> Result<Self, FrontProxyError> {
        let authority = data.get(AUTHORITY).filter(|text| !text.trim().is_empty());
        let user_headers = headers(data, USER)?;
        if user_headers.is_empty() {
            return Err(FrontProxyError::Missing(USER));
        }
        Ok(Self {
            authority_pem: authority
                .ok_or(FrontProxyError::Missing(AUTHORITY))?
                .clone(),
            allowed_names: list(data, NAMES, "names")?,
            user_headers,
            group_headers: headers(data, GROUP)?,
            extra_prefixes: list(data, EXTRA, "prefixes")?
                .into_iter()
                .map(|it| it.to_ascii_lowercase())
                .collect(),
        })
    }

    /// Whom a request speaks for. `shown` was signed by the authority: TLS has looked at that.
    ///
    /// # Errors
    /// A sentence that says what is missing.
    pub(crate) fn identify(
        &self,
        shown: Option<&ClientCertificate>,
        headers: &HeaderMap,
    ) -> Result<Caller, &'static str> {
        let shown = shown.ok_or("there is no client certificate")?;
        if !self.allowed_names.is_empty() {
            let names = shown.common_names();
            if !names.iter().any(|name| self.allowed_names.contains(name)) {
                return Err("the client certificate is not the aggregation layer's");
            }
        }
        let all = |names: &[HeaderName]| -> Vec<String> {
            let values = names.iter().flat_map(|name| headers.get_all(name));
            values.filter_map(text).collect()
        };
        // The first header that is there counts, as for the API server.
        let user = all(&self.user_headers)
            .into_iter()
            .find(|it| !it.is_empty());
        Ok(Caller {
            user: user.ok_or("the request does not say whom it is for")?,
            groups: all(&self.group_headers),
            extra: self.extra(headers),
        })
    }

    fn extra(&self, headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
        let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in headers {
            let mut prefixes = self.extra_prefixes.iter();
            let Some(key) = prefixes.find_map(|prefix| name.as_str().strip_prefix(prefix.as_str()))
            else {
                continue;
            };
            // Keys are escaped where a header's name cannot have their characters.
            let key = percent_decode_str(key).decode_utf8_lossy().into_owned();
            extra.entry(key).or_default().extend(text(value));
        }
        extra
    }
}

fn text(value: &HeaderValue) -> Option<String> {
    value.to_str().ok().map(str::to_owned)
}

fn list(
    data: &BTreeMap<String, String>,
    key: &'static str,
    what: &'static str,
) -> Result<Vec<String>, FrontProxyError> {
    let Some(text) = data.get(key) else {
        return Ok(Vec::new());
    };
    serde_json::from_str(text).map_err(|_| FrontProxyError::Malformed { key, what })
}

fn headers(
    data: &BTreeMap<String, String>,
    key: &'static str,
) -> Result<Vec<HeaderName>, FrontProxyError> {
    let what = "names of headers";
    let names = list(data, key, what)?.into_iter();
    names
        .map(|name| {
            name.parse()
                .map_err(|_| FrontProxyError::Malformed { key, what })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_else_is_known_of_callers_is_unescaped() {
        let data = [
            ("requestheader-client-ca-file", "PEM"),
            ("requestheader-username-headers", r#"["X-Remote-User"]"#),
            (
                "requestheader-extra-headers-prefix",
                r#"["X-Remote-Extra-"]"#,
            ),
        ];
        let data: BTreeMap<_, _> = data
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let proxy = FrontProxy::read(&data).unwrap();
        let mut headers = HeaderMap::new();
        let key = "x-remote-extra-authentication.kubernetes.io%2fcredential-id";
        headers.insert("x-remote-user", "hpa".parse().unwrap());
        headers.insert(key, "JTI=1".parse().unwrap());
        let shown = ClientCertificate(Vec::new().into());
        let caller = proxy.identify(Some(&shown), &headers).unwrap();
        let extra = &caller.extra["authentication.kubernetes.io/credential-id"];
        assert_eq!(extra, &["JTI=1"]);
        assert_eq!(caller.user, "hpa");
        assert!(proxy.identify(None, &headers).is_err());
    }
}
