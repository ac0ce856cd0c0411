//! One scan: the screeners first, whose answers are quotes already, then all symbols that are still missing, by the batch.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::hours::Session;
use super::provider::{Answer, Fault, Provider};
use super::quote::Quote;

/// A provider that failed so often in a row is not asked further in this scan.
const FAULTS_MAX: usize = 2;

/// What a scan asks for.
#[derive(Debug)]
pub struct Wish<'a> {
    /// Lists that the provider makes.
    pub screeners: &'a [String],
    /// Symbols, each once.
    pub symbols: &'a [String],
    /// What the exchange does, by its calendar.
    pub session: Session,
    /// Symbols that have a stored quote.
    pub known: &'a BTreeSet<String>,
}

/// What a scan brought.
#[derive(Debug, Default)]
pub struct Haul {
    /// By symbol.
    pub quotes: BTreeMap<String, Quote>,
    /// Symbols of which the provider told no price; their old quotes stay.
    pub unusable: BTreeSet<String>,
    /// Symbols that were wanted, with those of the screeners.
    pub wanted: usize,
    /// Why something is missing.
    pub faults: Vec<String>,
    /// Until when the provider must not be asked, if that ended the scan.
    pub shut_until: Option<f64>,
}

impl Haul {
    /// Asks for everything; tells after each answer how many quotes there are, of how many.
    ///
    /// # Errors
    /// The store fails, or this run was put aside. What the provider does is never an error here.
    pub fn gather(
        provider: &mut dyn Provider,
        wish: &Wish<'_>,
        tell: &mut dyn FnMut(u64, u64),
    ) -> Result<Self> {
        let mut haul = Self { wanted: wish.symbols.len(), ..Self::default() };
        let listed: BTreeSet<&str> = wish.symbols.iter().map(String::as_str).collect();
        let mut in_a_row = 0;
        for name in wish.screeners {
            let answer = provider.screen(name);
            if haul.take(answer, None, wish, &mut in_a_row)? {
                return Ok(haul);
            }
            let found = haul.quotes.keys().chain(&haul.unusable);
            haul.wanted = listed.len() + found.filter(|symbol| !listed.contains(symbol.as_str())).count();
            tell(haul.quotes.len() as u64, haul.wanted as u64);
        }
        let missing: Vec<&str> = wish
            .symbols
            .iter()
            .map(String::as_str)
            .filter(|symbol| !haul.quotes.contains_key(*symbol))
            .collect();
        let mut left = missing.as_slice();
        while !left.is_empty() {
            let (count, answer) = provider.quotes(left);
            let (batch, rest) = left.split_at(count.clamp(1, left.len()));
            if haul.take(answer, Some(batch), wish, &mut in_a_row)? {
                return Ok(haul);
            }
            tell(haul.quotes.len() as u64, haul.wanted as u64);
            left = rest;
        }
        Ok(haul)
    }

    /// Whether every question was answered: what is missing now, the provider does not have.
    pub fn is_whole(&self) -> bool {
        self.faults.is_empty()
    }

    /// `whole`, `partial` or `failed`.
    pub fn status(&self) -> &'static str {
        match (self.is_whole(), self.quotes.is_empty()) {
            (true, _) => "whole",
            (false, false) => "partial",
            (false, true) => "failed",
        }
    }

    /// What the provider says of the session, where the calendar does not know: that of most quotes.
    pub fn session(&self) -> Option<Session> {
        let count = |session: Session| self.quotes.values().filter(|quote| quote.session == session).count();
        [Session::Closed, Session::After, Session::Pre, Session::Regular]
            .into_iter()
            .filter(|session| count(*session) > 0)
            .max_by_key(|session| count(*session))
    }

    /// Takes an answer in; says whether the scan ends here.
    fn take(
        &mut self,
        answer: Result<Answer, Fault>,
        batch: Option<&[&str]>,
        wish: &Wish<'_>,
        in_a_row: &mut usize,
    ) -> Result<bool> {
        let fault = match answer {
            Ok(answer) => self.keep(answer, batch, wish).map(Fault::Bad),
            Err(Fault::Store(error)) => return Err(error),
            Err(fault) => Some(fault),
        };
        let Some(fault) = fault else {
            *in_a_row = 0;
            return Ok(false);
        };
        self.faults.push(fault.to_string());
        *in_a_row += 1;
        if let Fault::Shut { until, .. } = fault {
            self.shut_until = Some(until);
        }
        Ok(self.shut_until.is_some() || *in_a_row >= FAULTS_MAX)
    }

    /// Keeps the quotes of an answer, of a batch only what was asked for; says what is wrong with it as a whole.
    fn keep(&mut self, answer: Answer, batch: Option<&[&str]>, wish: &Wish<'_>) -> Option<String> {
        let mut usable = 0;
        for told in answer.told {
            if batch.is_some_and(|batch| !batch.contains(&told.symbol.as_str())) {
                continue;
            }
            let symbol = told.symbol.clone();
            if let Some(quote) = Quote::of(told, wish.session) {
                usable += 1;
                self.unusable.remove(&symbol);
                self.quotes.insert(symbol, quote);
            } else {
                self.unusable.insert(symbol);
            }
        }
        match batch {
            None if usable == 0 => Some("a list of the provider is empty".to_owned()),
            // It is rather the provider that is wrong than all of them gone at once.
            Some(batch) if usable == 0 && batch.iter().any(|symbol| wish.known.contains(*symbol)) => {
                Some(format!("none of {} symbols was answered usably, {} the first", batch.len(), batch[0]))
            }
            _ if answer.nameless > 0 => Some(format!("{} quotes do not say whose they are", answer.nameless)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Haul, Wish};
    use crate::scan::hours::Session;
    use crate::scan::provider::{Answer, Fault, Price, Provider, Told};

    /// Knows symbols that begin with `A`; has no price for `AX`; breaks at `B`.
    #[derive(Default)]
    struct Fake(u32);

    impl Provider for Fake {
        fn screen(&mut self, _: &str) -> Result<Answer, Fault> {
            Ok(Answer::default())
        }

        fn quotes(&mut self, symbols: &[&str]) -> (usize, Result<Answer, Fault>) {
            self.0 += 1;
            let batch = &symbols[..symbols.len().min(2)];
            if batch.iter().any(|symbol| symbol.starts_with('B')) {
                return (batch.len(), Err(Fault::Bad("it breaks".to_owned())));
            }
            let told = |symbol: &&str| Told {
                symbol: (*symbol).to_owned(),
                regular: Price { amount: (*symbol != "AX").then_some(1.0), at: None },
                ..Told::default()
            };
            // One that nobody asked for is there, too.
            let known = batch.iter().chain(&["AZ"]).filter(|symbol| symbol.starts_with('A'));
            (batch.len(), Ok(Answer { told: known.map(told).collect(), nameless: 0 }))
        }

        fn requests(&self) -> u32 {
            self.0
        }

        fn shut_until(&mut self) -> anyhow::Result<Option<f64>> {
            Ok(None)
        }
    }

    fn gather(symbols: &str, known: &str, screeners: &[String]) -> (Haul, u32) {
        let symbols: Vec<String> = symbols.split(' ').map(str::to_owned).collect();
        let known: BTreeSet<String> = known.split(' ').map(str::to_owned).collect();
        let wish = Wish { screeners, symbols: &symbols, session: Session::Regular, known: &known };
        let mut fake = Fake::default();
        let haul = Haul::gather(&mut fake, &wish, &mut |_, _| {}).expect("a haul");
        (haul, fake.0)
    }

    #[test]
    fn who_is_not_known_is_left_out_and_what_was_not_asked_for_is_not_taken() {
        let (haul, requests) = gather("A1 X1 AX A2 X2 X3", "A1", &[]);
        assert_eq!(haul.quotes.keys().collect::<Vec<_>>(), ["A1", "A2"]);
        assert_eq!((haul.status(), haul.wanted, requests), ("whole", 6, 3));
        assert!(haul.unusable.contains("AX"));
    }

    #[test]
    fn symbols_that_were_known_do_not_vanish_all_at_once() {
        assert_eq!(gather("A1 A2 X1 X2", "X2", &[]).0.status(), "partial");
        assert_eq!(gather("AX", "AX", &[]).0.status(), "failed");
        assert_eq!(gather("A1", "", &["empty".to_owned()]).0.status(), "partial");
    }

    #[test]
    fn two_faults_in_a_row_end_a_scan() {
        let (haul, requests) = gather("B1 B2 A1 A2 B3 B4 B5 B6 A3 A4", "", &[]);
        assert_eq!((haul.quotes.len(), requests, haul.faults.len(), haul.status()), (2, 4, 3, "partial"));
    }
}
