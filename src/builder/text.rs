//! The texts that the server (3.32.1) reads in a definition: names, durations, times, sinks, methods of HTTP.

use crate::json::RawJson;

/// A text that is known before it runs.
pub(super) fn constant(value: &RawJson) -> Option<String> {
    value.decode::<String>().ok().filter(|text| !text.contains("${"))
}

/// Whether a text is known before it runs, and has nothing in it.
pub(super) fn is_blank(value: Option<&RawJson>) -> bool {
    value.and_then(constant).is_some_and(|text| text.trim().is_empty())
}

/// The server takes 8 KB of address and headers, in which a byte of a name may take three.
const MOST_NAME_BYTES: usize = 2000;

/// What makes a name unfit, if anything: most names become part of an address.
pub(super) fn name_problem(name: &str) -> Option<&'static str> {
    match name {
        _ if name.trim().is_empty() => Some("is empty"),
        "." | ".." => Some("can't be part of an address: no `/`, `\\` or control characters, not `.` or `..`"),
        _ if name.len() > MOST_NAME_BYTES => Some("is longer than 2,000 bytes"),
        _ if name.contains(['/', '\\']) || name.chars().any(char::is_control) => {
            Some("can't be part of an address: no `/`, `\\` or control characters, not `.` or `..`")
        }
        _ => None,
    }
}

/// A method of an HTTP task; small letters are refused.
pub(super) fn is_method(text: &str) -> bool {
    matches!(text, "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "HEAD" | "OPTIONS" | "TRACE")
}

/// A sink of one of the queues that the server can be configured for.
pub(super) fn is_sink(text: &str) -> bool {
    const QUEUES: &[&str] =
        &["conductor", "sqs", "kafka", "amqp", "amqp_queue", "amqp_exchange", "nats", "nats_stream", "jsm"];
    match text.split_once(':') {
        Some((queue, _)) => QUEUES.contains(&queue),
        None => text == "conductor",
    }
}

/// A duration: days, hours, minutes and seconds, in this order, each with its unit.
pub(super) fn is_duration(text: &str) -> bool {
    const UNITS: [&[&str]; 4] = [
        &["days", "day", "d"],
        &["hours", "hour", "hrs", "hr", "h"],
        &["minutes", "minute", "mins", "min", "m"],
        &["seconds", "second", "secs", "sec", "s"],
    ];
    let text = text.to_ascii_lowercase();
    let mut rest = text.trim();
    let mut from = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let after = rest[digits..].trim_start();
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let unit = UNITS.iter().skip(from).position(|names| names.contains(&&after[..letters]));
        let (Ok(_), Some(unit)) = (rest[..digits].parse::<i32>(), unit) else { return false };
        from += unit + 1;
        rest = after[letters..].trim_start();
    }
    from > 0
}

/// A time: a date, or one with an hour, or one with an hour and a zone. The server takes a day that the calendar does not
/// have for a later one, and a year of two digits for one of antiquity; here they are no times.
pub(super) fn is_time(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let date = words.next().and_then(|word| numbers(word, '-'));
    let hour = words.next().map(|word| numbers(word, ':'));
    let zone = words.collect::<Vec<_>>().join(" ");
    let is_date = date.is_some_and(|[year, month, day]| year >= 1000 && (1..=days_of(year, month)).contains(&day));
    let is_hour = match hour {
        None => true,
        Some(Some([hour, minute])) => hour < 24 && minute < 60 || (hour, minute) == (24, 0),
        Some(None) => false,
    };
    is_date && is_hour && (zone.is_empty() || is_zone(&zone)) && !text.ends_with(char::is_whitespace)
}

fn numbers<const N: usize>(word: &str, sign: char) -> Option<[u32; N]> {
    let is_number = |part: &&str| part.bytes().all(|b| b.is_ascii_digit());
    let parts: Option<Vec<u32>> = word.split(sign).map(|part| Some(part).filter(is_number)?.parse().ok()).collect();
    parts?.try_into().ok()
}

fn days_of(year: u32, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

/// `+0100`, `GMT+1:00`, or a name: which ones there are only the server knows, but those of places are none.
fn is_zone(zone: &str) -> bool {
    let is_number = |part: &str, n_digits: &[usize]| {
        n_digits.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let offset = |zone: &str| zone.strip_prefix(['+', '-']).map(str::to_owned);
    if let Some(offset) = offset(zone) {
        return is_number(&offset, &[4]);
    }
    if let Some(offset) = zone.strip_prefix("GMT").and_then(offset) {
        return offset
            .split_once(':')
            .is_some_and(|(hour, minute)| is_number(hour, &[1, 2]) && is_number(minute, &[2]));
    }
    zone.chars().count() > 2 && !zone.contains(|c: char| c.is_ascii_digit() || c == '/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_what_fits_an_address_are_told() {
        assert_eq!(name_problem(&"n".repeat(MOST_NAME_BYTES)), None);
        assert_eq!(name_problem(&"n".repeat(MOST_NAME_BYTES + 1)), Some("is longer than 2,000 bytes"));
    }

    #[test]
    fn durations_are_told_from_what_the_server_can_not_read() {
        for text in ["1s", "90s", "1 days 2 hours", "3 minutes 4 seconds", "5m 6S", "1d2h"] {
            assert!(is_duration(text), "{text}");
        }
        for text in ["", "2", "1500ms", "s", "2 seconds 1 minute", "1 fortnight", "99999999999s"] {
            assert!(!is_duration(text), "{text}");
        }
    }

    /// Each of these was given to the server (3.32.1).
    #[test]
    fn times_are_told_from_what_the_server_can_not_read_or_moves() {
        let right = [
            "2026-01-31",
            "2026-1-1",
            "2024-02-29",
            "2000-02-29",
            "2026-01-31 17:30",
            "2026-01-31 7:5",
            "2026-01-31 24:00",
            " 2026-01-31  17:30",
            "2026-01-31 17:30 UTC",
            "2026-01-31 17:30 utc",
            "2026-01-31 17:30 +0100",
            "2026-01-31 17:30 GMT+1:00",
            "2026-01-31 17:30 GMT+01:00",
            "2026-01-31 17:30 Central European Time",
        ];
        for text in right {
            assert!(is_time(text), "{text}");
        }
        let moved = [
            "2026-13-01",
            "2026-00-01",
            "2026-01-32",
            "2026-01-00",
            "2026-02-29",
            "2100-02-29",
            "20-01-01",
            "2026-01-31 25:00",
            "2026-01-31 17:60",
        ];
        let unreadable = [
            "",
            "tomorrow",
            "2026-01",
            "2026--1-01",
            "+2026-01-31",
            "2026-01-31T17:30",
            "2026-01-31 17",
            "2026-01-31 ",
            "2026-01-31 17:30:15",
            "2026-01-31 UTC",
            "2026-01-31 17:30 Z",
            "2026-01-31 17:30 UT",
            "2026-01-31 17:30 +01:00",
            "2026-01-31 17:30 GMT+1",
            "2026-01-31 17:30 UTC+1",
            "2026-01-31 17:30 Asia/Tokyo",
        ];
        for text in moved.into_iter().chain(unreadable) {
            assert!(!is_time(text), "{text}");
        }
    }

    #[test]
    fn sinks_are_told_from_what_no_server_knows() {
        for text in ["conductor", "conductor:", "conductor:a:b", "sqs:q", "kafka:t", "amqp_queue:q", "nats:s", "jsm:s"]
        {
            assert!(is_sink(text), "{text}");
        }
        for text in ["", "sqs", "nope:x", "nope", "Conductor:x", " conductor", "conductor x", ":x", "http:x"] {
            assert!(!is_sink(text), "{text}");
        }
    }
}
