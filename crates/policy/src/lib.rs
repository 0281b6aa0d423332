//! The WebAssembly policy host: check, compile in a jail, limit, evaluate, store by digest.
