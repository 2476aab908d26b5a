//! Tests of the engine: a script of commands with virtual time.
