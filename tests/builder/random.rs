//! Workflows made at random: each is right by construction, so `build()` and the server must accept it.

use conductor_sync::{
    ChatCompletion, DoWhile, HttpRequest, KafkaMessage, McpTools, Node, Reference, RetryLogic, StartWorkflowRequest,
    SubWorkflow, Switch, TaskDef, TaskReference, TimeoutPolicy, WorkflowBuilder, WorkflowStatus, workflow_input,
    workflow_variable,
};
use fastrand::Rng;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

pub(crate) struct Maker {
    pub(crate) rng: Rng,
    n_tasks: usize,
    /// A loop inside a loop is refused.
    in_loop: bool,
    /// Only what comes to its end by itself, and soon.
    is_short: bool,
    /// Task definitions are known to the server by these names.
    pub(crate) names: Vec<String>,
}

impl Maker {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            n_tasks: 0,
            in_loop: false,
            is_short: false,
            names: vec!["rt_a".into(), "rt_b".into(), "rt_c".into()],
        }
    }

    /// For workflows that a server completes by itself.
    pub(crate) fn of_short_ones(seed: u64) -> Self {
        Self { is_short: true, ..Self::new(seed) }
    }

    pub(crate) fn workflow(&mut self, name: &str, linear: bool) -> WorkflowBuilder {
        self.n_tasks = 0;
        let mut scope = Vec::new();
        let n_tasks = self.rng.usize(1..6);
        let tasks = match linear {
            true => (0..n_tasks).map(|_| self.simple(&mut scope)).collect(),
            false => self.list(n_tasks, 0, &mut scope),
        };
        let mut builder = WorkflowBuilder::new(name).inputs(["a", "b", "list"]).variable("v", 1).tasks(tasks);
        for at in 0..self.rng.usize(0..3) {
            builder = builder.output(format!("out{at}"), self.value(&scope));
        }
        if self.rng.bool() && !self.is_short {
            builder = builder.timeout(Duration::from_secs(self.rng.u64(1..999)), TimeoutPolicy::TimeOutWf);
        }
        if self.rng.bool() {
            builder = builder.input_default("c", json!([1, {"deep": true}])).description("made at random");
        }
        builder
    }

    fn list(&mut self, n: usize, depth: usize, scope: &mut Vec<TaskReference>) -> Vec<Node> {
        (0..n).map(|_| self.node(depth, scope)).collect()
    }

    fn branch(&mut self, depth: usize, scope: &[TaskReference]) -> Vec<Node> {
        let n_tasks = self.rng.usize(1..4);
        self.list(n_tasks, depth + 1, &mut scope.to_vec())
    }

    fn loop_body(&mut self, depth: usize, scope: &[TaskReference]) -> Vec<Node> {
        self.in_loop = true;
        let body = self.branch(depth, scope);
        self.in_loop = false;
        body
    }

    fn reference(&mut self) -> String {
        self.n_tasks += 1;
        let style = self.rng.usize(0..4);
        [
            format!("t{}", self.n_tasks),
            format!("my-task-{}", self.n_tasks),
            format!("Task_{}", self.n_tasks),
            format!("täsk{}", self.n_tasks),
        ][style]
            .clone()
    }

    fn simple(&mut self, scope: &mut Vec<TaskReference>) -> Node {
        let at = self.rng.usize(0..self.names.len());
        let name = self.names[at].clone();
        let node = Node::simple(name.clone(), self.reference());
        let node = match self.rng.bool() {
            true => node,
            false => {
                let pause = Duration::from_millis(1700);
                node.definition(TaskDef::new(name).retries(4, RetryLogic::LinearBackoff, pause))
            }
        };
        self.finish(node, scope)
    }

    fn finish(&mut self, mut node: Node, scope: &mut Vec<TaskReference>) -> Node {
        for at in 0..self.rng.usize(0..3) {
            node = node.input(format!("in{at}"), self.value(scope));
        }
        node = match self.rng.usize(0..12) {
            0 => node.permissive(),
            1 => node.retries(2),
            2 if !self.is_short => node.start_delay(Duration::from_millis(1500)),
            3 => node.cache("${workflow.input.a}", Duration::from_secs(9)),
            4 if !self.is_short => node.timeout(Duration::from_secs(self.rng.u64(1..5000)), TimeoutPolicy::Retry),
            5 => node.description("a task"),
            _ => node,
        };
        scope.push(node.reference());
        node
    }

    fn looked_up(&mut self, scope: &[TaskReference]) -> Reference {
        let task = self.rng.choice(scope).cloned();
        match (task, self.rng.usize(0..6)) {
            (Some(task), 0) => task.input("x"),
            (Some(task), 1) => task.field("status"),
            (Some(task), 2) => task.output(""),
            (Some(task), _) => task.output("a.b").index(0).field("c d"),
            (None, 0..3) => workflow_variable("v"),
            (None, _) => workflow_input("a"),
        }
    }

    fn value(&mut self, scope: &[TaskReference]) -> Value {
        let reference = self.looked_up(scope);
        match self.rng.usize(0..6) {
            0 => json!(self.rng.i64(..)),
            1 => json!({"nested": [reference, null, {"text": format!("{reference} and {}", workflow_input("b"))}]}),
            2 => json!(format!("price: $5, $${{not.a.reference}} {reference}")),
            3 => Value::Null,
            _ => json!(reference),
        }
    }

    fn kind(&mut self, depth: usize) -> usize {
        // Deep inside only what holds no others.
        let deepest = if self.is_short { 1 } else { 3 };
        let most = if depth < deepest { 26 } else { 19 };
        let mut kind = self.rng.usize(0..most);
        while self.is_short && !matches!(kind, 3 | 4 | 6 | 7 | 11 | 19 | 21..26) {
            kind = self.rng.usize(0..most);
        }
        kind
    }

    fn node(&mut self, depth: usize, scope: &mut Vec<TaskReference>) -> Node {
        let kind = self.kind(depth);
        let name = self.reference();
        let node = match kind {
            0..3 => return self.simple(scope),
            3 => Node::inline(&name, "typeof $.n").input("n", self.value(scope)),
            4 => Node::json_jq(&name, ".list | length").input("list", workflow_input("list")),
            5 => Node::http(&name, HttpRequest::get("http://127.0.0.1:1/x").header("a", workflow_input("a"))),
            6 => Node::noop(&name),
            7 => Node::set_variable(&name, "v", self.value(scope)),
            8 => Node::wait(&name, Duration::from_secs(self.rng.u64(0..9999))),
            9 => Node::wait_until(&name, SystemTime::now() + Duration::from_secs(self.rng.u64(0..99_999_999))),
            10 => Node::human(&name),
            11 => Node::event(&name, "conductor:somewhere"),
            12 => Node::kafka_publish(&name, KafkaMessage::new("127.0.0.1:1", "topic", self.value(scope))),
            13 => Node::start_workflow(
                &name,
                &StartWorkflowRequest::new("other").input(json!({"a": workflow_input("a")})),
            ),
            14 => Node::dynamic(&name, workflow_input("a")),
            15 => Node::sub_workflow(&name, SubWorkflow::named("other").version(2).priority(7)),
            16 => Node::llm_chat_complete(&name, ChatCompletion::new("openai", workflow_input("a")).temperature(0.5)),
            17 => Node::list_mcp_tools(&name, McpTools::new("http://127.0.0.1:1/mcp")),
            18 => Node::pull_workflow_messages(&name, 5),
            19 => {
                let n_branches = self.rng.usize(1..4);
                let branches: Vec<_> = (0..n_branches)
                    .map(|_| {
                        let mut branch = self.branch(depth, scope);
                        branch.push(Node::noop(self.reference()));
                        branch
                    })
                    .collect();
                Node::fork(&name, branches)
            }
            20 => Node::dynamic_fork(&name, "rt_a", workflow_input("list")),
            21 => {
                let mut switch = match self.rng.bool() {
                    true => Switch::on(self.looked_up(scope)),
                    false => Switch::javascript("$.n > 3 ? 'big' : 'small'").input("n", self.value(scope)),
                };
                for case in ["big", "small", "x y"].iter().take(self.rng.usize(1..4)) {
                    let mut branch = self.branch(depth, scope);
                    if self.rng.u8(..) < 40 && !self.is_short {
                        branch
                            .push(Node::terminate(self.reference(), &WorkflowStatus::Failed).termination_reason("no"));
                    }
                    switch = switch.case(*case, branch);
                }
                if self.rng.bool() {
                    switch = switch.otherwise(self.branch(depth, scope));
                }
                Node::switch(&name, switch)
            }
            22 | 23 if self.in_loop => Node::noop(&name),
            22 => {
                let n_rounds = self.rng.u32(1..if self.is_short { 3 } else { 9 });
                let body = DoWhile::times(n_rounds, self.loop_body(depth, scope));
                Node::do_while(&name, body.keep_last(3))
            }
            23 => {
                let body = DoWhile::each(workflow_input("list"), self.loop_body(depth, scope));
                Node::do_while(&name, body.as_long_as("$.loopIndex < 5"))
            }
            24 => {
                let inner = WorkflowBuilder::new("inner")
                    .inputs(["in0", "in1", "in2"])
                    .variable("v", 1)
                    .tasks(self.list(2, 3, &mut vec![]));
                let inner = inner.input_default("a", 1).input_default("b", 1).input_default("list", json!([]));
                Node::sub_workflow(&name, SubWorkflow::inline(&inner))
            }
            _ => {
                let (left, right) = (self.reference(), self.reference());
                let switch =
                    Switch::on(workflow_input("a")).case("l", [Node::noop(&left)]).otherwise([Node::noop(&right)]);
                scope.push(conductor_sync::task_reference(&*left));
                return Node::switch(&name, switch);
            }
        };
        self.finish(node, scope)
    }
}
