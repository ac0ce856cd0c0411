//! The fields of a row as it is stored: texts in the columns' order, in one piece of memory.

use crate::number;

/// `N` texts; those not added are empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields<const N: usize> {
    text: String,
    /// Where each field ends.
    ends: [usize; N],
    count: usize,
}

impl<const N: usize> Default for Fields<N> {
    fn default() -> Self {
        Self { text: String::with_capacity(64), ends: [0; N], count: 0 }
    }
}

impl<const N: usize> Fields<N> {
    /// Adds the next field.
    pub fn add(&mut self, text: &str) {
        self.text.push_str(text);
        self.end();
    }

    /// Adds the next field: a number as the tables show it, or nothing.
    pub fn add_number(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            number::format(value, &mut self.text);
        }
        self.end();
    }

    fn end(&mut self) {
        self.ends[self.count..].fill(self.text.len());
        self.count += 1;
    }

    /// All `N` fields.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).map(|(start, end)| &self.text[*start..*end])
    }
}
