//! The model of a picture, nodes, edges and groups, and its builder, which walks a definition once. Open ends are what the
//! next task of a sequence is linked to. The walk is bounded in depth, and names never become ids, so nothing in a
//! definition can break a picture.

use std::collections::HashSet;

use crate::{
    json::RawJson,
    metadata::{WorkflowDef, WorkflowTask},
    workflow::{Workflow, WorkflowStatus},
};

use super::{run::Run, text};

/// Deeper nesting is left out: nobody can read it, and viewers nest by recursion too.
const MOST_DEPTH: usize = 24;

/// How many tasks of a dynamic fork are drawn.
const MOST_FORKED: usize = 30;

#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    pub(super) edges: Vec<Edge>,
    /// The nodes in their groups; each node is in one of them.
    pub(super) items: Vec<Item>,
}

#[derive(Clone, Debug)]
pub(super) enum Item {
    /// An index into `nodes`.
    Node(usize),
    Group {
        title: String,
        items: Vec<Item>,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Clean text, one element a line.
    pub(super) lines: Vec<String>,
    pub(super) shape: Shape,
    pub(super) tone: Tone,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    Step,
    Terminal,
    Choice,
    Fork,
    Sub,
    /// Tasks that are known when it runs.
    Various,
}

/// The state of a node as colour; the words are in its lines.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Tone {
    Plain,
    Idle,
    Waiting,
    Running,
    Done,
    Doubtful,
    Failed,
    Canceled,
}

impl Tone {
    /// Those with a class of their own.
    pub(super) const ALL: [Self; 7] =
        [Self::Idle, Self::Waiting, Self::Running, Self::Done, Self::Doubtful, Self::Failed, Self::Canceled];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Idle => "idle",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Doubtful => "doubtful",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// Fill and border; black text is readable on every fill.
    pub(super) fn colours(self) -> (&'static str, &'static str) {
        match self {
            Self::Plain => ("#ffffff", "#000000"),
            Self::Idle => ("#f5f5f5", "#9e9e9e"),
            Self::Waiting => ("#fff3cd", "#b8860b"),
            Self::Running => ("#cfe2ff", "#0d6efd"),
            Self::Done => ("#d1e7dd", "#198754"),
            Self::Doubtful => ("#ffe5d0", "#fd7e14"),
            Self::Failed => ("#f8d7da", "#dc3545"),
            Self::Canceled => ("#e2d9f3", "#6f42c1"),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Edge {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) label: Option<String>,
    pub(super) line: Line,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Line {
    Solid,
    /// A branch that nobody waits for.
    Dashed,
    /// To the begin of a loop.
    Back,
}

/// Where the flow stands: an edge that has no target yet.
#[derive(Clone)]
struct Open {
    from: usize,
    label: Option<String>,
    line: Line,
}

impl Open {
    fn new(from: usize) -> Self {
        Self { from, label: None, line: Line::Solid }
    }

    fn labelled(from: usize, label: impl Into<String>) -> Self {
        Self { label: Some(label.into()), ..Self::new(from) }
    }
}

pub(super) fn of_definition(definition: &WorkflowDef) -> Graph {
    let mut builder = Builder::new(None);
    let open = builder.start(&definition.name, definition.version.unwrap_or(1));
    let open = builder.sequence(&definition.tasks, open, 0);
    builder.end(vec!["end".to_owned()], Tone::Plain, open)
}

pub(super) fn of_execution(workflow: &Workflow) -> Graph {
    let definition = workflow.workflow_definition.as_deref();
    let tasks = definition.map_or(&[][..], |definition| &definition.tasks);
    let mut known = HashSet::new();
    collect_references(tasks, 0, &mut known);
    let run = Run::new(workflow, &known);
    let mut builder = Builder::new(Some(&run));
    let mut open = builder.start(&workflow.workflow_name, workflow.workflow_version);
    open = builder.sequence(tasks, open, 0);
    if definition.is_none() {
        for reference in &run.others {
            let node = builder.executed(reference);
            open = builder.link(open, node);
        }
    }
    let (line, tone) = state_of(workflow);
    let mut lines = vec![line];
    lines.extend(workflow.reason_for_incompletion.as_deref().map(text::line));
    let mut graph = builder.end(lines, tone, open);
    if definition.is_some() && !run.others.is_empty() {
        graph = builder.stray(&run.others, graph);
    }
    graph
}

fn state_of(workflow: &Workflow) -> (String, Tone) {
    let (mark, tone) = match workflow.status {
        WorkflowStatus::Running => ('▶', Tone::Running),
        WorkflowStatus::Paused => ('…', Tone::Waiting),
        WorkflowStatus::Completed => ('✓', Tone::Done),
        WorkflowStatus::Failed | WorkflowStatus::TimedOut => ('✗', Tone::Failed),
        WorkflowStatus::Terminated => ('⊘', Tone::Canceled),
        WorkflowStatus::Other(_) => ('?', Tone::Doubtful),
    };
    let status = text::line(workflow.status.as_str());
    match workflow.start_time > 0 && workflow.end_time > 0 {
        true => (format!("{mark} {status} {}", text::duration(workflow.end_time - workflow.start_time)), tone),
        false => (format!("{mark} {status}"), tone),
    }
}

/// The lists of tasks inside a task.
fn inner_lists(task: &WorkflowTask) -> impl Iterator<Item = &[WorkflowTask]> {
    let cases = task.decision_cases.values().chain(&task.fork_tasks).chain([&task.default_case, &task.loop_over]);
    cases.map(Vec::as_slice)
}

fn collect_references<'a>(tasks: &'a [WorkflowTask], depth: usize, references: &mut HashSet<&'a str>) {
    for task in tasks.iter().filter(|_| depth <= MOST_DEPTH) {
        references.insert(&task.task_reference_name);
        inner_lists(task).for_each(|inner| collect_references(inner, depth + 1, references));
    }
}

struct Builder<'a> {
    /// The execution; taken away while inside an inline sub-workflow, which is an execution of its own.
    run: Option<&'a Run<'a>>,
    graph: Graph,
    /// The items of the groups that are open, outermost first, the graph's own excepted.
    groups: Vec<Vec<Item>>,
    /// What TERMINATE tasks leave, for the end of the workflow they are in.
    ending: Vec<Open>,
}

impl<'a> Builder<'a> {
    fn new(run: Option<&'a Run<'a>>) -> Self {
        Self { run, graph: Graph::default(), groups: Vec::new(), ending: Vec::new() }
    }

    fn start(&mut self, name: &str, version: i32) -> Vec<Open> {
        let lines = vec![text::line(name), format!("version {version}")];
        let start = self.node(lines, Shape::Terminal, Tone::Plain);
        vec![Open::new(start)]
    }

    fn end(&mut self, lines: Vec<String>, tone: Tone, mut open: Vec<Open>) -> Graph {
        open.append(&mut self.ending);
        let end = self.node(lines, Shape::Terminal, tone);
        self.link(open, end);
        std::mem::take(&mut self.graph)
    }

    /// Adds tasks that the definition does not know in a group beside the flow.
    fn stray(&mut self, references: &[String], graph: Graph) -> Graph {
        self.graph = graph;
        self.groups.push(Vec::new());
        for reference in references {
            self.executed(reference);
        }
        self.close_group("not in the definition".to_owned());
        std::mem::take(&mut self.graph)
    }

    fn node(&mut self, lines: Vec<String>, shape: Shape, tone: Tone) -> usize {
        let id = self.graph.nodes.len();
        self.graph.nodes.push(Node { lines, shape, tone });
        self.item(Item::Node(id));
        id
    }

    fn item(&mut self, item: Item) {
        self.groups.last_mut().unwrap_or(&mut self.graph.items).push(item);
    }

    fn close_group(&mut self, title: String) {
        if let Some(items) = self.groups.pop() {
            self.item(Item::Group { title, items });
        }
    }

    fn link(&mut self, open: Vec<Open>, to: usize) -> Vec<Open> {
        let edges = open.into_iter().map(|end| Edge { from: end.from, to, label: end.label, line: end.line });
        self.graph.edges.extend(edges);
        vec![Open::new(to)]
    }

    fn sequence(&mut self, tasks: &[WorkflowTask], mut open: Vec<Open>, depth: usize) -> Vec<Open> {
        if depth > MOST_DEPTH && !tasks.is_empty() {
            let lines = vec![format!("… {} more", tasks.len()), "nested too deep to draw".to_owned()];
            let rest = self.node(lines, Shape::Various, Tone::Plain);
            return self.link(open, rest);
        }
        for (at, task) in tasks.iter().enumerate() {
            open = match kind(task) {
                "SWITCH" | "DECISION" => self.switch(task, open, depth),
                "FORK_JOIN" => self.fork(task, tasks.get(at + 1), open, depth),
                "FORK_JOIN_DYNAMIC" => self.dynamic_fork(task, open),
                "DO_WHILE" => self.do_while(task, open, depth),
                "SUB_WORKFLOW" => self.sub_workflow(task, open, depth),
                "TERMINATE" => {
                    let node = self.task(task, Shape::Terminal, None);
                    self.link(open, node);
                    self.ending.push(Open::new(node));
                    Vec::new()
                }
                "JOIN" | "EXCLUSIVE_JOIN" => {
                    let node = self.task(task, Shape::Fork, None);
                    self.link(open, node)
                }
                _ => {
                    let node = self.task(task, Shape::Step, None);
                    self.link(open, node)
                }
            };
        }
        open
    }

    fn task(&mut self, task: &WorkflowTask, shape: Shape, detail: Option<String>) -> usize {
        let mut lines = vec![text::line(&task.task_reference_name), self.what(task)];
        lines.extend(detail.map(|detail| text::line(&detail)).filter(|detail| !detail.is_empty()));
        if task.optional == Some(true) {
            lines.push("optional".to_owned());
        }
        let tone = self.add_state(&task.task_reference_name, &mut lines);
        self.node(lines, shape, tone)
    }

    /// What a task does: the definition it names, or its type.
    fn what(&self, task: &WorkflowTask) -> String {
        match kind(task) {
            "SIMPLE" | "USER_DEFINED" => text::line(&task.name),
            "DYNAMIC" => {
                let executed = self.run.and_then(|run| run.attempts(&task.task_reference_name).last());
                let chosen = executed.map(|executed| executed.task_type.as_str());
                let chosen = chosen.or(task.dynamic_task_name_param.as_deref()).unwrap_or_default();
                text::line(&format!("DYNAMIC {chosen}"))
            }
            "EVENT" => text::line(&format!("EVENT {}", task.sink.as_deref().unwrap_or_default())),
            kind => text::line(kind),
        }
    }

    fn add_state(&self, reference: &str, lines: &mut Vec<String>) -> Tone {
        let Some(run) = self.run else { return Tone::Plain };
        let (words, tone) = run.state(reference);
        lines.push(words);
        let sub = run.attempts(reference).last().and_then(|last| last.sub_workflow_id.as_deref());
        lines.extend(sub.filter(|id| !id.is_empty()).map(text::line));
        tone
    }

    /// A task that is known from its execution alone.
    fn executed(&mut self, reference: &str) -> usize {
        let mut lines = vec![text::line(reference)];
        let last = self.run.and_then(|run| run.attempts(reference).last());
        lines.extend(last.map(|last| text::line(&last.task_type)));
        let tone = self.add_state(reference, &mut lines);
        self.node(lines, Shape::Step, tone)
    }

    fn switch(&mut self, task: &WorkflowTask, open: Vec<Open>, depth: usize) -> Vec<Open> {
        let old = task.case_expression.as_ref().or(task.case_value_param.as_ref());
        let node = self.task(task, Shape::Choice, task.expression.as_ref().or(old).cloned());
        self.link(open, node);
        let mut ends = Vec::new();
        for (case, tasks) in &task.decision_cases {
            ends.extend(self.sequence(tasks, vec![Open::labelled(node, text::line(case))], depth + 1));
        }
        ends.extend(self.sequence(&task.default_case, vec![Open::labelled(node, "default")], depth + 1));
        ends
    }

    fn fork(&mut self, task: &WorkflowTask, next: Option<&WorkflowTask>, open: Vec<Open>, depth: usize) -> Vec<Open> {
        let node = self.task(task, Shape::Fork, None);
        self.link(open, node);
        let join = next.filter(|next| kind(next) == "JOIN" && !next.join_on.is_empty());
        let mut ends = Vec::new();
        for branch in &task.fork_tasks {
            let mut branch_ends = self.sequence(branch, vec![Open::new(node)], depth + 1);
            let mut inside = HashSet::new();
            collect_references(branch, depth + 1, &mut inside);
            if join.is_some_and(|join| !join.join_on.iter().any(|reference| inside.contains(reference.as_str()))) {
                for end in &mut branch_ends {
                    end.label.get_or_insert_with(|| "not waited for".to_owned());
                    end.line = Line::Dashed;
                }
            }
            ends.append(&mut branch_ends);
        }
        match task.fork_tasks.is_empty() {
            true => vec![Open::new(node)],
            false => ends,
        }
    }

    fn dynamic_fork(&mut self, task: &WorkflowTask, open: Vec<Open>) -> Vec<Open> {
        let node = self.task(task, Shape::Fork, None);
        self.link(open, node);
        let made = self.run.map_or(&[][..], |run| run.made_by(&task.task_reference_name));
        if made.is_empty() {
            let old = task.dynamic_fork_join_tasks_param.as_deref();
            let from = task.dynamic_fork_tasks_param.as_deref().or(old).unwrap_or("its input");
            let lines = vec![text::line(&format!("the tasks in {from}"))];
            let tone = if self.run.is_some() { Tone::Idle } else { Tone::Plain };
            let various = self.node(lines, Shape::Various, tone);
            return self.link(vec![Open::new(node)], various);
        }
        let mut ends = Vec::new();
        for reference in made.iter().take(MOST_FORKED) {
            let forked = self.executed(reference);
            ends.extend(self.link(vec![Open::new(node)], forked));
        }
        if made.len() > MOST_FORKED {
            let lines = vec![format!("… {} more", made.len() - MOST_FORKED)];
            let rest = self.node(lines, Shape::Various, Tone::Plain);
            ends.extend(self.link(vec![Open::new(node)], rest));
        }
        ends
    }

    /// The tasks of a round come first, then the loop itself, which decides whether to go round again.
    fn do_while(&mut self, task: &WorkflowTask, open: Vec<Open>, depth: usize) -> Vec<Open> {
        self.groups.push(Vec::new());
        let first = self.graph.nodes.len();
        let open = self.sequence(&task.loop_over, open, depth + 1);
        let condition = task.loop_condition.clone().filter(|condition| !condition.trim().is_empty());
        let items = task.items.as_ref().map(|items| format!("for each of {items}"));
        let node = self.task(task, Shape::Choice, condition.or(items));
        self.link(open, node);
        let back = Open { line: Line::Back, ..Open::labelled(node, "again") };
        self.link(vec![back], first);
        self.close_group(format!("loop {}", text::line(&task.task_reference_name)));
        vec![Open::new(node)]
    }

    fn sub_workflow(&mut self, task: &WorkflowTask, open: Vec<Open>, depth: usize) -> Vec<Open> {
        let params = task.sub_workflow_param.as_ref();
        let inline = params.and_then(|params| params.workflow_definition.as_ref()).and_then(inline_definition);
        let name = params.and_then(|params| params.name.clone()).unwrap_or_default();
        let detail = match params.and_then(|params| params.version) {
            Some(version) => format!("{name} version {version}"),
            None => name,
        };
        let Some(definition) = inline else {
            let node = self.task(task, Shape::Sub, Some(detail));
            return self.link(open, node);
        };
        self.groups.push(Vec::new());
        let node = self.task(task, Shape::Sub, Some(detail));
        self.link(open, node);
        // What ends inside ends the sub-workflow only; its states are those of another execution.
        let outer = (std::mem::take(&mut self.ending), self.run.take());
        let mut ends = self.sequence(&definition.tasks, vec![Open::new(node)], depth + 1);
        ends.append(&mut self.ending);
        (self.ending, self.run) = outer;
        self.close_group(format!("sub-workflow {}", text::line(&definition.name)));
        ends
    }
}

fn kind(task: &WorkflowTask) -> &str {
    task.task_type.as_deref().filter(|kind| !kind.is_empty()).unwrap_or("SIMPLE")
}

/// A definition that is given and not named by a `${…}` reference.
fn inline_definition(json: &RawJson) -> Option<WorkflowDef> {
    json.is_object().then(|| json.decode().ok()).flatten()
}
