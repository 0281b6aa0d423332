//! Reading a certificate's subject. `webpki` has taken the certificate apart and checked it; what is left is a short
//! list of names in DER (X.501: `SEQUENCE OF SET OF SEQUENCE { type, value }`, without the outer header).

/// `id-at-commonName`, 2.5.4.3, as DER has it.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const OID: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const IA5_STRING: u8 = 0x16;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

/// The common names in a subject. What is not as it should be ends the list.
pub(crate) fn common_names(subject: &[u8]) -> Vec<String> {
    elements(subject)
        .filter(|(tag, _)| *tag == SET)
        .flat_map(|(_, set)| elements(set))
        .filter(|(tag, _)| *tag == SEQUENCE)
        .filter_map(|(_, attribute)| common_name(attribute))
        .collect()
}

fn common_name(attribute: &[u8]) -> Option<String> {
    let mut parts = elements(attribute);
    let (OID, COMMON_NAME) = parts.next()? else {
        return None;
    };
    // The other kinds of strings are obsolete, and no name that is compared with UTF-8.
    let (UTF8_STRING | PRINTABLE_STRING | IA5_STRING, value) = parts.next()? else {
        return None;
    };
    String::from_utf8(value.to_vec()).ok()
}

/// Tag and content of one element after the other.
fn elements(mut der: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (tag, content, rest) = element(der)?;
        der = rest;
        Some((tag, content))
    })
}

/// Lengths of more than two bytes do not occur in names.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (length, rest) = match rest {
        [0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        [0x81, length, rest @ ..] => (usize::from(*length), rest),
        [length @ ..=0x7f, rest @ ..] => (usize::from(*length), rest),
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair};

    use crate::ClientCertificate;

    fn named(names: Vec<(DnType, DnValue)>) -> Vec<String> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, name) in names {
            params.distinguished_name.push(kind, name);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        ClientCertificate(certificate.der().clone()).common_names()
    }

    #[test]
    fn the_common_name_is_found_among_others() {
        let text = |text: &str| DnValue::Utf8String(text.to_owned());
        let printable = || DnValue::PrintableString("front-proxy-client".try_into().unwrap());
        assert_eq!(
            named(vec![
                (DnType::OrganizationName, text("front-proxy-client")),
                (DnType::CommonName, text("kubelet")),
                (DnType::CountryName, text("DE")),
            ]),
            ["kubelet"]
        );
        assert_eq!(
            named(vec![(DnType::CommonName, printable())]),
            ["front-proxy-client"]
        );
        let long = "x".repeat(300);
        assert_eq!(named(vec![(DnType::CommonName, text(&long))]), [long]);
        assert!(named(vec![(DnType::OrganizationName, text("a"))]).is_empty());
        assert!(named(vec![]).is_empty());
    }

    #[test]
    fn what_is_cut_off_or_odd_gives_no_name() {
        assert!(
            ClientCertificate(vec![0x30, 0x03, 0x01].into())
                .common_names()
                .is_empty()
        );
        let good = [
            0x31, 0x0a, 0x30, 0x08, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0x01, b'a',
        ];
        assert_eq!(super::common_names(&good), ["a"]);
        for end in 0..good.len() {
            assert!(super::common_names(&good[..end]).is_empty(), "{end}");
        }
        // Each byte may be anything; nothing panics.
        for at in 0..good.len() {
            for byte in 0..=u8::MAX {
                let mut odd = good;
                odd[at] = byte;
                let _ = super::common_names(&odd);
            }
        }
    }
}
