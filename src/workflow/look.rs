//! Looks at the states of workflows that many threads wait for: those that come together share a request.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{BulkOutcome, Workflow, WorkflowState};
use crate::{
    error::{Error, ErrorKind, Result, excerpt},
    http::{Http, Method, Request, problem_with_name},
};

/// As many are looked at with one request, where their inputs are small: the answer has all but their tasks.
const MOST_AT_ONCE: usize = 500;

/// Where an answer to a look at several has more bytes, the next look is at fewer.
const LARGE_ANSWER_BYTES: usize = 4 << 20;

/// A look that begins shortly before the deadline still has this long to be answered.
const SHORTEST_LOOK: Duration = Duration::from_secs(1);

/// Between two looks when several threads wait, or when many workflows are looked at one by one: five requests a second in all.
const GAP: Duration = Duration::from_millis(200);

/// A server that has no looks at several (or something before it that does not let them through) is asked again after this.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The state of a workflow, or why it could not be seen.
type Seen = Result<WorkflowState>;

/// The looks of all threads that use a client.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    /// Never held over a request.
    queue: Mutex<Queue>,
    /// Told when a look has ended.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    n_tickets: u64,
    /// The threads that ask now.
    n_asking: usize,
    /// Who asks for a workflow that waits in one of the two lines.
    tickets: HashMap<String, Vec<u64>>,
    /// Looked at together.
    together: VecDeque<String>,
    /// Looked at one by one, since looks at several have not shown them.
    alone: VecDeque<String>,
    answers: HashMap<u64, Vec<(String, Seen)>>,
    /// One of the threads looks for all.
    is_led: bool,
    last_look: Option<Instant>,
    /// When the tasks of one whose time was over were looked at.
    last_tasks: Option<Instant>,
    /// The last look was for several threads, or not all could be looked at with it.
    is_crowded: bool,
    /// It was one from the second line.
    was_alone: bool,
    /// As many are looked at with the next request; `None` before the first.
    n_at_once: Option<usize>,
    /// When looks at several may be tried again.
    together_from: Option<Instant>,
}

/// What one request looks at: workflows with the tickets of who asks.
type Group = Vec<(String, Vec<u64>)>;

impl Queue {
    /// When the next look may be.
    fn due(&self) -> Option<Instant> {
        let gap = if self.is_crowded || self.n_asking > 1 { GAP } else { Duration::ZERO };
        self.last_look.map(|at| at + gap)
    }

    fn ask<'a>(&mut self, ids: impl Iterator<Item = &'a str>) -> u64 {
        let ticket = self.n_tickets;
        self.n_tickets += 1;
        self.n_asking += 1;
        self.answers.insert(ticket, Vec::new());
        for id in ids {
            let tickets = self.tickets.entry(id.to_owned()).or_default();
            if tickets.is_empty() {
                self.together.push_back(id.to_owned());
            }
            // It may be named twice.
            if tickets.last() != Some(&ticket) {
                tickets.push(ticket);
            }
        }
        ticket
    }

    /// Asks no more for these.
    fn leave(&mut self, ticket: u64, ids: &HashSet<&str>) {
        self.n_asking -= 1;
        self.answers.remove(&ticket);
        for id in ids {
            let Some(tickets) = self.tickets.get_mut(*id) else { continue };
            tickets.retain(|other| *other != ticket);
            if tickets.is_empty() {
                self.tickets.remove(*id);
            }
        }
        let Self { tickets, together, alone, .. } = self;
        together.retain(|id| tickets.contains_key(id));
        alone.retain(|id| tickets.contains_key(id));
    }

    /// Takes what is looked at next. The two lines take turns.
    fn next_group(&mut self) -> Group {
        if self.together_from.is_some_and(|from| Instant::now() < from) {
            self.alone.append(&mut self.together);
        }
        self.was_alone = !self.alone.is_empty() && (self.together.is_empty() || !self.was_alone);
        let ids: Vec<String> = match self.was_alone {
            true => self.alone.pop_front().into_iter().collect(),
            false => self.together.drain(..self.together.len().min(self.n_at_once.unwrap_or(MOST_AT_ONCE))).collect(),
        };
        let group = ids.into_iter().filter_map(|id| self.tickets.remove_entry(&id));
        group.collect()
    }

    /// Looks at fewer with the next request when an answer about so many was large, at more when it was small.
    fn suit(&mut self, n_workflows: usize, n_bytes: usize) {
        let fitting = n_workflows.saturating_mul(LARGE_ANSWER_BYTES) / n_bytes.max(1);
        self.n_at_once = Some(fitting.min(n_workflows * 4).clamp(2, MOST_AT_ONCE));
    }

    /// Puts workflows back to where they came from.
    fn put_back(&mut self, group: Group) {
        for (id, mut tickets) in group.into_iter().rev() {
            let known = self.tickets.entry(id.clone()).or_default();
            if known.is_empty() {
                self.together.push_front(id);
            }
            known.append(&mut tickets);
        }
    }

    /// Puts workflows into the line of those that are looked at one by one.
    fn put_alone(&mut self, group: Group) {
        for (id, mut tickets) in group {
            tickets.retain(|ticket| self.answers.contains_key(ticket));
            if tickets.is_empty() {
                continue;
            }
            let known = self.tickets.entry(id.clone()).or_default();
            // Somebody may have asked for it in the meantime.
            if !known.is_empty() {
                self.together.retain(|other| *other != id);
                self.alone.retain(|other| *other != id);
            }
            known.append(&mut tickets);
            self.alone.push_back(id);
        }
    }

    fn answer(&mut self, id: &str, tickets: &[u64], seen: &Seen) {
        for ticket in tickets {
            // Who is not there any more has left.
            if let Some(answers) = self.answers.get_mut(ticket) {
                answers.push((id.to_owned(), copy(seen)));
            }
        }
    }
}

pub(super) fn copy<T: Clone>(outcome: &Result<T>) -> Result<T> {
    outcome.as_ref().map_err(Error::copy).cloned()
}

/// The lead of a thread. What it has not answered when it ends (also by a panic) is looked at one by one.
struct Lead<'a> {
    looks: &'a Looks,
    group: Group,
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let mut queue = self.looks.queue();
        queue.put_alone(mem::take(&mut self.group));
        queue.is_crowded |= !queue.together.is_empty() || !queue.alone.is_empty();
        queue.is_led = false;
        queue.last_look = Some(Instant::now());
        drop(queue);
        self.looks.changed.notify_all();
    }
}

impl Lead<'_> {
    /// Looks once, and answers those who ask.
    fn look(mut self, http: &Http, limit: Duration) {
        let seen = match &self.group[..] {
            [] => return,
            [(id, _)] => HashMap::from([(id.clone(), single_state(http, id, limit))]),
            group => {
                let ids: Vec<&str> = group.iter().map(|(id, _)| id.as_str()).collect();
                match found(http, &ids, limit) {
                    Ok((found, n_bytes)) => {
                        self.looks.queue().suit(ids.len(), n_bytes);
                        found
                    }
                    // Fewer are tried, and where not even two fit, one by one for a while.
                    Err(error) if error.kind() == ErrorKind::TooLarge => {
                        let mut queue = self.looks.queue();
                        queue.n_at_once = Some((ids.len() / 8).max(2));
                        if ids.len() < 16 {
                            queue.together_from = Some(Instant::now() + ASK_AGAIN_AFTER);
                        }
                        queue.put_back(mem::take(&mut self.group));
                        return;
                    }
                    Err(error) if error.is_retryable() => {
                        // There may have been too many for the time.
                        self.looks.queue().n_at_once = Some((ids.len() / 2).max(2));
                        ids.iter().map(|id| ((*id).to_owned(), Err(error.copy()))).collect()
                    }
                    // One of them spoils it for all, or there is no such route.
                    Err(error) => {
                        if error.is_wrong_address() || matches!(error.status(), Some(401..=405 | 501)) {
                            self.looks.queue().together_from = Some(Instant::now() + ASK_AGAIN_AFTER);
                        }
                        HashMap::new()
                    }
                }
            }
        };
        let mut queue = self.looks.queue();
        self.group.retain(|(id, tickets)| match seen.get(id) {
            Some(seen) => {
                queue.answer(id, tickets, seen);
                false
            }
            None => true,
        });
        drop(queue);
    }
}

impl Looks {
    /// Whether the tasks of one whose time is over may be looked at too; that is as rare as other looks.
    pub(super) fn may_look_at_tasks(&self) -> bool {
        let (mut queue, now) = (self.queue(), Instant::now());
        let may = queue.last_tasks.is_none_or(|last| now.duration_since(last) >= GAP);
        if may {
            queue.last_tasks = Some(now);
        }
        may
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Each change leaves it whole.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The states of several workflows, by id; without those that could not be looked at until `end`, for which there is at
    /// least [`SHORTEST_LOOK`]. Threads that ask at about the same time share requests, and who asks for the same one shares a
    /// look.
    pub(super) fn states(&self, http: &Http, ids: &[&str], end: Instant) -> HashMap<String, Seen> {
        let mut seen = HashMap::new();
        let mut missing: HashSet<&str> = ids.iter().copied().collect();
        missing.retain(|id| match problem_with_name("workflowId", id) {
            Some(problem) => {
                let problem = Error::invalid(format!("wait for workflow {}", excerpt(id)), problem);
                seen.insert((*id).to_owned(), Err(problem));
                false
            }
            None => true,
        });
        if missing.is_empty() {
            return seen;
        }
        let end = end.max(Instant::now() + SHORTEST_LOOK);
        let mut queue = self.queue();
        let ticket = queue.ask(ids.iter().copied().filter(|id| missing.contains(id)));
        loop {
            for (id, state) in queue.answers.get_mut(&ticket).map(mem::take).unwrap_or_default() {
                missing.remove(id.as_str());
                seen.insert(id, state);
            }
            let now = Instant::now();
            if missing.is_empty() || now >= end {
                queue.leave(ticket, &missing);
                return seen;
            }
            let due = queue.due().filter(|due| *due > now && !queue.is_led);
            queue = if queue.is_led || due.is_some() {
                let wait = due.unwrap_or(end).min(end) - now;
                self.changed.wait_timeout(queue, wait).unwrap_or_else(PoisonError::into_inner).0
            } else {
                let group = queue.next_group();
                queue.is_led = true;
                queue.is_crowded = queue.n_asking > 1 || queue.was_alone;
                drop(queue);
                Lead { looks: self, group }.look(http, end.saturating_duration_since(now).max(SHORTEST_LOOK));
                self.queue()
            };
        }
    }
}

/// Those that are there, and those that are known not to be, by id; and how many bytes that took.
fn found(http: &Http, ids: &[&str], limit: Duration) -> Result<(HashMap<String, Seen>, usize)> {
    let about = ("wait for workflows", ids[0]);
    let request = Request::new(Method::Post, "/workflow/bulk/search", &[], about)?
        .query("includeTasks", "false")
        .json(&ids)?
        .within(limit);
    let answer = http.send(&request)?;
    let n_bytes = answer.body.len();
    let found: BulkOutcome<Workflow> = answer.json()?;
    let state = |workflow: Workflow| {
        let Workflow { workflow_id, correlation_id, status, output, variables, .. } = workflow;
        let id = workflow_id.clone();
        let known =
            WorkflowState { workflow_id, correlation_id, status, output, variables, ..WorkflowState::default() };
        (id, Ok(known))
    };
    let not_there = found.errors.into_iter().filter(|(_, said)| said.starts_with("No such workflow found"));
    let error = |(id, said): (String, String)| {
        let error = Error::new(ErrorKind::NotFound, format!("wait for workflow {}", excerpt(&id)), excerpt(&said));
        (id, Err(error.with_server_message(Some(said), false)))
    };
    Ok((found.successes.into_iter().map(state).chain(not_there.map(error)).collect(), n_bytes))
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
