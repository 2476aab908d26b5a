//! Further chapters of the manual, which begins on the [start page](crate).
//!
//! - [`workflows`]: create and execute workflows.
//! - [`operations`]: each operation of the server and the methods that call it.
//! - [`official_sdk`]: for those who come from the official Rust SDK.

#[allow(unused_imports, reason = "the links of the chapters are looked up here")]
use super::*;

#[doc = include_str!("manual/workflows.md")]
pub mod workflows {}

#[doc = include_str!("manual/operations.md")]
pub mod operations {}

#[doc = include_str!("manual/official_sdk.md")]
pub mod official_sdk {}
