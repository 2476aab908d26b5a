//! What an agent tells while it runs: a stream of events that is read as an iterator. Where a connection ends before the
//! execution does, the next one goes on.

use std::{sync::Arc, time::Duration};

use super::{AgentClient, AgentStatus};
use crate::{
    error::{Error, Result},
    http::{Ended, EventStream, Http, Method, Request, Until},
    json::{JsonMap, RawJson, times, wire, wire_enum},
};

/// What has not come within the time that was given.
const TOO_LATE: &str = "the execution has not ended in time";

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
            until: Until::default(),
            stream: None,
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
/// server closes a stream that has brought nothing; an error is its last item. Dropping it closes the connection.
///
/// A connection is read as long as [`Config::request_timeout`](crate::Config::request_timeout) allows; then, or where it breaks
/// or is closed after it has brought an event, the next one goes on behind the last event. One that breaks before it has brought any, or
/// can't be opened, is an error: begin again with [`AgentEvents::after`], and mind [`Error::retry_after`].
#[must_use]
pub struct AgentEvents {
    http: Arc<Http>,
    execution_id: String,
    /// The last event that was read: the next connection begins behind it.
    last_id: Option<i64>,
    until: Until,
    /// The connection, while there is one.
    stream: Option<EventStream>,
    has_ended: bool,
}

impl AgentEvents {
    /// Begins behind the event with this number.
    pub fn after(mut self, id: i64) -> Self {
        self.last_id = Some(id);
        self
    }

    /// Ends with [`ErrorKind::Deadline`](crate::ErrorKind::Deadline) when the execution has not ended after `limit`, from now on. Defaults to no end.
    pub fn within(mut self, limit: Duration) -> Self {
        self.until = Until::within(limit);
        self
    }

    /// The next event; `None` at the end.
    fn read(&mut self) -> Result<Option<AgentEvent>> {
        loop {
            let mut stream = match self.stream.take() {
                Some(stream) => stream,
                None => self.connect()?,
            };
            match stream.next() {
                Ok(Some(data)) => {
                    self.stream = Some(stream);
                    let event: AgentEvent = serde_json::from_slice(&data)
                        .map_err(|e| Error::decode(self.operation(), None, e, &String::from_utf8_lossy(&data)))?;
                    self.last_id = Some(event.id);
                    return Ok(Some(event));
                }
                // Whoever stands between may have closed it.
                Ok(None) if !stream.has_told() || self.status()?.is_complete => return Ok(None),
                Ok(None) => {}
                // An execution that ended long ago tells nothing, and its stream has no end.
                Err(Ended::TimeOver) => {
                    if self.status()?.is_complete {
                        return Ok(None);
                    }
                }
                Err(Ended::Broken(_)) if stream.has_told() => {}
                Err(Ended::Broken(error) | Ended::Bad(error)) => return Err(error),
            }
        }
    }

    fn connect(&self) -> Result<EventStream> {
        let about = ("get events of agent execution", self.execution_id.as_str());
        let route = "/agent/stream/{executionId}";
        let request = Request::new(Method::Get, route, &[&self.execution_id], about)?;
        let mut request = self.until.limit(request, TOO_LATE)?;
        if let Some(id) = self.last_id {
            request = request.header("Last-Event-ID", &id.to_string())?;
        }
        self.http.events(&request).map_err(|error| self.until.judge(error, TOO_LATE))
    }

    fn status(&self) -> Result<AgentStatus> {
        let about = ("get events of agent execution", self.execution_id.as_str());
        let request = Request::new(Method::Get, "/agent/{executionId}/status", &[&self.execution_id], about)?;
        let request = self.until.limit(request, TOO_LATE)?;
        let answer = self.http.send_safe(&request).and_then(|answer| answer.json());
        answer.map_err(|error| self.until.judge(error, TOO_LATE))
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
        if self.has_ended {
            self.stream = None;
        }
        outcome
    }
}
