//! The checkout in which a gate judges: whatever became of it, nothing is green that is not, and one gate at a time has it.

use crate::deadline::within;
use crate::revisions::{counter, judged, repository, state_of};
use crate::support::{Done, Running, Workspace, World, check, is_had, lines, pipeline, works};
use rustix::process::Signal;
use serde_json::json;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// The checkout of the only workspace that has one.
fn checkout(world: &World) -> PathBuf {
    let all = std::fs::read_dir(world.state().join("worktrees")).unwrap();
    let all: Vec<_> = all.flatten().map(|entry| entry.path()).collect();
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(
        all[0].metadata().unwrap().permissions().mode() & 0o777,
        0o700
    );
    all[0].clone()
}

/// Runs a shell line in a directory of the world.
fn sh(world: &World, directory: PathBuf, line: &str) {
    let here = Workspace {
        world,
        root: directory,
    };
    here.sh(line);
}

#[test]
fn a_checkout_that_is_damaged_is_made_anew() {
    let world = World::empty();
    let workspace = repository(&world, "w");
    workspace.sh("echo bad. > a.txt; git commit -qam second");
    let red = judged(&workspace, &["--commit", "HEAD"], 1);
    let home = checkout(&world);
    let tree = "cd orchd-gate";
    let same = "touch -r a.txt ../stamp; echo good > a.txt; touch -r ../stamp a.txt; rm ../stamp";
    for damage in [
        // What a stage may have done to a file, and to what git thinks of it.
        &format!("{tree}; {same}")[..],
        &format!("{tree}; git update-index --assume-unchanged a.txt; {same}"),
        &format!("{tree}; git update-index --skip-worktree a.txt; {same}"),
        &format!("{tree}; echo good > a.txt; git commit -qam other; git checkout -q -b other"),
        &format!("{tree}; rm a.txt; mkdir a.txt; echo x > a.txt/b"),
        &format!("{tree}; rm a.txt; echo good > ../g; ln -s ../g a.txt"),
        &format!(
            "{tree}; git config core.sparseCheckout true; mkdir -p $(git rev-parse --git-dir)/info; echo /orchd.toml > $(git rev-parse --git-dir)/info/sparse-checkout; git read-tree -mu HEAD"
        ),
        &format!("{tree}; echo more > more.txt; mkdir n; cd n; git init -q .; echo y > y"),
        // What may become of the rest.
        &format!("{tree}; rm .git; echo good > a.txt"),
        &format!(
            "{tree}; rm .git; git init -q .; echo good > a.txt; git add .; git commit -qm foreign"
        ),
        "echo garbage > index",
        "rm index",
        "echo x > index.lock",
        "touch unfinished; echo good > orchd-gate/a.txt",
        "rm -rf orchd-gate",
        "rm -rf orchd-gate; echo x > orchd-gate",
        // Somebody, or a git that was killed, has locked what git knows of it.
        &format!("{tree}; git worktree lock .; rm -rf ../orchd-gate"),
        &format!("{tree}; git worktree lock .; rm .git; echo good > a.txt"),
        &format!(
            "{tree}; touch $(git rev-parse --git-dir)/HEAD.lock $(git rev-parse --git-dir)/index.lock; rm -f $(git rev-parse --git-dir)/index"
        ),
        "mv orchd-gate moved; ln -s moved orchd-gate",
        "cp -r orchd-gate copy; rm -rf orchd-gate; mv copy orchd-gate; echo good > orchd-gate/a.txt",
    ] {
        sh(&world, home.clone(), damage);
        assert_eq!(
            judged(&workspace, &["--commit", "HEAD"], 1),
            red,
            "{damage}"
        );
    }
    workspace.sh("rm -r .git/worktrees");
    assert_eq!(judged(&workspace, &["--commit", "HEAD"], 1), red);
    // The repository is another one, with the same commits.
    workspace.sh("git config --unset core.sparseCheckout; git clone -q --bare . ../bare; rm -rf .git; git clone -q ../bare ../c; mv ../c/.git .");
    assert_eq!(judged(&workspace, &["--commit", "HEAD"], 1), red);
    let listed = workspace.running("git worktree list").end().out;
    assert_eq!(listed.lines().count(), 2, "{listed}");
    judged(&workspace, &["--commit", "HEAD~1"], 0);
}

#[test]
fn one_gate_at_a_time_has_it_and_the_other_learns_from_it() {
    let world = World::empty();
    let (up, on) = (world.fifo("up"), world.fifo("on"));
    let workspace = world.directory("w");
    let counter = counter(&world);
    let command = format!(
        "echo >> {}; echo up > {}; cat {}; cat a.txt",
        counter.display(),
        up.display(),
        on.display()
    );
    workspace.write("orchd.toml", check(&command));
    workspace.write(".gitignore", "/.runs/\n/out/t/\n");
    workspace.write("a.txt", "1\n");
    workspace.sh("git init -q . && git add . && git commit -qm first");
    workspace.done(&["allow"]);
    let gate = ["gate", "--commit", "HEAD", "--json"];
    let first = Running::of(workspace.orchctl(&gate));
    world.heard(&up);
    let mut second = workspace.orchctl(&gate);
    let mut second = second
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(second.stderr.take().unwrap()).lines();
    let first_line = within("it did not say that it waits", move || said.next());
    let first_line = first_line.unwrap().unwrap();
    assert!(
        first_line.contains("Waiting for another gate"),
        "{first_line}"
    );
    world.say(&on, "on");
    assert_eq!(first.end().code, Some(0));
    let second = within("it did not end", move || second.wait_with_output().unwrap());
    assert_eq!(second.status.code(), Some(0));
    let answer: serde_json::Value = serde_json::from_slice(&second.stdout).unwrap();
    assert_eq!(answer["projects"][0]["reused"], json!(true));
    assert_eq!(lines(&counter), 1);
}

#[test]
fn what_a_killed_gate_left_running_does_not_write_into_what_the_next_one_judges() {
    let world = World::empty();
    let up = world.fifo("up");
    let workspace = world.directory("w");
    // Whoever is not ended goes on to make every commit good.
    let command = format!(
        "grep -q good a.txt || {{ echo up > {}; while :; do echo good > a.txt; done; }}",
        up.display()
    );
    workspace.write(
        "orchd.toml",
        pipeline(&[(
            "check",
            &format!("command = '''{command}'''\ntimeout = \"1s\""),
        )]),
    );
    workspace.write(".gitignore", "/.runs/\n/out/t/\n");
    workspace.write("a.txt", "bad\n");
    workspace.sh("git init -q . && git add . && git commit -qm first");
    workspace.done(&["allow"]);
    let before = state_of(&workspace);
    let gate = Running::of(workspace.orchctl(&["gate", "--commit", "HEAD"]));
    world.heard(&up);
    gate.signal(Signal::KILL);
    assert_eq!(gate.end().code, None);
    let heard = std::thread::scope(|scope| {
        let heard = scope.spawn(|| world.heard(&up));
        let again = workspace.ctl(&["gate", "--commit", "HEAD", "--json"]);
        assert_eq!(again.code, Some(3), "{again:?}");
        heard.join().unwrap()
    });
    assert_eq!(heard, "up\n");
    assert_eq!(world.processes(), Vec::<u32>::new());
    let first = &workspace.json("out/t/runs.json")["runs"][0]["runId"];
    let path = format!(".runs/t/cli/{}/manifest.json", first.as_str().unwrap());
    assert_eq!(workspace.json(&path)["status_detail"], "daemon-lost");
    assert_eq!(state_of(&workspace), before);
}

#[test]
fn a_gate_that_is_interrupted_records_its_run_and_leaves_the_checkout_to_the_next() {
    let world = World::empty();
    let up = world.fifo("up");
    let workspace = world.directory("w");
    workspace.write(
        "orchd.toml",
        check(&format!(
            "if test -f slow; then echo up > {}; sleep 1000; fi",
            up.display()
        )),
    );
    workspace.write(".gitignore", "/.runs/\n/out/t/\n");
    workspace.write("slow", "");
    workspace.sh(
        "git init -q . && git add . && git commit -qm slow; git rm -q slow; git commit -qm fast",
    );
    workspace.done(&["allow"]);
    let gate = Running::of(workspace.orchctl(&["gate", "--commit", "HEAD~1"]));
    world.heard(&up);
    gate.signal(Signal::INT);
    let gate = gate.end();
    assert_eq!(gate.code, Some(3), "{gate:?}");
    assert!(gate.err.contains("is cancelled"), "{gate:?}");
    assert_eq!(world.processes(), Vec::<u32>::new());
    judged(&workspace, &["--commit", "HEAD"], 0);
}

/// Two commits whose stage is `check.sh`; the second, which is red, is judged after the first, which leaves something behind.
fn judged_after(first: &str, second: &str, code: i32) {
    let world = World::empty();
    let workspace = world.directory("w");
    workspace.write("orchd.toml", check("sh check.sh"));
    workspace.write(".gitignore", "/.runs/\n/out/t/\n/build/\n.ignore\n");
    workspace.sh(&format!(
        "{first}; git init -q -b main . && git add . && git commit -qm first; {second}; git commit -qam second"
    ));
    workspace.done(&["allow"]);
    // Where it has changed content it has no verdict; what it has left is there all the same.
    workspace.ctl(&["gate", "--commit", "HEAD~1"]);
    let (seen, _) = judged(&workspace, &["--commit", "HEAD"], code);
    std::fs::remove_dir_all(world.state().join("worktrees")).unwrap();
    let (fresh, _) = judged(&workspace, &["--commit", "HEAD"], code);
    assert_eq!(seen, fresh, "{first}");
}

#[test]
fn what_a_stage_leaves_does_not_decide_how_the_next_commit_is_seen() {
    // A repository in a directory of the commit: git would look no further up.
    judged_after(
        "mkdir sub; echo fine > sub/f; echo 'git init -q sub' > check.sh",
        "echo BUG > sub/f; echo 'cd sub; test -z \"$(git grep -l BUG)\"' > check.sh",
        1,
    );
    // A rule that hides a directory from every look.
    judged_after(
        "mkdir src; echo fine > src/a; echo 'echo src/ > .ignore; ! grep -q BUG src/a' > check.sh",
        "echo BUG > src/a",
        // Its own rule hides what it reads: no verdict at all.
        3,
    );
    // A directory that was moved away, with a link in its place.
    judged_after(
        "mkdir src; echo BUG > src/f; echo 'mkdir build; mv src build/src; ln -s build/src src' > check.sh",
        "echo '! grep -rq BUG src' > check.sh",
        1,
    );
    // Attributes that convert what is checked out next.
    judged_after(
        "mkdir sub; echo fine > sub/a.txt; echo 'echo \"*.txt text eol=crlf\" > .gitattributes' > check.sh",
        "echo other > sub/a.txt; echo 'grep -q \"$(printf \"\\\\r\")\" sub/a.txt' > check.sh",
        1,
    );
}

#[test]
fn a_commit_is_judged_and_not_what_replaces_it_here() {
    let world = World::empty();
    let workspace = repository(&world, "w");
    workspace.sh("echo bad > a.txt; git commit -qam bad; git replace HEAD HEAD~1");
    judged(&workspace, &["--commit", "HEAD"], 1);
}

#[test]
fn nothing_is_checked_out_of_a_workspace_that_was_never_allowed() {
    let world = World::empty();
    let workspace = repository(&world, "w");
    let ran = world.path("ran");
    let filter = format!("touch {}; cat", ran.display());
    workspace.sh(&format!(
        "echo '*.txt filter=f' > .gitattributes; git add .; git commit -qm filtered; git config filter.f.smudge '{filter}'"
    ));
    workspace.done(&["deny", workspace.root()]);
    let refused = workspace.ctl(&["gate", "--commit", "HEAD"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("allow"), "{refused:?}");
    assert!(!ran.exists());
}

#[test]
fn what_attributes_convert_is_what_they_say_now_wherever_they_stand() {
    let mut world = World::empty();
    let settings = world.path("settings");
    world.set("XDG_CONFIG_HOME", settings.to_str().unwrap());
    let workspace = world.directory("w");
    // Red is what has its lines ended as they are at other places.
    workspace.write("orchd.toml", check("! grep -q \"$(printf '\\r')\" a.txt"));
    workspace.write(".gitignore", "/.runs/\n/out/t/\n");
    workspace.write("a.txt", "1\n");
    workspace.sh("git init -q . && git add . && git commit -qm first");
    workspace.done(&["allow"]);
    judged(&workspace, &["--commit", "HEAD"], 0);
    let rule = "echo 'a.txt text eol=crlf' >";
    for (set, back) in [
        (
            "mkdir -p ../settings/git; RULE ../settings/git/attributes",
            "rm ../settings/git/attributes",
        ),
        (
            "git config core.attributesFile $(realpath ../named); RULE ../named",
            "rm ../named",
        ),
        ("RULE ../named", "git config core.attributesFile ../nothing"),
        (
            "git config --unset core.attributesFile; mkdir -p ../home; git config --file ../home/.gitconfig core.attributesFile '~/its'; RULE ../home/its",
            "echo > ../home/its",
        ),
        (
            "RULE .git/info/attributes",
            "echo '# nothing' > .git/info/attributes",
        ),
    ] {
        workspace.sh(&set.replace("RULE", rule));
        judged(&workspace, &["--commit", "HEAD"], 1);
        workspace.sh(back);
        judged(&workspace, &["--commit", "HEAD"], 0);
    }
}

/// A gate that the modes of files bind; none where that cannot be had.
fn bound_gate(workspace: &Workspace<'_>, what: &[&str]) -> Option<Done> {
    let gate = [&["gate"][..], what].concat();
    if !rustix::process::geteuid().is_root() {
        return Some(workspace.ctl(&gate));
    }
    let bounded = ["--bounding-set", "-dac_override,-dac_read_search"];
    let tried = [&["setpriv"][..], &bounded, &["true"]].concat();
    if !is_had(&tried, "root may write everything") {
        return None;
    }
    let mut command = workspace.world.command("setpriv");
    let orchctl = env!("CARGO_BIN_EXE_orchctl");
    command.args(bounded).arg(orchctl).args(gate);
    command.current_dir(&workspace.root);
    Some(Running::of(command).end())
}

#[test]
fn a_directory_that_a_stage_has_closed_keeps_no_commit_from_being_judged() {
    let world = World::empty();
    let workspace = world.directory("w");
    let close = "mkdir -p more/most; echo 1 > more/most/x; chmod 0 more/most; chmod 500 more d; grep -q good d/a.txt";
    workspace.write("orchd.toml", check(close));
    workspace.write(".gitignore", "/.runs/\n/out/t/\n/more/\n");
    workspace.write("d/a.txt", "good\n");
    workspace.sh("git init -q . && git add . && git commit -qm first; git mv d/a.txt d/b.txt; mkdir e; echo bad > e/a.txt; echo bad > d/a.txt; git add .; git commit -qm second; echo bad > d/c.txt; git rm -qf d/a.txt; git add .; git commit -qm third");
    workspace.done(&["allow"]);
    for _ in 0..2 {
        for (commit, code) in [("HEAD~2", 0), ("HEAD~1", 1), ("HEAD", 1)] {
            let Some(done) = bound_gate(&workspace, &["--commit", commit]) else {
                return;
            };
            assert_eq!(done.code, Some(code), "{commit}: {done:?}");
        }
        // Made anew, it has to be removed first.
        let home = checkout(&world);
        sh(&world, home, "touch unfinished");
    }
}

/// A workspace whose files are checked out by a filter that says that it is at it, and then takes for ever; only once.
fn filtered<'a>(world: &'a World, up: &Path) -> Workspace<'a> {
    let workspace = repository(world, "w");
    let filter = format!(
        "if test -e {0}; then cat; else touch {0}; p=$$; while ! grep -qx git /proc/$p/comm; do p=$(cut -d ' ' -f 4 /proc/$p/stat); done; echo $p > {1}; sleep 1000; echo good; fi",
        world.path("once").display(),
        up.display()
    );
    workspace.write("../filter", filter);
    let filter = format!("sh {}", world.path("filter").display());
    workspace.sh(&format!(
        "echo 'a.txt filter=f' > .gitattributes; echo bad > a.txt; git add .; git commit -qm second; git config filter.f.smudge '{filter}'"
    ));
    workspace
}

#[test]
fn a_git_whose_gate_was_killed_changes_nothing_more_and_the_next_gate_goes_on() {
    for signal in [Signal::KILL, Signal::TERM, Signal::INT] {
        let world = World::empty();
        let up = world.fifo("up");
        let workspace = filtered(&world, &up);
        let gate = Running::of(workspace.orchctl(&["gate", "--commit", "HEAD"]));
        let git: u32 = world.heard(&up).trim().parse().unwrap();
        gate.signal(signal);
        assert_eq!(gate.end().code, None);
        within("git goes on without its gate", move || {
            let path = format!("/proc/{git}/stat");
            let is_alive = || {
                let stat = std::fs::read_to_string(&path).unwrap_or_default();
                stat.split(' ').nth(2).is_some_and(|state| state != "Z")
            };
            while is_alive() {
                std::thread::yield_now();
            }
        });
        judged(&workspace, &["--commit", "HEAD"], 1);
        judged(&workspace, &["--commit", "HEAD~1"], 0);
        // The filter has a grandparent no more, and is ended by the gate that comes next.
        let mark = b"ORCHD_RUN_ID=checkout-";
        let own = world.path("").as_os_str().as_encoded_bytes().to_vec();
        let left = std::fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter(|entry| {
                let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
                let has = |what: &[u8]| environment.windows(what.len()).any(|part| part == what);
                has(mark) && has(&own)
            });
        assert_eq!(left.count(), 0, "{signal:?}");
        let listed = workspace
            .running("git worktree list; git status --porcelain")
            .end()
            .out;
        assert_eq!(listed.lines().count(), 2, "{listed}");
    }
}

#[test]
fn a_disk_that_is_full_is_told_and_nothing_is_left_on_it() {
    let world = World::empty();
    if !works(&["unshare", "-Urm", "true"], "nothing is mounted") {
        return;
    }
    let workspace = repository(&world, "w");
    workspace.done(&["deny", workspace.root()]);
    workspace.sh("git branch small; mkdir d; for i in $(seq 1500); do echo $i > d/$i; done; git add .; git commit -qm big; git checkout -q small");
    let script = format!(
        "mount -t tmpfs -o size=3m,mode=700 none {}; $ORCHCTL allow >&2; set +e; $ORCHCTL gate --commit main --json; echo big $?; \
        $ORCHCTL gate --commit small --json; echo small $?; mount -o remount,size=60m {0}; $ORCHCTL gate --commit main --json; echo big $?",
        world.state().display()
    );
    let mut command = world.command("unshare");
    command.args(["-Urm", "sh", "-ec", &script]);
    command.env("ORCHCTL", env!("CARGO_BIN_EXE_orchctl"));
    command.current_dir(&workspace.root);
    let done = Running::of(command).end();
    let codes: Vec<&str> = done
        .out
        .lines()
        .filter(|line| line.starts_with(['b', 's']))
        .collect();
    assert_eq!(codes, ["big 3", "small 0", "big 0"], "{done:?}");
    for said in ["failed to check out into", "No space left on device"] {
        assert!(
            done.out.contains(said) && done.err.contains(said),
            "{done:?}"
        );
    }
    assert!(!done.err.contains("unable to write file"), "{done:?}");
}
