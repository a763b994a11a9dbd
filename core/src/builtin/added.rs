//! `host.register_methods`, `host.unregister_methods`.
