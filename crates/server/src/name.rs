//! Names of namespaces, targets and modules.

use std::{borrow::Borrow, fmt, str::FromStr};

/// A DNS label as Kubernetes has it (RFC 1123): 1 to 63 of `a-z`, `0-9` and `-`, beginning and ending with a letter
/// or digit. So a name is never a path, and never needs escaping.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// Why a text is not a [`Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing at all, or more than a label holds.
    #[error("a name has 1 to {LENGTH_MAX} characters, not {0}")]
    Length(usize),
    /// More than a subdomain holds.
    #[error("a name has at most {SUBDOMAIN_LENGTH_MAX} characters, not {0}")]
    TooLong(usize),
    /// A character outside the alphabet.
    #[error("a name has only a-z, 0-9 and '-', not {0:?}")]
    Character(char),
    /// A hyphen or a dot at an end.
    #[error("a name begins and ends with a letter or a digit")]
    Hyphen,
}

/// The longest DNS label.
const LENGTH_MAX: usize = 63;

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() || text.len() > LENGTH_MAX {
            return Err(NameError::Length(text.len()));
        }
        require_alphabet(text)?;
        Ok(Self(text.to_owned()))
    }
}

fn require_alphabet(label: &str) -> Result<(), NameError> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if let Some(c) = label.chars().find(|c| !allowed(*c)) {
        return Err(NameError::Character(c));
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err(NameError::Hyphen);
    }
    Ok(())
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A DNS subdomain as Kubernetes has it: labels with dots between them, 253 characters at most in all, and no limit on
/// a single label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName(String);

/// The longest DNS subdomain.
const SUBDOMAIN_LENGTH_MAX: usize = 253;

impl FromStr for ObjectName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.len() > SUBDOMAIN_LENGTH_MAX {
            return Err(NameError::TooLong(text.len()));
        }
        for label in text.split('.') {
            if label.is_empty() {
                return Err(NameError::Hyphen);
            }
            require_alphabet(label)?;
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for ObjectName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dns_labels_are_names() {
        for good in ["a", "demo", "a-1", "0", &"x".repeat(63)] {
            assert_eq!(good.parse::<Name>().unwrap().as_ref(), good);
        }
        for bad in [
            "",
            "A",
            "-a",
            "a-",
            "a.b",
            "..",
            "a/b",
            "a\0",
            "ä",
            "a b",
            &"x".repeat(64),
        ] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn labels_with_dots_between_them_name_objects() {
        let long = "x".repeat(253);
        for good in ["a", "web-1.2", &long] {
            assert_eq!(good.parse::<ObjectName>().unwrap().as_ref(), good);
        }
        for bad in ["", ".", "a.", ".a", "a..b", "A.b", "a/b", &"x".repeat(254)] {
            assert!(bad.parse::<ObjectName>().is_err(), "{bad:?}");
        }
    }
}
