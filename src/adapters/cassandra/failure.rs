//! Which failures of Cassandra pass and which do not.
//!
//! Owns the one table that classes the driver's typed errors. Never looks at a message's text.
//! Retryable: the same request is sent again. Fatal: nothing but a change from outside helps.

use crate::runtime::failure::Class;
use scylla::errors::{DbError, ExecutionError, PagerExecutionError, RequestAttemptError};

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("Cassandra does not answer: {0}")]
    Unreachable(String),
    #[error("Cassandra refuses the request: {0}")]
    Refused(String),
    #[error("a row cannot be read: {0}")]
    Row(String),
}

impl StoreError {
    pub fn class(&self) -> Class {
        match self {
            StoreError::Unreachable(_) => Class::Retryable,
            StoreError::Refused(_) | StoreError::Row(_) => Class::Fatal,
        }
    }
}

impl StoreError {
    pub fn unreadable(error: impl std::fmt::Display) -> Self {
        StoreError::Row(error.to_string())
    }

    pub fn unreachable(error: impl std::fmt::Display) -> Self {
        StoreError::Unreachable(error.to_string())
    }
}

impl From<ExecutionError> for StoreError {
    fn from(error: ExecutionError) -> Self {
        match class_of(&error) {
            Class::Retryable => StoreError::Unreachable(error.to_string()),
            Class::Fatal => StoreError::Refused(error.to_string()),
        }
    }
}

impl From<PagerExecutionError> for StoreError {
    fn from(error: PagerExecutionError) -> Self {
        StoreError::Unreachable(error.to_string())
    }
}

/// A request that was refused as such will be refused again; everything else may pass.
fn class_of(error: &ExecutionError) -> Class {
    match error {
        ExecutionError::BadQuery(_) | ExecutionError::UseKeyspaceError(_) => Class::Fatal,
        ExecutionError::LastAttemptError(RequestAttemptError::DbError(
            DbError::SyntaxError
            | DbError::Invalid
            | DbError::Unauthorized
            | DbError::AuthenticationError
            | DbError::ConfigError
            | DbError::ProtocolError
            | DbError::AlreadyExists { .. }
            | DbError::FunctionFailure { .. },
            _,
        )) => Class::Fatal,
        ExecutionError::LastAttemptError(
            RequestAttemptError::SerializationError(_)
            | RequestAttemptError::CqlRequestSerialization(_),
        ) => Class::Fatal,
        _ => Class::Retryable,
    }
}
