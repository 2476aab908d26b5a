//! The exchanges.

use super::exchange::Step;

const fn step(request: &'static str, body: &'static str) -> Step {
    Step { request, body, save: "", until: "", least_millis: 0 }
}

const fn save(request: &'static str, body: &'static str, save: &'static str) -> Step {
    Step { request, body, save, until: "", least_millis: 0 }
}

const fn until(request: &'static str, until: &'static str) -> Step {
    Step { request, body: "", save: "", until, least_millis: 0 }
}

const fn waits(request: &'static str, least_millis: u64) -> Step {
    Step { request, body: "", save: "", until: "", least_millis }
}

/// Takes the next task of `{P}t`.
const POLL: Step = save("GET /tasks/poll/batch/{P}t?count=1&timeout=3000&workerid=w", "", "task=/0/taskId");

/// Registers the workflow `{P}w` with the tasks `{P}t` and `{P}u`.
const TWO_TASKS: Step = step(
    "POST /metadata/workflow",
    r#"{"name":"{P}w","tasks":[{"name":"{P}t","taskReferenceName":"a"},{"name":"{P}u","taskReferenceName":"b"}]}"#,
);

/// Registers the workflow `{P}w` with the task `{P}t`.
const ONE_TASK: Step =
    step("POST /metadata/workflow", r#"{"name":"{P}w","tasks":[{"name":"{P}t","taskReferenceName":"a"}]}"#);

const START: Step = save("POST /workflow", r#"{"name":"{P}w"}"#, "wf=");

const GET: Step = step("GET /workflow/{wf}", "");

const COMPLETE: Step = step(
    "POST /tasks",
    r#"{"workflowInstanceId":"{wf}","taskId":"{task}","status":"COMPLETED","workerId":"w","outputData":{"n":1}}"#,
);

const FAIL: Step = step(
    "POST /tasks",
    r#"{"workflowInstanceId":"{wf}","taskId":"{task}","status":"FAILED","reasonForIncompletion":"no","outputData":{"e":1}}"#,
);

/// Each case with its steps.
pub(crate) const CASES: &[(&str, &[Step])] = &[
    ("task definitions", TASK_DEFINITIONS),
    ("workflow definitions", WORKFLOW_DEFINITIONS),
    ("shapes", SHAPES),
    ("references", REFERENCES),
    ("references that are refused", BAD_REFERENCES),
    ("starts that are refused", BAD_STARTS),
    ("updates that are refused", BAD_UPDATES),
    ("a workflow runs", RUN),
    ("long polls", LONG_POLLS),
    ("late and repeated updates", LATE),
    ("retries", RETRIES),
    ("verdicts", VERDICTS),
    ("optional tasks", OPTIONAL),
    ("permissive tasks", PERMISSIVE),
    ("callbacks", CALLBACKS),
    ("lease extension", LEASE),
    ("response timeout", RESPONSE_TIMEOUT),
    ("task timeout with retry", TASK_TIMEOUT),
    ("task timeout of the workflow", TASK_TIMEOUT_OF_WORKFLOW),
    ("poll timeout", POLL_TIMEOUT),
    ("total timeout", TOTAL_TIMEOUT),
    ("workflow timeout", WORKFLOW_TIMEOUT),
    ("pause and resume", PAUSE),
    ("terminate", TERMINATE),
    ("update by reference", BY_REFERENCE),
    ("update-v2", UPDATE_V2),
    ("logs", LOGS),
    ("domains", DOMAINS),
    ("concurrency", CONCURRENCY),
    ("priorities", PRIORITIES),
    ("start delay", START_DELAY),
    ("a definition that comes along", INLINE),
    ("failure workflow", FAILURE_WORKFLOW),
    ("an update with the id of another workflow", OTHER_WORKFLOW),
    ("a negative callback time", NEGATIVE_CALLBACK),
    ("a permissive task that is the last", PERMISSIVE_LAST),
    ("an optional task with retries", OPTIONAL_RETRIES),
    ("routes", ROUTES),
];

const TASK_DEFINITIONS: &[Step] = &[
    step("POST /metadata/taskdefs", r#"[{"name":"{P}t","retryCount":1,"extra":true}]"#),
    step("GET /metadata/taskdefs/{P}t", ""),
    step("POST /metadata/taskdefs", r#"[{"name":"{P}t","inputTemplate":{"a":null},"inputKeys":["a"]}]"#),
    step(
        "PUT /metadata/taskdefs",
        r#"{"name":"{P}t","description":"d","concurrentExecLimit":3,"pollTimeoutSeconds":9}"#,
    ),
    step("GET /metadata/taskdefs/{P}t", ""),
    step("PUT /metadata/taskdefs", r#"{"name":"{P}missing"}"#),
    step("GET /metadata/taskdefs/{P}missing", ""),
    step("POST /metadata/taskdefs", "[]"),
    step("POST /metadata/taskdefs", r#"{"name":"{P}t"}"#),
    step(
        "POST /metadata/taskdefs",
        r#"[{"name":"{P}t","timeoutSeconds":10,"responseTimeoutSeconds":20,"retryCount":-1}]"#,
    ),
    step("POST /metadata/taskdefs", r#"[{"name":"","responseTimeoutSeconds":0,"backoffScaleFactor":0}]"#),
    step(
        "POST /metadata/taskdefs",
        r#"[{"name":"{P}t","totalTimeoutSeconds":5,"timeoutSeconds":9,"responseTimeoutSeconds":1}]"#,
    ),
    step(
        "POST /metadata/taskdefs",
        r#"[{"name":"{P}t","maxRetryDelaySeconds":-1,"backoffJitterMs":-1,"pollTimeoutSeconds":-1}]"#,
    ),
    step("PUT /metadata/taskdefs", r#"{"name":"{P}t","retryCount":-1}"#),
    step("POST /metadata/taskdefs", r#"[{"name":"{P}t","retryLogic":"NOPE"}]"#),
    step("POST /metadata/taskdefs", r#"[{"name":"{P}t","timeoutPolicy":"NOPE"}]"#),
    step("POST /metadata/taskdefs", ""),
    step("POST /metadata/taskdefs", "text:[]"),
    step("DELETE /metadata/taskdefs/{P}t", ""),
    step("DELETE /metadata/taskdefs/{P}t", ""),
];

const WORKFLOW_DEFINITIONS: &[Step] = &[
    ONE_TASK,
    ONE_TASK,
    step(
        "POST /metadata/workflow?overwrite=True",
        r#"{"name":"{P}w","description":"d","tasks":[{"name":"{P}t","taskReferenceName":"a"}]}"#,
    ),
    step("GET /metadata/workflow/{P}w", ""),
    step("GET /metadata/workflow/{P}w?version=2", ""),
    step("GET /metadata/workflow/{P}w?version=x", ""),
    step("GET /metadata/workflow/{P}missing", ""),
    step(
        "PUT /metadata/workflow",
        r#"[{"name":"{P}w","version":2,"tasks":[{"name":"{P}t","taskReferenceName":"a"}],"outputParameters":{"n":null}}]"#,
    ),
    step("GET /metadata/workflow/{P}w", ""),
    step("GET /metadata/workflow/{P}w/versions", ""),
    step("GET /metadata/workflow/{P}missing/versions", ""),
    step("PUT /metadata/workflow", r#"[{"name":"{P}x","tasks":[]}]"#),
    step("POST /metadata/workflow", r#"{"name":"{P}x","tasks":[]}"#),
    step("POST /metadata/workflow", r#"{"name":"{P}x"}"#),
    step("POST /metadata/workflow", r#"{"tasks":[{"name":"{P}t","taskReferenceName":"a"}]}"#),
    step("POST /metadata/workflow", r#"{"name":"{P}x","tasks":[{"name":"","taskReferenceName":""}]}"#),
    step("POST /metadata/workflow", r#"{"name":"{P}x","timeoutPolicy":"RETRY","tasks":[]}"#),
    step(
        "POST /metadata/workflow/validate",
        r#"{"name":"","tasks":[{"name":"a","taskReferenceName":"r"},{"name":"b","taskReferenceName":"r"}]}"#,
    ),
    step("POST /metadata/workflow/validate", r#"{"name":"{P}x","tasks":[{"name":"a","taskReferenceName":"r"}]}"#),
    step("DELETE /metadata/workflow/{P}w/2", ""),
    step("DELETE /metadata/workflow/{P}w/2", ""),
    step("DELETE /metadata/workflow/{P}w/x", ""),
    step("GET /metadata/workflow/{P}w", ""),
];

const SHAPES: &[Step] = &[
    step("POST /metadata/taskdefs", r#"[{"name":"{P}t","retryCount":1}]"#),
    step(
        "POST /metadata/workflow",
        r#"{"name":"{P}w","ownerEmail":"a@b.c","inputParameters":["x"],"outputParameters":{"y":"${a.output.y}"},"variables":{"v":1},
        "inputTemplate":{"z":[1]},"tasks":[{"name":"{P}t","taskReferenceName":"a","inputParameters":{"x":"${workflow.input.x}","z":"${workflow.input.z}"}},
        {"name":"{P}u","taskReferenceName":"b","startDelay":1,"optional":true,"description":"last"}]}"#,
    ),
    save(
        "POST /workflow",
        r#"{"name":"{P}w","version":1,"correlationId":"c","priority":7,"createdBy":"me","input":{"x":null}}"#,
        "wf=",
    ),
    step("GET /workflow/{wf}", ""),
    save("GET /tasks/poll/{P}t?workerid=w", "", "task=/taskId"),
    step("GET /tasks/{task}", ""),
    step("GET /workflow/{wf}?includeTasks=false", ""),
];

const REFERENCES: &[Step] = &[
    step(
        "POST /metadata/taskdefs",
        r#"[{"name":"{P}u","inputTemplate":{"whole":"template","missing":"template","more":["${workflow.input.n}"],"null":1}}]"#,
    ),
    step(
        "POST /metadata/workflow",
        r#"{"name":"{P}w","variables":{"v":{"w":2}},"inputTemplate":{"d":"default","n":"default"},"tasks":[{"name":"{P}t","taskReferenceName":"a"},
        {"name":"{P}u","taskReferenceName":"b","inputParameters":{
        "whole":"${a.output.o}","int":"${a.output.i}","float":"${a.output.f}","bool":"${a.output.t}","null":"${a.output.z}",
        "missing":"${a.output.none}","deep":"${a.output.o.l[1].k}","item":"${a.output.o.l[0]}","last":"${a.output.o.l[-1]}","beyond":"${a.output.o.l[7]}",
        "count":"${a.output.o.l.length()}","text":"i=${a.output.i} s=${a.output.s} z=${a.output.z} n=${a.output.none} t=${a.output.t} f=${a.output.f}",
        "map text":"o=${a.output.o}","nested":{"list":["${workflow.input.n}",{"k":"${workflow.input.d}"},3],"plain":"text"},
        "quoted":"${a.output['odd name']}","inner":"${a.output.${a.output.name}}","escape":"$${a.output.i}","open":"${a.output.i","dollar":"cost $5",
        "type":"${workflow.workflowType}","version":"${workflow.version}","correlation":"${workflow.correlationId}","status":"${workflow.status}",
        "variable":"${workflow.variables.v.w}","input of":"${a.input}","ref":"${a.referenceTaskName}","task status":"${a.status}","polls":"${a.pollCount}",
        "number":12345678901234567890,"long":1.50}}]}"#,
    ),
    save("POST /workflow", r#"{"name":"{P}w","correlationId":"c","input":{"n":{"deep":[]}}}"#, "wf="),
    POLL,
    step(
        "POST /tasks",
        r#"{"workflowInstanceId":"{wf}","taskId":"{task}","status":"IN_PROGRESS","outputData":{"twice":1,"twice":2}}"#,
    ),
    step(
        "POST /tasks",
        r#"{"workflowInstanceId":"{wf}","taskId":"{task}","status":"COMPLETED","outputData":{"o":{"l":[10,{"k":"v"}],"e":{}},"i":7,"f":1.5,"t":true,"z":null,"s":"a \"b\"","odd name":1,"name":"i"}}"#,
    ),
    step("GET /tasks/poll/{P}u", ""),
];

const BAD_REFERENCES: &[Step] = &[step(
    "POST /metadata/workflow",
    r#"{"name":"{P}w","tasks":[{"name":"{P}t","taskReferenceName":"a","inputParameters":{"x":"${nobody.output.x}","y":["text ${ } ${b[0}",
        {"z":"${later.output}"}],"own":"${a.output}","escaped":"$${nobody}","nested":"${a.output.${nobody}}","id":"${CPEWF_TASK_ID}"}},
        {"name":"{P}t","taskReferenceName":"later"}]}"#,
)];

const BAD_STARTS: &[Step] = &[
    ONE_TASK,
    step("POST /workflow", r#"{"name":"{P}missing","version":1}"#),
    step("POST /workflow", r#"{"name":"{P}missing"}"#),
    step("POST /workflow", r#"{"name":"{P}w","version":9}"#),
    step("POST /workflow", r#"{"input":{}}"#),
    step("POST /workflow", r#"{"name":"","input":{}}"#),
    step("POST /workflow", r#"{"name":"{P}w","priority":100}"#),
    step("POST /workflow", r#"{"name":"{P}w","priority":-1}"#),
    step("POST /workflow", r#"{"name":"{P}w","input":null}"#),
    step("POST /workflow", r#"{"name":"{P}w","input":[1]}"#),
    step("POST /workflow", ""),
    step("POST /workflow/{P}w", ""),
    step("POST /workflow/{P}w?version=x", "{}"),
    step("POST /workflow/{P}missing", "{}"),
    save("POST /workflow/{P}w?version=1&correlationId=c%20d&priority=5", r#"{"x":1}"#, "wf="),
    step("GET /workflow/{wf}", ""),
];

const BAD_UPDATES: &[Step] = &[
    ONE_TASK,
    START,
    POLL,
    step("POST /tasks", "{}"),
    step("POST /tasks", r#"{"taskId":"","workflowInstanceId":"x","status":"COMPLETED"}"#),
    step("POST /tasks", r#"{"taskId":"{task}","workflowInstanceId":"nope","status":"COMPLETED"}"#),
    step("POST /tasks", r#"{"taskId":"nope","workflowInstanceId":"{wf}","status":"COMPLETED"}"#),
    step("POST /tasks", r#"{"taskId":"{task}","workflowInstanceId":"{wf}"}"#),
    step("POST /tasks", r#"{"taskId":"{task}","workflowInstanceId":"{wf}","status":"DONE"}"#),
    step("POST /tasks", r#"{"taskId":"{task}","workflowInstanceId":"{wf}","status":"COMPLETED","outputData":[1]}"#),
    step("POST /tasks", r#"{"taskId":"{task}","workflowInstanceId":"{wf}","status":"COMPLETED","outputData":"x"}"#),
    step("POST /tasks", "{bad"),
    step("POST /tasks", ""),
    step("POST /tasks", "text:{}"),
    step("POST /tasks/update-v2", "{}"),
    step("GET /tasks/{task}", ""),
    step("GET /tasks/nope", ""),
];

const RUN: &[Step] = &[
    TWO_TASKS,
    step("GET /tasks/poll/{P}t?workerid=w", ""),
    step("GET /tasks/poll/batch/{P}t?count=2&timeout=0", ""),
    step("GET /tasks/queue/polldata?taskType={P}t", ""),
    save("POST /workflow", r#"{"name":"{P}w","input":{"x":1},"correlationId":"c","unknown":1}"#, "wf="),
    step("GET /tasks/queue/size?taskType={P}t", ""),
    step("GET /tasks/queue/sizes?taskType={P}t&taskType={P}nope", ""),
    step("GET /tasks/queue/size", ""),
    step("GET /tasks/queue/polldata", ""),
    step("GET /workflow/running/{P}w", ""),
    step("GET /workflow/{wf}/status", ""),
    POLL,
    step("GET /tasks/queue/size?taskType={P}t", ""),
    step("GET /workflow/{wf}?includeTasks=false", ""),
    COMPLETE,
    step("GET /workflow/{wf}", ""),
    save("GET /tasks/poll/{P}u", "", "task=/taskId"),
    step(
        "POST /tasks",
        r#"{"workflowInstanceId":"{wf}","taskId":"{task}","status":"COMPLETED","outputData":{"big":123456789012,"null":null,"nested":{"null":null}}}"#,
    ),
    step("GET /workflow/{wf}", ""),
    step("GET /workflow/{wf}/status?includeOutput=true&includeVariables=true", ""),
    step("GET /workflow/running/{P}w", ""),
    step("GET /workflow/nope", ""),
    step("GET /workflow/nope/status", ""),
    step("GET /workflow/running/{P}w?version=x", ""),
];

const LONG_POLLS: &[Step] = &[
    ONE_TASK,
    waits("GET /tasks/poll/{P}t", 100),
    waits("GET /tasks/poll/batch/{P}t?count=2&timeout=400", 400),
    step("GET /tasks/poll/batch/{P}t?count=0", ""),
    step("GET /tasks/poll/batch/{P}t?count=-1", ""),
    step("GET /tasks/poll/batch/{P}t?timeout=5001", ""),
    step("GET /tasks/poll/batch/{P}t?count=abc", ""),
    step("GET /tasks/poll/batch/{P}t?timeout=-5", ""),
    START,
    waits("GET /tasks/poll/batch/{P}t?count=2&timeout=500&workerid=w", 500),
    START,
    START,
    step("GET /tasks/poll/{P}t?domain=", ""),
    step("GET /tasks/poll/batch/{P}t?count=1&timeout=5000", ""),
    step("GET /tasks/poll/batch/{P}t?count=1&timeout=0", ""),
    step("GET /tasks/queue/polldata?taskType={P}t", ""),
];

const LATE: &[Step] = &[
    step("POST /metadata/taskdefs", r#"[{"name":"{P}t","retryCount":1,"retryDelaySeconds":0}]"#),
    ONE_TASK,
    START,
    POLL,
    FAIL,
    COMPLETE,
    step("GET /tasks/{task}", ""),
    POLL,
    COMPLETE,
    COMPLETE,
    FAIL,
    GET,
    // A task that nobody polled.
    START,
    save("GET /workflow/{wf}", "", "task=/tasks/0/taskId"),
    COMPLETE,
    GET,
];

const RETRIES: &[Step] = &[
    step(
        "POST /metadata/taskdefs",
        r#"[{"name":"{P}t","retryCount":2,"retryDelaySeconds":1,"retryLogic":"EXPONENTIAL_BACKOFF","backoffScaleFactor":9}]"#,
    ),
    ONE_TASK,
    START,
    POLL,
    FAIL,
    step("GET /workflow/{wf}", ""),
    POLL,
    FAIL,
    step("GET /workflow/{wf}", ""),
    POLL,
    FAIL,
    GET,
];

const VERDICTS: &[Step] = &[
    ONE_TASK,
    START,
    POLL,
    step(
        "POST /tasks",
        r#"{"workflowInstanceId":"{wf}","taskId":"{task}","status":"FAILED_WITH_TERMINAL_ERROR","reasonForIncompletion":"fatal"}"#,
    ),
    GET,
    START,
    POLL,
    step(
        "POST /tasks",
        r#"{"workflowInstanceId":"{wf}","taskId":"{task}","status":"CANCELED","reasonForIncompletion":"why"}"#,
    ),
    GET,
    START,
    POLL,
    step("POST /tasks", r#"{"workflowInstanceId":"{wf}","taskId":"{task}","status":"FAILED_WITH_TERMINAL_ERROR"}"#),
    GET,
];

const OPTIONAL: &[Step] = &[
    step("POST /metadata/taskdefs", r#"[{"name":"{P}t","retryCount":0},{"name":"{P}u","retryCount":0}]"#),
    step(
        "POST /metadata/workflow",
        r#"{"name":"{P}w","tasks":[{"name":"{P}t","taskReferenceName":"a","optional":true},{"name":"{P}u","taskReferenceName":"b","optional":true}]}"#,
    ),
    START,
    POLL,
    FAIL,
    save("GET /tasks/poll/{P}u", "", "task=/taskId"),
    FAIL,
    GET,
];

const PERMISSIVE: &[Step] = &[
    step("POST /metadata/taskdefs", r#"[{"name":"{P}t","retryCount":0}]"#),
    step(
        "POST /metadata/workflow",
        r#"{"name":"{P}w","tasks":[{"name":"{P}t","taskReferenceName":"a","permissive":true},{"name":"{P}u","taskReferenceName":"b"}]}"#,
    ),
    START,
    POLL,
    FAIL,
    save("GET /tasks/poll/{P}u", "", "task=/taskId"),
    COMPLETE,
    GET,
];

const CALLBACKS: &[Step] = &[
    ONE_TASK,
    START,
    POLL,
    step(
        "POST /tasks",
        r#"{"workflowInstanceId":"{wf}","taskId":"{task}","status":"IN_PROGRESS","callbackAfterSeconds":2,"workerId":"w","outputData":{"at":1}}"#,
    ),
    step("GET /tasks/{task}", ""),
    step("GET /tasks/poll/{P}t", ""),
    POLL,
    step("POST /tasks", r#"{"workflowInstanceId":"{wf}","taskId":"{task}","status":"IN_PROGRESS"}"#),
    step("GET /tasks/{task}", ""),
    POLL,
    COMPLETE,
    GET,
];

const LEASE: &[Step] = &[
    step("POST /metadata/taskdefs", r#"[{"name":"{P}t","responseTimeoutSeconds":3,"retryCount":0}]"#),
    ONE_TASK,
    START,
    POLL,
    waits("GET /tasks/poll/batch/{P}t?timeout=1800", 1800),
    step(
        "POST /tasks",
        r#"{"workflowInstanceId":"any","taskId":"{task}","status":"COMPLETED","workerId":"x","extendLease":true}"#,
    ),
    waits("GET /tasks/poll/batch/{P}t?timeout=1800", 1800),
    step("PUT /workflow/decide/{wf}", ""),
    step("GET /tasks/{task}", ""),
    step("POST /tasks/update-v2", r#"{"workflowInstanceId":"{wf}","taskId":"{task}","extendLease":true}"#),
    step("POST /tasks", r#"{"workflowInstanceId":"{wf}","taskId":"nope","extendLease":true}"#),
    until("GET /workflow/{wf}", "/status=TIMED_OUT"),
    step("POST /tasks", r#"{"workflowInstanceId":"{wf}","taskId":"{task}","extendLease":true}"#),
];

const RESPONSE_TIMEOUT: &[Step] = &[
    step(
        "POST /metadata/taskdefs",
        r#"[{"name":"{P}t","responseTimeoutSeconds":1,"retryCount":1,"retryDelaySeconds":0,"timeoutPolicy":"ALERT_ONLY"}]"#,
    ),
    ONE_TASK,
    START,
    POLL,
    until("GET /workflow/{wf}", "/tasks/0/status=TIMED_OUT"),
    POLL,
    until("GET /workflow/{wf}", "/status=TIMED_OUT"),
    COMPLETE,
];

const TASK_TIMEOUT: &[Step] = &[
    step(
        "POST /metadata/taskdefs",
        r#"[{"name":"{P}t","responseTimeoutSeconds":2,"timeoutSeconds":2,"retryCount":1,"retryDelaySeconds":0,"timeoutPolicy":"RETRY"}]"#,
    ),
    ONE_TASK,
    START,
    POLL,
    until("GET /workflow/{wf}", "/tasks/0/status=TIMED_OUT"),
    POLL,
    COMPLETE,
    GET,
];

const TASK_TIMEOUT_OF_WORKFLOW: &[Step] = &[
    step(
        "POST /metadata/taskdefs",
        r#"[{"name":"{P}t","responseTimeoutSeconds":1,"timeoutSeconds":1,"retryCount":3,"timeoutPolicy":"TIME_OUT_WF"}]"#,
    ),
    ONE_TASK,
    START,
    POLL,
    until("GET /workflow/{wf}", "/status=TIMED_OUT"),
];

const POLL_TIMEOUT: &[Step] = &[
    step("POST /metadata/taskdefs", r#"[{"name":"{P}t","pollTimeoutSeconds":1,"retryCount":0}]"#),
    ONE_TASK,
    START,
    until("GET /workflow/{wf}", "/status=TIMED_OUT"),
    step("GET /tasks/poll/{P}t", ""),
];

const TOTAL_TIMEOUT: &[Step] = &[
    step(
        "POST /metadata/taskdefs",
        r#"[{"name":"{P}t","totalTimeoutSeconds":1,"retryCount":3,"retryDelaySeconds":0,"timeoutPolicy":"RETRY"}]"#,
    ),
    ONE_TASK,
    START,
    POLL,
    until("GET /workflow/{wf}", "/status=TIMED_OUT"),
];

const WORKFLOW_TIMEOUT: &[Step] = &[
    step(
        "POST /metadata/workflow",
        r#"{"name":"{P}w","timeoutSeconds":1,"timeoutPolicy":"TIME_OUT_WF","tasks":[{"name":"{P}t","taskReferenceName":"a"}]}"#,
    ),
    START,
    POLL,
    until("GET /workflow/{wf}", "/status=TIMED_OUT"),
    COMPLETE,
];

const PAUSE: &[Step] = &[
    TWO_TASKS,
    START,
    step("PUT /workflow/{wf}/pause", ""),
    step("PUT /workflow/{wf}/pause", "{}"),
    step("GET /workflow/{wf}/status", ""),
    step("GET /workflow/running/{P}w", ""),
    POLL,
    COMPLETE,
    step("GET /tasks/poll/{P}u", ""),
    step("PUT /workflow/{wf}/resume", ""),
    step("PUT /workflow/{wf}/resume", ""),
    save("GET /tasks/poll/{P}u", "", "task=/taskId"),
    COMPLETE,
    GET,
    step("PUT /workflow/{wf}/pause", ""),
    step("PUT /workflow/{wf}/resume", ""),
    step("PUT /workflow/decide/{wf}", ""),
    step("PUT /workflow/decide/nope", ""),
    step("PUT /workflow/nope/pause", ""),
    step("PUT /workflow/nope/resume", ""),
];

const TERMINATE: &[Step] = &[
    TWO_TASKS,
    START,
    POLL,
    step("DELETE /workflow/{wf}?reason=be%20cause", ""),
    GET,
    step("DELETE /workflow/{wf}?reason=again", ""),
    step("GET /workflow/{wf}?includeTasks=false", ""),
    COMPLETE,
    step("GET /tasks/queue/size?taskType={P}t", ""),
    START,
    step("DELETE /workflow/{wf}", "{}"),
    GET,
    step("GET /tasks/poll/{P}t", ""),
    START,
    POLL,
    step("POST /tasks", r#"{"workflowInstanceId":"{wf}","taskId":"{task}","status":"FAILED_WITH_TERMINAL_ERROR"}"#),
    step("DELETE /workflow/{wf}?reason=after+all", ""),
    GET,
    START,
    POLL,
    COMPLETE,
    save("GET /tasks/poll/{P}u", "", "task=/taskId"),
    COMPLETE,
    step("DELETE /workflow/{wf}?reason=late", ""),
    step("DELETE /workflow/nope", ""),
];

const BY_REFERENCE: &[Step] = &[
    TWO_TASKS,
    START,
    POLL,
    step(
        "POST /tasks",
        r#"{"workflowInstanceId":"{wf}","taskId":"{task}","status":"IN_PROGRESS","workerId":"w","outputData":{"a":1,"b":{"c":1}}}"#,
    ),
    step("POST /tasks/{wf}/a/IN_PROGRESS?workerid=w2", r#"{"b":{"d":2}}"#),
    step("GET /tasks/{task}", ""),
    step("POST /tasks/{wf}/a/COMPLETED", r#"{"e":5}"#),
    step("GET /tasks/{task}", ""),
    step("POST /tasks/{wf}/a/COMPLETED", r#"{"e":6}"#),
    step("POST /tasks/{wf}/nope/COMPLETED", "{}"),
    step("POST /tasks/nope/a/COMPLETED", "{}"),
    step("POST /tasks/{wf}/b/completed", "{}"),
    step("POST /tasks/{wf}/b/COMPLETED", ""),
    step("POST /tasks/{wf}/b/COMPLETED", "[]"),
    step("POST /tasks/{wf}/a/COMPLETED/sync", "{}"),
    step("POST /tasks/nope/a/COMPLETED/sync", "{}"),
    step("POST /tasks/{wf}/b/COMPLETED/sync", r#"{"f":1}"#),
];

const UPDATE_V2: &[Step] = &[
    ONE_TASK,
    START,
    START,
    POLL,
    step(
        "POST /tasks/update-v2",
        r#"{"workflowInstanceId":"{wf}","taskId":"{task}","status":"IN_PROGRESS","callbackAfterSeconds":60}"#,
    ),
    save(
        "POST /tasks/update-v2",
        r#"{"workflowInstanceId":"{wf}","taskId":"{task}","status":"COMPLETED","workerId":"v","outputData":{}}"#,
        "next=/taskId",
    ),
    step("POST /tasks/update-v2", r#"{"workflowInstanceId":"{wf}","taskId":"{next}","status":"COMPLETED"}"#),
    step("POST /tasks/update-v2", r#"{"workflowInstanceId":"nope","taskId":"{next}","status":"COMPLETED"}"#),
    step("POST /tasks/update-v2", r#"{"workflowInstanceId":"{wf}","taskId":"nope","status":"COMPLETED"}"#),
    step("POST /tasks/update-v2", "{bad"),
];

const LOGS: &[Step] = &[
    ONE_TASK,
    START,
    POLL,
    step("GET /tasks/{task}/log", ""),
    step("POST /tasks/{task}/log", "text:a line"),
    step("POST /tasks/{task}/log", r#""in quotes""#),
    step("POST /tasks/{task}/log", "not JSON"),
    step("POST /tasks/{task}/log", ""),
    step(
        "POST /tasks",
        r#"{"workflowInstanceId":"{wf}","taskId":"{task}","status":"IN_PROGRESS","logs":[{"log":"one","createdTime":5},{"log":"two","taskId":"x"}]}"#,
    ),
    step("GET /tasks/{task}/log", ""),
    step("GET /tasks/nope/log", ""),
];

const DOMAINS: &[Step] = &[
    ONE_TASK,
    step("GET /tasks/poll/{P}t?domain=two&workerid=w", ""),
    save("POST /workflow", r#"{"name":"{P}w","taskToDomain":{"{P}t":"one,two,three"}}"#, "wf="),
    GET,
    step("GET /tasks/poll/{P}t", ""),
    step("GET /tasks/queue/size?taskType={P}t", ""),
    step("GET /tasks/queue/size?taskType={P}t&domain=two", ""),
    step("GET /tasks/poll/batch/{P}t?domain=two&count=1&timeout=0", ""),
    save("POST /workflow", r#"{"name":"{P}w","taskToDomain":{"*":"four"}}"#, "wf="),
    step("GET /tasks/poll/{P}t?domain=four", ""),
    save("POST /workflow", r#"{"name":"{P}w","taskToDomain":{"*":"four","{P}t":"five,NO_DOMAIN"}}"#, "wf="),
    step("GET /tasks/poll/{P}t", ""),
];

const CONCURRENCY: &[Step] = &[
    step("POST /metadata/taskdefs", r#"[{"name":"{P}t","concurrentExecLimit":1}]"#),
    ONE_TASK,
    save("POST /workflow", r#"{"name":"{P}w"}"#, "wf="),
    POLL,
    step("POST /workflow", r#"{"name":"{P}w"}"#),
    step("GET /tasks/poll/batch/{P}t?count=1&timeout=200", ""),
    step("GET /tasks/queue/size?taskType={P}t", ""),
    COMPLETE,
    POLL,
];

const PRIORITIES: &[Step] = &[
    ONE_TASK,
    step("POST /workflow", r#"{"name":"{P}w","correlationId":"1"}"#),
    step("POST /workflow", r#"{"name":"{P}w","correlationId":"2","priority":5}"#),
    step("POST /workflow", r#"{"name":"{P}w","correlationId":"3","priority":99}"#),
    step("GET /tasks/poll/{P}t", ""),
    step("GET /tasks/poll/{P}t", ""),
    step("GET /tasks/poll/{P}t", ""),
];

const START_DELAY: &[Step] = &[
    step(
        "POST /metadata/workflow",
        r#"{"name":"{P}w","tasks":[{"name":"{P}t","taskReferenceName":"a","startDelay":2}]}"#,
    ),
    START,
    step("GET /tasks/poll/{P}t", ""),
    GET,
    POLL,
];

const INLINE: &[Step] = &[
    save(
        "POST /workflow",
        r#"{"name":"{P}other","version":3,"workflowDef":{"name":"{P}w","version":2,"outputParameters":{"id":"${workflow.workflowId}"},
        "tasks":[{"name":"{P}t","taskReferenceName":"a","taskDefinition":{"name":"{P}t","retryCount":7,"responseTimeoutSeconds":9}}]}}"#,
        "wf=",
    ),
    GET,
    save("GET /tasks/poll/batch/{P}t?count=1&timeout=1000", "", "task=/0/taskId"),
    COMPLETE,
    GET,
    step("GET /metadata/workflow/{P}w", ""),
    step("POST /workflow", r#"{"workflowDef":{"name":"{P}w","tasks":[{"name":"{P}t","taskReferenceName":"a"}]}}"#),
    step("POST /workflow", r#"{"name":"{P}w","workflowDef":{"name":"{P}w","tasks":[]}}"#),
];

const FAILURE_WORKFLOW: &[Step] = &[
    step("POST /metadata/taskdefs", r#"[{"name":"{P}t","retryCount":0}]"#),
    step(
        "POST /metadata/workflow",
        r#"{"name":"{P}f","tasks":[{"name":"{P}u","taskReferenceName":"b","inputParameters":{"reason":"${workflow.input.reason}",
        "id":"${workflow.input.workflowId}","status":"${workflow.input.failureStatus}","task":"${workflow.input.failureTaskId}","x":"${workflow.input.x}"}}]}"#,
    ),
    step(
        "POST /metadata/workflow",
        r#"{"name":"{P}w","failureWorkflow":"{P}f","tasks":[{"name":"{P}t","taskReferenceName":"a"}]}"#,
    ),
    save("POST /workflow", r#"{"name":"{P}w","correlationId":"c","input":{"x":1}}"#, "wf="),
    POLL,
    FAIL,
    GET,
    step("GET /tasks/poll/batch/{P}u?count=1&timeout=1000", ""),
    START,
    step("DELETE /workflow/{wf}?reason=no", ""),
    GET,
    step("GET /tasks/poll/batch/{P}u?count=1&timeout=200", ""),
    step(
        "POST /metadata/workflow",
        r#"{"name":"{P}v","failureWorkflow":"{P}missing","tasks":[{"name":"{P}t","taskReferenceName":"a"}]}"#,
    ),
    save("POST /workflow", r#"{"name":"{P}v"}"#, "wf="),
    POLL,
    FAIL,
    GET,
];

const OTHER_WORKFLOW: &[Step] = &[
    TWO_TASKS,
    save("POST /workflow", r#"{"name":"{P}w"}"#, "one="),
    START,
    POLL,
    step("GET /tasks/{task}", ""),
    step("POST /tasks", r#"{"workflowInstanceId":"{wf}","taskId":"{task}","status":"COMPLETED"}"#),
    step("GET /tasks/poll/{P}u", ""),
    step("PUT /workflow/decide/{one}", ""),
    step("GET /tasks/poll/{P}u", ""),
];

const NEGATIVE_CALLBACK: &[Step] = &[
    ONE_TASK,
    START,
    POLL,
    step(
        "POST /tasks",
        r#"{"workflowInstanceId":"{wf}","taskId":"{task}","status":"IN_PROGRESS","callbackAfterSeconds":-1}"#,
    ),
    step("GET /tasks/poll/{P}t", ""),
    step("GET /tasks/queue/size?taskType={P}t", ""),
    step("POST /tasks", r#"{"workflowInstanceId":"{wf}","taskId":"{task}","status":"IN_PROGRESS"}"#),
    step("GET /tasks/poll/batch/{P}t?count=1&timeout=1000", ""),
];

const PERMISSIVE_LAST: &[Step] = &[
    step("POST /metadata/taskdefs", r#"[{"name":"{P}t","retryCount":0}]"#),
    step(
        "POST /metadata/workflow",
        r#"{"name":"{P}w","tasks":[{"name":"{P}t","taskReferenceName":"a","permissive":true}]}"#,
    ),
    START,
    POLL,
    FAIL,
    GET,
];

const OPTIONAL_RETRIES: &[Step] = &[
    step("POST /metadata/taskdefs", r#"[{"name":"{P}t","retryCount":1,"retryDelaySeconds":0}]"#),
    step(
        "POST /metadata/workflow",
        r#"{"name":"{P}w","tasks":[{"name":"{P}t","taskReferenceName":"a","optional":true},{"name":"{P}u","taskReferenceName":"b"}]}"#,
    ),
    START,
    POLL,
    FAIL,
    POLL,
    FAIL,
    save("GET /tasks/poll/batch/{P}u?timeout=1000", "", "task=/0/taskId"),
    COMPLETE,
    GET,
];

const ROUTES: &[Step] = &[
    step("GET /health", ""),
    step("GET /version", ""),
    step("GET /token", ""),
    step("POST /token", r#"{"keyId":"k","keySecret":"s"}"#),
    step("GET /nope/at/all?x=1", ""),
    step("PATCH /tasks", "{}"),
    step("GET /tasks", ""),
    step("POST /tasks/nope/ack", ""),
    step("GET /workflow/nope/state", ""),
    step("PUT /workflow", "{}"),
    step("DELETE /metadata/taskdefs", ""),
    step("GET /workflow/", ""),
];
