//! What every attempt at a write came to.

/// What is known of one attempt at a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The service said that it is done.
    Acknowledged,
    /// The service said that it is not.
    Refused,
    /// There was no answer, or one that leaves it open.
    Unknown,
}

/// Attempts at counting up one customer's writes without an event, by their fate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Customer {
    /// Acknowledged.
    pub acknowledged: u32,
    /// Refused.
    pub refused: u32,
    /// Left open.
    pub unknown: u32,
}

/// An attempt that inserts an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event {
    /// Whose.
    pub(crate) customer: u32,
    /// Whether it counts up the customer's writes in the same transaction.
    pub(crate) counts: bool,
    /// What it came to.
    pub(crate) fate: Fate,
}

/// Every attempt at a write, with its fate. Customers are numbered from 1, events from 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    pub(crate) customers: Vec<Customer>,
    pub(crate) events: Vec<Event>,
}

impl Ledger {
    /// Nothing was attempted; so many customers were seeded.
    #[must_use]
    pub fn new(customers: u32) -> Self {
        Self {
            customers: vec![Customer::default(); customers as usize],
            events: Vec::new(),
        }
    }

    /// How many customers were seeded.
    #[must_use]
    pub fn customers(&self) -> usize {
        self.customers.len()
    }

    /// How many attempts of each fate there were: acknowledged, refused, unknown.
    #[must_use]
    pub fn fates(&self) -> [u64; 3] {
        let mut fates = [0; 3];
        for customer in &self.customers {
            fates[0] += u64::from(customer.acknowledged);
            fates[1] += u64::from(customer.refused);
            fates[2] += u64::from(customer.unknown);
        }
        for event in &self.events {
            let index = match event.fate {
                Fate::Acknowledged => 0,
                Fate::Refused => 1,
                Fate::Unknown => 2,
            };
            fates[index] += 1;
        }
        fates
    }

    /// An attempt without an event begins: open until [`settle_update`](Self::settle_update).
    pub(crate) fn begin_update(&mut self, customer: u32) {
        if let Some(entry) = self.customer_mut(customer) {
            entry.unknown += 1;
        }
    }

    pub(crate) fn settle_update(&mut self, customer: u32, fate: Fate) {
        let Some(entry) = self.customer_mut(customer) else {
            return;
        };
        match fate {
            Fate::Unknown => return,
            Fate::Acknowledged => entry.acknowledged += 1,
            Fate::Refused => entry.refused += 1,
        }
        entry.unknown -= 1;
    }

    /// An attempt with an event begins; gives the event's number. Open until [`settle_event`](Self::settle_event).
    pub(crate) fn begin_event(&mut self, customer: u32, counts: bool) -> usize {
        self.events.push(Event {
            customer,
            counts,
            fate: Fate::Unknown,
        });
        self.events.len() - 1
    }

    pub(crate) fn settle_event(&mut self, event: usize, fate: Fate) {
        if let Some(entry) = self.events.get_mut(event) {
            entry.fate = fate;
        }
    }

    fn customer_mut(&mut self, customer: u32) -> Option<&mut Customer> {
        self.customers.get_mut((customer as usize).checked_sub(1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_open_until_it_is_settled() {
        let mut ledger = Ledger::new(2);
        ledger.begin_update(1);
        let event = ledger.begin_event(2, true);
        assert_eq!(ledger.fates(), [0, 0, 2]);
        ledger.settle_update(1, Fate::Acknowledged);
        ledger.settle_event(event, Fate::Refused);
        assert_eq!(ledger.fates(), [1, 1, 0]);
        ledger.begin_update(2);
        ledger.settle_update(2, Fate::Unknown);
        assert_eq!(ledger.fates(), [1, 1, 1]);
    }
}
