//! Reads cron expressions: the fields, names, ranges and steps of crontab(5) as cronie has it, seconds in front if there
//! are six, and `L` for the last day of a month.

use super::super::civil::days_of;
use super::{Cron, CronError, LAST_DAY, first_from};

/// A field: what it is called, and what it takes.
struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    /// The first stands for the least value.
    names: &'static [&'static str],
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const SECOND: Field = Field { name: "second", least: 0, most: 59, names: &[] };
const MINUTE: Field = Field { name: "minute", least: 0, most: 59, names: &[] };
const HOUR: Field = Field { name: "hour", least: 0, most: 23, names: &[] };
const DAY: Field = Field { name: "day of the month", least: 1, most: 31, names: &[] };
const MONTH: Field = Field { name: "month", least: 1, most: 12, names: &MONTHS };
const WEEKDAY: Field = Field { name: "day of the week", least: 0, most: 7, names: &WEEKDAYS };

/// What stands for a whole expression.
const WORDS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

const ORDER: &str =
    "it has five fields: minute, hour, day of the month, month, day of the week; or six with seconds first";

pub(super) fn read(text: &str) -> Result<Cron, CronError> {
    let whole = Part { text, from: 0 };
    let fields: Vec<Part> =
        whole.split(|c| c.is_ascii_whitespace()).filter(|field| !field.text.is_empty()).collect();
    let (second, rest) = match fields[..] {
        [word, ..] if word.text.starts_with('@') => {
            let known = WORDS.iter().find(|(name, _)| word.text.eq_ignore_ascii_case(name));
            let plain = known.filter(|_| fields.len() == 1).ok_or_else(|| unknown_word(word, whole))?.1;
            return Ok(Cron { text: text.to_owned(), ..read(plain)? });
        }
        [second, ref rest @ ..] if rest.len() == 5 => (Some(second), rest),
        _ => (None, &fields[..]),
    };
    let [minute, hour, day, month, weekday] = *rest else {
        let beyond = fields.get(6).map_or(whole, |seventh| whole.after(*seventh));
        return Err(beyond.error(format!("the expression has {} fields", fields.len()), ORDER));
    };
    let weekdays = WEEKDAY.values(weekday)?;
    let cron = Cron {
        text: text.to_owned(),
        seconds: second.map_or(Ok(1), |second| SECOND.values(second))?,
        minutes: MINUTE.values(minute)?,
        hours: HOUR.values(hour)?,
        days: DAY.values(day)?,
        months: MONTH.values(month)?,
        // 0 and 7 are Sunday.
        weekdays: (weekdays | weekdays >> 7) & 0b111_1111,
        is_either_day: !day.is_starred() && !weekday.is_starred(),
        is_elapsing: [minute, hour].iter().any(|field| field.text.contains(['*', '/'])),
    };
    match never(&cron) {
        Some(why) => {
            let at = Part { text: &text[day.from..month.from + month.text.len()], from: day.from };
            Err(at.error(why, "`L` is the last day of each month, `28` a day that every month has"))
        }
        None => Ok(cron),
    }
}

/// Why it never fires, if so. Each day of the year is each day of the week some year, also 29 February.
fn never(cron: &Cron) -> Option<String> {
    let months = (1..=12).filter(|month| cron.months & 1 << month != 0);
    let longest = months.map(|month| days_of(2024, month)).max()?;
    let least = first_from(cron.days, 1)?;
    let is_never = least > longest && cron.days & LAST_DAY == 0 && !cron.is_either_day;
    is_never.then(|| format!("it never fires: no month that it names has a day {least}"))
}

fn unknown_word(word: Part, whole: Part) -> CronError {
    let name = word.text.to_ascii_lowercase();
    if WORDS.iter().any(|(known, _)| *known == name) {
        return whole.error(format!("`{name}` stands alone"), format!("write `{name}` and nothing else"));
    }
    let help = match name.as_str() {
        "@reboot" => "write `run-on-start = true`: it runs as soon as it is wanted",
        "@every" => "write `every = \"5m\"` in place of `cron`",
        _ => "it takes @hourly, @daily, @midnight, @weekly, @monthly and @yearly, or five fields",
    };
    word.error(format!("`{}` is no time", word.text), help)
}

impl Field {
    /// The values of a list, as bits.
    fn values(&self, list: Part) -> Result<u64, CronError> {
        list.split(|c| c == ',').try_fold(0, |all, item| Ok(all | self.item(item)?))
    }

    /// `*`, `L`, a value or a range, perhaps with a step.
    fn item(&self, item: Part) -> Result<u64, CronError> {
        let parts: Vec<Part> = item.split(|c| c == '/').collect();
        let (range, step) = match parts[..] {
            [range] => (range, None),
            [range, step] => (range, Some(self.step(step)?)),
            _ => return Err(item.error(format!("`{}` has two steps", item.text), self.help())),
        };
        let has_days = self.name == DAY.name || self.name == WEEKDAY.name;
        let (first, last) = match range.text {
            "*" => (self.least, self.most),
            "?" if has_days => (self.least, self.most),
            "L" | "l" if self.name == DAY.name && step.is_none() => return Ok(LAST_DAY),
            _ => self.range(range, step.is_some())?,
        };
        Ok((first..=last).step_by(step.unwrap_or(1)).fold(0, |all, value| all | 1 << value))
    }

    /// From where to where; a value with a step reaches to the end of the field.
    fn range(&self, range: Part, has_step: bool) -> Result<(u32, u32), CronError> {
        let ends: Vec<Part> = range.split(|c| c == '-').collect();
        let (first, last) = match ends[..] {
            [one] => {
                let value = self.value(one)?;
                (value, if has_step { self.most } else { value })
            }
            [from, to] => {
                let (first, last) = (self.value(from)?, self.value(to)?);
                // A week that is written by name may end on a Sunday.
                let is_sunday = last == 0 && first > 0 && to.text.eq_ignore_ascii_case("sun");
                (first, if is_sunday { 7 } else { last })
            }
            _ => return Err(range.error(format!("`{}` is no range", range.text), self.help())),
        };
        if first > last {
            let (from, to) = (ends[0].text, ends[ends.len() - 1].text);
            let is_named = !from.starts_with(|c: char| c.is_ascii_digit());
            let (least, most) = match self.names {
                [least, .., most] if is_named => ((*least).to_owned(), (*most).to_owned()),
                _ => (self.least.to_string(), self.most.to_string()),
            };
            let why = format!("`{}` is backwards: a range does not go around", range.text);
            return Err(range.error(why, format!("write it as two: `{from}-{most},{least}-{to}`")));
        }
        Ok((first, last))
    }

    fn step(&self, step: Part) -> Result<usize, CronError> {
        let most = self.most - self.least;
        let number = step.number().and_then(|number| usize::try_from(number).ok());
        number.filter(|number| (1..=most as usize).contains(number)).ok_or_else(|| {
            let why = format!("`{}` is no step through the field {}", step.text, self.name);
            step.error(
                why,
                format!("a step is 1 to {most}; `every = \"90m\"` is for what does not fit into a field"),
            )
        })
    }

    fn value(&self, part: Part) -> Result<u32, CronError> {
        let named =
            self.names.iter().zip(self.least..).find(|(name, _)| part.text.eq_ignore_ascii_case(name));
        let value = part.number().or(named.map(|(_, value)| value));
        value.filter(|value| (self.least..=self.most).contains(value)).ok_or_else(|| {
            let why = match part.text {
                "" => format!("a {} is missing", self.name),
                text => format!("`{text}` is no {}", self.name),
            };
            part.error(why, self.help())
        })
    }

    /// What it takes, in words.
    fn help(&self) -> String {
        let names = match self.names {
            [first, .., last] => format!(", {first} to {last}"),
            _ => String::new(),
        };
        let last_day = if self.name == DAY.name { ", `L` for the last" } else { "" };
        let (least, most) = (self.least, self.most);
        format!(
            "the field {} takes {least} to {most}{names}{last_day}, `*`, ranges `a-b`, steps `*/n` and lists `a,b`",
            self.name
        )
    }
}

/// A piece of the expression, and where in it it begins.
#[derive(Clone, Copy)]
struct Part<'a> {
    text: &'a str,
    from: usize,
}

impl<'a> Part<'a> {
    /// What is between separators, which are ASCII.
    fn split(self, is_between: impl Fn(char) -> bool) -> impl Iterator<Item = Part<'a>> {
        let mut from = self.from;
        self.text.split(is_between).map(move |text| {
            let part = Part { text, from };
            from += text.len() + 1;
            part
        })
    }

    /// It from that piece of it on.
    fn after(self, piece: Part<'a>) -> Part<'a> {
        Part { text: &self.text[piece.from - self.from..], from: piece.from }
    }

    /// Its number, if it is nothing but digits.
    fn number(self) -> Option<u32> {
        self.text.bytes().all(|b| b.is_ascii_digit()).then(|| self.text.parse().ok()).flatten()
    }

    /// Whether it begins as Vixie's day rule wants it to be no choice of days.
    fn is_starred(self) -> bool {
        self.text.starts_with(['*', '?'])
    }

    fn error(self, why: String, help: impl Into<String>) -> CronError {
        CronError { at: self.from..self.from + self.text.len(), why, help: help.into() }
    }
}
