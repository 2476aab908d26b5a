//! Looks at the states of workflows that many threads wait for: those that come together share a request.

use std::{
    collections::HashMap,
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{BulkOutcome, Workflow, WorkflowState};
use crate::{
    error::Result,
    http::{Http, Method, Request},
};

/// As many are looked at with one request.
const MOST_AT_ONCE: usize = 500;

/// A look that begins shortly before the deadline still has this long to be answered.
const SHORTEST_LOOK: Duration = Duration::from_secs(1);

/// Between two looks when several threads wait, so that they are a few requests a second in all.
const GAP: Duration = Duration::from_millis(200);

/// Between two looks at single ones of many: 50 requests a second, which a server of any size bears.
const BETWEEN_SINGLE_LOOKS: Duration = Duration::from_millis(20);

/// The looks of all threads that use a client.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    /// Never held over a request.
    queue: Mutex<Queue>,
    /// Told when answers have come, and when nobody leads any more.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    n_tickets: u64,
    waiting: Vec<(u64, String)>,
    answers: HashMap<u64, Result<WorkflowState>>,
    /// One of the threads looks for all.
    is_led: bool,
    last_look: Option<Instant>,
    /// Several took part in the last look.
    was_shared: bool,
}

impl Queue {
    /// When the next look may be.
    fn due(&self) -> Option<Instant> {
        let gap = if self.was_shared || self.waiting.len() > 1 { GAP } else { Duration::ZERO };
        self.last_look.map(|at| at + gap)
    }
}

/// Ends the lead of a thread, also when it panics.
struct Lead<'a>(&'a Looks);

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.is_led = false;
        queue.last_look = Some(Instant::now());
        drop(queue);
        self.0.changed.notify_all();
    }
}

impl Looks {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Each change leaves it whole.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state of a workflow. Threads that ask at about the same time share a request.
    pub(super) fn state(&self, http: &Http, workflow_id: &str, end: Instant) -> Result<WorkflowState> {
        let mut queue = self.queue();
        let ticket = queue.n_tickets;
        queue.n_tickets += 1;
        queue.waiting.push((ticket, workflow_id.to_owned()));
        loop {
            if let Some(answer) = queue.answers.remove(&ticket) {
                return answer;
            }
            // A thread that led and panicked has taken it along.
            if !queue.is_led && queue.waiting.iter().all(|(other, _)| *other != ticket) {
                queue.waiting.push((ticket, workflow_id.to_owned()));
            }
            let wait = queue.due().map_or(Duration::ZERO, |due| due.saturating_duration_since(Instant::now()));
            queue = if queue.is_led {
                self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner)
            } else if !wait.is_zero() {
                self.changed.wait_timeout(queue, wait).unwrap_or_else(PoisonError::into_inner).0
            } else {
                let group = mem::take(&mut queue.waiting);
                queue.is_led = true;
                queue.was_shared = group.len() > 1;
                drop(queue);
                let lead = Lead(self);
                let ids: Vec<&str> = group.iter().map(|(_, id)| id.as_str()).collect();
                let states = states(http, &ids, end);
                let answers = group.iter().zip(states).map(|((ticket, id), state)| {
                    (*ticket, state.unwrap_or_else(|| single_state(http, id, SHORTEST_LOOK)))
                });
                let answers: Vec<_> = answers.collect();
                self.queue().answers.extend(answers);
                drop(lead);
                self.queue()
            };
        }
    }
}

/// The states of several workflows, in the same order; `None` where there was no time until `end`.
pub(super) fn states(http: &Http, ids: &[&str], end: Instant) -> Vec<Option<Result<WorkflowState>>> {
    ids.chunks(MOST_AT_ONCE).flat_map(|group| states_of_group(http, group, end)).collect()
}

fn states_of_group(http: &Http, ids: &[&str], end: Instant) -> Vec<Option<Result<WorkflowState>>> {
    let limit = end.saturating_duration_since(Instant::now()).max(SHORTEST_LOOK);
    if let [id] = ids {
        return vec![Some(single_state(http, id, limit))];
    }
    let mut found = match found(http, ids, limit) {
        Ok(found) => found,
        Err(error) if error.is_retryable() => return ids.iter().map(|_| Some(Err(error.copy()))).collect(),
        // One of them spoils it for all, or the server has no such route.
        Err(_) => HashMap::new(),
    };
    let mut next_look = Instant::now();
    let mut single = |id: &str| {
        rest_until(next_look);
        next_look = Instant::now() + BETWEEN_SINGLE_LOOKS;
        single_state(http, id, limit)
    };
    let state = |id: &&str| match found.remove(*id) {
        Some(state) => Some(Ok(state)),
        // It is not there, or named twice: it is looked at alone, if there is time.
        None => (Instant::now() < end).then(|| single(id)),
    };
    ids.iter().map(state).collect()
}

/// Those that are there, by id.
fn found(http: &Http, ids: &[&str], limit: Duration) -> Result<HashMap<String, WorkflowState>> {
    let about = ("wait for workflows", ids[0]);
    let request = Request::new(Method::Post, "/workflow/bulk/search", &[], about)?
        .query("includeTasks", "false")
        .json(&ids)?
        .within(limit);
    let found: BulkOutcome<Workflow> = http.send(&request)?.json()?;
    let state = |workflow: Workflow| {
        let Workflow { workflow_id, correlation_id, status, output, variables, .. } = workflow;
        let id = workflow_id.clone();
        let known =
            WorkflowState { workflow_id, correlation_id, status, output, variables, ..WorkflowState::default() };
        (id, known)
    };
    Ok(found.successes.into_iter().map(state).collect())
}

fn single_state(http: &Http, workflow_id: &str, limit: Duration) -> Result<WorkflowState> {
    let about = ("wait for workflow", workflow_id);
    let request = Request::new(Method::Get, "/workflow/{workflowId}/status", &[workflow_id], about)?
        .query("includeOutput", "true")
        .query("includeVariables", "true")
        .within(limit);
    http.send(&request)?.json()
}

pub(crate) fn rest_until(time: Instant) {
    if time > Instant::now() {
        // An `at` channel delivers once, when the time has come, and never closes.
        let _over = crossbeam_channel::at(time).recv();
    }
}
