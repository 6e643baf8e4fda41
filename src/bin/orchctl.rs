//! `orchctl`: the client. Here alone client and daemon meet in one process, for `--no-daemon`.

use interprocess::local_socket::Stream;
use orch::client::session::Seams;
use orch::model::places::Places;
use std::io;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    orch::client::main(std::env::args_os(), Seams { host, orchd })
}

fn host(_places: &Places, _root: &Path) -> io::Result<Stream> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "this build of orchctl has no daemon inside",
    ))
}

fn orchd() -> clap::Command {
    clap::Command::new("orchd")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Watches directories and runs the guardrails that a change touches")
}
