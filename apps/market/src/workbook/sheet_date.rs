//! Dates in sheet names, and which sheet is the one of the day.

use jiff::civil::Date;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// Reads `24.11.2025`, `24-11-2025`, `2025-11-24`, `24/11/2025`, `24-Nov-2025` or `24 Nov 2025`.
pub fn parse(name: &str) -> Option<Date> {
    let name = name.trim();
    let separator = name.chars().find(|c| !c.is_alphanumeric())?;
    let mut parts = [""; 3];
    let mut count = 0;
    for part in name.split(separator) {
        *parts.get_mut(count)? = part;
        count += 1;
    }
    if count != 3 {
        return None;
    }
    let [first, middle, last] = parts;
    let month_word = || {
        let at = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(middle))?;
        i8::try_from(at + 1).ok()
    };
    match separator {
        '-' if first.len() == 4 => Date::new(year(first)?, short(middle)?, short(last)?).ok(),
        '.' | '/' => Date::new(year(last)?, short(middle)?, short(first)?).ok(),
        '-' => Date::new(year(last)?, short(middle).or_else(month_word)?, short(first)?).ok(),
        ' ' => Date::new(year(last)?, month_word()?, short(first)?).ok(),
        _ => None,
    }
}

fn year(text: &str) -> Option<i16> {
    (text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

fn short(text: &str) -> Option<i8> {
    (matches!(text.len(), 1 | 2) && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// The sheet with the newest date that is not after `today`; if no name is a date, the last sheet.
pub fn choose(names: &[&str], today: Date) -> Result<usize, String> {
    let dated = || names.iter().enumerate().filter_map(|(at, name)| Some((parse(name)?, at)));
    if let Some((_, at)) = dated().filter(|(date, _)| *date <= today).max() {
        return Ok(at);
    }
    match dated().min() {
        Some((date, at)) => {
            Err(format!("every dated sheet is after today ({today}), the first is {:?} ({date})", names[at]))
        }
        None => names.len().checked_sub(1).ok_or_else(|| "it has no sheet with cells".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::{Date, date};

    use super::{choose, parse};

    const TODAY: Date = date(2025, 11, 24);

    #[test]
    fn all_six_ways_to_write_a_date_are_read() {
        let ways = ["24.11.2025", "24-11-2025", "2025-11-24", "24/11/2025", "24-Nov-2025", " 24 nov 2025 "];
        for name in ways {
            assert_eq!(parse(name), Some(TODAY), "{name}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for name in [
            "",
            "Notes",
            "31.02.2025",
            "24.11.25",
            "24.11.2025.1",
            "24.11",
            "11/24/2025",
            "2025.11.24",
            "é.é.éé",
        ] {
            assert_eq!(parse(name), None, "{name}");
        }
    }

    #[test]
    fn the_newest_sheet_that_is_not_in_the_future_is_chosen() {
        assert_eq!(choose(&["21.11.2025", "24.11.2025", "25.11.2025", "Notes"], TODAY), Ok(1));
        assert_eq!(choose(&["24.11.2025", "21.11.2025"], TODAY), Ok(0));
    }

    #[test]
    fn without_any_date_the_last_sheet_is_chosen() {
        assert_eq!(choose(&["one", "two"], TODAY), Ok(1));
        assert!(choose(&[], TODAY).is_err());
    }

    #[test]
    fn only_future_sheets_are_refused() {
        assert!(choose(&["25.11.2025", "Notes"], TODAY).is_err());
    }
}
