//! What is wrong with a definition: everything at once, each finding with its place. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    builder::{
        Note, definition, expression,
        place::{self, At, Places, below, branches, kind},
        text::{constant, is_blank, is_duration, is_method, is_sink, is_time, name_problem},
    },
    json::{JsonMap, RawJson},
    metadata::{HIDDEN_NAMES, OF_TASK, OF_WORKFLOW, TaskDef, TimeoutPolicy, WorkflowDef, WorkflowTask},
};

/// What of the server a `${workflow.…}` may name besides its fields.
const OF_SERVER: &[&str] = &["secrets", "env"];

/// What `$` has in every script.
const OF_OBJECT: &[&str] = &["constructor", "length"];

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
                let problems = definition::problems(task).into_iter();
                findings.extend(problems.map(|what| format!("task definition {}: {what}", task.name)));
            }
            Note::SubWorkflow(child) => {
                let other = children.insert((&child.name, version(child)), child);
                if other.is_some_and(|other| other != &**child) {
                    findings.push(format!("sub-workflow {}: there are two different ones", child.name));
                }
            }
            _ => {}
        }
    }
    findings
}

/// The version that a definition is registered as.
fn version(def: &WorkflowDef) -> i32 {
    def.version.unwrap_or(1)
}

/// A sub-workflow that is registered, and overwritten by the workflow itself.
pub(super) fn overwritten(def: &WorkflowDef, notes: &[Note]) -> Option<String> {
    let is_same = |note: &Note| match note {
        Note::SubWorkflow(child) => child.name == def.name && version(child) == version(def) && **child != *def,
        _ => false,
    };
    let words = "it is called like the workflow itself, which would take its place";
    notes.iter().any(is_same).then(|| format!("sub-workflow {}: {words}", def.name))
}

fn checked(def: &WorkflowDef, notes: &[Note], level: usize) -> Vec<String> {
    let mut checker = Checker::new(def, notes, level);
    checker.workflow();
    checker.findings
}

struct Checker<'a> {
    def: &'a WorkflowDef,
    level: usize,
    too_deep: bool,
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
            too_deep: false,
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
                Note::TooDeep => this.too_deep = true,
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
        if def.tasks.is_empty() && !self.too_deep {
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
        if def.timeout_seconds.is_some_and(|seconds| seconds < 0) {
            self.found("workflow", "the timeout must not be negative");
        }
        let rate_limit = def.rate_limit_config.as_ref().and_then(|limit| limit.policy.as_ref()?.problem("policy"));
        let policy = def.timeout_policy.as_ref().and_then(|policy| policy.problem("timeout_policy"));
        let schemas = definition::schema_problems([&def.input_schema, &def.output_schema]);
        for what in policy.into_iter().chain(rate_limit).chain(schemas) {
            self.found("workflow", what);
        }
        if self.too_deep || too_deep(&def.tasks) || nesting(def) > MOST_JSON_LEVELS {
            let what = format!(
                "it is nested more than {MOST_JSON_LEVELS} levels deep in JSON, which this client could not read back"
            );
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
        if task.extra.came_as_null("type") == Some(true) && task.task_type.is_none() {
            self.found(place, "its type is null: leave it out for a task that a worker runs");
        }
        if task.start_delay.is_some_and(|delay| delay < 0) {
            self.found(place, "the start delay must not be negative");
        }
        for what in task.task_definition.iter().flat_map(definition::problems_of_own) {
            self.found(place, format_args!("its own definition: {what}"));
        }
        if let Some(what) = task.join_mode.as_ref().and_then(|mode| mode.problem("join_mode")) {
            self.found(place, what);
        }
        self.kind(task, next, number);
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
        } else if reference.contains(is_odd) || reference.starts_with('$') {
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
    fn kind(&mut self, task: &'a WorkflowTask, next: Option<&WorkflowTask>, number: usize) {
        let place = task.task_reference_name.as_str();
        let has = |name: &str| task.input_parameters.contains_key(name) || self.has_default(task, name);
        match kind(task) {
            "HTTP" if !has("http_request") && !has("uri") && !has("method") => self.found(place, "there is no request"),
            "KAFKA_PUBLISH" if !has("kafka_request") => self.found(place, "there is no message"),
            "KAFKA_PUBLISH" => self.kafka(task),
            "JSON_JQ_TRANSFORM" if !has("queryExpression") => self.found(place, "there is no jq expression"),
            "JSON_JQ_TRANSFORM" if is_blank(task.input_parameters.get("queryExpression")) => {
                self.found(place, "the jq expression is empty");
            }
            "LAMBDA" if !has("scriptExpression") => self.found(place, "there is no script"),
            "DECISION" if task.case_value_param.is_none() && task.case_expression.is_none() => {
                self.found(place, "there is nothing that the cases are for");
            }
            "HTTP" => self.http(task),
            "EVENT" => self.event(task),
            "START_WORKFLOW" if !has("startWorkflow") => self.found(place, "there is no workflow to start"),
            "START_WORKFLOW" => self.start_workflow(task),
            "DYNAMIC" if task.dynamic_task_name_param.as_deref().is_none_or(|name| !has(name)) => {
                self.found(place, "there is no input that names the task");
            }
            "DYNAMIC" => self.name_in(task, task.dynamic_task_name_param.as_deref().unwrap_or_default(), "task"),
            "INLINE" => self.inline(task),
            "SWITCH" => self.switch(task),
            "FORK_JOIN" | "FORK_JOIN_DYNAMIC" => self.fork(task, next),
            "JOIN" | "EXCLUSIVE_JOIN" => self.join(task, number),
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

    /// A script that is no input is sent as it is: in it, `${…}` is at best a template of JavaScript.
    fn looks_up_nothing(&mut self, place: &str, what: &str, script: &str) {
        if !script.contains('`') && !expression::references(script).is_empty() {
            self.found(
                place,
                format_args!("`${{…}}` is not looked up in a {what}: make it an input and write `$.` and its name"),
            );
        }
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

    /// The name of something else, where it is known before it runs.
    fn other_name(&mut self, place: &str, of: &str, name: Option<&RawJson>) {
        if let Some(what) = name.and_then(constant).as_deref().and_then(name_problem) {
            self.found(place, format_args!("the name of the {of} {what}"));
        }
    }

    fn name_in(&mut self, task: &WorkflowTask, input: &str, of: &str) {
        self.other_name(&task.task_reference_name, of, task.input_parameters.get(input));
    }

    fn priority(&mut self, place: &str, priority: Option<&RawJson>) {
        if priority.and_then(|value| value.decode::<i64>().ok()).is_some_and(|value| !(0..=99).contains(&value)) {
            self.found(place, "the priority must be 0 to 99");
        }
    }

    fn http(&mut self, task: &WorkflowTask) {
        let place = task.task_reference_name.as_str();
        let request = match task.input_parameters.get("http_request") {
            Some(request) => request.decode::<JsonMap>().ok(),
            None if self.has_default(task, "http_request") => None,
            None => Some(task.input_parameters.clone()),
        };
        // What is only looked up when it runs is not known yet.
        let Some(request) = request else { return };
        for name in ["method", "uri"] {
            match request.get(name).map(constant) {
                None if self.has_default(task, name) => {}
                None => self.found(place, format_args!("the request has no {name}")),
                Some(Some(text)) if text.trim().is_empty() => {
                    self.found(place, format_args!("the {name} of the request is empty"));
                }
                Some(Some(text)) if name == "method" && !is_method(&text) => {
                    self.found(place, format_args!("there is no HTTP method `{text}`"));
                }
                Some(_) => {}
            }
        }
    }

    fn kafka(&mut self, task: &WorkflowTask) {
        let message = task.input_parameters.get("kafka_request").and_then(|message| message.decode::<JsonMap>().ok());
        // What is only looked up when it runs is not known yet.
        let Some(message) = message else { return };
        for (name, what) in [("bootStrapServers", "bootstrap servers"), ("topic", "topic")] {
            if message.get(name).is_none_or(|value| is_blank(Some(value))) {
                self.found(&task.task_reference_name, format_args!("the message has no {what}"));
            }
        }
    }

    fn event(&mut self, task: &WorkflowTask) {
        let place = task.task_reference_name.as_str();
        match task.sink.as_deref().unwrap_or_default() {
            sink if sink.trim().is_empty() => self.found(place, "there is no sink"),
            sink if !sink.contains("${") && !is_sink(sink) => {
                self.found(place, format_args!("no server knows the sink `{sink}`: see `Node::event`"));
            }
            _ => {}
        }
    }

    fn start_workflow(&mut self, task: &WorkflowTask) {
        let place = task.task_reference_name.as_str();
        let request = task.input_parameters.get("startWorkflow").and_then(|request| request.decode::<JsonMap>().ok());
        let Some(request) = request else { return };
        let name = request.get("name").cloned().unwrap_or_else(|| RawJson::from(""));
        self.other_name(place, "workflow to start", Some(&name));
        self.priority(place, request.get("priority"));
        if request.get("input").is_some_and(|input| !may_be(input, Value::is_object)) {
            self.found(place, "the input of the workflow to start must be an object");
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
                let value = task.input_parameters.get(expression).and_then(always);
                let is_meant =
                    |value: &String| task.decision_cases.contains_key(value) || !task.default_case.is_empty();
                if let Some(value) = value.filter(|value| !is_meant(value)) {
                    self.found(place, format_args!("the value is always `{value}`, for which there is no case: is `workflow_input` or an output meant?"));
                }
            }
            Some("javascript" | "graaljs") => {
                self.looks_up_nothing(place, "script", expression);
                self.script(task, expression, &BTreeSet::new());
            }
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
        let with_both = input(&task.dynamic_fork_tasks_param) && input(&task.dynamic_fork_tasks_input_param_name);
        let with_tasks = with_both || input(&task.dynamic_fork_join_tasks_param);
        let list = task.input_parameters.get("forkTaskInputs").filter(|list| !list.is_null());
        let with_list = list.is_some();
        // Where the tasks are given, the server falls back on them.
        if !with_tasks && list.is_some_and(|list| !may_be(list, Value::is_array)) {
            self.found(place, "the inputs of the tasks must be a list");
        }
        self.name_in(task, "forkTaskName", "task");
        self.name_in(task, "forkTaskWorkflow", "workflow");
        if !with_tasks && !with_list {
            self.found(place, "there is no input that holds the tasks");
        }
    }

    fn join(&mut self, task: &WorkflowTask, number: usize) {
        let (place, at) = (task.task_reference_name.as_str(), At::Join(number));
        if kind(task) == "EXCLUSIVE_JOIN" && task.join_on.is_empty() {
            self.found(place, "it waits for nothing");
        }
        if kind(task) == "JOIN" {
            if let Some((one, other)) = self.places.never_both(&task.join_on) {
                self.found(
                    place,
                    format_args!("it waits for `{one}` and `{other}`, of which a switch runs one at most"),
                );
            }
        }
        for reference in &task.default_exclusive_join_task {
            self.known(reference, At::Default(number), place, "has the default");
        }
        for reference in &task.join_on {
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
        if task.items.as_ref().is_some_and(|items| !expression::is_reference(items)) {
            self.found(place, "the items must be a reference to a list: any other text counts as the only item");
        }
        match task.loop_condition.as_deref() {
            None => self.found(place, "there is no condition"),
            Some(script) if script.trim().is_empty() && task.items.is_none() => {
                self.found(place, "the condition is empty");
            }
            Some(script) => {
                self.looks_up_nothing(place, "condition", script);
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
            Some(value.decode::<String>().unwrap_or_else(|_| value.get().to_owned()))
        };
        let (duration, until) = (text("duration"), text("until"));
        let is_blank = |text: &String| text.trim().is_empty();
        let is_given = duration.is_some() || until.is_some();
        let (duration, until) = (duration.filter(|text| !is_blank(text)), until.filter(|text| !is_blank(text)));
        match (duration, until) {
            (Some(_), Some(_)) => self.found(place, "it can't wait for a duration and until a time"),
            (None, None) if is_given => {
                self.found(place, "the duration or the time is empty, with which it waits for an answer from outside");
            }
            (Some(text), None) if !text.starts_with("${") && !is_duration(&text) => {
                self.found(place, "the duration must be written as `2 days 3 hours 4 minutes 5 seconds`");
            }
            (None, Some(text)) if !text.starts_with("${") && !is_time(&text) => {
                let forms = "`2026-01-31`, `2026-01-31 17:30` or `2026-01-31 17:30 UTC`";
                self.found(place, format_args!("the time must be one of the calendar, written as {forms}"));
            }
            _ => {}
        }
    }

    fn sub_workflow(&mut self, task: &'a WorkflowTask) {
        let place = task.task_reference_name.as_str();
        let Some(params) = &task.sub_workflow_param else {
            return self.found(place, "there is no sub-workflow");
        };
        self.priority(place, params.priority.as_ref());
        if let Some(what) = params.idempotency_strategy.as_ref().and_then(|it| it.problem("idempotency_strategy")) {
            self.found(place, what);
        }
        let name = params.name.as_deref().unwrap_or_default();
        let is_looked_up = name.contains("${");
        if let Some(what) = name_problem(name).filter(|_| !is_looked_up) {
            self.found(place, format_args!("the name of the sub-workflow {what}"));
        }
        let is_inline = params.workflow_definition.as_ref().is_some_and(RawJson::is_object);
        if params.version.is_none() && !is_inline && (is_looked_up || params.workflow_definition.is_some()) {
            self.found(place, "a sub-workflow that is only known when it runs needs a version");
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
        let parts: Vec<_> = parts.iter().map(String::as_str).collect();
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
        if !OF_WORKFLOW.contains(&field) && !OF_SERVER.contains(&field) {
            return self.found(place, format_args!("`${{{reference}}}`: a workflow has no `{field}`"));
        }
        if let ("variables", Some(name)) = (field, name) {
            if !self.def.variables.contains_key(name) && !self.places.sets_variable(name) {
                let hint = "declare with `WorkflowBuilder::variable` one that is set from outside";
                self.found(place, format_args!("the workflow has no variable `{name}`: {hint}"));
            }
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

/// The text that a value is compared as, where it is known before it runs.
fn always(value: &RawJson) -> Option<String> {
    match value.to_value().ok()? {
        Value::String(_) => constant(value),
        Value::Number(number) if number.is_f64() => None,
        Value::Array(_) | Value::Object(_) => None,
        plain => Some(plain.to_string()),
    }
}

/// Whether it may be a variable of the server's process, which only the server knows: `${HOME}`.
fn is_upper_case(root: &str) -> bool {
    root.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// Whether a value is as it must be, or known only when it runs.
fn may_be(value: &RawJson, is_right: impl FnOnce(&Value) -> bool) -> bool {
    value.to_value().is_ok_and(|value| value.as_str().is_some_and(expression::is_reference) || is_right(&value))
}

/// Whether tasks are inside each other too deep to be looked at.
pub(super) fn too_deep(tasks: &[WorkflowTask]) -> bool {
    // Each task inside another takes two levels of JSON or three.
    2 * place::depth(tasks) > MOST_JSON_LEVELS
}

/// How deep the JSON of a definition is.
fn nesting(def: &WorkflowDef) -> usize {
    RawJson::new(def).map_or(0, |text| expression::depth(text.get()))
}

/// The inputs that a workflow refers to; `None` when it takes its input as a whole.
fn inputs_used(def: &WorkflowDef) -> Option<BTreeSet<String>> {
    let text = RawJson::new(def).ok()?;
    let mut names = BTreeSet::new();
    for (_, text) in expression::texts(&text) {
        for reference in expression::references(&text) {
            let parts = expression::parts(reference);
            if parts.len() > 1 && parts[..2] == ["workflow", "input"] {
                let name = parts.into_iter().nth(2).filter(|name| !name.contains(['$', '*']))?;
                names.insert(name);
            }
        }
    }
    Some(names)
}

fn list_of<T: AsRef<str>>(names: &[T]) -> String {
    names.iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}
