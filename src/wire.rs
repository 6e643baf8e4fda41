//! What goes over the socket: JSON-RPC 2.0, one message a line, UTF-8; shared by both programs.
//!
//! Pure: bytes in, types out and back. `frame` cuts bytes into lines within limits, `message` turns lines into requests,
//! answers and events, `call` has every method with its parameters, `refusal` every reason to say no, `handshake` the
//! first question. What is answered are the types of `model::report`. No garbage makes it panic, and a hostile message
//! costs no more memory than its own bytes.

pub mod answer;
pub mod call;
pub mod frame;
pub mod handshake;
pub mod message;
pub mod refusal;
