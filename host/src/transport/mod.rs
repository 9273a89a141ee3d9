//! The only layer that opens outbound sockets: one guarded HTTP client for everything the host sends.
