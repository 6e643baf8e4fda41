//! The table of methods against what is really read and written.
//!
//! `every_call` has each method once with every parameter set, so that a key that is missing in the table, or one that
//! cannot be read back, is found.

use super::*;

fn decode(method: &str, params: &str) -> Result<(Call, Option<Duration>), Refusal> {
    let raw = RawValue::from_string(params.to_owned()).unwrap();
    Call::decode(method, Some(&raw))
}

fn root() -> RootPath {
    RootPath::new(std::path::Path::new("/w")).unwrap()
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn every_call() -> Vec<Call> {
    let run = || "2026-11-22".to_owned();
    let task = || Some(TaskId::parse("0101-web").unwrap());
    vec![
        Call::Ping(Nothing {}),
        Call::Status(Scope {
            workspace: Some(root()),
            task: task(),
        }),
        Call::WorkspaceAdd(WorkspaceAdd {
            path: root(),
            allow: true,
            task_id: task(),
        }),
        Call::WorkspaceRemove(WorkspaceNamed { path: root() }),
        Call::WorkspaceList(Nothing {}),
        Call::WorkspaceAllow(WorkspaceAllow {
            path: root(),
            digest: None,
            dry_run: true,
        }),
        Call::WorkspaceDeny(WorkspaceNamed { path: root() }),
        Call::RunStart(RunStart {
            workspace: Some(root()),
            task: task(),
            pipeline: Some(PipelineId::parse("diagnostics").unwrap()),
            force: true,
            wait: false,
            detach: Some(false),
            parent_run: Some(run()),
            approval_policy: Some("never".to_owned()),
        }),
        Call::RunCancel(RunNamed {
            run_id: run(),
            workspace: Some(root()),
        }),
        Call::RunResume(RunResume {
            run_id: run(),
            workspace: Some(root()),
            token: Some("t".to_owned()),
            actor: Some("a".to_owned()),
            reason: Some("r".to_owned()),
            wait: true,
        }),
        Call::RunGet(RunNamed {
            run_id: run(),
            workspace: None,
        }),
        Call::RunList(RunsWanted {
            workspace: Some(root()),
            task: task(),
            limit: Some(3),
            flaky: true,
        }),
        Call::Plan(PlanWanted {
            workspace: Some(root()),
            task: task(),
            pipeline: None,
        }),
        Call::Sync(SyncWanted {
            workspace: Some(root()),
            timeout_ms: Some(5),
        }),
        Call::Wait(WaitWanted {
            workspace: None,
            task: task(),
            timeout_ms: Some(5),
        }),
        Call::Gate(GateWanted {
            workspace: None,
            tasks: task().into_iter().collect(),
            wait: false,
        }),
        Call::LogsRead(LogsWanted {
            run_id: run(),
            workspace: None,
            stage: Some(StageId::parse("lint").unwrap()),
            offset: 7,
            max: Some(9),
        }),
        Call::EventsSubscribe(EventsWanted {
            since: Some(Seq(4)),
        }),
        Call::EventsUnsubscribe(Nothing {}),
        Call::Explain(PathNamed {
            path: "src/a.rs".to_owned(),
            workspace: Some(root()),
        }),
        Call::Why(Scope {
            workspace: Some(root()),
            task: task(),
        }),
        Call::Doctor(Nothing {}),
        Call::Reload(Scope {
            workspace: Some(root()),
            task: None,
        }),
        Call::Shutdown(Nothing {}),
    ]
}

#[test]
fn what_is_written_is_read_back_for_every_method() {
    let calls = every_call();
    let mut methods: Vec<_> = calls.iter().map(Call::method).collect();
    methods.dedup();
    assert_eq!(methods.len(), Call::METHODS.len());
    for call in calls {
        let params = serde_json::to_string(&call).unwrap();
        assert_eq!(
            decode(call.method(), &params),
            Ok((call.clone(), None)),
            "{params}"
        );
    }
}

#[test]
fn the_names_of_the_command_line_and_of_json_both_work() {
    for params in [
        r#"{"task":"0101"}"#,
        r#"{"task_id":"0101"}"#,
        r#"{"tasks":["0101"]}"#,
    ] {
        let (call, _) = decode("gate", params).unwrap();
        let tasks = vec![TaskId::parse("0101").unwrap()];
        assert_eq!(
            call,
            Call::Gate(GateWanted {
                tasks,
                ..GateWanted::default()
            })
        );
    }
    let (call, _) = decode("run.start", r#"{"pipeline_id":"p","task_id":null}"#).unwrap();
    let pipeline = Some(PipelineId::parse("p").unwrap());
    assert_eq!(
        call,
        Call::RunStart(RunStart {
            pipeline,
            ..RunStart::default()
        })
    );
}

#[test]
fn every_method_takes_a_deadline() {
    for (method, _) in Call::METHODS {
        let params = r#"{"deadline_ms":1500,"path":"/w","run_id":"r"}"#;
        let wanted = |key: &str| {
            Call::METHODS
                .iter()
                .any(|(m, keys)| m == method && keys.contains(&key))
        };
        let mut kept = params.to_owned();
        for (key, part) in [("path", r#","path":"/w""#), ("run_id", r#","run_id":"r""#)] {
            if !wanted(key) {
                kept = kept.replace(part, "");
            }
        }
        let (_, deadline) = decode(method, &kept).unwrap();
        assert_eq!(deadline, Some(Duration::from_millis(1500)), "{method}");
    }
}

#[test]
fn what_is_wrong_is_named_with_the_likeliest_remedy() {
    let refused = |method, params| decode(method, params).unwrap_err();
    let odd = refused("run.start", r#"{"forse":true}"#);
    assert_eq!(odd.message, "`run.start` has no parameter `forse`");
    assert_eq!(odd.hint.as_deref(), Some("did you mean `force`?"));
    assert_eq!(odd.code, Code::PARAMS);
    let method = refused("workspace.ad", "{}");
    assert_eq!(method.code, Code::METHOD);
    assert_eq!(
        method.hint.as_deref(),
        Some("did you mean `workspace.add`?")
    );
    assert!(refused("zzz", "{}").hint.unwrap().contains("protocol.md"));
    assert!(
        refused("sync", r#"{"deadline_ms":-1}"#)
            .message
            .contains("deadline_ms")
    );
    assert!(refused("sync", "[1]").message.contains("no object"));
    let relative = refused("workspace.add", r#"{"path":"w"}"#).message;
    assert!(
        relative.contains("`w` is not an absolute path"),
        "{relative}"
    );
    let task = refused("status", r#"{"task":"../x"}"#).message;
    assert!(
        task.contains("task id `../x` may not contain '/'"),
        "{task}"
    );
    let twice = refused("status", r#"{"task":"a","task_id":"b"}"#).message;
    assert!(twice.contains("duplicate field"), "{twice}");
}
