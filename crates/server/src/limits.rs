//! A limit on everything that a client or a feed can make large.

use std::time::Duration;

use crate::{decisions::Retention, jobs::BacktestLimits};

/// How often something may happen: at once as often as `burst`, and then once in each `period`.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// At least 1.
    pub burst: u32,
    /// Longer than zero.
    pub period: Duration,
}

/// The server's limits.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of a JSON body.
    pub document_bytes_max: usize,
    /// Of an uploaded component.
    pub component_bytes_max: usize,
    /// Components that are received or wait for their check at one time.
    pub uploads_max: usize,
    /// Of these, those of one user, where users are known.
    pub uploads_of_user_max: usize,
    /// Components that are checked at one time; each may take as long as its tier lets a compiler run.
    pub checks_max: usize,
    /// Policies that are asked about a config at one time.
    pub questions_max: usize,
    /// Modules in a namespace, and the bytes of all of them.
    pub modules_max: usize,
    /// See `modules_max`.
    pub modules_bytes_max: usize,
    /// From the request's head to the answer's head.
    pub request_timeout: Duration,
    /// The same for an upload; longer than a compiler may wait for its turn and run.
    pub upload_timeout: Duration,
    /// Connections at one time; more wait.
    pub connections_max: usize,
    /// Of these, connections from one peer address; more are closed at once. A proxy comes from one address for many.
    pub connections_of_peer_max: usize,
    /// For the handshake of TLS, and for the head of a request.
    pub head_timeout: Duration,
    /// A connection on which nothing was asked for so long is closed.
    pub idle_timeout: Duration,
    /// A connection whose client takes nothing of an answer for so long is closed.
    pub stall_timeout: Duration,
    /// Requests of one user, where users are known.
    pub requests: Rate,
    /// Requests from one peer address of callers that are not known yet: each may be a question to the API server.
    pub strangers: Rate,
    /// Such requests that are asked about at one time.
    pub strangers_max: usize,
    /// Of these, those from one peer address: fewer than the API server is asked at one time, and as many as a browser
    /// sends at once for a page, with a token that is new.
    pub strangers_of_peer_max: usize,
    /// Of these, those that change something.
    pub changes: Rate,
    /// Listeners to events at one time.
    pub listeners_max: usize,
    /// Of these, those of one user, where users are known: one for each open page of the console.
    pub listeners_of_user_max: usize,
    /// The longest that one stream goes on before its listener has to come again.
    pub stream_max: Duration,
    /// Time between signs of life on an idle event stream.
    pub heartbeat: Duration,
    /// How long open requests may go on once the server is told to stop.
    pub drain: Duration,
    /// Of backtests.
    pub backtests: BacktestLimits,
    /// Points kept of one part.
    pub points_max: usize,
    /// Decisions kept in a namespace.
    pub retention: Retention,
}

impl Limits {
    /// What `foreshard` runs with: points for two weeks of minutes.
    pub const DEFAULT: Self = Self {
        document_bytes_max: 64 << 10,
        component_bytes_max: 32 << 20,
        uploads_max: 4,
        uploads_of_user_max: 2,
        checks_max: 2,
        questions_max: 2,
        modules_max: 64,
        modules_bytes_max: 256 << 20,
        request_timeout: Duration::from_secs(15),
        upload_timeout: Duration::from_secs(180),
        connections_max: 1024,
        connections_of_peer_max: 256,
        head_timeout: Duration::from_secs(15),
        idle_timeout: Duration::from_secs(60),
        stall_timeout: Duration::from_secs(30),
        requests: Rate {
            burst: 200,
            period: Duration::from_millis(50),
        },
        strangers: Rate {
            burst: 200,
            period: Duration::from_millis(50),
        },
        strangers_max: 32,
        strangers_of_peer_max: 12,
        changes: Rate {
            burst: 20,
            period: Duration::from_secs(2),
        },
        listeners_max: 64,
        listeners_of_user_max: 16,
        stream_max: Duration::from_secs(60 * 60),
        heartbeat: Duration::from_secs(10),
        drain: Duration::from_secs(5),
        backtests: BacktestLimits {
            request_bytes_max: 4 << 20,
            open_max: 5,
            open_of_user_max: 2,
            timeout: Duration::from_secs(15 * 60),
            result_bytes_max: 256 << 10,
            kept_max: 20,
            kept: Duration::from_secs(60 * 60),
        },
        points_max: 14 * 24 * 60 + 1,
        retention: Retention {
            changed_max: 2_000,
            unchanged_max: 500,
            records_max: 200,
        },
    };
}
