//! What an agent tells while it runs: a stream of events that is read as an iterator. A connection lives as long as a request
//! may take; then the next one goes on where it ended, so that a dead connection is noticed.

use std::{
    io::{self, BufRead, BufReader, Read},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{AgentClient, AgentStatus};
use crate::{
    error::{Error, ErrorKind, Result},
    http::{Http, Method, Request},
    json::{JsonMap, RawJson, times, wire, wire_enum},
};

/// A longer event is taken for something else; the server's own limit for the output of a task is 10 MiB (3.32.1).
const MOST_BYTES: u64 = 32 << 20;

wire_enum! {
    /// What an [`AgentEvent`] is about.
    pub enum AgentEventKind {
        /// The model is asked.
        Thinking = "thinking",
        /// A tool is called.
        ToolCall = "tool_call",
        /// A tool has answered.
        ToolResult = "tool_result",
        /// A guardrail has let something pass.
        GuardrailPass = "guardrail_pass",
        /// A guardrail has stopped something.
        GuardrailFail = "guardrail_fail",
        /// Somebody is waited for: see [`AgentClient::respond`].
        Waiting = "waiting",
        /// Another agent takes over.
        Handoff = "handoff",
        /// A task has failed; of the tool `workflow`, the execution has.
        Error = "error",
        /// The execution has completed.
        Done = "done",
        /// Old messages were put together.
        ContextCondensed = "context_condensed",
        /// An agent within the agent begins.
        SubagentStart = "subagent_start",
        /// An agent within the agent has ended.
        SubagentStop = "subagent_stop",
    }
}

wire! {
    /// Something that an agent tells while it runs. Which fields are there depends on its kind.
    pub struct AgentEvent {
        /// Its number among the events of the execution, from 1.
        pub id: i64 = "id",
        /// What it is about.
        pub kind: AgentEventKind = "type",
        /// The execution.
        pub execution_id: String = "executionId",
        /// Text: a message, a prompt, what failed.
        pub content: Option<String> = "content",
        /// The tool.
        pub tool_name: Option<String> = "toolName",
        /// What the tool is called with.
        pub args: Option<RawJson> = "args",
        /// What the tool, or the agent within, has answered.
        pub result: Option<RawJson> = "result",
        /// The other agent.
        pub target: Option<String> = "target",
        /// The output of the execution.
        pub output: Option<RawJson> = "output",
        /// The guardrail.
        pub guardrail_name: Option<String> = "guardrailName",
        /// What is waited for.
        pub pending_tool: Option<RawJson> = "pendingTool",
        /// When it was, milliseconds since 1970.
        pub timestamp: i64 = "timestamp",
        /// How many messages there were.
        pub messages_before: Option<i32> = "messagesBefore",
        /// How many messages there are.
        pub messages_after: Option<i32> = "messagesAfter",
        /// How many exchanges were put together.
        pub exchanges_condensed: Option<i32> = "exchangesCondensed",
    }
}

times! {
    AgentEvent {
        /// When it was.
        at = timestamp;
    }
}

impl AgentEvent {
    /// Whether the execution ends with it.
    pub fn is_last(&self) -> bool {
        let has_failed = self.kind == AgentEventKind::Error && self.tool_name.as_deref() == Some("workflow");
        has_failed || self.kind == AgentEventKind::Done
    }
}

/// The kinds that [`AgentClient::push_event`] can tell: the server drops all others and does not say so (3.32.1).
const PUSHED: &[AgentEventKind] = &[
    AgentEventKind::Thinking,
    AgentEventKind::ToolCall,
    AgentEventKind::ToolResult,
    AgentEventKind::ContextCondensed,
    AgentEventKind::SubagentStart,
    AgentEventKind::SubagentStop,
];

impl AgentClient {
    /// What an execution tells, from its first event that the server still has: `GET /agent/stream/{executionId}`. The server
    /// keeps 200 events in memory, until five minutes after the execution has ended (3.32.1).
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is no such execution; otherwise when the server can't be reached, has its AI
    /// integrations off or refuses.
    pub fn events(&self, execution_id: &str) -> Result<AgentEvents> {
        self.status(execution_id)?;
        Ok(AgentEvents {
            http: Arc::clone(&self.http),
            execution_id: execution_id.to_owned(),
            last_id: None,
            deadline: None,
            lines: None,
            has_ended: false,
        })
    }

    /// Tells an event of an execution to whoever reads its events: `POST /agent/events/{executionId}`. What `event` holds is
    /// up to its `type`: `content`, `toolName` with `args` or `result`, `agentId` with `prompt` or `result`, `trigger` with
    /// `messagesBefore`, `messagesAfter` and `exchangesCondensed`. The server does not check that the execution exists.
    ///
    /// # Errors
    /// When `type` is missing or none that can be told, or the server can't be reached, has its AI integrations off or refuses.
    pub fn push_event(&self, execution_id: &str, event: &JsonMap) -> Result<()> {
        let about = ("push event of agent execution", execution_id);
        let kind = event.get("type").and_then(|kind| kind.decode::<String>().ok()).unwrap_or_default();
        if !PUSHED.iter().any(|known| known.as_str() == kind) {
            let known: Vec<&str> = PUSHED.iter().map(AgentEventKind::as_str).collect();
            return Err(Error::invalid(about.0, format!("event: its type must be one of {}", known.join(", "))));
        }
        let request = Request::new(Method::Post, "/agent/events/{executionId}", &[execution_id], about)?;
        self.http.send(&request.json(event)?)?.done()
    }
}

/// The events of an execution: an iterator that blocks until the next one is there. It ends with the execution, or where the
/// server closes the stream; an error is its last item.
#[must_use]
pub struct AgentEvents {
    http: Arc<Http>,
    execution_id: String,
    /// The last event that was read: the next connection begins behind it.
    last_id: Option<i64>,
    deadline: Option<Instant>,
    /// The connection, while there is one.
    lines: Option<BufReader<Box<dyn Read + Send + Sync>>>,
    has_ended: bool,
}

impl AgentEvents {
    /// Begins behind the event with this number.
    pub fn after(mut self, id: i64) -> Self {
        self.last_id = Some(id);
        self
    }

    /// Ends with [`ErrorKind::Deadline`] when the execution has not ended after `limit`, from now on. Defaults to no end.
    pub fn within(mut self, limit: Duration) -> Self {
        self.deadline = Instant::now().checked_add(limit);
        self
    }

    /// The next event; `None` at the end.
    fn read(&mut self) -> Result<Option<AgentEvent>> {
        loop {
            let mut lines = match self.lines.take() {
                Some(lines) => lines,
                None => self.connect()?,
            };
            match next_data(&mut lines) {
                Ok(Some(data)) => {
                    self.lines = Some(lines);
                    let event: AgentEvent = serde_json::from_slice(&data)
                        .map_err(|e| Error::decode(self.operation(), None, e, &String::from_utf8_lossy(&data)))?;
                    self.last_id = Some(event.id);
                    return Ok(Some(event));
                }
                Ok(None) => return Ok(None),
                // Its time was over. An execution that ended long ago tells nothing, and its stream has no end.
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    if self.status()?.is_complete {
                        return Ok(None);
                    }
                }
                Err(error) => {
                    let message = format!("the stream of events broke off: {error}");
                    return Err(Error::new(ErrorKind::NoAnswer, self.operation(), message).with_source(error));
                }
            }
        }
    }

    fn connect(&self) -> Result<BufReader<Box<dyn Read + Send + Sync>>> {
        let about = ("get events of agent execution", self.execution_id.as_str());
        let route = "/agent/stream/{executionId}";
        let mut request = Request::new(Method::Get, route, &[&self.execution_id], about)?;
        if let Some(deadline) = self.deadline {
            let rest = deadline.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Err(Error::new(ErrorKind::Deadline, self.operation(), "the execution has not ended in time"));
            }
            request = request.within(rest);
        }
        if let Some(id) = self.last_id {
            request = request.header("Last-Event-ID", &id.to_string())?;
        }
        Ok(BufReader::new(self.http.open(&request)?))
    }

    fn status(&self) -> Result<AgentStatus> {
        AgentClient::new(Arc::clone(&self.http)).status(&self.execution_id)
    }

    fn operation(&self) -> String {
        format!("get events of agent execution {}", self.execution_id)
    }
}

impl std::fmt::Debug for AgentEvents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentEvents")
            .field("execution_id", &self.execution_id)
            .field("last_id", &self.last_id)
            .finish_non_exhaustive()
    }
}

impl Iterator for AgentEvents {
    type Item = Result<AgentEvent>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        let outcome = self.read().transpose();
        self.has_ended = !matches!(&outcome, Some(Ok(event)) if !event.is_last());
        outcome
    }
}

/// The data of the next event in a stream of server-sent events, `None` at its end. Comments, which keep it open, and names
/// and numbers, which are in the data too, are passed over.
fn next_data(lines: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut data = Vec::new();
    loop {
        let mut line = Vec::new();
        if lines.take(MOST_BYTES).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        if line.len() + data.len() >= usize::try_from(MOST_BYTES).unwrap_or(usize::MAX) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an event is too large"));
        }
        match line.trim_ascii_end() {
            b"" if data.is_empty() => {}
            b"" => return Ok(Some(data)),
            line => {
                if let Some(part) = line.strip_prefix(b"data:") {
                    if !data.is_empty() {
                        data.push(b'\n');
                    }
                    data.extend_from_slice(part.trim_ascii_start());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_of_events_is_read_and_comments_are_passed_over() {
        let text =
            b":connected\n\nid:1\nevent:a\ndata:{\"id\":1}\n\n:heartbeat\r\n\r\ndata: [1,\r\ndata: 2]\r\n\r\ndata:cut";
        let mut lines = &text[..];
        let mut next = || next_data(&mut lines).unwrap().map(|data| String::from_utf8(data).unwrap());
        assert_eq!(next().as_deref(), Some("{\"id\":1}"));
        assert_eq!(next().as_deref(), Some("[1,\n2]"));
        assert_eq!(next(), None, "an event that was cut off is none");
    }
}
