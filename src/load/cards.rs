//! The `cards` scenario, live.
