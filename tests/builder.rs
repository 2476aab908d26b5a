//! Workflows as code: what `build()` accepts and refuses, and, with `CONDUCTOR_SERVER_URL` set, what the real server makes
//! of both.

#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

#[path = "builder/broken.rs"]
mod broken;
mod common;
#[path = "builder/executed.rs"]
mod executed;
#[path = "builder/names.rs"]
mod names;
#[path = "builder/random.rs"]
mod random;
#[path = "builder/refused.rs"]
mod refused;
#[path = "builder/settings.rs"]
mod settings;

use std::{
    collections::BTreeSet,
    process,
    time::{Duration, Instant},
};

use common::{Answer, Server};
use conductor_sync::{
    AgentCall, AgentCancel, AgentCard, AudioGeneration, ChatCompletion, Client, Config, DoWhile, EmbeddingGeneration,
    EmbeddingSearch, EmbeddingStore, ErrorKind, ImageGeneration, IndexSearch, McpCall, McpTools, Node, PdfGeneration,
    RawJson, SubWorkflow, Switch, TaskDef, TextCompletion, TextIndexing, TimeoutPolicy, TypedTask, VideoGeneration,
    WorkflowBuilder, WorkflowDef, WorkflowTask, embedded::EmbeddedServer, task_reference, workflow_input,
};
use random::Maker;
use serde::{Deserialize, Serialize};

/// The real server, where the environment names one.
#[expect(clippy::disallowed_methods, reason = "only a test that needs the real server asks where it is")]
fn real_config() -> Option<Config> {
    let url = std::env::var("CONDUCTOR_SERVER_URL").ok()?;
    // Where hundreds of workflows start at once, the server may take its time for one.
    Some(Config::new(&url).unwrap().request_timeout(Duration::from_secs(60)))
}

fn real() -> Option<Client> {
    real_config().map(|config| Client::new(config).unwrap())
}

/// A name that no other run uses.
fn unique(name: &str) -> String {
    format!("{name}_{}_{}", process::id(), fastrand::u32(..))
}

const MANY: usize = 200;

#[test]
fn workflows_made_at_random_are_accepted() {
    let seed = fastrand::u64(..);
    let server = EmbeddedServer::start().unwrap();
    let embedded = Client::new(Config::new(&server.url()).unwrap()).unwrap();
    let real = real();
    let mut maker = Maker::new(seed);
    let mut kinds = BTreeSet::new();
    for at in 0..MANY {
        let name = unique("builder_random");
        let linear = at % 4 == 0;
        let builder = maker.workflow(&name, linear);
        let def = builder.build().unwrap_or_else(|error| panic!("seed {seed}, workflow {at}: {error}\n{builder:?}"));
        let text = serde_json::to_string(&def).unwrap();
        let back: WorkflowDef = serde_json::from_str(&text).unwrap();
        assert_eq!(back, def, "seed {seed}, workflow {at}");
        WorkflowBuilder::from(back).build().unwrap_or_else(|error| panic!("seed {seed}, workflow {at}: {error}"));
        note_kinds(&def.tasks, &mut kinds);
        if linear {
            builder
                .register(&embedded.metadata())
                .unwrap_or_else(|e| panic!("seed {seed}, workflow {at}: {e}\n{text}"));
        }
        if let Some(real) = &real {
            let metadata = real.metadata();
            metadata.update_workflow(&def).unwrap_or_else(|e| panic!("seed {seed}, workflow {at}: {e}\n{text}"));
            metadata.delete_workflow(&name, 1).unwrap();
        }
    }
    assert!(kinds.len() > 15, "seed {seed}: only {kinds:?}");
}

#[test]
fn every_kind_of_ai_task_has_its_name_and_inputs_on_the_wire() {
    let text = workflow_input("text");
    let nodes = [
        Node::llm_chat_complete("t1", ChatCompletion::new("openai", "gpt").user_input(&text).temperature(0.5)),
        Node::llm_text_complete("t2", TextCompletion::new("openai", "gpt").prompt(&text).max_tokens(10)),
        Node::llm_generate_embeddings("t3", EmbeddingGeneration::new("openai", "gpt", &text)),
        Node::llm_index_text("t4", TextIndexing::new("pg", "i", "openai", "e", &text, "id")),
        Node::llm_search_index("t5", IndexSearch::new("pg", "i", "openai", "e", &text).max_results(3)),
        Node::llm_store_embeddings("t6", EmbeddingStore::new("pg", "i", task_reference("t3").output("result"))),
        Node::llm_get_embeddings("t7", EmbeddingSearch::new("pg", "i", task_reference("t3").output("result"))),
        Node::generate_image("t8", ImageGeneration::new("openai", "gpt", &text).width(64)),
        Node::generate_audio("t9", AudioGeneration::new("openai", "gpt", &text)),
        Node::generate_video("t10", VideoGeneration::new("openai", "gpt", &text)),
        Node::generate_pdf("t11", PdfGeneration::new(&text)),
        Node::list_mcp_tools("t12", McpTools::new("http://mcp")),
        Node::call_mcp_tool("t13", McpCall::new("http://mcp", "add").arguments(serde_json::json!({"a": 1}))),
        Node::agent("t14", AgentCall::new("http://agent", &text).streaming(true)),
        Node::get_agent_card("t15", AgentCard::new("http://agent")),
        Node::cancel_agent("t16", AgentCancel::new("http://agent", task_reference("t14").output("taskId"))),
    ];
    let name = unique("builder_ai");
    let def = WorkflowBuilder::new(&*name).tasks(nodes).build().unwrap();
    let kinds: Vec<_> = def.tasks.iter().map(|task| task.task_type.as_deref().unwrap()).collect();
    let expected = "LLM_CHAT_COMPLETE LLM_TEXT_COMPLETE LLM_GENERATE_EMBEDDINGS LLM_INDEX_TEXT LLM_SEARCH_INDEX \
                    LLM_STORE_EMBEDDINGS LLM_GET_EMBEDDINGS GENERATE_IMAGE GENERATE_AUDIO GENERATE_VIDEO GENERATE_PDF \
                    LIST_MCP_TOOLS CALL_MCP_TOOL AGENT GET_AGENT_CARD CANCEL_AGENT";
    assert_eq!(kinds.join(" "), expected);
    let chat = serde_json::to_value(&def.tasks[0].input_parameters).unwrap();
    let given = serde_json::json!({"llmProvider": "openai", "model": "gpt", "userInput": "${workflow.input.text}", "temperature": 0.5});
    assert_eq!(chat, given);
    if let Some(real) = real() {
        real.metadata().update_workflow(&def).unwrap();
        real.metadata().delete_workflow(&name, 1).unwrap();
    }
}

#[test]
fn two_different_definitions_of_one_name_are_refused() {
    let node =
        |limit| Node::simple("a", format!("n{limit}")).definition(TaskDef::new("a").concurrent_exec_limit(limit));
    check(&flow().task(node(1)).task(node(2)), &["task definition a: there are two different ones"]);
    flow().task(node(1)).task_definition(TaskDef::new("a").concurrent_exec_limit(1)).build().unwrap();
    let child = |n: &str| WorkflowBuilder::new("child").task(Node::noop(n));
    let sub = |reference: &str, n| Node::sub_workflow(reference, SubWorkflow::registered(&child(n)));
    check(&flow().task(sub("a", "x")).task(sub("b", "y")), &["sub-workflow child: there are two different ones"]);
    // One without a version is registered as the first.
    let mut unversioned = child("x").build().unwrap();
    unversioned.version = None;
    let unversioned = Node::sub_workflow("a", SubWorkflow::registered(&WorkflowBuilder::from(unversioned)));
    check(&flow().task(unversioned).task(sub("b", "y")), &["sub-workflow child: there are two different ones"]);
    // Written last, the workflow would take the place of the other.
    let same = WorkflowBuilder::new("child").task(sub("a", "x"));
    check(&same, &["sub-workflow child: it is called like the workflow itself"]);
    // An inline one is not registered.
    flow().task(Node::sub_workflow("inline", SubWorkflow::inline(&same))).build().unwrap();
    same.version(2).build().unwrap();
    flow().task(sub("a", "x")).task(sub("b", "x")).build().unwrap();
}

#[test]
fn references_that_the_server_can_not_read_are_refused() {
    for text in ["${}", "${ }", "${ workflow.input.a}", "${n.output.}", "${n.output[}", "${n.output.a b}", "${$.a}"] {
        let builder = flow().task(Node::noop("n")).task(Node::noop("m").input("x", text));
        assert!(builder.build().is_err(), "{text}");
    }
    for text in [
        "$${n.nothing}",
        "${n.output['a b']}",
        "${n.output.a[0].b}",
        "${n}",
        "${HOME}",
        "${n.output.${workflow.input.a}}",
    ] {
        let odd = Node::noop("m]'?");
        flow().task(Node::noop("n")).task(odd).task(Node::noop("m").input("x", text)).build().unwrap();
    }
}

fn note_kinds(tasks: &[WorkflowTask], kinds: &mut BTreeSet<String>) {
    for task in tasks {
        kinds.extend(task.task_type.clone());
        task.decision_cases.values().for_each(|case| note_kinds(case, kinds));
        task.fork_tasks.iter().for_each(|branch| note_kinds(branch, kinds));
        note_kinds(&task.loop_over, kinds);
    }
}

#[track_caller]
fn check(builder: &WorkflowBuilder, findings: &[&str]) {
    let error = builder.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    for finding in findings {
        assert!(error.to_string().contains(finding), "`{finding}` is not in: {error}");
    }
}

fn flow() -> WorkflowBuilder {
    WorkflowBuilder::new("flow")
}

#[test]
fn all_findings_come_at_once_each_with_its_place() {
    let builder = flow()
        .task(Node::simple("a", "one").input("x", serde_json::json!({"deep": ["at ${two.output.y}"]})))
        .task(Node::simple("b", "two").input("y", "${nobody.output}"))
        .task(Node::simple("b", "two"))
        .output("z", "${workflow.inptu.a}");
    check(
        &builder,
        &[
            "build workflow flow: 4 findings",
            "one, input `x` at `.deep[0]`: refers to `two`, which comes later",
            "two, input `y`: refers to `nobody`, which does not exist",
            "two: the reference name is used more than once",
            "workflow output `z`: `${workflow.inptu.a}`: a workflow has no `inptu`",
        ],
    );
}

#[test]
fn another_branch_can_not_be_referred_to_but_an_earlier_one_can() {
    let (a, b) = (Node::noop("a"), Node::noop("b"));
    let reads_a = Node::noop("reads_a").input("x", a.output("x"));
    check(&flow().task(Node::fork("fork", [[&a], [&reads_a]])), &["`a`, which is in another branch"]);
    check(
        &flow().task(Node::switch("switch", Switch::on(1).case("1", [&a]).otherwise([&reads_a]))),
        &["`a`, which is in another branch"],
    );
    flow().task(Node::fork("fork", [[&a], [&b]])).task(&reads_a).build().unwrap();
    flow().task(Node::switch("switch", Switch::on(1).case("1", [&a]).case("2", [&b]))).task(&reads_a).build().unwrap();
}

#[test]
fn in_a_loop_a_later_task_is_the_one_of_the_round_before() {
    let first = Node::noop("first").input("before", task_reference("last").output("x"));
    let item = Node::noop("last").input("item", task_reference("loop").output("loopItem"));
    flow().task(Node::do_while("loop", DoWhile::each(workflow_input("list"), [&first, &item]))).build().unwrap();
    check(&flow().task(first).task(Node::noop("last")), &["`last`, which comes later"]);
}

#[test]
fn a_loop_inside_a_loop_is_refused_unless_it_is_in_a_sub_workflow() {
    let inner = Node::do_while("inner", DoWhile::times(2, [Node::noop("n")]));
    let finding = "inner: a loop inside a loop does not work";
    check(&flow().task(Node::do_while("outer", DoWhile::times(2, [&inner]))), &[finding]);
    let way = Node::switch("way", Switch::on(1).case("1", [&inner]));
    check(&flow().task(Node::do_while("outer", DoWhile::times(2, [way]))), &[finding]);
    let child = WorkflowBuilder::new("child").task(&inner);
    let sub = Node::sub_workflow("sub", SubWorkflow::inline(&child));
    flow().task(Node::do_while("outer", DoWhile::times(2, [sub]))).task(&inner).build().unwrap();
}

#[test]
fn a_dynamic_fork_that_is_given_its_tasks_may_have_any_list() {
    let mut def = flow().task(Node::dynamic_fork("fork", "task", workflow_input("list"))).build().unwrap();
    let fork = &mut def.tasks[0];
    fork.input_parameters.insert("forkTaskInputs".to_owned(), 5.into());
    check(&WorkflowBuilder::from(def.clone()), &["the inputs of the tasks must be a list"]);
    def.tasks[0].input_parameters.insert("forkTaskInputs".to_owned(), RawJson::from(serde_json::Value::Null));
    check(&WorkflowBuilder::from(def.clone()), &["there is no input that holds the tasks"]);
    let fork = &mut def.tasks[0];
    fork.input_parameters.insert("forkTaskInputs".to_owned(), 5.into());
    let mut other = def.clone();
    let fork = &mut other.tasks[0];
    fork.dynamic_fork_join_tasks_param = Some("t".into());
    fork.input_parameters.insert("t".to_owned(), "${workflow.input}".into());
    WorkflowBuilder::from(other).build().unwrap();
    let fork = &mut def.tasks[0];
    (fork.dynamic_fork_tasks_param, fork.dynamic_fork_tasks_input_param_name) = (Some("t".into()), Some("i".into()));
    for input in ["t", "i"] {
        fork.input_parameters.insert(input.to_owned(), "${workflow.input}".into());
    }
    WorkflowBuilder::from(def).build().unwrap();
}

#[test]
fn what_a_node_that_stands_twice_has_wrong_is_told_once() {
    let node = Node::simple("task", "two").input("x", "${gone.output}");
    let error = flow().task(&node).task(&node).build().unwrap_err().to_string();
    assert_eq!(error.matches("refers to `gone`").count(), 1, "{error}");
}

#[test]
fn ten_thousand_tasks_are_built_at_once() {
    let began = Instant::now();
    let mut builder = flow().task(Node::noop("t0"));
    for at in 1..10_000 {
        let before = task_reference(format!("t{}", at - 1));
        builder = builder.task(Node::noop(format!("t{at}")).input("before", before.output("x")));
    }
    let def = builder.build().unwrap();
    let branches = def.tasks.iter().map(|task| [Node::from(task.clone()).input("before", 1)]);
    flow().task(Node::fork("fork", branches)).build().unwrap();
    // A second or two where nothing is optimised; minutes if each task were compared with all others.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn what_is_nested_too_deep_is_refused() {
    let nested = |n_levels| {
        let mut node = Node::noop("innermost");
        for at in 0..n_levels {
            node = Node::switch(format!("s{at}"), Switch::on(1).case("1", [node]));
        }
        flow().task(node)
    };
    let def = nested(37).build().unwrap();
    assert_eq!(serde_json::from_str::<WorkflowDef>(&serde_json::to_string(&def).unwrap()).unwrap(), def);
    for n_levels in [40, 100, 500, 5000] {
        check(&nested(n_levels), &["levels deep in JSON"]);
    }
    // By reference, which copies it.
    let mut node = Node::noop("innermost");
    for at in 0..5000 {
        node = Node::switch(format!("s{at}"), Switch::on(1).case("1", [&node]));
    }
    check(&flow().task(&node), &["levels deep in JSON"]);
    let mut node = Node::noop("innermost");
    for at in 0..61 {
        node = Node::fork(format!("f{at}"), [[&node]]);
    }
    check(&flow().task(&node), &["levels deep in JSON"]);
    let mut child = WorkflowBuilder::new("child").task(Node::noop("n"));
    for _ in 0..40 {
        child = WorkflowBuilder::new("child").task(Node::sub_workflow("sub", SubWorkflow::inline(&child)));
    }
    check(&child, &["levels deep in JSON"]);
}

#[test]
fn a_child_of_children_is_registered_once() {
    let mut child = WorkflowBuilder::new("child0").task(Node::simple("a", "a").definition(TaskDef::new("a")));
    for at in 1..25 {
        let sub = |reference| Node::sub_workflow(reference, SubWorkflow::registered(&child));
        child = WorkflowBuilder::new(format!("child{at}")).task(sub("left")).task(sub("right"));
    }
    let done = serde_json::json!({"bulkErrorResults": {}, "bulkSuccessfulResults": []});
    let server = Server::start(move |_| Some(Answer::json(200, &done)));
    child.register(&server.client().metadata()).unwrap();
    let paths: Vec<_> = server.requests().into_iter().map(|request| (request.target, request.body)).collect();
    assert_eq!(paths.len(), 26, "a task definition, 24 children, the whole");
    assert!(paths[0].0.ends_with("/metadata/taskdefs"), "{}", paths[0].0);
    for (at, (_, body)) in paths[1..].iter().enumerate() {
        let name = format!("\"name\":\"child{at}\"");
        assert!(String::from_utf8_lossy(body).contains(&name), "{name} comes in its turn");
    }
}

#[test]
fn text_with_many_open_braces_is_read_once() {
    let began = Instant::now();
    let text = "${".repeat(100_000);
    flow().task(Node::noop("n").input("x", text)).build().unwrap();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[test]
fn inputs_that_a_sub_workflow_does_not_know_are_refused() {
    let named = WorkflowBuilder::new("child").inputs(["name"]).task(Node::noop("n"));
    let used = WorkflowBuilder::new("child").task(Node::noop("n").input("x", workflow_input("name")));
    for child in [SubWorkflow::inline(&named), SubWorkflow::inline(&used), SubWorkflow::registered(&named)] {
        let node = Node::sub_workflow("sub", child);
        flow().task(node.clone().input("name", "Ada")).build().unwrap();
        check(&flow().task(node.input("nmae", "Ada")), &["sub: the sub-workflow child has no input `nmae`"]);
    }
    let broken = WorkflowBuilder::new("child").task(Node::noop("n").input("x", "${gone.output}"));
    check(&flow().task(Node::sub_workflow("sub", SubWorkflow::inline(&broken))), &["child", "`gone`"]);
}

/// Not shown on the real server (3.32.1): it never answers the start, and is busy for ever.
#[test]
fn a_name_that_is_mistaken_for_the_round_of_a_loop_is_refused() {
    let looped = Node::do_while("loop", DoWhile::times(1, [Node::noop("r__r")]));
    check(&flow().task(looped), &["r__r: a reference name with `__` is mistaken for the round of a loop"]);
    flow().task(Node::noop("r__r")).build().unwrap();
}

#[test]
fn scripts_read_inputs_that_exist() {
    check(&flow().task(Node::inline("sum", "$.a + $.b").input("a", 1)), &["sum: the script reads `$.b`"]);
    check(
        &flow().task(Node::switch("sw", Switch::javascript("$.b").case("x", [Node::noop("n")]))),
        &["sw: the script reads `$.b`"],
    );
    flow().task(Node::inline("sum", "$.sum = 1; `$${$.sum}`")).build().unwrap();
    flow().task(Node::switch("sw", Switch::on(1).case("1", [] as [Node; 0]))).build().unwrap();
    let body = [Node::noop("n")];
    check(&flow().task(Node::do_while("loop", DoWhile::condition("$.lop.iteration < 3", body))), &["`$.lop`"]);
}

#[test]
fn settings_on_the_wrong_task_are_refused() {
    for (node, finding) in [
        (Node::noop("n").join_on(["a"]), "only a fork has a join"),
        (Node::noop("n").workflow_output(1), "terminates"),
        (Node::noop("n").default_join(["n"]), "exclusive join"),
        (Node::simple("a", "n").definition(TaskDef::new("b")), "is for `b`, not for `a`"),
        (Node::do_while("n", DoWhile::times(0, [Node::noop("m")])), "at least once"),
        (Node::noop("n").timeout(Duration::ZERO, TimeoutPolicy::Retry), "the timeout is zero"),
    ] {
        check(&flow().task(node), &["n: ", finding]);
    }
    let second = Duration::from_secs(1);
    check(&flow().task(Node::noop("n")).timeout(second, TimeoutPolicy::Retry), &["workflow: the timeout policy"]);
    check(
        &flow().task(Node::noop("n")).timeout(Duration::ZERO, TimeoutPolicy::TimeOutWf),
        &["workflow: the timeout is"],
    );
    let short = Node::simple("a", "n").definition(TaskDef::new("a").timeout(second, TimeoutPolicy::Retry));
    check(&flow().task(short), &["task definition a: the response timeout"]);
}

#[test]
fn a_constant_must_have_a_case() {
    let switch = |value: RawJson, case: &str| {
        let nothing: [Node; 0] = [];
        flow().task(Node::switch("s", Switch::on(value).case(case, nothing.clone()).case("x", nothing)))
    };
    for (value, case) in [
        (RawJson::from("q"), "q"),
        (1.into(), "1"),
        (true.into(), "true"),
        (serde_json::Value::Null.into(), "null"),
        // What the server makes of these is a text of its own.
        (1.5.into(), ""),
        (serde_json::json!({"a": 1}).into(), ""),
        (workflow_input("q").into(), ""),
    ] {
        switch(value, case).build().unwrap();
    }
    check(&switch("q".into(), ""), &["s: the value is always `q`, for which there is no case"]);
    check(&switch(1.into(), "2"), &["s: the value is always `1`"]);
}

#[test]
fn tasks_are_named_by_nodes_and_references_too() {
    let (a, b) = (Node::noop("a"), Node::noop("b"));
    let inner = Node::fork("inner", [[&b]]);
    let fork = Node::fork("fork", [[&a], [&inner]]);
    let joins =
        |node: Node| WorkflowBuilder::from(flow().task(node).build().unwrap()).build().unwrap().tasks[1].clone();
    assert_eq!(joins(fork.clone().join_on([&a, &inner])).join_on, ["a", "inner_join"], "a fork is known by its join");
    assert_eq!(joins(fork.clone().join_on([a.reference(), task_reference("b")])).join_on, ["a", "b"]);
    assert_eq!(joins(fork.clone().join_on(["a".to_owned()])).join_on, ["a"]);
    let either = Node::exclusive_join("either", [&a, &b]).default_join([&b.reference()]);
    let def = flow().task(fork.join_on([&a, &inner])).task(either).build().unwrap();
    let either = def.tasks.last().unwrap();
    assert_eq!(
        (&either.join_on, &either.default_exclusive_join_task),
        (&vec!["a".into(), "b".into()], &vec!["b".into()])
    );
    check(&flow().task(Node::exclusive_join("either", [&a])), &["either: waits for `a`, which does not exist"]);
}

#[derive(Serialize, Deserialize)]
struct Order {
    item: String,
}

#[derive(Serialize, Deserialize)]
struct Price {
    cents: u32,
}

#[test]
fn a_typed_task_knows_its_fields() {
    const PRICE: TypedTask<Order, Price> = TypedTask::new("price");
    const SHOUT: TypedTask<Order, String> = TypedTask::new("shout");
    let price = PRICE.node("p").input("item", "apple");
    let shout = SHOUT.node("s").input("item", price.output("cents"));
    flow().task(&price).task(&shout).output("x", shout.output("result")).build().unwrap();
    check(&flow().task(price.clone().input("itme", 1)), &["p: the input `itme` is not one of `item`"]);
    check(&flow().task(&price).output("x", price.output("cent")), &["`p` has no output `cent`, only `cents`"]);
    check(&flow().task(&shout).output("x", shout.output("text")), &["no output `text`, only `result`"]);
    assert_eq!(PRICE.worker(|_, order| Ok(Price { cents: order.item.parse().unwrap() })).task_type(), "price");
}

#[test]
fn everything_is_registered_in_order() {
    let server = EmbeddedServer::start().unwrap();
    let client = Client::new(Config::new(&server.url()).unwrap()).unwrap();
    let node = Node::simple("greet", "g").definition(TaskDef::new("greet").concurrent_exec_limit(3));
    flow().task(node).register(&client.metadata()).unwrap();
    assert_eq!(client.metadata().task("greet").unwrap().concurrent_exec_limit, Some(3));
    assert_eq!(client.metadata().workflow("flow").unwrap().tasks.len(), 1);
    let seen = server.requests();
    let paths: Vec<_> = seen.iter().take(2).map(|request| format!("{request:?}")).collect();
    assert!(paths[0].contains("taskdefs") && paths[1].contains("workflow"), "{paths:?}");
}
