//! Where to ask, as whom, and how much.

use std::time::Duration;

use super::secret::Secret;

/// One Prometheus (or Thanos, Mimir, VictoriaMetrics) and how it may be asked.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// Its base URL, such as `http://prometheus.monitoring:9090` or `https://example.com/prometheus`; without
    /// credentials, which belong into `auth`.
    pub url: String,
    /// Time for one request, its answer included.
    pub timeout: Duration,
    /// How it is proven to be the right server, and we to it.
    pub tls: Tls,
    /// Who we say we are.
    pub auth: Auth,
    /// Headers sent with every request, such as `X-Scope-OrgID` with a tenant's name. Values are treated as secret.
    pub headers: Vec<(String, Secret)>,
    /// Narrows every selector of every query: one tenant cannot read the series of another.
    pub enforced: Option<Enforced>,
    /// How much may be asked and answered.
    pub limits: Limits,
    /// Seconds between two live samples of a signal, where the budget allows; see
    /// [`CollectorStats::poll_interval`](super::CollectorStats::poll_interval) for what it is.
    pub poll_every: Duration,
}

impl SourceConfig {
    /// A server at `url` with every default: 10 s for a request, verified TLS against the roots of the platform, no
    /// credentials, [`Limits::default`], live samples every 5 s.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            timeout: Duration::from_secs(10),
            tls: Tls::default(),
            auth: Auth::None,
            headers: Vec::new(),
            enforced: None,
            limits: Limits::default(),
            poll_every: Duration::from_secs(5),
        }
    }
}

/// TLS towards the server.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// Authorities to trust instead of the platform's: certificates in PEM, one or several.
    pub authorities_pem: Option<String>,
    /// What we prove ourselves with.
    pub client: Option<ClientCertificate>,
    /// The name that the server's certificate must have, where it differs from the URL's host.
    pub server_name: Option<String>,
    /// Whether the server's certificate is looked at; anybody between can read and change everything without.
    pub verification: Verification,
}

/// Whether the server's certificate is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verification {
    /// It must be valid, for the name, and from a known authority.
    #[default]
    Required,
    /// Any certificate will do: only for trying out.
    Skipped,
}

/// A client's certificate with its key.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// The chain, the client's own first, in PEM.
    pub certificate_pem: String,
    /// The private key in PEM (PKCS #8, PKCS #1 or SEC 1).
    pub key_pem: Secret,
}

/// Credentials.
#[derive(Clone, Debug, Default)]
pub enum Auth {
    /// None.
    #[default]
    None,
    /// `Authorization: Bearer`.
    Bearer(Secret),
    /// `Authorization: Basic`.
    Basic {
        /// The user's name.
        user: String,
        /// The password.
        password: Secret,
    },
}

/// A matcher that every selector of every query gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enforced {
    /// The label, such as `namespace`.
    pub label: String,
    /// The only value that may be read.
    pub value: String,
}

/// How much may be asked and answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most signals watched at once. One takes up to [`SIGNAL_BYTES_MAX`](super::SIGNAL_BYTES_MAX).
    pub signals_max: usize,
    /// Most series in one answer, which is also the most signals in one grouped query.
    pub series_per_answer_max: usize,
    /// Most samples in one answer. Backfills are cut into parts that stay below.
    pub samples_per_answer_max: usize,
    /// Most bytes of one answer as received.
    pub answer_bytes_max: usize,
    /// Most queries in any minute, of all kinds together.
    pub queries_per_minute_max: u32,
    /// Most requests at once. Backfills take at most half of them.
    pub parallel_requests_max: usize,
}

impl Default for Limits {
    /// 10,000 signals; 250 series, 25,000 samples and 8 MiB in an answer (a sample takes 20 to 35 bytes); 3,000 queries
    /// a minute, 6 of them at once.
    fn default() -> Self {
        Self {
            signals_max: 10_000,
            series_per_answer_max: 250,
            samples_per_answer_max: 25_000,
            answer_bytes_max: 8 << 20,
            queries_per_minute_max: 3_000,
            parallel_requests_max: 6,
        }
    }
}
