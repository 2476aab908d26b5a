//! Tells a server a list of requests over plain sockets and writes down what it answers, with all that differs from run to
//! run replaced.

use std::{
    collections::HashMap,
    fmt::Write as _,
    io::{Read, Write as _},
    net::TcpStream,
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use serde_json::Value;

/// A request and what to do with its answer.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    /// Method and path below `/api`, with `{name}` for what was saved and `{P}` for a prefix of this run.
    pub(crate) request: &'static str,
    /// The body: JSON, or plain text after `text:`; empty for none.
    pub(crate) body: &'static str,
    /// What to save from the answer: `name=` and a JSON pointer, which is empty for the whole text.
    pub(crate) save: &'static str,
    /// `pointer=value`: the request is repeated until the answer holds this, with a decide of `{wf}` before each.
    pub(crate) until: &'static str,
    /// The least time the answer must take, milliseconds.
    pub(crate) least_millis: u64,
}

/// An answer.
struct Answer {
    status: u16,
    content_type: String,
    body: String,
}

/// One case on one server.
pub(crate) struct Teller {
    base: String,
    name: &'static str,
    prefix: String,
    saved: HashMap<String, String>,
    /// Ids in the order in which they were seen.
    ids: Vec<String>,
}

/// Parts of answers that the case `shapes` compares; elsewhere they would make up most of the recording.
const LONG_PARTS: [&str; 16] = [
    "workflowTask",
    "taskDefinition",
    "workflowDefinition",
    "callbackFromWorker",
    "executionMetadata",
    "firstStartTime",
    "history",
    "iteration",
    "loopOverTask",
    "ownerApp",
    "queueWaitTime",
    "rateLimited",
    "rateLimitFrequencyInSeconds",
    "rateLimitPerFrequency",
    "responseTimeoutSeconds",
    "subworkflowChanged",
];

/// Fields that hold a time.
const TIMES: [&str; 9] = [
    "createTime",
    "updateTime",
    "startTime",
    "endTime",
    "scheduledTime",
    "createdTime",
    "lastPollTime",
    "lastRetriedTime",
    "firstStartTime",
];

/// No answer takes longer.
const DEADLINE: Duration = Duration::from_secs(30);

impl Teller {
    pub(crate) fn new(base: &str, name: &'static str) -> Self {
        // Definitions stay on the real server, so each run uses names of its own.
        static N: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("cf{:x}x{}x", std::process::id(), N.fetch_add(1, Ordering::Relaxed));
        Self { base: base.to_owned(), name, prefix, saved: HashMap::new(), ids: Vec::new() }
    }

    /// The transcript of the case.
    pub(crate) fn tell(mut self, steps: &[Step]) -> String {
        let mut transcript = format!("# {}\n", self.name);
        for step in steps {
            let answer = self.answer_to(step);
            if let Some((name, pointer)) = step.save.split_once('=') {
                self.save(name, pointer, &answer);
            }
            let line = self.recorded(&answer);
            writeln!(transcript, "> {} {}\n< {line}", step.request, step.body).unwrap();
        }
        transcript
    }

    fn answer_to(&self, step: &Step) -> Answer {
        let began = Instant::now();
        loop {
            if !step.until.is_empty() && self.saved.contains_key("wf") {
                self.send("PUT /workflow/decide/{wf}", "");
            }
            let answer = self.send(step.request, step.body);
            if let Some((pointer, value)) = step.until.split_once('=') {
                let json: Value = serde_json::from_str(&answer.body).unwrap_or_default();
                let found = json.pointer(pointer).map(|found| found.to_string().trim_matches('"').to_owned());
                if found.as_deref() != Some(value) && began.elapsed() < DEADLINE {
                    pause();
                    continue;
                }
            }
            let took = began.elapsed();
            // A server's timer may be a little ahead of this clock.
            let least = Duration::from_millis(step.least_millis * 9 / 10);
            assert!(took >= least, "{}: {} took {took:?}", self.name, step.request);
            return answer;
        }
    }

    fn save(&mut self, name: &str, pointer: &str, answer: &Answer) {
        let text = match pointer {
            "" => answer.body.clone(),
            _ => {
                let json: Value = serde_json::from_str(&answer.body).unwrap_or_default();
                let found = json.pointer(pointer).and_then(Value::as_str);
                found.unwrap_or("nothing").to_owned()
            }
        };
        self.saved.insert(name.to_owned(), text);
    }

    fn filled(&self, text: &str) -> String {
        let with_prefix = text.replace("{P}", &self.prefix);
        self.saved.iter().fold(with_prefix, |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }

    fn send(&self, request: &str, body: &str) -> Answer {
        let (method, path) = request.split_once(' ').unwrap();
        let (host, base_path) = self.base.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let (path, body) = (self.filled(path), self.filled(body));
        let content_type = if body.starts_with("text:") { "text/plain;charset=UTF-8" } else { "application/json" };
        let body = body.strip_prefix("text:").unwrap_or(&body);
        let mut text = format!("{method} /{base_path}{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        if !body.is_empty() {
            text += &format!("Content-Type: {content_type}\r\nContent-Length: {}\r\n", body.len());
        } else if method != "GET" {
            text += "Content-Length: 0\r\n";
        }
        let mut stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(format!("{text}\r\n{body}").as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        Answer::read(&answer)
    }

    /// The answer as it stands in the recording.
    fn recorded(&mut self, answer: &Answer) -> String {
        let Answer { status, content_type, body } = answer;
        let body = match serde_json::from_str::<Value>(body) {
            Ok(mut json) if content_type == "application/json" => {
                self.replace(&mut json);
                json.to_string()
            }
            _ => self.replace_in_text(body),
        };
        format!("{status} {content_type} {body}").trim_end().to_owned()
    }

    fn replace(&mut self, json: &mut Value) {
        match json {
            Value::String(text) => *text = self.replace_in_text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.replace(item)),
            Value::Object(members) => {
                if self.name != "shapes" {
                    members.retain(|name, _| !LONG_PARTS.contains(&name.as_str()));
                }
                *members = std::mem::take(members)
                    .into_iter()
                    .map(|(name, value)| (name.replace(&self.prefix, "{P}"), value))
                    .collect();
                for (name, value) in members.iter_mut() {
                    if TIMES.contains(&name.as_str()) && value.as_i64().is_some_and(|time| time > 0) {
                        *value = Value::from("<time>");
                    } else if name == "queueWaitTime" {
                        *value = Value::from("<duration>");
                    } else if name == "instance" {
                        *value = Value::from("<host>");
                    } else if name == "validationErrors" {
                        // The real server lists them in any order.
                        value.as_array_mut().unwrap().sort_by_key(|error| error.to_string());
                        self.replace(value);
                    } else {
                        self.replace(value);
                    }
                }
            }
            _ => {}
        }
    }

    /// Replaces ids by their numbers, this run's prefix, and what follows in messages whose words may differ.
    fn replace_in_text(&mut self, text: &str) -> String {
        let mut out = text.replace(&self.prefix, "{P}");
        let mut from = 0;
        while let Some(at) = find_id(&out[from..]).map(|at| at + from) {
            let id = out[at..at + 36].to_owned();
            let number = self.ids.iter().position(|known| *known == id).unwrap_or_else(|| {
                self.ids.push(id);
                self.ids.len() - 1
            });
            let name = format!("<id {number}>");
            out.replace_range(at..at + 36, &name);
            from = at + name.len();
        }
        for words in ["JSON parse error: ", "Required request body is missing", "Validation failed for argument [0]"] {
            if out.starts_with(words) {
                out.truncate(words.len());
            }
        }
        out
    }
}

/// Where a text of the shape of a UUID begins.
fn find_id(text: &str) -> Option<usize> {
    let is_id = |candidate: &[u8]| {
        candidate.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
    };
    text.as_bytes().windows(36).position(is_id)
}

impl Answer {
    fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let header = |name: &str| {
            head.lines().find_map(|line| {
                let (known, value) = line.split_once(':')?;
                known.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        let is_chunked = header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
        Self {
            status: head.split(' ').nth(1).unwrap_or_default().parse().unwrap_or(0),
            content_type: header("content-type").unwrap_or_else(|| "-".to_owned()),
            body: if is_chunked { unchunked(body) } else { body.to_owned() },
        }
    }
}

fn unchunked(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 {
            break;
        }
        out.push_str(&after[..size]);
        rest = &after[size + 2..];
    }
    out
}

/// A moment between two looks.
fn pause() {
    let (_sender, receiver) = mpsc::channel::<()>();
    // Nobody sends: it waits for the time.
    let _over = receiver.recv_timeout(Duration::from_millis(50));
}
