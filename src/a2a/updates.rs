//! What an agent tells of a task while it works at it: `message/stream` of the protocol, read as an iterator. The reference
//! server has no `tasks/resubscribe`, so where the stream ends before the task comes to rest, the task is asked for now and then.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{
    A2aAgent, A2aArtifact, A2aClient, A2aMessage, A2aTask, A2aTaskState, A2aTaskStatus, RpcAnswer, outcome, spoken,
    task_call,
};
use crate::{
    error::{Error, ErrorKind, Result},
    http::{Ended, EventStream, Opened, Until},
    json::{JsonMap, RawJson, wire},
    workflow::rest_until,
};

/// As often as the server looks at a task that it tells of (3.32.1).
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// What has not come before the deadline.
const TOO_LATE: &str = "the task has not come to rest before the deadline: ask for it with A2aClient::task";

wire! {
    /// That the status of an [`A2aTask`] is another one.
    pub struct A2aStatusUpdate {
        /// The task.
        pub task_id: String = "taskId",
        /// The conversation.
        pub context_id: Option<String> = "contextId",
        /// The status.
        pub status: A2aTaskStatus = "status",
        /// Whether the agent's stream ends with it. 3.32.1 ends it with a task that is `working` too, after five minutes.
        pub is_final: bool = "final",
        /// Always `status-update`.
        pub kind: Option<String> = "kind",
        /// What else is to be said of it.
        pub metadata: JsonMap = "metadata",
    }
}

wire! {
    /// That an [`A2aTask`] has brought something.
    pub struct A2aArtifactUpdate {
        /// The task.
        pub task_id: String = "taskId",
        /// The conversation.
        pub context_id: Option<String> = "contextId",
        /// What it has brought.
        pub artifact: A2aArtifact = "artifact",
        /// Whether the parts come behind those that an artifact with this id has already. 3.32.1 tells each one whole.
        pub append: bool = "append",
        /// Whether nothing more comes of this artifact. 3.32.1 does not tell.
        pub last_chunk: bool = "lastChunk",
        /// Always `artifact-update`.
        pub kind: Option<String> = "kind",
        /// What else is to be said of it.
        pub metadata: JsonMap = "metadata",
    }
}

/// One of the [`A2aUpdates`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum A2aUpdate {
    /// The task as it begins: the first one, and of a task that is at rest already all of it.
    Task(A2aTask),
    /// Its status is another one.
    Status(A2aStatusUpdate),
    /// It has brought something.
    Artifact(A2aArtifactUpdate),
    /// Something else. 3.32.1 sends none.
    Other(RawJson),
}

impl A2aUpdate {
    fn of(json: RawJson) -> serde_json::Result<Self> {
        let kind = json.decode::<JsonMap>().ok().and_then(|map| map.get("kind")?.decode::<String>().ok());
        Ok(match kind.as_deref() {
            Some("task") => Self::Task(serde_json::from_str(json.get())?),
            Some("status-update") => Self::Status(serde_json::from_str(json.get())?),
            Some("artifact-update") => Self::Artifact(serde_json::from_str(json.get())?),
            _ => Self::Other(json),
        })
    }

    /// The status that it tells.
    pub fn status(&self) -> Option<&A2aTaskStatus> {
        match self {
            Self::Task(task) => Some(&task.status),
            Self::Status(update) => Some(&update.status),
            Self::Artifact(_) | Self::Other(_) => None,
        }
    }
}

impl A2aTaskState {
    /// Whether nothing more comes until somebody says something.
    fn is_at_rest(&self) -> bool {
        self.is_terminal() || matches!(self, Self::InputRequired | Self::AuthRequired)
    }
}

impl A2aClient {
    /// Says something to an exposed agent, as [`A2aClient::send`] does, and reads what comes of it while it comes:
    /// `message/stream` of the protocol: `POST /a2a/workflow/{name}`, `POST /a2a/agent/{name}`. See [`A2aUpdates`].
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use conductor_sync::{A2aAgent, A2aMessage, A2aUpdate};
    /// let a2a = conductor_sync::Client::from_env()?.a2a();
    /// let message = A2aMessage::text("two pizzas");
    /// for update in a2a.stream(A2aAgent::Workflow("order"), &message, Duration::from_secs(60))? {
    ///     match update? {
    ///         A2aUpdate::Artifact(update) => println!("{:?}", update.artifact.parts),
    ///         update => println!("{:?}", update.status().map(|status| &status.state)),
    ///     }
    /// }
    /// # Ok::<(), conductor_sync::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`A2aClient::send`], and [`ErrorKind::Deadline`] when `deadline` passes before the agent has begun.
    pub fn stream<'a>(&self, agent: A2aAgent<'a>, message: &A2aMessage, deadline: Duration) -> Result<A2aUpdates<'a>> {
        let until = Until::within(deadline);
        let verb = "stream message to agent";
        let request = until.limit(spoken(agent, verb, "message/stream", message)?, TOO_LATE)?;
        let stream = match self.http.open(&request).map_err(|error| until.judge(unknown_task(error), TOO_LATE))? {
            Opened::Events(stream) => stream,
            Opened::Other(answer) => {
                outcome::<RawJson>(&answer)?;
                let message = "the answer is no stream of events";
                return Err(Error::new(ErrorKind::Decode, answer.operation(), message).with_status(answer.status));
            }
        };
        Ok(A2aUpdates {
            client: self.clone(),
            agent,
            until,
            stream: Some(stream),
            seen: None,
            known: VecDeque::new(),
            has_ended: false,
        })
    }
}

/// The stream says this with the status 500 (3.32.1), where [`A2aClient::send`] is refused by the protocol.
fn unknown_task(error: Error) -> Error {
    match error.server_message() {
        Some(said) if error.status() == Some(500) && said.starts_with("No A2A task ") => {
            let said = said.to_owned();
            Error::new(ErrorKind::NotFound, error.operation(), format!("server said 500: {said}"))
                .with_status(500)
                .with_server_message(Some(said), false)
        }
        _ => error,
    }
}

/// What comes of a message to an agent: an iterator that blocks until the next update is there. It ends when the task comes to
/// rest: it has ended, or waits for a message or for a proof of who asks. An error is its last item, with
/// [`ErrorKind::Deadline`] when the deadline comes first; the task itself goes on. Dropping it closes the connection.
///
/// The server's stream is read as long as [`Config::request_timeout`](crate::Config::request_timeout) allows. Then, where it
/// breaks, or ends with a task that is not at rest, the task is asked for twice a second, and told is what is new about it: a
/// state that lasts less may be passed over, as the server's stream passes it over too (3.32.1). A stream that breaks before it
/// has told of a task is an error, and whether the message has arrived is not known.
#[must_use]
pub struct A2aUpdates<'a> {
    client: A2aClient,
    agent: A2aAgent<'a>,
    until: Until,
    /// The connection, while there is one.
    stream: Option<EventStream>,
    /// The task as far as it is known, without what has been said and made but the ids of the latter.
    seen: Option<Seen>,
    /// What is to be told next.
    known: VecDeque<A2aUpdate>,
    has_ended: bool,
}

struct Seen {
    task_id: String,
    state: A2aTaskState,
    artifact_ids: Vec<String>,
}

impl A2aUpdates<'_> {
    /// The next update; `None` at the end.
    fn read(&mut self) -> Result<Option<A2aUpdate>> {
        loop {
            if let Some(update) = self.known.pop_front() {
                return Ok(Some(update));
            }
            if let Some(update) = self.read_stream()? {
                return Ok(Some(update));
            }
            match &self.seen {
                Some(seen) if seen.state.is_at_rest() => return Ok(None),
                _ => self.look()?,
            }
        }
    }

    /// The next update of the connection, `None` where there is none any more.
    fn read_stream(&mut self) -> Result<Option<A2aUpdate>> {
        let Some(mut stream) = self.stream.take() else { return Ok(None) };
        let data = match stream.next() {
            Ok(Some(data)) => data,
            Ok(None) | Err(Ended::TimeOver | Ended::Broken(_)) if self.seen.is_some() => return Ok(None),
            Ok(None) => {
                return Err(Error::new(ErrorKind::NoAnswer, self.operation(), "the stream ended without a task"));
            }
            Err(Ended::TimeOver) if self.until.is_over() => {
                return Err(Error::new(ErrorKind::Deadline, self.operation(), TOO_LATE));
            }
            Err(Ended::TimeOver) => {
                return Err(Error::new(
                    ErrorKind::NoAnswer,
                    self.operation(),
                    "the stream has told of no task in time",
                ));
            }
            Err(Ended::Broken(error) | Ended::Bad(error)) => return Err(error),
        };
        let no_json = |e| Error::decode(self.operation(), None, e, &String::from_utf8_lossy(&data));
        let answer = serde_json::from_slice::<RpcAnswer<RawJson>>(&data).map_err(no_json)?;
        let update = A2aUpdate::of(answer.result(self.operation(), 200)?).map_err(no_json)?;
        self.note(&update);
        let is_final = matches!(&update, A2aUpdate::Status(update) if update.is_final);
        if !is_final {
            self.stream = Some(stream);
        }
        Ok(Some(update))
    }

    fn note(&mut self, update: &A2aUpdate) {
        match (update, &mut self.seen) {
            (A2aUpdate::Task(task), _) => {
                self.seen = Some(Seen {
                    task_id: task.id.clone(),
                    state: task.status.state.clone(),
                    artifact_ids: task.artifacts.iter().map(|made| made.artifact_id.clone()).collect(),
                });
            }
            (A2aUpdate::Status(update), Some(seen)) => seen.state = update.status.state.clone(),
            (A2aUpdate::Artifact(update), Some(seen)) => seen.artifact_ids.push(update.artifact.artifact_id.clone()),
            // Of a task that has not been told of, the id is enough to ask for it.
            (A2aUpdate::Status(A2aStatusUpdate { task_id, status, .. }), None) => {
                let (task_id, state) = (task_id.clone(), status.state.clone());
                self.seen = Some(Seen { task_id, state, artifact_ids: Vec::new() });
            }
            _ => {}
        }
    }

    /// Asks for the task, after a while, and keeps what is new. A server that can't be reached is asked again.
    fn look(&mut self) -> Result<()> {
        let Some(seen) = &self.seen else {
            return Err(Error::new(ErrorKind::NoAnswer, self.operation(), "the stream has told of no task"));
        };
        let mut pause = LOOK_AGAIN_AFTER;
        let task = loop {
            rest_until(self.until.or(Instant::now() + pause));
            let request = self.until.limit(task_call(self.agent, &seen.task_id)?, TOO_LATE)?;
            match self.client.http.send_safe(&request).and_then(|answer| outcome::<A2aTask>(&answer)) {
                Ok(task) => break task,
                Err(error) if self.until.is_over() => return Err(self.until.judge(error, TOO_LATE)),
                Err(error) if error.is_retryable() => {
                    pause = error.retry_after().unwrap_or_default().max(LOOK_AGAIN_AFTER);
                }
                Err(error) => return Err(error),
            }
        };
        let (task_id, context_id) = (task.id, task.context_id);
        for artifact in task.artifacts {
            if !seen.artifact_ids.contains(&artifact.artifact_id) {
                let kind = Some("artifact-update".to_owned());
                let (task_id, context_id) = (task_id.clone(), context_id.clone());
                let update = A2aArtifactUpdate { task_id, context_id, artifact, kind, ..A2aArtifactUpdate::default() };
                self.known.push_back(A2aUpdate::Artifact(update));
            }
        }
        if task.status.state != seen.state {
            let (is_final, kind) = (task.status.state.is_at_rest(), Some("status-update".to_owned()));
            let status = task.status;
            let update = A2aStatusUpdate { task_id, context_id, status, is_final, kind, ..A2aStatusUpdate::default() };
            self.known.push_back(A2aUpdate::Status(update));
        }
        let known = std::mem::take(&mut self.known);
        known.iter().for_each(|update| self.note(update));
        self.known = known;
        Ok(())
    }

    fn operation(&self) -> String {
        format!("stream message to agent {}", self.agent.name())
    }
}

impl std::fmt::Debug for A2aUpdates<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("A2aUpdates").field("agent", &self.agent).finish_non_exhaustive()
    }
}

impl Iterator for A2aUpdates<'_> {
    type Item = Result<A2aUpdate>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        let outcome = self.read().transpose();
        if !matches!(outcome, Some(Ok(_))) {
            self.has_ended = true;
            self.stream = None;
        }
        outcome
    }
}
