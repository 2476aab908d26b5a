//! The rules of the house: which room of `src` may use which, which file alone may name a crate or do a thing, and what
//! is not to be found anywhere. Rooms that are not there yet are no violation; a room without a rule is one.

#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A file longer than this is to be split by meaning.
const MOST_LINES: usize = 800;

/// The rooms that a room may use. `src/runner/poll.rs` belongs to the room `runner`, and rooms may use themselves.
fn may_use(room: &str) -> Option<&'static [&'static str]> {
    Some(match room {
        "error" => &[],
        "json" | "config" | "metrics" => &["error"],
        "http" => &["error", "json", "config", "metrics"],
        // A list of definitions is answered as a list of workflows is.
        "metadata" => &["error", "json", "http", "workflow"],
        "search" => &["error", "http"],
        // A workflow holds its tasks, and a call about a task may answer its workflow.
        "task" | "workflow" | "event" | "schedule" | "admin" | "file" | "secret" | "agent" => {
            &["error", "json", "http", "metadata", "search", "task", "workflow"]
        }
        // A skill becomes an agent.
        "skill" => &["error", "json", "http", "agent"],
        // A token of a callback is a secret, and what a task does is looked at as a workflow is.
        "a2a" => &["error", "json", "http", "secret", "workflow"],
        "client" => &[
            "error", "json", "config", "http", "metrics", "metadata", "task", "workflow", "event", "schedule", "admin",
            "file", "secret", "agent", "skill", "a2a",
        ],
        // A worker names the tasks it runs, and START_WORKFLOW holds a request.
        "builder" => &["error", "json", "metadata", "workflow", "worker"],
        "diagram" => &["error", "json", "metadata", "task", "workflow"],
        "worker" => &["error", "json", "metadata", "task"],
        // Text only, which may name everything.
        "manual" => &[],
        "runner" => &["error", "json", "config", "metrics", "http", "metadata", "task", "workflow", "client", "worker"],
        // The wire types only, so that a bug it shares with the client can't hide.
        "embedded" => &["error", "json", "metadata", "task", "workflow", "event", "schedule", "admin"],
        _ => return None,
    })
}

/// Words of code that only some rooms of `src` may hold, and which.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("ureq", &["http"]),
    ("tiny_http", &["metrics"]),
    ("prometheus", &["metrics"]),
    ("threadpool", &["runner"]),
    ("thread::spawn", &["runner", "metrics", "embedded"]),
    ("thread::scope", &["runner", "metrics", "embedded"]),
    ("thread::Builder", &["runner", "metrics", "embedded"]),
    ("std::env", &["config"]),
    ("env::var", &["config"]),
    ("env::var_os", &["config"]),
    ("env::vars", &["config"]),
    ("env_logger", &[]),
];

/// Words of code that no file may hold, with the reason.
const NOWHERE: &[(&str, &str)] = &[
    ("thread::sleep", "wait on a channel, a condition variable or a deadline"),
    ("sleep_ms", "wait on a channel, a condition variable or a deadline"),
    ("#[ignore", "a test runs or is not there"),
    ("#[should_panic", "check the message of the error instead"),
];

/// Marks of unfinished work, which no text may hold.
const UNFINISHED: &[&str] = &["TODO", "FIXME", "XXX", "```ignore"];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] =
    &["util", "utils", "common", "model", "models", "types", "helper", "helpers", "misc", "prelude"];

/// What is wrong with the file at `path`, which is relative to the package.
fn violations(path: &str, text: &str) -> Vec<String> {
    let code = code_of(text);
    let mut wrong = Vec::new();
    let n_lines = text.lines().count();
    if n_lines > MOST_LINES {
        wrong.push(format!("{n_lines} lines: split it by meaning"));
    }
    wrong.extend(NOWHERE.iter().filter(|(word, _)| holds(&code, word)).map(|(word, why)| format!("{word}: {why}")));
    wrong.extend(UNFINISHED.iter().filter(|word| text.contains(*word)).map(|word| format!("{word}: finish it")));
    if let Some(inner) = path.strip_prefix("src/") {
        wrong.extend(violations_in_src(inner, &code));
    }
    let is_empty_name = |part: &str| EMPTY_NAMES.contains(&part.trim_end_matches(".rs"));
    if !path.starts_with("tests/") && path.split('/').any(is_empty_name) {
        wrong.push("a file is named after what is inside".to_owned());
    }
    wrong.iter().map(|what| format!("{path}: {what}")).collect()
}

fn violations_in_src(path: &str, code: &str) -> Vec<String> {
    let room = path.split('/').next().unwrap().trim_end_matches(".rs");
    let mut wrong: Vec<String> = ONLY_IN
        .iter()
        .filter(|(word, rooms)| room != "lib" && !rooms.contains(&room) && holds(code, word))
        .map(|(word, rooms)| format!("names {word}, which only {rooms:?} may"))
        .collect();
    match may_use(room) {
        _ if room == "lib" => {}
        None => wrong.push(format!("the room {room} has no rule in tests/house.rs")),
        Some(rooms) => {
            let used = used_rooms(before_tests(code), path.contains('/'));
            let not_allowed = used.iter().filter(|used| *used != room && !rooms.contains(&used.as_str()));
            wrong.extend(not_allowed.map(|used| format!("uses crate::{used}, but {room} may use only {rooms:?}")));
        }
    }
    wrong
}

/// The rooms named as `crate::room` or `crate::{room, …}`, and in a file that is a whole room also as `super::room`.
fn used_rooms(code: &str, is_part_of_a_room: bool) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for (at, found) in code.match_indices("crate::") {
        let is_macro_path = code[..at].ends_with('$');
        let rest = &code[at + found.len()..];
        match rest.strip_prefix('{') {
            _ if is_macro_path => {}
            None => drop(rooms.insert(leading_name(rest).to_owned())),
            Some(group) => rooms.extend(names_at_the_top(group)),
        }
    }
    if !is_part_of_a_room {
        let names = code.match_indices("super::").map(|(at, found)| leading_name(&code[at + found.len()..]));
        rooms.extend(names.filter(|name| may_use(name).is_some()).map(str::to_owned));
    }
    rooms
}

/// The first names of the paths in a `use` group, whose opening brace is gone.
fn names_at_the_top(group: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut depth = 0;
    let mut expects_name = true;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => expects_name = true,
            c if c.is_whitespace() => {}
            _ if expects_name && depth == 0 => {
                names.push(leading_name(&group[at..]).to_owned());
                expects_name = false;
            }
            _ => {}
        }
    }
    names
}

fn leading_name(text: &str) -> &str {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    &text[..text.find(|c| !is_part(c)).unwrap_or(text.len())]
}

/// The code without its unit tests, which may use what they like.
fn before_tests(code: &str) -> &str {
    code.split("#[cfg(test)]\nmod ").next().unwrap()
}

/// Whether `code` holds `word` and not as a part of a longer name.
fn holds(code: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .any(|(at, _)| !code[..at].ends_with(is_part) && !code[at + word.len()..].starts_with(is_part))
}

/// The text of a Rust file with comments and the insides of strings left out.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = skipped_len(rest, code.chars().next_back());
        if skipped > 0 {
            code.extend(rest[..skipped].chars().filter(|c| *c == '\n'));
            rest = &rest[skipped..];
        } else {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    code
}

/// The length of the comment, string or character that `rest` begins with; 0 where it begins with none.
fn skipped_len(rest: &str, before: Option<char>) -> usize {
    let to_end = |end: Option<usize>| end.unwrap_or(rest.len());
    if rest.starts_with("//") {
        return to_end(rest.find('\n'));
    }
    if rest.starts_with("/*") {
        return to_end(rest.find("*/").map(|at| at + 2));
    }
    let hashes = rest.strip_prefix('r').map_or(0, |raw| raw.len() - raw.trim_start_matches('#').len());
    let in_a_name = before.is_some_and(|c| c.is_alphanumeric() && c != 'b');
    if !in_a_name && rest.starts_with('r') && rest[1 + hashes..].starts_with('"') {
        let end = format!("\"{}", "#".repeat(hashes));
        let inside = 2 + hashes;
        return to_end(rest[inside..].find(&end).map(|at| inside + at + end.len()));
    }
    if rest.starts_with('"') {
        return to_end(end_of_quoted(rest, '"'));
    }
    // A character, and not a lifetime: the closing quote follows at once or after an escape.
    if rest.starts_with("'\\") || rest.chars().nth(2) == Some('\'') && rest.starts_with('\'') {
        return to_end(end_of_quoted(rest, '\''));
    }
    0
}

/// Where the text that `rest` opens with a quote ends, behind its closing quote.
fn end_of_quoted(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(at + quote.len_utf8()),
            _ => {}
        }
    }
    None
}

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(below: &Path, files: &mut Vec<PathBuf>) {
    // A folder that is not there holds no files.
    for entry in fs::read_dir(below).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn every_file_keeps_the_rules_of_the_house() {
    let mut files = Vec::new();
    for folder in ["src", "tests", "examples", "benches"] {
        rust_files(&package().join(folder), &mut files);
    }
    assert!(files.len() > 5, "only {files:?} found below {}", package().display());
    let wrong: Vec<String> = files
        .iter()
        .map(|file| (file.strip_prefix(package()).unwrap().to_str().unwrap().replace('\\', "/"), file))
        // This file names what is forbidden.
        .filter(|(path, _)| path != "tests/house.rs")
        .flat_map(|(path, file)| violations(&path, &fs::read_to_string(file).unwrap()))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn each_rule_finds_what_breaks_it() {
    let long = "\n".repeat(MOST_LINES + 1);
    for (path, text, expected) in [
        ("src/http.rs", "use crate::runner::Runner;", "uses crate::runner"),
        ("src/task.rs", "use crate::{\n    error::Error,\n    client::Client,\n};", "uses crate::client"),
        ("src/embedded/engine.rs", "fn f() { crate::http::call(); }", "uses crate::http"),
        ("src/error.rs", "use crate::{json::RawJson};", "uses crate::json"),
        ("src/error.rs", "use crate::Error;", "uses crate::Error"),
        ("src/error.rs", "use super::http::call;", "uses crate::http"),
        ("src/attic.rs", "", "has no rule"),
        ("src/client.rs", "use ureq::Agent;", "names ureq"),
        ("src/runner/poll.rs", "let s = tiny_http::Server::http(a);", "names tiny_http"),
        ("src/worker.rs", "std::thread::Builder::new()", "names thread::Builder"),
        ("src/client.rs", "thread::scope(|s| ())", "names thread::scope"),
        ("src/http.rs", "use std::env;", "names std::env"),
        ("src/metrics.rs", "env::var(\"A\")", "names env::var"),
        ("src/runner.rs", "env_logger::init();", "names env_logger"),
        ("src/runner.rs", "thread::sleep(a);", "thread::sleep"),
        ("tests/a.rs", "thread::sleep(a);", "thread::sleep"),
        ("tests/a.rs", "#[ignore]\nfn f() {}", "#[ignore"),
        ("tests/a.rs", "#[ignore = \"slow\"]\nfn f() {}", "#[ignore"),
        ("examples/a.rs", "// TODO: write it", "TODO"),
        ("src/utils.rs", "", "named after"),
        ("src/runner/types/a.rs", "", "named after"),
        ("src/error.rs", long.as_str(), "801 lines"),
    ] {
        let found = violations(path, text);
        assert!(found.iter().any(|wrong| wrong.contains(expected)), "{path}: {text}: {found:?}");
    }
}

#[test]
fn comments_strings_and_unit_tests_are_not_code() {
    for (path, text) in [
        ("src/error.rs", "// crate::http and ureq\n/* thread::sleep */\n"),
        ("src/error.rs", "const A: &str = \"use ureq \\\" thread::sleep\";"),
        ("src/error.rs", "const A: &str = r#\"crate::http \" ureq\"#; const Q: char = '\"'; const E: char = '\\'';"),
        ("src/error.rs", "fn f<'a>(x: &'a str) -> &'a str { x }\nstruct Ureq; const MY_UREQ_ENV_VAR: u8 = 0;"),
        ("src/json.rs", "macro_rules! m { () => { $crate::json::f() }; }"),
        ("src/error.rs", "#[cfg(test)]\nmod tests {\n    use crate::{client::Client, json::RawJson};\n}\n"),
        ("src/config.rs", "use std::env;\nlet a = env::var(\"A\");"),
        ("src/lib.rs", "pub use crate::client::Client;"),
        ("tests/common/mod.rs", "use std::thread;"),
    ] {
        assert_eq!(violations(path, text), Vec::<String>::new(), "{path}: {text}");
    }
}
