//! Server migration: the strategies as pure state machines.
