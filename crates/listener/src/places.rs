//! Places of which each holder may take only so many.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A bounded number of places for something that costs while it lasts, and a bounded number of them for one holder, so
/// that nobody takes them all.
#[derive(Clone, Debug)]
pub struct Places<K: Eq + Hash>(Arc<Inner<K>>);

#[derive(Debug)]
struct Inner<K: Eq + Hash> {
    all_max: usize,
    of_one_max: usize,
    taken: Mutex<Taken<K>>,
}

#[derive(Debug)]
struct Taken<K> {
    all: usize,
    /// Only holders that hold one: it is bounded by the places.
    by_holder: HashMap<K, usize>,
}

/// A place, given back when it is dropped.
#[derive(Debug)]
pub struct Place<K: Eq + Hash> {
    holder: K,
    places: Arc<Inner<K>>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPlace {
    /// All are taken.
    Full,
    /// The holder has as many as one may have.
    HasEnough,
}

impl<K: Eq + Hash + Clone> Places<K> {
    /// So many places, and so many of them for one holder.
    #[must_use]
    pub fn new(all_max: usize, of_one_max: usize) -> Self {
        let taken = Taken {
            all: 0,
            by_holder: HashMap::new(),
        };
        Self(Arc::new(Inner {
            all_max,
            of_one_max,
            taken: Mutex::new(taken),
        }))
    }

    /// Takes one for the holder.
    ///
    /// # Errors
    /// [`NoPlace`].
    pub fn take(&self, holder: K) -> Result<Place<K>, NoPlace> {
        let mut taken = self.0.taken();
        if taken.all >= self.0.all_max {
            return Err(NoPlace::Full);
        }
        let held = taken.by_holder.get(&holder).copied().unwrap_or_default();
        if held >= self.0.of_one_max {
            return Err(NoPlace::HasEnough);
        }
        taken.all += 1;
        taken.by_holder.insert(holder.clone(), held + 1);
        Ok(Place {
            holder,
            places: Arc::clone(&self.0),
        })
    }
}

impl<K: Eq + Hash> Places<K> {
    /// How many are taken.
    #[must_use]
    pub fn held(&self) -> usize {
        self.0.taken().all
    }
}

impl<K: Eq + Hash> Inner<K> {
    /// No section under this lock can panic half way.
    fn taken(&self) -> MutexGuard<'_, Taken<K>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all = taken.all.saturating_sub(1);
        if let Some(held) = taken.by_holder.get_mut(&self.holder) {
            *held -= 1;
            if *held == 0 {
                taken.by_holder.remove(&self.holder);
            }
        }
    }
}

/// The address that stands for one peer: whoever has one IPv6 address has all of its /64.
#[must_use]
pub fn peer_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_more_than_their_share_nor_all_more_than_there_is() {
        let places = Places::new(3, 2);
        let first = places.take("a").unwrap();
        let _second = places.take("a").unwrap();
        assert_eq!(places.take("a").unwrap_err(), NoPlace::HasEnough);
        let third = places.take("b").unwrap();
        assert_eq!(places.take("b").unwrap_err(), NoPlace::Full);
        drop(first);
        drop(third);
        assert!(places.take("a").is_ok());
        assert_eq!(places.0.taken().by_holder.len(), 1, "b is forgotten");
    }

    #[test]
    fn an_ipv6_network_is_one_peer() {
        let peer = |text: &str| peer_of(text.parse().unwrap()).to_string();
        assert_eq!(peer("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(peer("::ffff:10.0.0.7"), "10.0.0.7");
        assert_eq!(peer("10.0.0.7"), "10.0.0.7");
    }
}
