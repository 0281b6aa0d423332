//! Keys and certificates of a control plane: one authority, new for each bed, gone with it.

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};

use crate::api::Client;
use crate::bed::BedError;
use crate::error::Error;

/// An authority that signs, and the folder where its certificates are.
pub(super) struct Authority {
    folder: PathBuf,
    name: &'static str,
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// Who a certificate is for.
pub(super) struct Subject<'a> {
    /// Names its files.
    pub(super) file: &'a str,
    pub(super) common_name: &'a str,
    /// Kubernetes reads groups from here.
    pub(super) organization: Option<&'a str>,
    /// The names and addresses it serves under; none for a client.
    pub(super) serves: &'a [&'a str],
}

impl Authority {
    /// A new one; its certificate and key become `NAME.crt` and `NAME.key`.
    pub(super) fn create(folder: &Path, name: &'static str) -> Result<Self, Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = named(name, None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let certificate = params.self_signed(&key)?.pem();
        write(folder, &format!("{name}.crt"), &certificate)?;
        write(folder, &format!("{name}.key"), &key.serialize_pem())?;
        Ok(Self {
            folder: folder.to_owned(),
            name,
            certificate,
            issuer: Issuer::new(params, key),
        })
    }

    /// Its certificate, in PEM.
    pub(super) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Where its certificate is.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.crt", self.name))
    }

    /// Signs a new key; the two become `FILE.crt` and `FILE.key`.
    pub(super) fn sign(&self, subject: &Subject<'_>) -> Result<Client, Error> {
        let key = KeyPair::generate()?;
        let serves: Vec<String> = subject
            .serves
            .iter()
            .map(|name| (*name).to_owned())
            .collect();
        let mut params = CertificateParams::new(serves)?;
        params.distinguished_name = named(subject.common_name, subject.organization);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if !subject.serves.is_empty() {
            params
                .extended_key_usages
                .push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        let client = Client {
            certificate: params.signed_by(&key, &self.issuer)?.pem(),
            key: key.serialize_pem(),
        };
        write(
            &self.folder,
            &format!("{}.crt", subject.file),
            &client.certificate,
        )?;
        write(&self.folder, &format!("{}.key", subject.file), &client.key)?;
        Ok(client)
    }
}

/// The key pair that signs tokens of service accounts: `service-accounts.key` and `.pub`.
pub(super) fn create_token_keys(folder: &Path) -> Result<(), Error> {
    let key = KeyPair::generate()?;
    write(folder, "service-accounts.key", &key.serialize_pem())?;
    write(folder, "service-accounts.pub", &key.public_key_pem())
}

fn named(common_name: &str, organization: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name.push(DnType::CommonName, common_name);
    name
}

/// For the owner's eyes only.
pub(super) fn write(folder: &Path, name: &str, text: &str) -> Result<(), Error> {
    let path = folder.join(name);
    let written = fs::OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
    Ok(written.map_err(BedError::file(path))?)
}
