//! Workflows made at random: each is right by construction, so `build()` and the server must accept it.

use conductor_sync::{
    ChatCompletion, DoWhile, HttpRequest, KafkaMessage, McpTools, Node, RawJson, RetryLogic, StartWorkflowRequest,
    SubWorkflow, Switch, TaskDef, TaskReference, TimeoutPolicy, WorkflowBuilder, WorkflowDef, WorkflowStatus,
    WorkflowTask, workflow_input, workflow_variable,
};
use fastrand::Rng;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

pub(crate) struct Maker {
    pub(crate) rng: Rng,
    n_tasks: usize,
    /// A loop inside a loop is refused.
    in_loop: bool,
    /// Task definitions are known to the server by these names.
    pub(crate) names: Vec<String>,
}

impl Maker {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            n_tasks: 0,
            in_loop: false,
            names: vec!["rt_a".into(), "rt_b".into(), "rt_c".into()],
        }
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
        if self.rng.bool() {
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
            2 => node.start_delay(Duration::from_millis(1500)),
            3 => node.cache("${workflow.input.a}", Duration::from_secs(9)),
            4 => node.timeout(Duration::from_secs(self.rng.u64(1..5000)), TimeoutPolicy::Retry),
            5 => node.description("a task"),
            _ => node,
        };
        scope.push(node.reference());
        node
    }

    fn value(&mut self, scope: &[TaskReference]) -> Value {
        let task = self.rng.choice(scope).cloned();
        let reference = match (task, self.rng.usize(0..6)) {
            (Some(task), 0) => task.input("x"),
            (Some(task), 1) => task.field("status"),
            (Some(task), 2) => task.output(""),
            (Some(task), _) => task.output("a.b").index(0).field("c d"),
            (None, 0..3) => workflow_variable("v"),
            (None, _) => workflow_input("a"),
        };
        match self.rng.usize(0..6) {
            0 => json!(self.rng.i64(..)),
            1 => json!({"nested": [reference, null, {"text": format!("{reference} and {}", workflow_input("b"))}]}),
            2 => json!(format!("price: $5, $${{not.a.reference}} {reference}")),
            3 => Value::Null,
            _ => json!(reference),
        }
    }

    fn node(&mut self, depth: usize, scope: &mut Vec<TaskReference>) -> Node {
        // Deep inside only what holds no others.
        let most = if depth < 3 { 26 } else { 19 };
        let kind = self.rng.usize(0..most);
        let name = self.reference();
        let node = match kind {
            0..3 => return self.simple(scope),
            3 => Node::inline(&name, "$.n * 2").input("n", self.value(scope)),
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
                    true => Switch::on(self.value(scope)),
                    false => Switch::javascript("$.n > 3 ? 'big' : 'small'").input("n", self.value(scope)),
                };
                for case in ["big", "small", "x y"].iter().take(self.rng.usize(1..4)) {
                    let mut branch = self.branch(depth, scope);
                    if self.rng.u8(..) < 40 {
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
                let body = DoWhile::times(self.rng.u32(1..9), self.loop_body(depth, scope));
                Node::do_while(&name, body.keep_last(3))
            }
            23 => {
                let body = DoWhile::each(workflow_input("list"), self.loop_body(depth, scope));
                Node::do_while(&name, body.as_long_as("$.loopIndex < 5"))
            }
            24 => {
                let inner =
                    WorkflowBuilder::new("inner").inputs(["in0", "in1", "in2"]).tasks(self.list(2, 3, &mut vec![]));
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

/// Breaks a right definition in one way; the words that the finding must have. `None` where it does not apply.
pub(crate) fn break_one(rng: &mut Rng, def: &mut WorkflowDef) -> Option<&'static str> {
    let n_tasks = def.tasks.len();
    let at = rng.usize(..n_tasks);
    let last = def.tasks[n_tasks - 1].task_reference_name.clone();
    let task = &mut def.tasks[at];
    match rng.usize(0..11) {
        0 => {
            let copy = task.clone();
            def.tasks.push(copy);
            Some("used more than once")
        }
        1 => break_input(task, "${nobody.output.x}", "`nobody`, which does not exist"),
        2 => break_input(
            task,
            json!({"deep": [format!("at ${{{last}.output}}")]}),
            match at + 1 == n_tasks {
                true => "the task itself",
                false => "which comes later",
            },
        ),
        3 => {
            task.name = "a/b".to_owned();
            Some("the name can't be part of an address")
        }
        4 => {
            task.task_reference_name = "x.y".to_owned();
            Some("can't be used in references")
        }
        5 => break_input(task, "${workflow.inptu.a}", "a workflow has no `inptu`"),
        6 => {
            let join = def.tasks.iter_mut().find(|task| !task.join_on.is_empty())?;
            join.join_on.push("nobody".to_owned());
            Some("waits for `nobody`, which does not exist")
        }
        7 => {
            let fork = def.tasks.iter_mut().find(|task| !task.fork_tasks.is_empty())?;
            fork.fork_tasks.push(Vec::new());
            Some("is empty")
        }
        8 => {
            let fork = def.tasks.iter().position(|task| !task.fork_tasks.is_empty())?;
            def.tasks.remove(fork + 1);
            Some("no join follows")
        }
        9 => {
            def.tasks.iter_mut().find(|task| !task.loop_over.is_empty())?.loop_over.clear();
            Some("loop is empty")
        }
        _ => {
            def.output_parameters.insert("bad".to_owned(), "${workflow.input.z}".into());
            Some("the workflow has no input `z`")
        }
    }
}

fn break_input(task: &mut WorkflowTask, value: impl Into<RawJson>, finding: &'static str) -> Option<&'static str> {
    // Loops may refer to what is inside them, and sub-workflows know their inputs.
    task.input_parameters.insert("in0".to_owned(), value.into());
    (task.loop_over.is_empty()).then_some(finding)
}
