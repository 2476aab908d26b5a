//! Each kind of task that a server runs without outside services, written with the builder and run on the real server to
//! the expected output. Without one, it is built and must have the expected kind on the wire.

use std::{thread, time::Duration};

use conductor_sync::{
    AgentCall, AgentCancel, AgentCard, Client, DoWhile, HttpRequest, KafkaMessage, McpCall, McpTools, Node,
    PdfGeneration, ReferenceUpdate, RetryLogic, StartWorkflowRequest, SubWorkflow, Switch, TaskDef, TaskError,
    TaskResultStatus, TaskRunner, TimeoutPolicy, Worker, WorkflowBuilder, WorkflowStatus, task_reference,
    workflow_field, workflow_input, workflow_variable,
};
use serde_json::{Value, json};

use super::{
    common::{Answer, Server},
    real_config, unique,
};

struct Case {
    kind: &'static str,
    flow: WorkflowBuilder,
    input: Value,
    expected: Value,
    status: WorkflowStatus,
    /// What happens from outside while it runs.
    meanwhile: fn(&Client, &str),
}

fn nothing(_: &Client, _: &str) {}

/// It is sent a message.
fn send(client: &Client, id: &str) {
    client.workflows().send_message(id, &[("n".to_owned(), 7.into())].into()).unwrap();
}

/// The task `ask` is completed from outside.
fn answer(client: &Client, id: &str) {
    let update = ReferenceUpdate::new(id, "ask", TaskResultStatus::Completed).output(json!({"said": "yes"}));
    client.tasks().update_by_reference(&update).unwrap();
}

fn case(kind: &'static str, flow: WorkflowBuilder, input: Value, expected: Value) -> Case {
    Case { kind, flow, input, expected, status: WorkflowStatus::Completed, meanwhile: nothing }
}

fn flow(kind: &str) -> WorkflowBuilder {
    WorkflowBuilder::new(unique(&format!("builder_runs_{kind}")))
}

fn constant(reference: &str, javascript: &str) -> Node {
    Node::inline(reference, javascript)
}

fn simple_kinds() -> Vec<Case> {
    let sum = Node::inline("sum", "$.a + $.b").input("a", workflow_input("a")).input("b", 2);
    let jq = Node::json_jq("jq", "[.list[] | . * 2]").input("list", workflow_input("list"));
    let odd = Node::inline("名前-é🙂", "({'Größe 1': $.n})").input("n", workflow_input("ä.ö"));
    let text = Node::wait_for("text", "1 seconds");
    let day = Node::wait_until_text("day", "2020-02-29");
    let set = Node::set_variable("set", "colour", workflow_input("c"));
    let shown = Node::noop("noop");
    let wait = Node::wait("wait", Duration::from_millis(900));
    let until = Node::wait_until("until", std::time::SystemTime::now() - Duration::from_secs(120));
    let past = Node::wait_until("past", std::time::SystemTime::UNIX_EPOCH);
    // A start without any input gets no defaults.
    let default = |name| {
        let flow = flow(name).inputs(["b"]).input_default("a", 1).task(Node::noop("noop"));
        flow.output("a", workflow_input("a"))
    };
    let event = Node::event("event", "conductor:builder").input("n", 3);
    vec![
        case("NOOP", default("default"), json!({"b": 2}), json!({"a": 1})),
        case("NOOP", default("no_default"), json!({}), json!({"a": null})),
        case(
            "INLINE",
            flow("inline").task(&sum).output("sum", sum.output("result")),
            json!({"a": 40}),
            json!({"sum": 42}),
        ),
        case(
            "JSON_JQ_TRANSFORM",
            flow("jq").task(&jq).output("all", jq.output("result")),
            json!({"list": [1, 2]}),
            json!({"all": [2, 4]}),
        ),
        case(
            "INLINE",
            flow("odd").task(&odd).output("n", odd.output("result").field("Größe 1")),
            json!({"ä": {"ö": 3}}),
            json!({"n": 3}),
        ),
        case(
            "WAIT",
            flow("wait_text").task(&text).task(&day).output("status", day.reference().field("status")),
            json!({}),
            json!({"status": "COMPLETED"}),
        ),
        case(
            "SET_VARIABLE",
            flow("set").variable("colour", "none").task(&set).output("colour", workflow_variable("colour")),
            json!({"c": "red"}),
            json!({"colour": "red"}),
        ),
        case(
            "NOOP",
            flow("noop").task(&shown).output("status", shown.reference().field("status")),
            json!({}),
            json!({"status": "COMPLETED"}),
        ),
        case(
            "WAIT",
            flow("wait").task(&wait).task(&past).task(&until).output("status", until.reference().field("status")),
            json!({}),
            json!({"status": "COMPLETED"}),
        ),
        case(
            "EVENT",
            flow("event")
                .task(&event)
                .output("n", event.output("n"))
                .output("status", event.reference().field("status")),
            json!({}),
            json!({"n": 3, "status": "COMPLETED"}),
        ),
    ]
}

fn kinds_with_a_network(server: &str) -> Vec<Case> {
    let http =
        Node::http("http", HttpRequest::get(format!("{server}/{}", workflow_input("n"))).header("X-A", "b")).retries(0);
    let post = HttpRequest::post(format!("{server}/in"), json!({"n": workflow_input("n"), "deep": [{"ä": "ö"}]}));
    let post = Node::http("post", post).retries(0);
    let kafka = KafkaMessage::new("127.0.0.1:1", "topic", "value");
    let kafka = Node::kafka_publish("kafka", kafka.timeouts(Duration::from_secs(1), Duration::from_secs(1)));
    vec![
        case(
            "HTTP",
            flow("http")
                .task(&http)
                .output("status", http.output("response.statusCode"))
                .output("echo", http.output("response.body.echo")),
            json!({"n": 7}),
            json!({"status": 200, "echo": "/api/7"}),
        ),
        case(
            "HTTP",
            flow("http_post").task(&post).output("body", post.output("response.body.body")),
            json!({"n": 7}),
            json!({"body": {"n": 7, "deep": [{"ä": "ö"}]}}),
        ),
        Case {
            status: WorkflowStatus::Failed,
            ..case("KAFKA_PUBLISH", flow("kafka").task(kafka.retries(0)).output("x", 1), json!({}), json!({"x": 1}))
        },
    ]
}

/// Tools of another server.
fn kinds_with_tools(server: &str) -> Vec<Case> {
    let tools = Node::list_mcp_tools("tools", McpTools::new(server)).retries(0);
    let call = McpCall::new(server, tools.output("tools[0].name")).arguments(json!({"a": workflow_input("a")}));
    let call = Node::call_mcp_tool("call", call).retries(0);
    vec![
        case(
            "LIST_MCP_TOOLS",
            flow("tools").task(&tools).output("name", tools.output("tools[0].name")),
            json!({}),
            json!({"name": "add"}),
        ),
        case(
            "CALL_MCP_TOOL",
            flow("tool_call").task(&tools).task(&call).output("text", call.output("content[0].text")),
            json!({"a": 3}),
            json!({"text": "add 3"}),
        ),
    ]
}

/// What a server of tools answers to a request.
fn answer_of_tools(request: &Value) -> Value {
    let result = match request["method"].as_str() {
        Some("tools/list") => json!({"tools": [{"name": "add", "inputSchema": {"type": "object"}}]}),
        _ => {
            let (name, a) = (request["params"]["name"].as_str().unwrap(), &request["params"]["arguments"]["a"]);
            json!({"content": [{"type": "text", "text": format!("{name} {a}")}], "isError": false})
        }
    };
    json!({"jsonrpc": "2.0", "id": request["id"], "result": result})
}

/// Workflows of the server itself, at `api`, as agents.
fn kinds_with_agents(api: &str) -> Vec<Case> {
    let agent = |name, task: Node| flow(name).metadata("a2a.enabled", true).task(task);
    let hello = agent("hello", constant("hi", "'Hello'"));
    let sleeper = agent("sleeper", Node::human("ask"));
    let url =
        |agent: &WorkflowBuilder| format!("{}/a2a/workflow/{}", workflow_input("api"), agent.build().unwrap().name);
    let (hello_url, sleeper_url) = (url(&hello), url(&sleeper));
    let there = Node::sub_workflow("there", SubWorkflow::registered(&hello));
    let card = Node::get_agent_card("card", AgentCard::new(&*hello_url)).retries(0);
    let call = Node::agent("call", AgentCall::new(&*hello_url, "Hello?")).retries(0);
    let message = json!({"role": "user", "messageId": "1", "parts": [{"kind": "text", "text": "Wait"}]});
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": {"message": message}});
    let sent = Node::http("sent", HttpRequest::post(&*sleeper_url, message)).retries(0);
    let cancel = AgentCancel::new(&*sleeper_url, sent.output("response.body.result.id"));
    let cancel = Node::cancel_agent("cancel", cancel).retries(0);
    let unused = Node::switch(
        "unused",
        Switch::on(1)
            .case("2", [&Node::sub_workflow("asleep", SubWorkflow::registered(&sleeper))])
            .otherwise([&Node::noop("noop")]),
    );
    let input = json!({"api": api});
    let name = hello.build().unwrap().name;
    vec![
        case(
            "GET_AGENT_CARD",
            flow("card").task(&there).task(&card).output("name", card.output("agentCard.name")),
            input.clone(),
            json!({"name": name}),
        ),
        case(
            "AGENT",
            flow("agent")
                .task(&there)
                .task(&call)
                .output("state", call.output("state"))
                .output("said", call.output("artifacts[0].parts[0].data.result")),
            input.clone(),
            json!({"state": "completed", "said": "Hello"}),
        ),
        case(
            "CANCEL_AGENT",
            flow("cancel").task(unused).task(&sent).task(&cancel).output("state", cancel.output("task.status.state")),
            input,
            json!({"state": "canceled"}),
        ),
    ]
}

fn a_pdf() -> Case {
    let pdf = Node::generate_pdf("pdf", PdfGeneration::new(format!("# Hello {}", workflow_input("name"))));
    let what = Node::inline("what", "$.at.endsWith('.pdf') && $.n > 500 ? $.kind : $.at").retries(0);
    let what = what.input("at", pdf.output("result.location")).input("n", pdf.output("result.sizeBytes"));
    let what = what.input("kind", pdf.output("media").index(0).field("mimeType"));
    let flow = flow("pdf").task(pdf.retries(0)).task(&what).output("kind", what.output("result"));
    case("GENERATE_PDF", flow, json!({"name": "Ada"}), json!({"kind": "application/pdf"}))
}

fn branching_kinds() -> Vec<Case> {
    let (big, small) = (constant("big", "'B'"), constant("small", "'s'"));
    let by_value = Switch::on(workflow_input("size")).case("big", [&big]).otherwise([&small]);
    let by_script = Switch::javascript("$.n > 3 ? 'big' : 'small'").input("n", workflow_input("n"));
    let taken = Node::exclusive_join("taken", ["big", "small"]);
    let only_one = Switch::on(workflow_input("n")).case("7", [&big]).case("8", [] as [Node; 0]);
    let neither = Node::switch("neither", only_one);
    let default = Node::exclusive_join("default", ["big"]).default_join(["before"]);
    let value = Node::switch("value", by_value);
    let script = Node::switch("script", by_script.case("big", [&big]).case("small", [&small]));
    let (left, right) = (constant("left", "1"), constant("right", "$.l + 1").input("l", 5));
    let fork = Node::fork("fork", [vec![Node::noop("first"), left], vec![right]]);
    let after_a_switch = Node::fork("fork", [vec![value.clone(), Node::noop("end")]]);
    let dynamic_fork = Node::dynamic_fork_tasks(
        "many",
        json!([{"name": "inline", "taskReferenceName": "x", "type": "INLINE"}, {"name": "inline", "taskReferenceName": "y", "type": "INLINE"}]),
        json!({"x": {"evaluatorType": "javascript", "expression": "$.n", "n": workflow_input("n")}, "y": {"evaluatorType": "javascript", "expression": "2"}}),
    );
    let done =
        Node::terminate("stop", &WorkflowStatus::Completed).workflow_output(json!({"why": workflow_input("why")}));
    let failed =
        Node::terminate("stop", &WorkflowStatus::Failed).termination_reason("enough").workflow_output(json!({"x": 1}));
    vec![
        case(
            "SWITCH",
            flow("switch")
                .task(&value)
                .output("case", value.output("selectedCase"))
                .output("x", small.output("result")),
            json!({"size": "?"}),
            json!({"case": "?", "x": "s"}),
        ),
        case(
            "EXCLUSIVE_JOIN",
            flow("xjoin").task(script).task(&taken).output("x", taken.output("result")),
            json!({"n": 4}),
            json!({"x": "B"}),
        ),
        case(
            "EXCLUSIVE_JOIN",
            flow("xdefault")
                .task(constant("before", "'d'"))
                .task(&neither)
                .task(&default)
                .output("x", default.output("result")),
            json!({"n": 1}),
            json!({"x": "d"}),
        ),
        case(
            "FORK_JOIN",
            flow("fork").task(&fork).output("l", fork.output("left.result")).output("r", fork.output("right.result")),
            json!({}),
            json!({"l": 1, "r": 6}),
        ),
        case(
            "FORK_JOIN",
            flow("fork_switch").task(&after_a_switch).output("x", big.output("result")),
            json!({"size": "big"}),
            json!({"x": "B"}),
        ),
        case(
            "FORK_JOIN_DYNAMIC",
            flow("dfork")
                .task(&dynamic_fork)
                .output("x", dynamic_fork.output("x.result"))
                .output("y", dynamic_fork.output("y.result")),
            json!({"n": 1}),
            json!({"x": 1, "y": 2}),
        ),
        case("TERMINATE", flow("terminate").task(done), json!({"why": "done"}), json!({"why": "done"})),
        Case {
            status: WorkflowStatus::Failed,
            ..case("TERMINATE", flow("fails").task(failed), json!({}), json!({"x": 1}))
        },
    ]
}

fn looping_kinds() -> Vec<Case> {
    let round = constant("round", "$.n * 10").input("n", task_reference("loop").output("iteration"));
    let times = Node::do_while("loop", DoWhile::times(3, [&round]));
    let until = Node::do_while(
        "loop",
        DoWhile::condition("$.round.result < $.most", [&round]).input("most", workflow_input("most")),
    );
    let item = constant("item", "$.x + $.at")
        .input("x", task_reference("loop").output("loopItem"))
        .input("at", task_reference("loop").output("loopIndex"));
    let each = Node::do_while("loop", DoWhile::each(workflow_input("list"), [&item]));
    let early = Node::do_while("loop", DoWhile::each(workflow_input("list"), [&item]).as_long_as("$.loopItem != 'b'"));
    let rounds = |node: &Node| node.output("iteration");
    let last = round.output("result");
    vec![
        case(
            "DO_WHILE",
            flow("times")
                .task(&times)
                .output("n", rounds(&times))
                .output("last", &last)
                .output("second", times.output("2").field("round.result")),
            json!({}),
            json!({"n": 3, "last": 30, "second": 20}),
        ),
        case(
            "DO_WHILE",
            flow("until").task(&until).output("n", rounds(&until)).output("last", &last),
            json!({"most": 20}),
            json!({"n": 2, "last": 20}),
        ),
        case(
            "DO_WHILE",
            flow("each").task(&each).output("n", rounds(&each)).output("last", item.output("result")),
            json!({"list": ["a", "b", "c"]}),
            json!({"n": 3, "last": "c2"}),
        ),
        case("DO_WHILE", flow("none").task(&each).output("n", rounds(&each)), json!({"list": []}), json!({"n": 0})),
        case(
            "DO_WHILE",
            flow("early").task(&early).output("n", rounds(&early)),
            json!({"list": ["a", "b", "c"]}),
            json!({"n": 2}),
        ),
    ]
}

/// With other workflows, and with answers from outside.
fn kinds_with_others() -> Vec<Case> {
    let child =
        flow("child").inputs(["name"]).task(constant("hi", "'Hi ' + $.name").input("name", workflow_input("name")));
    let child_name = child.build().unwrap().name;
    let sub = |which, name| Node::sub_workflow("sub", which).input("name", name);
    let inline = sub(SubWorkflow::inline(&child), workflow_input("who"));
    let by_name = sub(SubWorkflow::registered(&child), workflow_input("who"));
    let given = sub(SubWorkflow::dynamic("given", workflow_input("def")), workflow_input("who"));
    let child_def = serde_json::to_value(child.build().unwrap()).unwrap();
    let known = |flow: WorkflowBuilder, node: Node| flow.output("text", node.output("result")).task(node);
    let request = StartWorkflowRequest::new(&*child_name).input(json!({"name": workflow_input("who")}));
    let started = Node::start_workflow("start", &request);
    let length = constant("length", "$.id.length").input("id", started.output("workflowId"));
    let start_flow = flow("start").task(&by_name).task(&started).task(&length).output("n", length.output("result"));
    let each = Node::dynamic_fork_workflow("each", child_name, workflow_input("list"));
    let each_flow = flow("dfork_workflow").task(&by_name).task(&each).output("t", each.output("_each_1.result"));
    let pull = Node::pull_workflow_messages("pull", 2);
    let (human, signal) = (Node::human("ask"), Node::wait_for_signal("ask"));
    let answered = |kind, node: &Node| Case {
        meanwhile: answer,
        ..case(kind, flow(kind).task(node).output("said", node.output("said")), json!({}), json!({"said": "yes"}))
    };
    vec![
        case("SUB_WORKFLOW", known(flow("inline"), inline), json!({"who": "Ada"}), json!({"text": "Hi Ada"})),
        case("SUB_WORKFLOW", known(flow("by_name"), by_name), json!({"who": "Ada"}), json!({"text": "Hi Ada"})),
        case(
            "SUB_WORKFLOW",
            known(flow("given"), given),
            json!({"who": "Ada", "def": child_def}),
            json!({"text": "Hi Ada"}),
        ),
        case("START_WORKFLOW", start_flow, json!({"who": "Ada"}), json!({"n": 36})),
        case(
            "FORK_JOIN_DYNAMIC",
            each_flow,
            json!({"who": "Ada", "list": [{"name": "A"}, {"name": "B"}]}),
            json!({"t": "Hi B"}),
        ),
        answered("HUMAN", &human),
        answered("WAIT", &signal),
        Case {
            meanwhile: send,
            ..case(
                "PULL_WORKFLOW_MESSAGES",
                flow("messages").task(&pull).output("n", pull.output("messages[0].payload.n")),
                json!({}),
                json!({"n": 7}),
            )
        },
    ]
}

/// With a worker that adds 1 to `x`; its name is `name`.
fn kinds_with_workers(name: &str) -> Vec<Case> {
    let dynamic = Node::dynamic("dyn", workflow_input("which")).input("x", 5);
    let dynamic_flow = flow("dynamic").task_definition(TaskDef::new(name)).task(&dynamic);
    let simple = Node::simple(name, "s").input("x", workflow_input("x"));
    let alone = Node::simple(name, "alone").input("x", 1).timeout(Duration::from_secs(77), TimeoutPolicy::Retry);
    let flaky = |reference: &str| {
        let retried = TaskDef::new(name).retries(2, RetryLogic::Fixed, Duration::from_secs(1));
        Node::simple(name, reference).input("x", 1).input("n_failures", 1).own_definition(retried)
    };
    let branches = ["a", "b", "c", "d"].map(flaky);
    let (first, last) = (branches[0].output("y"), branches[3].output("y"));
    let fork = Node::fork("retried", branches.map(|branch| [branch])).noops_at_the_ends();
    let fork_flow = flow("fork_retried").task(fork).output("first", first).output("last", last);
    let many = Node::dynamic_fork("many", name, workflow_input("list"));
    let again = Node::dynamic_fork("again", name, workflow_input("list"));
    let (second, first_again) = (format!("_{name}_1.y"), format!("_again_{name}_0.y"));
    let list = json!({"list": [{"x": 1}, {"x": 2}]});
    let looked_up = simple.output("y");
    vec![
        case("DYNAMIC", dynamic_flow.output("y", dynamic.output("y")), json!({"which": name}), json!({"y": 6})),
        case(
            "SIMPLE",
            flow("simple").task(&simple).output("y", looked_up).output("id", workflow_field("correlationId")),
            json!({"x": 8}),
            json!({"y": 9, "id": null}),
        ),
        case("FORK_JOIN", fork_flow, json!({}), json!({"first": 2, "last": 2})),
        case("SIMPLE", flow("alone").task(&alone).output("y", alone.output("y")), json!({}), json!({"y": 2})),
        case(
            "FORK_JOIN_DYNAMIC",
            flow("dfork_list").task(&many).output("y", many.output(&second)),
            list.clone(),
            json!({"y": 3}),
        ),
        case(
            "FORK_JOIN_DYNAMIC",
            flow("dfork_again").task(&many).task(&again).output("y", again.output(&first_again)),
            list,
            json!({"y": 2}),
        ),
    ]
}

/// The way to have a loop inside a loop.
fn loop_in_a_sub_workflow_in_a_loop() -> Case {
    let inner = Node::do_while("inner", DoWhile::times(3, [Node::noop("n")]));
    let child = flow("rounds").task(&inner).output("n", inner.output("iteration"));
    let sub = Node::sub_workflow("sub", SubWorkflow::inline(&child));
    let sum = constant("sum", "$.n * $.round").input("n", sub.output("n"));
    let sum = sum.input("round", task_reference("outer").output("iteration"));
    let outer = Node::do_while("outer", DoWhile::times(2, [&sub, &sum]));
    case("DO_WHILE", flow("nested").task(&outer).output("n", sum.output("result")), json!({}), json!({"n": 6}))
}

fn fork_and_switch_in_a_loop() -> Case {
    let round = task_reference("loop").output("iteration");
    let inner = Node::fork("inner", [[Node::noop("i1")], [Node::noop("i2").input("x", &round)]]);
    let choice = Switch::on(&round).case("2", [constant("two", "'two'")]);
    let looped = Node::do_while("loop", DoWhile::times(2, [inner, Node::switch("choice", choice), Node::noop("end")]));
    let two = task_reference("two").output("result");
    let flow = flow("looped").task(&looped).output("n", looped.output("iteration")).output("two", two);
    case("DO_WHILE", flow, json!({}), json!({"n": 2, "two": "two"}))
}

#[derive(serde::Deserialize)]
struct Number {
    x: i64,
    #[serde(default)]
    n_failures: u32,
}

#[test]
fn every_kind_runs_to_its_output() {
    let http = Server::start(|request| {
        // The server sends a small body as one chunk.
        let body = String::from_utf8_lossy(&request.body);
        let object = body.find('{').zip(body.rfind('}')).map_or("null", |(from, to)| &body[from..=to]);
        let body: Value = serde_json::from_str(object).unwrap();
        Some(match body["jsonrpc"].is_string() {
            true => Answer::json(200, &answer_of_tools(&body)),
            false => Answer::json(200, &json!({"echo": request.target, "body": body})),
        })
    });
    let config = real_config();
    let api = config.as_ref().map_or_else(|| http.url(), |config| config.server_url().to_owned());
    let mut cases = simple_kinds();
    cases.extend(kinds_with_a_network(&http.url()));
    cases.extend(branching_kinds());
    cases.extend(looping_kinds());
    cases.extend(kinds_with_others());
    cases.extend(kinds_with_tools(&http.url()));
    cases.extend(kinds_with_agents(&api));
    cases.push(a_pdf());
    cases.push(fork_and_switch_in_a_loop());
    cases.push(loop_in_a_sub_workflow_in_a_loop());
    let name = unique("builder_adds");
    cases.extend(kinds_with_workers(&name));
    for case in &cases {
        let def = case.flow.build().unwrap_or_else(|error| panic!("{error}"));
        let is_there = def.tasks.iter().any(|task| task.task_type.as_deref() == Some(case.kind));
        assert!(is_there, "{} is not in {def:?}", case.kind);
    }
    let Some(config) = config else { return };
    // All cases start at once, which a busy server takes its time for.
    let client = Client::new(config.request_timeout(Duration::from_secs(60))).unwrap();
    let wrong: Vec<String> = thread::scope(|scope| {
        let client = &client;
        let adds = Worker::new(&*name, |cx, n: Number| {
            // An empty line does no harm.
            cx.log("");
            match cx.attempt() < n.n_failures {
                true => Err(TaskError::failed("not yet")),
                false => Ok(json!({"y": n.x + 1})),
            }
        });
        let runner = TaskRunner::new(client).worker(adds).start().unwrap();
        let told: Vec<_> = cases.iter().map(|case| scope.spawn(move || tell(client, case))).collect();
        let wrong = told.into_iter().filter_map(|told| told.join().unwrap()).collect();
        assert!(runner.stop(Duration::from_secs(10)).is_clean());
        wrong
    });
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn tell(client: &Client, case: &Case) -> Option<String> {
    let name = case.flow.build().unwrap().name;
    let complain = |what: String| Some(format!("{name}: {what}"));
    if let Err(error) = case.flow.register(&client.metadata()) {
        return complain(error.to_string());
    }
    let id = client.workflows().start(&StartWorkflowRequest::new(&*name).input(case.input.clone())).unwrap();
    (case.meanwhile)(client, &id);
    // A system task that waits in a queue may be looked at late on a busy server.
    let done = match client.workflows().wait(&id, Duration::from_secs(90)) {
        Ok(done) => done,
        Err(error) => {
            let seen = client.workflows().get(&id).unwrap();
            client.workflows().terminate(&id, Some("a test")).unwrap();
            let tasks: Vec<_> =
                seen.tasks.iter().map(|t| format!("{} {:?}", t.reference_task_name, t.status)).collect();
            return complain(format!("{error}; {tasks:?}"));
        }
    };
    client.metadata().delete_workflow(&name, 1).unwrap();
    let output = done.output.to_value().unwrap();
    let right = output == case.expected && done.status == case.status;
    let reason = done.reason_for_incompletion.unwrap_or_default();
    if right { None } else { complain(format!("{} with {output}, not {} ({reason})", done.status, case.expected)) }
}
