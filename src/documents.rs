//! The paper side.
