//! An authority for each cluster, and the certificates that it signs.
//!
//! All of it is kept in Secrets as PEM. When a certificate ends is written beside it, so that nothing has to be read out
//! of it: who changes that only has it made anew.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::ToSpan as _;
use jiff::tz::TimeZone;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};

/// The authority's certificate.
pub const CA: &str = "ca.crt";
/// The authority's key.
pub const CA_KEY: &str = "ca.key";
/// A certificate.
pub const CERTIFICATE: &str = "tls.crt";
/// Its key.
pub const KEY: &str = "tls.key";
/// On a Secret: when what it holds ends.
pub const NOT_AFTER: &str = "foreshard.dev/not-after";
/// On a Secret: for whom its certificate is.
pub const SERVES: &str = "foreshard.dev/certificate-for";

/// An authority outlives its cluster.
const AUTHORITY_DAYS: i64 = 3650;
/// A certificate is made anew when a third of this is left.
const CERTIFICATE_DAYS: i64 = 365;
/// Clocks differ.
const BEFORE_DAYS: i64 = 1;

/// What went wrong in making keys and certificates.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A key or certificate could not be made.
    #[error("a certificate could not be made")]
    Make(#[from] rcgen::Error),
    /// A Secret that is there does not hold what it should.
    #[error(
        "Secret {name} has no usable {key}: bring it back from a copy, or delete the Secret to have it made anew"
    )]
    Unusable {
        /// The Secret.
        name: String,
        /// What is missing or wrong.
        key: &'static str,
    },
    /// A time could not be computed.
    #[error("the clock stands at {0}, from which no certificate can begin")]
    Clock(Timestamp),
}

/// Who a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its common name.
    pub common_name: String,
    /// DNS names that it serves under; without any it is for a client only.
    pub serves: Vec<String>,
}

impl Subject {
    /// Tells certificates for others apart.
    fn digest(&self) -> String {
        let mut all = vec![self.common_name.as_str()];
        all.extend(self.serves.iter().map(String::as_str));
        crate::digest::short(&all.join(","))
    }
}

/// Data and annotations of a Secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    /// By key.
    pub data: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
}

/// An authority that can sign.
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one, as a Secret's content.
    ///
    /// # Errors
    /// [`PkiError`].
    pub fn make(name: &str, now: Timestamp) -> Result<Content, PkiError> {
        let key = KeyPair::generate()?;
        let mut params = params(name, now, AUTHORITY_DAYS)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?.pem();
        Ok(Content {
            data: [(CA, certificate), (CA_KEY, key.serialize_pem())]
                .map(|(key, value)| (key.to_owned(), value))
                .into(),
            annotations: [(NOT_AFTER.to_owned(), ends(now, AUTHORITY_DAYS)?.to_string())].into(),
        })
    }

    /// The one of a Secret that [`Authority::make`] made.
    ///
    /// # Errors
    /// [`PkiError::Unusable`].
    pub fn read(name: &str, secret: &Secret) -> Result<Self, PkiError> {
        let unusable = |key| PkiError::Unusable {
            name: name.to_owned(),
            key,
        };
        let certificate = text(secret, CA).ok_or_else(|| unusable(CA))?;
        let key = text(secret, CA_KEY).ok_or_else(|| unusable(CA_KEY))?;
        let key = KeyPair::from_pem(&key).map_err(|_| unusable(CA_KEY))?;
        // Whose name is in a certificate follows from the Secret's; the key says the rest.
        let mut params = CertificateParams::default();
        params.distinguished_name = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self {
            certificate,
            issuer: Issuer::new(params, key),
        })
    }

    /// A new key and its certificate, as a Secret's content.
    ///
    /// # Errors
    /// [`PkiError`].
    pub fn sign(&self, subject: &Subject, now: Timestamp) -> Result<Content, PkiError> {
        let key = KeyPair::generate()?;
        let mut params = params(&subject.common_name, now, CERTIFICATE_DAYS)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if !subject.serves.is_empty() {
            params
                .extended_key_usages
                .push(ExtendedKeyUsagePurpose::ServerAuth);
            for name in &subject.serves {
                params
                    .subject_alt_names
                    .push(SanType::DnsName(name.clone().try_into()?));
            }
            // From within the pod.
            params
                .subject_alt_names
                .push(SanType::IpAddress([127, 0, 0, 1].into()));
        }
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Content {
            data: [
                (CA, self.certificate.clone()),
                (CERTIFICATE, certificate),
                (KEY, key.serialize_pem()),
            ]
            .map(|(key, value)| (key.to_owned(), value))
            .into(),
            annotations: [
                (
                    NOT_AFTER.to_owned(),
                    ends(now, CERTIFICATE_DAYS)?.to_string(),
                ),
                (SERVES.to_owned(), subject.digest()),
            ]
            .into(),
        })
    }

    /// Whether what a Secret holds was signed here, is for this subject, and does not end soon.
    #[must_use]
    pub fn is_current(&self, secret: &Secret, subject: &Subject, now: Timestamp) -> bool {
        let annotation = |key: &str| secret.metadata.annotations.as_ref()?.get(key);
        let renew = now.checked_add((CERTIFICATE_DAYS * 24 / 3).hours());
        let lasts = annotation(NOT_AFTER)
            .and_then(|it| it.parse::<Timestamp>().ok())
            .zip(renew.ok())
            .is_some_and(|(ends, renew)| ends > renew);
        lasts
            && annotation(SERVES) == Some(&subject.digest())
            && text(secret, CA).as_ref() == Some(&self.certificate)
            && [CERTIFICATE, KEY]
                .iter()
                .all(|key| text(secret, key).is_some())
    }
}

/// What a Secret has under a key.
#[must_use]
pub fn text(secret: &Secret, key: &str) -> Option<String> {
    let ByteString(bytes) = secret.data.as_ref()?.get(key)?;
    String::from_utf8(bytes.clone()).ok()
}

fn params(name: &str, now: Timestamp, days: i64) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name);
    let (year, month, date) = day(ends(now, -BEFORE_DAYS)?)?;
    params.not_before = date_time_ymd(year, month, date);
    let (year, month, date) = day(ends(now, days)?)?;
    params.not_after = date_time_ymd(year, month, date);
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut all = DistinguishedName::new();
    all.push(DnType::CommonName, name);
    all
}

fn ends(now: Timestamp, days: i64) -> Result<Timestamp, PkiError> {
    now.checked_add((days * 24).hours())
        .map_err(|_| PkiError::Clock(now))
}

/// Year, month and day, as a certificate has them: it begins and ends at midnight.
fn day(at: Timestamp) -> Result<(i32, u8, u8), PkiError> {
    let date = TimeZone::UTC.to_datetime(at).date();
    Ok((
        i32::from(date.year()),
        u8::try_from(date.month()).map_err(|_| PkiError::Clock(at))?,
        u8::try_from(date.day()).map_err(|_| PkiError::Clock(at))?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(content: &Content) -> Secret {
        let data = content.data.iter();
        let mut secret = Secret {
            data: Some(
                data.map(|(key, value)| (key.clone(), ByteString(value.clone().into_bytes())))
                    .collect(),
            ),
            ..Secret::default()
        };
        secret.metadata.annotations = Some(content.annotations.clone());
        secret
    }

    fn subject(serves: &[&str]) -> Subject {
        Subject {
            common_name: "etcd-member".to_owned(),
            serves: serves.iter().map(|it| (*it).to_owned()).collect(),
        }
    }

    #[test]
    fn a_certificate_is_current_until_a_third_is_left_and_for_its_subject_only() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let later = |days: i64| now.checked_add((days * 24).hours()).unwrap();
        let made = stored(&Authority::make("example-ca", now).unwrap());
        let authority = Authority::read("example-ca", &made).unwrap();
        let member = subject(&["a.svc"]);
        let secret = stored(&authority.sign(&member, now).unwrap());
        assert!(authority.is_current(&secret, &member, later(240)));
        assert!(!authority.is_current(&secret, &member, later(245)));
        assert!(!authority.is_current(&secret, &subject(&["b.svc"]), now));
        let other = stored(&Authority::make("example-ca", now).unwrap());
        let other = Authority::read("example-ca", &other).unwrap();
        assert!(!other.is_current(&secret, &member, now));
        let mut lacking = secret.clone();
        lacking.data.as_mut().unwrap().remove(KEY);
        assert!(!authority.is_current(&lacking, &member, now));
    }

    #[test]
    fn a_secret_that_was_spoilt_is_named_with_what_to_do() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut content = Authority::make("example-ca", now).unwrap();
        content
            .data
            .insert(CA_KEY.to_owned(), "nonsense".to_owned());
        let error = Authority::read("example-ca", &stored(&content))
            .err()
            .unwrap();
        insta::assert_snapshot!(error, @"Secret example-ca has no usable ca.key: bring it back from a copy, or delete the Secret to have it made anew");
    }
}
