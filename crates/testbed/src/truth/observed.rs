//! The rows that there are, and how they are judged.

use super::verdict::{ShardRows, Verdict};
use crate::load::{Customer, Fate, Ledger, note_of};

/// Rows as they were read.
#[derive(Debug)]
pub(super) struct Observed {
    customers: Vec<SeenCustomer>,
    events: Vec<SeenEvent>,
    shard: String,
    verdict: Verdict,
}

#[derive(Debug, Clone, Copy, Default)]
struct SeenCustomer {
    times: u32,
    writes: i64,
}

/// A customer's transactions that count up its writes and insert an event.
#[derive(Debug, Clone, Copy, Default)]
struct Transactions {
    /// Whose event is there.
    applied: i64,
    refused: i64,
}

#[derive(Debug, Clone, Copy, Default)]
struct SeenEvent {
    times: u32,
    customer: i64,
}

impl Observed {
    /// Nothing was read yet.
    pub(super) fn new(ledger: &Ledger) -> Self {
        Self {
            customers: vec![SeenCustomer::default(); ledger.customers.len()],
            events: vec![SeenEvent::default(); ledger.events.len()],
            shard: String::new(),
            verdict: Verdict::default(),
        }
    }

    /// The rows that follow are of this shard.
    pub(super) fn begin_shard(&mut self, shard: &str) {
        shard.clone_into(&mut self.shard);
        let empty = ShardRows::default();
        self.verdict.shards.insert(self.shard.clone(), empty);
    }

    pub(super) fn see_customer(&mut self, customer: i64, writes: i64, note: &str) {
        if let Some(rows) = self.verdict.shards.get_mut(&self.shard) {
            rows.customers += 1;
        }
        let shard = &self.shard;
        let number = u32::try_from(customer).unwrap_or_default();
        let index = (number as usize).checked_sub(1);
        let Some(seen) = index.and_then(|index| self.customers.get_mut(index)) else {
            let words = || format!("customer {customer} in shard {shard}");
            return self.verdict.strangers.add(words);
        };
        seen.times += 1;
        // Of a customer in two shards the sum is as wrong as either.
        seen.writes = writes;
        if note != note_of(number) {
            let words = || format!("note of customer {customer} in shard {shard}");
            self.verdict.altered.add(words);
        }
    }

    pub(super) fn see_event(&mut self, customer: i64, event: i64) {
        if let Some(rows) = self.verdict.shards.get_mut(&self.shard) {
            rows.events += 1;
        }
        let shard = &self.shard;
        let index = usize::try_from(event).ok();
        let Some(seen) = index.and_then(|index| self.events.get_mut(index)) else {
            let words = || format!("event {event} of customer {customer} in shard {shard}");
            return self.verdict.strangers.add(words);
        };
        seen.times += 1;
        seen.customer = customer;
    }

    /// Compares what was read with what was told.
    pub(super) fn judge(mut self, ledger: &Ledger) -> Verdict {
        let transactions = self.judge_events(ledger);
        let seen = std::mem::take(&mut self.customers);
        for (index, (seen, told)) in seen.iter().zip(&ledger.customers).enumerate() {
            self.judge_customer(index + 1, *seen, *told, transactions[index]);
        }
        self.verdict
    }

    /// Gives each customer's transactions.
    fn judge_events(&mut self, ledger: &Ledger) -> Vec<Transactions> {
        let mut transactions = vec![Transactions::default(); ledger.customers.len()];
        let verdict = &mut self.verdict;
        for (number, (seen, told)) in self.events.iter().zip(&ledger.events).enumerate() {
            let words = || format!("event {number} of customer {}", told.customer);
            if seen.times > 1 {
                verdict.twice.add(words);
            }
            if seen.times > 0 && seen.customer != i64::from(told.customer) {
                verdict
                    .altered
                    .add(|| format!("{} is of customer {}", words(), seen.customer));
            }
            match (told.fate, seen.times > 0) {
                (Fate::Acknowledged, false) => verdict.lost.add(words),
                (Fate::Refused, true) => verdict.refused_applied.add(words),
                (Fate::Unknown, true) => verdict.unknown_applied += 1,
                (Fate::Unknown, false) => verdict.unknown_not_applied += 1,
                (Fate::Acknowledged, true) | (Fate::Refused, false) => {}
            }
            if told.counts {
                let of_customer = &mut transactions[told.customer as usize - 1];
                of_customer.applied += i64::from(seen.times > 0);
                of_customer.refused += i64::from(told.fate == Fate::Refused);
            }
        }
        transactions
    }

    fn judge_customer(
        &mut self,
        number: usize,
        seen: SeenCustomer,
        told: Customer,
        transactions: Transactions,
    ) {
        let verdict = &mut self.verdict;
        match seen.times {
            0 => return verdict.lost.add(|| format!("customer {number}")),
            1 => {}
            times => {
                return verdict
                    .twice
                    .add(|| format!("customer {number} in {times} shards"));
            }
        }
        let Transactions { applied, refused } = transactions;
        let open = i64::from(told.unknown);
        let refused = refused + i64::from(told.refused);
        let extra = seen.writes - i64::from(told.acknowledged) - applied;
        let words = || {
            format!(
                "customer {number} has {} writes; {} were acknowledged by themselves and {applied} are there with \
                 their events, {refused} were refused, {open} left open",
                seen.writes, told.acknowledged
            )
        };
        if extra < 0 {
            verdict.lost.add(words);
        } else if extra > open + refused {
            verdict.twice.add(words);
        } else if extra > open {
            verdict.refused_applied.add(words);
        } else {
            let extra = u64::try_from(extra).unwrap_or_default();
            verdict.unknown_applied += extra;
            verdict.unknown_not_applied += u64::from(told.unknown) - extra;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two customers; an update acknowledged and one refused for the first; for the second an insert acknowledged, a
    /// transaction acknowledged, one refused and one left open.
    fn ledger() -> Ledger {
        let mut ledger = Ledger::new(2);
        for fate in [Fate::Acknowledged, Fate::Refused] {
            ledger.begin_update(1);
            ledger.settle_update(1, fate);
        }
        let events = [
            (false, Fate::Acknowledged),
            (true, Fate::Acknowledged),
            (true, Fate::Refused),
            (true, Fate::Unknown),
        ];
        for (counts, fate) in events {
            let event = ledger.begin_event(2, counts);
            ledger.settle_event(event, fate);
        }
        ledger
    }

    struct Rows {
        customers: Vec<(i64, i64, String)>,
        events: Vec<(i64, i64)>,
    }

    fn right() -> Rows {
        Rows {
            customers: vec![(1, 1, note_of(1)), (2, 1, note_of(2))],
            events: vec![(2, 0), (2, 1)],
        }
    }

    fn judge(change: impl Fn(&mut Rows)) -> Verdict {
        let ledger = ledger();
        let mut rows = right();
        change(&mut rows);
        let mut observed = Observed::new(&ledger);
        observed.begin_shard("-");
        for (customer, writes, note) in &rows.customers {
            observed.see_customer(*customer, *writes, note);
        }
        for (customer, event) in &rows.events {
            observed.see_event(*customer, *event);
        }
        observed.judge(&ledger)
    }

    #[test]
    fn what_was_told_is_exact() {
        let verdict = judge(|_| {});
        assert!(verdict.is_exact(), "{verdict:#?}");
        assert_eq!(verdict.unknown_not_applied, 1);
        assert_eq!(verdict.rows(), 4);

        // The transaction that was left open was carried out, whole.
        let verdict = judge(|rows| {
            rows.events.push((2, 3));
            rows.customers[1].1 += 1;
        });
        assert!(verdict.is_exact(), "{verdict:#?}");
        assert_eq!(verdict.unknown_applied, 1);
    }

    #[test]
    fn every_fault_is_found() {
        type Case = (&'static str, fn(&mut Rows), fn(&Verdict) -> u64);
        let table: [Case; 11] = [
            (
                "row lost",
                |rows| rows.customers.truncate(1),
                |it| it.lost.count,
            ),
            (
                "update lost",
                |rows| rows.customers[0].1 -= 1,
                |it| it.lost.count,
            ),
            (
                "event lost",
                |rows| rows.events = vec![(2, 1)],
                |it| it.lost.count,
            ),
            (
                "half of a transaction",
                |rows| rows.customers[1].1 -= 1,
                |it| it.lost.count,
            ),
            (
                "refused update applied",
                |rows| rows.customers[0].1 += 1,
                |it| it.refused_applied.count,
            ),
            (
                "half of a refused transaction applied",
                |rows| rows.customers[1].1 += 1,
                |it| it.refused_applied.count,
            ),
            (
                "refused event applied",
                |rows| rows.events.push((2, 2)),
                |it| it.refused_applied.count,
            ),
            (
                "update twice",
                |rows| rows.customers[0].1 += 2,
                |it| it.twice.count,
            ),
            (
                "row in two shards",
                |rows| rows.customers.push((1, 1, note_of(1))),
                |it| it.twice.count,
            ),
            (
                "stranger",
                |rows| rows.events.push((1, 99)),
                |it| it.strangers.count,
            ),
            (
                "other content",
                |rows| rows.customers[0].2 = note_of(2),
                |it| it.altered.count,
            ),
        ];
        for (name, change, count) in table {
            let verdict = judge(change);
            assert!(!verdict.is_exact(), "{name}: {verdict:#?}");
            assert_eq!(count(&verdict), 1, "{name}: {verdict:#?}");
        }
    }
}
