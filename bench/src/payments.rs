//! What is paid in all measurements of ledgers.

/// What accounts are debited and credited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// Any two.
    Uniform,
    /// Always one is credited.
    Hot,
}

/// One payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Ordered by time, as ids of transfers are.
    pub id: u128,
    /// The number of the account that is debited, from 1.
    pub debit: u64,
    /// The number of the account that is credited, another one.
    pub credit: u64,
    /// In minor units.
    pub amount: u64,
}

/// Payments that follow from a number.
#[derive(Clone, Debug)]
pub struct Payments {
    accounts: u64,
    spread: Spread,
    random: u64,
    next_id: u128,
}

impl Payments {
    /// Those of the `number`'th payer, between so many accounts.
    pub fn new(number: usize, accounts: u64, spread: Spread) -> Self {
        let random = 0x9e37_79b9_7f4a_7c15 ^ (number as u64 + 1);
        Self { accounts, spread, random, next_id: (number as u128 + 1) << 64 }
    }

    /// xorshift64*.
    fn random(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// The next one.
    #[expect(clippy::should_implement_trait, reason = "it has no end")]
    pub fn next(&mut self) -> Payment {
        self.next_id += 1;
        // As a time-ordered id: the later bits are random.
        let id = self.next_id << 32 | u128::from(self.random() >> 32);
        let debit = 1 + self.random() % self.accounts;
        let credit = match self.spread {
            Spread::Hot => 1,
            Spread::Uniform => 1 + self.random() % self.accounts,
        };
        let debit = if debit == credit { 1 + debit % self.accounts } else { debit };
        Payment { id, debit, credit, amount: 1 + self.random() % 1000 }
    }

    /// With a chance of so many in 100.
    pub fn is_chosen(&mut self, percent: u64) -> bool {
        self.random() % 100 < percent
    }
}
