//! Ids of what one replica counts for itself: each says which replica gave it, and in which run.

use std::{collections::hash_map::RandomState, hash::BuildHasher as _};

/// Gives and reads ids.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ids {
    /// Told in every id: another replica, or this one before a restart, counts other things.
    nonce: u32,
}

/// What an id stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Id {
    /// One of ours.
    Number(u64),
    /// It has the form of an id, and is of another replica or another run.
    Foreign,
    /// It is no id.
    None,
}

impl Ids {
    pub(crate) fn new() -> Self {
        Self {
            nonce: (RandomState::new().hash_one("ids") >> 32) as u32,
        }
    }

    /// The id of this number: a label of DNS.
    pub(crate) fn write(&self, number: u64) -> String {
        format!("{:08x}-{number}", self.nonce)
    }

    pub(crate) fn read(&self, id: &str) -> Id {
        let parts = id.split_once('-').filter(|(nonce, number)| {
            let digits = !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit());
            nonce.len() == 8 && digits
        });
        let read = parts.and_then(|(nonce, number)| {
            let nonce = u32::from_str_radix(nonce, 16).ok()?;
            Some((nonce, number.parse().ok()?))
        });
        match read {
            Some((nonce, number)) if nonce == self.nonce => Id::Number(number),
            Some(_) => Id::Foreign,
            None => Id::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_whose_it_is() {
        let [ours, others] = [Ids::new(), Ids::new()];
        assert_eq!(ours.read(&ours.write(7)), Id::Number(7));
        assert_eq!(ours.read(&others.write(7)), Id::Foreign);
        for none in ["", "7", "web-7", "web-x7k2p", "deadbeef-", "deadbeef-x7k2p"] {
            assert_eq!(ours.read(none), Id::None, "{none}");
        }
    }
}
