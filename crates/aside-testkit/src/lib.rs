//! aside-testkit
