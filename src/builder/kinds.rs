//! The kinds of tasks that the server itself executes: one constructor each, and what it is given.

use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::{
    builder::{
        Node, Note, WorkflowBuilder, check,
        reference::{TaskReference, ValueOf},
    },
    json::{JsonMap, RawJson},
    metadata::{SubWorkflowParams, WorkflowDef, WorkflowTask, whole_seconds},
    workflow::{StartWorkflowRequest, WorkflowStatus},
};

impl Node {
    /// HTTP: sends a request; the output is `response` with `statusCode`, `body`, `headers` and `reasonPhrase`. A status of
    /// 400 or more fails the task, and it is retried like any other: three times after a minute each, unless
    /// [`Node::retries`] or a definition says otherwise.
    pub fn http(reference: impl Into<String>, request: HttpRequest) -> Self {
        Self::new("HTTP", "http", reference).input("http_request", object(request.fields))
    }

    /// INLINE: evaluates JavaScript on the server; `$` holds the inputs, the value is `result` of the output. The script is
    /// an input itself, in which the server looks up every `${…}`: in a template literal write `$${$.name}`.
    ///
    /// ```
    /// use conductor_sync::{Node, workflow_input};
    /// let sum = Node::inline("sum", "$.a + $.b").input("a", workflow_input("a")).input("b", 2);
    /// assert_eq!(sum.output("result").to_string(), "${sum.output.result}");
    /// ```
    pub fn inline(reference: impl Into<String>, javascript: impl Into<String>) -> Self {
        let node = Self::new("INLINE", "inline", reference).input("evaluatorType", "javascript");
        node.input("expression", javascript.into())
    }

    /// JSON_JQ_TRANSFORM: evaluates a jq expression on the inputs; the first value is `result` of the output, all are
    /// `resultList`.
    pub fn json_jq(reference: impl Into<String>, jq: impl Into<String>) -> Self {
        Self::new("JSON_JQ_TRANSFORM", "jq", reference).input("queryExpression", jq.into())
    }

    /// SWITCH: one of several branches. Its output has `selectedCase`.
    pub fn switch(reference: impl Into<String>, switch: Switch) -> Self {
        let mut node = Self::new("SWITCH", "switch", reference);
        node.task.evaluator_type = Some(switch.evaluator.to_owned());
        node.task.expression = Some(switch.expression);
        node.task.input_parameters = switch.inputs;
        for (value, tasks) in switch.cases {
            if node.task.decision_cases.insert(value.clone(), tasks).is_some() {
                node.refuse(format!("there are two cases `{value}`"));
            }
        }
        node.task.default_case = switch.otherwise;
        node.notes.extend(switch.notes);
        node
    }

    /// FORK_JOIN and the JOIN behind it: branches that run at the same time. The join is called `{reference}_join` and waits
    /// for the last task of each branch: see [`Node::join_on`]. [`Node::output`] is the output of the join, which holds the
    /// outputs of those tasks by their reference names. A branch must not end with a switch, which is over for the join before
    /// its tasks are: put a [`Node::noop`] behind it.
    ///
    /// Nor must it end with a task whose attempts may fail and be retried: the join may look at a failed attempt before the
    /// next one is there, and fail the workflow (3.32.1; where attempts failed, it did so in every third of 40 workflows on a busy
    /// machine). [`Node::noops_at_the_ends`] keeps it from that.
    ///
    /// ```
    /// use conductor_sync::Node;
    /// let (a, b, c) = (Node::noop("a"), Node::noop("b"), Node::noop("c"));
    /// let fork = Node::fork("both", [vec![&a, &b], vec![&c]]);
    /// assert_eq!(fork.output("").to_string(), "${both_join.output}");
    /// ```
    pub fn fork<B>(reference: impl Into<String>, branches: impl IntoIterator<Item = B>) -> Self
    where
        B: IntoIterator<Item: Into<Node>>,
    {
        let mut node = Self::new("FORK_JOIN", "fork", reference);
        for branch in branches {
            let tasks = Self::branch(branch, &mut node.notes);
            node.task.fork_tasks.push(tasks);
        }
        let last = node.task.fork_tasks.iter().filter_map(|branch| branch.last());
        let last = last.map(|task| task.task_reference_name.clone()).collect();
        node.with_join(last)
    }

    /// For a fork: puts a NOOP behind each branch, for which the join waits instead of the last task, so that a failed attempt
    /// of that is retried as it should. The NOOPs are called as those tasks, with `_end` behind. The output of the join is
    /// empty then: refer to the tasks themselves.
    ///
    /// ```
    /// use conductor_sync::{Node, WorkflowBuilder};
    /// let (mail, log) = (Node::simple("mail", "mail"), Node::simple("log", "log"));
    /// let both = Node::fork("both", [[&mail], [&log]]).noops_at_the_ends();
    /// assert_eq!(WorkflowBuilder::new("w").task(both).build()?.tasks[1].join_on, ["mail_end", "log_end"]);
    /// # Ok::<(), conductor_sync::Error>(())
    /// ```
    pub fn noops_at_the_ends(mut self) -> Self {
        let Some(join) = self.join.as_mut().filter(|_| !self.task.fork_tasks.is_empty()) else {
            self.refuse("only a fork has branches with ends");
            return self;
        };
        join.join_on.clear();
        for branch in &mut self.task.fork_tasks {
            let Some(last) = branch.last() else { continue };
            let noop = Self::noop(format!("{}_end", last.task_reference_name)).task;
            join.join_on.push(noop.task_reference_name.clone());
            branch.push(noop);
        }
        self
    }

    fn with_join(mut self, join_on: Vec<String>) -> Self {
        let mut join = WorkflowTask::simple("join", format!("{}_join", self.task.task_reference_name));
        join.task_type = Some("JOIN".to_owned());
        join.join_on = join_on;
        self.join = Some(join);
        self
    }

    /// Sets which tasks the join of this fork waits for, as nodes or reference names; the others go on by themselves. For a
    /// task in a branch of a switch it waits for ever when another branch is taken: put a noop behind the switch, and wait for
    /// that.
    ///
    /// ```
    /// use conductor_sync::{Node, WorkflowBuilder};
    /// let (mail, log) = (Node::simple("mail", "mail"), Node::simple("log", "log"));
    /// let both = Node::fork("both", [[&mail], [&log]]).join_on([&mail]);
    /// assert_eq!(WorkflowBuilder::new("w").task(both).build()?.tasks[1].join_on, ["mail"]);
    /// # Ok::<(), conductor_sync::Error>(())
    /// ```
    pub fn join_on(mut self, tasks: impl IntoIterator<Item: Into<TaskReference>>) -> Self {
        match &mut self.join {
            Some(join) => join.join_on = names_of(tasks),
            None => self.refuse("only a fork has a join"),
        }
        self
    }

    /// FORK_JOIN_DYNAMIC and the JOIN behind it: one task `name` at the same time for each value of a list, which is only
    /// known when it runs. An object in the list is the input of its task, any other value its input `input`. The tasks are
    /// called `_{name}_0`, `_{name}_1` … (`_{reference}_{name}_0` … where a dynamic fork has run before in the workflow);
    /// [`Node::output`] is the output of the join, which holds their outputs by these.
    pub fn dynamic_fork(
        reference: impl Into<String>,
        name: impl Into<String>,
        inputs: impl ValueOf<serde_json::Value>,
    ) -> Self {
        let node = Self::new("FORK_JOIN_DYNAMIC", "dynamic_fork", reference);
        node.input("forkTaskName", name.into()).input("forkTaskInputs", inputs).with_join(Vec::new())
    }

    /// FORK_JOIN_DYNAMIC and the JOIN behind it: one run of the workflow `name` at the same time for each value of a list.
    /// The runs are called `_{reference}_0`, `_{reference}_1` …, otherwise as [`Node::dynamic_fork`].
    pub fn dynamic_fork_workflow(
        reference: impl Into<String>,
        name: impl Into<String>,
        inputs: impl ValueOf<serde_json::Value>,
    ) -> Self {
        let node = Self::new("FORK_JOIN_DYNAMIC", "dynamic_fork", reference);
        node.input("forkTaskWorkflow", name.into()).input("forkTaskInputs", inputs).with_join(Vec::new())
    }

    /// FORK_JOIN_DYNAMIC and the JOIN behind it: a list of whole tasks ([`WorkflowTask`] as JSON), and an object with the
    /// input of each by reference name, both only known when it runs.
    pub fn dynamic_fork_tasks(
        reference: impl Into<String>,
        tasks: impl ValueOf<serde_json::Value>,
        inputs: impl ValueOf<serde_json::Value>,
    ) -> Self {
        let mut node = Self::new("FORK_JOIN_DYNAMIC", "dynamic_fork", reference);
        node.task.dynamic_fork_tasks_param = Some("dynamicTasks".to_owned());
        node.task.dynamic_fork_tasks_input_param_name = Some("dynamicTasksInput".to_owned());
        node.input("dynamicTasks", tasks).input("dynamicTasksInput", inputs).with_join(Vec::new())
    }

    /// DYNAMIC: a task whose name is only known when it runs. A task definition of that name must be registered.
    pub fn dynamic(reference: impl Into<String>, task_name: impl ValueOf<String>) -> Self {
        let mut node = Self::new("DYNAMIC", "dynamic", reference);
        node.task.dynamic_task_name_param = Some("taskToExecute".to_owned());
        node.input("taskToExecute", task_name)
    }

    /// DO_WHILE: tasks that run once and again. Its output has `iteration`, the number of rounds, and under the number of
    /// each round the outputs of its tasks. Inside the loop and behind it, its tasks are referred to by their plain names:
    /// the last round counts.
    ///
    /// A loop inside a loop does not work (server 3.32.1: its condition does not find it, or it goes on for ever):
    /// [`WorkflowBuilder::build`] refuses it. Put the inner one into a sub-workflow ([`SubWorkflow::inline`]).
    pub fn do_while(reference: impl Into<String>, body: DoWhile) -> Self {
        let mut node = Self::new("DO_WHILE", "do_while", reference);
        let own = node.task.task_reference_name.replace('\\', "\\\\").replace('\'', "\\'");
        let condition = match (body.times, body.condition) {
            (Some(n), _) => format!("$['{own}']['iteration'] < {n}"),
            (None, Some(script)) => script,
            (None, None) => "true".to_owned(),
        };
        node.task.loop_condition = Some(condition);
        node.task.items = body.items;
        node.task.loop_over = body.tasks;
        node.task.input_parameters = body.inputs;
        if body.times == Some(0) {
            node.refuse("a loop runs at least once");
        }
        node.notes.extend(body.notes);
        node
    }

    /// SUB_WORKFLOW: runs another workflow with the inputs of this task and waits for it; its output is the task's.
    pub fn sub_workflow(reference: impl Into<String>, child: SubWorkflow) -> Self {
        let name = child.params.name.clone().unwrap_or_default();
        let mut node = Self::new("SUB_WORKFLOW", name, reference);
        node.task.sub_workflow_param = Some(child.params);
        node.notes.extend(child.notes);
        node
    }

    /// START_WORKFLOW: starts a workflow and does not wait for it; the output has its `workflowId`.
    pub fn start_workflow(reference: impl Into<String>, request: &StartWorkflowRequest) -> Self {
        let mut node = Self::new("START_WORKFLOW", "start_workflow", reference);
        match RawJson::new(request) {
            Ok(request) => drop(node.task.input_parameters.insert("startWorkflow".to_owned(), request)),
            Err(error) => node.refuse(error.to_string()),
        }
        node
    }

    /// SET_VARIABLE: sets a variable of the workflow; more with [`Node::input`]. See
    /// [`workflow_variable`](crate::workflow_variable).
    pub fn set_variable(reference: impl Into<String>, variable: impl Into<String>, value: impl Into<RawJson>) -> Self {
        Self::new("SET_VARIABLE", "set_variable", reference).input(variable, value)
    }

    /// TERMINATE: ends the workflow as COMPLETED, FAILED or TERMINATED. See [`Node::workflow_output`] and
    /// [`Node::termination_reason`].
    pub fn terminate(reference: impl Into<String>, status: &WorkflowStatus) -> Self {
        Self::new("TERMINATE", "terminate", reference).input("terminationStatus", status.as_str())
    }

    /// For a task that terminates the workflow: the workflow's output.
    pub fn workflow_output(self, output: impl Into<RawJson>) -> Self {
        self.for_terminate("workflowOutput", output)
    }

    /// For a task that terminates the workflow: why.
    pub fn termination_reason(self, reason: impl ValueOf<String>) -> Self {
        self.for_terminate("terminationReason", reason)
    }

    fn for_terminate(mut self, input: &str, value: impl Into<RawJson>) -> Self {
        if self.task.task_type.as_deref() != Some("TERMINATE") {
            self.refuse(format!("{input} is for a task that terminates the workflow"));
        }
        self.input(input, value)
    }

    /// WAIT: waits for a while; rounded up to whole seconds.
    pub fn wait(reference: impl Into<String>, duration: Duration) -> Self {
        let seconds = whole_seconds(duration);
        let mut node = Self::new("WAIT", "wait", reference).input("duration", format!("{seconds}s"));
        if i32::try_from(seconds).is_err() {
            node.refuse(format!("the wait is longer than {} s", i32::MAX));
        }
        node
    }

    /// WAIT: waits for as long as a text says: `2 days 3 hours 4 minutes 5 seconds`, or a part of it.
    pub fn wait_for(reference: impl Into<String>, duration: impl ValueOf<String>) -> Self {
        Self::new("WAIT", "wait", reference).input("duration", duration)
    }

    /// WAIT: waits until a time; rounded up to whole minutes, which is as fine as the server reads it. A time in the past is
    /// over at once.
    pub fn wait_until(reference: impl Into<String>, time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // The beginning of 1970 is no time for the server, which then waits for ever (3.32.1).
        let minutes = u64::try_from(whole_seconds(since)).unwrap_or(0).div_ceil(60).max(1);
        let mut node = Self::wait_until_text(reference, utc_minute(minutes));
        if minutes > LAST_MINUTE {
            node.refuse("the time is beyond the year 9999");
        }
        node
    }

    /// WAIT: waits until the time that a text says: `2026-01-31 17:30 UTC`, `2026-01-31 17:30` or `2026-01-31` (the last two
    /// in the server's own zone). A zone is `+0100`, `GMT+1:00` or a name like `CET`, not `Europe/Paris`. A day that is not in
    /// the calendar is refused; the server would take `2026-13-01` for the 1st of January 2027. It waits for ever until the very
    /// beginning of 1970 in UTC, which is its word for no time.
    pub fn wait_until_text(reference: impl Into<String>, time: impl ValueOf<String>) -> Self {
        Self::new("WAIT", "wait", reference).input("until", time)
    }

    /// WAIT: waits until the task is completed from outside, for instance with
    /// [`TaskClient::update_by_reference`](crate::TaskClient::update_by_reference).
    pub fn wait_for_signal(reference: impl Into<String>) -> Self {
        Self::new("WAIT", "wait", reference)
    }

    /// HUMAN: waits until a person has done something and the task is completed from outside.
    pub fn human(reference: impl Into<String>) -> Self {
        Self::new("HUMAN", "human", reference)
    }

    /// EVENT: publishes the inputs to a sink: `conductor` or `conductor:name` for the server's own queues, and where the
    /// server has been configured for them `sqs:queue`, `kafka:topic`, `amqp:…`, `amqp_queue:…`, `amqp_exchange:…`,
    /// `nats:subject`, `nats_stream:…` and `jsm:…`. Others are refused. The output has `event_produced`.
    pub fn event(reference: impl Into<String>, sink: impl ValueOf<String>) -> Self {
        let mut node = Self::new("EVENT", "event", reference);
        let sink: RawJson = sink.into();
        match sink.decode::<String>() {
            Ok(sink) => node.task.sink = Some(sink),
            Err(_) => node.refuse("the sink is no text"),
        }
        node
    }

    /// KAFKA_PUBLISH: publishes a message to Kafka, where the server has that task.
    pub fn kafka_publish(reference: impl Into<String>, message: KafkaMessage) -> Self {
        Self::new("KAFKA_PUBLISH", "kafka_publish", reference).input("kafka_request", object(message.fields))
    }

    /// NOOP: does nothing.
    pub fn noop(reference: impl Into<String>) -> Self {
        Self::new("NOOP", "noop", reference)
    }

    /// EXCLUSIVE_JOIN: takes the output of the first of these tasks that has run, for instance of the branches of a switch;
    /// they are given as nodes or reference names. See [`Node::default_join`].
    ///
    /// ```
    /// use conductor_sync::{Node, Switch, WorkflowBuilder, workflow_input};
    /// let (big, small) = (Node::simple("big", "big"), Node::simple("small", "small"));
    /// let way = Node::switch("way", Switch::on(workflow_input("size")).case("big", [&big]).otherwise([&small]));
    /// let either = Node::exclusive_join("either", [&big, &small]).default_join([&small]);
    /// let def = WorkflowBuilder::new("w").task(way).task(&either).output("text", either.output("text")).build()?;
    /// assert_eq!(def.tasks[1].join_on, ["big", "small"]);
    /// # Ok::<(), conductor_sync::Error>(())
    /// ```
    pub fn exclusive_join(reference: impl Into<String>, tasks: impl IntoIterator<Item: Into<TaskReference>>) -> Self {
        let mut node = Self::new("EXCLUSIVE_JOIN", "exclusive_join", reference);
        node.task.join_on = names_of(tasks);
        node
    }

    /// For an exclusive join: the tasks whose output it takes when none of the others has run. Without any, such a join does
    /// not end.
    pub fn default_join(mut self, tasks: impl IntoIterator<Item: Into<TaskReference>>) -> Self {
        if self.task.task_type.as_deref() != Some("EXCLUSIVE_JOIN") {
            self.refuse("a default is for an exclusive join");
        }
        self.task.default_exclusive_join_task = names_of(tasks);
        self
    }

    /// PULL_WORKFLOW_MESSAGES: takes up to `batch_size` messages that were sent to the workflow, and waits for one when there
    /// is none; the output has `messages` and `count`. Only where the server has message queues switched on.
    pub fn pull_workflow_messages(reference: impl Into<String>, batch_size: impl ValueOf<i64>) -> Self {
        Self::new("PULL_WORKFLOW_MESSAGES", "pull_workflow_messages", reference).input("batchSize", batch_size)
    }
}

fn names_of(tasks: impl IntoIterator<Item: Into<TaskReference>>) -> Vec<String> {
    tasks.into_iter().map(|task| String::from(task.into())).collect()
}

fn object(fields: JsonMap) -> RawJson {
    // A map with text keys can be written as JSON.
    RawJson::new(&fields).unwrap_or_default()
}

/// The last minute of the year 9999, in minutes since 1970.
const LAST_MINUTE: u64 = 253_402_300_799 / 60;

/// A time in minutes since 1970 as the server reads it, by the calendar's 400-year cycle of 146,097 days.
fn utc_minute(minutes: u64) -> String {
    let minutes = minutes.min(LAST_MINUTE);
    let (days, minute) = (minutes / 1440, minutes % 1440);
    // Years begin in March here, so that the leap day is the last day.
    let since = days + 719_468;
    let (era, day_of_era) = (since / 146_097, since % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", minute / 60, minute % 60)
}

/// What an HTTP task sends. Defaults to JSON both ways, and to 3 s for the connection and for the answer.
#[derive(Clone, Debug)]
#[must_use]
pub struct HttpRequest {
    fields: JsonMap,
}

impl HttpRequest {
    /// A request; `method` is GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS or TRACE, in capitals.
    pub fn new(method: impl ValueOf<String>, uri: impl ValueOf<String>) -> Self {
        Self { fields: JsonMap::new() }.set("method", method).set("uri", uri)
    }

    /// A GET.
    pub fn get(uri: impl ValueOf<String>) -> Self {
        Self::new("GET", uri)
    }

    /// A POST.
    pub fn post(uri: impl ValueOf<String>, body: impl Into<RawJson>) -> Self {
        Self::new("POST", uri).body(body)
    }

    fn set(mut self, name: &str, value: impl Into<RawJson>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// Sets the body.
    pub fn body(self, body: impl Into<RawJson>) -> Self {
        self.set("body", body)
    }

    /// Sets a header.
    pub fn header(self, name: impl Into<String>, value: impl ValueOf<String>) -> Self {
        let before = self.fields.get("headers").and_then(|headers| headers.decode::<JsonMap>().ok());
        let mut headers = before.unwrap_or_default();
        headers.insert(name.into(), value.into());
        self.set("headers", object(headers))
    }

    /// Sets the type of the body. Defaults to `application/json`.
    pub fn content_type(self, media_type: impl ValueOf<String>) -> Self {
        self.set("contentType", media_type)
    }

    /// Sets which type of answer is asked for. Defaults to `application/json`.
    pub fn accept(self, media_type: impl Into<String>) -> Self {
        self.set("accept", json!([media_type.into()]))
    }

    /// Sets how long the connection may take and how long each part of the answer may. Defaults to 3 s for both.
    pub fn timeouts(self, connection: Duration, answer: Duration) -> Self {
        self.set("connectionTimeOut", millis(connection)).set("readTimeOut", millis(answer))
    }
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

/// What a KAFKA_PUBLISH task sends.
#[derive(Clone, Debug)]
#[must_use]
pub struct KafkaMessage {
    fields: JsonMap,
}

impl KafkaMessage {
    /// A message for a topic; `servers` is a list of `host:port` with commas.
    pub fn new(servers: impl ValueOf<String>, topic: impl ValueOf<String>, value: impl Into<RawJson>) -> Self {
        Self { fields: JsonMap::new() }.set("bootStrapServers", servers).set("topic", topic).set("value", value)
    }

    fn set(mut self, name: &str, value: impl Into<RawJson>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// Sets the key.
    pub fn key(self, key: impl Into<RawJson>) -> Self {
        self.set("key", key)
    }

    /// Sets the Java class that writes the key. Defaults to the one for text.
    pub fn key_serializer(self, class: impl ValueOf<String>) -> Self {
        self.set("keySerializer", class)
    }

    /// Sets a header.
    pub fn header(self, name: impl Into<String>, value: impl ValueOf<String>) -> Self {
        let before = self.fields.get("headers").and_then(|headers| headers.decode::<JsonMap>().ok());
        let mut headers = before.unwrap_or_default();
        headers.insert(name.into(), value.into());
        self.set("headers", object(headers))
    }

    /// Sets how long the request and the wait for room in the buffer may take.
    pub fn timeouts(self, request: Duration, block: Duration) -> Self {
        self.set("requestTimeoutMs", millis(request)).set("maxBlockMs", millis(block))
    }
}

/// What a switch looks at and where it leads.
#[derive(Clone, Debug)]
#[must_use]
pub struct Switch {
    evaluator: &'static str,
    expression: String,
    inputs: JsonMap,
    cases: Vec<(String, Vec<WorkflowTask>)>,
    otherwise: Vec<WorkflowTask>,
    notes: Vec<Note>,
}

impl Switch {
    /// Compares a value as text with the cases. One that is no reference must have a case: see [`workflow_input`] and
    /// [`Node::output`] for references.
    ///
    /// [`workflow_input`]: crate::workflow_input
    pub fn on(value: impl Into<RawJson>) -> Self {
        Self::new("value-param", "value".to_owned()).input("value", value)
    }

    /// Compares what JavaScript makes of the inputs, held by `$`, with the cases: see [`Switch::input`].
    pub fn javascript(script: impl Into<String>) -> Self {
        Self::new("javascript", script.into())
    }

    fn new(evaluator: &'static str, expression: String) -> Self {
        Self { evaluator, expression, inputs: JsonMap::new(), cases: vec![], otherwise: vec![], notes: vec![] }
    }

    /// Sets an input for the script.
    pub fn input(mut self, name: impl Into<String>, value: impl Into<RawJson>) -> Self {
        self.inputs.insert(name.into(), value.into());
        self
    }

    /// Adds the branch for a value; without nodes nothing is done for it.
    pub fn case(mut self, value: impl Into<String>, nodes: impl IntoIterator<Item: Into<Node>>) -> Self {
        self.cases.push((value.into(), Node::branch(nodes, &mut self.notes)));
        self
    }

    /// Sets the branch for all other values. Without it nothing is done for them.
    pub fn otherwise(mut self, nodes: impl IntoIterator<Item: Into<Node>>) -> Self {
        self.otherwise = Node::branch(nodes, &mut self.notes);
        self
    }
}

/// The tasks of a loop and how often they run.
#[derive(Clone, Debug)]
#[must_use]
pub struct DoWhile {
    times: Option<u32>,
    condition: Option<String>,
    items: Option<String>,
    tasks: Vec<WorkflowTask>,
    inputs: JsonMap,
    notes: Vec<Note>,
}

impl DoWhile {
    /// Runs the tasks once, and again as long as a piece of JavaScript is true after a round. There `$` holds the outputs of
    /// the loop and of its tasks by reference name, and the inputs of the loop: `$.fetch.more`, `$.rounds.iteration < 5`.
    pub fn condition(javascript: impl Into<String>, nodes: impl IntoIterator<Item: Into<Node>>) -> Self {
        Self { condition: Some(javascript.into()), ..Self::new(nodes) }
    }

    /// Runs the tasks a number of times, at least once.
    pub fn times(n_rounds: u32, nodes: impl IntoIterator<Item: Into<Node>>) -> Self {
        Self { times: Some(n_rounds), ..Self::new(nodes) }
    }

    /// Runs the tasks for each value of a list, given by a reference to it; not at all when it is empty. Inside, the loop's output has `loopItem` and
    /// `loopIndex` (from 0): `task_reference("the_loop").output("loopItem")`.
    pub fn each(items: impl Into<String>, nodes: impl IntoIterator<Item: Into<Node>>) -> Self {
        Self { items: Some(items.into()), ..Self::new(nodes) }
    }

    fn new(nodes: impl IntoIterator<Item: Into<Node>>) -> Self {
        let mut notes = Vec::new();
        let tasks = Node::branch(nodes, &mut notes);
        Self { times: None, condition: None, items: None, tasks, inputs: JsonMap::new(), notes }
    }

    /// Ends a loop over a list early: it goes on only while a piece of JavaScript is true after a round. There `$` also holds
    /// `loopItem` and `loopIndex`.
    pub fn as_long_as(mut self, javascript: impl Into<String>) -> Self {
        self.condition = Some(javascript.into());
        self
    }

    /// Sets an input for the condition.
    pub fn input(mut self, name: impl Into<String>, value: impl Into<RawJson>) -> Self {
        self.inputs.insert(name.into(), value.into());
        self
    }

    /// Keeps the outputs and tasks of the last rounds only. Defaults to all.
    pub fn keep_last(self, n_rounds: u32) -> Self {
        self.input("keepLastN", n_rounds)
    }
}

/// Which workflow a SUB_WORKFLOW task runs.
#[derive(Clone, Debug)]
#[must_use]
pub struct SubWorkflow {
    params: SubWorkflowParams,
    notes: Vec<Note>,
}

impl SubWorkflow {
    /// A workflow that is registered on the server, in its latest version.
    pub fn named(name: impl Into<String>) -> Self {
        let params = SubWorkflowParams { name: Some(name.into()), ..SubWorkflowParams::default() };
        Self { params, notes: Vec::new() }
    }

    /// A workflow that is registered together with the one that runs it: see [`WorkflowBuilder::register`].
    pub fn registered(child: &WorkflowBuilder) -> Self {
        let mut this = Self::named(&*child.def.name);
        this.params.version = child.def.version;
        this.take_notes(child, child.findings());
        this.notes.push(Note::SubWorkflow(Box::new(child.def.clone())));
        this
    }

    /// A workflow that is part of the one that runs it, and is not registered.
    pub fn inline(child: &WorkflowBuilder) -> Self {
        let mut this = Self::named(&*child.def.name);
        // What its definition shows is found again when the whole is built.
        let shown = check::findings(&child.def, &[]);
        let findings = check::findings(&child.def, &child.notes);
        this.take_notes(child, findings.into_iter().filter(|finding| !shown.contains(finding)).collect());
        match RawJson::new(&child.def) {
            Ok(def) => this.params.workflow_definition = Some(def),
            Err(error) => this.notes.push(Note::Unusable(child.def.name.clone(), error.to_string())),
        }
        this
    }

    /// A definition that is only known when it runs: a reference to one as JSON.
    pub fn dynamic(name: impl Into<String>, definition: impl ValueOf<WorkflowDef>) -> Self {
        // The server asks for a version although it does not use it (3.32.1).
        let mut this = Self::named(name).version(1);
        this.params.workflow_definition = Some(definition.into());
        this
    }

    /// Takes over what is to be registered before the child and what is wrong in it.
    fn take_notes(&mut self, child: &WorkflowBuilder, findings: Vec<String>) {
        for note in &child.notes {
            // Once each: a child of children has them again and again.
            let is_new = match note {
                Note::Definition(new) => !self.notes.iter().any(|n| matches!(n, Note::Definition(old) if old == new)),
                Note::SubWorkflow(new) => !self.notes.iter().any(|n| matches!(n, Note::SubWorkflow(old) if old == new)),
                _ => false,
            };
            if is_new {
                self.notes.push(note.clone());
            }
        }
        let place = format!("sub-workflow {}", child.def.name);
        self.notes.extend(findings.into_iter().map(|finding| Note::Unusable(place.clone(), finding)));
    }

    /// Sets the version. Defaults to the latest.
    pub fn version(mut self, version: u16) -> Self {
        self.params.version = Some(version.into());
        self
    }

    /// Sends the tasks of this type, or of all types for `*`, to a domain.
    pub fn domain(mut self, task_type: impl Into<String>, domain: impl Into<String>) -> Self {
        self.params.task_to_domain.insert(task_type.into(), domain.into());
        self
    }

    /// Sets the priority, 0 to 99, 99 first.
    pub fn priority(mut self, priority: impl ValueOf<i64>) -> Self {
        self.params.priority = Some(priority.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_the_server_reads_it() {
        for (minutes, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_400 / 60, "2000-02-29 00:00 UTC"),
            (1_709_164_740 / 60, "2024-02-28 23:59 UTC"),
            (1_735_689_600 / 60, "2025-01-01 00:00 UTC"),
            (4_107_542_400 / 60, "2100-03-01 00:00 UTC"),
            (u64::MAX, "9999-12-31 23:59 UTC"),
        ] {
            assert_eq!(utc_minute(minutes), text);
        }
    }
}
