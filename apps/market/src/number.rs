//! Numbers as people write them in cells, and as the tables show them.
//! Strict on purpose: what is not surely a number is none, and the caller reports it.

use std::fmt::Write;

const MINUS: [char; 5] = ['-', '\u{2212}', '\u{2013}', '\u{2012}', '\u{FE63}'];
const CURRENCY: [char; 4] = ['₹', '$', '€', '£'];

/// Below this every whole f64 is exact, so integers are printed as integers.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// Reads a cell's text as a number: `(1,234)`, `-1,234`, `1,234-`, `−1`, `₹1,23,456.5` and `1e5` are numbers;
/// `12%`, `1.2.3`, `1,5` and words are not.
pub fn parse(text: &str) -> Option<f64> {
    let mut rest = text.trim();
    let mut signs = 0;
    let mut negative = false;
    let mut currencies = 0;
    if let Some(inside) = rest.strip_prefix('(').and_then(|inside| inside.strip_suffix(')')) {
        rest = inside.trim();
        (signs, negative) = (1, true);
    }
    loop {
        if let Some(after) = rest.strip_prefix(MINUS) {
            (rest, signs, negative) = (after.trim_start(), signs + 1, true);
        } else if let Some(after) = rest.strip_prefix('+') {
            (rest, signs) = (after.trim_start(), signs + 1);
        } else if let Some(after) = rest.strip_prefix(CURRENCY) {
            (rest, currencies) = (after.trim_start(), currencies + 1);
        } else {
            break;
        }
    }
    if let Some(before) = rest.strip_suffix(MINUS) {
        (rest, signs, negative) = (before.trim_end(), signs + 1, true);
    }
    if signs > 1 || currencies > 1 {
        return None;
    }
    let size = unsigned(rest)?;
    Some(if negative && size != 0.0 { -size } else { size })
}

/// Digits with groups, a fraction, an exponent; no sign, no blanks.
fn unsigned(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    if bytes.is_empty() || !bytes.iter().all(|b| b.is_ascii_digit() || b",.eE+-".contains(b)) {
        return None;
    }
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    if let Some(exponent) = exponent {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
    }
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if !is_grouped(whole) {
        return None;
    }
    let value: f64 =
        if whole.contains(',') { text.replace(',', "").parse().ok()? } else { text.parse().ok()? };
    value.is_finite().then_some(value)
}

/// Plain digits, or groups by comma: Western (1,234,567) or Indian (12,34,567). The last group has three
/// digits always, so a decimal comma is never taken for a thousand.
fn is_grouped(whole: &str) -> bool {
    let mut groups = whole.split(',').rev();
    let last = groups.next().unwrap_or("");
    let digits = |group: &str| group.bytes().all(|b| b.is_ascii_digit());
    if !whole.contains(',') {
        return digits(last);
    }
    last.len() == 3 && digits(last) && groups.all(|group| matches!(group.len(), 1..=3) && digits(group))
}

/// Writes `-1,234,568`: whole, half to even, with commas; zero is `0` and never `-0`.
pub fn format(value: f64, out: &mut String) {
    let rounded = value.round_ties_even();
    if rounded < 0.0 {
        out.push('-');
    }
    let size = rounded.abs();
    let start = out.len();
    // Writing into a string cannot fail.
    let _ = if size < WHOLE { write!(out, "{}", size as u64) } else { write!(out, "{size:.0}") };
    let mut at = out.len();
    while at > start + 3 {
        at -= 3;
        out.insert(at, ',');
    }
}

/// The shortest text that reads back as this number: `4950`, `152.5`, `1e-05`, `1e+16`.
pub fn text(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if value.abs() < WHOLE && value.fract() == 0.0 {
        return (value as i64).to_string();
    }
    let size = value.abs();
    if (1e-4..1e16).contains(&size) || !value.is_finite() {
        return value.to_string();
    }
    let scientific = format!("{value:e}");
    match scientific.split_once('e') {
        Some((mantissa, exponent)) => match exponent.strip_prefix('-') {
            Some(exponent) => format!("{mantissa}e-{exponent:0>2}"),
            None => format!("{mantissa}e+{exponent:0>2}"),
        },
        None => scientific,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{parse, text};

    fn format(value: f64) -> String {
        let mut out = String::new();
        super::format(value, &mut out);
        out
    }

    #[test]
    fn every_way_to_write_a_minus_counts() {
        for written in ["-1,234", "(1,234)", "1,234-", "−1234", "-₹1,234", "₹-1,234", " ( 1,234 ) "] {
            assert_eq!(parse(written), Some(-1234.0), "{written}");
        }
    }

    #[test]
    fn what_is_not_surely_a_number_is_none() {
        for written in [
            "", " ", "-", "()", "12%", "1.2.3", "1,5", "1,,000", ",100", "1e", "e5", "--1", "(-1)", "1 2",
            "NA", "None", "inf", "NaN", "1e999", "0x10", "1_000", "₹₹1",
        ] {
            assert_eq!(parse(written), None, "{written:?}");
        }
    }

    #[test]
    fn numbers_of_both_groupings_and_exponents_are_read() {
        assert_eq!(parse("1e5"), Some(100_000.0));
        assert_eq!(parse("12,34,567.5"), Some(1_234_567.5));
        assert_eq!(parse("₹1,234.6"), Some(1234.6));
        assert_eq!(parse(" 7,655,350 "), Some(7_655_350.0));
    }

    #[test]
    fn rounding_is_half_to_even_and_zero_has_no_sign() {
        assert_eq!(format(0.5), "0");
        assert_eq!(format(1.5), "2");
        assert_eq!(format(2.5), "2");
        assert_eq!(format(-0.4), "0");
        assert_eq!(format(-161_975.0), "-161,975");
        assert_eq!(format(1.5e16), "15,000,000,000,000,000");
    }

    #[test]
    fn text_is_the_shortest_that_reads_back() {
        assert_eq!(text(1480.0), "1480");
        assert_eq!(text(152.5), "152.5");
        assert_eq!(text(0.00001), "1e-05");
        assert_eq!(text(1e16), "1e+16");
        assert_eq!(text(26.000_495_910_644_5), "26.0004959106445");
    }

    proptest! {
        #[test]
        fn parse_never_panics(written in ".{0,24}") {
            let _ = parse(&written);
        }

        #[test]
        fn whole_numbers_survive_formatting(value in -9_000_000_000_000_000_i64..9_000_000_000_000_000) {
            prop_assert_eq!(parse(&format(value as f64)), Some(value as f64));
        }

        #[test]
        fn text_reads_back_exactly(value in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
            prop_assert_eq!(parse(&text(value)), Some(value));
        }

        #[test]
        fn brackets_are_a_minus(value in 1_u64..1_000_000_000_000) {
            let written = format(value as f64);
            prop_assert_eq!(parse(&format!("({written})")), parse(&format!("-{written}")));
        }
    }
}
