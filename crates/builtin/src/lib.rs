//! The built-in policies, as the components that users could have written.
