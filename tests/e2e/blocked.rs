//! Things in a workspace that would hold up whoever reads them, and names that are no text.

use crate::support::World;
use rustix::process::Signal;

#[test]
fn a_pipe_in_the_place_of_a_file_holds_nobody_up() {
    let mut world = World::new();
    let workspace = world.directory("w");
    workspace.write("Cargo.toml", "[package]\nname = \"x\"\n");
    workspace.sh("mkfifo Makefile");
    let added = workspace.done(&["add", "--json"]).json();
    assert_eq!(added["state"], "untrusted", "{added}");
    let endless = world.directory("e");
    endless.sh("ln -s /dev/zero orchd.toml");
    let added = endless.done(&["add", "--json"]).json();
    assert_eq!(added["state"], "invalid", "{added}");
    world.signal(Signal::TERM);
    assert_eq!(world.ended().code(), Some(0));
}
