//! Makes `examples/data/payments.csv`: a day of payments in several currencies, the same on every machine.
//!
//! The first rows fund the customers from the outside world, more than they will spend; the rest are payments between
//! named accounts. Amounts are drawn around typical sums for what is bought.

use std::fmt::Write as _;

const PAYMENT_COUNT: usize = 3000;
/// 2026-03-02T06:00:00Z, a Monday.
const DAY_START_UNIX_SECONDS: u64 = 1_772_431_200;

/// Code, digits after the point, and how many minor units a euro's worth is, roughly.
const CURRENCIES: [(&str, u32, u64); 6] = [
    ("EUR", 2, 100),
    ("USD", 2, 110),
    ("GBP", 2, 85),
    ("CHF", 2, 95),
    ("JPY", 0, 160),
    ("KWD", 3, 330),
];

const CUSTOMERS: [&str; 40] = [
    "amira-haddad",
    "anna-schmidt",
    "arjun-mehta",
    "astrid-lindqvist",
    "ben-okafor",
    "bianca-rossi",
    "carlos-mendez",
    "chloe-dubois",
    "daniel-novak",
    "elif-yilmaz",
    "emeka-eze",
    "fatima-zahra",
    "finn-olsen",
    "gabriela-costa",
    "george-papadakis",
    "hana-suzuki",
    "henrik-larsen",
    "ines-marques",
    "ivan-petrov",
    "jonas-weber",
    "julia-kowalska",
    "kaito-tanaka",
    "katarina-horvat",
    "lars-jansen",
    "leila-rahimi",
    "liam-murphy",
    "lucia-garcia",
    "marco-bianchi",
    "maria-santos",
    "mei-chen",
    "mohammed-ali",
    "nadia-benali",
    "noah-martin",
    "olga-ivanova",
    "omar-farouk",
    "priya-sharma",
    "rosa-jimenez",
    "sofia-andersson",
    "thomas-mueller",
    "yuki-sato",
];

/// Name, what is bought, and the typical sum in euro cents.
const MERCHANTS: [(&str, &str, u64); 16] = [
    ("bakery-north", "bread", 640),
    ("blue-bottle", "coffee", 480),
    ("city-transit", "monthly ticket", 4900),
    ("corner-pharmacy", "medicine", 1830),
    ("dental-care", "treatment", 12_500),
    ("fresh-market", "groceries", 5420),
    ("garage-vogt", "repair", 38_900),
    ("green-energy", "electricity", 8790),
    ("harbour-hotel", "two nights", 21_400),
    ("kids-corner", "toys", 3350),
    ("language-school", "course", 29_000),
    ("metro-cinema", "tickets", 2480),
    ("paper-and-ink", "office supplies", 1990),
    ("rent-office", "rent", 112_000),
    ("sunrise-travel", "flight", 34_700),
    ("tele-one", "phone bill", 2999),
];

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `bound` - 1.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap_or(0)
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let index = self.below(items.len());
        items.get(index).unwrap_or_else(|| unreachable!("the index is below the length"))
    }
}

/// The whole file.
pub(crate) fn csv() -> String {
    let mut random = Random(20_260_302);
    let mut csv = String::from("payment_id,created_at,payer,payee,currency,amount,reference\n");
    let mut number = 0;
    let mut row = |csv: &mut String,
                   seconds: u64,
                   payer: &str,
                   payee: &str,
                   currency: &str,
                   amount: String,
                   reference: &str| {
        number += 1;
        let created_at = clock(seconds);
        // Writing to a String cannot fail.
        let _infallible: Result<(), std::fmt::Error> = writeln!(
            csv,
            "PAY-{number:05},{created_at},{payer},{payee},{currency},{amount},{reference}"
        );
    };

    // Everybody holds two currencies and is funded with far more than a day's spending.
    let mut holdings = Vec::new();
    for (index, customer) in CUSTOMERS.iter().enumerate() {
        for offset in [0, 1 + random.below(CURRENCIES.len() - 1)] {
            let (currency, scale, per_euro) = CURRENCIES[(index + offset) % CURRENCIES.len()];
            let minor_units = (20_000 + random.next() % 30_000) * per_euro;
            let payer = format!("world/bank-{}", currency.to_ascii_lowercase());
            let payee = account("customers", customer, currency);
            row(
                &mut csv,
                number_of_seconds(index),
                &payer,
                &payee,
                currency,
                decimal(minor_units, scale),
                "salary and savings",
            );
            holdings.push((*customer, currency, scale, per_euro));
        }
    }
    for index in 0..PAYMENT_COUNT - holdings.len() {
        let (customer, currency, scale, per_euro) = *random.pick(&holdings);
        let payer = account("customers", customer, currency);
        let seconds = 3600 + (index as u64 * 36_000) / PAYMENT_COUNT as u64 + random.next() % 10;
        if random.below(5) == 0 {
            let same: Vec<_> =
                holdings.iter().filter(|held| held.1 == currency && held.0 != customer).collect();
            let friend = random.pick(&same).0;
            let minor_units = (500 + random.next() % 20_000) * per_euro / 100;
            let payee = account("customers", friend, currency);
            row(
                &mut csv,
                seconds,
                &payer,
                &payee,
                currency,
                decimal(minor_units.max(1), scale),
                "sharing the bill",
            );
        } else {
            let (merchant, bought, typical_cents) = *random.pick(&MERCHANTS);
            let cents = typical_cents * (60 + random.next() % 90) / 100;
            let minor_units = (cents * per_euro / 100).max(1);
            let payee = account("merchants", merchant, currency);
            row(&mut csv, seconds, &payer, &payee, currency, decimal(minor_units, scale), bought);
        }
    }
    csv
}

fn account(kind: &str, name: &str, currency: &str) -> String {
    format!("{kind}/{name}/{}", currency.to_ascii_lowercase())
}

fn number_of_seconds(index: usize) -> u64 {
    index as u64 * 30
}

fn decimal(minor_units: u64, scale: u32) -> String {
    if scale == 0 {
        return minor_units.to_string();
    }
    let unit = 10u64.pow(scale);
    format!("{}.{:0width$}", minor_units / unit, minor_units % unit, width = scale as usize)
}

fn clock(seconds: u64) -> String {
    let of_day = (DAY_START_UNIX_SECONDS + seconds) % 86_400;
    format!("2026-03-02T{:02}:{:02}:{:02}Z", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    #[test]
    fn everybody_can_pay_in_any_order() {
        let csv = super::csv();
        let mut funds: BTreeMap<String, f64> = BTreeMap::new();
        for line in csv.lines().skip(1) {
            let fields: Vec<&str> = line.split(',').collect();
            let amount: f64 = fields[5].parse().unwrap();
            let paid_from_funds = !fields[2].starts_with("world/");
            if paid_from_funds {
                *funds.entry(fields[2].to_owned()).or_default() -= amount;
            } else {
                *funds.entry(fields[3].to_owned()).or_default() += amount;
            }
        }
        // What friends send does not count here, so the order of the payments cannot matter.
        let short: Vec<_> = funds.iter().filter(|(_, left)| **left < 0.0).collect();
        assert!(short.is_empty(), "{short:?}");
        assert_eq!(csv.lines().count(), super::PAYMENT_COUNT + 1);
    }
}
