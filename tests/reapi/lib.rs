//! Our `Directory` messages against those of the public definitions of the Remote Execution API v2.
//!
//! `src/daemon/tree/merkle.rs` is compiled here as it stands, beside messages that somebody else has generated from
//! `remote_execution.proto`. Random trees have to come to the same bytes, and to the same digests, by both.
//!
//! `cargo test --locked --manifest-path tests/reapi/Cargo.toml --target-dir target/reapi`

#![cfg(test)]
#![allow(
    dead_code,
    reason = "of what is compiled from `src/` only a part is asked"
)]

#[path = "../../src/model/digest.rs"]
mod digest;

mod model {
    pub(crate) use crate::digest;
}

#[path = "."]
mod daemon {
    #[path = "../../src/daemon/tree/merkle.rs"]
    mod merkle;

    #[path = "compare.rs"]
    mod compare;
}
