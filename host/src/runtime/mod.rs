//! Where untrusted code runs: the only layer that names wasmtime.
//!
//! A [`Module`] is a compiled version, ready to run. [`Module::call`] makes a fresh instance, gives it one message and takes
//! what it answers; nothing of the instance is left afterwards. Every bound is in [`Config`].
