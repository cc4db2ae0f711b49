//! Budgets of tokens.

mod native_tokens;
