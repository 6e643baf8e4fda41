//! What makes content another one, and what does not: a verdict is of these very bytes, names and modes.
//!
//! Each change is one that caches made by hand have taken for none. It is run, and what was proven before is known again
//! when it is taken back.

use crate::support::{Workspace, World, check};
use serde_json::Value;

/// The run that stands for the present content, which passes.
fn proof(workspace: &Workspace<'_>) -> Value {
    let told = workspace.done(&["gate", "--json"]).json();
    assert_eq!(told["verdict"], "pass", "{told}");
    told["projects"][0]["run_id"].clone()
}

/// What is done, and what takes it back.
const CHANGES: [(&str, &str, &str); 12] = [
    ("a mode", "chmod +x a", "chmod -x a"),
    ("the case of a name", "mv a A", "mv A a"),
    ("a name", "mv a c", "mv c a"),
    (
        "names that are exchanged",
        "mv a c; mv b a; mv c b",
        "mv a c; mv b a; mv c b",
    ),
    (
        "where one file ends",
        "printf xy > a; : > b",
        "printf x > a; printf y > b",
    ),
    ("a file that goes", "rm b", "printf y > b"),
    ("a file that git does not track", "printf n > new", "rm new"),
    ("what a link leads to", "ln -sfn b link", "ln -sfn a link"),
    (
        "a link in place of what it leads to",
        "mv a kept; ln -s kept a",
        "rm a; mv kept a",
    ),
    (
        "bytes of the same size at the same time",
        "cp -p a ../then; printf z > a; touch -r ../then a",
        "cp -p a ../then; printf x > a; touch -r ../then a",
    ),
    (
        "bytes at a time that is yet to come",
        "printf q > a; touch -d '+1 day' a",
        "printf x > a; touch -d '+1 day' a",
    ),
    (
        "a submodule",
        "git -C sub checkout -q two",
        "git -C sub checkout -q one",
    ),
];

/// What leaves the content as it is.
const NONE: [&str; 5] = [
    "touch a b",
    "touch -d '+1 day' a",
    "cp a c; mv c a",
    "mkdir empty",
    "chmod g-r a",
];

const FILES: &str = "printf x > a; printf y > b; chmod 644 a; ln -s a link; \
    git init -q sub; cd sub; git config user.email e@x; git config user.name n; \
    printf 1 > f; git add f; git commit -qm one; git tag one; \
    printf 2 > f; git commit -qam two; git tag two; git checkout -q one";

#[test]
fn whatever_is_other_content_is_run_and_known_again_when_it_is_taken_back() {
    let world = World::new();
    let workspace = world.directory("w");
    workspace.sh(FILES);
    workspace.write("orchd.toml", check("true"));
    workspace.done(&["add", "--allow"]);
    let first = proof(&workspace);
    for (what, change, back) in CHANGES {
        workspace.sh(change);
        let other = proof(&workspace);
        assert_ne!(other, first, "{what} is other content");
        assert_eq!(proof(&workspace), other, "{what} is proven by now");
        workspace.sh(back);
        assert_eq!(proof(&workspace), first, "{what} was taken back");
    }
    for nothing in NONE {
        workspace.sh(nothing);
        assert_eq!(proof(&workspace), first, "{nothing}");
    }
}

#[test]
fn what_was_changed_while_nobody_looked_is_other_content_too() {
    let mut world = World::new();
    {
        let workspace = world.directory("w");
        workspace.sh(FILES);
        workspace.write("orchd.toml", check("true"));
        workspace.done(&["add", "--allow"]);
        proof(&workspace);
    }
    for (what, change, back) in CHANGES {
        let first = proof(&world.directory("w"));
        world.kill();
        world.directory("w").sh(change);
        world.start();
        assert_ne!(
            proof(&world.directory("w")),
            first,
            "{what} is other content"
        );
        world.kill();
        world.directory("w").sh(back);
        world.start();
        assert_eq!(proof(&world.directory("w")), first, "{what} was taken back");
    }
}
