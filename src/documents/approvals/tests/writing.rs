//! The two files of a run: what is written, what is left as it was, and what is cut off.
//!
//! A workspace of its own for each test, on a real disk.

use super::*;
use std::os::unix::fs::PermissionsExt;

struct Place {
    _dir: tempfile::TempDir,
    runs: PathBuf,
}

impl Place {
    fn new(reports: &[&RunReport]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runs = dir.path().join(".runs");
        let place = Self { _dir: dir, runs };
        for report in reports {
            let (manifest, sidecar) = files(report);
            place.write(report, "manifest.json", &document(&manifest));
            place.write(report, "orchd.json", &document(&sidecar));
        }
        place
    }

    fn path(&self, report: &RunReport, name: &str) -> PathBuf {
        let run = self.runs.join("demo/cli").join(report.run.as_str());
        run.join(name)
    }

    fn write(&self, report: &RunReport, name: &str, bytes: &[u8]) {
        let path = self.path(report, name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn bytes(&self, report: &RunReport, name: &str) -> Vec<u8> {
        std::fs::read(self.path(report, name)).unwrap()
    }

    fn json(&self, report: &RunReport, name: &str) -> Value {
        serde_json::from_slice(&self.bytes(report, name)).unwrap()
    }

    fn both(&self, report: &RunReport) -> [Vec<u8>; 2] {
        ["manifest.json", "orchd.json"].map(|name| self.bytes(report, name))
    }

    fn dir(&self) -> Dir {
        Dir::open(&self.runs).unwrap()
    }

    fn approve(&self, wish: &Wish, now: Timestamp) -> Result<Approved, ApproveError> {
        approve(Some(&self.dir()), wish, now)
    }

    /// By whom a gate on this run passes.
    fn passes_by(&self, report: &RunReport) -> Vec<String> {
        let gate = RedGate {
            task: report.task.clone(),
            input: content("content"),
            run: report.run.clone(),
        };
        let approvals = approved(&self.dir(), &gate, day(TODAY));
        approvals.into_iter().map(|it| it.actor).collect()
    }
}

fn wish(run: &RunReport) -> Wish {
    Wish {
        run: run.run.to_string(),
        actor: "Ada".to_owned(),
        reason: "no fix upstream yet".to_owned(),
        scope: Vec::new(),
        until: None,
    }
}

#[test]
fn three_fields_go_into_the_manifest_and_all_of_it_into_the_sidecar() {
    let run = failed(1);
    let place = Place::new(&[&run]);
    let mut strange = place.json(&run, "manifest.json");
    strange["from_elsewhere"] = json!({"z": 1, "a": [2.5]});
    place.write(&run, "manifest.json", &document(&strange));
    let mut strange = place.json(&run, "orchd.json");
    strange["from_later"] = json!(true);
    place.write(&run, "orchd.json", &document(&strange));
    let path = place.path(&run, "manifest.json");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o664)).unwrap();
    let before = place.json(&run, "manifest.json");
    let mut wish = wish(&run);
    wish.run = run.run.as_str()[20..].to_owned();
    wish.until = Some(day("2026-12-01"));
    wish.scope = vec![id("lint")];
    let told = place.approve(&wish, at(9)).unwrap();
    assert!(told.written);
    assert_eq!(told.approval.scope, Some(vec![id("lint")]));

    let mut after = place.json(&run, "manifest.json");
    let brief =
        json!([{"actor": "Ada", "timestamp": at(9).to_string(), "reason": "no fix upstream yet"}]);
    assert_eq!(after["approvals"], brief);
    after["approvals"] = json!([]);
    after["updated_at"] = before["updated_at"].clone();
    assert_eq!(
        after.to_string(),
        before.to_string(),
        "nothing else, in its order"
    );
    let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o664);
    let sidecar = place.json(&run, "orchd.json");
    assert_eq!(sidecar["from_later"], true);
    let whole = &sidecar["approvals"][0];
    assert_eq!(whole["until"], "2026-12-01");
    assert_eq!(whole["whole"], false);
    assert_eq!(whole["stages"], json!([{"id": "lint", "key": key("lint")}]));
    assert_eq!(whole["input_digest"], sidecar["input_digest"]);
}

#[test]
fn the_same_again_changes_nothing_and_something_else_is_another() {
    let run = failed(1);
    let place = Place::new(&[&run]);
    let first = place.approve(&wish(&run), at(1)).unwrap();
    let both = place.both(&run);
    let again = place.approve(&wish(&run), at(2)).unwrap();
    assert!(!again.written);
    assert_eq!(again.approval, first.approval);
    assert_eq!(place.both(&run), both);
    let mut other = wish(&run);
    other.until = Some(day("2027-01-01"));
    // At the same moment: each is known by who gave it and when.
    let other = place.approve(&other, at(1)).unwrap();
    assert!(other.written);
    assert_eq!(other.approval.timestamp, at(2));
    assert_eq!(
        place.json(&run, "orchd.json")["approvals"][1]["until"],
        "2027-01-01"
    );
    assert_eq!(place.passes_by(&run), ["Ada"]);
}

#[test]
fn wherever_it_is_cut_off_no_gate_honours_half_of_it_and_the_next_call_makes_it_whole() {
    let mut reached = false;
    for acts in 0..40 {
        let run = failed(1);
        let place = Place::new(&[&run]);
        let cut = crash_after(acts, || place.approve(&wish(&run), at(1)));
        let counts = || {
            let told = |name| {
                !place.json(&run, name)["approvals"]
                    .as_array()
                    .is_none_or(Vec::is_empty)
            };
            (told("manifest.json"), told("orchd.json"))
        };
        let (in_manifest, in_sidecar) = counts();
        assert!(
            in_manifest || !in_sidecar,
            "{acts}: the manifest comes first"
        );
        let honoured = !place.passes_by(&run).is_empty();
        assert_eq!(honoured, in_manifest && in_sidecar, "{acts}");
        let healed = place.approve(&wish(&run), at(5000)).unwrap();
        assert_eq!(counts(), (true, true), "{acts}");
        let all = place.json(&run, "manifest.json")["approvals"].clone();
        assert_eq!(all.as_array().unwrap().len(), 1, "{acts}: {all}");
        assert_eq!(all[0]["timestamp"], healed.approval.timestamp.to_string());
        assert_eq!(place.passes_by(&run), ["Ada"], "{acts}");
        reached |= cut.is_ok();
    }
    assert!(reached, "it ends within so many acts");
}

#[test]
fn one_that_is_taken_out_of_the_manifest_counts_no_more() {
    let run = failed(1);
    let place = Place::new(&[&run]);
    place.approve(&wish(&run), at(1)).unwrap();
    assert_eq!(place.passes_by(&run), ["Ada"]);
    let mut manifest = place.json(&run, "manifest.json");
    manifest["approvals"] = json!([]);
    place.write(&run, "manifest.json", &document(&manifest));
    assert_eq!(place.passes_by(&run), [""; 0]);
    // What another tool has written into the manifest alone is bound to no content.
    manifest["approvals"] = json!([{"actor": "bob", "timestamp": at(0), "reason": "fine"}]);
    place.write(&run, "manifest.json", &document(&manifest));
    assert_eq!(place.passes_by(&run), [""; 0]);
}

#[test]
fn a_gate_finds_what_was_approved_of_other_runs_of_the_task() {
    let (old, older, new) = (failed(2), failed(1), failed(3));
    let place = Place::new(&[&old, &older, &new]);
    let mut lint = wish(&older);
    (lint.scope, lint.actor) = (vec![id("lint")], "Bob".to_owned());
    place.approve(&lint, at(1)).unwrap();
    assert_eq!(place.passes_by(&new), [""; 0]);
    let mut rest = wish(&old);
    rest.scope = vec![id("test"), id("spec-guard")];
    place.approve(&rest, at(2)).unwrap();
    assert_eq!(place.passes_by(&new), ["Bob", "Ada"]);
    // What cannot be read covers nothing.
    place.write(&older, "orchd.json", b"{\"approvals\": [");
    assert_eq!(place.passes_by(&new), [""; 0]);
}

type Change = fn(&mut Wish);

/// Why this is not approved; there is always something to do about it.
fn refused(place: &Place, wish: Wish, change: Change) -> String {
    let mut wish = wish;
    change(&mut wish);
    let error = place.approve(&wish, at(1)).unwrap_err();
    assert!(error.hint().is_some(), "{error}");
    error.to_string()
}

#[test]
fn what_cannot_be_approved_is_refused_and_nothing_is_written() {
    let (run, twin) = (failed(1), failed(2));
    let place = Place::new(&[&run, &twin]);
    let before = place.both(&run);
    let cases: [(&str, Change); 8] = [
        ("--reason is empty", |it| it.reason = " \n".to_owned()),
        ("--as is empty", |it| it.actor = String::new()),
        ("--reason has more", |it| it.reason = "x".repeat(5000)),
        ("is over", |it| it.until = Some(day("2026-11-21"))),
        ("no run with `nowhere`", |it| it.run = "nowhere".to_owned()),
        ("no run with ``", |it| it.run = String::new()),
        ("more than one run", |it| it.run = "2026-11-22".to_owned()),
        ("nothing to accept", |it| it.scope = vec![id("build")]),
    ];
    for (says, change) in cases {
        let said = refused(&place, wish(&run), change);
        assert!(said.contains(says), "{said}");
    }
    assert_eq!(place.both(&run), before);
    let nowhere = approve(None, &wish(&run), at(1)).unwrap_err();
    assert!(matches!(nowhere, ApproveError::NoRun { .. }), "{nowhere}");
}

#[test]
fn a_run_whose_files_tell_nothing_is_refused() {
    let run = failed(1);
    let place = Place::new(&[&run]);
    let says = |text: &str| {
        let said = refused(&place, wish(&run), |_| {});
        assert!(said.contains(text), "{said}");
    };
    place.write(&run, "orchd.json", b"{");
    says("orchd.json` cannot be read");
    std::fs::remove_file(place.path(&run, "orchd.json")).unwrap();
    says("another tool made it");
    place.write(&run, "manifest.json", b"");
    says("manifest.json` cannot be read");
}

#[test]
fn a_run_that_somebody_else_is_writing_is_waited_for() {
    let run = failed(1);
    let place = Place::new(&[&run]);
    let dir = Dir::open(place.path(&run, "").as_path()).unwrap();
    let kept = dir.keep().unwrap();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| place.approve(&wish(&run), at(1)));
        // Another end of the run is written meanwhile.
        let mut later = failed(1);
        later.stages[1].key = Some(key("lint, later"));
        let (manifest, sidecar) = files(&later);
        place.write(&run, "manifest.json", &document(&manifest));
        place.write(&run, "orchd.json", &document(&sidecar));
        drop(kept);
        waits.join().unwrap().unwrap();
    });
    let whole = &place.json(&run, "orchd.json")["approvals"][0];
    assert_eq!(whole["stages"][0]["key"], json!(key("lint, later")));
}
