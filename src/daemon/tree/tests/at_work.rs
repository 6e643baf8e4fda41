//! Git at work: whose projects a sign is about, wherever the repository keeps it.
//!
//! The signs are made by hand; real rebases are in `tests/e2e/settling.rs`.

use super::*;

fn signs(tree: &Tree) -> Vec<String> {
    let told = tree.signs().into_iter().flat_map(|(task, signs)| {
        let one = move |sign: crate::model::view::Sign| format!("{task} {}", sign.place);
        signs.into_iter().map(one)
    });
    told.collect()
}

#[test]
fn a_sign_is_about_the_projects_of_its_repository() {
    let stages = || vec![stage("all", None, &[])];
    let projects = [("all", "."), ("inner", "inner"), ("deep", "inner/deep")];
    let projects = projects.map(|(task, path)| project(task, path, "diagnostics"));
    let both = config(projects.into(), vec![pipeline("diagnostics", stages())]);
    let mut it = Fixture::with(&both, |root| {
        write(&root.join("inner/.git"), "gitdir: ../modules/inner\n");
        write(&root.join("modules/inner/HEAD"), "");
        write(&root.join("inner/deep/f"), "");
        run(root, "git", &["init", "-q"]);
    });
    assert_eq!(signs(&it.tree), <Vec<String>>::new());
    it.write(".git/rebase-merge/done", "");
    assert_eq!(signs(&it.tree), ["all .git/rebase-merge"]);
    fs::remove_dir_all(it.path(".git/rebase-merge")).unwrap();
    // `.git/MERGE_HEAD` is there while a person resolves a conflict.
    it.write(".git/MERGE_HEAD", "");
    it.write("modules/inner/index.lock", "");
    let lock = "modules/inner/index.lock";
    assert_eq!(
        signs(&it.tree),
        [format!("deep {lock}"), format!("inner {lock}")]
    );
    // A repository that comes later is found when its coming is seen.
    run(&it.path("inner/deep"), "git", &["init", "-q"]);
    it.touched();
    it.write("inner/deep/.git/sequencer/todo", "");
    assert_eq!(
        signs(&it.tree),
        [
            "deep inner/deep/.git/sequencer".to_owned(),
            format!("inner {lock}")
        ]
    );
}

#[test]
fn a_sign_that_goes_while_a_look_reads_is_told_of_that_look() {
    let mut it = Fixture::with(&plain(), |root| {
        run(root, "git", &["init", "-q"]);
    });
    it.write(".git/index.lock", "");
    it.write("f", "half");
    it.view();
    fs::remove_file(it.path(".git/index.lock")).unwrap();
    assert_eq!(signs(&it.tree), ["0101 .git/index.lock"]);
    it.touched();
    assert_eq!(signs(&it.tree), <Vec<String>>::new());
}
