//! luau
