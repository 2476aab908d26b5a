//! Definitions as JSON documents: [`document!`] gives a wire type the functions that read it from the text of a file and
//! write it for people to read. What the type has no name for stays, as everywhere; the error says line, column and field.

use serde::{Serialize, de::DeserializeOwned};

use crate::error::{Error, ErrorKind, Result};

/// Deeper levels are not indented further, or a text nested without end would grow with the square of its length.
const DEEPEST_INDENT: usize = 64;

/// Gives a wire type `from_json` and `to_json`, and both for lists.
macro_rules! document {
    ($name:ident, $what:literal) => {
        impl $name {
            #[doc = concat!("Reads a ", $what, " from JSON, for instance from the text of a file.")]
            ///
            /// Nothing is lost: fields this crate has no name for, nulls and numbers of any length come out again as they
            /// were. Only white space, the order of fields and, in known fields, other spellings of an integer (`3.0`,
            /// `"3"`) do not stay. What the values mean is not checked here.
            ///
            /// # Errors
            /// When the text is no JSON or a field has a value of the wrong kind; the message says the line, the column and
            /// the way to the field.
            pub fn from_json(text: &str) -> $crate::error::Result<Self> {
                $crate::json::document::read(concat!("read ", $what), text)
            }

            #[doc = concat!("Writes it as JSON, indented, for a file: the opposite of [`", stringify!($name), "::from_json`].")]
            pub fn to_json(&self) -> String {
                $crate::json::document::write(self)
            }

            #[doc = concat!("As [`", stringify!($name), "::from_json`], for a text that holds a list of them, or one alone.")]
            ///
            /// # Errors
            #[doc = concat!("As [`", stringify!($name), "::from_json`]; the message counts the entries of the list from 1.")]
            pub fn list_from_json(text: &str) -> $crate::error::Result<Vec<Self>> {
                $crate::json::document::read_list(concat!("read ", $what), text)
            }

            #[doc = concat!("As [`", stringify!($name), "::to_json`], for a list.")]
            pub fn list_to_json(list: &[Self]) -> String {
                $crate::json::document::write(list)
            }
        }
    };
}
pub(crate) use document;

pub(crate) fn read<T: DeserializeOwned>(operation: &'static str, text: &str) -> Result<T> {
    serde_json::from_str(without_mark(text)).map_err(|e| misread(operation, "", e))
}

pub(crate) fn read_list<T: DeserializeOwned>(operation: &'static str, text: &str) -> Result<Vec<T>> {
    if !without_mark(text).trim_start().starts_with('[') {
        return read(operation, text).map(|one| vec![one]);
    }
    serde_json::from_str(without_mark(text)).map_err(|e| misread(operation, &entry::<T>(without_mark(text)), e))
}

#[expect(clippy::expect_used, reason = "wire types have text for keys and write themselves without failing")]
pub(crate) fn write(value: &(impl Serialize + ?Sized)) -> String {
    indented(&serde_json::to_string(value).expect("a wire type is JSON"))
}

/// Some editors begin a file with a byte order mark, which is no JSON.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn misread(operation: &'static str, entry: &str, cause: serde_json::Error) -> Error {
    let (line, column) = (cause.line(), cause.column());
    let said = cause.to_string();
    let what = said.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&said);
    let message = format!("line {line}, column {column}: {entry}{what}");
    Error::new(ErrorKind::Decode, operation, message).with_source(cause)
}

/// Which entry of the list does not fit, for the message; empty where that can't be told.
fn entry<T: DeserializeOwned>(text: &str) -> String {
    let mut decoder = serde_json::Deserializer::from_str(text);
    let place = serde_path_to_error::deserialize::<_, Vec<T>>(&mut decoder).err().map(|e| e.path().to_string());
    let nth = place.as_deref().and_then(|place| place.strip_prefix('[')?.split(']').next()?.parse::<usize>().ok());
    nth.map_or_else(String::new, |nth| format!("entry {}: ", nth + 1))
}

/// The same JSON with a line for each entry. The text of its parts is not touched, so numbers and escapes stay.
fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let mut rest = json;
    while let Some(c) = rest.chars().next() {
        let token = &rest[..token_len(rest, c)];
        rest = rest[token.len()..].trim_start();
        match c {
            '{' | '[' if rest.starts_with(['}', ']']) => {
                out.push_str(token);
                out.push_str(&rest[..1]);
                rest = rest[1..].trim_start();
            }
            '{' | '[' => {
                depth += 1;
                out.push_str(token);
                break_line(&mut out, depth);
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                break_line(&mut out, depth);
                out.push_str(token);
            }
            ',' => {
                out.push_str(token);
                break_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => out.push_str(token),
        }
    }
    out.push('\n');
    out
}

fn break_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth.min(DEEPEST_INDENT)));
}

/// The length of the string, number, word or mark that `rest` begins with.
fn token_len(rest: &str, first: char) -> usize {
    if first == '"' {
        let mut escaped = false;
        let end = rest.char_indices().skip(1).find(|(_, c)| {
            let is_end = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            is_end
        });
        return end.map_or(rest.len(), |(at, _)| at + 1);
    }
    if "{}[],:".contains(first) {
        return 1;
    }
    let is_over = |c: char| c.is_whitespace() || "{}[],:\"".contains(c);
    rest.char_indices().skip(1).find(|(_, c)| is_over(*c)).map_or(rest.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn an_indented_text_has_a_line_for_each_entry_and_the_same_parts() {
        for (text, lines) in [
            ("{}", "{}\n"),
            ("[ ]", "[]\n"),
            ("3", "3\n"),
            (r#""a\"b, {""#, "\"a\\\"b, {\"\n"),
            (
                r#"{"a":[1,{"b":null}],"c":{ }}"#,
                "{\n  \"a\": [\n    1,\n    {\n      \"b\": null\n    }\n  ],\n  \"c\": {}\n}\n",
            ),
            ("{\"a\" : 1e400 ,\n \"b\":\t\"\\u0041\\\\\"}", "{\n  \"a\": 1e400,\n  \"b\": \"\\u0041\\\\\"\n}\n"),
        ] {
            assert_eq!(indented(text), lines);
            assert_eq!(indented(lines), lines, "a second time changes nothing");
        }
    }

    #[test]
    fn a_deep_text_does_not_explode() {
        let deep = format!("{}{}", "[".repeat(2000), "]".repeat(2000));
        assert!(indented(&deep).len() < 2 * 2000 * (2 * DEEPEST_INDENT + 2));
    }

    #[test]
    fn a_text_that_does_not_fit_says_where() {
        let says = |text| read::<Vec<u8>>("read list", text).unwrap_err().to_string();
        assert_eq!(says("[1,\n 2,\n x]"), "read list: line 3, column 2: expected value");
        assert_eq!(says("[1] 2"), "read list: line 1, column 5: trailing characters");
        assert!(says("").starts_with("read list: line 1, column 0: EOF"), "{}", says(""));
        let error = read_list::<Vec<u8>>("read lists", "[[1],\n[300]]").unwrap_err().to_string();
        assert!(error.starts_with("read lists: line 2, column 4: entry 2: "), "{error}");
        assert_eq!(read_list::<Value>("read lists", "\u{feff} {}").unwrap().len(), 1);
    }
}
