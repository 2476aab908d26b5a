//! Text for pictures: names of any kind made fit for one line, and times for people.

/// What is left of a name or an expression on a node.
const MOST_CHARS: usize = 60;

/// One line without characters that are invisible, break lines or steer terminals; cut in the middle when long.
pub(super) fn line(text: &str) -> String {
    shorten(&clean(text), MOST_CHARS)
}

/// As [`line`], but not cut.
pub(super) fn clean(text: &str) -> String {
    let visible: String = text.chars().map(|c| if is_invisible(c) { ' ' } else { c }).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Control characters, line ends, marks of direction, and what XML (which both viewers make) can't hold.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}')
}

/// At most `most` characters, with a mark where the middle is left out.
pub(super) fn shorten(text: &str, most: usize) -> String {
    let n_chars = text.chars().count();
    if n_chars <= most {
        return text.to_owned();
    }
    let n_tail = most / 3;
    let n_head = most.saturating_sub(n_tail + 1);
    let head: String = text.chars().take(n_head).collect();
    let tail: String = text.chars().skip(n_chars - n_tail).collect();
    format!("{head}…{tail}")
}

/// A time for people, from milliseconds.
pub(super) fn duration(millis: i64) -> String {
    let millis = millis.max(0);
    let seconds = millis / 1000;
    match seconds {
        0 => format!("{millis} ms"),
        1..60 => format!("{seconds}.{} s", millis % 1000 / 100),
        60..3_600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {:02} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {:02} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// How many columns of a terminal a text takes: wide East Asian characters and emoji take two, combining marks none.
pub(super) fn columns(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

fn columns_of(c: char) -> usize {
    match c {
        '\u{300}'..='\u{36f}' | '\u{fe00}'..='\u{fe0f}' => 0,
        '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' => 2,
        '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}' => 2,
        '\u{1f300}'..='\u{1faff}' | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        for (millis, expected) in [
            (-5, "0 ms"),
            (0, "0 ms"),
            (999, "999 ms"),
            (1_950, "1.9 s"),
            (61_000, "1 min 01 s"),
            (3_600_000, "1 h 00 min"),
            (90_000_000, "1 d 01 h"),
            (i64::MAX, "106751991167 d 07 h"),
        ] {
            assert_eq!(duration(millis), expected);
        }
    }

    #[test]
    fn names_become_one_visible_line() {
        for (name, expected) in [("a\nb\t c\u{1b}[31m", "a b c [31m"), ("\u{202e}x\0", "x"), ("", ""), ("日本", "日本")]
        {
            assert_eq!(line(name), expected);
        }
        let long = "é".repeat(500);
        assert_eq!(line(&long).chars().count(), MOST_CHARS);
        assert_eq!((columns("ab"), columns("日本"), columns("e\u{301}")), (2, 4, 1));
    }
}
