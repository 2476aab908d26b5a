//! What is wrong with a definition: everything at once, each finding with its place. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    builder::{
        Note, expression,
        place::{self, At, Places, below, branches, kind},
    },
    json::{JsonMap, RawJson},
    metadata::{HIDDEN_NAMES, TaskDef, TimeoutPolicy, WorkflowDef, WorkflowTask},
};

/// What a `${workflow.…}` may name (3.32.1).
const OF_WORKFLOW: &[&str] = &[
    "input",
    "output",
    "status",
    "workflowId",
    "parentWorkflowId",
    "parentWorkflowTaskId",
    "workflowType",
    "version",
    "correlationId",
    "reasonForIncompletion",
    "schemaVersion",
    "variables",
    "secrets",
    "env",
];

/// What a `${task.…}` may name (3.32.1).
const OF_TASK: &[&str] = &[
    "input",
    "output",
    "taskType",
    "status",
    "referenceTaskName",
    "retryCount",
    "correlationId",
    "pollCount",
    "taskDefName",
    "scheduledTime",
    "startTime",
    "endTime",
    "workflowInstanceId",
    "taskId",
    "reasonForIncompletion",
    "callbackAfterSeconds",
    "workerId",
    "iteration",
];

/// What every JavaScript object has.
const OF_OBJECT: &[&str] = &["hasOwnProperty", "toString", "valueOf"];

/// How deep a definition may be in JSON: this client reads 127 levels, and an execution holds its definition.
const MOST_JSON_LEVELS: usize = 120;

/// How deep sub-workflows may hold each other.
const MOST_LEVELS: usize = 20;

pub(super) fn findings(def: &WorkflowDef, notes: &[Note]) -> Vec<String> {
    let mut findings = checked(def, notes, 0);
    let mut tasks: BTreeMap<&str, &TaskDef> = BTreeMap::new();
    let mut children: BTreeMap<_, &WorkflowDef> = BTreeMap::new();
    for note in notes {
        match note {
            Note::Definition(task) => {
                if tasks.insert(&task.name, task).is_some_and(|other| other != &**task) {
                    findings.push(format!("task definition {}: there are two different ones", task.name));
                }
                findings.extend(definition(task));
            }
            Note::SubWorkflow(child) => {
                let other = children.insert((&child.name, child.version), child);
                if other.is_some_and(|other| other != &**child) {
                    findings.push(format!("sub-workflow {}: there are two different ones", child.name));
                }
            }
            _ => {}
        }
    }
    findings
}

/// What is wrong with a task definition.
fn definition(task: &TaskDef) -> Option<String> {
    let (lease, limit) = (task.response_timeout_seconds.unwrap_or(3600), task.timeout_seconds.unwrap_or(0));
    let what = match name_problem(&task.name) {
        Some(what) => format!("the name {what}"),
        None if limit > 0 && lease > limit => {
            format!("the response timeout ({lease} s, 3600 s unless set) is longer than the timeout ({limit} s)")
        }
        None if lease < 1 => "the response timeout must be 1 s or more".to_owned(),
        None => return None,
    };
    Some(format!("task definition {}: {what}", task.name))
}

fn checked(def: &WorkflowDef, notes: &[Note], level: usize) -> Vec<String> {
    let mut checker = Checker::new(def, notes, level);
    checker.workflow();
    checker.findings
}

/// What makes a name unfit, if anything: most names become part of an address.
pub(super) fn name_problem(name: &str) -> Option<&'static str> {
    match name {
        _ if name.trim().is_empty() => Some("is empty"),
        "." | ".." => Some("can't be part of an address: no `/`, `\\` or control characters, not `.` or `..`"),
        _ if name.contains(['/', '\\']) || name.chars().any(char::is_control) => {
            Some("can't be part of an address: no `/`, `\\` or control characters, not `.` or `..`")
        }
        _ => None,
    }
}

struct Checker<'a> {
    def: &'a WorkflowDef,
    level: usize,
    places: Places<'a>,
    outputs: BTreeMap<&'a str, &'a [&'static str]>,
    inputs: BTreeMap<&'a str, &'a [&'static str]>,
    children: BTreeMap<(&'a str, Option<i32>), &'a WorkflowDef>,
    templates: BTreeMap<&'a str, &'a JsonMap>,
    findings: Vec<String>,
}

impl<'a> Checker<'a> {
    fn new(def: &'a WorkflowDef, notes: &'a [Note], level: usize) -> Self {
        let mut this = Self {
            def,
            level,
            places: Places::default(),
            outputs: BTreeMap::new(),
            inputs: BTreeMap::new(),
            children: BTreeMap::new(),
            templates: BTreeMap::new(),
            findings: Vec::new(),
        };
        for note in notes {
            match note {
                Note::Inputs(reference, fields) => drop(this.inputs.insert(reference, fields)),
                Note::Outputs(reference, fields) => drop(this.outputs.insert(reference, fields)),
                Note::SubWorkflow(child) => drop(this.children.insert((&child.name, child.version), child)),
                Note::Definition(task) => drop(this.templates.insert(&task.name, &task.input_template)),
                Note::Unusable(reference, what) => this.findings.push(format!("{reference}: {what}")),
            }
        }
        this
    }

    fn found(&mut self, place: &str, what: impl std::fmt::Display) {
        self.findings.push(format!("{place}: {what}"));
    }

    fn workflow(&mut self) {
        let def = self.def;
        if let Some(what) = name_problem(&def.name) {
            self.found("workflow", format_args!("the name {what}"));
        } else if HIDDEN_NAMES.contains(&def.name.as_str()) {
            self.found("workflow", format_args!("the name `{}` is that of a route of the server", def.name));
        }
        if def.tasks.is_empty() {
            self.found("workflow", "there are no tasks");
        }
        if def.version.is_some_and(|version| version < 1) {
            self.found("workflow", "the version must be 1 or more");
        }
        if def.schema_version.is_some_and(|version| version != 2) {
            self.found("workflow", "the schema version must be 2");
        }
        if def.timeout_policy == Some(TimeoutPolicy::Retry) {
            self.found("workflow", "the timeout policy can't be RETRY, which is for tasks");
        }
        if let Some(depth) = nesting(def) {
            let what = format!("it is nested {depth} levels deep in JSON, which this client could not read back");
            return self.found("workflow", what);
        }
        self.places = Places::of(&def.tasks);
        for reference in self.places.twice() {
            self.found(reference, "the reference name is used more than once");
        }
        self.list(&def.tasks, &mut 0, "workflow");
        for (name, value) in &def.output_parameters {
            self.value(value, At::End, &format!("workflow output `{name}`"));
        }
    }

    /// Checks tasks that follow each other; `n_seen` counts those of the whole workflow.
    fn list(&mut self, tasks: &'a [WorkflowTask], n_seen: &mut usize, place: &str) {
        for (at, task) in tasks.iter().enumerate() {
            let next = tasks.get(at + 1);
            self.task(task, next, *n_seen);
            *n_seen += 1;
            if kind(task) == "TERMINATE" && next.is_some() {
                self.found(place, format_args!("what follows `{}` can't be reached", task.task_reference_name));
            }
            for (name, branch) in branches(task) {
                let place = format!("{}, {name}", task.task_reference_name);
                self.list(branch, n_seen, &place);
            }
        }
    }

    fn task(&mut self, task: &'a WorkflowTask, next: Option<&WorkflowTask>, number: usize) {
        let place = task.task_reference_name.as_str();
        self.names(task);
        let inside = match kind(task) {
            // They are looked up again after each round.
            "DO_WHILE" => At::InLoop(number),
            _ => At::Task(number),
        };
        for (name, value) in &task.input_parameters {
            self.value(value, inside, &format!("{place}, input `{name}`"));
        }
        if kind(task) == "DO_WHILE" && self.places.is_in_loop(number) {
            self.found(place, "a loop inside a loop does not work (3.32.1): put the inner one into a sub-workflow");
        }
        if let Some(fields) = self.inputs.get(place).copied() {
            for name in task.input_parameters.keys().filter(|name| !fields.contains(&name.as_str())) {
                self.found(place, format_args!("the input `{name}` is not one of {}", list_of(fields)));
            }
        }
        let at = At::Task(number);
        self.texts_beside_the_inputs(task, at);
        for (name, branch) in branches(task) {
            // A case of a switch may be empty.
            if branch.is_empty() && matches!(kind(task), "FORK_JOIN" | "DO_WHILE") {
                self.found(
                    place,
                    format_args!("{name} is empty: put a task in, `Node::noop` where nothing is to be done"),
                );
            }
        }
        if task.start_delay.is_some_and(|delay| delay < 0) {
            self.found(place, "the start delay must not be negative");
        }
        self.kind(task, next, at);
    }

    fn names(&mut self, task: &WorkflowTask) {
        let reference = task.task_reference_name.as_str();
        let place = if reference.is_empty() { "a task without a reference name" } else { reference };
        if let Some(what) = name_problem(&task.name) {
            self.found(place, format_args!("the name {what}"));
        }
        // The first ones end a path or a reference (3.32.1), the slashes can't be part of an address.
        let is_odd = |c: char| c.is_control() || " .[({}/\\".contains(c);
        if reference.is_empty() {
            self.found(place, "it needs one");
        } else if reference == "workflow" {
            self.found(place, "as a reference name it means the workflow itself");
        } else if reference.contains(is_odd) {
            self.found(place, "the reference name has characters that can't be used in references");
        } else if self.places.has_loop && reference.contains("__") {
            self.found(place, "a reference name with `__` is mistaken for the round of a loop");
        }
    }

    fn texts_beside_the_inputs(&mut self, task: &'a WorkflowTask, at: At) {
        let place = task.task_reference_name.as_str();
        let texts = [("sink", &task.sink), ("items", &task.items)];
        for (what, text) in texts.into_iter().filter_map(|(what, text)| Some((what, text.as_deref()?))) {
            self.text(text, at, &format!("{place}, {what}"));
        }
        if let Some(key) = task.cache_config.as_ref().and_then(|cache| cache.key.as_deref()) {
            self.text(key, at, &format!("{place}, cache key"));
        }
        let Some(params) = &task.sub_workflow_param else { return };
        for (what, text) in [("name", &params.name), ("idempotency key", &params.idempotency_key)] {
            self.text(text.as_deref().unwrap_or_default(), at, &format!("{place}, sub-workflow {what}"));
        }
        for domain in params.task_to_domain.values() {
            self.text(domain, at, &format!("{place}, domain"));
        }
        for value in [&params.priority, &params.workflow_definition].into_iter().flatten() {
            // A definition has references of its own.
            if !value.is_object() {
                self.value(value, at, &format!("{place}, sub-workflow"));
            }
        }
    }

    /// What the kind of task asks for.
    fn kind(&mut self, task: &'a WorkflowTask, next: Option<&WorkflowTask>, at: At) {
        let place = task.task_reference_name.as_str();
        let has = |name: &str| task.input_parameters.contains_key(name) || self.has_default(task, name);
        match kind(task) {
            "HTTP" if !has("http_request") && !has("uri") && !has("method") => self.found(place, "there is no request"),
            "KAFKA_PUBLISH" if !has("kafka_request") => self.found(place, "there is no message"),
            "JSON_JQ_TRANSFORM" if !has("queryExpression") => self.found(place, "there is no jq expression"),
            "EVENT" if task.sink.as_deref().is_none_or(|sink| sink.trim().is_empty()) => {
                self.found(place, "there is no sink");
            }
            "START_WORKFLOW" if !has("startWorkflow") => self.found(place, "there is no workflow to start"),
            "DYNAMIC" if task.dynamic_task_name_param.as_deref().is_none_or(|name| !has(name)) => {
                self.found(place, "there is no input that names the task");
            }
            "INLINE" => self.inline(task),
            "SWITCH" => self.switch(task),
            "FORK_JOIN" | "FORK_JOIN_DYNAMIC" => self.fork(task, next),
            "JOIN" | "EXCLUSIVE_JOIN" => self.join(task, at),
            "DO_WHILE" => self.do_while(task),
            "SUB_WORKFLOW" => self.sub_workflow(task),
            "TERMINATE" => self.terminate(task),
            "WAIT" => self.wait(task),
            _ => {}
        }
    }

    fn has_default(&self, task: &WorkflowTask, name: &str) -> bool {
        let own = task.task_definition.as_ref().map(|def| &def.input_template);
        let registered = self.templates.get(task.name.as_str()).copied();
        own.into_iter().chain(registered).any(|template| template.contains_key(name))
    }

    fn script(&mut self, task: &WorkflowTask, script: &str, also: &BTreeSet<String>) {
        let known = |name: &String| {
            task.input_parameters.contains_key(name)
                || also.contains(name)
                || self.has_default(task, name)
                || OF_OBJECT.contains(&name.as_str())
        };
        let unknown: BTreeSet<String> =
            expression::script_names(script).into_iter().filter(|name| !known(name)).collect();
        for name in unknown {
            let what = format_args!("the script reads `$.{name}`, which is no input").to_string();
            self.found(&task.task_reference_name, what);
        }
    }

    fn inline(&mut self, task: &WorkflowTask) {
        let input = |name: &str| task.input_parameters.get(name).and_then(|value| value.decode::<String>().ok());
        match input("expression") {
            Some(script) if script.trim().is_empty() => self.found(&task.task_reference_name, "the script is empty"),
            None if !self.has_default(task, "expression") => {
                self.found(&task.task_reference_name, "there is no script");
            }
            // What is looked up before it runs is not known yet.
            Some(script)
                if input("evaluatorType").is_none_or(|evaluator| evaluator.contains("javascript"))
                    && expression::references(&script).is_empty() =>
            {
                self.script(task, &script, &BTreeSet::new());
            }
            _ => {}
        }
    }

    fn switch(&mut self, task: &WorkflowTask) {
        let place = task.task_reference_name.as_str();
        if task.decision_cases.is_empty() {
            self.found(place, "there are no cases");
        }
        let expression = task.expression.as_deref().unwrap_or_default();
        match task.evaluator_type.as_deref() {
            None => self.found(place, "there is no evaluator type"),
            Some(_) if expression.trim().is_empty() => self.found(place, "there is no expression"),
            Some("value-param") => {
                if !task.input_parameters.contains_key(expression) && !self.has_default(task, expression) {
                    self.found(place, format_args!("there is no input `{expression}`, which the cases are for"));
                }
            }
            Some("javascript" | "graaljs") => self.script(task, expression, &BTreeSet::new()),
            Some(_) => {}
        }
    }

    fn fork(&mut self, task: &WorkflowTask, next: Option<&WorkflowTask>) {
        let place = task.task_reference_name.as_str();
        let join = next.filter(|next| kind(next) == "JOIN");
        if join.is_none() {
            self.found(place, "no join follows");
        }
        if kind(task) == "FORK_JOIN" {
            if task.fork_tasks.is_empty() {
                self.found(place, "there are no branches");
            }
            let waits_for_none = join.is_some_and(|join| join.join_on.is_empty());
            if waits_for_none && task.fork_tasks.iter().any(|branch| !branch.is_empty()) {
                self.found(place, "the join behind it waits for nothing");
            }
            return;
        }
        let input = |name: &Option<String>| name.as_ref().is_some_and(|name| task.input_parameters.contains_key(name));
        let with_tasks = input(&task.dynamic_fork_tasks_param) && input(&task.dynamic_fork_tasks_input_param_name);
        let with_list = task.input_parameters.contains_key("forkTaskInputs");
        if !with_tasks && !with_list && !input(&task.dynamic_fork_join_tasks_param) {
            self.found(place, "there is no input that holds the tasks");
        }
    }

    fn join(&mut self, task: &WorkflowTask, at: At) {
        let place = task.task_reference_name.as_str();
        if kind(task) == "EXCLUSIVE_JOIN" && task.join_on.is_empty() {
            self.found(place, "it waits for nothing");
        }
        for reference in task.join_on.iter().chain(&task.default_exclusive_join_task) {
            self.known(reference, at, place, "waits for");
            let is_switch = self.places.task(reference).is_some_and(|task| kind(task) == "SWITCH");
            if is_switch && kind(task) == "JOIN" {
                let what = "not for what follows in its branches: put a noop behind it";
                self.found(place, format_args!("it waits for the switch `{reference}`, {what}"));
            }
        }
    }

    fn do_while(&mut self, task: &WorkflowTask) {
        let place = task.task_reference_name.as_str();
        match task.loop_condition.as_deref() {
            None => self.found(place, "there is no condition"),
            Some(script) if script.trim().is_empty() && task.items.is_none() => {
                self.found(place, "the condition is empty");
            }
            Some(script) => {
                let mut names: BTreeSet<String> = below(task).into_iter().collect();
                names.insert(place.to_owned());
                if task.items.is_some() || task.input_parameters.contains_key("_items") {
                    names.extend(["loopItem", "loopIndex"].map(str::to_owned));
                }
                self.script(task, script, &names);
            }
        }
    }

    fn terminate(&mut self, task: &WorkflowTask) {
        let place = task.task_reference_name.as_str();
        let status = task.input_parameters.get("terminationStatus").and_then(|status| status.decode::<String>().ok());
        if !matches!(status.as_deref(), Some("COMPLETED" | "FAILED" | "TERMINATED")) {
            self.found(place, "the status must be COMPLETED, FAILED or TERMINATED");
        }
        if task.optional == Some(true) {
            self.found(place, "a task that terminates the workflow can't be optional");
        }
    }

    fn wait(&mut self, task: &WorkflowTask) {
        let place = task.task_reference_name.as_str();
        let text = |name: &str| {
            let value = task.input_parameters.get(name)?;
            let text = value.decode::<String>().unwrap_or_else(|_| value.get().to_owned());
            Some(text).filter(|text| !text.trim().is_empty())
        };
        let (duration, until) = (text("duration"), text("until"));
        if duration.is_some() && until.is_some() {
            self.found(place, "it can't wait for a duration and until a time");
        }
        if duration.is_some_and(|text| !text.starts_with("${") && !is_duration(&text)) {
            self.found(place, "the duration must be written as `2 days 3 hours 4 minutes 5 seconds`");
        }
        if until.is_some_and(|text| !text.starts_with("${") && !is_time(&text)) {
            self.found(place, "the time must be written as `2026-01-31`, `2026-01-31 17:30` or `2026-01-31 17:30 UTC`");
        }
    }

    fn sub_workflow(&mut self, task: &'a WorkflowTask) {
        let place = task.task_reference_name.as_str();
        let Some(params) = &task.sub_workflow_param else {
            return self.found(place, "there is no sub-workflow");
        };
        let name = params.name.as_deref().unwrap_or_default();
        if !name.contains("${") {
            if let Some(what) = name_problem(name) {
                self.found(place, format_args!("the name of the sub-workflow {what}"));
            }
        }
        match &params.workflow_definition {
            Some(def) if def.is_object() => self.inline_child(place, task, def),
            Some(_) => {}
            None => {
                if let Some(child) = self.children.get(&(name, params.version)) {
                    self.inputs_of_child(place, task, child);
                }
            }
        }
    }

    fn inline_child(&mut self, place: &str, task: &WorkflowTask, def: &RawJson) {
        if self.level == MOST_LEVELS {
            return self.found(place, format_args!("sub-workflows are nested deeper than {MOST_LEVELS} levels"));
        }
        match def.decode::<WorkflowDef>() {
            Err(error) => self.found(place, format_args!("the sub-workflow can't be read: {error}")),
            Ok(child) => {
                for finding in checked(&child, &[], self.level + 1) {
                    self.found(place, format_args!("sub-workflow {}: {finding}", child.name));
                }
                self.inputs_of_child(place, task, &child);
            }
        }
    }

    /// A sub-workflow knows the inputs it names; where it names none, those it refers to.
    fn inputs_of_child(&mut self, place: &str, task: &WorkflowTask, child: &WorkflowDef) {
        let mut known: BTreeSet<String> = child.input_parameters.iter().cloned().collect();
        if known.is_empty() {
            let Some(used) = inputs_used(child) else { return };
            known = used;
        }
        known.extend(child.input_template.keys().cloned());
        for name in task.input_parameters.keys().filter(|name| !known.contains(*name)) {
            self.found(place, format_args!("the sub-workflow {} has no input `{name}`", child.name));
        }
    }

    fn value(&mut self, value: &RawJson, at: At, place: &str) {
        for (path, text) in expression::texts(value) {
            let inside = if path.is_empty() { String::new() } else { format!(" at `{path}`") };
            self.text(&text, at, &format!("{place}{inside}"));
        }
    }

    fn text(&mut self, text: &str, at: At, place: &str) {
        for reference in expression::references(text) {
            self.reference(reference, at, place);
        }
    }

    fn reference(&mut self, reference: &str, at: At, place: &str) {
        let parts = expression::parts(reference);
        let Some(root) = parts.first().filter(|_| !reference.trim().is_empty()) else {
            return self.found(place, "`${}` refers to nothing");
        };
        if expression::is_broken(reference) {
            return self.found(place, format_args!("`${{{reference}}}` is no path: write odd names as `['odd name']`"));
        }
        // What is made of another reference is known only when it runs.
        let field = parts.get(1).filter(|_| !reference.split('.').take(2).any(|part| part.contains("${")));
        let name = parts.get(2).filter(|part| !part.contains(['$', '*', '?', '@', '('])).copied();
        let is_environment = parts.len() == 1 && self.places.task(root).is_none() && is_upper_case(root);
        if root.contains("${") || is_environment {
            return;
        }
        if *root == "workflow" {
            return self.of_workflow(reference, field.copied(), name, place);
        }
        if !self.known(root, at, place, "refers to") {
            return;
        }
        let Some(field) = field else { return };
        if !OF_TASK.contains(field) {
            self.found(place, format_args!("`${{{reference}}}`: a task has no `{field}`"));
        }
        let outputs = self.outputs.get(root).copied();
        if let (&"output", Some(name), Some(outputs)) = (field, name, outputs) {
            if !outputs.contains(&name) {
                let known = list_of(outputs);
                self.found(place, format_args!("`{root}` has no output `{name}`, only {known}"));
            }
        }
    }

    fn of_workflow(&mut self, reference: &str, field: Option<&str>, name: Option<&str>, place: &str) {
        let Some(field) = field else { return };
        if !OF_WORKFLOW.contains(&field) {
            return self.found(place, format_args!("`${{{reference}}}`: a workflow has no `{field}`"));
        }
        let inputs = &self.def.input_parameters;
        if let ("input", Some(name), false) = (field, name, inputs.is_empty()) {
            if !inputs.iter().any(|input| input == name) && !self.def.input_template.contains_key(name) {
                let known = list_of(inputs);
                self.found(place, format_args!("the workflow has no input `{name}`, only {known}"));
            }
        }
    }

    /// Whether a task may be referred to here; otherwise that is a finding.
    fn known(&mut self, reference: &str, at: At, place: &str, does: &str) -> bool {
        let problem = self.places.problem(reference, at);
        if let Some(what) = problem {
            self.found(place, format_args!("{does} `{reference}`, {what}"));
        }
        problem.is_none()
    }
}

/// Whether it may be a variable of the server's process, which only the server knows: `${HOME}`.
fn is_upper_case(root: &str) -> bool {
    root.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// How deep the JSON of a definition is, where that is too deep.
fn nesting(def: &WorkflowDef) -> Option<usize> {
    // Each task inside another takes two levels or three.
    let depth = place::depth(&def.tasks);
    if depth > MOST_JSON_LEVELS / 2 {
        return Some(2 * depth);
    }
    let text = RawJson::new(def).ok()?;
    Some(expression::depth(text.get())).filter(|depth| *depth > MOST_JSON_LEVELS)
}

/// The inputs that a workflow refers to; `None` when it takes its input as a whole.
fn inputs_used(def: &WorkflowDef) -> Option<BTreeSet<String>> {
    let text = RawJson::new(def).ok()?;
    let mut names = BTreeSet::new();
    for (_, text) in expression::texts(&text) {
        for reference in expression::references(&text) {
            if let ["workflow", "input", rest @ ..] = &*expression::parts(reference) {
                let name = rest.first().filter(|name| !name.contains(['$', '*']))?;
                names.insert((*name).to_owned());
            }
        }
    }
    Some(names)
}

fn list_of<T: AsRef<str>>(names: &[T]) -> String {
    names.iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}

/// A duration as the server reads it: days, hours, minutes and seconds, in this order, each with its unit.
fn is_duration(text: &str) -> bool {
    const UNITS: [&[&str]; 4] = [
        &["days", "day", "d"],
        &["hours", "hour", "hrs", "hr", "h"],
        &["minutes", "minute", "mins", "min", "m"],
        &["seconds", "second", "secs", "sec", "s"],
    ];
    let text = text.to_ascii_lowercase();
    let mut rest = text.trim();
    let mut from = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let after = rest[digits..].trim_start();
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let unit = UNITS.iter().skip(from).position(|names| names.contains(&&after[..letters]));
        let (Ok(_), Some(unit)) = (rest[..digits].parse::<i32>(), unit) else { return false };
        from += unit + 1;
        rest = after[letters..].trim_start();
    }
    from > 0
}

/// A time as the server reads it.
fn is_time(text: &str) -> bool {
    let mut words = text.split(' ');
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let is_date = |word: &str| word.split('-').count() == 3 && word.split('-').all(all_digits);
    let is_hour = |word: &str| word.split(':').count() == 2 && word.split(':').all(all_digits);
    let date = words.next().is_some_and(is_date);
    let hour = words.next().is_none_or(is_hour);
    // The name of a zone may have any form.
    date && hour && words.count() <= 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_times_are_told_from_what_the_server_can_not_read() {
        for text in ["1s", "90s", "1 days 2 hours", "3 minutes 4 seconds", "5m 6S", "1d2h"] {
            assert!(is_duration(text), "{text}");
        }
        for text in ["", "2", "1500ms", "s", "2 seconds 1 minute", "1 fortnight", "99999999999s"] {
            assert!(!is_duration(text), "{text}");
        }
        for text in ["2026-01-31", "2026-01-31 17:30", "2026-01-31 17:30 UTC"] {
            assert!(is_time(text), "{text}");
        }
        for text in ["", "tomorrow", "2026-01", "2026-01-31T17:30", "2026-01-31 17"] {
            assert!(!is_time(text), "{text}");
        }
    }
}
