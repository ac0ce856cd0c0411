//! One scan: the screeners first, whose answers are quotes already, then all symbols that are still missing, by the batch.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::hours::Session;
use super::provider::{Fault, Provider, Told};
use super::quote::Quote;

/// A provider that failed so often in a row is not asked further in this scan.
const FAULTS_MAX: usize = 2;

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
        screeners: &[String],
        symbols: &[String],
        session: Session,
        tell: &mut dyn FnMut(u64, u64),
    ) -> Result<Self> {
        let mut haul = Self { wanted: symbols.len(), ..Self::default() };
        let mut in_a_row = 0;
        for name in screeners {
            let answer = provider.screen(name);
            if haul.take(answer, None, session, &mut in_a_row)? {
                return Ok(haul);
            }
            let listed: BTreeSet<&str> = symbols.iter().map(String::as_str).collect();
            let all = haul.quotes.keys().chain(&haul.unusable);
            haul.wanted = listed.len() + all.filter(|symbol| !listed.contains(symbol.as_str())).count();
            tell(haul.quotes.len() as u64, haul.wanted as u64);
        }
        let missing: Vec<&str> =
            symbols.iter().map(String::as_str).filter(|symbol| !haul.quotes.contains_key(*symbol)).collect();
        let mut left = missing.as_slice();
        while !left.is_empty() {
            let (count, answer) = provider.quotes(left);
            let (batch, rest) = left.split_at(count.clamp(1, left.len()));
            if haul.take(answer, Some(batch), session, &mut in_a_row)? {
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

    /// Takes an answer in; says whether the scan ends here. Of a batch, only what was asked for is taken.
    fn take(
        &mut self,
        answer: Result<Vec<Told>, Fault>,
        batch: Option<&[&str]>,
        session: Session,
        in_a_row: &mut usize,
    ) -> Result<bool> {
        let answer = answer.and_then(|told| {
            let mut usable = 0;
            for told in
                told.into_iter().filter(|told| batch.is_none_or(|b| b.contains(&told.symbol.as_str())))
            {
                let symbol = told.symbol.clone();
                match Quote::of(told, session) {
                    Some(quote) => {
                        usable += 1;
                        self.unusable.remove(&symbol);
                        self.quotes.insert(symbol, quote);
                    }
                    None => {
                        self.unusable.insert(symbol);
                    }
                }
            }
            match batch {
                // Not one of so many: it is rather the provider that is wrong than all of them unknown.
                Some(batch) if usable == 0 => {
                    let why = format!(
                        "none of {} symbols was answered usably, {} the first",
                        batch.len(),
                        batch[0]
                    );
                    Err(Fault::Bad(why))
                }
                None if usable == 0 => Err(Fault::Bad("a list of the provider is empty".to_owned())),
                _ => Ok(()),
            }
        });
        let Err(fault) = answer else {
            *in_a_row = 0;
            return Ok(false);
        };
        if let Fault::Store(error) = fault {
            return Err(error);
        }
        self.faults.push(fault.to_string());
        *in_a_row += 1;
        if let Fault::Shut { until, .. } = fault {
            self.shut_until = Some(until);
        }
        Ok(self.shut_until.is_some() || *in_a_row >= FAULTS_MAX)
    }
}
