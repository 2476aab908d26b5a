//! Waiting for workflows, one or many, and starting one that must not start twice.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{
    CorrelationQuery, StartWorkflowRequest, Workflow, WorkflowClient, WorkflowState, WorkflowStatus, check_start,
    look::{copy, rest_until},
};
use crate::{
    error::{Error, ErrorKind, Result, excerpt},
    http::{Method, Request},
    task::{FAR, Task, TaskStatus},
};

/// The first and the longest pause between looks at a workflow that is waited for: a short one ends soon after it is done,
/// a long one costs one request a second.
const FIRST_LOOK_AFTER: Duration = Duration::from_millis(50);
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What is open when the time is over is looked at once, and of many tasks some are told.
const LAST_LOOK: Duration = Duration::from_secs(1);
const MOST_TOLD: usize = 3;

/// The first and the longest pause before a start whose answer was lost is looked up and tried again.
const FIRST_TRY_AFTER: Duration = Duration::from_millis(500);
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(5);

impl Error {
    /// The workflow that was waited for, as it was last seen: its id, and its state where it could be seen.
    ///
    /// Only errors of [`WorkflowClient::wait`], [`WorkflowClient::wait_all`] and [`WorkflowClient::run`] have it.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")] {
    /// # use std::time::Duration;
    /// # use conductor_sync::*;
    /// # let server = embedded::EmbeddedServer::start()?;
    /// # let client = Client::new(Config::new(&server.url())?)?;
    /// # client.metadata().register_workflow(&WorkflowDef::new("hello").task(WorkflowTask::simple("greet", "greet_ref")))?;
    /// let error = client.workflows().run(&StartWorkflowRequest::new("hello"), Duration::ZERO).unwrap_err();
    /// let state = error.workflow_state().expect("it has been started");
    /// client.workflows().terminate(&state.workflow_id, Some("took too long"))?;
    /// # }
    /// # Ok::<(), conductor_sync::Error>(())
    /// ```
    pub fn workflow_state(&self) -> Option<&WorkflowState> {
        self.seen()
    }
}

/// What [`WorkflowClient::start_once`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum StartOutcome {
    /// It started this workflow.
    Started(String),
    /// This workflow was there: from before, or from a try whose answer was lost.
    Found(String),
}

impl StartOutcome {
    /// The id of the workflow.
    pub fn workflow_id(&self) -> &str {
        match self {
            Self::Started(id) | Self::Found(id) => id,
        }
    }
}

/// A workflow that is waited for.
struct Watched<'a> {
    id: &'a str,
    /// Where its outcome goes.
    place: usize,
    seen: Option<Result<WorkflowState>>,
    /// Why it could not be read when it had ended.
    unread: Option<Error>,
}

impl Watched<'_> {
    fn too_late(self, deadline: Duration) -> Error {
        if let (Some(Ok(state)), Some(error)) = (&self.seen, &self.unread) {
            let told = format!(
                "it ended as {}, but could not be read within {} ms: {error}",
                state.status,
                deadline.as_millis()
            );
            let late = Error::new(ErrorKind::Deadline, format!("wait for workflow {}", self.id), told);
            return late.with_seen(state.clone()).with_source(error.copy());
        }
        let (state, cause) = match self.seen {
            None => ("has not been looked at yet".to_owned(), None),
            Some(Ok(state)) => {
                return too_late(self.id, &format!("was {}", state.status), deadline).with_seen(state);
            }
            Some(Err(error)) => (format!("could not be seen: {error}"), Some(error)),
        };
        let error = too_late(self.id, &state, deadline).with_seen(unseen(self.id));
        match cause {
            Some(cause) => error.with_source(cause),
            None => error,
        }
    }
}

fn too_late(workflow_id: &str, state: &str, deadline: Duration) -> Error {
    let message = format!("not ended within {} ms: it {state}", deadline.as_millis());
    Error::new(ErrorKind::Deadline, format!("wait for workflow {workflow_id}"), message)
}

/// The outcome for another place.
fn again(outcome: &Result<Workflow>) -> Result<Workflow> {
    copy(outcome).map_err(|error| match outcome.as_ref().err().and_then(Error::workflow_state) {
        Some(state) => error.with_seen(state.clone()),
        None => error,
    })
}

/// How an open task is told. Tasks for workers have the name of their definition for a type.
fn waits_for(task: &Task) -> String {
    let is_for_workers = task.task_type == task.task_def_name;
    let hint = match is_for_workers && task.status == TaskStatus::Scheduled && task.poll_count == 0 {
        true => ", which no worker has fetched: is one running for it, with a thread free?",
        false => "",
    };
    let Task { reference_task_name: reference, task_type, status, .. } = task;
    format!("`{}` ({}) {status}{hint}", excerpt(reference), excerpt(task_type))
}

fn unseen(workflow_id: &str) -> WorkflowState {
    WorkflowState { workflow_id: workflow_id.to_owned(), ..WorkflowState::default() }
}

impl WorkflowClient {
    /// Waits until a workflow has ended, however it ended, and returns it with its tasks.
    ///
    /// It looks at once, after 50 ms, then less and less often, down to once a second:
    /// `GET /workflow/{workflowId}/status`. Many threads that wait at the same time share their looks: see [`WorkflowClient::wait_all`]. A server that can't be reached is asked
    /// again until the deadline. What is asked when that passes is waited for, a second or two.
    ///
    /// # Errors
    /// [`ErrorKind::Deadline`] when `deadline` passes first, with the state the workflow was in
    /// ([`Error::workflow_state`]) and the tasks it waits for; otherwise when it does not exist or the server refuses.
    pub fn wait(&self, workflow_id: &str, deadline: Duration) -> Result<Workflow> {
        let outcome = self.wait_all(&[workflow_id], deadline).pop();
        let outcome = outcome.unwrap_or_else(|| Err(too_late(workflow_id, "has not been looked at", deadline)));
        outcome.map_err(|error| match error.workflow_state() {
            Some(state) if error.kind() == ErrorKind::Deadline && state.status == WorkflowStatus::Running => {
                let state = state.clone();
                let what = match self.looks.may_look_at_tasks() {
                    true => format!("was RUNNING{}", self.open_tasks(workflow_id)),
                    false => "was RUNNING".to_owned(),
                };
                too_late(workflow_id, &what, deadline).with_seen(state)
            }
            _ => error,
        })
    }

    /// What a workflow waits for, in words; nothing where that can't be seen in a moment.
    fn open_tasks(&self, workflow_id: &str) -> String {
        let about = ("get workflow", workflow_id);
        let request = Request::new(Method::Get, "/workflow/{workflowId}", &[workflow_id], about);
        let seen = request.and_then(|request| self.http.send(&request.within(LAST_LOOK))?.json::<Workflow>());
        let open = seen.iter().flat_map(|workflow| &workflow.tasks).filter(|task| !task.status.is_terminal());
        let told: Vec<_> = open.take(MOST_TOLD).map(waits_for).collect();
        if told.is_empty() { String::new() } else { format!(", with {}", told.join(", ")) }
    }

    /// Waits until each of these workflows has ended, or `deadline` has passed, and returns them in the same order.
    ///
    /// One request looks at up to 500 of them; the looks become rarer, down to one a second. Each that has ended is fetched
    /// once, with its tasks. Threads that wait at the same time, for the same workflows or others, share their looks when they
    /// use the same [`Client`](crate::Client) or its clones: five requests a second in all. That is also so where the server
    /// has no looks at several (`POST /workflow/bulk/search`), or a proxy does not let them through: then they are looked at
    /// one by one, in turn, so that the end of one of 100 is seen after 20 seconds. A look at several fetches their inputs too;
    /// where those are large, a request looks at fewer.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")] {
    /// # use std::time::Duration;
    /// # use conductor_sync::*;
    /// # let server = embedded::EmbeddedServer::start()?;
    /// # let client = Client::new(Config::new(&server.url())?)?;
    /// # client.metadata().register_workflow(&WorkflowDef::new("hello").task(WorkflowTask::simple("greet", "greet_ref")))?;
    /// let workflows = client.workflows();
    /// let ids = [(); 2].map(|()| workflows.start(&StartWorkflowRequest::new("hello")));
    /// let ids = ids.into_iter().collect::<Result<Vec<_>>>()?;
    /// workflows.terminate(&ids[0], None)?;
    /// let ended = workflows.wait_all(&ids, Duration::from_millis(100));
    /// assert!(ended[0].is_ok());
    /// assert_eq!(ended[1].as_ref().unwrap_err().kind(), ErrorKind::Deadline);
    /// # }
    /// # Ok::<(), conductor_sync::Error>(())
    /// ```
    pub fn wait_all<I: AsRef<str>>(&self, workflow_ids: &[I], deadline: Duration) -> Vec<Result<Workflow>> {
        let end = Instant::now() + deadline.min(FAR);
        let mut outcomes: Vec<Option<Result<Workflow>>> = workflow_ids.iter().map(|_| None).collect();
        // One that is named again is watched once.
        let mut places: HashMap<&str, usize> = HashMap::new();
        let ids = workflow_ids.iter().map(AsRef::as_ref).enumerate();
        let ids = ids.filter(|(place, id)| places.entry(*id).or_insert(*place) == place);
        let mut pending: Vec<Watched<'_>> =
            ids.map(|(place, id)| Watched { id, place, seen: None, unread: None }).collect();
        let mut pause = FIRST_LOOK_AFTER;
        while !pending.is_empty() {
            let is_last = Instant::now() >= end;
            let ids: Vec<&str> = pending.iter().map(|watched| watched.id).collect();
            let mut states = self.looks.states(&self.http, &ids, end);
            let looks = pending.iter_mut().map(|watched| (states.remove(watched.id), watched));
            let asked = looks.filter_map(|(state, watched)| self.take_in(watched, state?, &mut outcomes)).max();
            pending.retain(|watched| outcomes[watched.place].is_none());
            if is_last || pending.is_empty() {
                break;
            }
            rest_until((Instant::now() + pause.max(asked.unwrap_or_default())).min(end));
            pause = (pause * 3 / 2).min(LOOK_AGAIN_AFTER);
        }
        for late in pending {
            let place = late.place;
            outcomes[place] = Some(Err(late.too_late(deadline)));
        }
        for (place, id) in workflow_ids.iter().map(AsRef::as_ref).enumerate() {
            if outcomes[place].is_none() {
                outcomes[place] = outcomes[places[id]].as_ref().map(again);
            }
        }
        outcomes.into_iter().flatten().collect()
    }

    /// Notes what a look has shown, and of one that has ended fetches the whole. Says how long the server asks to wait.
    fn take_in(
        &self,
        watched: &mut Watched<'_>,
        seen: Result<WorkflowState>,
        outcomes: &mut [Option<Result<Workflow>>],
    ) -> Option<Duration> {
        watched.unread = None;
        let mut asked = None;
        let outcome = match &seen {
            Ok(state) if state.status.is_terminal() => match self.get(watched.id) {
                Err(error) if error.is_retryable() => {
                    asked = error.retry_after();
                    watched.unread = Some(error);
                    None
                }
                whole => Some(whole.map_err(|error| error.with_seen(state.clone()))),
            },
            Ok(_) => None,
            Err(error) if error.is_retryable() => {
                asked = error.retry_after();
                None
            }
            Err(error) => Some(Err(error.copy().with_seen(unseen(watched.id)))),
        };
        outcomes[watched.place] = outcome;
        watched.seen = Some(seen);
        asked
    }

    /// Starts a workflow and waits until it has ended, however it ended.
    ///
    /// As [`WorkflowClient::start`] and then [`WorkflowClient::wait`] for the rest of the time.
    ///
    /// # Errors
    /// As those two. Once the workflow has been started, the error knows its id: [`Error::workflow_state`].
    pub fn run(&self, request: &StartWorkflowRequest, deadline: Duration) -> Result<Workflow> {
        let begun = Instant::now();
        let id = self.start(request)?;
        self.wait(&id, deadline.saturating_sub(begun.elapsed()))
    }

    /// Starts a workflow unless there is one of its name with its correlation id, in whatever state, and tries until
    /// `deadline`.
    ///
    /// It looks the correlation id up before each try, so a try whose answer was lost is found by the next. Of several
    /// workflows the oldest is returned. Without a lost answer it costs two requests.
    ///
    /// What can't be had: the open-source server has no idempotency, so two callers at the same time can both find nothing and
    /// both start one, and a request that is still on its way when it is looked up is not found. Let one process start the
    /// workflows of an id, or let the workflow itself bear being started twice.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")] {
    /// # use std::time::Duration;
    /// # use conductor_sync::*;
    /// # let server = embedded::EmbeddedServer::start()?;
    /// # let client = Client::new(Config::new(&server.url())?)?;
    /// # client.metadata().register_workflow(&WorkflowDef::new("order").task(WorkflowTask::simple("ship", "ship")))?;
    /// let request = StartWorkflowRequest::new("order").correlation_id("order 4711");
    /// let first = client.workflows().start_once(&request, Duration::from_secs(30))?;
    /// let again = client.workflows().start_once(&request, Duration::from_secs(30))?;
    /// assert_eq!(again, StartOutcome::Found(first.workflow_id().to_owned()));
    /// # }
    /// # Ok::<(), conductor_sync::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the request has no correlation id; otherwise as [`WorkflowClient::start`], the last failure when `deadline` passes.
    /// With [`Error::is_ambiguous`] it may have started.
    pub fn start_once(&self, request: &StartWorkflowRequest, deadline: Duration) -> Result<StartOutcome> {
        check_start("start workflow", request)?;
        let Some(correlation_id) = request.correlation_id.as_deref().filter(|id| !id.is_empty()) else {
            let operation = format!("start workflow {}", excerpt(&request.name));
            return Err(Error::invalid(
                operation,
                "correlation_id must be set: it is what an earlier start is known by",
            ));
        };
        let end = Instant::now() + deadline.min(FAR);
        let mut pause = FIRST_TRY_AFTER;
        let mut failure: Option<Error> = None;
        loop {
            let tried = match (self.oldest_correlated(&request.name, correlation_id), failure.take()) {
                (Ok(Some(id)), _) => return Ok(StartOutcome::Found(id)),
                // Refused for good, and it has not started in spite of it.
                (Ok(None), Some(refusal)) if !refusal.is_retryable() => return Err(refusal),
                (Ok(None), _) => self.start(request).map(StartOutcome::Started),
                // What the start said is worth more than that it can't be looked up.
                (Err(error), earlier) => Err(earlier.filter(|_| error.is_retryable()).unwrap_or(error)),
            };
            let error = match tried {
                Err(error) if error.is_retryable() || error.may_have_been_done() => error,
                done => return done,
            };
            if Instant::now() + pause >= end {
                return Err(error);
            }
            rest_until(Instant::now() + pause.max(error.retry_after().unwrap_or_default()));
            pause = (pause * 2).min(TRY_AGAIN_AFTER);
            failure = Some(error);
        }
    }

    fn oldest_correlated(&self, name: &str, correlation_id: &str) -> Result<Option<String>> {
        let query = CorrelationQuery::new(name).in_any_state();
        let mut found = self.correlated_by_each(query, &[correlation_id])?;
        let workflows = found.remove(correlation_id).unwrap_or_default();
        Ok(workflows.into_iter().min_by_key(|workflow| workflow.create_time).map(|workflow| workflow.workflow_id))
    }
}
