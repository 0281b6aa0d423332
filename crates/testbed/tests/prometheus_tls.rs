//! The collector against a real Prometheus that wants TLS, a client's certificate and a password.
//!
//! Left out, and says so, where there is none: `cargo xtask testbed build prometheus` makes one.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

use std::fs;
use std::time::Duration;

use foreshard_history::collector::{
    Auth, ClientCertificate, Collector, FaultKind, Secret, SourceConfig, State, Verification,
};
use foreshard_testbed::{Bed, Error, PartSpec, or_left_out, parts};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use tokio::time::{Instant, sleep};

/// Of `abc`.
const PASSWORD_BCRYPT: &str = "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i";

/// The name in the server's certificate, which no resolver knows.
const SERVER_NAME: &str = "prometheus.example.internal";

struct Pair {
    certificate: String,
    key: String,
}

fn authority() -> (String, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap().pem();
    (certificate, Issuer::new(params, key))
}

fn sign(issuer: &Issuer<'static, KeyPair>, name: &str, usage: ExtendedKeyUsagePurpose) -> Pair {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.extended_key_usages = vec![usage];
    Pair {
        certificate: params.signed_by(&key, issuer).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

/// Starts it and gives its URL; it is ready once it answers.
fn start(authority: &str, server: &Pair, client_authority: &str) -> Option<(Bed, String)> {
    let built = or_left_out(
        "real Prometheus",
        parts::find("prometheus").map_err(Error::from),
    )?;
    let mut bed = Bed::unique("prometheus").unwrap();
    let path = |name: &str| bed.folder().join(name);
    for (name, text) in [
        ("prometheus.yml", "global: {}\n"),
        ("ca.crt", authority),
        ("server.crt", &server.certificate),
        ("server.key", &server.key),
        ("clients.crt", client_authority),
    ] {
        fs::write(path(name), text).unwrap();
    }
    let web = format!(
        "tls_server_config:\n  cert_file: {}\n  key_file: {}\n  client_ca_file: {}\n  client_auth_type: RequireAndVerifyClientCert\nbasic_auth_users:\n  me: {PASSWORD_BCRYPT}\n",
        path("server.crt").display(),
        path("server.key").display(),
        path("clients.crt").display(),
    );
    fs::write(path("web.yml"), web).unwrap();
    let arguments = [
        format!("--config.file={}", path("prometheus.yml").display()),
        format!("--web.config.file={}", path("web.yml").display()),
        format!("--storage.tsdb.path={}", path("data").display()),
    ];
    let port = bed.port("prometheus").unwrap();
    let listen = format!("--web.listen-address=127.0.0.1:{port}");
    let spec = PartSpec::new("prometheus", built.program("prometheus"));
    bed.spawn(spec.args(arguments).arg(listen).grace(Duration::ZERO))
        .unwrap();
    Some((bed, format!("https://127.0.0.1:{port}")))
}

/// The first state that is not waiting, nor that the server is not up yet.
async fn settled(config: SourceConfig) -> State {
    let collector = Collector::new(config).unwrap();
    let watch = collector.watch("vector(1)").unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let state = watch.state();
        let starting = match &state {
            State::Waiting => true,
            State::Failing { fault, .. } => {
                let text = fault.to_string();
                fault.kind() == FaultKind::Unavailable
                    || text.contains("refused;")
                    || text.contains("os error")
            }
            _ => false,
        };
        if !starting {
            return state;
        }
        assert!(Instant::now() < deadline, "{state:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn only_the_right_certificates_and_password_are_answered() {
    let (authority_pem, issuer) = authority();
    let server = sign(&issuer, SERVER_NAME, ExtendedKeyUsagePurpose::ServerAuth);
    let client = sign(&issuer, "foreshard", ExtendedKeyUsagePurpose::ClientAuth);
    let (stranger_pem, stranger) = authority();
    let other = sign(&stranger, "foreshard", ExtendedKeyUsagePurpose::ClientAuth);
    let Some((_bed, url)) = start(&authority_pem, &server, &authority_pem) else {
        return;
    };
    let certificate = |pair: &Pair| ClientCertificate {
        certificate_pem: pair.certificate.clone(),
        key_pem: Secret::new(&pair.key),
    };
    let right = || {
        let mut config = SourceConfig::new(&url);
        config.tls.authorities_pem = Some(authority_pem.clone());
        config.tls.server_name = Some(SERVER_NAME.to_owned());
        config.tls.client = Some(certificate(&client));
        config.auth = Auth::Basic {
            user: "me".to_owned(),
            password: Secret::new("abc"),
        };
        config
    };
    let answered = |state: &State| !matches!(state, State::Failing { .. } | State::Waiting);
    let state = settled(right()).await;
    assert!(answered(&state), "{state:?}");

    type Change<'a> = Box<dyn Fn(&mut SourceConfig) + 'a>;
    let wrong: [(&str, Change<'_>, FaultKind); 5] = [
        (
            "password",
            Box::new(|config| {
                config.auth = Auth::Basic {
                    user: "me".to_owned(),
                    password: Secret::new("abd"),
                };
            }),
            FaultKind::Unauthorized,
        ),
        (
            "authority",
            Box::new(|config| config.tls.authorities_pem = Some(stranger_pem.clone())),
            FaultKind::Unreachable,
        ),
        (
            "name",
            Box::new(|config| config.tls.server_name = None),
            FaultKind::Unreachable,
        ),
        (
            "no certificate",
            Box::new(|config| config.tls.client = None),
            FaultKind::Unreachable,
        ),
        (
            "other certificate",
            Box::new(|config| config.tls.client = Some(certificate(&other))),
            FaultKind::Unreachable,
        ),
    ];
    for (name, change, kind) in wrong {
        let mut config = right();
        change(&mut config);
        let State::Failing { fault, .. } = settled(config).await else {
            panic!("{name} is accepted");
        };
        assert_eq!(fault.kind(), kind, "{name}: {fault}");
        assert!(!fault.to_string().contains("abd"), "{fault}");
    }
    // Only who asks for it goes without verification.
    let mut config = right();
    config.tls.authorities_pem = None;
    config.tls.server_name = None;
    config.tls.verification = Verification::Skipped;
    let state = settled(config).await;
    assert!(answered(&state), "{state:?}");
}
