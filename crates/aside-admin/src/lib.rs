//! aside-admin
